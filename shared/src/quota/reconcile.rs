//! Every balance recomputed from the entries, and held against what stands.

use std::collections::BTreeMap;

use super::balance::{Balance, Share, Snapshot, shares, snapshot};
use super::entry::Entry;
use crate::account::Account;
use crate::dynamo::{Failure, Patience, Table, keys, read};
use crate::entropy::Entropy;

/// How many entries are read at once.
const PAGE: i32 = 500;

/// What the entries of an account add up to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sums {
    /// On each shard: the balance, and the number of entries.
    pub shards: BTreeMap<u8, (Balance, u64)>,
    /// Of each group.
    pub groups: BTreeMap<String, Share>,
    /// The entries.
    pub entries: u64,
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
            let share = self.groups.entry(group.clone()).or_default();
            share.reserved += effect.reserved;
            share.consumed += effect.consumed;
        }
        self.entries += 1;
    }

    /// The account's balance.
    pub fn total(&self) -> Balance {
        self.shards.values().map(|(balance, _)| *balance).sum()
    }
}

/// What does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`stands` is what the item says, `entries` what the ledger adds up to")]
pub enum Difference {
    /// A shard is not what its entries make of it.
    Shard { shard: u8, stands: Balance, entries: Balance },
    /// A shard counts more or fewer entries than there are.
    Count { shard: u8, stands: u64, entries: u64 },
    /// A group's share is not what its entries make of it.
    Group { group: String, stands: Share, entries: Share },
    /// Something is below zero.
    Negative { shard: u8, stands: Balance },
}

/// What was found of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The account's balance as it stands.
    pub stands: Balance,
    /// How many entries there are.
    pub entries: u64,
    /// What does not agree.
    pub differences: Vec<Difference>,
}

/// What does not agree between what stands and what the entries add up to.
pub fn differences(seen: &Snapshot, groups: &BTreeMap<String, Share>, sums: &Sums) -> Vec<Difference> {
    let mut found = Vec::new();
    for (shard, stands) in (0_u8..).zip(&seen.shards) {
        let (balance, entries) = sums.shards.get(&shard).copied().unwrap_or_default();
        if stands.balance != balance {
            found.push(Difference::Shard { shard, stands: stands.balance, entries: balance });
        }
        if stands.entries != entries {
            found.push(Difference::Count { shard, stands: stands.entries, entries });
        }
        if !stands.balance.is_sound() {
            found.push(Difference::Negative { shard, stands: stands.balance });
        }
    }
    // An entry on a shard that the account does not have.
    for (shard, (balance, entries)) in sums.shards.range(seen.count.count()..) {
        found.push(Difference::Shard { shard: *shard, stands: Balance::default(), entries: *balance });
        found.push(Difference::Count { shard: *shard, stands: 0, entries: *entries });
    }
    let mut names: Vec<&String> = groups.keys().chain(sums.groups.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for group in names {
        let (stands, entries) =
            (groups.get(group).copied().unwrap_or_default(), sums.groups.get(group).copied().unwrap_or_default());
        if stands != entries {
            found.push(Difference::Group { group: group.clone(), stands, entries });
        }
    }
    found
}

/// Recomputes an account's balance. `None` where it did not stand still for long enough to be held against anything.
pub async fn account(table: &Table, entropy: &Entropy, account: &Account) -> Result<Option<Finding>, Failure> {
    let mut patience = Patience::default();
    loop {
        let before = snapshot(table, entropy, account).await?;
        let sums = sums(table, account).await?;
        let groups = shares(table, account.id, before.count).await?;
        // Each entry raises its shards' counts in its own transaction: the same counts twice, and nothing was entered between.
        if snapshot(table, entropy, account).await? == before {
            let differences = differences(&before, &groups, &sums);
            return Ok(Some(Finding { stands: before.total(), entries: sums.entries, differences }));
        }
        if patience.wait(entropy).await.is_err() {
            return Ok(None);
        }
    }
}

async fn sums(table: &Table, account: &Account) -> Result<Sums, Failure> {
    let mut sums = Sums::default();
    for partition in 0..keys::LEDGER_PARTITIONS {
        let mut after = None;
        loop {
            let page = table.query(keys::ledger(account.id, partition), after, PAGE).await?;
            for item in page.items {
                sums.add(&read(item)?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(sums)
}
