//! What can be wrong with a report, in words for whoever was handed it.

use std::fmt;

use crate::kernel::json::Unreadable;

/// What is wrong with a report. Places are JSON Pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The file is larger than any part of a report.
    TooLarge,
    /// The file is no JSON, or JSON that says two things.
    Unreadable(Unreadable),
    /// A report has something in this place.
    Missing(String),
    /// A report has nothing in this place.
    Unknown(String),
    /// A report has in this place what the second part names.
    Retyped(String, &'static str),
    /// The signature is by none of the keys, or over something else.
    Forged(&'static str),
    /// What the file says in this place is not what was signed.
    Restated(&'static str),
    /// The entry is not what its hash says, or not what the entry after it follows from.
    Altered(u64),
    /// The entry is not there.
    Dropped(u64),
    /// Entries from this one to that one are not there, and they were the last of the part.
    CutOff(u64, u64),
    /// The entry does not stand in its place.
    Moved(u64),
    /// The entry stands there more than once, or the part never had it.
    Added(u64),
    /// All entries follow from each other, and yet the last, this one, is not the one that was
    /// signed.
    MadeAnew(u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                f.write_str("this is not an audit report: it is larger than a report can be")
            }
            Self::Unreadable(Unreadable::Malformed { line, column }) => {
                write!(
                    f,
                    "this is not an audit report: it is not JSON at line {line} column {column}"
                )
            }
            Self::Unreadable(why) => write!(f, "this is not an audit report: {why}"),
            Self::Missing(place) => write!(f, "this is not an audit report: it has no {place}"),
            Self::Unknown(place) => write!(f, "{place} was added: a report has no such member"),
            Self::Retyped(place, kind) if place.is_empty() => {
                write!(f, "this is not an audit report: it is not {kind}")
            }
            Self::Retyped(place, kind) => write!(f, "{place} was altered: it is not {kind}"),
            Self::Forged(why) => write!(f, "the signature does not hold: {why}"),
            Self::Restated(what) => write!(f, "{what} was altered: it is not what was signed"),
            Self::Altered(sequence) => write!(f, "entry {sequence} was altered"),
            Self::Dropped(sequence) => write!(f, "entry {sequence} was dropped"),
            Self::CutOff(first, last) if first == last => {
                write!(f, "entry {last}, the last, was cut off")
            }
            Self::CutOff(first, last) => {
                write!(f, "entries {first} to {last}, the last ones, were cut off")
            }
            Self::Moved(sequence) => write!(f, "entry {sequence} was moved"),
            Self::Added(sequence) => write!(f, "entry {sequence} was added"),
            Self::MadeAnew(last) => write!(
                f,
                "entry {last}, the last one, is not the one that was signed: it or an earlier entry was altered and the hashes were recomputed"
            ),
        }
    }
}
