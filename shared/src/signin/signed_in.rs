//! Who shows an access token: the user and the account behind it, as they stand now.

use crate::account::{Account, PrefetchedGroup, Settings};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::UserId;
use crate::kernel::keyring::Keyring;
use crate::signin::access_token::{self, Claims};
use crate::signin::user::User;
use crate::store::app::App;
use crate::store::dynamo::{Wanted, keys};
use crate::web::http::{Call, Problem, Slug};

/// A signed-in user.
#[derive(Debug)]
pub struct SignedIn {
    /// What the token says.
    pub claims: Claims,
    /// The user.
    pub user: User,
    /// The user's account.
    pub account: Account,
    /// The settings in force for the user.
    pub settings: Settings,
}

/// Reads the token of a request, and whom it names. A token outlives neither its user nor its
/// account, nor what ends the proofs before it.
pub async fn signed_in(
    app: &App,
    call: &Call,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<SignedIn, Problem> {
    let claims = claims(app, call, keyring, now)?;
    Ok(signed_in_beside(app, call, claims, ()).await?.0)
}

/// What the token of a request says, if this service signed it for a user. Whether it is good
/// still, the table tells.
pub fn claims(
    app: &App,
    call: &Call,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Claims, Problem> {
    let token = call.bearer()?;
    let issuer = call.base_url(app.config.base_url.as_deref());
    let claims =
        access_token::verify(token.expose(), &issuer, keyring, now).map_err(|_| unauthorized())?;
    if claims.is_recipients() {
        Err(Problem::new(Slug::Forbidden))
    } else {
        Ok(claims)
    }
}

/// Reads whom the claims name, and `more` in the same request.
pub async fn signed_in_beside<W: Wanted>(
    app: &App,
    call: &Call,
    claims: Claims,
    more: W,
) -> Result<(SignedIn, W::Found), Problem> {
    let id: UserId = claims.sub.parse().map_err(|_| unauthorized())?;
    let user = keys::user(id).holding::<User>();
    let wanted = (user, Account::concerned(call, claims.acct), more);
    let (user, account, beside) = app.table.find(wanted).await?;
    let (user, account) = user.zip(account).ok_or_else(unauthorized)?;
    if !user.takes(&claims) || user.account != account.id {
        return Err(unauthorized());
    }
    let (group, none) = (user.group.as_deref(), PrefetchedGroup::default());
    let settings = account.settings_in(group, none, &app.table).await?;
    let signed_in = SignedIn {
        claims,
        user,
        account,
        settings,
    };
    Ok((signed_in, beside))
}

/// The refusal of a token that is good no more, or never was.
pub fn unauthorized() -> Problem {
    Problem::new(Slug::Unauthorized)
        .header("www-authenticate", "Bearer error=\"invalid_token\"".into())
}
