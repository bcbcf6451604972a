//! `GET /v1/me`: who is signed in, and how they proved themselves.

use std::sync::Arc;

use serde::Serialize;
use shared::access_token::{Acr, Claims};
use shared::account::Locale;
use shared::app::App;
use shared::clock::{Span, Timestamp};
use shared::http::{Call, Operation, Outcome, Problem, Reply, Slug};
use shared::ids::{AccountId, UserId};
use shared::signed_in::{SignedIn, signed_in};
use shared::user::{Kind, Method, User};
use utoipa::ToSchema;

/// The signed-in user. Destinations are masked: a token that was stolen is not to tell them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct Response {
    /// The user's id.
    pub id: UserId,
    /// The account's id.
    pub account: AccountId,
    /// What the user signs in with.
    #[schema(example = "ann@example.com")]
    pub username: String,
    /// Staff or counterparty.
    pub kind: Kind,
    /// The mail address, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "a••••••••@example.com", nullable = false)]
    pub email: Option<String>,
    /// The phone number, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+1••••••••00", nullable = false)]
    pub phone: Option<String>,
    /// The language of messages to this user.
    pub locale: Locale,
    /// The group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "escrow", nullable = false)]
    pub group: Option<String>,
    /// The factors that the user has and the account has on.
    pub factors: Vec<Factor>,
    /// How far the proof goes.
    pub acr: Acr,
    /// What was proved, RFC 8176.
    #[schema(example = json!(["pwd", "otp", "sms", "mfa"]))]
    pub amr: Vec<String>,
    /// When the token ends, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:45:00Z", format = DateTime)]
    pub expires_at: String,
}

/// A factor that can be used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MyFactor)]
pub struct Factor {
    /// The method.
    pub method: Method,
    /// Where its codes go, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+1••••••••00", nullable = false)]
    pub destination: Option<String>,
}

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none_or(|route| route.operation != Operation::GetMe) {
        return Err(Problem::new(Slug::NotFound));
    }
    let now = app.clock.now();
    let keyring = app.keyrings.current(now).await;
    let SignedIn { claims, user, settings, .. } = signed_in(&app, &call, &keyring, now).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let usable = Method::ALL.into_iter().filter(|method| user.can_use(*method, settings.second_factor.methods));
    let factors = usable.map(|method| Factor { method, destination: user.masked_destination(method) }).collect();
    Ok(Reply::ok(&shown(user, claims, settings.locale, factors)))
}

fn shown(user: User, claims: Claims, locale: Locale, factors: Vec<Factor>) -> Response {
    Response {
        id: user.id,
        account: user.account,
        email: user.masked_destination(Method::Email),
        phone: user.masked_destination(Method::Sms),
        username: user.username,
        kind: user.kind,
        locale: user.locale.unwrap_or(locale),
        group: user.group,
        factors,
        acr: claims.acr,
        amr: claims.amr,
        expires_at: Timestamp::default().plus(Span::seconds(claims.exp)).to_rfc3339(),
    }
}
