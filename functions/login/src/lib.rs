//! `POST /v1/login`: the first factor.
//!
//! Three waits: account, credential and client IP are read together; the attempt is counted
//! while the user is read; and one transaction concludes. An unknown user, a wrong password and a
//! disabled user take the same requests and the same time.

mod attempt;
mod conclusion;
mod id_token;

use std::sync::Arc;

use attempt::{PrimaryFactorAttempt, PrimaryFactorVerdict};
use serde::Deserialize;
use shared::kernel::ids::AccountId;
use shared::kernel::secret::Secret;
use shared::signin::sso::{IssuerKeys, TOKEN_MAX};
use shared::signin::user::password;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

/// The longest username that is looked up.
const USERNAME_MAX: usize = 256;

/// The longest nonce that is compared.
const NONCE_MAX: usize = 255;

/// What this function holds: the app, and the keys of the issuers of ID tokens.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// The keys.
    pub issuers: IssuerKeys,
}

/// Who wants to sign in: by username and password, or by an ID token of the account's issuer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LoginRequest)]
pub struct Request {
    /// The organisation's account.
    pub account: AccountId,
    /// The username, in any case. Not with an ID token.
    #[schema(example = "ann", nullable = false)]
    pub username: Option<String>,
    /// The password. Not with an ID token.
    #[schema(value_type = Option<String>, format = "password", nullable = false)]
    pub password: Option<Secret<String>>,
    /// An ID token (OpenID Connect) of the account's issuer, in place of username and password. It
    /// is good once.
    #[schema(value_type = Option<String>, max_length = 16384, nullable = false)]
    pub id_token: Option<Secret<String>>,
    /// The nonce that the token was asked for with, if there was one: the token has to carry it.
    #[schema(nullable = false, max_length = 255)]
    pub nonce: Option<String>,
    /// Whether a second factor is asked for even where the account waives it: what an internal user
    /// needs before changing a factor. It asks for more, and never for less.
    #[serde(default)]
    #[schema(default = false)]
    pub second_factor: bool,
}

/// What is proved.
enum ClaimedContact {
    Password {
        username: String,
        password: Secret<String>,
    },
    IdToken {
        token: Secret<String>,
        nonce: Option<String>,
    },
}

/// Proves the first factor.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.only_query(&[])?;
    let request: Request = call.json()?;
    let (attempt, verdict) = begin(&state, &call, request).await?;
    let answer = attempt.conclude(&state.app, &call, verdict).await?;
    Ok(Reply::json(&answer))
}

/// The attempt that is asked for, and what became of the proof.
async fn begin(
    state: &State,
    call: &Call,
    request: Request,
) -> Result<(PrimaryFactorAttempt, PrimaryFactorVerdict), Problem> {
    let (account, step_up) = (request.account, request.second_factor);
    match request.wish()? {
        ClaimedContact::Password { username, password } => {
            let shown = (username.as_str(), &password);
            let (attempt, stored) =
                PrimaryFactorAttempt::begin(&state.app, call, account, shown, step_up).await?;
            let verdict = if password::verify(password, stored).await? {
                PrimaryFactorVerdict::Right
            } else {
                PrimaryFactorVerdict::Wrong("wrong-password")
            };
            Ok((attempt, verdict))
        }
        ClaimedContact::IdToken { token, nonce } => {
            let shown = (&token, nonce.as_deref());
            PrimaryFactorAttempt::begin_by_token(state, call, account, shown, step_up).await
        }
    }
}

impl Request {
    /// What is asked for. What no user can have is refused as malformed, and costs no hash.
    fn wish(mut self) -> Result<ClaimedContact, Problem> {
        match self.id_token.take() {
            Some(token) => self.by_id_token(token),
            None => self.by_password(),
        }
    }

    fn by_password(self) -> Result<ClaimedContact, Problem> {
        if self.nonce.is_some() {
            return Err(Problem::invalid_field("/nonce", "belongs to an ID token"));
        }
        let missing = |pointer| Problem::invalid_field(pointer, "is missing");
        let username = self.username.ok_or_else(|| missing("/username"))?;
        let password = self.password.ok_or_else(|| missing("/password"))?;
        check(&username)?;
        Ok(ClaimedContact::Password {
            username,
            password: typed(&password)?,
        })
    }

    fn by_id_token(self, token: Secret<String>) -> Result<ClaimedContact, Problem> {
        let beside = |pointer| Problem::invalid_field(pointer, "must not be sent with an ID token");
        if self.username.is_some() {
            return Err(beside("/username"));
        }
        if self.password.is_some() {
            return Err(beside("/password"));
        }
        if !(1..=TOKEN_MAX).contains(&token.expose().len()) {
            let detail = "must have 1 to 16384 characters";
            return Err(Problem::invalid_field("/id_token", detail));
        }
        let nonce = self.nonce;
        let fits = |nonce: &String| (1..=NONCE_MAX).contains(&nonce.len());
        if !nonce.as_ref().is_none_or(fits) {
            let detail = "must have 1 to 255 characters";
            return Err(Problem::invalid_field("/nonce", detail));
        }
        Ok(ClaimedContact::IdToken { token, nonce })
    }
}

fn check(username: &str) -> Result<(), Problem> {
    if username.is_empty()
        || username.len() > USERNAME_MAX
        || username.chars().any(char::is_control)
    {
        return Err(Problem::invalid_field(
            "/username",
            "must have 1 to 256 characters, none of them a control character",
        ));
    }
    Ok(())
}

/// The password in its normal form, as it was hashed.
fn typed(password: &Secret<String>) -> Result<Secret<String>, Problem> {
    let password = Secret::new(password::normalised(password.expose()).into_owned());
    let fits = (1..=*password::LENGTH.end()).contains(&password.expose().chars().count());
    if fits {
        Ok(password)
    } else {
        Err(Problem::invalid_field(
            "/password",
            "must have 1 to 256 characters",
        ))
    }
}
