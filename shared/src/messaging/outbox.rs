//! Mails and SMS in the outbox: written with the change that they tell of, sent after it, and
//! by the clean-up where that failed.
//!
//! A message of the outbox stands on an item of its own ([`standalone`]), or on the item that it is
//! about ([`OutboxMessage`] as its attribute `outbox`, [`on`]). Whoever sends it claims it first,
//! for as long as a lease: two do not send it at the same time. A crash between the sending and the
//! settling sends it twice, and never zero times. What cannot be sent is attempted again, later
//! each time, until nobody has a use for it any more: its time is over, which is told and counted,
//! or the agreement that it is about has ended.
//!
//! A sender that does not answer in time, or answers with a fault of its own, may have taken the
//! mail all the same: SES knows no message again, and tells of no message whether it has it. It
//! goes once more, as it must, but much later each time (`UNANSWERED`): of a mail that is never
//! answered for, six copies go in the three days for which it stays in the outbox, and two in the
//! first hour. What is good for less is attempted again in half of the time that is left to it: a
//! link must not be given up while it would still be of use.

use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::account::Locale;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::AccountId;
use crate::kernel::metric;
use crate::kernel::secret;
use crate::messaging::courier::{Courier, Message, NotSent, Stage, languages};
use crate::store::app::App;
use crate::store::dynamo::{Delete, Failure, Key, Path, Put, Update, document, keys, read};

/// How long a claim holds, and the wait before the second attempt. It doubles.
const LEASE: Span = Span::minutes(1);
/// The longest wait between two attempts at what was certainly not taken.
const WAIT_MAX: Span = Span::hours(1);
/// The waits after each attempt that nobody answered for: the mail may have arrived. None is longer
/// than half of the time that the mail is still good for, and after as many attempts the last one
/// stays, so that no mail goes more than six times in three days.
const UNANSWERED: [Span; 4] = [
    Span::minutes(10),
    Span::hours(1),
    Span::hours(6),
    Span::hours(24),
];
/// How long a message stays in the outbox, where it says nothing else.
const KEPT_FOR: Span = Span::days(3);
/// How many are sent at once: SES takes 14 a second from an account that is new.
const AT_ONCE: usize = 10;
/// For how long a request begins to send mails. With the six seconds that the last of them may
/// take, and a slow table before, it is answered before its function is stopped; what was not
/// begun, the clean-up sends.
const BEGUN_WITHIN: Duration = Duration::from_secs(6);

/// The attribute that a message stands in, beside what it is about or alone.
const OUTBOX: Path = Path::new("outbox");

fn attempts() -> Path {
    OUTBOX.member("attempts")
}

fn leased_until() -> Path {
    OUTBOX.member("leased_until")
}

/// Who claimed it last.
fn holder() -> Path {
    OUTBOX.member("claim")
}

/// A mail to one person, or an SMS: its message says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The account in whose name it goes.
    pub account: AccountId,
    /// The organisation's name.
    pub organisation: String,
    /// The address, or the phone number of an SMS.
    pub to: String,
    /// The person's language.
    pub locale: Locale,
    /// What it says.
    pub message: Message,
}

/// A message of the outbox, as it stands on an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// The mail.
    pub mail: Mail,
    /// When nobody has a use for it any more.
    pub until: Timestamp,
    /// How often it was attempted.
    pub attempts: u32,
    /// How many of the attempts nobody answered for.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub unanswered: u32,
    /// Until when somebody is at it.
    pub leased_until: Timestamp,
    /// Who that is; nobody yet has no name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

/// What came of a message of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was sent.
    Sent,
    /// It could not be sent, and stays in the outbox.
    Pending,
    /// It is of no use any more, and was dropped.
    Dropped,
    /// There is none, or somebody else is at it.
    Nothing,
}

impl OutboxMessage {
    /// A message that is in the outbox from now on.
    pub fn new(mail: Mail, now: Timestamp) -> Self {
        Self {
            mail,
            until: now.plus(KEPT_FOR),
            attempts: 0,
            unanswered: 0,
            leased_until: Timestamp::default(),
            claim: String::new(),
        }
    }

    /// Of no use after `until`.
    #[must_use]
    pub const fn good_until(mut self, until: Timestamp) -> Self {
        self.until = until;
        self
    }
}

/// The item of a mail that stands by itself, or the part of another item that is about its mail.
#[derive(Debug, Serialize, Deserialize)]
struct Item {
    outbox: OutboxMessage,
}

/// The write of a message on an item of its own. The same `id` is written once: a second write
/// fails on its condition.
pub fn standalone(id: &str, message: OutboxMessage, now: Timestamp) -> Result<Put, Failure> {
    Ok(Put::create(keys::outbox(id), &Item { outbox: message })?.look_at(now))
}

