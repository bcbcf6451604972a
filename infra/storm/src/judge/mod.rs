//! The judge: pure, from a history to what of it breaks a promise of the contract. Where an answer
//! is missing, or is one of a fault, either may have been, and nobody is blamed for what only might
//! be so.
//!
//! | module | promise |
//! | --- | --- |
//! | `signing` | nobody completes unverified |
//! | `once` | no code, link, session or one-time code counts twice |
//! | `evidence` | nobody is let in but by a code that was sent, in its time |
//! | `mails` | a mail goes once, but where its worker was cut short |
//! | `floods` | nobody's mailbox or phone is flooded |
//! | `limits` | nothing is refused at a known address for what strangers did |
//! | `challenges` | a sign-in that was begun can be finished |
//! | `sums` | sums are exact, and entries are what was answered |
//! | `chains` | every chain is whole, and tells what was answered |
//! | `due` | what the clean-up calls done is done |
//! | `faults` | a fault is told as one, and nothing breaks within |

mod chains;
mod challenges;
mod due;
mod evidence;
mod faults;
mod floods;
mod index;
mod limits;
mod mails;
mod once;
mod signing;
mod sums;
#[cfg(test)]
mod told;

use crate::history::History;
use index::Index;

/// What the contract promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each has its sentence")]
pub enum Promise {
    Signing,
    Once,
    Evidence,
    Mails,
    Floods,
    Limits,
    Challenges,
    Sums,
    Chains,
    Due,
    Faults,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Signing,
        Self::Once,
        Self::Evidence,
        Self::Mails,
        Self::Floods,
        Self::Limits,
        Self::Challenges,
        Self::Sums,
        Self::Chains,
        Self::Due,
        Self::Faults,
    ];

    /// Its sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signing => "nobody completes unverified",
            Self::Once => "no code, link, session or one-time code counts twice",
            Self::Evidence => "nobody is let in but by a code that was sent, in its time",
            Self::Mails => "a mail goes once, but where its worker was cut short",
            Self::Floods => "nobody's mailbox or phone is flooded",
            Self::Limits => "nothing is refused at a known address for what strangers did",
            Self::Challenges => "a sign-in that was begun can be finished",
            Self::Sums => "sums are exact, and entries are what was answered",
            Self::Chains => "every chain is whole, and tells what was answered",
            Self::Due => "what the clean-up calls done is done",
            Self::Faults => "a fault is told as one, and nothing breaks within",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub promise: Promise,
    /// How, in a sentence, with the numbers of the calls.
    pub what: String,
}

/// What breaks one promise.
type Broken = fn(&Index<'_>) -> Vec<String>;

/// Everything in a history that breaks a promise.
pub fn judge(history: &History) -> Vec<Finding> {
    let index = Index::of(history);
    let each: [(Promise, Broken); 11] = [
        (Promise::Signing, signing::broken),
        (Promise::Once, once::broken),
        (Promise::Evidence, evidence::broken),
        (Promise::Mails, mails::broken),
        (Promise::Floods, floods::broken),
        (Promise::Limits, limits::broken),
        (Promise::Challenges, challenges::broken),
        (Promise::Sums, sums::broken),
        (Promise::Chains, chains::broken),
        (Promise::Due, due::broken),
        (Promise::Faults, faults::broken),
    ];
    let findings = each.into_iter().flat_map(|(promise, broken)| {
        broken(&index)
            .into_iter()
            .map(move |what| Finding { promise, what })
    });
    findings.collect()
}
