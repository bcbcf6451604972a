//! A user as the organisation's back end sees it.

use serde::Serialize;
use shared::account::Locale;
use shared::app::App;
use shared::dynamo::{keys, read};
use shared::http::{Call, Problem, Slug};
use shared::ids::{AccountId, UserId};
use shared::user::{Kind, Method, User};
use utoipa::ToSchema;

/// A user. The password is in no answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct Response {
    /// Its id.
    pub id: UserId,
    /// What the user signs in with: lower case, unique in the account.
    #[schema(example = "ann@example.com")]
    pub username: String,
    /// Staff or counterparty.
    pub kind: Kind,
    /// The mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ann@example.com", nullable = false)]
    pub email: Option<String>,
    /// The phone number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+12025550100", nullable = false)]
    pub phone: Option<String>,
    /// The group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "escrow", nullable = false)]
    pub group: Option<String>,
    /// The language of messages; the account's where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub locale: Option<Locale>,
    /// `sub` of the ID tokens that the user signs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "00u1a2b3c4", nullable = false)]
    pub sso_subject: Option<String>,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// When the user was created, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub created_at: String,
    /// The factors that are set up, whether or not the account has them on.
    #[schema(example = json!(["sms", "email"]))]
    pub factors: Vec<Method>,
}

impl From<&User> for Response {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            kind: user.kind,
            email: user.email.clone(),
            phone: user.phone.clone(),
            group: user.group.clone(),
            locale: user.locale,
            sso_subject: user.sso_subject.clone(),
            disabled: user.disabled,
            created_at: user.created_at.to_rfc3339(),
            factors: Method::ALL.into_iter().filter(|method| user.has(*method)).collect(),
        }
    }
}

/// The user that the path names, as it stands now, if it is one of `account`.
pub async fn find(app: &App, call: &Call, account: AccountId) -> Result<User, Problem> {
    let not_found = || Problem::new(Slug::NotFound);
    let id: UserId = call.path_id("id")?;
    let user: User = read(app.table.get(keys::user(id)).await?.ok_or_else(not_found)?)?;
    if user.account == account { Ok(user) } else { Err(not_found()) }
}
