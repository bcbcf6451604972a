//! A try at a password, from the first read to the count that precedes the comparison.

use std::net::IpAddr;

use shared::access_token::Acr;
use shared::account::{self, Account, Foreseen, Settings};
use shared::app::App;
use shared::clock::Timestamp;
use shared::config::source_key;
use shared::dynamo::{Failure, Item, keys, read};
use shared::http::{Call, Problem, refusals};
use shared::ids::AccountId;
use shared::secret;
use shared::sso::Identity;
use shared::throttle::{Allowed, Window};
use shared::user::credential::Credential;
use shared::user::subject::Subject;
use shared::user::{password, username};

/// A counted try.
pub struct Attempt {
    pub(crate) account: AccountId,
    pub(crate) settings: Settings,
    pub(crate) subject: Subject,
    pub(crate) source: IpAddr,
    pub(crate) now: Timestamp,
    /// Whether a second factor is asked for even where the account waives it.
    pub(crate) step_up: bool,
    /// What is tried.
    pub(crate) first: First,
}

/// What is tried: the first factor.
pub enum First {
    /// A password.
    Password {
        /// For whom, in canonical form.
        username: String,
        /// Which of the user's passwords it is compared with.
        version: u64,
        /// The wrong passwords in a row, this try counted as one.
        failures: u32,
    },
    /// An ID token.
    IdToken {
        /// What it proved, if it did.
        identity: Option<Identity>,
        /// Whether the subject was found as one that is not bound to an issuer yet.
        unbound: bool,
    },
}

/// What became of a try, as far as the proof tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Right,
    /// It is not, for this reason.
    Wrong(&'static str),
}

impl Attempt {
    /// Reads what a try at a password needs to know, refuses it where a limit says so, and counts it; answers with the hash to
    /// compare with, if there is one.
    pub async fn begin(
        app: &App,
        call: &Call,
        account_id: AccountId,
        username: &str,
        step_up: bool,
    ) -> Result<(Self, Option<String>), Problem> {
        let now = call.arrived_at;
        let username = username::looked_up(username);
        let wanted =
            vec![keys::account(account_id), keys::name(account_id, &username), keys::source_failures(&source_key(call.source))];
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let account: Option<Account> = items.next().flatten().map(read).transpose()?;
        let credential: Option<Credential> = items.next().flatten().map(read).transpose()?;
        call.allow_origins(&account.as_ref().map(Account::settings).transpose()?.unwrap_or_default().origins);
        refuse_source(items.next().flatten().as_ref(), now)?;

        // A name without an account is nobody's, whatever a stale credential says.
        let credential = credential.filter(|_| account.is_some());
        let known = credential.is_some();
        let id = credential.as_ref().map_or_else(|| Subject::nobody(account_id, &username), |credential| credential.user);
        let counted = count(app, account_id, &username, now);
        let group = credential.as_ref().and_then(|credential| credential.group.clone());
        let wanted = std::iter::once(Subject::key(id, known)).chain(group.as_deref().map(|name| keys::group(account_id, name)));
        let (counted, items) = tokio::join!(counted, app.table.get_all(wanted.collect()));
        let failures = counted?;
        let mut items = items?.into_iter();
        let subject = Subject::read(id, known, items.next().flatten())?;
        let subject = subject.unwrap_or_else(|| Subject::new_nobody(account_id, &username));
        let settings = match &account {
            Some(account) => {
                account.settings_in(subject.group(), Foreseen::new(group, items.next().flatten()), &app.table).await?
            }
            None => Settings::default(),
        };
        let version = credential.as_ref().map_or(0, |credential| credential.password_version);
        let first = First::Password { username, version, failures };
        let attempt = Self { account: account_id, settings, subject, source: call.source, now, step_up, first };
        Ok((attempt, credential.and_then(|credential| credential.password_hash)))
    }

    /// How far a first factor alone goes for internal users here, if it is enough and no more is asked for.
    pub fn waived(&self) -> Option<Acr> {
        if self.step_up {
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

pub fn refuse_source(item: Option<&Item>, now: Timestamp) -> Result<(), Problem> {
    let moments = item.map(Window::moments).unwrap_or_default();
    match password::PER_SOURCE.full_until(&moments, now) {
        Some((until, limit)) => Err(refusals::source_blocked(until, limit.quota, limit.span, now)),
        None => Ok(()),
    }
}

/// Counts the try on the username before anything is compared; answers with the count.
async fn count(app: &App, account: AccountId, username: &str, now: Timestamp) -> Result<u32, Problem> {
    let try_id = secret::encode(app.entropy.bytes::<9>());
    let counted = app.table.update_patiently(password::count_try(account, username, &try_id, now), &app.entropy).await;
    let failure = match counted {
        Ok(before) => return Ok(read_count(&before).1 + 1),
        Err(failure) => failure,
    };
    let Some(stood) = failure.stood_at(0) else { return Err(failure.into()) };
    let (counted, failures, failed_at) = read_count(stood);
    // The answer to the first request was lost, and the SDK repeated it: the try is counted already.
    if counted == try_id {
        return Ok(failures);
    }
    match password::BACKOFF.allowed(failures, failed_at, now) {
        Allowed::From(moment) => Err(refusals::password_delayed(moment, now)),
        Allowed::Now | Allowed::Never => Err(Failure::Conflict.into()),
    }
}

fn read_count(item: &Item) -> (String, u32, Timestamp) {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse::<i64>().ok()).unwrap_or_default();
    let failures = u32::try_from(number("failures")).unwrap_or_default();
    (text("try"), failures, Timestamp::from_millis(number("failed_at")))
}
