//! `POST /v1/password/forgotten`: mails a link to whoever has the username, if that is anybody who can be reached.
//!
//! Whom a link does not lead on, for want of a factor that may follow it, is mailed whom to ask instead.
//!
//! Nobody is told whether it is. The answer is the same, the requests to the table are as many, and it comes when [`FLOOR`] is over:
//! not when a mail was sent, which takes longer than sending none. Where too little of it is left, the mail is not begun: it is owed, and
//! the clean-up sends it. One that was begun is never broken off: it would be claimed by nobody who is at it, or go twice.
//!
//! The same request again, by `Idempotency-Key`, is answered at once. The record is kept for everybody, in the transaction that counts
//! the request, so that it tells of nobody more than the answer does; the key is one of those of the source address.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::account::{Account, Foreseen, Settings};
use shared::audit::{Action, Actor, Event};
use shared::clock::Timestamp;
use shared::code::PER_SOURCE;
use shared::config::source_key;
use shared::courier::Message;
use shared::dynamo::{Failure, Key, Patience, Write, keys, read};
use shared::http::{Call, Outcome, Problem, Reply, refusals};
use shared::idempotency::IdempotencyKey;
use shared::ids::AccountId;
use shared::link::{self, Envelope, FORGOTTEN, Link, Purpose, Token};
use shared::owed::{self, Mail, Owed};
use shared::throttle::Window;
use shared::user::credential::Credential;
use shared::user::subject::Subject;
use shared::user::{Method, User, username};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::State;

/// How long everybody waits for the answer: as long as a mail takes on a cold start, in nearly every case.
const FLOOR: Duration = Duration::from_secs(2);
/// How much of it has to be left for a mail to be begun.
const SENDING: Duration = Duration::from_millis(700);
/// The longest username that is looked up.
const USERNAME_MAX: usize = 256;
/// Where the counts stand in the transaction.
const NAME: usize = 0;
const SOURCE: usize = 1;

/// Whose password was forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForgottenPasswordRequest)]
pub struct Request {
    /// The organisation's account.
    pub account: AccountId,
    /// The username, in any case.
    #[schema(example = "ann")]
    pub username: String,
}

/// The same for everybody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForgottenPassword)]
pub struct Response {
    /// For how many seconds the link is good, if one was mailed.
    #[schema(example = 1800)]
    pub expires_in: i64,
}

impl Response {
    const fn of_everybody() -> Self {
        Self { expires_in: link::PASSWORD_LIFETIME.as_secs() }
    }
}

/// What is known of a request before it is decided.
enum Known {
    /// It was carried out before, and this was the answer.
    Answered(Reply),
    /// It is to be decided.
    Open(Box<Case>),
    /// What was read is not of one moment: it is to be read again.
    Moved,
}

/// What became of a request.
enum Done {
    /// It was carried out before, and this was the answer.
    Before(Reply),
    /// It is carried out, but for the mail that is owed here.
    Now(Option<Key>),
}

/// What is known of a request when it is decided.
struct Case {
    account: Option<Account>,
    id: AccountId,
    settings: Settings,
    username: String,
    subject: Subject,
    has_password: bool,
    now: Timestamp,
}

/// The logs that have to be trimmed before anything is entered, and whether the mailbox has had its share.
#[derive(Default)]
struct Limits {
    name: Option<Vec<Timestamp>>,
    source: Option<Vec<Timestamp>>,
    mailbox: Option<Vec<Timestamp>>,
    mailbox_full: bool,
}

pub async fn handle(state: &State, call: &Call) -> Outcome {
    let request: Request = call.json()?;
    let username = &request.username;
    if username.is_empty() || username.len() > USERNAME_MAX || username.chars().any(char::is_control) {
        return Err(Problem::invalid_field("/username", "must have 1 to 256 characters, none of them a control character"));
    }
    #[expect(clippy::disallowed_methods, reason = "how long somebody waits, and not what time it is")]
    let began = Instant::now();
    let mail = match owe(state, call, &request).await? {
        Done::Before(reply) => return Ok(reply),
        Done::Now(mail) => mail,
    };
    owed::deliver_all(&state.app, &state.courier, mail.filter(|_| may_send(began.elapsed()))).await;
    tokio::time::sleep_until(began + answered_after(began.elapsed())).await;
    Ok(Reply::json(202, &Response::of_everybody()))
}

/// Whether a mail is begun when so much time has gone by.
fn may_send(elapsed: Duration) -> bool {
    elapsed + SENDING <= FLOOR
}

/// When the answer comes: with the floor, or, where the sending took longer all the same, with the next whole second.
fn answered_after(elapsed: Duration) -> Duration {
    if elapsed <= FLOOR { FLOOR } else { Duration::from_secs(elapsed.as_secs() + 1) }
}

