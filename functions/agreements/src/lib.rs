//! Agreements: sent to their recipients, followed, and ended.
//!
//! Sending is one transaction: the agreement, its recipients with the message in the outbox of
//! each, the ledger's reservation, the audit entry, and what was asked and answered. Then the mails
//! go; what is left of them, the clean-up sends.

mod cancel;
mod choice;
mod complete;
mod doubt;
mod draft;
mod fields;
mod find;
mod get;
mod list;
mod methods;
mod patch;
mod reopen;
mod report_link;
mod resend;
mod send;
mod shown;

use std::sync::Arc;

use shared::account::api_key;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::routes::Authorisation;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use cancel::Request as CancelAgreement;
pub use draft::Request as SendAgreement;
pub use list::Response as Agreements;
pub use methods::Response as AuthenticationMethods;
pub use patch::Request as PatchRecipient;
pub use report_link::Response as ReportLink;
pub use send::Response as SentAgreement;
pub use shown::{Agreement, Recipient};

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
    let Authorisation::Scope(scope) = route.authorisation else {
        return Err(Problem::new(Slug::NotFound));
    };
    let caller = api_key::caller(&state.app, &call, scope).await?;
    match route.operation {
        Operation::SendAgreement => send::handle(&state, &call, &caller).await,
        Operation::ListAgreements => list::handle(&state.app, &call, &caller).await,
        Operation::GetAgreement => get::handle(&state.app, &call, &caller).await,
        Operation::PatchRecipient => patch::handle(&state, &call, &caller).await,
        Operation::CompleteRecipient => complete::handle(&state, &call, &caller).await,
        Operation::ResendLink => resend::handle(&state, &call, &caller).await,
        Operation::ReopenViewing => reopen::handle(&state.app, &call, &caller).await,
        Operation::CancelAgreement => cancel::handle(&state.app, &call, &caller).await,
        Operation::LinkReport => report_link::handle(&state.app, &call, &caller).await,
        Operation::ListAuthenticationMethods => methods::handle(&state.app, &call, &caller).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