/// Adds this message to the update of an item. A new item has an [`OutboxMessage`] as its
/// attribute `outbox`, and [`Put::look_at`].
pub fn on(update: Update, message: &OutboxMessage, now: Timestamp) -> Result<Update, Failure> {
    Ok(update.set(OUTBOX, document(message)?).look_at(now))
}

/// Sends the message of the outbox at `key`, if one is and nobody else is at it.
pub async fn deliver(app: &App, courier: &Courier, key: &Key) -> Result<Delivery, Failure> {
    let now = app.clock.now();
    let claim = secret::encode(app.entropy.bytes::<9>());
    let Some(message) = take(app, key, &claim, now).await? else {
        return Ok(Delivery::Nothing);
    };
    let tells = holds(app, key, &message, now).await?;
    if message.until <= now || !tells {
        settle(app, key, &claim).await?;
        if tells {
            never_sent(key, &message, now);
        }
        return Ok(Delivery::Dropped);
    }
    match send(app, courier, key, &message.mail, now).await {
        Ok(()) => settle(app, key, &claim).await.map(|()| Delivery::Sent),
        Err(NotSent::Refused) => Ok(Delivery::Pending),
        Err(NotSent::Unknown) => put_off(app, key, &claim, &message)
            .await
            .map(|()| Delivery::Pending),
    }
}

