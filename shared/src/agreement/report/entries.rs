//! What was done to the entries of a part since it was signed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::finding::Finding;
use super::statement::Statement;
use crate::store::audit;

/// How many entries in a row are named one by one as dropped.
const LISTED_MAX: usize = 100;

/// An entry as it stands in the file.
pub(super) struct Entry<'a> {
    sequence: u64,
    pub(super) hash: &'a str,
    pub(super) previous: &'a str,
    /// Whether it has the hash that it says, and is of the agreement that was signed.
    is_sound: bool,
}

impl<'a> Entry<'a> {
    /// An entry that has the members that an entry has.
    pub(super) fn read(entry: &'a Value, statement: &Statement) -> Option<Self> {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let hash = text("hash")?;
        let mut unhashed = entry.clone();
        unhashed.as_object_mut()?.remove("hash");
        let own = audit::canonical_hash(&unhashed).is_ok_and(|digest| digest == hash);
        let ours = text("subject") == Some(&statement.agreement)
            && text("account") == Some(&statement.account);
        let sequence = entry.get("sequence").and_then(Value::as_u64)?;
        Some(Self {
            sequence,
            hash,
            previous: text("previous")?,
            is_sound: own && ours,
        })
    }
}

/// What was done to them.
pub(super) fn changes(entries: &[Entry<'_>], statement: &Statement) -> Vec<Finding> {
    let (first, last) = (statement.part.first, statement.part.last);
    let mut findings = missing(entries, first, last);
    let in_order = in_order(entries);
    let mut met = BTreeSet::new();
    for (place, entry) in entries.iter().enumerate() {
        if !met.insert(entry.sequence) || !(first..=last).contains(&entry.sequence) {
            findings.push(Finding::Added(entry.sequence));
        } else if !in_order.contains(&place) {
            findings.push(Finding::Moved(entry.sequence));
        }
        if !entry.is_sound {
            findings.push(Finding::Altered(entry.sequence));
        }
    }
    let unlinked = unlinked(entries, statement);
    let only_the_last = unlinked.iter().eq([&last]) && findings.is_empty();
    if only_the_last && last > first {
        return vec![Finding::MadeAnew(last)];
    }
    findings.extend(unlinked.into_iter().map(Finding::Altered));
    findings
}

/// The places of a longest run of entries that stand in their order: those beside it are the fewest
/// that can have been moved.
fn in_order(entries: &[Entry<'_>]) -> BTreeSet<usize> {
    // For each length, where the run of that length ends that ends lowest; and for each entry,
    // which one it follows in its run.
    let mut ends: Vec<(u64, usize)> = Vec::new();
    let mut follows: Vec<Option<usize>> = Vec::with_capacity(entries.len());
    let mut met = BTreeSet::new();
    for (place, entry) in entries.iter().enumerate() {
        if !met.insert(entry.sequence) {
            follows.push(None);
            continue;
        }
        let before = ends.partition_point(|(sequence, _)| *sequence < entry.sequence);
        follows.push(
            before
                .checked_sub(1)
                .and_then(|run| ends.get(run))
                .map(|(_, place)| *place),
        );
        match ends.get_mut(before) {
            Some(end) => *end = (entry.sequence, place),
            None => ends.push((entry.sequence, place)),
        }
    }
    let last = ends.last().map(|(_, place)| *place);
    std::iter::successors(last, |place| follows.get(*place).copied().flatten()).collect()
}

/// The entries of the part that are not there.
fn missing(entries: &[Entry<'_>], first: u64, last: u64) -> Vec<Finding> {
    let there: BTreeSet<u64> = entries
        .iter()
        .map(|entry| entry.sequence)
        .filter(|one| (first..=last).contains(one))
        .collect();
    let reached = there.last().copied();
    let mut wanted = first;
    let mut findings = Vec::new();
    for sequence in there {
        findings.extend((wanted..sequence).take(LISTED_MAX).map(Finding::Dropped));
        wanted = sequence + 1;
    }
    if reached != Some(last) {
        findings.push(Finding::CutOff(wanted, last));
    }
    findings
}

/// Entries that have the hash they say, and that what follows does not follow from. An entry whose
/// hash was made anew is found by the one after it, which names the hash that it had.
fn unlinked(entries: &[Entry<'_>], statement: &Statement) -> Vec<u64> {
    let by_sequence: BTreeMap<u64, &Entry<'_>> = entries
        .iter()
        .map(|entry| (entry.sequence, entry))
        .collect();
    let named = |sequence: u64| {
        if sequence == statement.part.last {
            return Some(statement.part.hash.as_str());
        }
        by_sequence
            .get(&(sequence.checked_add(1)?))
            .filter(|next| next.is_sound)
            .map(|next| next.previous)
    };
    let differs =
        |entry: &&&Entry<'_>| named(entry.sequence).is_some_and(|named| named != entry.hash);
    let sound = by_sequence.values().filter(|entry| entry.is_sound);
    let mut found: Vec<u64> = sound.filter(differs).map(|entry| entry.sequence).collect();
    if by_sequence
        .get(&1)
        .is_some_and(|first| first.is_sound && !first.previous.is_empty())
    {
        found.push(1);
    }
    found
}