/// Counts the request, tells of it in the audit, and owes a mail where there is somebody to get one; answers where that stands.
async fn owe(state: &State, call: &Call, request: &Request) -> Result<Done, Problem> {
    let app = &state.app;
    let key = IdempotencyKey::of(call, &format!("{}\n{}", request.account, source_key(call.source)))?;
    let mut patience = Patience::default();
    let mut limits = Limits::default();
    loop {
        let case = match Case::read(state, call, request, key.as_ref()).await? {
            Known::Answered(reply) => return Ok(Done::Before(reply)),
            Known::Open(case) => case,
            Known::Moved => {
                patience.wait(&app.entropy).await?;
                continue;
            }
        };
        let (mail, mut writes) = case.plan(state, call, &limits).await?;
        if let Some(key) = &key {
            writes.push(key.keep(&serde_json::to_string(&Response::of_everybody()).unwrap_or_default(), case.now)?);
        }
        let failure = match app.table.transact(writes).await {
            Ok(()) => return Ok(Done::Now(mail)),
            Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
            Err(failure) => failure,
        };
        // The last write is the record's: where it stood in the way, the same request was faster, and its count is no refusal of this.
        let same =
            key.is_some() && matches!(&failure, Failure::Condition(reasons) if reasons.last().is_some_and(Option::is_some));
        if !same {
            limits = case.limits(&failure, limits.mailbox_full)?;
        }
        patience.wait(&app.entropy).await?;
    }
}

/// What was answered to the same request, where it was faster than the read that says a limit is reached: a read of no one instant.
async fn answered_meanwhile(state: &State, key: Option<&IdempotencyKey>, now: Timestamp) -> Result<Option<Reply>, Problem> {
    let Some(key) = key else { return Ok(None) };
    key.answer_again(state.app.table.get(key.record()).await?, now)
}

impl Case {
    async fn read(state: &State, call: &Call, request: &Request, key: Option<&IdempotencyKey>) -> Result<Known, Problem> {
        let app = &state.app;
        let now = call.arrived_at;
        let username = username::looked_up(&request.username);
        let mut wanted = vec![
            keys::account(request.account),
            keys::name(request.account, &username),
            keys::name_sends(request.account, &username),
            keys::source_links(&source_key(call.source)),
        ];
        wanted.extend(key.map(IdempotencyKey::record));
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let mut next = || items.next().flatten();
        let account: Option<Account> = next().map(read).transpose()?;
        let credential: Option<Credential> = next().map(read).transpose()?;
        call.allow_origins(&account.as_ref().map(Account::settings).transpose()?.unwrap_or_default().origins);
        let logs = [(&FORGOTTEN, next()), (&PER_SOURCE, next())];
        if let Some(reply) = key.map(|key| key.answer_again(next(), now)).transpose()?.flatten() {
            return Ok(Known::Answered(reply));
        }
        for (window, log) in logs {
            let moments = log.as_ref().map(Window::moments).unwrap_or_default();
            if let Some((until, limit)) = window.full_until(&moments, now) {
                let answered = answered_meanwhile(state, key, now).await?.map(Known::Answered);
                return answered.ok_or_else(|| refusals::too_many_sends(until, limit, now));
            }
        }
        let credential = credential.filter(|_| account.is_some());
        let known = credential.is_some();
        let id = credential.as_ref().map_or_else(|| Subject::nobody(request.account, &username), |credential| credential.user);
        let has_password = credential.as_ref().is_some_and(|credential| credential.password_hash.is_some());
        let version = credential.as_ref().map(|credential| credential.password_version);
        let group = credential.and_then(|credential| credential.group);
        let mut wanted = vec![Subject::key(id, known)];
        wanted.extend(group.as_deref().map(|name| keys::group(request.account, name)));
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let subject = Subject::read(id, known, items.next().flatten())?;
        let subject = subject.unwrap_or_else(|| Subject::new_nobody(request.account, &username));
        // The credential was read before its user, and it is the user that is written over: the two are to be of one moment. Whatever
        // changes a password, or takes the name away, does so on both.
        if let Subject::User(user) = &subject
            && (Some(user.password_version), &user.username) != (version, &username)
        {
            return Ok(Known::Moved);
        }
        let group = Foreseen::new(group, items.next().flatten());
        let settings = match &account {
            Some(account) => account.settings_in(subject.group(), group, &app.table).await?,
            None => Settings::default(),
        };
        Ok(Known::Open(Box::new(Self { account, id: request.account, settings, username, subject, has_password, now })))
    }

    /// The user and the account, if a mail can be sent. Who has no password signs in by other means alone, and cannot have forgotten one.
    fn reached(&self, limits: &Limits) -> Option<(&User, &Account)> {
        let Subject::User(user) = &self.subject else { return None };
        let reachable = !user.disabled && user.account == self.id && user.email.is_some() && !limits.mailbox_full;
        let reachable = reachable && self.has_password;
        self.account.as_ref().filter(|_| reachable).map(|account| (&**user, account))
    }

