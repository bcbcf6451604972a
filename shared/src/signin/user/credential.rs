//! What a username stands for: whose it is, and the password.

use serde::{Deserialize, Serialize};

use super::known::Known;
use crate::kernel::ids::UserId;

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
