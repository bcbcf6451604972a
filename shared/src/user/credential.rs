//! What a username signs in with. It stands on the username's own item, so that the user's item, which every try rewrites, stays small.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// Whose a username is, and the hash of the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The user.
    pub user: UserId,
    /// The PHC string of the password; none where only SSO signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
}
