//! What an account's entries add up to at a point in time, held against what its items say of that
//! point: for an account that never stands still.
//!
//! A shard keeps the sum of all entries and that of the entries of odd minutes
//! (`ledger::change`), and a group's share does. In an even minute the odd half stands
//! still once the requests of the minute before are over (`LATE`), in an odd minute the other
//! half does. So two looks in two minutes that follow on each other, each at the half that stands
//! still then, are together what all entries come to that are older than the end of the first of
//! the two: the point. Entries are never changed: that they are read later, and while others are
//! made, does not matter. Nobody's writes are held up, and nobody's hold this up.
//!
//! What is found not to agree is looked at again at later points (`POINTS_MAX`): a write that
//! came later than `LATE` is no mistake.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::holdings;
use super::{Difference, Finding, Sums, entries};
use crate::account::Account;
use crate::account::SHARDS_MAX;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::ledger::balance::{Balance, Share};
use crate::ledger::change::{is_odd, minute};
use crate::store::dynamo::{Failure, Item, OrDefault, Table, keys, read};

/// How long after the end of a minute its last entries may be written: longer than any function
/// takes from reading the clock to its write, and clocks differ. A request reads it once, and has
/// 28 seconds; the clean-up runs for minutes, and reads it for each item.
const LATE: Span = Span::seconds(40);
/// At how many points in time what does not agree is looked at before it is believed.
const POINTS_MAX: u32 = 3;
/// How many groups are read at once.
const PAGE: i32 = 500;

/// An account that is being reconciled while it is used.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    table: &'a Table,
    entropy: &'a Entropy,
    account: &'a Account,
    first: Option<Look>,
    points: u32,
}

/// How far that has come.
#[derive(Debug)]
pub enum Progress {
    /// There is nothing to look at before then.
    Wait(Timestamp),
    /// This was found.
    Done(Finding),
}

/// What was seen to stand still in a minute: the entries of every other minute before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    minute: i64,
    shards: BTreeMap<u8, (Balance, u64)>,
    groups: BTreeMap<String, Share>,
}

impl<'a> Checkpoint<'a> {
    /// Nothing is known yet.
    pub const fn of(table: &'a Table, entropy: &'a Entropy, account: &'a Account) -> Self {
        Self {
            table,
            entropy,
            account,
            first: None,
            points: 0,
        }
    }

    /// Goes on, at `now`, which is to be the time that [`Progress::Wait`] named or a little later.
    pub async fn advance(&mut self, now: Timestamp) -> Result<Progress, Failure> {
        if let Err(later) = still(now) {
            return Ok(Progress::Wait(later));
        }
        let look = look(self.table, self.account, minute(now)).await?;
        let first = self.first.replace(look.clone());
        let Some(first) = first.filter(|first| first.minute + 1 == look.minute) else {
            return Ok(Progress::Wait(next(now)));
        };
        self.points += 1;
        let finding = self.compare(first.and(look)).await?;
        if finding.differences.is_empty() || self.points >= POINTS_MAX {
            return Ok(Progress::Done(finding));
        }
        // Neither look is gone by again: what came too late for one of them is in neither.
        self.first = None;
        Ok(Progress::Wait(next(now)))
    }

    /// Holds what was seen against the entries that are older than its point.
    async fn compare(&self, seen: Look) -> Result<Finding, Failure> {
        let point = start(seen.minute);
        let (mut before, mut all) = (Sums::default(), Sums::default());
        entries(self.table, self.account.id, |entry| {
            if entry.at < point {
                before.add(entry);
            }
            all.add(entry);
        })
        .await?;
        let mut differences = seen.differences(&before);
        differences
            .extend(holdings::differences(self.table, self.entropy, self.account.id, &all).await?);
        let stands = seen.shards.values().map(|(balance, _)| *balance).sum();
        Ok(Finding {
            at: Some(point),
            stands,
            entries: before.entries,
            differences,
        })
    }
}

/// Whether half of everything stands still at `now`; otherwise, from when.
fn still(now: Timestamp) -> Result<(), Timestamp> {
    let from = start(minute(now)).plus(LATE);
    if from <= now { Ok(()) } else { Err(from) }
}

/// When the other half stands still.
fn next(now: Timestamp) -> Timestamp {
    start(minute(now) + 1).plus(LATE)
}

