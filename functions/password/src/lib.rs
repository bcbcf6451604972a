//! A forgotten password: a link by mail, the second factor, and a new password.
//!
//! `POST /v1/password/forgotten` answers everybody alike, after the same requests and the same
//! time. The link that it may have mailed is redeemed and followed by a second factor like any
//! other; what that opens is `POST /v1/password`.

mod forgotten;
mod set;

use std::sync::Arc;

use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use forgotten::{Request as ForgottenPassword, Response as Forgotten};
pub use set::Request as SetPassword;

/// What this function holds: the app, and the hands that take messages.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// SES and SNS.
    pub courier: Courier,
}

/// Answers a request.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    let Some(route) = call.route else {
        return Err(Problem::new(Slug::NotFound));
    };
    call.only_query(&[])?;
    match route.operation {
        Operation::ForgetPassword => forgotten::handle(&state, &call).await,
        Operation::SetPassword => set::handle(&state, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
