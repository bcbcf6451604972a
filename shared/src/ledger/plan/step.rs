//! Steps that stand under nothing but what they do: their writes follow from their entries alone,
//! and so several of them can be one transaction. A reservation or a purchase, whose writes say
//! more than its entry, is a [`Plan`] and no step: it cannot be joined with others, and so nothing
//! of it can be lost by that.

use std::collections::BTreeMap;

use super::{About, Hold, Part, Plan, Snapshot, entry, spread};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::ledger::change::{Change, shard_by, share_by};
use crate::ledger::entry::{Entry, EntryId, EntryKind};
use crate::store::dynamo::{Failure, Write};

/// A step whose writes follow from its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(Entry);

impl Step {
    /// What will be recorded.
    pub const fn entry(&self) -> &Entry {
        &self.0
    }

    /// Its writes; the entry's creation is the first. None where nothing changes.
    pub fn writes(self) -> Result<Vec<Write>, Failure> {
        together([self])
    }

    /// The same as a plan.
    pub fn plan(self) -> Result<Plan, Failure> {
        let writes = self.clone().writes()?;
        Ok(Plan {
            entry: self.0,
            writes,
            holds: Vec::new(),
            crossing: None,
        })
    }
}

/// Several steps in one transaction. DynamoDB takes one change of an item in it: what they do to a
/// shard, or to a group's share on it, is added up.
pub fn together(steps: impl IntoIterator<Item = Step>) -> Result<Vec<Write>, Failure> {
    let mut writes = Vec::new();
    let mut shards = BTreeMap::<(AccountId, u8), Change>::new();
    let mut of_groups = BTreeMap::<(AccountId, u8, String), Change>::new();
    for Step(entry) in steps {
        let Some(first) = entry.parts.first() else {
            continue;
        };
        writes.push(entry.create()?.into());
        for part in &entry.parts {
            shards
                .entry((entry.account, part.shard))
                .or_default()
                .add(&entry, part.count);
        }
        if let Some(group) = &entry.group {
            of_groups
                .entry((entry.account, first.shard, group.clone()))
                .or_default()
                .add(&entry, entry.transactions);
        }
    }
    writes.extend(
        shards
            .into_iter()
            .map(|((account, shard), change)| shard_by(account, shard, &change).into()),
    );
    writes.extend(
        of_groups
            .into_iter()
            .map(|((account, shard, group), change)| {
                share_by(account, shard, &group, &change).into()
            }),
    );
    Ok(writes)
}

/// Consumes one reserved transaction.
pub fn consume(account: AccountId, id: EntryId, about: &About, hold: Hold, at: Timestamp) -> Step {
    Step(entry(
        account,
        EntryKind::Consume,
        id,
        about,
        vec![Part {
            shard: hold.shard(),
            count: 1,
        }],
        at,
    ))
}

/// Gives back reserved transactions that were not used: each to the shard that it came from.
pub fn release(
    account: AccountId,
    id: EntryId,
    about: &About,
    holds: &[Hold],
    at: Timestamp,
) -> Step {
    let mut counts = BTreeMap::<u8, i64>::new();
    for hold in holds {
        *counts.entry(hold.shard()).or_default() += 1;
    }
    let parts = counts
        .into_iter()
        .map(|(shard, count)| Part { shard, count })
        .collect();
    Step(entry(account, EntryKind::Release, id, about, parts, at))
}

/// Moves what is available so that all shards hold about the same; none where they do.
pub fn level(account: AccountId, id: EntryId, seen: &Snapshot, at: Timestamp) -> Option<Step> {
    let wanted = spread(seen.count, "", seen.total().available);
    let goal = |shard: usize| {
        wanted
            .iter()
            .find(|part| usize::from(part.shard) == shard)
            .map_or(0, |part| part.count)
    };
    let moves = seen.shards.iter().zip(0_u8..).map(|(stands, shard)| Part {
        shard,
        count: goal(usize::from(shard)) - stands.balance.available,
    });
    let parts: Vec<Part> = moves.filter(|part| part.count != 0).collect();
    (!parts.is_empty()).then(|| {
        Step(entry(
            account,
            EntryKind::Move,
            id,
            &About::default(),
            parts,
            at,
        ))
    })
}
