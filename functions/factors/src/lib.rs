//! How a user signs in, in the user's own hands: an authenticator app, the recovery codes that
//! stand in for one, phone, mail address and password.
//!
//! Whoever changes them has proved a second factor in the last five minutes; only who never had one
//! sets up the first with less. Each change is one transaction on the user's item, with its audit
//! entry and the notices that tell of it. A phone or a mail address counts once the code that was
//! sent there was typed.

mod confirm;
mod contact;
mod current_password;
mod enrol;
mod list;
mod picture;
mod profile;
mod recovery_codes;
mod remove;
mod who;

use std::sync::Arc;

use shared::messaging::courier::Courier;
use shared::signin::user::Method;
use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use confirm::{Request as ConfirmApp, Response as ConfirmedApp};
pub use contact::{
    ConfirmMailbox, ConfirmPhone, Confirmed as ConfirmedContact, EmailRequest as EnrolMailbox,
    PhoneRequest as EnrolPhone, Response as EnrolledContact,
};
pub use enrol::{Request as EnrolApp, Response as EnrolledApp};
pub use list::Response as Factors;
pub use profile::Request as PatchMe;
pub use recovery_codes::Response as RecoveryCodes;

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
    match route.operation {
        Operation::EnrolApp => enrol::handle(&state, &call).await,
        Operation::ConfirmApp => confirm::handle(&state, &call).await,
        Operation::ListFactors => list::handle(&state, &call).await,
        Operation::RemoveApp => remove::handle(&state, &call).await,
        Operation::EnrolPhone => contact::enrol_phone(&state, &call).await,
        Operation::EnrolMailbox => contact::enrol_mailbox(&state, &call).await,
        Operation::ConfirmPhone => contact::confirm_phone(&state, &call).await,
        Operation::ConfirmMailbox => contact::confirm_mailbox(&state, &call).await,
        Operation::RemovePhone => contact::remove(&state, &call, Method::Sms).await,
        Operation::RemoveMailbox => contact::remove(&state, &call, Method::Email).await,
        Operation::PatchMe => profile::handle(&state, &call).await,
        Operation::MakeRecoveryCodes => recovery_codes::handle(&state, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
