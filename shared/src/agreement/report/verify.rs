//! Whether a report is what the service signed, and if not, what was done to it.
//!
//! It is read strictly: what one reader would take and another leave, a member that stands twice or
//! that nobody knows, makes it no report. The hashes are taken over what stands in the file, not
//! over what this program would make of it.

use serde_json::Value;

use super::entries::{Entry, changes};
use super::finding::Finding;
use super::statement::Statement;
use super::{shape, summary};
use crate::kernel::json;

/// The largest file that is looked at: a part is answered by Lambda, within 6 MB, and may have been
/// indented since.
pub const SIZE_MAX: usize = 32 * 1024 * 1024;

/// A report that is what the service signed, or a part of one.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was signed.
    pub statement: Statement,
    /// What its first entry follows from: nothing, or the last entry of the part before.
    pub(super) previous: String,
    /// The hashes of its entries.
    pub(super) hashes: Vec<String>,
}

/// What the service signed, if the report is exactly that. `report` and `jwks` are the files'
/// bytes.
pub fn verify(report: &[u8], jwks: &[u8]) -> Result<Verified, Vec<Finding>> {
    if report.len() > SIZE_MAX {
        return Err(vec![Finding::TooLarge]);
    }
    let report = json::read(report).map_err(|why| vec![Finding::Unreadable(why)])?;
    let oddities = shape::oddities(&report);
    if !oddities.is_empty() {
        return Err(oddities);
    }
    let signature = report
        .get("signature")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let statement = Statement::signed(signature, jwks).map_err(|why| vec![Finding::Forged(why)])?;
    let entries = report
        .get("entries")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let entries: Vec<Entry<'_>> = entries
        .iter()
        .filter_map(|entry| Entry::read(entry, &statement))
        .collect();
    let mut findings = restated(&report, &statement);
    findings.extend(changes(&entries, &statement));
    if !findings.is_empty() {
        return Err(findings);
    }
    let previous = entries
        .first()
        .map(|first| first.previous.to_owned())
        .unwrap_or_default();
    let hashes = entries.iter().map(|entry| entry.hash.to_owned()).collect();
    Ok(Verified {
        statement,
        previous,
        hashes,
    })
}

/// What the file says beside its entries, and was not signed so.
fn restated(report: &Value, statement: &Statement) -> Vec<Finding> {
    let says = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let member = |name: &str| report.get(name).cloned().unwrap_or_default();
    let summary = summary(&member("agreement"), &member("recipients")).unwrap_or_default();
    let part = serde_json::to_value(&statement.part).unwrap_or_default();
    let count = report.get("count").and_then(Value::as_u64);
    let told = [
        (
            "what is said of the agreement and its recipients",
            summary == statement.summary,
        ),
        (
            "the agreement's id",
            says("/agreement/id") == statement.agreement,
        ),
        ("which part it is", member("part") == part),
        ("the count of entries", count == Some(statement.count)),
        (
            "the hash of the last entry",
            says("/head") == statement.head,
        ),
        (
            "the time of the report",
            says("/issued_at") == statement.issued_at,
        ),
    ];
    told.into_iter()
        .filter(|(_, so)| !so)
        .map(|(what, _)| Finding::Restated(what))
        .collect()
}
