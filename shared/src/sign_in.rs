//! What a step of a sign-in answers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::access_token::{self, Acr, Proof};
use crate::account::Methods;
use crate::challenge;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::user::{Method, User};

/// A finished or unfinished sign-in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schema(as = SignIn)]
pub enum Answer {
    /// It is finished.
    Authenticated(Authenticated),
    /// A second factor is owed.
    SecondFactorRequired(Owed),
    /// A second factor is owed, and has to be set up first.
    EnrolmentRequired(Owed),
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
pub struct Owed {
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
        Self { access_token, token_type: "Bearer", expires_in, amr: proof.amr.clone(), acr: proof.acr }
    }
}

impl Owed {
    /// With these methods.
    pub fn new(challenge: Secret<String>, methods: Vec<Offer>) -> Self {
        Self { challenge, expires_in: challenge::LIFETIME.as_secs(), methods }
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

/// What comes after a right first factor.
///
/// `waived` says that the account asks internal users for no second factor here, and how far the proof then goes.
pub fn next(user: &User, waived: Option<Acr>, methods: Methods, now: Timestamp) -> Next {
    if let (Some(acr), crate::user::Kind::Internal) = (waived, user.kind) {
        return Next::Done(acr);
    }
    let offers = user.offered_methods(methods, now);
    if !offers.is_empty() {
        let offer = |method| Offer { method, destination: user.masked_destination(method) };
        return Next::SecondFactor(offers.into_iter().map(offer).collect());
    }
    if !user.may_enrol(methods, false) {
        return Next::NoUsableFactor;
    }
    Next::Enrolment(vec![Offer { method: Method::Totp, destination: None }])
}

/// A secret leaves here, and only here, for the one it is meant for.
fn exposed<S: serde::Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
