//! Pure: a step of the ledger as the writes of somebody's transaction. The first write is the entry's creation.

use std::collections::BTreeMap;

use super::balance::{Balance, Snapshot, Unit};
use super::entry::{Entry, EntryId, Kind, Part};
use super::watch::{Crossing, Watch};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::dynamo::{Failure, Write, keys};
use crate::ids::AccountId;

/// What a step is for, as its entry tells it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct About {
    /// The agreement.
    pub agreement: Option<String>,
    /// The recipient, where it is for one.
    pub recipient: Option<String>,
    /// The group whose share it counts to.
    pub group: Option<String>,
}

/// A reservation that is asked for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
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

/// A step, planned.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What will be recorded.
    pub entry: Entry,
    /// The writes; the entry's creation is the first. None where nothing was asked for.
    pub writes: Vec<Write>,
    /// The reserved transactions, one for each that was asked for; of other steps than reservations, none.
    pub units: Vec<Unit>,
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
pub enum Refusal {
    /// There are too few.
    Exhausted(Exhausted),
    /// The id stands for another step.
    Reused,
    /// What DynamoDB said.
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reserves `order.count` transactions.
///
/// With nothing `seen` it is tried on one shard blindly, under a condition that also holds off the balance's mark; where that fails,
/// plan it again over a [`Snapshot`], and only that can refuse.
pub fn reserve(order: &Order<'_>, seen: Option<&Snapshot>) -> Result<Plan, Refusal> {
    let count = i64::from(order.count);
    let first = order.account.quota_shards.of(order.id.as_str());
    let parts = match seen {
        None => vec![Part { shard: first, count }],
        Some(seen) => take(seen, order.id.as_str(), count)?,
    };
    let entry = entry(order.account.id, Kind::Reserve, order.id.clone(), &order.about, parts, order.at);
    let units = units(&entry);
    let mut plan = Plan { writes: Vec::new(), units, crossing: None, entry };
    if count == 0 {
        return Ok(plan);
    }
    plan.crossing = seen.and_then(|seen| order.watch.crossing(order.account.id, seen, count));
    plan.writes.push(plan.entry.create()?);
    for part in &plan.entry.parts {
        let write = change(&plan.entry, part);
        plan.writes.push(match (seen, &plan.crossing) {
            // Above its mark after this, whatever the other shards hold: nobody has to be told.
            (None, _) => write.when("#available >= :held").value("held", count + order.watch.mark()),
            // What is told to people has to be so: no more than was seen.
            (Some(seen), Some(_)) => {
                let stood = seen.shards.get(usize::from(part.shard)).map_or(0, |shard| shard.balance.available);
                write.when("#available <= :stood").value("stood", stood)
            }
            (Some(_), None) => write,
        });
    }
    plan.writes.extend(share(&plan.entry));
    if let Some(seen) = seen {
        plan.writes.extend(order.watch.writes(order.account.id, seen, count, plan.crossing.as_ref(), order.at)?);
    }
    Ok(plan)
}

/// The transactions of a reservation, in order: the same for the entry that is planned and for the one that is found.
pub fn units(reservation: &Entry) -> Vec<Unit> {
    reservation.parts.iter().flat_map(|part| (0..part.count).map(|_| Unit::on(part.shard))).collect()
}

/// Consumes one reserved transaction.
pub fn consume(account: AccountId, id: EntryId, about: &About, unit: Unit, at: Timestamp) -> Result<Plan, Failure> {
    planned(entry(account, Kind::Consume, id, about, vec![Part { shard: unit.shard(), count: 1 }], at))
}

/// Gives back reserved transactions that were not used: each to the shard that it came from.
pub fn release(account: AccountId, id: EntryId, about: &About, units: &[Unit], at: Timestamp) -> Result<Plan, Failure> {
    let mut counts = BTreeMap::<u8, i64>::new();
    for unit in units {
        *counts.entry(unit.shard()).or_default() += 1;
    }
    let parts = counts.into_iter().map(|(shard, count)| Part { shard, count }).collect();
    planned(entry(account, Kind::Release, id, about, parts, at))
}

/// Adds bought transactions, evenly to all shards.
pub fn topup(
    account: AccountId,
    id: EntryId,
    transactions: u32,
    reference: Option<String>,
    watch: &Watch,
    seen: &Snapshot,
    at: Timestamp,
) -> Result<Plan, Failure> {
    let parts = spread(seen, id.as_str(), i64::from(transactions));
    let mut plan = planned(Entry { reference, ..entry(account, Kind::Topup, id, &About::default(), parts, at) })?;
    plan.writes.extend(watch.relief(account, seen, i64::from(transactions)));
    Ok(plan)
}

/// Sets right what was bought: `change` more, or fewer where it is negative.
pub fn correct(
    account: AccountId,
    id: EntryId,
    change: i64,
    reason: String,
    seen: &Snapshot,
    at: Timestamp,
) -> Result<Plan, Refusal> {
    let parts = if change < 0 {
        let taken = take(seen, id.as_str(), -change)?;
        taken.into_iter().map(|part| Part { count: -part.count, ..part }).collect()
    } else {
        spread(seen, id.as_str(), change)
    };
    let entry = entry(account, Kind::Correction, id, &About::default(), parts, at);
    Ok(planned(Entry { reference: Some(reason), ..entry })?)
}

/// Moves what is available so that all shards hold about the same; none where they do.
pub fn level(account: AccountId, id: EntryId, seen: &Snapshot, at: Timestamp) -> Result<Option<Plan>, Failure> {
    let wanted = spread(seen, "", seen.total().available);
    let goal = |shard: usize| wanted.iter().find(|part| usize::from(part.shard) == shard).map_or(0, |part| part.count);
    let moves = seen
        .shards
        .iter()
        .zip(0_u8..)
        .map(|(stands, shard)| Part { shard, count: goal(usize::from(shard)) - stands.balance.available });
    let parts: Vec<Part> = moves.filter(|part| part.count != 0).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    planned(entry(account, Kind::Move, id, &About::default(), parts, at)).map(Some)
}

/// Several steps of an account in one transaction. DynamoDB takes one change of an item in it: what they do to a shard, or to a group's share on
/// it, is added up.
pub fn together(account: AccountId, plans: &[Plan]) -> Result<Vec<Write>, Failure> {
    let entries = || plans.iter().map(|plan| &plan.entry).filter(|entry| !entry.parts.is_empty());
    let mut writes = entries().map(Entry::create).collect::<Result<Vec<_>, _>>()?;
    let mut shards = BTreeMap::<u8, (Balance, i64)>::new();
    let mut of_groups = BTreeMap::<(u8, &str), Balance>::new();
    for entry in entries() {
        for part in &entry.parts {
            let (by, count) = shards.entry(part.shard).or_default();
            (*by, *count) = (*by + entry.kind.effect(part.count), *count + 1);
        }
        if let (Some(group), Some(first)) = (entry.group.as_deref(), entry.parts.first()) {
            let by = of_groups.entry((first.shard, group)).or_default();
            *by = *by + entry.kind.effect(entry.transactions);
        }
    }
    writes.extend(shards.into_iter().map(|(shard, (by, count))| change_by(account, shard, by, count)));
    writes.extend(of_groups.into_iter().map(|((shard, group), by)| share_by(account, shard, group, by)));
    Ok(writes)
}

/// `count` from as few shards as it takes: from the one of the id where that has them, else from the fullest on.
fn take(seen: &Snapshot, id: &str, count: i64) -> Result<Vec<Part>, Refusal> {
    let available = seen.total().available;
    if available < count {
        let natural = |number: i64| u64::try_from(number).unwrap_or_default();
        return Err(Refusal::Exhausted(Exhausted { requested: natural(count), available: natural(available) }));
    }
    let first = seen.count.of(id);
    let mut shards: Vec<(u8, i64)> = (0_u8..).zip(seen.shards.iter().map(|shard| shard.balance.available)).collect();
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
fn spread(seen: &Snapshot, id: &str, count: i64) -> Vec<Part> {
    let shards = i64::from(seen.count.count());
    let first = i64::from(seen.count.of(id));
    let part = |shard: u8| {
        let odd = (i64::from(shard) - first).rem_euclid(shards) < count % shards;
        Part { shard, count: count / shards + i64::from(odd) }
    };
    // The entry is listed by its first part.
    let mut parts: Vec<Part> = seen.count.each().map(part).filter(|part| part.count > 0).collect();
    parts.sort_by_key(|part| (i64::from(part.shard) - first).rem_euclid(shards));
    parts
}

fn entry(account: AccountId, kind: Kind, id: EntryId, about: &About, parts: Vec<Part>, at: Timestamp) -> Entry {
    let transactions = if kind == Kind::Move {
        parts.iter().map(|part| part.count.max(0)).sum()
    } else {
        parts.iter().map(|part| part.count).sum()
    };
    let About { agreement, recipient, group } = about.clone();
    Entry { id, account, kind, transactions, parts, agreement, recipient, group, reference: None, at }
}

/// The entry and what it does, with no more to it.
fn planned(entry: Entry) -> Result<Plan, Failure> {
    let mut writes = Vec::new();
    if !entry.parts.is_empty() {
        writes.push(entry.create()?);
        writes.extend(entry.parts.iter().map(|part| change(&entry, part)));
        writes.extend(share(&entry));
    }
    Ok(Plan { entry, writes, units: Vec::new(), crossing: None })
}

/// What a part of an entry does to its shard: nothing gets below zero.
fn change(entry: &Entry, part: &Part) -> Write {
    change_by(entry.account, part.shard, entry.kind.effect(part.count), 1)
}

/// What so many entries do to a shard.
fn change_by(account: AccountId, shard: u8, by: Balance, entries: i64) -> Write {
    let Balance { available, reserved, consumed } = by;
    let changed = [("available", available), ("reserved", reserved), ("consumed", consumed)];
    let mut write = Write::update(keys::balance(account, shard), "ADD #entries :more").value("more", entries);
    for (name, by) in changed.into_iter().filter(|(_, by)| *by != 0) {
        write = write.and(&format!(", #{name} :{name}")).value(name, by);
        if by < 0 {
            write = write.when(format!("#{name} >= :least_{name}")).value(&format!("least_{name}"), -by);
        }
    }
    write
}

/// What an entry does to its group's share, on the shard that it begins at. Only the sum over the shards means something.
fn share(entry: &Entry) -> Option<Write> {
    let group = entry.group.as_deref()?;
    let shard = entry.parts.first()?.shard;
    Some(share_by(entry.account, shard, group, entry.kind.effect(entry.transactions)))
}

fn share_by(account: AccountId, shard: u8, group: &str, by: Balance) -> Write {
    let write = Write::update(keys::quota_share(account, shard, group), "ADD #reserved :reserved, #consumed :consumed");
    write.value("reserved", by.reserved).value("consumed", by.consumed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::balance::{Notice, Shard, Shards};
    use super::*;

    fn seen(available: &[i64]) -> Snapshot {
        let shard = |available: &i64| Shard { balance: Balance { available: *available, ..Balance::default() }, entries: 1 };
        let count = Shards::new(u8::try_from(available.len()).unwrap()).unwrap();
        Snapshot { count, shards: available.iter().map(shard).collect(), notice: Notice::default() }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_there_and_is_refused_only_where_the_sum_is_too_little(
            available in prop::collection::vec(0_i64..50, 1..=8), count in 1_i64..200, id in "[a-z]{1,8}",
        ) {
            let seen = seen(&available);
            let total: i64 = available.iter().sum();
            match take(&seen, &id, count) {
                Ok(parts) => {
                    prop_assert!(total >= count);
                    prop_assert_eq!(parts.iter().map(|part| part.count).sum::<i64>(), count);
                    prop_assert!(parts.iter().all(|part| 0 < part.count && part.count <= available[usize::from(part.shard)]));
                    let own = available[usize::from(seen.count.of(&id))];
                    prop_assert!(own < count || parts.len() == 1, "one shard where one is enough");
                }
                Err(Refusal::Exhausted(refused)) => {
                    prop_assert!(total < count);
                    prop_assert_eq!(refused, Exhausted { requested: count.unsigned_abs(), available: total.unsigned_abs() });
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn what_is_spread_is_spread_evenly(shards in 1_usize..=8, count in 0_i64..1_000, id in "[a-z]{1,8}") {
            let seen = seen(&vec![0; shards]);
            let parts = spread(&seen, &id, count);
            prop_assert_eq!(parts.iter().map(|part| part.count).sum::<i64>(), count);
            let least = parts.iter().map(|part| part.count).min().unwrap_or_default();
            let most = parts.iter().map(|part| part.count).max().unwrap_or_default();
            prop_assert!(most - least <= 1);
        }

        #[test]
        fn levelling_changes_no_sum_and_leaves_nothing_to_level(available in prop::collection::vec(0_i64..50, 1..=8)) {
            let account = AccountId::from_bytes([1; 16]);
            let plan = level(account, EntryId::named("move"), &seen(&available), Timestamp::default()).unwrap();
            let mut after = available.clone();
            for part in plan.iter().flat_map(|plan| &plan.entry.parts) {
                after[usize::from(part.shard)] += part.count;
            }
            prop_assert_eq!(after.iter().sum::<i64>(), available.iter().sum::<i64>());
            prop_assert!(after.iter().all(|stands| *stands >= 0));
            prop_assert!(level(account, EntryId::named("again"), &seen(&after), Timestamp::default()).unwrap().is_none());
        }
    }

    #[test]
    fn what_takes_nothing_gets_nobody_below_anything() {
        let account = serde_json::json!({
            "id": AccountId::from_bytes([1; 16]), "name": "Alder", "plan": "business", "created_at": 0, "version": 1,
            "settings_version": 1, "audit_seq": 0, "audit_hash": "",
        });
        let account: Account = serde_json::from_value(account).unwrap();
        let (low, settings) = (seen(&[9]), crate::account::Settings { contacts: vec!["a@b.c".into()], ..Default::default() });
        let watch = Watch::of(&account, &settings);
        let order = |count| Order {
            account: &account,
            id: EntryId::named("r"),
            about: About::default(),
            count,
            watch: &watch,
            at: Timestamp::default(),
        };
        let nothing = reserve(&order(0), Some(&low)).unwrap();
        assert!(nothing.crossing.is_none() && nothing.writes.is_empty());
        let crossing = reserve(&order(1), Some(&low)).unwrap().crossing.unwrap();
        assert_eq!((crossing.available, crossing.mails.len()), (8, 1));
    }

    #[test]
    fn several_steps_change_each_shard_once() {
        let account = AccountId::from_bytes([1; 16]);
        let about = About { group: Some("sales".into()), ..About::default() };
        let (own, others) = (Unit::on(2), [2, 5, 2].map(Unit::on));
        let consumed = consume(account, EntryId::named("c"), &about, own, Timestamp::default()).unwrap();
        let released = release(account, EntryId::named("r"), &about, &others, Timestamp::default()).unwrap();
        let nothing = release(account, EntryId::named("n"), &about, &[], Timestamp::default()).unwrap();
        let writes = together(account, &[consumed, released, nothing]).unwrap();
        let keys: Vec<_> = writes.iter().map(Write::key).collect();
        let entry = |id| keys::ledger_entry(account, id);
        let shard = |shard| keys::balance(account, shard);
        let expected = [entry("c"), entry("r"), shard(2), shard(5), keys::quota_share(account, 2, "sales")];
        assert_eq!(keys.into_iter().cloned().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn released_units_go_back_to_where_they_came_from() {
        let units = [3, 0, 3].map(Unit::on);
        let plan = release(AccountId::from_bytes([1; 16]), EntryId::named("x"), &About::default(), &units, Timestamp::default());
        let plan = plan.unwrap();
        assert_eq!(plan.entry.parts, [Part { shard: 0, count: 1 }, Part { shard: 3, count: 2 }]);
        assert_eq!((plan.entry.transactions, plan.writes.len()), (3, 3));
    }
}
