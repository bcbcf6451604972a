//! `GET /v1/quota` and `GET /v1/quota/entries`: what is left of an account's prepaid transactions,
//! and what became of them.

mod entries;
mod overview;

use std::sync::Arc;

use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use entries::Response as Entries;
pub use overview::Response as Overview;

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    match call.route.map(|route| route.operation) {
        Some(Operation::GetQuota) => overview::handle(&app, &call).await,
        Some(Operation::ListQuotaEntries) => entries::handle(&app, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
