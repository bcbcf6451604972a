//! `POST /v1/kba/callback`: the provider tells how a session went.
//!
//! It is verified over the bytes as they came, before anything of it is read. Then: the message's
//! id and the session in one request, the agreement and the recipient in another, and one
//! transaction with all that comes of it. Whoever loses a race reads the state that won and decides
//! anew from it: every genuine message is 204 and an audit entry, once.

mod take;

use std::sync::Arc;

use shared::agreement::kba::Answer;
use shared::agreement::kba::webhook::{Headers, InvalidSignature, Secrets, VerifiedCallback};
use shared::agreement::provider::CachedSecret;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Slug};

/// What this function holds.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// SES: a message to a sender is sent at once.
    pub courier: Courier,
    /// What the provider signs with, if the deployment has one.
    pub secrets: Option<CachedSecret<Secrets>>,
}

/// Takes a message.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.expect_json()?;
    let message = verify(&state, &call).await?;
    call.only_query(&[])?;
    let answer = Answer::read(call.document()?)?;
    take::take(&state, &call, &message, &answer).await
}

/// The message, if it is genuine. Without a secret in hand nobody can say that it is not: it is to
/// be sent again. And what none of the secrets in hand has signed may be signed with one that was
/// added since they were read.
async fn verify(state: &State, call: &Call) -> Result<VerifiedCallback, Problem> {
    let forged = |InvalidSignature| Problem::new(Slug::SignatureInvalid);
    let header = |name| call.header(name).ok_or(InvalidSignature).map_err(forged);
    let headers = Headers {
        id: header("webhook-id")?,
        timestamp: header("webhook-timestamp")?,
        signature: header("webhook-signature")?,
    };
    let unread = || Problem::new(Slug::ServiceUnavailable).header("retry-after", "5".into());
    let held = state.secrets.as_ref().ok_or_else(unread)?;
    let known = held.current(call.arrived_at).await.ok_or_else(unread)?;
    if let Ok(genuine) = known.verify(headers, call.raw_body(), call.arrived_at) {
        return Ok(genuine);
    }
    let refreshed = held
        .refresh(call.arrived_at)
        .await
        .ok_or(InvalidSignature)
        .map_err(forged)?;
    refreshed
        .verify(headers, call.raw_body(), call.arrived_at)
        .map_err(forged)
}
