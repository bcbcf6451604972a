//! A user as the organisation's back end sees it.

use serde::Serialize;
use shared::account::{Account, Locale, PrefetchedGroup};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, UserId};
use shared::signin::user::known::Origin;
use shared::signin::user::{Method, User, UserKind};
use shared::store::app::App;
use shared::store::dynamo::keys;
use shared::store::rate_limit::Allowed;
use shared::web::http::{Call, Problem, Slug};
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
    /// What the person is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ann Alder", nullable = false)]
    pub name: Option<String>,
    /// Staff or counterparty.
    pub kind: UserKind,
    /// The mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ann@example.com", nullable = false)]
    pub email: Option<String>,
    /// Whether a code that was sent there was typed; where there is a mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub email_verified: Option<bool>,
    /// The phone number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+12025550100", nullable = false)]
    pub phone: Option<String>,
    /// Whether a code that was sent there was typed; where there is a phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub phone_verified: Option<bool>,
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
    /// The factors that take no code now, for too many wrong ones: what `POST
    /// /v1/users/{id}/unlock` lifts. What it lifts of the password is not told here.
    pub locks: Vec<Lock>,
}

/// A factor that takes no code now.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FactorLock)]
pub struct Lock {
    /// The factor.
    pub method: Method,
    /// From where it takes none: the addresses that the user is known at, for a completed sign-in
    /// of the last 90 days, or any other. Each has a count of its own.
    #[schema(value_type = String, example = "unknown")]
    pub addresses: &'static str,
    /// Wrong codes in a row.
    #[schema(example = 12)]
    pub failures: u32,
    /// When it takes codes again, RFC 3339 UTC; null where an administrator has to unlock it.
    #[schema(example = "2026-11-22T09:32:00Z", format = DateTime)]
    pub until: Option<String>,
}

impl Lock {
    fn all(user: &User, method: Method, now: Timestamp) -> impl Iterator<Item = Self> {
        Origin::ALL
            .into_iter()
            .filter_map(move |origin| Self::of(user, method, origin, now))
    }

    fn of(user: &User, method: Method, origin: Origin, now: Timestamp) -> Option<Self> {
        let factor = user.factor(method);
        let until = match factor.allowed(origin, now) {
            Allowed::Now => return None,
            Allowed::From(moment) => Some(moment.to_rfc3339()),
            Allowed::Never => None,
        };
        Some(Self {
            method,
            addresses: origin.name(),
            failures: factor.count(origin).failures,
            until,
        })
    }
}

impl Response {
    /// A user, as it stands now.
    pub fn of(user: &User, now: Timestamp) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            name: user.name.clone(),
            kind: user.kind,
            email: user.email.clone(),
            email_verified: user.email.as_ref().map(|_| user.email_verified),
            phone: user.phone.clone(),
            phone_verified: user.phone.as_ref().map(|_| user.phone_verified),
            group: user.group.clone(),
            locale: user.locale,
            sso_subject: user.sso_subject.clone(),
            disabled: user.disabled,
            created_at: user.created_at.to_rfc3339(),
            factors: Method::ALL
                .into_iter()
                .filter(|method| user.has(*method))
                .collect(),
            locks: Method::ALL
                .into_iter()
                .flat_map(|method| Lock::all(user, method, now))
                .collect(),
        }
    }
}

/// The language of mails to this user, where the user has chosen none: the group's, where it has
/// one of its own.
pub async fn locale(app: &App, account: &Account, user: &User) -> Result<Locale, Problem> {
    Ok(account
        .settings_in(
            user.group.as_deref(),
            PrefetchedGroup::default(),
            &app.table,
        )
        .await?
        .locale)
}

/// The user that the path names, as it stands now, if it is one of `account`.
pub async fn find(app: &App, call: &Call, account: AccountId) -> Result<User, Problem> {
    let not_found = || Problem::new(Slug::NotFound);
    let id: UserId = call.path_id("id")?;
    let user = app.table.find(keys::user(id).holding::<User>()).await?;
    let user = user.ok_or_else(not_found)?;
    if user.account == account {
        Ok(user)
    } else {
        Err(not_found())
    }
}
