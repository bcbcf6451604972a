//! The password that somebody shows who sets another: counted, compared and told like one that is
//! typed to sign in.

use shared::kernel::client_ip::client_ip_key;
use shared::kernel::ids::UserId;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::Secret;
use shared::signin::refusals;
use shared::signin::rejection::{Rejection, lockout, refuse_source};
use shared::signin::user::attempts::{Counted, Tried};
use shared::signin::user::credential::Credential;
use shared::signin::user::known::Source;
use shared::signin::user::refused::Refused;
use shared::signin::user::subject::Subject;
use shared::signin::user::{User, password};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys, read};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Problem, Slug};

/// A right password. It stands as a wrong one until the password that takes its place is written,
/// or the change is refused.
#[derive(Debug)]
pub struct Proved {
    user: UserId,
    version: u64,
    tried: Tried,
    /// The wrong passwords in a row, this one counted as one.
    failures: u32,
}

impl Proved {
    /// Whether it is this user's password still.
    pub const fn is_password_of(&self, user: &User) -> bool {
        self.version == user.password_version
    }

    /// Ends the wrong ones in a row, where the change is refused with `problem`: a right password
    /// is none of them. It does so as long as it is the password of the name that it was tried for;
    /// the head of the chain says so, as in login.
    pub async fn refused(&self, app: &App, call: &Call, problem: &Problem) -> Result<(), Problem> {
        let mut retries = RetryPolicy::default();
        loop {
            let user: Option<User> = app
                .table
                .get(keys::user(self.user))
                .await?
                .map(read)
                .transpose()?;
            let theirs = user
                .filter(|user| self.is_password_of(user) && user.username == self.tried.username);
            let Some(user) = theirs else { return Ok(()) };
            let written = app.table.transact(self.ending(&user, call, problem)?).await;
            if retries
                .settled(written, &app.entropy)
                .await
                .map_err(contended)?
            {
                return Ok(());
            }
        }
    }

    /// That it ended others is told; where there were none nothing is, so that nobody who knows the
    /// password fills the chain.
    fn ending(&self, user: &User, call: &Call, problem: &Problem) -> Result<Vec<Write>, Failure> {
        let event = attempted(user, call).with("reason", problem.slug().name());
        let event = (self.failures > 1).then_some(event);
        let mut writes = user.change(user.touch(), event, call.arrived_at)?;
        // Whether strangers have any was not asked.
        writes.extend(self.tried.end(true).into_iter().map(Write::from));
        Ok(writes)
    }
}

/// Compares `shown` with the user's password; answers with nothing where the user was read before
/// the password was changed: nothing is counted or told of a user that has moved.
///
/// Who was given no password signs in by other means alone: that the organisation's own issuer is
/// the only way in is its choice, and a password would be a way round it.
pub async fn prove(
    app: &App,
    call: &Call,
    user: &User,
    keyring: &Keyring,
    shown: &Secret<String>,
) -> Result<Option<Proved>, Problem> {
    let now = call.arrived_at;
    let wanted = vec![
        keys::name(user.account, &user.username),
        keys::client_ip_failures(&client_ip_key(call.client_ip)),
        keys::name_refused(user.account, &user.username),
    ];
    let mut items = app.table.get_all(wanted).await?.into_iter();
    let mut next = || items.next().flatten();
    let credential: Option<Credential> = next().map(read).transpose()?;
    if credential
        .as_ref()
        .is_none_or(|it| (it.user, it.password_version) != (user.id, user.password_version))
    {
        return Ok(None);
    }
    let Some((stored, version)) =
        credential.and_then(|it| Some((it.password_hash?, it.password_version)))
    else {
        return Err(Problem::new(Slug::Forbidden).detail(
            "This user signs in without a password. Only the organisation can give a first one.",
        ));
    };
    refuse_source(next().as_ref(), now)?;
    let refused: Refused = next().map(read).transpose()?.unwrap_or_default();

    let origin = user
        .known
        .origin(&Source::of(user.id, call.client_ip, keyring, now)?);
    let tried = Tried {
        account: user.account,
        username: user.username.clone(),
        origin,
    };
    let rejection = Rejection {
        account: user.account,
        subject: Subject::User(Box::new(user.clone())),
        source: call.client_ip,
        now,
    };
    let failures = match tried.count(app, now).await? {
        Counted::Attempt(failures) => failures,
        Counted::Refused(until) => {
            return Err(rejection
                .refused(app, &tried, refused, refusals::password_refused(until, now))
                .await?);
        }
    };
    let typed = Secret::new(password::normalised(shown.expose()).into_owned());
    if password::verify(typed, Some(stored)).await? {
        return Ok(Some(Proved {
            user: user.id,
            version,
            tried,
            failures,
        }));
    }
    let wrong = attempted(user, call).with("reason", "wrong-password");
    let events = std::iter::once(wrong).chain(lockout(failures, origin, call.client_ip));
    let problem = Problem::new(Slug::InvalidCredentials).detail("The current password is wrong.");
    Err(rejection.judged(app, events.collect(), problem).await?)
}

fn attempted(user: &User, call: &Call) -> Event {
    Event::new(Action::PasswordChanged, Actor::User(user.id))
        .from(call.client_ip)
        .failed()
}
