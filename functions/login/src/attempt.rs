//! An attempt at a password, from the first read to the count that precedes the comparison.

use std::net::IpAddr;

use shared::account::{self, Account, Foreseen, Settings};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, UserId};
use shared::kernel::secret::Secret;
use shared::signin::access_token::Acr;
use shared::signin::refusals;
use shared::signin::rejection::{Rejection, refuse_source};
use shared::signin::sso::Identity;
use shared::signin::user::attempts::{Counted, Tried};
use shared::signin::user::credential::Credential;
use shared::signin::user::known::{Origin, Source};
use shared::signin::user::refused::Refused;
use shared::signin::user::subject::Subject;
use shared::signin::user::{User, password, username};
use shared::store::app::App;
use shared::store::dynamo::{keys, read};
use shared::web::http::{Call, Problem};

/// A counted attempt.
pub struct Attempt {
    pub(crate) account: AccountId,
    pub(crate) settings: Settings,
    pub(crate) subject: Subject,
    pub(crate) source: IpAddr,
    pub(crate) now: Timestamp,
    /// Whether a second factor is asked for even where the account waives it.
    pub(crate) step_up: bool,
    /// What is tried.
    pub(crate) first: PrimaryFactor,
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
    pub tried: Tried,
    /// Which of the user's passwords it is compared with.
    pub version: u64,
    /// The wrong passwords in a row, this attempt counted as one.
    pub failures: u32,
    /// Whether wrong passwords of strangers are counted.
    pub of_strangers: bool,
    /// Those that were refused unseen.
    pub refused: Refused,
    /// Whether it is long enough to be all that is asked for.
    pub suffices: bool,
}

/// What became of an attempt, as far as the proof tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Right,
    /// It is not, for this reason.
    Wrong(&'static str),
}

/// What a username leads to, and what is counted beside it.
struct Found {
    account: Option<Account>,
    credential: Option<Credential>,
    of_strangers: bool,
    refused: Refused,
}

impl Found {
    /// Reads it, and refuses the source address where that has had its failures.
    async fn read(
        app: &App,
        call: &Call,
        account: AccountId,
        username: &str,
    ) -> Result<Self, Problem> {
        let wanted = vec![
            keys::account(account),
            keys::name(account, username),
            keys::client_ip_failures(&client_ip_key(call.client_ip)),
            keys::name_failures(account, username),
            keys::name_refused(account, username),
        ];
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let mut next = || items.next().flatten();
        let account: Option<Account> = next().map(read).transpose()?;
        let credential: Option<Credential> = next().map(read).transpose()?;
        call.allow_origins(
            &account
                .as_ref()
                .map(Account::settings)
                .transpose()?
                .unwrap_or_default()
                .origins,
        );
        refuse_source(next().as_ref(), call.arrived_at)?;
        let (of_strangers, refused) = (
            next().is_some(),
            next().map(read).transpose()?.unwrap_or_default(),
        );
        // A name without an account is nobody's, whatever a stale credential says.
        let credential = credential.filter(|_| account.is_some());
        Ok(Self {
            account,
            credential,
            of_strangers,
            refused,
        })
    }

    fn id(&self, account: AccountId, username: &str) -> UserId {
        self.credential.as_ref().map_or_else(
            || Subject::decoy(account, username),
            |credential| credential.user,
        )
    }

    /// Where a request comes from: by the credential, or, on the one day of an address on which it
    /// cannot tell, by the user's own item.
    async fn origin(&self, app: &App, source: &Source) -> Result<Origin, Problem> {
        let Some(credential) = &self.credential else {
            return Ok(Origin::Stranger);
        };
        if let Some(origin) = credential.known.origin_by_copy(source) {
            return Ok(origin);
        }
        let user: Option<User> = app
            .table
            .get(keys::user(credential.user))
            .await?
            .map(read)
            .transpose()?;
        Ok(user.map_or(Origin::Stranger, |user| user.known.origin(source)))
    }
}

impl Attempt {
    /// Reads what an attempt at a password needs to know, refuses it where a limit says so, and
    /// counts it; answers with the hash to compare with, if there is one.
    pub async fn begin(
        app: &App,
        call: &Call,
        account: AccountId,
        (username, tried): (&str, &Secret<String>),
        step_up: bool,
    ) -> Result<(Self, Option<String>), Problem> {
        let now = call.arrived_at;
        let username = username::looked_up(username);
        let found = Found::read(app, call, account, &username).await?;
        let id = found.id(account, &username);
        let keyring = app.keyrings.current(now).await;
        let origin = found
            .origin(app, &Source::of(id, call.client_ip, &keyring, now)?)
            .await?;
        let name = Tried {
            account,
            username,
            origin,
        };

        let known = found.credential.is_some();
        let group = found
            .credential
            .as_ref()
            .and_then(|credential| credential.group.clone());
        let wanted = std::iter::once(Subject::key(id, known))
            .chain(group.as_deref().map(|name| keys::group(account, name)));
        let (counted, items) =
            tokio::join!(name.count(app, now), app.table.get_all(wanted.collect()));
        let counted = counted?;
        let mut items = items?.into_iter();
        let subject = Subject::read(id, known, items.next().flatten())?;
        let subject = subject.unwrap_or_else(|| Subject::new_decoy(account, &name.username));
        let failures = match counted {
            Counted::Attempt(failures) => failures,
            Counted::Refused(until) => {
                let problem = refusals::password_refused(until, now);
                let rejection = Rejection {
                    account,
                    subject,
                    source: call.client_ip,
                    now,
                };
                return Err(rejection
                    .refused(app, &name, found.refused, problem)
                    .await?);
            }
        };
        let settings = match &found.account {
            Some(account) => {
                account
                    .settings_in(
                        subject.group(),
                        Foreseen::new(group, items.next().flatten()),
                        &app.table,
                    )
                    .await?
            }
            None => Settings::default(),
        };
        let first = PrimaryFactor::Password(Password {
            tried: name,
            version: found
                .credential
                .as_ref()
                .map_or(0, |credential| credential.password_version),
            failures,
            of_strangers: found.of_strangers,
            refused: found.refused,
            suffices: password::suffices_alone(tried),
        });
        let attempt = Self {
            account,
            settings,
            subject,
            source: call.client_ip,
            now,
            step_up,
            first,
        };
        Ok((
            attempt,
            found
                .credential
                .and_then(|credential| credential.password_hash),
        ))
    }

    /// How far a first factor alone goes for internal users here, if it is enough and no more is
    /// asked for.
    pub fn waived(&self) -> Option<Acr> {
        let is_short =
            matches!(&self.first, PrimaryFactor::Password(password) if !password.suffices);
        if self.step_up || is_short {
            None
        } else if account::explain(&self.settings.ip_allowlist, self.source).allowed {
            Some(Acr::AllowlistedNetwork)
        } else if self.settings.second_factor.internal_required {
            None
        } else {
            Some(Acr::SingleFactor)
        }
    }
}
