//! What a username stands for: whose it is, and the password.

use serde::{Deserialize, Serialize};

use super::User;
use super::known::Known;
use crate::kernel::ids::UserId;
use crate::store::dynamo::{Condition, Delete, Failure, Item, Path, Put, Update, document, keys};

const OWNER: Path = Path::new("user");
const PASSWORD_HASH: Path = Path::new("password_hash");
const PASSWORD_VERSION: Path = Path::new("password_version");
const GROUP: Path = Path::new("group");
const KNOWN: Path = Path::new("known");

/// The credential behind a username, on an item of its own: it makes the name unique, and leads
/// from the name to the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Whose name it is.
    pub user: UserId,
    /// The password's hash (a PHC string). Who signs in by other means alone has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Which of the user's passwords it is: the user's item has the same number, or it is not the
    /// one that counts any more.
    #[serde(default)]
    pub password_version: u64,
    /// The user's group: its settings can be read with the user. What the user's own item says is
    /// what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A copy of the user's known addresses: see [`super::known`].
    #[serde(default)]
    pub known: Known,
}

impl Credential {
    /// The credential of this user, under the username that they have now.
    pub(super) fn of(user: &User, password_hash: Option<String>) -> Self {
        Self {
            user: user.id,
            password_hash,
            password_version: user.password_version,
            group: user.group.clone(),
            known: user.known.clone(),
        }
    }

    /// The write that takes the username for this user, under the condition that nobody has it.
    pub(super) fn claim(&self, user: &User) -> Result<Put, Failure> {
        Put::create(keys::name(user.account, &user.username), self)
    }
}

/// An update of a user's credential that changes nothing yet, under the condition that it is
/// theirs.
pub(super) fn update(user: &User) -> Update {
    Update::of(keys::name(user.account, &user.username)).when(is_of(user))
}

/// The write that gives up a user's name, under the condition that it is theirs.
pub(super) fn release(user: &User) -> Delete {
    Delete::of(keys::name(user.account, &user.username)).when(is_of(user))
}

fn is_of(user: &User) -> Condition {
    OWNER.is(user.id.to_string())
}

/// Adds to an update of a credential the password that counts from now on, or that there is none.
pub(super) fn set_password(update: Update, hash: Option<&str>, version: u64) -> Update {
    update
        .set_or_remove(PASSWORD_HASH, hash)
        .set(PASSWORD_VERSION, version)
}

/// That there is a password: who has none signs in by other means alone.
pub(super) fn has_password() -> Condition {
    PASSWORD_HASH.exists()
}

/// Adds to an update of a credential the group that its user is in from now on, if any.
pub(super) fn set_group(update: Update, group: Option<&str>) -> Update {
    update.set_or_remove(GROUP, group)
}

/// Adds to an update of a credential the addresses that its user is known at from now on.
pub(super) fn set_known(update: Update, known: &Known) -> Result<Update, Failure> {
    Ok(update.set(KNOWN, document(known)?))
}

/// Whether a change that takes the user's name failed because somebody else has it.
pub fn is_taken(failure: &Failure, user: &User) -> bool {
    let owner = |item: &Item| item.get(OWNER.attribute())?.as_s().ok().cloned();
    let stood = failure.stood_at(&keys::name(user.account, &user.username));
    stood
        .and_then(owner)
        .is_some_and(|owner| owner != user.id.to_string())
}
