//! What entries do to the items that add them up: a shard, and a group's share on it.
//!
//! Beside the sum of all entries, each keeps that of the entries of *odd minutes*: those whose own
//! time, in whole minutes since 1970, is an odd number. So of the two halves one stands still at
//! any time, but for what comes late: it is added to in every other minute alone. That is what a
//! busy account is reconciled by, see [`super::checkpoint`]. It costs no request, no condition and
//! no unit more.

use super::attribute::{
    AVAILABLE, CONSUMED, ENTRIES, ODD_AVAILABLE, ODD_CONSUMED, ODD_ENTRIES, ODD_RESERVED, RESERVED,
};
use super::balance::Balance;
use super::entry::Entry;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Path, Update, keys};

/// Which minute `at` is in, since 1970.
pub(crate) const fn minute(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(60)
}

/// Whether a minute is odd.
pub(crate) const fn is_odd(minute: i64) -> bool {
    minute.rem_euclid(2) == 1
}

/// What some entries add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Of what they do to the balance.
    pub balance: Balance,
    /// How many they are.
    pub entries: i64,
}

impl Tally {
    fn add(&mut self, by: Balance) {
        self.balance = self.balance + by;
        self.entries += 1;
    }
}

/// What some entries do to one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// All of them.
    pub all: Tally,
    /// Those of odd minutes.
    pub odd: Tally,
}

impl Change {
    /// Adds `count` of an entry's transactions.
    pub fn add(&mut self, entry: &Entry, count: i64) {
        let by = entry.kind.effect(count);
        self.all.add(by);
        if is_odd(minute(entry.at)) {
            self.odd.add(by);
        }
    }

    /// What one entry does with `count` of its transactions.
    pub fn of(entry: &Entry, count: i64) -> Self {
        let mut change = Self::default();
        change.add(entry, count);
        change
    }
}

/// Adds to a shard: nothing of it gets below zero.
pub(super) fn shard_by(account: AccountId, shard: u8, change: &Change) -> Update {
    let update = Update::of(keys::balance(account, shard));
    let all = change.all.balance;
    let update = [
        (AVAILABLE, all.available),
        (RESERVED, all.reserved),
        (CONSUMED, all.consumed),
    ]
    .into_iter()
    .fold(update, |update, (path, by)| {
        let update = added(update, path.clone(), by);
        if by < 0 {
            update.when(path.is_at_least(-by))
        } else {
            update
        }
    });
    let odd = change.odd.balance;
    [
        (ODD_ENTRIES, change.odd.entries),
        (ODD_AVAILABLE, odd.available),
        (ODD_RESERVED, odd.reserved),
        (ODD_CONSUMED, odd.consumed),
    ]
    .into_iter()
    .fold(
        update.add(ENTRIES, change.all.entries),
        |update, (path, by)| added(update, path, by),
    )
}

/// Adds to a group's share. Only the sum over the shards means something.
pub(super) fn share_by(account: AccountId, shard: u8, group: &str, change: &Change) -> Update {
    let (all, odd) = (change.all.balance, change.odd.balance);
    let update = Update::of(keys::quota_share(account, shard, group))
        .add(RESERVED, all.reserved)
        .add(CONSUMED, all.consumed);
    let update = added(update, ODD_RESERVED, odd.reserved);
    added(update, ODD_CONSUMED, odd.consumed)
}

/// Adds to an attribute, where there is something to add.
fn added(update: Update, path: Path, by: i64) -> Update {
    if by == 0 {
        update
    } else {
        update.add(path, by)
    }
}
