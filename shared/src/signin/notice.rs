//! Notices: whoever's factors, phone, mail address, username or password changed is told of it, at
//! the contact that was theirs before, so that a change that was not theirs does not go unseen.
//! They are put in the outbox with the change and sent after it.
//!
//! **Whom.** The mailbox; who has none is told by SMS; and a phone that is replaced or taken away
//! is told itself. A contact that is only now the user's is told nothing but its code.
//!
//! **How often.** At most [`PER_DESTINATION`] to a destination in the name of an account, whoever
//! made the changes: a notice is a message that somebody else can cause. What is more is *held*, on
//! the item that counts (`NoticeLog`), in the transaction of its change, and becomes one notice that
//! tells all of it, once the window has room ([`release`], by the scheduled clean-up). Nothing is
//! dropped.
//!
//! **The SMS budget** does not count them: it is for SMS to people who have proved nothing.
//! A notice goes to the phone of a user, for a change that took a fresh second factor or an
//! administrator, and no more than so often; and nobody can silence it by using up a budget.

mod deferred;
mod log;

use std::collections::HashMap;

use crate::account::{Account, Locale};
use crate::kernel::clock::Timestamp;
use crate::messaging::courier::{Courier, Message};
use crate::messaging::outbox::{self, Mail, OutboxMessage};
use crate::signin::user::User;
use crate::store::app::App;
use crate::store::dynamo::{Failure, Item, Key, Write, keys};

pub use crate::messaging::courier::Changed;
pub use deferred::{is_log, release};
pub use log::PER_DESTINATION;

use log::NoticeLog;

/// A change of how somebody signs in.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The user before it.
    pub before: &'a User,
    /// The user after it.
    pub after: &'a User,
    /// The user's account.
    pub account: &'a Account,
    /// The language of who has chosen none.
    pub locale: Locale,
    /// What was changed.
    pub changed: &'a [Changed],
    /// The countries that SMS go to.
    pub sms_countries: &'a [String],
}

/// The notices of a change: planned anew for each attempt of its transaction, by what the attempts
/// before have shown.
#[derive(Debug, Default)]
pub struct Notices {
    /// What stands at the logs that refused an entry.
    seen: HashMap<Key, Item>,
    /// The messages that the last plan puts in the outbox.
    outbox: Vec<Key>,
}

/// Somebody to tell: a mailbox or a phone.
struct Destination<'a> {
    to: &'a str,
    by_sms: bool,
}

impl Notices {
    /// The writes that put them in the outbox, for the transaction of the change.
    ///
    /// They are named by the place of the change in the user's chain: a change that is written once
    /// puts each of them there once.
    pub fn writes(&mut self, change: &Change<'_>, now: Timestamp) -> Result<Vec<Write>, Failure> {
        self.outbox.clear();
        let mut writes = Vec::new();
        if change.changed.is_empty() {
            return Ok(writes);
        }
        for (place, destination) in change.destinations().into_iter().enumerate() {
            let log = keys::notices(destination.to, change.account.id);
            let told = self
                .seen
                .get(&log)
                .map(|item| NoticeLog::read(item.clone()))
                .transpose()?;
            let mail = change.mail(&destination);
            if let Some(deferred) = told
                .as_ref()
                .and_then(|told| told.hold(&mail, change.changed, now))
            {
                writes.push(deferred.write(log)?.into());
                continue;
            }
            let id = format!(
                "{}-{}-{place}",
                change.before.id,
                change.before.head.sequence + 1
            );
            self.outbox.push(keys::outbox(&id));
            writes.push(NoticeLog::enter(log, told.as_ref(), now).into());
            writes.push(outbox::standalone(&id, OutboxMessage::new(mail, now), now)?.into());
        }
        Ok(writes)
    }

    /// Learns what became of the transaction: a log that refused its entry says what to plan next.
    pub fn learn(&mut self, written: &Result<(), Failure>) {
        let Err(Failure::Condition(stood)) = written else {
            return;
        };
        let logs = stood
            .each()
            .filter(|(key, item)| is_log(key) && !item.is_empty());
        self.seen
            .extend(logs.map(|(key, item)| (key.clone(), item.clone())));
    }

    /// Sends them, once the change is written. What cannot be sent now, the clean-up sends.
    pub async fn deliver(self, app: &App, courier: &Courier) {
        outbox::deliver_all(app, courier, self.outbox).await;
    }
}

impl Change<'_> {
    /// Who is told: where the user was reached before.
    fn destinations(&self) -> Vec<Destination<'_>> {
        let User {
            email,
            phone,
            phone_country,
            ..
        } = self.before;
        let reachable = |phone: &&String| {
            let goes = phone_country
                .as_ref()
                .is_some_and(|country| self.sms_countries.contains(country));
            goes && (email.is_none() || self.after.phone.as_ref() != Some(phone))
        };
        let mailbox = email.as_ref().map(|to| Destination { to, by_sms: false });
        let texted = phone
            .as_ref()
            .filter(reachable)
            .map(|to| Destination { to, by_sms: true });
        mailbox.into_iter().chain(texted).collect()
    }

    fn mail(&self, destination: &Destination<'_>) -> Mail {
        let changed = self.changed.to_vec();
        Mail {
            account: self.account.id,
            organisation: self.account.name.clone(),
            to: destination.to.to_owned(),
            locale: self.after.locale.unwrap_or(self.locale),
            message: if destination.by_sms {
                Message::ChangedSms(changed)
            } else {
                Message::Changed(changed)
            },
        }
    }
}
