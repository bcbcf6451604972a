//! The scheduled clean-up, run now.

use expiry_cleanup::{Batch, Report, sweep};
use shared::app::App;
use shared::courier::Courier;
use shared::http::Problem;

/// Runs the clean-up until nothing is due; answers with the sum of its reports.
pub(crate) async fn run(app: &App, courier: &Courier) -> Result<Report, Problem> {
    let mut sum = Report::default();
    loop {
        let swept = sweep(app, courier, Batch::default()).await?;
        sum.add(&swept);
        // What stays due whatever is done would be met for ever.
        if !swept.more || swept.removed() + swept.rescheduled == 0 {
            return Ok(sum);
        }
    }
}
