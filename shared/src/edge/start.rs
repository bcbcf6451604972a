//! The cold start that every function begins with: logs as Lambda's JSON, and panics that say where
//! and never what.

use std::panic;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::kernel::config;

/// Sets up logs and the panic hook.
///
/// Logs are JSON lines, one object each, with dotted field names. The SDK and the HTTP stack are
/// held at `warn`, whatever `RUST_LOG` says of us: at `trace` they log whole requests, and with
/// them codes and passwords.
pub fn logs() {
    let level = config::env("RUST_LOG").unwrap_or_else(|| "info".into());
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false);
    // A second call, as in tests, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(lines.with_target(false).with_filter(filter(&level)))
        .try_init();
    panics();
}

/// The crates whose logs are ours.
const OURS: [&str; 24] = [
    "shared",
    "link_redeem",
    "links",
    "login",
    "code_issue",
    "code_verify",
    "expiry_cleanup",
    "factors",
    "accounts",
    "password",
    "agreements",
    "settings",
    "tokens",
    "users",
    "quota",
    "quota_topup",
    "report",
    "audit",
    "documents",
    "kba_callback",
    "kba_session",
    "pages",
    "me",
    "local",
];

/// Lets through what we log at `level`, and warnings of everybody else.
pub fn filter(level: &str) -> Targets {
    let level = level
        .split(['=', ','])
        .next_back()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(OURS.map(|target| (target, level)))
}

/// A panic's message may quote a value. Only the place is logged.
pub fn panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(
            place,
            "handler panicked; the caller got 500; fix the code at this place"
        );
    }));
}
