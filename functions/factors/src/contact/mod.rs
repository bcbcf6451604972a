//! A new phone or mail address of one's own: `POST /v1/factors/{sms|email}` sends a code there and
//! tells nobody else, `…/confirm` takes it, and only then does the contact count; `DELETE` takes
//! one away.
//!
//! Whoever says that a contact is theirs may be wrong about it, or mean harm: the one who is there
//! has done nothing. So what is said costs nobody anything but its own windows
//! (`shared::signin::code::counters`), counts for nothing, and ends by itself.

mod begin;
mod claim;
mod confirm;
mod remove;

use serde::{Deserialize, Serialize};
use shared::kernel::ids::FactorId;
use shared::kernel::secret::Secret;
use shared::signin::sign_in::Answer;
use shared::signin::user::pending::ClaimedContact;
use shared::signin::user::{Method, fields};
use shared::web::http::{Call, Outcome, Problem};
use utoipa::ToSchema;

use crate::State;

/// A phone number that the user says is theirs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnrolPhone)]
pub struct PhoneRequest {
    /// The challenge of a first sign-in, in place of an access token.
    #[schema(value_type = Option<String>, nullable = false)]
    pub challenge: Option<Secret<String>>,
    /// A mobile number, E.164.
    #[schema(example = "+12025550100")]
    pub phone: String,
}

/// A mail address that the user says is theirs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnrolMailbox)]
pub struct EmailRequest {
    /// A mail address in ASCII.
    #[schema(example = "ann@example.com", max_length = 254)]
    pub email: String,
}

/// A contact that waits for its code.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = EnrolledContact)]
pub struct Response {
    /// What it is confirmed by: the same for each code that is sent to it while it waits.
    pub factor: FactorId,
    /// Where the code went, masked.
    #[schema(example = "+1••••••••00")]
    pub destination: String,
    /// Four letters that the message carries too: the code of an earlier message is not taken.
    #[schema(example = "KXTP")]
    pub reference: String,
    /// Seconds until the code ends.
    #[schema(example = 300)]
    pub expires_in: i64,
    /// Seconds until another can be sent there.
    #[schema(example = 30)]
    pub resend_in: i64,
    /// How many digits it has.
    #[schema(example = 6)]
    pub code_length: u32,
}

/// The code that was sent to a phone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfirmPhone)]
pub struct ConfirmPhone {
    /// The challenge of a first sign-in, in place of an access token.
    #[schema(value_type = Option<String>, nullable = false)]
    pub challenge: Option<Secret<String>>,
    /// The contact that was begun.
    pub factor: FactorId,
    /// The code, as ASCII digits.
    #[schema(value_type = String, example = "048213")]
    pub code: Secret<String>,
}

/// The code that was sent to a mail address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfirmMailbox)]
pub struct ConfirmMailbox {
    /// The contact that was begun.
    pub factor: FactorId,
    /// The code, as ASCII digits.
    #[schema(value_type = String, example = "04821399")]
    pub code: Secret<String>,
}

/// The contact counts from now on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfirmedContact)]
pub struct Confirmed {
    /// By which method codes go there.
    pub method: Method,
    /// Where they go, masked.
    #[schema(example = "+1••••••••00")]
    pub destination: String,
    /// With a challenge: the sign-in is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub authenticated: Option<Answer>,
}

/// A code that was typed, and what for.
struct Typed {
    method: Method,
    challenge: Option<Secret<String>>,
    factor: FactorId,
    code: Secret<String>,
}

/// `POST /v1/factors/sms`
pub(crate) async fn enrol_phone(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let PhoneRequest { challenge, phone } = call.json()?;
    let phone = fields::phone(&phone).map_err(|detail| Problem::invalid_field("/phone", detail))?;
    let wish = ClaimedContact {
        method: Method::Sms,
        contact: phone.number,
        country: Some(phone.country),
    };
    begin::begin(state, call, &wish, challenge.as_ref()).await
}

/// `POST /v1/factors/email`
pub(crate) async fn enrol_mailbox(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    // A token alone opens this: who has none is told so, whatever the body says.
    let _ = call.bearer()?;
    let EmailRequest { email } = call.json()?;
    let email = fields::email(&email).map_err(|detail| Problem::invalid_field("/email", detail))?;
    begin::begin(
        state,
        call,
        &ClaimedContact {
            method: Method::Email,
            contact: email,
            country: None,
        },
        None,
    )
    .await
}

/// `POST /v1/factors/sms/confirm`
pub(crate) async fn confirm_phone(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let ConfirmPhone {
        challenge,
        factor,
        code,
    } = call.json()?;
    confirm::confirm(
        state,
        call,
        Typed {
            method: Method::Sms,
            challenge,
            factor,
            code,
        },
    )
    .await
}

/// `POST /v1/factors/email/confirm`
pub(crate) async fn confirm_mailbox(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let _ = call.bearer()?;
    let ConfirmMailbox { factor, code } = call.json()?;
    confirm::confirm(
        state,
        call,
        Typed {
            method: Method::Email,
            challenge: None,
            factor,
            code,
        },
    )
    .await
}

/// `DELETE /v1/factors/{sms|email}`
pub(crate) async fn remove(state: &State, call: &Call, method: Method) -> Outcome {
    remove::remove(state, call, method).await
}
