//! The low-balance mail and metric: once per crossing of the threshold that the account has set.
//!
//! A reservation that keeps its own shard at or above the threshold keeps the sum there, and needs
//! to know nothing of it. One that does not is planned over a [`Snapshot`], which says whether the
//! sum gets below: the notice changes and the mails are put into the outbox in the reservation's
//! transaction, under the condition that nobody has told of this crossing yet. One that stays above
//! the threshold, as far as was seen, is written under the condition that it does. The mails are
//! put into the outbox and so sent at least once; the metric is at most once.

use serde_json::json;

use super::attribute::{CROSSINGS, TOLD};
use super::balance::{Notice, Snapshot};
use super::plan;
use crate::account::{Account, Locale, Settings};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::kernel::metric;
use crate::messaging::courier::{LowBalance, Message};
use crate::messaging::outbox::{self, Mail, OutboxMessage};
use crate::store::app::App;
use crate::store::dynamo::{Failure, Key, Update, Write, keys};

/// Who is told when an account's balance gets low, and where that is.
#[derive(Clone, Debug)]
pub struct Watch {
    threshold: i64,
    organisation: String,
    locale: Locale,
    contacts: Vec<String>,
}

/// The balance of an account got below its threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Whose.
    pub account: AccountId,
    /// How often it has.
    pub number: u64,
    /// What is left.
    pub available: i64,
    /// The threshold.
    pub threshold: i64,
    /// The keys of its messages in the outbox.
    pub mails: Vec<Key>,
}

impl Watch {
    /// What `settings` say of `account`'s balance.
    pub fn of(account: &Account, settings: &Settings) -> Self {
        Self {
            threshold: i64::from(settings.quota.low_balance),
            organisation: account.name.clone(),
            locale: settings.locale,
            contacts: settings.contacts.clone(),
        }
    }

    /// Below so many the balance is low.
    pub const fn threshold(&self) -> i64 {
        self.threshold
    }

    /// The crossing, where taking `count` from what was `seen` gets the balance below the
    /// threshold, or leaves it there with nobody told.
    pub(super) fn crossing(
        &self,
        account: AccountId,
        seen: &Snapshot,
        count: i64,
    ) -> Option<Crossing> {
        let before = seen.total().available;
        let available = before - count;
        let untold = before >= self.threshold || !seen.notice.told;
        let number = seen.notice.crossings + 1;
        (available < self.threshold && untold).then(|| {
            let mails = (0..self.contacts.len())
                .map(|place| keys::outbox(&mail_id(account, number, place)))
                .collect();
            Crossing {
                account,
                number,
                available,
                threshold: self.threshold,
                mails,
            }
        })
    }

    /// The writes that tell of `crossing`, or that the balance is above its threshold again.
    pub(super) fn writes(
        &self,
        account: AccountId,
        seen: &Snapshot,
        count: i64,
        crossing: Option<&Crossing>,
        at: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let Some(crossing) = crossing else {
            let after = seen.total().available - count;
            return Ok(self
                .relief(account, after, seen.notice)
                .into_iter()
                .collect());
        };
        let mut writes = vec![notice(account, true, crossing.number, seen.notice).into()];
        for (place, contact) in self.contacts.iter().enumerate() {
            let mail = OutboxMessage::new(self.mail(crossing, contact), at);
            let id = mail_id(account, crossing.number, place);
            writes.push(outbox::standalone(&id, mail, at)?.into());
        }
        Ok(writes)
    }

    fn mail(&self, crossing: &Crossing, contact: &str) -> Mail {
        Mail {
            account: crossing.account,
            organisation: self.organisation.clone(),
            to: contact.to_owned(),
            locale: self.locale,
            message: Message::LowBalance(LowBalance {
                available: crossing.available,
                threshold: crossing.threshold,
            }),
        }
    }

    /// That the balance is at or above its threshold, where so many are `available`: what follows
    /// below it will be told anew.
    pub(super) fn relief(&self, account: AccountId, available: i64, seen: Notice) -> Option<Write> {
        (seen.told && available >= self.threshold)
            .then(|| notice(account, false, seen.crossings, seen).into())
    }
}

/// Tells of a balance below its threshold that nobody has been told of, where that comes out: a
/// reservation was refused over what was `seen`. Two reservations on two shards may have crossed
/// the threshold in one instant without seeing each other, and where nothing is left there is no
/// next one to tell. Answers with the mails, as [`tell`] does.
///
/// What becomes of this changes nothing of the refusal: who is refused next tells, if this one
/// could not.
pub async fn overdue(
    app: &App,
    watch: &Watch,
    account: AccountId,
    seen: &Snapshot,
    now: Timestamp,
) -> Vec<Key> {
    let crossing = watch
        .crossing(account, seen, 0)
        .filter(|_| seen.total().purchased() > 0);
    let Some(crossing) = crossing else {
        return Vec::new();
    };
    let written = match watch.writes(account, seen, 0, Some(&crossing), now) {
        // It is told of what is still so: somebody may have bought in this instant.
        Ok(mut writes) => {
            writes.extend(plan::no_more(account, seen, &[]));
            app.table.transact(writes).await
        }
        Err(failure) => Err(failure),
    };
    match written {
        Ok(()) => tell(Some(&crossing), now),
        // Somebody has told of it in this instant.
        Err(Failure::Condition(_)) => Vec::new(),
        Err(failure) => {
            tracing::warn!(
                ?failure,
                "low-balance notice was not written; the next refused reservation tries again; no action needed"
            );
            Vec::new()
        }
    }
}

/// The same crossing is told to each contact once, whoever tells it.
fn mail_id(account: AccountId, number: u64, place: usize) -> String {
    format!("low-balance.{account}.{number}.{place}")
}

/// The notice as it will stand, where it stands as it was `seen`.
fn notice(account: AccountId, told: bool, crossings: u64, seen: Notice) -> Update {
    let is_as_seen = CROSSINGS.is(seen.crossings);
    let is_as_seen = match seen.crossings {
        0 => CROSSINGS.is_absent().or(is_as_seen),
        _ => is_as_seen,
    };
    Update::of(keys::balance_notice(account))
        .set(TOLD, told)
        .set(CROSSINGS, crossings)
        .when(is_as_seen)
}

/// After the transaction: the metric. Answers with the keys of its messages in the outbox, to be
/// delivered at once; what is not, the clean-up sends.
#[must_use]
pub fn tell(crossing: Option<&Crossing>, now: Timestamp) -> Vec<Key> {
    let Some(crossing) = crossing else {
        return Vec::new();
    };
    tracing::info!(
        account.id = %crossing.account,
        quota.available = crossing.available,
        quota.low_balance = crossing.threshold,
        "account balance is below its threshold; its contacts are notified; no action needed"
    );
    metric::emit(
        "LowBalance",
        1,
        &json!({"account": crossing.account, "available": crossing.available}),
        now,
    );
    crossing.mails.clone()
}
