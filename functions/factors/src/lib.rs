//! How a user signs in, in the user's own hands: an authenticator app, the recovery codes that stand in for one, phone, mail address
//! and password.
//!
//! Whoever changes them has proved a second factor in the last five minutes; only who never had one sets up the first with less. Each
//! change is one transaction on the user's item, with its audit entry and the mails that tell of it.

mod confirm;
mod current_password;
mod enrol;
mod list;
mod picture;
mod profile;
mod recovery_codes;
mod remove;
mod who;

use std::sync::Arc;

use shared::app::App;
use shared::courier::Courier;
use shared::http::{Call, Operation, Outcome, Problem, Slug};

pub use confirm::{Request as ConfirmApp, Response as ConfirmedApp};
pub use enrol::{Request as EnrolApp, Response as EnrolledApp};
pub use list::Response as Factors;
pub use profile::Request as PatchMe;
pub use recovery_codes::Response as RecoveryCodes;

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
    let Some(route) = call.route else { return Err(Problem::new(Slug::NotFound)) };
    match route.operation {
        Operation::EnrolApp => enrol::handle(&state, &call).await,
        Operation::ConfirmApp => confirm::handle(&state, &call).await,
        Operation::ListFactors => list::handle(&state, &call).await,
        Operation::RemoveApp => remove::handle(&state, &call).await,
        Operation::PatchMe => profile::handle(&state, &call).await,
        Operation::MakeRecoveryCodes => recovery_codes::handle(&state, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
