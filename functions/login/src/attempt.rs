//! An attempt at a password, from the first read to the count that precedes the comparison.

use std::net::IpAddr;

use shared::account::{self, Account, PrefetchedGroup, Settings, WantedGroup};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, UserId};
use shared::kernel::secret::Secret;
use shared::signin::access_token::Acr;
use shared::signin::refusals;
use shared::signin::rejection::{Rejection, refuse_client_ip};
use shared::signin::sso::Identity;
use shared::signin::user::attempts::{Counted, PasswordCounter};
use shared::signin::user::credential::Credential;
use shared::signin::user::known::{HashedIp, Origin};
use shared::signin::user::refused::RefusedPasswords;
use shared::signin::user::subject::{Subject, WantedSubject};
use shared::signin::user::{User, password, username};
use shared::store::app::App;
use shared::store::dynamo::{Failure, keys};
use shared::web::http::{Call, Problem};

/// A counted attempt.
pub struct PrimaryFactorAttempt {
    pub(crate) account: AccountId,
    pub(crate) settings: Settings,
    pub(crate) subject: Subject,
    pub(crate) client_ip: IpAddr,
    pub(crate) now: Timestamp,
    /// Whether a second factor is asked for even where the account waives it.
    pub(crate) step_up: bool,
    /// What is tried.
    pub(crate) primary: PrimaryFactor,
}

/// What is tried: the first factor.
pub enum PrimaryFactor {
    /// A password.
    Password(Password),
    /// An ID token.
    IdToken {
        /// What it proved, if it did.
        identity: Option<Identity>,
        /// Whether the subject was found as one that is not bound to an issuer yet.
        unbound: bool,
    },
}

/// A password that was counted.
pub struct Password {
    /// For whom, and from what kind of address.
    pub counter: PasswordCounter,
    /// Which of the user's passwords it is compared with.
    pub version: u64,
    /// The wrong passwords in a row, this attempt counted as one.
    pub failures: u32,
    /// Whether wrong passwords of strangers are counted.
    pub of_strangers: bool,
    /// Those that were refused without a comparison.
    pub refused: RefusedPasswords,
    /// Whether it is long enough to be all that is asked for.
    pub suffices: bool,
}

/// What became of an attempt, as far as the proof tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrimaryFactorVerdict {
    /// It is right.
    Right,
    /// It is not, for this reason.
    Wrong(&'static str),
}

/// The settings in force for the subject, whose group was prefetched; the defaults, where there is
/// no account.
pub(crate) async fn settings_of(
    app: &App,
    account: Option<&Account>,
    subject: &Subject,
    group: PrefetchedGroup,
) -> Result<Settings, Problem> {
    let Some(account) = account else {
        return Ok(Settings::default());
    };
    let settings = account
        .settings_in(subject.group(), group, &app.table)
        .await?;
    Ok(settings)
}

/// What a username leads to, and what is counted beside it.
struct Found {
    account: Option<Account>,
    credential: Option<Credential>,
    of_strangers: bool,
    refused: RefusedPasswords,
}

impl Found {
    /// Reads it, and refuses the client IP where that has had its failures.
    async fn read(
        app: &App,
        call: &Call,
        account: AccountId,
        username: &str,
    ) -> Result<Self, Problem> {
        let wanted = (
            Account::concerned(call, account),
            keys::name(account, username).holding::<Credential>(),
            keys::client_ip_failures(&client_ip_key(call.client_ip)),
            keys::name_failures(account, username),
            keys::name_refused(account, username).holding().or_default(),
        );
        let (account, credential, failures_of_source, failures_of_strangers, refused) =
            app.table.find(wanted).await?;
        refuse_client_ip(failures_of_source.as_ref(), call.arrived_at)?;
        // A name without an account is nobody's, whatever a stale credential says.
        let credential = credential.filter(|_| account.is_some());
        Ok(Self {
            account,
            credential,
            of_strangers: failures_of_strangers.is_some(),
            refused,
        })
    }

    /// The attempt that is to be counted: for whom, and from what kind of address.
    async fn counter(
        &self,
        app: &App,
        call: &Call,
        (account, username): (AccountId, String),
    ) -> Result<PasswordCounter, Problem> {
        let now = call.arrived_at;
        let id = self.id(account, &username);
        let keyring = app.keyrings.current(now).await;
        let hashed_ip = HashedIp::of(id, call.client_ip, &keyring, now)?;
        Ok(PasswordCounter {
            account,
            origin: self.origin(app, &hashed_ip).await?,
            username,
        })
    }

