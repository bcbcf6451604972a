//! The low-balance mail and metric: once per crossing of the mark that the account has set.
//!
//! A reservation that keeps its own shard at or above the mark keeps the sum there, and needs to know nothing of it. One that does not
//! is planned over a [`Snapshot`], which says whether the sum gets below: the notice then changes in the reservation's transaction,
//! under the condition that nobody has told of this crossing yet.

use serde_json::json;

use super::balance::Snapshot;
use crate::account::{Account, Settings};
use crate::clock::Timestamp;
use crate::dynamo::{Write, keys};
use crate::ids::AccountId;
use crate::metric;

/// Who is told when an account's balance gets low, and where that is.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    mark: i64,
}

/// The balance of an account got below its mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Whose.
    pub account: AccountId,
    /// How often it has.
    pub number: u64,
    /// What is left.
    pub available: i64,
    /// The mark.
    pub mark: i64,
}

impl Watch {
    /// What `settings` say of `account`'s balance.
    pub fn of(_account: &Account, settings: &Settings) -> Self {
        Self { mark: i64::from(settings.quota.low_balance) }
    }

    /// Below so many the balance is low.
    pub const fn mark(&self) -> i64 {
        self.mark
    }

    /// The crossing, where taking `count` from what was `seen` gets the balance below the mark, or leaves it there with nobody told.
    pub(super) fn crossing(&self, account: AccountId, seen: &Snapshot, count: i64) -> Option<Crossing> {
        let before = seen.total().available;
        let available = before - count;
        let untold = before >= self.mark || !seen.notice.told;
        let crossing = Crossing { account, number: seen.notice.crossings + 1, available, mark: self.mark };
        (available < self.mark && untold).then_some(crossing)
    }

    /// The writes that tell of `crossing`, or that the balance is above its mark again.
    pub(super) fn writes(&self, account: AccountId, seen: &Snapshot, count: i64, crossing: Option<&Crossing>) -> Vec<Write> {
        match crossing {
            Some(crossing) => vec![notice(account, true, crossing.number, seen)],
            None => self.relief(account, seen, -count).into_iter().collect(),
        }
    }

    /// That the balance is at or above its mark after `change`: what follows below it will be told anew.
    pub(super) fn relief(&self, account: AccountId, seen: &Snapshot, change: i64) -> Option<Write> {
        let high = seen.total().available + change >= self.mark;
        (seen.notice.told && high).then(|| notice(account, false, seen.notice.crossings, seen))
    }
}

/// The notice as it will stand, where it stands as it was `seen`.
fn notice(account: AccountId, told: bool, crossings: u64, seen: &Snapshot) -> Write {
    let update = Write::update(keys::balance_notice(account), "SET #told = :told, #crossings = :crossings");
    let update = update.value("told", told).value("crossings", crossings).value("seen", seen.notice.crossings);
    match seen.notice.crossings {
        0 => update.when("attribute_not_exists(#crossings) OR #crossings = :seen"),
        _ => update.when("#crossings = :seen"),
    }
}

/// After the transaction: the metric. Nothing here can fail what was done.
pub fn tell(crossing: Option<&Crossing>, now: Timestamp) {
    let Some(crossing) = crossing else { return };
    tracing::info!(
        account.id = %crossing.account,
        quota.available = crossing.available,
        quota.low_balance = crossing.mark,
        "the balance is low"
    );
    metric::emit("LowBalance", &json!({"account": crossing.account, "available": crossing.available}), now);
}
