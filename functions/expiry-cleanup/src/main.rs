//! The cold start of `expiry-cleanup`, which a schedule invokes.

use std::sync::Arc;

use expiry_cleanup::{Batch, Report, sweep};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::app::App;
use shared::clock::Clock;
use shared::sdk::sdk_config;
use shared::start;

/// What a batch may take, and has to be left for another.
const RESERVE_MILLIS: i64 = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start::logs();
    let app = Arc::new(App::start(&sdk_config()).await?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| {
        let app = Arc::clone(&app);
        async move {
            let report = run(&app, event.context.deadline).await?;
            tracing::info!(
                cleanup.examined = report.examined,
                cleanup.removed = report.removed(),
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
async fn run(app: &App, deadline: u64) -> Result<Report, Error> {
    let mut report = Report::default();
    loop {
        let swept = sweep(app, Batch::default()).await.map_err(|failure| {
            tracing::error!(?failure, "the clean-up was cut short; the next run goes on from there");
            "the clean-up was cut short"
        })?;
        report.add(&swept);
        let left = i64::try_from(deadline).unwrap_or(i64::MAX).saturating_sub(Clock::system().now().as_millis());
        if !swept.more || swept.removed() == 0 || left < RESERVE_MILLIS {
            return Ok(report);
        }
    }
}