const fn start(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

/// Looks at the half that stands still in this minute: that of the minutes of the other kind.
async fn look(table: &Table, account: &Account, minute: i64) -> Result<Look, Failure> {
    let of_odd = !is_odd(minute);
    // All that there may be: an account may have been given more since it was read.
    let halves = |shard| keys::balance(account.id, shard).holding().or_default();
    let wanted: Vec<OrDefault<ShardHalves>> = (0..SHARDS_MAX).map(halves).collect();
    let found = table.find(wanted).await?;
    let mut look = Look {
        minute,
        shards: BTreeMap::new(),
        groups: BTreeMap::new(),
    };
    for (shard, halves) in (0..SHARDS_MAX).zip(found) {
        look.shards.insert(shard, halves.half(of_odd));
        for (group, share) in shares(table, account, shard, of_odd).await? {
            *look.groups.entry(group).or_default() += share;
        }
    }
    Ok(look)
}

async fn shares(
    table: &Table,
    account: &Account,
    shard: u8,
    of_odd: bool,
) -> Result<Vec<(String, Share)>, Failure> {
    let (mut shares, mut after) = (Vec::new(), None);
    loop {
        let list = keys::quota_shares(account.id, shard);
        let page = table.query(list, after, PAGE).await?;
        for item in page.items {
            shares.push((group(&item), read::<ShareHalves>(item)?.half(of_odd)));
        }
        after = page.next;
        if after.is_none() {
            return Ok(shares);
        }
    }
}

fn group(item: &Item) -> String {
    item.get(keys::SK)
        .and_then(|group| group.as_s().ok().cloned())
        .unwrap_or_default()
}

/// A shard as it is stored, both halves of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ShardHalves {
    available: i64,
    reserved: i64,
    consumed: i64,
    entries: u64,
    odd_available: i64,
    odd_reserved: i64,
    odd_consumed: i64,
    odd_entries: u64,
}

impl ShardHalves {
    fn half(self, of_odd: bool) -> (Balance, u64) {
        let odd = Balance {
            available: self.odd_available,
            reserved: self.odd_reserved,
            consumed: self.odd_consumed,
        };
        if of_odd {
            return (odd, self.odd_entries);
        }
        let even = Balance {
            available: self.available - odd.available,
            reserved: self.reserved - odd.reserved,
            consumed: self.consumed - odd.consumed,
        };
        (even, self.entries.saturating_sub(self.odd_entries))
    }
}

/// A group's share as it is stored, both halves of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ShareHalves {
    reserved: i64,
    consumed: i64,
    odd_reserved: i64,
    odd_consumed: i64,
}

impl ShareHalves {
    const fn half(self, of_odd: bool) -> Share {
        let (reserved, consumed) = (self.odd_reserved, self.odd_consumed);
        if of_odd {
            return Share { reserved, consumed };
        }
        Share {
            reserved: self.reserved - reserved,
            consumed: self.consumed - consumed,
        }
    }
}

impl Look {
    /// Both halves: what all entries come to that are older than the later one's minute.
    fn and(mut self, later: Self) -> Self {
        for (shard, (balance, entries)) in later.shards {
            let seen = self.shards.entry(shard).or_default();
            *seen = (seen.0 + balance, seen.1 + entries);
        }
        for (group, share) in later.groups {
            *self.groups.entry(group).or_default() += share;
        }
        Self {
            minute: later.minute,
            ..self
        }
    }

    /// What does not agree with these entries.
    fn differences(&self, sums: &Sums) -> Vec<Difference> {
        let mut found = super::shard_differences(&self.shards, sums);
        found.extend(super::group_differences(&self.groups, sums));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_stands_still_from_forty_seconds_after_the_minute_until_its_end() {
        let at = |seconds| Timestamp::from_millis(1_800_000_000_000).plus(Span::seconds(seconds));
        assert_eq!((still(at(0)), still(at(39))), (Err(at(40)), Err(at(40))));
        assert_eq!(
            (still(at(40)), still(at(59)), still(at(60))),
            (Ok(()), Ok(()), Err(at(100)))
        );
        assert_eq!((next(at(40)), next(at(59))), (at(100), at(100)));
    }

    #[test]
    fn two_halves_are_the_whole() {
        let halves = ShardHalves {
            available: 5,
            reserved: 3,
            consumed: 2,
            entries: 9,
            odd_available: 7,
            odd_reserved: -1,
            odd_consumed: 2,
            odd_entries: 4,
        };
        let ((odd, of_odd), (even, of_even)) = (halves.half(true), halves.half(false));
        assert_eq!(
            (odd + even, of_odd + of_even),
            (
                Balance {
                    available: 5,
                    reserved: 3,
                    consumed: 2
                },
                9
            )
        );
    }
}
