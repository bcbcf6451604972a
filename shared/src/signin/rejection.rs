//! What a first factor leaves behind that lets nobody in: it counts in the hundred failures of its
//! client IP, and its subject's audit tells of it. It is the same for everybody, and for names
//! that nobody has.

use std::net::IpAddr;

use crate::kernel::client_ip::client_ip_key;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::AccountId;
use crate::signin::user::attempts::{self, BACKOFF, PER_CLIENT_IP, PasswordCounter};
use crate::signin::user::known::Origin;
use crate::signin::user::refused::RefusedPasswords;
use crate::signin::user::subject::Subject;
use crate::store::app::App;
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Item, Key, RetryPolicy, Update, Write, keys};
use crate::store::rate_limit::{Limit, Window};
use crate::web::http::{Problem, refusals};

/// Something that was tried as a first factor.
pub struct Rejection {
    /// The account.
    pub account: AccountId,
    /// Whose it was, as far as is known.
    pub subject: Subject,
    /// Where it came from.
    pub client_ip: IpAddr,
    /// When.
    pub now: Timestamp,
}

/// Refuses whatever comes from a client IP that has had its failures, as `item` tells of it.
pub fn refuse_client_ip(item: Option<&Item>, now: Timestamp) -> Result<(), Problem> {
    let moments = item.map(Window::moments).unwrap_or_default();
    match PER_CLIENT_IP.full_until(&moments, now) {
        Some((until, limit)) => Err(refusals::client_ip_blocked(until, limit, now)),
        None => Ok(()),
    }
}

impl Rejection {
    /// Writes down something that was judged and is wrong, and answers with `problem`. Where the
    /// client IP has had its failures meanwhile, that is the answer; what was judged is told
    /// all the same.
    pub async fn judged(
        mut self,
        app: &App,
        events: Vec<Event>,
        problem: Problem,
    ) -> Result<Problem, Failure> {
        let mut retries = RetryPolicy::default();
        let (mut trim, mut blocked) = (None, None);
        loop {
            let entry = blocked.is_none().then(|| self.enter(trim.as_deref()));
            let mut writes: Vec<Write> = entry.into_iter().map(Write::from).collect();
            let events = events.clone();
            writes.extend(self.subject.tell(self.account, None, events, self.now)?);
            let failure = match app.table.transact(writes).await {
                Ok(()) => {
                    return Ok(blocked.map_or(problem, |(until, limit)| {
                        refusals::client_ip_blocked(until, limit, self.now)
                    }));
                }
                Err(failure @ Failure::Unavailable(_)) => return Err(failure),
                Err(failure) => failure,
            };
            if blocked.is_none() {
                (trim, blocked) = self.log(&failure);
            }
            retries.wait(&app.entropy).await?;
            self.subject = self.subject.again(self.account, &app.table).await?;
        }
    }

    /// Writes down a password that was refused without a comparison, and answers with `problem`:
    /// the first of a series is told. `refused` is how many there were.
    pub async fn refused(
        mut self,
        app: &App,
        counter: &PasswordCounter,
        mut refused: RefusedPasswords,
        problem: Problem,
    ) -> Result<Problem, Failure> {
        let key = keys::name_refused(counter.account, &counter.username);
        let (mut retries, mut trim) = (RetryPolicy::default(), None);
        loop {
            let mut writes: Vec<Write> = vec![self.enter(trim.as_deref()).into()];
            writes.extend(self.one_more(&key, &refused, counter.origin)?);
            let failure = match app.table.transact(writes).await {
                Ok(()) => return Ok(problem),
                Err(failure @ Failure::Unavailable(_)) => return Err(failure),
                Err(failure) => failure,
            };
            let (trimmed, blocked) = self.log(&failure);
            if let Some((until, limit)) = blocked {
                return Ok(refusals::client_ip_blocked(until, limit, self.now));
            }
            trim = trimmed;
            retries.wait(&app.entropy).await?;
            self.subject = self.subject.again(self.account, &app.table).await?;
            refused = app.table.find(key.clone().holding().or_default()).await?;
        }
    }

    /// The writes that count one more that was refused, and tell of the first of a series.
    fn one_more(
        &self,
        key: &Key,
        refused: &RefusedPasswords,
        origin: Origin,
    ) -> Result<Vec<Write>, Failure> {
        let (key, now) = (key.clone(), self.now);
        let Some(told) = self.subject.refusals().first(refused, now) else {
            return Ok(vec![RefusedPasswords::one_more(key, now).into()]);
        };
        let mut writes = vec![refused.first(key, now).into()];
        let events = [self.first_refused(origin)];
        writes.extend(self.subject.tell(self.account, Some(&told), events, now)?);
        Ok(writes)
    }

    fn enter(&self, trim: Option<&[Timestamp]>) -> Update {
        PER_CLIENT_IP.enter(self.log_key(), self.now, trim)
    }

    fn log_key(&self) -> Key {
        keys::client_ip_failures(&client_ip_key(self.client_ip))
    }

    /// What the client IP's log has to say to a transaction that failed: it is to be trimmed
    /// first, or it is full.
    fn log(&self, failure: &Failure) -> (Option<Vec<Timestamp>>, Option<(Timestamp, Limit)>) {
        let Some(moments) = failure.stood_at(&self.log_key()).map(Window::moments) else {
            return (None, None);
        };
        let full = PER_CLIENT_IP.full_until(&moments, self.now);
        (Some(moments), full)
    }

    fn first_refused(&self, origin: Origin) -> Event {
        let event = Event::new(Action::PasswordRefused, Actor::User(self.subject.id()))
            .from(self.client_ip)
            .failed();
        event.with("addresses", origin.name())
    }
}

/// The entry of the delay or the end that a wrong password brought on, the one that made it so many
/// in a row.
pub fn lockout(failures: u32, origin: Origin, client_ip: IpAddr) -> Option<Event> {
    let event = |action| {
        Event::new(action, Actor::System)
            .from(client_ip)
            .with("failures", failures)
            .with("addresses", origin.name())
    };
    let delay = BACKOFF.delay(failures);
    if failures >= attempts::FAILURES_MAX {
        Some(event(Action::PasswordDisabled))
    } else {
        (delay > Span::default())
            .then(|| event(Action::PasswordDelayed).with("delay", delay.as_secs()))
    }
}
