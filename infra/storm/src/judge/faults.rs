//! A fault is told as one: what could not be done now is 503 with `Retry-After`'s slug, and nothing
//! breaks within.

use super::index::Index;
use crate::history::Call;

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let broke = |call: &&Call| !call.died && call.status() >= 500 && call.status() != 503;
    let told = |call: &Call| {
        format!(
            "#{} {} was answered with {}: {}",
            call.number,
            call.path,
            call.status(),
            call.told("/detail").unwrap_or_default()
        )
    };
    index.history.calls.iter().filter(broke).map(told).collect()
}