/// Sends what is in the outbox at `keys`, as far as it goes: what is left, the clean-up sends. For
/// use after a transaction that puts messages into the outbox, which has taken effect whatever
/// comes of them.
pub async fn deliver_all(app: &App, courier: &Courier, keys: impl IntoIterator<Item = Key>) {
    let each = keys.into_iter().map(|key| async move {
        if let Err(failure) = deliver(app, courier, &key).await {
            tracing::warn!(
                ?failure,
                "message was not sent; it remains in the outbox and the cleanup sends it; no action needed"
            );
        }
    });
    let begun = futures_util::stream::iter(each).take_until(tokio::time::sleep(BEGUN_WITHIN));
    begun.buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Claims the mail at `key` until the lease ends, when the clean-up looks again; answers with the
/// mail that was claimed. That may be another than the one that was read: the message of a
/// recipient is replaced where there is something newer to tell.
///
/// The claim's own id lets the SDK repeat the request: it claims once.
async fn take(
    app: &App,
    key: &Key,
    claim: &str,
    now: Timestamp,
) -> Result<Option<OutboxMessage>, Failure> {
    let message = match read_message(app, key).await? {
        Some(message) if message.leased_until <= now => message,
        _ => return Ok(None),
    };
    let until = now.plus(lease(message.attempts));
    let is_free = attempts()
        .is(message.attempts)
        .and(leased_until().is_at_most(now));
    let update = Update::of(key.clone())
        .set(holder(), claim)
        .set(leased_until(), until)
        .set(attempts(), message.attempts + 1)
        .when(OUTBOX.exists().and(is_free.or(holder().is(claim))))
        .look_at(until);
    match app.table.update_with_retries(update, &app.entropy).await {
        Ok(claimed) => Ok(Some(read::<Item>(claimed)?.outbox)),
        // Somebody else has claimed it.
        Err(Failure::Condition(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether a mail still tells what is so. It is read once the mail was claimed: what ends an
/// agreement after that finds a mail on its way.
async fn holds(
    app: &App,
    key: &Key,
    message: &OutboxMessage,
    now: Timestamp,
) -> Result<bool, Failure> {
    let Some(stage) = message.mail.message.stage() else {
        return Ok(true);
    };
    // An invitation is good for as long as its agreement is.
    if stage == Stage::OutForSignature && message.until <= now {
        return Ok(false);
    }
    let item = app.table.find(keys::agreement_beside(key)).await?;
    let status = item.as_ref().and_then(|it| it.get("status")?.as_s().ok());
    Ok(status.is_some_and(|status| status == stage.status()))
}

/// Somebody was to be told, and never was: that is for the people who run this to know.
fn never_sent(key: &Key, message: &OutboxMessage, now: Timestamp) {
    let (kind, account) = (message.mail.message.name(), message.mail.account);
    tracing::error!(mail.kind = kind, mail.attempts = message.attempts, %account, item = key.pk, "message was never sent and is deleted from the outbox; tell the person by another way");
    metric::emit(
        "MailGivenUp",
        1,
        &serde_json::json!({ "account": account, "kind": kind }),
        now,
    );
}

async fn read_message(app: &App, key: &Key) -> Result<Option<OutboxMessage>, Failure> {
    let Some(item) = app.table.get(key.clone()).await? else {
        return Ok(None);
    };
    if !item.contains_key(OUTBOX.attribute()) {
        return Ok(None);
    }
    Ok(Some(read::<Item>(item)?.outbox))
}

async fn send(
    app: &App,
    courier: &Courier,
    key: &Key,
    mail: &Mail,
    now: Timestamp,
) -> Result<(), NotSent> {
    let language = languages::of(mail.locale);
    if let Some(text) = mail.message.text(&mail.organisation, language) {
        return courier.sms(&mail.to, &text).await;
    }
    let keyring = app.keyrings.current(now).await;
    let letter = match mail
        .message
        .letter(&mail.organisation, language, &key.pk, &keyring)
    {
        Ok(letter) => letter,
        Err(error) => {
            tracing::error!(%error, "outbox message could not be decrypted; it was not sent; check that the keyring still has its key");
            return Err(NotSent::Refused);
        }
    };
    let Ok(rendered) = letter.mail(&mail.organisation, language) else {
        tracing::error!("outbox message could not be rendered; it was not sent; fix the template");
        return Err(NotSent::Refused);
    };
    courier.mail(mail.account, &mail.to, &rendered).await
}

/// Leaves a mail that may have arrived alone for a good while.
async fn put_off(
    app: &App,
    key: &Key,
    claim: &str,
    message: &OutboxMessage,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let until = now.plus(wait_unanswered(
        message.unanswered,
        message.until.until(now),
    ));
    let update = Update::of(key.clone())
        .set(leased_until(), until)
        .set(OUTBOX.member("unanswered"), message.unanswered + 1)
        .when(holder().is(claim))
        .look_at(until);
    match app.table.update_with_retries(update, &app.entropy).await {
        // Another mail took its place.
        Ok(_) | Err(Failure::Condition(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// How long a mail is left alone that is good for so long, and of which so many attempts were
/// `unanswered` before this one.
fn wait_unanswered(unanswered: u32, left: Span) -> Span {
    let wait = usize::try_from(unanswered)
        .ok()
        .and_then(|number| UNANSWERED.get(number));
    let half = Span::seconds(left.as_secs() / 2).max(LEASE);
    wait.map(|wait| half.min(*wait))
        .or(UNANSWERED.last().copied())
        .unwrap_or(WAIT_MAX)
}

/// The message is done with: its item goes, or its attribute.
async fn settle(app: &App, key: &Key, claim: &str) -> Result<(), Failure> {
    let is_own = holder().is(claim);
    let settled = if *key == keys::outbox(key.pk.trim_start_matches("OUTBOX#")) {
        let delete = Delete::of(key.clone()).when(is_own);
        app.table.remove_with_retries(delete, &app.entropy).await
    } else {
        let update = Update::of(key.clone()).remove(OUTBOX).remove_due();
        let update = update.when(is_own);
        let settled = app.table.update_with_retries(update, &app.entropy).await;
        settled.map(drop)
    };
    match settled {
        // The SDK repeated a request that had taken effect, or the lease had ended.
        Ok(()) | Err(Failure::Condition(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn lease(attempts: u32) -> Span {
    Span::seconds(
        LEASE
            .as_secs()
            .saturating_mul(1 << attempts.min(16))
            .min(WAIT_MAX.as_secs()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_waits_longer_up_to_an_hour() {
        let waits: Vec<i64> = (0..9).map(|attempts| lease(attempts).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(lease(u32::MAX), WAIT_MAX);
    }

    /// The seconds after which copies go of a mail that is good for so long, and that nobody
    /// answers for.
    fn copies(good_for: Span) -> Vec<i64> {
        let good_for = good_for.as_secs();
        let begun = (0..).scan(0, |at, number| {
            let now = *at;
            *at += wait_unanswered(number, Span::seconds(good_for - now)).as_secs();
            Some(now)
        });
        begun.take_while(|at| *at < good_for).collect()
    }

    #[test]
    fn of_a_mail_that_nobody_answers_for_six_copies_go_while_it_is_in_the_outbox() {
        assert_eq!(copies(KEPT_FOR), [0, 600, 4_200, 25_800, 112_200, 198_600]);
        assert_eq!(wait_unanswered(u32::MAX, KEPT_FOR), Span::hours(24));
    }

    #[test]
    fn a_link_that_nobody_answers_for_goes_five_times_while_it_is_good() {
        assert_eq!(copies(Span::hours(1)), [0, 600, 2_100, 2_850, 3_225]);
        assert_eq!(copies(Span::minutes(30)), [0, 600, 1_200, 1_500, 1_650]);
        assert_eq!(wait_unanswered(0, Span::seconds(30)), LEASE);
    }
}
