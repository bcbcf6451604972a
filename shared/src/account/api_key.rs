//! API keys: made once, shown once, kept as a fingerprint, and good for the scopes they were made
//! with.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, KeyId};
use crate::kernel::secret::{self, Fingerprint, Secret};
use crate::store::app::App;
use crate::store::audit::Actor;
use crate::store::dynamo::{Condition, Delete, Failure, KeyOf, Put, keys};
use crate::web::http::routes::Scope;
use crate::web::http::{Call, Problem, Slug};

/// The most API keys that an account may have: a listing is one page.
pub const KEYS_MAX: usize = 100;

/// A key as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// The start of the fingerprint: what the key is named by.
    pub id: KeyId,
    /// Whose it is; an operator's has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The whole fingerprint.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ApiKey {
    /// A new key of `account`, and the text that is shown once.
    pub fn generate(
        account: AccountId,
        name: String,
        scopes: Vec<Scope>,
        now: Timestamp,
        entropy: &Entropy,
    ) -> (Self, Secret<String>) {
        let text = Secret::new(format!(
            "csk_{}_{}",
            bare(account),
            secret::encode(entropy.bytes::<32>())
        ));
        (Self::of(&text, Some(account), name, scopes, now), text)
    }

    /// An operator's key, with a text that was chosen or drawn outside.
    pub fn operator(text: &Secret<String>, name: String, now: Timestamp) -> Self {
        Self::of(text, None, name, vec![Scope::Operator], now)
    }

    /// A new text for an operator's key.
    pub fn operator_text(entropy: &Entropy) -> Secret<String> {
        Secret::new(format!("cso_{}", secret::encode(entropy.bytes::<32>())))
    }

    fn of(
        text: &Secret<String>,
        account: Option<AccountId>,
        name: String,
        scopes: Vec<Scope>,
        now: Timestamp,
    ) -> Self {
        let fingerprint = Fingerprint::of(text.expose().as_bytes());
        Self {
            id: KeyId::from_bytes(fingerprint.short()),
            account,
            name,
            scopes,
            fingerprint: fingerprint.encode(),
            created_at: now,
        }
    }

    /// The write that stores it.
    pub fn create(&self) -> Result<Put, Failure> {
        Put::create(keys::api_key(self.account, self.id), self)
    }
}

/// The write that revokes the key of that name, an account's or an operator's.
pub fn revoke(account: Option<AccountId>, id: KeyId) -> Delete {
    Delete::of(keys::api_key(account, id)).when(Condition::item_exists())
}

/// Who makes a request with an API key, and the account it is about.
#[derive(Debug)]
pub struct Caller {
    /// For the audit.
    pub actor: Actor,
    /// The account.
    pub account: Account,
}

/// Lets a key through that has `scope` in the account it is used for: its own, or with `?account=`
/// any, for the operator.
///
/// One request to DynamoDB: the key's text says whose it is, so that key and account are read
/// together.
pub async fn caller(app: &App, call: &Call, scope: Scope) -> Result<Caller, Problem> {
    let presented = Presented::of(call)?;
    let asked = asked_account(call);
    let about = asked.as_ref().map_or(None, |asked| *asked);
    let Some(about) = about.or(presented.account) else {
        // An operator without `?account=`, or with one that names nothing.
        presented.authorise(app.table.find(presented.key()).await?, scope)?;
        asked?;
        return Err(Problem::invalid_parameter(
            "account",
            "is missing: the operator's key says which account it is used for",
        ));
    };
    let wanted = (presented.key(), Account::concerned(call, about));
    let (key, account) = app.table.find(wanted).await?;
    let key = presented.authorise(key, scope)?;
    asked?;
    if key.account.is_some_and(|own| own != about) {
        return Err(Problem::new(Slug::NotFound));
    }
    Ok(Caller {
        actor: key.actor(),
        account: account.ok_or_else(|| Problem::new(Slug::NotFound))?,
    })
}

/// The account that `?account=` names, if it is there.
fn asked_account(call: &Call) -> Result<Option<AccountId>, Problem> {
    let named = call.query("account").map(str::parse).transpose();
    named.map_err(|_| Problem::new(Slug::NotFound))
}

/// Lets an operator's key through, and nothing else.
pub async fn operator(app: &App, call: &Call) -> Result<Actor, Problem> {
    let presented = Presented::of(call)?;
    let key = presented.authorise(app.table.find(presented.key()).await?, Scope::Operator)?;
    Ok(key.actor())
}

impl ApiKey {
    fn actor(&self) -> Actor {
        match self.account {
            Some(_) => Actor::ApiKey(self.id),
            None => Actor::Operator(self.id),
        }
    }
}

/// A key as a request presents it.
struct Presented {
    account: Option<AccountId>,
    fingerprint: Fingerprint,
}

impl Presented {
    fn of(call: &Call) -> Result<Self, Problem> {
        let text = call.bearer()?;
        let text = text.expose().as_str();
        let account = text
            .strip_prefix("csk_")
            .and_then(|rest| rest.split_once('_'))
            .map(|(account, _)| format!("acc_{account}"));
        Ok(Self {
            account: account.and_then(|id| id.parse().ok()),
            fingerprint: Fingerprint::of(text.as_bytes()),
        })
    }

    fn key(&self) -> KeyOf<ApiKey> {
        keys::api_key(self.account, KeyId::from_bytes(self.fingerprint.short())).holding()
    }

    /// The stored key, if it is this one and has the scope. The operator's scope includes all
    /// others.
    fn authorise(&self, stored: Option<ApiKey>, scope: Scope) -> Result<ApiKey, Problem> {
        let unauthorized =
            || Problem::new(Slug::Unauthorized).header("www-authenticate", "Bearer".into());
        let key = stored.ok_or_else(unauthorized)?;
        if !self.fingerprint.is(&key.fingerprint) {
            return Err(unauthorized());
        }
        if key.scopes.contains(&scope) || key.scopes.contains(&Scope::Operator) {
            Ok(key)
        } else {
            Err(Problem::new(Slug::Forbidden))
        }
    }
}

/// An account's id without its prefix, as the key's text carries it.
fn bare(account: AccountId) -> String {
    account.to_string().trim_start_matches("acc_").to_owned()
}
