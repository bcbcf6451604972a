//! `POST /v1/kba/sessions` and `GET /v1/kba/sessions/{session}`: a recipient at the provider's
//! questions.
//!
//! Opening: what the rules look at is read in one request; the provider opens its session, known by
//! our id; one transaction writes ours, and with it that it is the recipient's latest. Where the
//! provider does not answer, nothing was written. A provider's session of which ours could not be
//! written is never begun, and costs nothing.

mod open;
mod show;

use std::sync::Arc;

use shared::agreement::provider::Provider;
use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

pub use open::{Request, Response};
pub use show::State as SessionState;

/// What this function holds.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// The provider, if the deployment has one.
    pub provider: Option<Provider>,
}

/// Answers a request.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    call.only_query(&[])?;
    match call.route.map(|route| route.operation) {
        Some(Operation::OpenKbaSession) => open::open(&state, &call).await,
        Some(Operation::GetKbaSession) => show::show(&state.app, &call).await,
        _ => Err(Problem::new(Slug::NotFound)),
    }
}
