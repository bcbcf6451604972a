//! Pure: a step of the ledger as the writes of somebody's transaction. The first write is the
//! entry's creation.

mod adding;
mod step;

use super::attribute::AVAILABLE;
use super::balance::{Hold, Snapshot, StaleRead};
use super::change::{Change, shard_by, share_by};
use super::entry::{Entry, EntryId, EntryKind, Part};
use super::watch::{Crossing, Watch};
use crate::account::Account;
use crate::account::Shards;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Failure, Update, Write};
use crate::web::http::{Problem, Slug};

use adding::added;
pub(super) use adding::no_more;
pub use adding::{Purchase, TopupTarget, topup};
pub use step::{Step, consume, level, release, together};

/// What a step is for, as its entry tells it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct About {
    /// The agreement.
    pub agreement: Option<String>,
    /// The recipient, where it is for one.
    pub recipient: Option<String>,
    /// The group whose share it counts to.
    pub group: Option<String>,
    /// Where the agreement's chain stands with it: see [`Entry::sequence`].
    pub sequence: Option<u64>,
}

/// A reservation that is asked for.
#[derive(Clone, Debug)]
pub struct ReservationRequest<'a> {
    /// Whose transactions they are.
    pub account: &'a Account,
    /// What the entry is named by.
    pub id: EntryId,
    /// What it is for.
    pub about: About,
    /// How many.
    pub count: u32,
    /// Who is told when the balance gets low.
    pub watch: &'a Watch,
    /// When.
    pub at: Timestamp,
}

impl ReservationRequest<'_> {
    /// Whether it may be tried blindly, as far as a stale read tells: its own shard is seen to have
    /// enough.
    pub fn may_go_blindly(&self, stale: &StaleRead) -> bool {
        let own = self.account.quota_shards.of(self.id.as_str());
        let stood = stale
            .shards
            .get(usize::from(own))
            .map_or(0, |shard| shard.balance.available);
        self.count == 0 || stood >= i64::from(self.count) + self.watch.threshold()
    }
}

/// A step, planned.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What will be recorded.
    pub entry: Entry,
    /// The writes; the entry's creation is the first. None where nothing was asked for.
    pub writes: Vec<Write>,
    /// The reserved transactions, one for each that was asked for; of other steps than
    /// reservations, none.
    pub holds: Vec<Hold>,
    /// That the balance gets low by this step.
    pub crossing: Option<Crossing>,
}

/// There are fewer than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// How many were asked for.
    pub requested: u64,
    /// How many there were, on all shards at one instant.
    pub available: u64,
}

/// Why a step is not made.
#[derive(Debug)]
pub enum LedgerRefusal {
    /// There are too few.
    Exhausted(Exhausted),
    /// The id stands for another step.
    Reused,
    /// What DynamoDB said.
    Failure(Failure),
}

impl From<Failure> for LedgerRefusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reserves `order.count` transactions.
///
/// With nothing `seen` it is tried on one shard blindly, under a condition that also holds off the
/// balance's threshold; where that fails, plan it again over a [`Snapshot`], and only that can
/// refuse.
pub fn reserve(
    order: &ReservationRequest<'_>,
    seen: Option<&Snapshot>,
) -> Result<Plan, LedgerRefusal> {
    let count = i64::from(order.count);
    let first = order.account.quota_shards.of(order.id.as_str());
    let parts = match seen {
        None => vec![Part {
            shard: first,
            count,
        }],
        Some(seen) => take(seen, order.id.as_str(), count)?,
    };
    let entry = entry(
        order.account.id,
        EntryKind::Reserve,
        order.id.clone(),
        &order.about,
        parts,
        order.at,
    );
    let holds = holds(&entry);
    if count == 0 {
        return Ok(Plan {
            writes: Vec::new(),
            holds,
            crossing: None,
            entry,
        });
    }
    let plan = match seen {
        Some(seen) => taken(entry, count, order.watch, seen)?,
        // Above its threshold after this, whatever the other shards hold: nobody has to be told.
        None => planned_under(entry, |write, _| {
            write.when(AVAILABLE.is_at_least(count + order.watch.threshold()))
        })?,
    };
    Ok(Plan { holds, ..plan })
}

/// A step that takes `count` of what is available, planned over what was `seen`; where it gets the
/// balance below the threshold, that is told in its transaction.
///
/// What it says of the threshold has to be so when it is written. Below the threshold, there may
/// not be more by then than was seen: else this might be a crossing that nobody takes for one; and
/// where it tells of one, not on any other shard either. Above it, not so much less that this gets
/// the balance below it untold: on one shard that is exact, on several as far as the shards that it
/// takes from go.
fn taken(entry: Entry, count: i64, watch: &Watch, seen: &Snapshot) -> Result<Plan, Failure> {
    let mut spare = seen.total().available - count - watch.threshold();
    let low = spare < 0;
    let mut plan = planned_under(entry, |write, part| {
        let stood = seen
            .shards
            .get(usize::from(part.shard))
            .map_or(0, |shard| shard.balance.available);
        if low {
            return write.when(AVAILABLE.is_at_most(stood));
        }
        let held = (stood - std::mem::take(&mut spare)).max(part.count.abs());
        write.when(AVAILABLE.is_at_least(held))
    })?;
    let Entry { account, at, .. } = plan.entry;
    plan.crossing = watch.crossing(account, seen, count);
    if plan.crossing.is_some() {
        plan.writes
            .extend(no_more(account, seen, &plan.entry.parts));
    }
    plan.writes
        .extend(watch.writes(account, seen, count, plan.crossing.as_ref(), at)?);
    Ok(plan)
}

