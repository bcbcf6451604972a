//! The cold start that every function begins with: logs as Lambda's JSON, and panics that say where and never what.

use std::panic;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Sets up logs and the panic hook.
///
/// Logs are JSON lines, one object each, with dotted field names. The SDK and the HTTP stack are held at `warn`, whatever
/// `RUST_LOG` says of us: at `trace` they log whole requests, and with them codes and passwords.
pub fn logs() {
    let level = config::env("RUST_LOG").unwrap_or_else(|| "info".into());
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
    // A second call, as in tests, changes nothing.
    let _ = subscriber.with_env_filter(filter(&level)).with_target(false).try_init();
    panics();
}

/// Lets through what we log at `level`, and warnings of everybody else.
pub fn filter(level: &str) -> EnvFilter {
    let level = level.split(['=', ',']).next_back().unwrap_or("info");
    let directives = [
        "shared",
        "login",
        "code_issue",
        "code_verify",
        "expiry_cleanup",
        "accounts",
        "settings",
        "users",
        "audit",
        "documents",
        "pages",
        "me",
        "local",
    ]
    .map(|target| format!("{target}={level}"))
    .join(",");
    EnvFilter::try_new(format!("warn,{directives}")).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// A panic's message may quote a value. Only the place is logged.
pub fn panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