    /// The writes, and where the mail stands that they owe.
    async fn plan(&self, state: &State, call: &Call, limits: &Limits) -> Result<(Option<Key>, Vec<Write>), Problem> {
        let app = &state.app;
        let name = keys::name_sends(self.id, &self.username);
        let source = keys::source_links(&source_key(call.source));
        let mut writes = vec![
            FORGOTTEN.enter(name, self.now, limits.name.as_deref()),
            PER_SOURCE.enter(source, self.now, limits.source.as_deref()),
        ];
        let event = Event::new(Action::PasswordForgotten, Actor::User(self.subject.id())).from(call.source);
        let Some((user, account)) = self.reached(limits) else {
            writes.extend(self.subject.tell(self.id, None, [event.failed().with("reason", self.reason(limits))], self.now)?);
            return Ok((None, writes));
        };
        let to = user.destination(Method::Email).unwrap_or_default();
        let locale = user.locale.unwrap_or(self.settings.locale);
        let (mail, event, owing) = if self.is_led_on(user) {
            let base = call.base_url(app.config.base_url.as_deref());
            let token = Token::draw(&app.entropy);
            let link = Link::new(user, Purpose::Password, None, link::PASSWORD_LIFETIME, &app.entropy, self.now);
            let keyring = app.keyrings.current(self.now).await;
            let envelope = Envelope { organisation: &account.name, to, locale, base: &base };
            let (mail, owing) = link.owe(&token, &envelope, &keyring, self.now)?;
            (mail, event.with("link", link.id.to_string()), vec![link.create(&token)?, owing])
        } else {
            let (organisation, to) = (account.name.clone(), to.to_owned());
            let mail = Mail { account: account.id, organisation, to, locale, message: Message::NoPasswordLink };
            // Named by the place of its entry in the user's chain: it is owed once.
            let id = format!("forgotten#{}-{}", user.id, user.head.sequence + 1);
            let owed = Owed::new(mail, self.now).good_until(self.now.plus(link::PASSWORD_LIFETIME));
            let event = event.failed().with("reason", "no-usable-factor");
            (keys::owed(&id), event, vec![owed::standalone(&id, owed, self.now)?])
        };
        writes.extend(self.subject.tell(self.id, None, [event], self.now)?);
        writes.push(FORGOTTEN.enter(keys::destination_links(to), self.now, limits.mailbox.as_deref()));
        writes.extend(owing);
        Ok((Some(mail), writes))
    }

    /// Whether a link would lead the user on: it takes a factor beside the mailbox.
    fn is_led_on(&self, user: &User) -> bool {
        // From where it will be opened, nobody knows yet.
        let usable =
            |method: &Method| user.can_use(*method, self.settings.second_factor.methods) && Purpose::Password.admits(*method);
        Method::ALL.iter().filter(|method| usable(method)).any(|method| user.factor(*method).is_of_use(self.now))
    }

    /// Why no mail is sent, for the audit alone.
    fn reason(&self, limits: &Limits) -> &'static str {
        match &self.subject {
            Subject::Nobody { .. } => "unknown-user",
            Subject::User(user) if user.disabled => "disabled",
            Subject::User(_) if !self.has_password => "no-password",
            Subject::User(_) if limits.mailbox_full => "too-many-sends",
            Subject::User(_) => "no-mail-address",
        }
    }

    /// What stood in the way of a transaction: a limit that refuses, or logs to be trimmed. A mailbox that has had its share is told
    /// to nobody: it gets no mail.
    fn limits(&self, failure: &Failure, mailbox_was_full: bool) -> Result<Limits, Problem> {
        let read_log = |place: usize, window: &Window| {
            let moments = failure.stood_at(place).map(Window::moments);
            let full = moments.as_ref().and_then(|moments| window.full_until(moments, self.now));
            (moments, full)
        };
        let (name, name_full) = read_log(NAME, &FORGOTTEN);
        let (source, source_full) = read_log(SOURCE, &PER_SOURCE);
        if let Some((until, limit)) = name_full.or(source_full) {
            return Err(refusals::too_many_sends(until, limit, self.now));
        }
        // Both counts, the subject and its entry stand before it.
        let (mailbox, mailbox_full) = read_log(SOURCE + 3, &FORGOTTEN);
        Ok(Limits { name, source, mailbox, mailbox_full: mailbox_was_full || mailbox_full.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_with_the_floor_or_a_whole_second_and_no_mail_is_begun_too_late() {
        let millis = Duration::from_millis;
        for (elapsed, begun, answered) in [
            (0, true, 2000),
            (1300, true, 2000),
            (1301, false, 2000),
            (2000, false, 2000),
            (2001, false, 3000),
            (6200, false, 7000),
        ] {
            assert_eq!((may_send(millis(elapsed)), answered_after(millis(elapsed))), (begun, millis(answered)), "{elapsed}");
        }
    }
}
