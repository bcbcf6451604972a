//! What a step of a sign-in answers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::account::Methods;
use crate::kernel::clock::Timestamp;
use crate::kernel::secret::{Secret, exposed};
use crate::signin::access_token::{self, Acr, Proof};
use crate::signin::challenge::{self, PrimaryFactor};
use crate::signin::exchange;
use crate::signin::user::known::Origin;
use crate::signin::user::{Method, User};

/// A finished or unfinished sign-in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schema(as = SignIn)]
pub enum Answer {
    /// It is finished.
    Authenticated(Authenticated),
    /// A second factor is required.
    SecondFactorRequired(SecondFactor),
    /// A second factor is required, and has to be set up first.
    EnrolmentRequired(SecondFactor),
    /// It is finished, and the browser goes on to the portal. The token is for the portal's back
    /// end alone, which exchanges the code for it.
    Redirect(Redirect),
    /// The second factor was proved after a forgotten password: a new one can be set.
    NewPasswordRequired(NewPassword),
    /// A recipient of an agreement has to prove who they are.
    IdentityVerificationRequired(IdentityCheck),
}

/// A finished sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Authenticated {
    /// A JWT (RS256): who, and how they proved themselves.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub access_token: Secret<String>,
    /// `Bearer`
    pub token_type: &'static str,
    /// Seconds until the token ends.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// RFC 8176.
    #[schema(example = json!(["pwd", "otp", "sms", "mfa"]))]
    pub amr: Vec<&'static str>,
    /// How far the proof goes.
    pub acr: Acr,
}

/// An unfinished sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactor {
    /// What the next step is asked with.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// Seconds until the challenge ends.
    #[schema(example = 600)]
    pub expires_in: i64,
    /// What it can be done with.
    pub methods: Vec<Offer>,
}

/// The way on to the portal that a link named.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redirect {
    /// The registered address with the code: `…?code=…`.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "https://portal.example/in?code=otc_…")]
    pub redirect_uri: Secret<String>,
    /// The code that `POST /v1/tokens` takes, once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "otc_…")]
    pub code: Secret<String>,
    /// Seconds until the code ends.
    #[schema(example = 60)]
    pub expires_in: i64,
}

/// Leave to set a new password.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewPassword {
    /// The challenge that was completed: what `POST /v1/password` takes, once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// Seconds until it is too late.
    #[schema(example = 600)]
    pub expires_in: i64,
}

/// A recipient's identity is still to be proved.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityCheck {
    /// What a session of knowledge-based authentication is opened with.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// Seconds until the challenge ends.
    #[schema(example = 600)]
    pub expires_in: i64,
    /// What it can be done with.
    pub methods: Vec<IdentityOffer>,
}

/// A way to prove an identity.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IdentityOffer {
    /// The method.
    pub method: IdentityMethod,
}

/// The ways to prove an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentityMethod {
    /// Questions about oneself.
    Kba,
}

impl IdentityCheck {
    /// By knowledge-based authentication.
    pub fn new(challenge: Secret<String>) -> Self {
        let methods = vec![IdentityOffer {
            method: IdentityMethod::Kba,
        }];
        Self {
            challenge,
            expires_in: challenge::LIFETIME.as_secs(),
            methods,
        }
    }
}

/// A method that can be used.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Offer {
    /// The method.
    pub method: Method,
    /// Where a code would go, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+1••••••••00")]
    pub destination: Option<String>,
}

impl Authenticated {
    /// Over a signed token.
    pub fn new(access_token: Secret<String>, proof: &Proof) -> Self {
        let expires_in = access_token::LIFETIME.as_secs();
        Self {
            access_token,
            token_type: "Bearer",
            expires_in,
            amr: proof.amr.clone(),
            acr: proof.acr,
        }
    }
}

impl Redirect {
    /// To this address, with this code.
    pub fn new(redirect_uri: String, code: Secret<String>) -> Self {
        Self {
            redirect_uri: Secret::new(redirect_uri),
            code,
            expires_in: exchange::LIFETIME.as_secs(),
        }
    }
}

impl NewPassword {
    /// With this challenge.
    pub const fn new(challenge: Secret<String>) -> Self {
        Self {
            challenge,
            expires_in: challenge::LIFETIME.as_secs(),
        }
    }
}

impl SecondFactor {
    /// With these methods.
    pub fn new(challenge: Secret<String>, methods: Vec<Offer>) -> Self {
        Self {
            challenge,
            expires_in: challenge::LIFETIME.as_secs(),
            methods,
        }
    }
}

/// What comes after a right first factor.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: this is how far the proof goes.
    Done(Acr),
    /// A second factor, with one of these.
    SecondFactor(Vec<Offer>),
    /// A second factor has to be set up, as one of these.
    Enrolment(Vec<Offer>),
    /// The user has factors, and none can be used now.
    NoUsableFactor,
}

/// What a first factor may be, in the order in which they are offered. A mailbox is none: who only
/// has its password would have a second factor of the kind that a forgotten password is set by.
const ENROLLED_FIRST: [Method; 2] = [Method::Totp, Method::Sms];

/// What comes after a right first factor.
///
/// `waived` says that the account asks internal users for no second factor here, and how far the
/// proof then goes.
pub fn next(
    user: &User,
    waived: Option<Acr>,
    methods: Methods,
    origin: Origin,
    now: Timestamp,
) -> Next {
    if let (Some(acr), crate::signin::user::UserKind::Internal) = (waived, user.kind) {
        return Next::Done(acr);
    }
    next_factor(user, methods, false, origin, now)
}

/// The second factor that comes next, to be proved or to be set up.
fn next_factor(
    user: &User,
    methods: Methods,
    by_link: bool,
    origin: Origin,
    now: Timestamp,
) -> Next {
    let offers = user.offered_methods(methods, origin, now);
    if !offers.is_empty() {
        let offer = |method| Offer {
            method,
            destination: user.masked_destination(method),
        };
        return Next::SecondFactor(offers.into_iter().map(offer).collect());
    }
    let enrolled = ENROLLED_FIRST
        .into_iter()
        .filter(|method| user.may_enrol(*method, methods, by_link, now));
    let enrolled: Vec<Offer> = enrolled
        .map(|method| Offer {
            method,
            destination: None,
        })
        .collect();
    if enrolled.is_empty() {
        Next::NoUsableFactor
    } else {
        Next::Enrolment(enrolled)
    }
}

/// What comes after a mailed link was opened: a second factor, always, whoever the user is and
/// wherever the request comes from.
pub fn next_after_link(
    user: &User,
    primary: &PrimaryFactor,
    methods: Methods,
    origin: Origin,
    now: Timestamp,
) -> Next {
    match next_factor(user, methods, true, origin, now) {
        Next::SecondFactor(mut offers) => {
            offers.retain(|offer| primary.admits(offer.method));
            if offers.is_empty() {
                Next::NoUsableFactor
            } else {
                Next::SecondFactor(offers)
            }
        }
        Next::Enrolment(_) if !primary.admits_enrolment() => Next::NoUsableFactor,
        other => other,
    }
}
