//! The wrong passwords of a username, counted apart by where they come from: what strangers try
//! never delays who is at a known address.
//!
//! After the 5th in a row a delay that doubles from 1 s to 15 min; after the 50th no password of
//! that origin is looked at any more, until the password is set anew, an administrator unlocks the
//! user, or, of strangers, the user signs in from a known address: together the hundred of NIST SP
//! 800-63B-4 §3.2.2. A right password ends the count of its origin, and one from a known address
//! the strangers' too.
//!
//! The items stand beside the username, for names that nobody has as for others, and for as long: a
//! count that can still grow for [`REMEMBERED`] after the last, one that has reached its end for
//! ever.

use super::known::Origin;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::AccountId;
use crate::kernel::secret;
use crate::store::app::App;
use crate::store::dynamo::{Delete, Failure, Item, Key, Path, RetryPolicy, Update, keys};
use crate::store::rate_limit::{Allowed, Backoff, Limit, Window};

/// Wrong passwords of one origin.
pub const BACKOFF: Backoff = Backoff {
    free: 5,
    base: Span::seconds(1),
    cap: Span::minutes(15),
    disabled_at: Some(FAILURES_MAX),
};
/// The count at which there is no more trying.
pub const FAILURES_MAX: u32 = 50;
/// Failed sign-ins of a client IP, refused ones among them: 100 in 5 minutes.
pub const PER_CLIENT_IP: Window = Window {
    limits: &[Limit {
        quota: 100,
        span: Span::minutes(5),
    }],
};
/// How long a count that has not reached its end is remembered after the last wrong password.
pub const REMEMBERED: Span = Span::days(30);

const FAILURES: Path = Path::new("failures");
const FAILED_AT: Path = Path::new("failed_at");
const ATTEMPT: Path = Path::new("attempt");

/// What came of counting an attempt, which is done before anything is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It may be compared: the wrong ones in a row, this one counted as one.
    Attempt(u32),
    /// It may not, until then or, without a moment, until somebody lifts it.
    Refused(Option<Timestamp>),
}

/// A username that a password is tried for, and from where.
#[derive(Clone, Debug)]
pub struct PasswordCounter {
    /// The account.
    pub account: AccountId,
    /// The username, in canonical form.
    pub username: String,
    /// Whether its user is known where it is tried.
    pub origin: Origin,
}

impl PasswordCounter {
    /// Where the attempts of an origin are counted.
    fn key(&self, origin: Origin) -> Key {
        match origin {
            Origin::Stranger => keys::name_failures(self.account, &self.username),
            Origin::Known => keys::name_known_failures(self.account, &self.username),
        }
    }

    /// Counts an attempt.
    pub async fn count(&self, app: &App, now: Timestamp) -> Result<Counted, Failure> {
        let id = secret::encode(app.entropy.bytes::<9>());
        let (mut retries, mut is_last) = (RetryPolicy::default(), false);
        loop {
            let update = if is_last {
                self.count_last(&id, now)
            } else {
                self.count_one(&id, now)
            };
            let failure = match app.table.update_with_retries(update, &app.entropy).await {
                Ok(before) => return Ok(Counted::Attempt(Count::of(&before).failures + 1)),
                Err(failure) => failure,
            };
            let Some(stood) = failure.stood().map(Count::of) else {
                return Err(failure);
            };
            // The answer to the first request was lost, and the SDK repeated it: the attempt is
            // counted already.
            if stood.id == id {
                return Ok(Counted::Attempt(stood.failures));
            }
            match BACKOFF.allowed(stood.failures, stood.failed_at, now) {
                Allowed::From(moment) => return Ok(Counted::Refused(Some(moment))),
                Allowed::Never => return Ok(Counted::Refused(None)),
                // It stands before the last, or something has moved it meanwhile.
                Allowed::Now => retries.at_once()?,
            }
            is_last = stood.failures + 1 == FAILURES_MAX;
        }
    }

    /// The write that counts an attempt, under the condition that one may be made now, and is not
    /// the last.
    ///
    /// The attempt's own id makes it count once, however often the SDK repeats the request: where
    /// it stands already, the condition fails and shows it.
    fn count_one(&self, id: &str, now: Timestamp) -> Update {
        let before_the_last = Backoff {
            disabled_at: Some(FAILURES_MAX - 1),
            ..BACKOFF
        };
        Update::of(self.key(self.origin))
            .count(FAILURES, 0_u32, 1_u32)
            .set(FAILED_AT, now)
            .set(ATTEMPT, id)
            .set_expiry(now.plus(REMEMBERED))
            .when(ATTEMPT.is_absent().or(ATTEMPT.is_not(id)))
            .when(before_the_last.guard(&FAILURES, &FAILED_AT, now))
    }

    /// The write that counts the last attempt: from then on the item is no more than its count, and
    /// nothing removes it by its age.
    fn count_last(&self, id: &str, now: Timestamp) -> Update {
        Update::of(self.key(self.origin))
            .set(FAILURES, FAILURES_MAX)
            .set(FAILED_AT, now)
            .set(ATTEMPT, id)
            .remove_ttl()
            .remove_due()
            .when(FAILURES.is(FAILURES_MAX - 1))
            .when(BACKOFF.guard(&FAILURES, &FAILED_AT, now))
    }

    /// The writes that end what a right password ends; `of_strangers` says whether anything of
    /// strangers was counted.
    pub fn end(&self, of_strangers: bool) -> Vec<Delete> {
        let strangers =
            (self.origin == Origin::Known && of_strangers).then(|| self.key(Origin::Stranger));
        std::iter::once(self.key(self.origin))
            .chain(strangers)
            .map(Delete::of)
            .collect()
    }
}

/// The writes that end all counts of a username: it has a new password, or is unlocked.
pub fn end_all(account: AccountId, username: &str) -> [Delete; 2] {
    [
        end_of_strangers(account, username),
        end_known(account, username),
    ]
}

/// The write that ends what strangers tried: a sign-in from a known address lets them try again.
pub fn end_of_strangers(account: AccountId, username: &str) -> Delete {
    Delete::of(keys::name_failures(account, username))
}

/// The write that ends what was tried from known addresses: nobody has the name any more. What
/// strangers tried stays, as it stays for every name that nobody has.
pub fn end_known(account: AccountId, username: &str) -> Delete {
    Delete::of(keys::name_known_failures(account, username))
}

/// The writes that end all that stands beside a username which somebody is given: whatever was
/// tried with it before, nobody had it.
pub fn begin_anew(account: AccountId, username: &str) -> [Delete; 3] {
    let [strangers, known] = end_all(account, username);
    let refused = Delete::of(keys::name_refused(account, username));
    [strangers, known, refused]
}

/// A count, as it is stored.
struct Count {
    id: String,
    failures: u32,
    failed_at: Timestamp,
}

impl Count {
    fn of(item: &Item) -> Self {
        let text = |path: &Path| {
            item.get(path.attribute())
                .and_then(|value| value.as_s().ok())
                .cloned()
                .unwrap_or_default()
        };
        let number = |path: &Path| {
            item.get(path.attribute())
                .and_then(|value| value.as_n().ok()?.parse::<i64>().ok())
                .unwrap_or_default()
        };
        let failures = u32::try_from(number(&FAILURES)).unwrap_or_default();
        Self {
            id: text(&ATTEMPT),
            failures,
            failed_at: Timestamp::from_millis(number(&FAILED_AT)),
        }
    }
}
