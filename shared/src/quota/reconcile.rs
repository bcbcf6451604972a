//! Every balance recomputed from the entries, and held against what stands: on the shards, and in the hands of the recipients.

use std::collections::BTreeMap;

use super::balance::{Balance, Share, Snapshot, shares, snapshot};
use super::entry::{Entry, Kind};
use super::holdings;
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
    /// Of each agreement: what is left reserved on each shard. What names no agreement counts to the empty name.
    pub agreements: BTreeMap<String, BTreeMap<u8, i64>>,
    /// Of each recipient that entries name, by agreement and recipient: what of them is left.
    pub recipients: BTreeMap<(String, String), Own>,
    /// The entries.
    pub entries: u64,
}

/// What the entries that name a recipient add up to. What an agreement reserved when it was sent, and what it released when it ended,
/// names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Own {
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
            let share = self.groups.entry(group.clone()).or_default();
            share.reserved += effect.reserved;
            share.consumed += effect.consumed;
        }
        if matches!(entry.kind, Kind::Reserve | Kind::Consume | Kind::Release) {
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
            let own = self.recipients.entry((agreement, recipient.clone())).or_default();
            let effect = entry.kind.effect(entry.transactions);
            *own = Own { left: own.left + effect.reserved, consumed: own.consumed + effect.consumed };
        }
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
    /// The recipients of an agreement hold more or fewer of a shard's transactions than its entries have left reserved.
    Held { agreement: String, shard: u8, held: i64, entries: i64 },
    /// A recipient's own entries are not those of somebody who holds this and has, or has not, consumed: reserved less released less
    /// consumed is what is held, and one is reserved at most, released or consumed.
    Recipient { recipient: String, held: bool, consumed: bool, entries: Own },
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

/// Recomputes an account's balance, and what each recipient of its agreements holds. `None` where it did not stand still for long
/// enough to be held against anything.
pub async fn account(table: &Table, entropy: &Entropy, account: &Account) -> Result<Option<Finding>, Failure> {
    recompute(table, entropy, account, true).await
}

/// Recomputes an account's balance alone, whoever holds what of it.
pub async fn balances(table: &Table, entropy: &Entropy, account: &Account) -> Result<Option<Finding>, Failure> {
    recompute(table, entropy, account, false).await
}

async fn recompute(table: &Table, entropy: &Entropy, account: &Account, holdings: bool) -> Result<Option<Finding>, Failure> {
    let mut patience = Patience::default();
    loop {
        let before = snapshot(table, entropy, account).await?;
        let sums = sums(table, account).await?;
        let groups = shares(table, account.id, before.count).await?;
        let held = if holdings { holdings::differences(table, &sums).await? } else { Vec::new() };
        // Each entry raises its shards' counts in its own transaction: the same counts twice, and nothing was entered between.
        if snapshot(table, entropy, account).await? == before {
            let mut differences = differences(&before, &groups, &sums);
            differences.extend(held);
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
