//! ID tokens of an account's own issuer (OpenID Connect), taken for a password.
//!
//! A token is looked at in two steps. What it says of itself, unproved, leads to the item of its
//! subject in the same read as the account; nothing else is done with that. Then everything is
//! proved: issuer, signature, audience, time, nonce, and that it was not used before. What fails is
//! told apart in the audit and nowhere else: in that of its user, if the issuer has signed it,
//! otherwise in that of nobody at its client IP.

mod keys;
mod token;

use serde::{Deserialize, Serialize};

pub use keys::{IssuerKeys, KeysUnavailable, PublicJwk, read_keys};
pub use token::{IdTokenRefusal, Identity, RejectedIdToken, TOKEN_MAX, UnverifiedIdToken, verify};

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, UserId};
use crate::store::dynamo::{Condition, Failure, Key, Path, Put, Update, keys as table_keys};

/// How far an issuer's clock may be ahead of ours.
pub const SKEW: Span = Span::minutes(1);

const OWNER: Path = Path::new("user");
const GROUP: Path = Path::new("group");

/// Whose a subject is, as it is stored: one subject of an issuer is one user of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The user.
    pub user: UserId,
    /// The user's group: its settings can be read with the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Subject {
    /// Where the subject `subject` of `issuer` stands. Without an issuer: that of a user who was
    /// given a subject before the account had an issuer. It is bound to the issuer by the first
    /// sign-in.
    pub fn key(account: AccountId, issuer: Option<&str>, subject: &str) -> Key {
        table_keys::sso_subject(account, issuer.unwrap_or_default(), subject)
    }

    /// The write that gives the subject to this user, if it is nobody's.
    pub fn claim(
        &self,
        account: AccountId,
        issuer: Option<&str>,
        subject: &str,
    ) -> Result<Put, Failure> {
        Put::create(Self::key(account, issuer, subject), self)
    }

    /// That a subject is this user's.
    pub(in crate::signin) fn is_of(user: UserId) -> Condition {
        OWNER.is(user.to_string())
    }

    /// Adds to an update of a subject the group that its user is in from now on, if any.
    pub(in crate::signin) fn set_group(update: Update, group: Option<&str>) -> Update {
        update.set_or_remove(GROUP, group)
    }
}

/// The record that a token was used, until the token itself is over.
#[derive(Debug, Serialize)]
struct Used {
    user: UserId,
}

/// The item that says that a token was used.
pub fn used_key(account: AccountId, identity: &Identity) -> Key {
    table_keys::used_id_token(account, &identity.fingerprint)
}

/// The write that uses a token up: once.
pub fn use_up(account: AccountId, identity: &Identity, user: UserId) -> Result<Put, Failure> {
    let over: Timestamp = identity.expires_at.plus(SKEW);
    Ok(Put::create(used_key(account, identity), &Used { user })?.due(over))
}
