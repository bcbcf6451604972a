//! Whether parts of a report are one chain with nothing missing between.
//!
//! Parts are made one after another, and meanwhile the chain grows. Each says how far it had got; a
//! part begins at the same entry whenever it is made. So parts of different moments fit together,
//! and what they are together is the chain up to where the furthest of them ends.

use std::collections::BTreeMap;
use std::fmt;

use super::statement::Statement;
use super::verify::Verified;

/// Why parts are no chain. Files are named by their place, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The file is of another agreement than the first.
    OtherAgreement(usize),
    /// The two files have another entry of this sequence, each signed.
    Contradicted(u64, usize, usize),
    /// None of the files has these entries.
    NotThere(u64, u64),
    /// The entry does not follow from the one before it.
    Unlinked(u64),
    /// The file was signed when the chain ended with this entry, which is another here.
    OtherHead(usize, u64),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherAgreement(file) => {
                write!(f, "file {file} is of another agreement than file 1")
            }
            Self::Contradicted(sequence, one, other) => {
                write!(
                    f,
                    "entry {sequence} is one in file {one} and another in file {other}: both were signed"
                )
            }
            Self::NotThere(first, last) if first == last => {
                write!(f, "entry {first} stands in none of the files")
            }
            Self::NotThere(first, last) => {
                write!(f, "entries {first} to {last} stand in none of the files")
            }
            Self::Unlinked(sequence) => write!(
                f,
                "entry {sequence} does not follow from entry {}",
                sequence - 1
            ),
            Self::OtherHead(file, count) => {
                write!(
                    f,
                    "file {file} was signed when the chain ended with entry {count}, and that was another than this one"
                )
            }
        }
    }
}

/// Parts that are one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// What was signed with the part that ends the chain.
    pub end: Statement,
    /// What was signed last, where that says that entries have come since, which are in none of the
    /// files.
    pub since: Option<Statement>,
}

/// The chain that `parts` are together, in whatever order they come. Of two that reach equally far
/// the one that knows of more entries is the newer: a chain only grows.
pub fn join(parts: &[Verified]) -> Result<Joined, Vec<JoinError>> {
    let mut discords = others(parts);
    let Some(end) = parts
        .iter()
        .map(|part| &part.statement)
        .max_by_key(|one| (one.part.last, one.count))
    else {
        return Err(vec![JoinError::NotThere(1, 1)]);
    };
    if discords.is_empty() {
        let hashes = hashes(parts, &mut discords);
        discords.extend(gaps(&hashes, end.count));
        discords.extend(parts.iter().filter_map(|part| unlinked(part, &hashes)));
        discords.extend(
            parts
                .iter()
                .zip(1..)
                .filter_map(|(part, file)| other_head(part, file, &hashes)),
        );
    }
    if !discords.is_empty() {
        return Err(discords);
    }
    let newest = parts
        .iter()
        .map(|part| &part.statement)
        .max_by_key(|one| one.count);
    Ok(Joined {
        end: end.clone(),
        since: newest.filter(|newest| newest.count > end.count).cloned(),
    })
}

fn others(parts: &[Verified]) -> Vec<JoinError> {
    let of = |part: &Verified| {
        (
            part.statement.account.clone(),
            part.statement.agreement.clone(),
        )
    };
    let first = parts.first().map(of);
    let other = |(_, part): &(usize, &Verified)| Some(of(part)) != first;
    (1..)
        .zip(parts)
        .filter(other)
        .map(|(file, _)| JoinError::OtherAgreement(file))
        .collect()
}

/// The hash of each entry that one of the parts has, and which file has it.
fn hashes<'a>(
    parts: &'a [Verified],
    discords: &mut Vec<JoinError>,
) -> BTreeMap<u64, (&'a str, usize)> {
    let mut hashes = BTreeMap::new();
    for (part, file) in parts.iter().zip(1..) {
        for (hash, sequence) in part.hashes.iter().zip(part.statement.part.first..) {
            let (before, other) = *hashes.entry(sequence).or_insert((hash.as_str(), file));
            // The rest of the two would differ as well: each entry covers the one before.
            if before != hash {
                discords.push(JoinError::Contradicted(sequence, other, file));
                break;
            }
        }
    }
    hashes
}

/// What is missing of the entries from the first to the last that there has to be.
fn gaps(hashes: &BTreeMap<u64, (&str, usize)>, last: u64) -> Vec<JoinError> {
    let mut wanted = 1;
    let mut gaps = Vec::new();
    for sequence in hashes.keys() {
        if *sequence > wanted {
            gaps.push(JoinError::NotThere(wanted, sequence - 1));
        }
        wanted = sequence + 1;
    }
    if wanted <= last {
        gaps.push(JoinError::NotThere(wanted, last));
    }
    gaps
}

fn unlinked(part: &Verified, hashes: &BTreeMap<u64, (&str, usize)>) -> Option<JoinError> {
    let first = part.statement.part.first;
    let (before, _) = hashes.get(&first.checked_sub(1)?)?;
    (*before != part.previous).then_some(JoinError::Unlinked(first))
}

fn other_head(
    part: &Verified,
    file: usize,
    hashes: &BTreeMap<u64, (&str, usize)>,
) -> Option<JoinError> {
    let Statement { count, head, .. } = &part.statement;
    let (hash, _) = hashes.get(count)?;
    (hash != head).then_some(JoinError::OtherHead(file, *count))
}

#[cfg(test)]
mod tests {
    use super::super::part::Part;
    use super::*;

    /// The first three entries, as they were signed when there were `count`.
    fn part(count: u64, issued_at: &str) -> Verified {
        let part = Part {
            number: 1,
            of: count.div_ceil(3),
            first: 1,
            last: 3,
            hash: String::new(),
        };
        let (head, issued_at) = (format!("h{count}"), issued_at.to_owned());
        let statement = Statement {
            agreement: "agr".into(),
            account: "acc".into(),
            part,
            count,
            head,
            issued_at,
            summary: String::new(),
        };
        Verified {
            statement,
            previous: String::new(),
            hashes: ["h1", "h2", "h3"].map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn which_of_two_is_newer_does_not_hang_on_how_a_time_is_written() {
        for (earlier, later) in [
            ("2026-01-01T00:00:20Z", "2026-01-01T00:00:20.25Z"),
            ("2026-01-01T00:00:20.2Z", "2026-01-01T00:00:20.25Z"),
        ] {
            let mut parts = [part(3, earlier), part(5, later)];
            assert_eq!(
                join(&parts),
                Err(vec![JoinError::NotThere(4, 5)]),
                "{later}"
            );
            parts.reverse();
            assert_eq!(
                join(&parts),
                Err(vec![JoinError::NotThere(4, 5)]),
                "{later}"
            );
        }
    }
}
