//! `POST /v1/codes`: a code by SMS or e-mail.
//!
//! Three waits: what the rules look at is read in one request; one transaction claims the send (the
//! new code, the cooldown, both counters, the audit entry); then the message goes. What the sender
//! does not take is undone, as if nobody had asked.
//!
//! What may have been taken is no such thing: where the sender does not answer in time, or tells of
//! a fault of its own, the message is told as sent, counts as sent, and its code is good. 503 says
//! that nothing went out. Whoever gets nothing asks again when the wait is over.

mod issue;
mod recipient;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::kernel::secret::Secret;
use shared::messaging::courier::Courier;
use shared::signin::user::Method;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Slug};
use utoipa::ToSchema;

/// What this function holds: the app, and the hands that take messages.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// SES and SNS.
    pub courier: Courier,
}

/// How a code can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// By SMS.
    Sms,
    /// By e-mail, where the account has that on.
    Email,
}

impl Channel {
    /// The factor it serves.
    pub const fn method(self) -> Method {
        match self {
            Self::Sms => Method::Sms,
            Self::Email => Method::Email,
        }
    }
}

/// A wish for a code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IssueCodeRequest)]
pub struct Request {
    /// The challenge of the sign-in.
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// How the code is to be sent.
    pub method: Channel,
}

/// A code that was handed to its sender. One that did not confirm it in time may have sent it all
/// the same: it is told as sent, counts as sent, and its code is good. Whoever gets nothing asks
/// for another after `resend_in`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = IssuedCode)]
pub struct Response {
    /// How it was sent.
    pub method: Method,
    /// Where to, masked.
    #[schema(example = "+1••••••••00")]
    pub destination: String,
    /// Four letters that the message carries too: the code of an earlier message is not taken.
    #[schema(example = "KXTP")]
    pub reference: String,
    /// Seconds until the code ends.
    #[schema(example = 300)]
    pub expires_in: i64,
    /// Seconds until another can be sent by this method; another method's can be sent at once.
    #[schema(example = 30)]
    pub resend_in: i64,
    /// How many digits it has.
    #[schema(example = 6)]
    pub code_length: u32,
}

/// Sends a code.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.only_query(&[])?;
    let request: Request = call.json()?;
    let now = call.arrived_at;
    let keyring = state.app.keyrings.current(now).await;
    if let Some(ticket) = shared::agreement::Ticket::read(request.challenge.expose(), &keyring) {
        return recipient::issue(&state, &call, &request, &ticket, keyring, now).await;
    }
    issue::issue(&state, &call, &request).await
}
