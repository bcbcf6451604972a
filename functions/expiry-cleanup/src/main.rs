//! The cold start of `expiry-cleanup`, which a schedule invokes.

use std::sync::Arc;

use expiry_cleanup::{Batch, Report, run};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::json;
use shared::edge::start;
use shared::kernel::clock::Timestamp;
use shared::kernel::metric;
use shared::kernel::sdk::sdk_config;
use shared::messaging::courier::Courier;
use shared::store::app::App;

/// What has to be left of the time for anything more to be begun: a mail may take twenty seconds to
/// send, and the table five before and after.
const RESERVE_MILLIS: i64 = 40_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start(&sdk).await?;
    let courier = Courier::new(&sdk, &app.config);
    let parts = Arc::new((app, courier));
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| {
        let parts = Arc::clone(&parts);
        async move {
            let batch = Batch {
                until: until(event.context.deadline),
                ..Batch::default()
            };
            let report = run(&parts.0, &parts.1, batch).await;
            tracing::info!(
                cleanup.examined = report.examined,
                cleanup.removed = report.removed(),
                cleanup.mails_owed = report.mails_owed,
                cleanup.failed = report.failed,
                cleanup.left = report.left,
                cleanup.more = report.more,
                "cleanup run finished"
            );
            count(&report, parts.0.clock.now());
            // A run that ends well is what the alarm for a clean-up that has stopped looks for.
            if report.is_a_failure() {
                Err("cleanup run failed: not one due item could be processed".into())
            } else {
                Ok::<_, Error>(report)
            }
        }
    }))
    .await
}

/// What wakes somebody if it goes on: items that cannot be dealt with, mails that cannot be sent,
/// and more to do than there is time for.
fn count(report: &Report, now: Timestamp) {
    let behind = u32::from(report.more);
    for (name, count) in [
        ("CleanupFailed", report.failed),
        ("MailsNotSent", report.mails_owed),
        ("CleanupBehind", behind),
    ] {
        if count > 0 {
            metric::emit(name, count, &json!({}), now);
        }
    }
}

/// When nothing more is begun in an environment that is stopped at `deadline`.
fn until(deadline: u64) -> Timestamp {
    Timestamp::from_millis(
        i64::try_from(deadline)
            .unwrap_or(i64::MAX)
            .saturating_sub(RESERVE_MILLIS),
    )
}
