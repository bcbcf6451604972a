//! The cold start of `expiry-cleanup`, which a schedule invokes.

use std::sync::Arc;

use expiry_cleanup::{Batch, Report, sweep};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::app::{App, sdk_config};
use shared::start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start::logs();
    let app = Arc::new(App::start(&sdk_config().await).await?);
    lambda_runtime::run(service_fn(|_: LambdaEvent<serde_json::Value>| {
        let app = Arc::clone(&app);
        async move {
            let swept = sweep(&app, Batch::default()).await;
            let report: Report = swept.map_err(|failure| {
                tracing::error!(?failure, "the clean-up was cut short; the next run goes on from there");
                "the clean-up was cut short"
            })?;
            tracing::info!(
                cleanup.examined = report.examined,
                cleanup.removed = report.removed(),
                cleanup.more = report.more,
                "cleaned up"
            );
            Ok::<_, Error>(report)
        }
    }))
    .await
}
