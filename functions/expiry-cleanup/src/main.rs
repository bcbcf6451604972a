//! The cold start of `expiry-cleanup`, which a schedule invokes.

use std::sync::Arc;

use expiry_cleanup::{Batch, Report, sweep};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::app::App;
use shared::clock::Timestamp;
use shared::courier::Courier;
use shared::sdk::sdk_config;
use shared::start;

/// What has to be left of the time for anything more to be begun: those that are mailed at the same time may take six seconds to send.
const RESERVE_MILLIS: i64 = 20_000;

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
            let report = run(&parts.0, &parts.1, event.context.deadline).await?;
            tracing::info!(
                cleanup.examined = report.examined,
                cleanup.removed = report.removed(),
                cleanup.mails_owed = report.mails_owed,
                cleanup.failed = report.failed,
                cleanup.more = report.more,
                "cleaned up"
            );
            Ok::<_, Error>(report)
        }
    }))
    .await
}

/// Batch after batch, until nothing is due or this environment's time is nearly over: the next run goes on from there.
async fn run(app: &App, courier: &Courier, deadline: u64) -> Result<Report, Error> {
    let mut report = Report::default();
    let until = Timestamp::from_millis(i64::try_from(deadline).unwrap_or(i64::MAX).saturating_sub(RESERVE_MILLIS));
    loop {
        let swept = sweep(app, courier, Batch { until, ..Batch::default() }).await.map_err(|failure| {
            tracing::error!(?failure, "the clean-up was cut short; the next run goes on from there");
            "the clean-up was cut short"
        })?;
        report.add(&swept);
        if !swept.more || swept.removed() == 0 || app.clock.now() >= until {
            return Ok(report);
        }
    }
}
