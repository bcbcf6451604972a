//! `POST /v1/login`: the first factor.
//!
//! Three waits: account, credential and source address are read together; the try is counted while the user is read; and one
//! transaction concludes. An unknown user, a wrong password and a disabled user take the same requests and the same time.

mod attempt;
mod conclusion;

use std::sync::Arc;

use attempt::Attempt;
use serde::Deserialize;
use shared::app::App;
use shared::http::{Call, Outcome, Problem, Reply, Slug};
use shared::ids::AccountId;
use shared::secret::Secret;
use shared::user::password;
use utoipa::ToSchema;

/// The longest username that is looked up.
const USERNAME_MAX: usize = 256;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LoginRequest)]
pub struct Request {
    /// The organisation's account.
    pub account: AccountId,
    /// The username, in any case.
    #[schema(example = "ann")]
    pub username: String,
    /// The password.
    #[schema(value_type = String, format = "password")]
    pub password: Secret<String>,
}

/// Proves the first factor.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.only_query(&[])?;
    let request: Request = call.json()?;
    check(&request)?;
    let attempt = Attempt::begin(&app, &call, &request).await?;
    let right = password::verify(request.password.clone(), attempt.password_hash()).await?;
    let answer = attempt.conclude(&app, &call, right).await?;
    Ok(Reply::ok(&answer))
}

/// What no user can have is refused as malformed, and costs no hash.
fn check(request: &Request) -> Result<(), Problem> {
    let username = &request.username;
    if username.is_empty() || username.len() > USERNAME_MAX || username.chars().any(char::is_control) {
        return Err(Problem::invalid_field("/username", "must have 1 to 256 characters, none of them a control character"));
    }
    let length = request.password.expose().chars().count();
    if length == 0 || length > *password::LENGTH.end() {
        return Err(Problem::invalid_field("/password", "must have 1 to 256 characters"));
    }
    Ok(())
}