/// The transactions of a reservation, in order: the same for the entry that is planned and for the
/// one that is found.
pub fn holds(reservation: &Entry) -> Vec<Hold> {
    reservation
        .parts
        .iter()
        .flat_map(|part| (0..part.count).map(|_| Hold::on(part.shard)))
        .collect()
}

/// Sets right what was bought: `change` more, or fewer where it is negative. Either may get the
/// balance over its threshold.
pub fn correct(
    account: AccountId,
    id: EntryId,
    change: i64,
    reason: String,
    watch: &Watch,
    seen: &Snapshot,
    at: Timestamp,
) -> Result<Plan, LedgerRefusal> {
    let taken_away = change < 0;
    let parts = if taken_away {
        take(seen, id.as_str(), -change)?
            .into_iter()
            .map(|part| Part {
                count: -part.count,
                ..part
            })
            .collect()
    } else {
        spread(seen.count, id.as_str(), change)
    };
    let entry = entry(
        account,
        EntryKind::Correction,
        id,
        &About::default(),
        parts,
        at,
    );
    let entry = Entry {
        reference: Some(reason),
        ..entry
    };
    if taken_away {
        return Ok(taken(entry, -change, watch, seen)?);
    }
    Ok(added(entry, watch, &seen.shards, seen.notice)?)
}

impl Plan {
    /// Whether it was one of its writes that could not be made: what the ledger holds is to be
    /// looked at. Anything else that stood in the way says nothing of the ledger.
    pub fn failed(&self, failure: &Failure) -> bool {
        let stood = |write: &Write| failure.stood_at(write.key()).is_some();
        self.writes.iter().any(stood)
    }
}

/// `count` from as few shards as it takes: from the one of the id where that has them, else from
/// the fullest on.
fn take(seen: &Snapshot, id: &str, count: i64) -> Result<Vec<Part>, LedgerRefusal> {
    let available = seen.total().available;
    if available < count {
        let natural = |number: i64| u64::try_from(number).unwrap_or_default();
        return Err(LedgerRefusal::Exhausted(Exhausted {
            requested: natural(count),
            available: natural(available),
        }));
    }
    let first = seen.count.of(id);
    let mut shards: Vec<(u8, i64)> = (0_u8..)
        .zip(seen.shards.iter().map(|shard| shard.balance.available))
        .collect();
    shards.sort_by_key(|(shard, available)| (*shard != first || *available < count, -available));
    let mut left = count;
    let mut parts = Vec::new();
    for (shard, available) in shards {
        let part = left.min(available);
        if part > 0 {
            parts.push(Part { shard, count: part });
            left -= part;
        }
    }
    Ok(parts)
}

/// `count` in equal parts to all shards; what does not divide goes to those from the id's own on.
fn spread(all: Shards, id: &str, count: i64) -> Vec<Part> {
    let shards = i64::from(all.count());
    let first = i64::from(all.of(id));
    let part = |shard: u8| {
        let odd = (i64::from(shard) - first).rem_euclid(shards) < count % shards;
        Part {
            shard,
            count: count / shards + i64::from(odd),
        }
    };
    // The entry is listed by its first part.
    let mut parts: Vec<Part> = all.each().map(part).filter(|part| part.count > 0).collect();
    parts.sort_by_key(|part| (i64::from(part.shard) - first).rem_euclid(shards));
    parts
}

fn entry(
    account: AccountId,
    kind: EntryKind,
    id: EntryId,
    about: &About,
    parts: Vec<Part>,
    at: Timestamp,
) -> Entry {
    let transactions = if kind == EntryKind::Move {
        parts.iter().map(|part| part.count.max(0)).sum()
    } else {
        parts.iter().map(|part| part.count).sum()
    };
    let About {
        agreement,
        recipient,
        group,
        sequence,
    } = about.clone();
    Entry {
        id,
        account,
        kind,
        transactions,
        parts,
        agreement,
        recipient,
        group,
        sequence,
        reference: None,
        at,
    }
}

/// The entry and what it does, with no more to it.
fn planned(entry: Entry) -> Result<Plan, Failure> {
    planned_under(entry, |write, _| write)
}

/// The entry and what it does, with a condition more on each shard.
fn planned_under(
    entry: Entry,
    mut condition: impl FnMut(Update, &Part) -> Update,
) -> Result<Plan, Failure> {
    let mut writes = Vec::new();
    if !entry.parts.is_empty() {
        writes.push(entry.create()?.into());
        let change =
            |part: &Part| shard_by(entry.account, part.shard, &Change::of(&entry, part.count));
        writes.extend(
            entry
                .parts
                .iter()
                .map(|part| condition(change(part), part).into()),
        );
        writes.extend(share(&entry).map(Write::from));
    }
    Ok(Plan {
        entry,
        writes,
        holds: Vec::new(),
        crossing: None,
    })
}

/// What an entry does to its group's share, on the shard that it begins at.
fn share(entry: &Entry) -> Option<Update> {
    let (group, first) = (entry.group.as_deref()?, entry.parts.first()?);
    Some(share_by(
        entry.account,
        first.shard,
        group,
        &Change::of(entry, entry.transactions),
    ))
}

impl From<LedgerRefusal> for Problem {
    fn from(refusal: LedgerRefusal) -> Self {
        match refusal {
            LedgerRefusal::Exhausted(few) => Self::new(Slug::QuotaExhausted)
                .with("requested", few.requested)
                .with("available", few.available),
            LedgerRefusal::Reused => Self::new(Slug::IdempotencyKeyReused),
            LedgerRefusal::Failure(failure) => failure.into(),
        }
    }
}

#[cfg(test)]
mod tests;
