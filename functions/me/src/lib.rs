//! `GET /v1/me`: who is signed in, and how they proved themselves.

use std::sync::Arc;

use serde::Serialize;
use shared::access_token::{self, Acr, Claims};
use shared::account::{Account, Locale};
use shared::app::App;
use shared::clock::{Span, Timestamp};
use shared::dynamo::{keys, read};
use shared::http::{Call, Operation, Outcome, Problem, Reply, Slug};
use shared::ids::{AccountId, UserId};
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
    let token = call.bearer()?;
    let now = app.clock.now();
    let issuer = call.base_url(app.config.base_url.as_deref());
    let keyring = app.keyrings.current(now).await;
    let claims = access_token::verify(token.expose(), &issuer, &keyring, now).map_err(|_| unauthorized())?;
    if claims.is_recipients() {
        return Err(Problem::new(Slug::Forbidden));
    }
    let id: UserId = claims.sub.parse().map_err(|_| unauthorized())?;
    let mut items = app.table.get_all(vec![keys::user(id), keys::account(claims.acct)]).await?.into_iter();
    // A token outlives neither its user nor its account.
    let user: User = read(items.next().flatten().ok_or_else(unauthorized)?)?;
    let account: Account = read(items.next().flatten().ok_or_else(unauthorized)?)?;
    if user.disabled || user.account != account.id {
        return Err(unauthorized());
    }
    let settings = account.settings()?;
    call.allow_origins(&settings.origins);
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

fn unauthorized() -> Problem {
    Problem::new(Slug::Unauthorized).header("www-authenticate", "Bearer error=\"invalid_token\"".into())
}
