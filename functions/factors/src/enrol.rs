//! `POST /v1/factors/totp`: an app is shown its secret. It is a factor once it has proved that it
//! has it.

use serde::{Deserialize, Serialize};
use shared::kernel::ids::FactorId;
use shared::kernel::secret::{Secret, exposed};
use shared::signin::totp::{ENROLMENT_LIFETIME, Enrolment, Key};
use shared::signin::user::Method;
use shared::store::app::App;
use shared::store::audit::Action;
use shared::store::dynamo::RetryPolicy;
use shared::web::http::{Call, Outcome, Problem, Reply};
use utoipa::ToSchema;

use crate::State;
use crate::picture;
use crate::who::Who;

/// A wish to set up an app. A signed-in user needs no body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnrolApp)]
pub struct Request {
    /// The challenge of a first sign-in, in place of an access token.
    #[schema(value_type = Option<String>, nullable = false)]
    pub challenge: Option<Secret<String>>,
}

/// An app that is to be confirmed. All of it is shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnrolledApp)]
pub struct Response {
    /// What it is confirmed by.
    pub factor: FactorId,
    /// The secret for typing, base 32.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    pub secret: Secret<String>,
    /// What an app reads from a QR code, or opens as a link.
    #[serde(serialize_with = "exposed")]
    #[schema(
        value_type = String,
        example = "otpauth://totp/Alder%20%26%20Pine:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Alder%20%26%20Pine&algorithm=SHA1&digits=6&period=30"
    )]
    pub otpauth_uri: Secret<String>,
    /// The same as a QR code, an SVG element.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "<svg …></svg>")]
    pub qr_svg: Secret<String>,
    /// Seconds until it can no longer be confirmed.
    #[schema(example = 600)]
    pub expires_in: i64,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let request = Request::of(call)?;
    let app = &state.app;
    let who = Who::by_either(app, call, request.challenge.as_ref()).await?;
    let (now, entropy) = (who.now, &app.entropy);
    let (id, key) = (FactorId::new(now, entropy), Key::draw(entropy));
    let enrolment = Enrolment {
        id,
        sealed: key.seal(who.user.id, id, &who.keyring, now)?,
        expires_at: now.plus(ENROLMENT_LIFETIME),
        attempts: Vec::new(),
    };
    let who = begin(app, call, who, &enrolment).await?;
    let otpauth_uri = key.uri(&who.account.name, &who.user.username);
    let qr_svg = picture::draw(&otpauth_uri)?;
    Ok(Reply::json(&Response {
        factor: id,
        secret: key.text(),
        otpauth_uri,
        qr_svg,
        expires_in: ENROLMENT_LIFETIME.as_secs(),
    }))
}

impl Request {
    /// What `call` asks for.
    fn of(call: &Call) -> Result<Self, Problem> {
        if call.raw_body().is_empty() {
            Ok(Self::default())
        } else {
            call.json()
        }
    }
}

/// Writes the enrolment down, and answers with whose it is, as they stand.
async fn begin(
    app: &App,
    call: &Call,
    mut who: Who,
    enrolment: &Enrolment,
) -> Result<Who, Problem> {
    let mut retries = RetryPolicy::default();
    loop {
        who.may_enrol(Method::Totp, who.now)?;
        let update = who.guard(who.user.begin_app(enrolment)?);
        let event = who
            .event(Action::EnrolmentBegun, call)
            .with("method", "totp")
            .with("factor", enrolment.id.to_string());
        let writes = who.user.change(update, [event], who.now)?;
        if who.settle(app, writes, &mut retries, |_| {}).await? {
            return Ok(who);
        }
    }
}
