//! The password that somebody shows who sets another: counted, compared and told like one that is typed to sign in.

use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::config::source_key;
use shared::dynamo::{keys, read};
use shared::http::{Call, Problem, Slug, refusals};
use shared::keyring::Keyring;
use shared::rejection::{Rejection, lockout, refuse_source};
use shared::secret::Secret;
use shared::user::attempts::{Counted, Tried};
use shared::user::credential::Credential;
use shared::user::known::Source;
use shared::user::refused::Refused;
use shared::user::subject::Subject;
use shared::user::{User, password};

/// Compares `shown` with the user's password; answers with which of the user's passwords that is, or with nothing where the user was read
/// before the password was changed: nothing is counted or told of a user that has moved.
///
/// Who was given no password signs in by other means alone: that the organisation's own issuer is the only way in is its choice, and a
/// password would be a way round it.
pub async fn prove(
    app: &App,
    call: &Call,
    user: &User,
    keyring: &Keyring,
    shown: &Secret<String>,
) -> Result<Option<u64>, Problem> {
    let now = call.arrived_at;
    let wanted = vec![
        keys::name(user.account, &user.username),
        keys::source_failures(&source_key(call.source)),
        keys::name_refused(user.account, &user.username),
    ];
    let mut items = app.table.get_all(wanted).await?.into_iter();
    let mut next = || items.next().flatten();
    let credential: Option<Credential> = next().map(read).transpose()?;
    if credential.as_ref().is_none_or(|it| (it.user, it.password_version) != (user.id, user.password_version)) {
        return Ok(None);
    }
    let Some((stored, version)) = credential.and_then(|it| Some((it.password_hash?, it.password_version))) else {
        return Err(Problem::new(Slug::Forbidden)
            .detail("This user signs in without a password. Only the organisation can give a first one."));
    };
    refuse_source(next().as_ref(), now)?;
    let refused: Refused = next().map(read).transpose()?.unwrap_or_default();

    let origin = user.known.origin(&Source::of(user.id, call.source, keyring, now)?);
    let tried = Tried { account: user.account, username: user.username.clone(), origin };
    let rejection = Rejection { account: user.account, subject: Subject::User(Box::new(user.clone())), source: call.source, now };
    let failures = match tried.count(app, now).await? {
        Counted::Attempt(failures) => failures,
        Counted::Refused(until) => {
            return Err(rejection.refused(app, &tried, refused, refusals::password_refused(until, now)).await?);
        }
    };
    let typed = Secret::new(password::normalised(shown.expose()).into_owned());
    if password::verify(typed, Some(stored)).await? {
        return Ok(Some(version));
    }
    let wrong = Event::new(Action::PasswordChanged, Actor::User(user.id)).from(call.source).failed();
    let events = std::iter::once(wrong.with("reason", "wrong-password")).chain(lockout(failures, origin, call.source));
    let problem = Problem::new(Slug::InvalidCredentials).detail("The current password is wrong.");
    Err(rejection.judged(app, events.collect(), problem).await?)
}
