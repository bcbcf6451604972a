//! The users of an account.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod reset;
mod unlock;
mod user;

use std::sync::Arc;

use shared::account::api_key;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use create::Request as CreateUser;
pub use list::Response as Users;
pub use patch::Request as PatchUser;
pub use user::Response as User;

/// What this function holds: the app, and the hands that take messages.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// SES.
    pub courier: Courier,
}

/// Answers a request.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    let Some(route) = call.route else {
        return Err(Problem::new(Slug::NotFound));
    };
    let app = &state.app;
    let caller = api_key::caller(app, &call, Scope::UsersWrite).await?;
    match route.operation {
        Operation::CreateUser => create::handle(app, &call, &caller).await,
        Operation::ListUsers => list::handle(app, &call, &caller).await,
        Operation::GetUser => get::handle(app, &call, &caller).await,
        Operation::PatchUser => patch::handle(&state, &call, &caller).await,
        Operation::DeleteUser => delete::handle(app, &call, &caller).await,
        Operation::ResetApp => reset::handle(&state, &call, &caller).await,
        Operation::UnlockUser => unlock::handle(app, &call, &caller).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
