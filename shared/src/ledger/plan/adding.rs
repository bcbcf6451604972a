//! What adds to what is available, and what that says of the threshold.

use super::{About, Part, Plan, entry, planned, planned_under, spread};
use crate::account::Shards;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::ledger::attribute::{AVAILABLE, ENTRIES};
use crate::ledger::balance::{Notice, Shard, Snapshot, StaleRead};
use crate::ledger::entry::{Entry, EntryId, EntryKind};
use crate::ledger::watch::Watch;
use crate::store::dynamo::{Failure, Update, Write, keys};

/// What was bought.
#[derive(Clone, Debug)]
pub struct Purchase<'a> {
    /// By whom.
    pub account: AccountId,
    /// What the entry is named by.
    pub id: EntryId,
    /// How many.
    pub transactions: u32,
    /// The operator's own name for it.
    pub reference: Option<String>,
    /// Who is told when the balance gets low.
    pub watch: &'a Watch,
    /// When.
    pub at: Timestamp,
}

/// Where what was bought goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopupTarget {
    /// To so many shards, evenly.
    All(Shards),
    /// To one of so many, drawn by the entry's id: one item is to be had where all of them at once
    /// are not. Whoever finds their own shard short takes from the fullest.
    One(Shards),
}

/// Adds bought transactions.
///
/// What is available already matters to the threshold alone, and what was seen of it may be of
/// several moments: what is said of the threshold is made a condition.
pub fn topup(
    purchase: &Purchase<'_>,
    onto: TopupTarget,
    seen: &StaleRead,
    notice: Notice,
) -> Result<Plan, Failure> {
    let Purchase {
        account,
        id,
        transactions,
        reference,
        watch,
        at,
    } = purchase.clone();
    let count = i64::from(transactions);
    let parts = match onto {
        TopupTarget::All(shards) => spread(shards, id.as_str(), count),
        TopupTarget::One(shards) => vec![Part {
            shard: shards.of(id.as_str()),
            count,
        }],
    };
    let entry = Entry {
        reference,
        ..entry(account, EntryKind::Topup, id, &About::default(), parts, at)
    };
    added(entry, watch, &seen.shards, notice)
}

/// A step that adds to what is available. Where that gets the balance to its threshold as far as
/// was `seen`, it is noted, under the condition that what it takes for that is there.
pub(super) fn added(
    entry: Entry,
    watch: &Watch,
    seen: &[Shard],
    notice: Notice,
) -> Result<Plan, Failure> {
    let account = entry.account;
    let stood = seen
        .iter()
        .map(|shard| shard.balance.available)
        .sum::<i64>();
    let Some(relief) = watch.relief(account, stood + entry.transactions, notice) else {
        return planned(entry);
    };
    let needed = (watch.threshold() - entry.transactions).max(0);
    let mut held = SeenBalance { seen, needed };
    let mut plan = planned_under(entry, |write, part| match held.take(part.shard) {
        Some(held) => write.when(AVAILABLE.is_at_least(held)),
        None => write,
    })?;
    let written = |shard: u8| plan.entry.parts.iter().any(|part| part.shard == shard);
    let others = (0_u8..).take(seen.len()).filter(|shard| !written(*shard));
    let looked_at = |shard| {
        let held = held.take(shard)?;
        let looked_at = looked_at(account, shard).when(AVAILABLE.is_at_least(held));
        Some(Write::from(looked_at))
    };
    let others: Vec<Write> = others.filter_map(looked_at).collect();
    plan.writes.extend(others);
    plan.writes.push(relief);
    Ok(plan)
}

/// What the balance is seen to hold, as far as it is needed still.
struct SeenBalance<'a> {
    seen: &'a [Shard],
    needed: i64,
}

impl SeenBalance<'_> {
    /// What `shard` holds of it; none where that is nothing.
    fn take(&mut self, shard: u8) -> Option<i64> {
        let stood = self.seen.get(usize::from(shard));
        let held = stood
            .map_or(0, |shard| shard.balance.available)
            .min(self.needed);
        self.needed -= held;
        (held > 0).then_some(held)
    }
}

/// That no shard holds more than was `seen`, but for those that the `parts` are of.
pub(in crate::ledger) fn no_more(
    account: AccountId,
    seen: &Snapshot,
    parts: &[Part],
) -> Vec<Write> {
    let others = (0_u8..)
        .zip(&seen.shards)
        .filter(|(shard, _)| parts.iter().all(|part| part.shard != *shard));
    let held = |(shard, stood): (u8, &Shard)| {
        let is_no_more = AVAILABLE.is_at_most(stood.balance.available);
        looked_at(account, shard)
            .when(AVAILABLE.is_absent().or(is_no_more))
            .into()
    };
    others.map(held).collect()
}

/// An update that changes nothing of a shard: for its condition.
fn looked_at(account: AccountId, shard: u8) -> Update {
    Update::of(keys::balance(account, shard)).add(ENTRIES, 0)
}
