//! Every balance recomputed from the entries, and held against what stands: on the shards, and in
//! the hands of the recipients.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::balance::{Balance, Share, Snapshot, shares, snapshot};
use crate::ledger::entry::{Entry, EntryKind};
pub mod checkpoint;
mod holdings;

use crate::account::Account;
use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Failure, Table, keys, read};

/// How many entries are read at once.
const PAGE: i32 = 500;
/// How often it is waited for that an account stands still.
const LOOKS: u32 = 3;

/// What the entries of an account add up to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sums {
    /// On each shard: the balance, and the number of entries.
    pub shards: BTreeMap<u8, (Balance, u64)>,
    /// Of each group.
    pub groups: BTreeMap<String, Share>,
    /// Of each agreement: what is left reserved on each shard. What names no agreement counts to
    /// the empty name.
    pub agreements: BTreeMap<String, BTreeMap<u8, i64>>,
    /// Of each recipient that entries name, by agreement and recipient: what of them is left.
    pub recipients: BTreeMap<(String, String), RecipientSums>,
    /// The entries.
    pub entries: u64,
}

/// What the entries that name a recipient add up to. What an agreement reserved when it was sent,
/// and what it released when it ended, names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecipientSums {
    /// Reserved, less what was released and consumed.
    pub left: i64,
    /// Consumed.
    pub consumed: i64,
}

impl Sums {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry) {
        for part in &entry.parts {
            let (balance, entries) = self.shards.entry(part.shard).or_default();
            *balance = *balance + entry.kind.effect(part.count);
            *entries += 1;
        }
        if let Some(group) = &entry.group {
            let effect = entry.kind.effect(entry.transactions);
            *self.groups.entry(group.clone()).or_default() += Share {
                reserved: effect.reserved,
                consumed: effect.consumed,
            };
        }
        if matches!(
            entry.kind,
            EntryKind::Reserve | EntryKind::Consume | EntryKind::Release
        ) {
            self.hand_over(entry);
        }
        self.entries += 1;
    }

    /// Adds an entry of what recipients hold.
    fn hand_over(&mut self, entry: &Entry) {
        let agreement = entry.agreement.clone().unwrap_or_default();
        let left = self.agreements.entry(agreement.clone()).or_default();
        for part in &entry.parts {
            *left.entry(part.shard).or_default() += entry.kind.effect(part.count).reserved;
        }
        if let Some(recipient) = &entry.recipient {
            let own = self
                .recipients
                .entry((agreement, recipient.clone()))
                .or_default();
            let effect = entry.kind.effect(entry.transactions);
            *own = RecipientSums {
                left: own.left + effect.reserved,
                consumed: own.consumed + effect.consumed,
            };
        }
    }

    /// The account's balance.
    pub fn total(&self) -> Balance {
        self.shards.values().map(|(balance, _)| *balance).sum()
    }
}

/// What does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "`stands` is what the item says, `entries` what the ledger adds up to"
)]
pub enum Difference {
    /// A shard is not what its entries make of it.
    Shard {
        shard: u8,
        stands: Balance,
        entries: Balance,
    },
    /// A shard counts more or fewer entries than there are.
    Count {
        shard: u8,
        stands: u64,
        entries: u64,
    },
    /// A group's share is not what its entries make of it.
    Group {
        group: String,
        stands: Share,
        entries: Share,
    },
    /// Something is below zero.
    Negative { shard: u8, stands: Balance },
    /// The recipients of an agreement hold more or fewer of a shard's transactions than its entries
    /// have left reserved.
    Held {
        agreement: String,
        shard: u8,
        held: i64,
        entries: i64,
    },
    /// A recipient's own entries are not those of somebody who holds this and has, or has not,
    /// consumed: reserved less released less consumed is what is held, and one is reserved at most,
    /// released or consumed.
    Recipient {
        recipient: String,
        held: bool,
        consumed: bool,
        entries: RecipientSums,
    },
}

/// What was found of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Up to when entries were counted; none where all were, on an account that stood still.
    pub at: Option<Timestamp>,
    /// The account's balance as it stood then.
    pub stands: Balance,
    /// How many entries there were.
    pub entries: u64,
    /// What does not agree.
    pub differences: Vec<Difference>,
}

