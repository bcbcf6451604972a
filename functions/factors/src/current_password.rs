//! The password that somebody shows who sets another: counted, compared and told like one that is
//! typed to sign in.

use shared::kernel::client_ip::client_ip_key;
use shared::kernel::ids::UserId;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::Secret;
use shared::signin::refusals;
use shared::signin::rejection::{Rejection, lockout, refuse_client_ip};
use shared::signin::user::attempts::{Counted, PasswordCounter};
use shared::signin::user::credential::Credential;
use shared::signin::user::known::{HashedIp, Origin};
use shared::signin::user::refused::RefusedPasswords;
use shared::signin::user::subject::Subject;
use shared::signin::user::{User, password};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Write, keys};
use shared::web::http::{Call, Problem, Slug};
use shared::web::settle::{Decision, Unsettled, settle};

/// A right password. It stands as a wrong one until the password that takes its place is written,
/// or the change is refused.
#[derive(Debug)]
pub struct Proved {
    user: UserId,
    version: u64,
    counter: PasswordCounter,
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
        settle(app, || self.end(app, call, problem))
            .await
            .map_err(Unsettled::of_an_object)
    }

    async fn end(
        &self,
        app: &App,
        call: &Call,
        problem: &Problem,
    ) -> Result<Decision<()>, Problem> {
        let user = app
            .table
            .find(keys::user(self.user).holding::<User>())
            .await?;
        let theirs =
            user.filter(|it| self.is_password_of(it) && it.username == self.counter.username);
        match theirs {
            Some(user) => Ok(Decision::Write(self.ending(&user, call, problem)?, ())),
            None => Ok(Decision::Stands(())),
        }
    }

    /// That it ended others is told; where there were none nothing is, so that nobody who knows the
    /// password fills the chain.
    fn ending(&self, user: &User, call: &Call, problem: &Problem) -> Result<Vec<Write>, Failure> {
        let event = attempted(user, call).with("reason", problem.slug().name());
        let event = (self.failures > 1).then_some(event);
        let mut writes = user.change(user.touch(), event, call.arrived_at)?;
        // Whether strangers have any was not asked.
        writes.extend(self.counter.end(true).into_iter().map(Write::from));
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
    let Some(stored) = Stored::read(app, call, user).await? else {
        return Ok(None);
    };
    let hashed_ip = HashedIp::of(user.id, call.client_ip, keyring, now)?;
    let counter = PasswordCounter {
        account: user.account,
        username: user.username.clone(),
        origin: user.known.origin(&hashed_ip),
    };
    let failures = match counter.count(app, now).await? {
        Counted::Attempt(failures) => failures,
        Counted::Refused(until) => {
            let problem = refusals::password_refused(until, now);
            let rejection = rejection(user, call);
            return Err(rejection
                .refused(app, &counter, stored.refused, problem)
                .await?);
        }
    };
    let typed = Secret::new(password::normalised(shown.expose()).into_owned());
    if !password::verify(typed, Some(stored.hash)).await? {
        return Err(wrong(app, call, user, (failures, counter.origin)).await?);
    }
    Ok(Some(Proved {
        user: user.id,
        version: stored.version,
        counter,
        failures,
    }))
}

/// What the password is compared with.
struct Stored {
    hash: String,
    version: u64,
    /// The passwords that were refused without a comparison.
    refused: RefusedPasswords,
}

impl Stored {
    /// Reads it, and refuses the client IP where that has had its failures; answers with nothing
    /// where the user has moved.
    async fn read(app: &App, call: &Call, user: &User) -> Result<Option<Self>, Problem> {
        let wanted = (
            keys::name(user.account, &user.username).holding::<Credential>(),
            keys::client_ip_failures(&client_ip_key(call.client_ip)),
            keys::name_refused(user.account, &user.username)
                .holding()
                .or_default(),
        );
        let (credential, failures_of_source, refused) = app.table.find(wanted).await?;
        let theirs = (user.id, user.password_version);
        let credential = credential.filter(|it| (it.user, it.password_version) == theirs);
        let Some(credential) = credential else {
            return Ok(None);
        };
        let hash = credential.password_hash.ok_or_else(|| {
            Problem::new(Slug::Forbidden).detail(
                "This user signs in without a password. Only an administrator can set the first one.",
            )
        })?;
        refuse_client_ip(failures_of_source.as_ref(), call.arrived_at)?;
        Ok(Some(Self {
            hash,
            version: credential.password_version,
            refused,
        }))
    }
}

/// Writes down a wrong password, one of so many in a row.
async fn wrong(
    app: &App,
    call: &Call,
    user: &User,
    (failures, origin): (u32, Origin),
) -> Result<Problem, Failure> {
    let wrong = attempted(user, call).with("reason", "wrong-password");
    let events = std::iter::once(wrong).chain(lockout(failures, origin, call.client_ip));
    let problem = Problem::new(Slug::InvalidCredentials).detail("The current password is wrong.");
    rejection(user, call)
        .judged(app, events.collect(), problem)
        .await
}

fn rejection(user: &User, call: &Call) -> Rejection {
    Rejection {
        account: user.account,
        subject: Subject::User(Box::new(user.clone())),
        client_ip: call.client_ip,
        now: call.arrived_at,
    }
}

fn attempted(user: &User, call: &Call) -> Event {
    Event::new(Action::PasswordChanged, Actor::User(user.id))
        .from(call.client_ip)
        .failed()
}
