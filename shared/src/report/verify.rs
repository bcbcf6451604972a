//! Whether a report is what the service signed, and if not, which entry was altered, dropped, moved or cut off.
//!
//! The hashes are taken over what stands in the file, not over what this program would read of it: a member that somebody added to
//! an entry shows as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::{Statement, TYPE};
use crate::audit;

/// What is wrong with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The file is no report.
    NotAReport(&'static str),
    /// The signature is by none of the keys, or over something else.
    Forged(&'static str),
    /// What the file says in this place is not what was signed.
    Restated(&'static str),
    /// The entry is not what its hash says, or not what the entry after it follows from.
    Altered(u64),
    /// The entry is not there.
    Dropped(u64),
    /// Entries from this one to that one are not there, and they were the last.
    CutOff(u64, u64),
    /// The entry does not stand in its place.
    Moved(u64),
    /// The entry stands there more than once, or the chain never had it.
    Added(u64),
    /// All entries follow from each other, and yet the last, this one, is not the one that was signed.
    MadeAnew(u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAReport(why) => write!(f, "this is no audit report: {why}"),
            Self::Forged(why) => write!(f, "the signature does not hold: {why}"),
            Self::Restated(what) => write!(f, "{what} was altered: it is not what was signed"),
            Self::Altered(sequence) => write!(f, "entry {sequence} was altered"),
            Self::Dropped(sequence) => write!(f, "entry {sequence} was dropped"),
            Self::CutOff(first, last) if first == last => write!(f, "entry {last}, the last, was cut off"),
            Self::CutOff(first, last) => write!(f, "entries {first} to {last}, the last ones, were cut off"),
            Self::Moved(sequence) => write!(f, "entry {sequence} was moved"),
            Self::Added(sequence) => write!(f, "entry {sequence} was added"),
            Self::MadeAnew(last) => write!(
                f,
                "entry {last}, the last, is not the one that was signed: it was altered, or one before it was and the hashes were made anew"
            ),
        }
    }
}

/// The public keys, as `/.well-known/jwks.json` gives them.
#[derive(Debug, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Debug, Deserialize)]
struct Jwk {
    kid: String,
    n: String,
    e: String,
}

/// An entry as it stands in the file.
struct Entry<'a> {
    sequence: u64,
    hash: &'a str,
    previous: &'a str,
    /// Whether it has the hash that it says, and is of the agreement that was signed.
    sound: bool,
}

/// What the service signed, if the report is exactly that. `report` and `jwks` are the files' text.
pub fn verify(report: &str, jwks: &str) -> Result<Statement, Vec<Finding>> {
    let report: Value = serde_json::from_str(report).map_err(|_| vec![Finding::NotAReport("it is not JSON")])?;
    let Some(entries) = report.get("entries").and_then(Value::as_array) else {
        return Err(vec![Finding::NotAReport("it has no entries")]);
    };
    let signed = report.get("signature").and_then(Value::as_str).ok_or("it has none");
    let statement = signed.and_then(|signed| statement(signed, jwks)).map_err(|why| vec![Finding::Forged(why)])?;
    let entries = entries.iter().map(|entry| Entry::read(entry, &statement)).collect::<Option<Vec<_>>>();
    let entries = entries.ok_or_else(|| vec![Finding::NotAReport("an entry has no sequence, hash or previous hash")])?;
    let mut findings = restated(&report, &statement);
    findings.extend(changed(&entries, &statement));
    if findings.is_empty() { Ok(statement) } else { Err(findings) }
}

/// What a signature is over, if one of the keys made it.
fn statement(signed: &str, keys: &str) -> Result<Statement, &'static str> {
    let keys: Jwks = serde_json::from_str(keys).map_err(|_| "the file of keys is no JWKS of ours")?;
    let header = jsonwebtoken::decode_header(signed).map_err(|_| "it is no JWS")?;
    if header.alg != Algorithm::RS256 || header.typ.as_deref() != Some(TYPE) {
        return Err("it is not a report's");
    }
    let key = keys.keys.iter().find(|key| header.kid.as_deref() == Some(key.kid.as_str()));
    let key = key.ok_or("none of the keys has the id that it names")?;
    let key = DecodingKey::from_rsa_components(&key.n, &key.e).map_err(|_| "the key that it names is no RSA key")?;
    // A report is as good in ten years as today: it has no expiry, and no audience.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Statement>(signed, &key, &validation);
    decoded.map(|token| token.claims).map_err(|_| "the key that it names did not make it")
}

impl<'a> Entry<'a> {
    fn read(entry: &'a Value, statement: &Statement) -> Option<Self> {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let hash = text("hash")?;
        let mut unhashed = entry.clone();
        unhashed.as_object_mut()?.remove("hash");
        let own = audit::canonical_hash(&unhashed).is_ok_and(|digest| digest == hash);
        let ours = text("subject") == Some(&statement.agreement) && text("account") == Some(&statement.account);
        let sequence = entry.get("sequence").and_then(Value::as_u64)?;
        Some(Self { sequence, hash, previous: text("previous")?, sound: own && ours })
    }
}

