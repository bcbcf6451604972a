//! Items that are over as a whole.

use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::dynamo::{Delete, Failure, Key, ends_at};

use crate::{Report, put_off};

/// Removes the item at `key`, if it is over; enters it anew in the index, if it is not.
pub async fn remove(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    match app
        .table
        .remove(Delete::of(key.clone()).when_over(now))
        .await
    {
        Ok(()) => count(&key, report),
        Err(failure @ Failure::Condition(_)) => {
            if let Some(later) = failure.stood().and_then(ends_at) {
                put_off(app, key, later, report).await?;
            }
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

fn count(key: &Key, report: &mut Report) {
    match key.pk.split('#').next() {
        Some("IDEMPOTENCY") => report.idempotency_records += 1,
        Some("LINK" | "EXCHANGE") => report.links += 1,
        Some("AUDIT" | "USER") => report.passing_entries += 1,
        _ => report.counters += 1,
    }
}
