//! What entries do to the items that add them up: a shard, and a group's share on it.
//!
//! Beside the sum of all entries, each keeps that of the entries of *odd minutes*: those whose own
//! time, in whole minutes since 1970, is an odd number. So of the two halves one stands still at
//! any time, but for what comes late: it is added to in every other minute alone. That is what a
//! busy account is reconciled by, see [`super::checkpoint`]. It costs no request, no condition and
//! no unit more.

use super::balance::Balance;
use super::entry::Entry;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Write, keys};

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
pub(super) fn shard_by(account: AccountId, shard: u8, change: &Change) -> Write {
    let mut write = Write::update(keys::balance(account, shard), "ADD #entries :entries")
        .value("entries", change.all.entries);
    let Balance {
        available,
        reserved,
        consumed,
    } = change.all.balance;
    for (name, by) in [
        ("available", available),
        ("reserved", reserved),
        ("consumed", consumed),
    ] {
        write = added(write, name, by);
        if by < 0 {
            write = write
                .when(format!("#{name} >= :least_{name}"))
                .value(&format!("least_{name}"), -by);
        }
    }
    let Balance {
        available,
        reserved,
        consumed,
    } = change.odd.balance;
    let odd = [
        ("odd_entries", change.odd.entries),
        ("odd_available", available),
        ("odd_reserved", reserved),
        ("odd_consumed", consumed),
    ];
    odd.into_iter()
        .fold(write, |write, (name, by)| added(write, name, by))
}

/// Adds to a group's share. Only the sum over the shards means something.
pub(super) fn share_by(account: AccountId, shard: u8, group: &str, change: &Change) -> Write {
    let (all, odd) = (change.all.balance, change.odd.balance);
    let write = Write::update(
        keys::quota_share(account, shard, group),
        "ADD #reserved :reserved, #consumed :consumed",
    );
    let write = write
        .value("reserved", all.reserved)
        .value("consumed", all.consumed);
    added(
        added(write, "odd_reserved", odd.reserved),
        "odd_consumed",
        odd.consumed,
    )
}

/// Adds to an update that begins with `ADD`, where there is something to add.
fn added(write: Write, name: &str, by: i64) -> Write {
    if by == 0 {
        write
    } else {
        write.and(&format!(", #{name} :{name}")).value(name, by)
    }
}