    fn subject_wanted(&self, counter: &PasswordCounter) -> WantedSubject {
        let id = self.id(counter.account, &counter.username);
        Subject::wanted(id, self.credential.is_some())
    }

    fn group_wanted(&self, account: AccountId) -> WantedGroup {
        let credential = self.credential.as_ref();
        PrefetchedGroup::wanted(account, credential.and_then(|it| it.group.clone()))
    }

    /// Writes down an attempt that is refused without a comparison, until then.
    async fn refused(
        &self,
        app: &App,
        call: &Call,
        (subject, counter): (Subject, &PasswordCounter),
        until: Option<Timestamp>,
    ) -> Result<Problem, Failure> {
        let rejection = Rejection {
            account: counter.account,
            subject,
            client_ip: call.client_ip,
            now: call.arrived_at,
        };
        let problem = refusals::password_refused(until, call.arrived_at);
        rejection.refused(app, counter, self.refused, problem).await
    }

    /// The password that was counted, and the hash to compare it with.
    fn into_password(
        self,
        counter: PasswordCounter,
        failures: u32,
        suffices: bool,
    ) -> (Password, Option<String>) {
        let (version, stored) = self.credential.map_or((0, None), |credential| {
            (credential.password_version, credential.password_hash)
        });
        let password = Password {
            counter,
            version,
            failures,
            of_strangers: self.of_strangers,
            refused: self.refused,
            suffices,
        };
        (password, stored)
    }

    fn id(&self, account: AccountId, username: &str) -> UserId {
        self.credential.as_ref().map_or_else(
            || Subject::decoy(account, username),
            |credential| credential.user,
        )
    }

    /// Where a request comes from: by the credential, or, on the one day of an address on which it
    /// cannot tell, by the user's own item.
    async fn origin(&self, app: &App, hashed_ip: &HashedIp) -> Result<Origin, Problem> {
        let Some(credential) = &self.credential else {
            return Ok(Origin::Stranger);
        };
        if let Some(origin) = credential.known.origin_by_copy(hashed_ip) {
            return Ok(origin);
        }
        let user = keys::user(credential.user).holding::<User>();
        let user = app.table.find(user).await?;
        Ok(user.map_or(Origin::Stranger, |user| user.known.origin(hashed_ip)))
    }
}

impl PrimaryFactorAttempt {
    /// Reads what an attempt at a password needs to know, refuses it where a limit says so, and
    /// counts it; answers with the hash to compare with, if there is one.
    pub async fn begin(
        app: &App,
        call: &Call,
        account: AccountId,
        (username, shown): (&str, &Secret<String>),
        step_up: bool,
    ) -> Result<(Self, Option<String>), Problem> {
        let now = call.arrived_at;
        let username = username::looked_up(username);
        let found = Found::read(app, call, account, &username).await?;
        let counter = found.counter(app, call, (account, username)).await?;
        let wanted = (found.subject_wanted(&counter), found.group_wanted(account));
        let (result, found_beside) =
            tokio::join!(counter.count(app, now), app.table.find_batch(wanted));
        let result = result?;
        let (subject, group) = found_beside?;
        let subject = subject.unwrap_or_else(|| Subject::new_decoy(account, &counter.username));
        let failures = match result {
            Counted::Attempt(failures) => failures,
            Counted::Refused(until) => {
                return Err(found.refused(app, call, (subject, &counter), until).await?);
            }
        };
        let settings = settings_of(app, found.account.as_ref(), &subject, group).await?;
        let suffices = password::suffices_alone(shown);
        let (password, stored) = found.into_password(counter, failures, suffices);
        let attempt = Self {
            account,
            settings,
            subject,
            client_ip: call.client_ip,
            now,
            step_up,
            primary: PrimaryFactor::Password(password),
        };
        Ok((attempt, stored))
    }

    /// How far a first factor alone goes for internal users here, if it is enough and no more is
    /// asked for.
    pub fn waived(&self) -> Option<Acr> {
        let is_short =
            matches!(&self.primary, PrimaryFactor::Password(password) if !password.suffices);
        if self.step_up || is_short {
            None
        } else if account::explain(&self.settings.ip_allowlist, self.client_ip).allowed {
            Some(Acr::AllowlistedNetwork)
        } else if self.settings.second_factor.internal_required {
            None
        } else {
            Some(Acr::SingleFactor)
        }
    }
}
