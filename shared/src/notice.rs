//! Notices: whoever's factors, phone, mail address or password changed is told of it by mail, at the old address and at the new, so
//! that a change that was not theirs does not go unseen. They are owed with the change and sent after it.

use crate::account::{Account, Locale};
use crate::app::App;
use crate::clock::Timestamp;
use crate::courier::{Courier, Message};
use crate::dynamo::{Failure, Key, Write, keys};
use crate::owed::{self, Mail, Owed};
use crate::user::User;

pub use crate::courier::Changed;

/// Mails that a change owes.
#[derive(Debug, Default)]
pub struct Notices {
    keys: Vec<Key>,
    writes: Vec<Write>,
}

/// The mails that tell of what makes `after` of `before`. `locale` is the language of who has chosen none.
///
/// They are named by the place of the change in the user's chain: a change that is written once owes each of them once.
pub fn owe(
    before: &User,
    after: &User,
    account: &Account,
    locale: Locale,
    changed: &[Changed],
    now: Timestamp,
) -> Result<Notices, Failure> {
    let mut notices = Notices::default();
    if changed.is_empty() {
        return Ok(notices);
    }
    let elsewhere = after.email.as_ref().filter(|address| before.email.as_ref() != Some(address));
    for (place, address) in before.email.iter().chain(elsewhere).enumerate() {
        let id = format!("{}-{}-{place}", before.id, before.head.sequence + 1);
        let mail = Mail {
            account: account.id,
            organisation: account.name.clone(),
            to: address.clone(),
            locale: after.locale.unwrap_or(locale),
            message: Message::Changed(changed.to_vec()),
        };
        notices.writes.push(owed::standalone(&id, Owed::new(mail, now), now)?);
        notices.keys.push(keys::owed(&id));
    }
    Ok(notices)
}

impl Notices {
    /// The writes that owe them: for the transaction of the change.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// Sends them, once the change is written. What cannot be sent now, the clean-up sends.
    pub async fn deliver(self, app: &App, courier: &Courier) {
        owed::deliver_all(app, courier, self.keys).await;
    }
}