/// What does not agree between what stands on the shards, with how many entries each counts, and
/// what the entries add up to.
pub(super) fn shard_differences(
    stand: &BTreeMap<u8, (Balance, u64)>,
    sums: &Sums,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for shard in names(stand, &sums.shards) {
        let (stands, counted) = stand.get(&shard).copied().unwrap_or_default();
        let (balance, entries) = sums.shards.get(&shard).copied().unwrap_or_default();
        if stands != balance {
            found.push(Difference::Shard {
                shard,
                stands,
                entries: balance,
            });
        }
        if counted != entries {
            found.push(Difference::Count {
                shard,
                stands: counted,
                entries,
            });
        }
        if !stands.is_sound() {
            found.push(Difference::Negative { shard, stands });
        }
    }
    found
}

/// What does not agree between the groups' shares and what the entries add up to.
pub(super) fn group_differences(stand: &BTreeMap<String, Share>, sums: &Sums) -> Vec<Difference> {
    let of = |shares: &BTreeMap<String, Share>, group: &String| {
        shares.get(group).copied().unwrap_or_default()
    };
    let differs = |group: String| {
        let (stands, entries) = (of(stand, &group), of(&sums.groups, &group));
        (stands != entries).then_some(Difference::Group {
            group,
            stands,
            entries,
        })
    };
    names(stand, &sums.groups)
        .into_iter()
        .filter_map(differs)
        .collect()
}

/// The names in either.
fn names<K: Clone + Ord, A, B>(one: &BTreeMap<K, A>, other: &BTreeMap<K, B>) -> BTreeSet<K> {
    one.keys().chain(other.keys()).cloned().collect()
}

/// Recomputes an account's balance, and what each recipient of its agreements holds. `None` where
/// it did not stand still for long enough to be held against anything: a [`checkpoint`] does not
/// need that.
pub async fn account(
    table: &Table,
    entropy: &Entropy,
    account: &Account,
) -> Result<Option<Finding>, Failure> {
    recompute(table, entropy, account, true).await
}

/// Recomputes an account's balance alone, whoever holds what of it.
pub async fn balances(
    table: &Table,
    entropy: &Entropy,
    account: &Account,
) -> Result<Option<Finding>, Failure> {
    recompute(table, entropy, account, false).await
}

async fn recompute(
    table: &Table,
    entropy: &Entropy,
    account: &Account,
    holdings: bool,
) -> Result<Option<Finding>, Failure> {
    for _ in 0..LOOKS {
        let Some(before) = seen(table, entropy, account).await? else {
            return Ok(None);
        };
        let mut sums = Sums::default();
        entries(table, account.id, |entry| sums.add(entry)).await?;
        let groups = shares(table, account.id, before.count).await?;
        let held = if holdings {
            holdings::differences(table, entropy, account.id, &sums).await?
        } else {
            Vec::new()
        };
        // Each entry raises its shards' counts in its own transaction: the same counts twice, and
        // nothing was entered between.
        if seen(table, entropy, account).await?.as_ref() == Some(&before) {
            let stand = (0_u8..)
                .zip(&before.shards)
                .map(|(shard, stands)| (shard, (stands.balance, stands.entries)))
                .collect();
            let mut differences = shard_differences(&stand, &sums);
            differences.extend(group_differences(&groups, &sums));
            differences.extend(held);
            return Ok(Some(Finding {
                at: None,
                stands: before.total(),
                entries: sums.entries,
                differences,
            }));
        }
    }
    Ok(None)
}

/// What stands on the shards at one instant; none where others write on them each time that it is
/// looked at.
async fn seen(
    table: &Table,
    entropy: &Entropy,
    account: &Account,
) -> Result<Option<Snapshot>, Failure> {
    match snapshot(table, entropy, account).await {
        Ok(seen) => Ok(Some(seen)),
        Err(Failure::Conflict) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Every entry of an account. Those that are made meanwhile may be among them.
pub(super) async fn entries(
    table: &Table,
    account: AccountId,
    mut each: impl FnMut(&Entry),
) -> Result<(), Failure> {
    for partition in 0..keys::LEDGER_PARTITIONS {
        let mut after = None;
        loop {
            let page = table
                .query(keys::ledger(account, partition), after, PAGE)
                .await?;
            for item in page.items {
                each(&read(item)?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(())
}
