//! Accounts and their API keys: for operators alone.

mod account;
mod create;
mod create_key;
mod delete_key;
mod get;
mod list_keys;
mod name;
mod patch;

use std::sync::Arc;

use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use account::Response as Account;
pub use create::Request as CreateAccount;
pub use create_key::{Request as CreateApiKey, Response as CreatedApiKey};
pub use list_keys::{Item as ApiKey, Response as ApiKeys};
pub use patch::Request as PatchAccount;

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    match call.route.map(|route| route.operation) {
        Some(Operation::CreateAccount) => create::handle(&app, &call).await,
        Some(Operation::GetAccount) => get::handle(&app, &call).await,
        Some(Operation::PatchAccount) => patch::handle(&app, &call).await,
        Some(Operation::CreateApiKey) => create_key::handle(&app, &call).await,
        Some(Operation::ListApiKeys) => list_keys::handle(&app, &call).await,
        Some(Operation::DeleteApiKey) => delete_key::handle(&app, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