/// What the file says beside its entries, and was not signed so.
fn restated(report: &Value, statement: &Statement) -> Vec<Finding> {
    let says = |pointer: &str| report.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let part = |name: &str| report.get(name).cloned().unwrap_or_default();
    let summary = super::summary(&part("agreement"), &part("recipients")).unwrap_or_default();
    let count = report.get("count").and_then(Value::as_u64);
    let told = [
        ("what is said of the agreement and its recipients", summary == statement.summary),
        ("the agreement's id", says("/agreement/id") == statement.agreement),
        ("the count of entries", count == Some(statement.count)),
        ("the hash of the last entry", says("/head") == statement.head),
        ("the time of the report", says("/issued_at") == statement.issued_at),
    ];
    told.into_iter().filter(|(_, so)| !so).map(|(what, _)| Finding::Restated(what)).collect()
}

/// What was done to the entries.
fn changed(entries: &[Entry<'_>], statement: &Statement) -> Vec<Finding> {
    let count = statement.count;
    let mut findings = missing(entries, count);
    let in_order = in_order(entries);
    let mut met = BTreeSet::new();
    for (place, entry) in entries.iter().enumerate() {
        if !met.insert(entry.sequence) || entry.sequence == 0 || entry.sequence > count {
            findings.push(Finding::Added(entry.sequence));
        } else if !in_order.contains(&place) {
            findings.push(Finding::Moved(entry.sequence));
        }
        if !entry.sound {
            findings.push(Finding::Altered(entry.sequence));
        }
    }
    findings.extend(unlinked(entries, statement, &findings));
    findings
}

/// The places of a longest run of entries that stand in their order: those beside it are the fewest that can have been moved.
fn in_order(entries: &[Entry<'_>]) -> BTreeSet<usize> {
    let mut runs: Vec<(u64, usize)> = Vec::with_capacity(entries.len());
    let mut met = BTreeSet::new();
    for entry in entries {
        if !met.insert(entry.sequence) {
            // It stands there already.
            runs.push((entry.sequence, 0));
            continue;
        }
        let before = runs.iter().filter(|(sequence, _)| *sequence < entry.sequence).map(|(_, length)| *length).max();
        runs.push((entry.sequence, before.unwrap_or_default() + 1));
    }
    let mut wanted = runs.iter().map(|(_, length)| *length).max().unwrap_or_default();
    let mut below = u64::MAX;
    let mut places = BTreeSet::new();
    for (place, (sequence, length)) in runs.iter().enumerate().rev() {
        if wanted > 0 && *length == wanted && *sequence < below {
            places.insert(place);
            (wanted, below) = (wanted - 1, *sequence);
        }
    }
    places
}

/// The entries that are not there.
fn missing(entries: &[Entry<'_>], count: u64) -> Vec<Finding> {
    let there: BTreeSet<u64> = entries.iter().map(|entry| entry.sequence).filter(|sequence| *sequence <= count).collect();
    let last = there.last().copied().unwrap_or_default();
    let mut before = 0;
    let mut findings = Vec::new();
    // Between two that are there: a forged count makes no longer list than the file itself bounds it to.
    for sequence in there {
        findings.extend((before + 1..sequence).take(LISTED_MAX).map(Finding::Dropped));
        before = sequence;
    }
    if last < count {
        findings.push(Finding::CutOff(last + 1, count));
    }
    findings
}

/// How many entries in a row are named one by one as dropped.
const LISTED_MAX: usize = 100;

/// Entries that have the hash they say, and that what follows does not follow from. An entry whose hash was made anew is found by
/// the one after it, which names the hash that it had.
fn unlinked(entries: &[Entry<'_>], statement: &Statement, found: &[Finding]) -> Vec<Finding> {
    let by_sequence: BTreeMap<u64, &Entry<'_>> = entries.iter().map(|entry| (entry.sequence, entry)).collect();
    let mut findings = Vec::new();
    for entry in by_sequence.values().filter(|entry| entry.sound) {
        let next = by_sequence.get(&(entry.sequence + 1)).filter(|next| next.sound);
        let named =
            if entry.sequence == statement.count { Some(statement.head.as_str()) } else { next.map(|next| next.previous) };
        if named.is_some_and(|named| named != entry.hash) && !found.contains(&Finding::Altered(entry.sequence)) {
            findings.push(Finding::Altered(entry.sequence));
        }
    }
    if by_sequence.get(&1).is_some_and(|first| first.sound && !first.previous.is_empty()) {
        findings.push(Finding::Altered(1));
    }
    let only_the_last = findings.as_slice() == [Finding::Altered(statement.count)] && found.is_empty();
    if only_the_last && statement.count > 1 { vec![Finding::MadeAnew(statement.count)] } else { findings }
}
