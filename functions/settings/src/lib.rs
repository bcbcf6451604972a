//! The settings of an account and of its groups.

mod changes;
mod explain;
mod get;
mod get_group;
mod groups;
mod patch;
mod patch_group;

use std::sync::Arc;

use shared::account::api_key;
use shared::store::app::App;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use shared::account::{Effective, Explanation, Settings};

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    let Some(route) = call.route else {
        return Err(Problem::new(Slug::NotFound));
    };
    let caller = api_key::caller(&app, &call, Scope::SettingsWrite).await?;
    let settings = caller.account.settings()?;
    match route.operation {
        Operation::GetSettings => get::handle(&call, &caller.account, &settings),
        Operation::PatchSettings => patch::handle(&app, &call, caller).await,
        Operation::GetGroupSettings => get_group::handle(&app, &call, &caller.account).await,
        Operation::PatchGroupSettings => patch_group::handle(&app, &call, caller).await,
        Operation::ExplainAllowlist => explain::handle(&call, &settings),
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
