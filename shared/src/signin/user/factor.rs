//! The wrong codes of a factor, counted apart by where they come from: what strangers type wrong
//! never refuses who is at a known address.
//!
//! From the 10th in a row a delay that doubles from 30 s to an hour; at the 50th no code of that
//! origin is taken, nor sent to it, until an administrator unlocks the factor: both together are
//! the hundred of NIST SP 800-63B-4 §3.2.2. A right code from a known address clears both counts,
//! one from elsewhere the strangers' alone. A recipient of an agreement is known nowhere: all count
//! as strangers.

use serde::{Deserialize, Serialize};

use super::Method;
use super::known::Origin;
use crate::kernel::clock::{Span, Timestamp};
use crate::store::dynamo::{Path, Update};
use crate::store::rate_limit::{Allowed, Backoff};

/// Wrong codes of one origin.
pub const FACTOR_BACKOFF: Backoff = Backoff {
    free: 10,
    base: Span::seconds(30),
    cap: Span::hours(1),
    disabled_at: Some(50),
};

/// The wrong codes of a factor, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Factor {
    /// Strangers' wrong codes in a row.
    pub failures: u32,
    /// When the last of them was tried.
    pub failed_at: Timestamp,
    /// Those from known addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_failures: Option<u32>,
    /// When the last of them was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_failed_at: Option<Timestamp>,
    /// Counts the successes: a count that is taken back must not be taken from what was counted
    /// since.
    pub epoch: u64,
}

/// The wrong codes in a row of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub failures: u32,
    /// When the last was tried.
    pub failed_at: Timestamp,
}

impl Factor {
    /// The count of an origin.
    pub fn count(&self, origin: Origin) -> Count {
        match origin {
            Origin::Stranger => Count {
                failures: self.failures,
                failed_at: self.failed_at,
            },
            Origin::Known => Count {
                failures: self.known_failures.unwrap_or_default(),
                failed_at: self.known_failed_at.unwrap_or_default(),
            },
        }
    }

    /// Whether a code of this origin may be tried, or be sent to it.
    pub fn allowed(&self, origin: Origin, now: Timestamp) -> Allowed {
        let Count {
            failures,
            failed_at,
        } = self.count(origin);
        FACTOR_BACKOFF.allowed(failures, failed_at, now)
    }

    /// Whether codes of some origin are still taken without somebody unlocking the factor.
    pub fn is_of_use(&self, now: Timestamp) -> bool {
        Origin::ALL
            .iter()
            .any(|origin| self.allowed(*origin, now) != Allowed::Never)
    }

    /// The factor as it was before one code of this origin was counted.
    #[must_use]
    pub fn without_one(mut self, origin: Origin) -> Self {
        match origin {
            Origin::Stranger => self.failures = self.failures.saturating_sub(1),
            Origin::Known => {
                self.known_failures = self
                    .known_failures
                    .map(|failures| failures.saturating_sub(1));
            }
        }
        self
    }

    /// Whether something has cleared the counts since the factor was as `before`: a success, or who
    /// unlocked it.
    pub const fn was_cleared_since(&self, before: &Self) -> bool {
        self.epoch != before.epoch
    }
}

/// The counts of the factors on the item of who has them, by method.
const FACTORS: Path = Path::new("factors");

/// Counts the successes of a factor.
fn epoch(method: Method) -> Path {
    FACTORS.member(method.name()).member("epoch")
}

/// The wrong codes in a row of one origin, and when the last was tried.
fn counted(method: Method, origin: Origin) -> (Path, Path) {
    let (count, at) = match origin {
        Origin::Stranger => ("failures", "failed_at"),
        Origin::Known => ("known_failures", "known_failed_at"),
    };
    let factor = FACTORS.member(method.name());
    (factor.clone().member(count), factor.member(at))
}

/// Adds to an update of the item of who has the factor that one more of its codes is counted, under
/// the condition that its origin may try one now ([`Factor::allowed`]).
#[must_use]
pub fn count(update: Update, method: Method, origin: Origin, now: Timestamp) -> Update {
    let (failures, failed_at) = counted(method, origin);
    let may_try = FACTOR_BACKOFF.guard(&failures, &failed_at, now);
    update
        .count(failures, 0_u32, 1_u32)
        .set(failed_at, now)
        .when(may_try)
}

/// Adds the condition that no more codes of an origin were counted for the factor than `judged`
/// has: a count moves neither a version nor the head of a chain, and may have been the one that
/// locks the factor.
#[must_use]
pub fn unmoved(update: Update, method: Method, judged: &Factor, origin: Origin) -> Update {
    let (failures, _) = counted(method, origin);
    let as_judged = failures.clone().is(judged.count(origin).failures);
    update.when(failures.is_absent().or(as_judged))
}

/// Adds to an update that the one more is taken back, given the factor as it was before; under the
/// condition that nothing has cleared it ([`Factor::was_cleared_since`]).
#[must_use]
pub fn uncount(update: Update, method: Method, before: &Factor, origin: Origin) -> Update {
    let (failures, failed_at) = counted(method, origin);
    let is_counted = failures.clone().is_at_least(1_u32);
    update
        .increase(failures, -1_i64)
        .set(failed_at, before.count(origin).failed_at)
        .when(epoch(method).is(before.epoch).and(is_counted))
}

/// Adds to an update that the counts of the factor are over, as a success of this origin ends them:
/// both, or the strangers'. What is on its way to be taken back must not be taken from what is
/// counted from now on: the epoch moves.
#[must_use]
pub fn clear(update: Update, method: Method, origin: Origin) -> Update {
    let (of_strangers, _) = counted(method, Origin::Stranger);
    let update = update
        .set(of_strangers, 0_u32)
        .increase(epoch(method), 1_u32);
    match origin {
        Origin::Stranger => update,
        Origin::Known => {
            let (failures, failed_at) = counted(method, Origin::Known);
            update.remove(failures).remove(failed_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn an_origin_is_held_against_its_own_count() {
        let factor = Factor {
            failures: 50,
            failed_at: NOW,
            known_failures: Some(11),
            known_failed_at: Some(NOW),
            epoch: 0,
        };
        assert_eq!(
            factor.allowed(Origin::Stranger, NOW.plus(Span::days(9))),
            Allowed::Never
        );
        assert_eq!(
            factor.allowed(Origin::Known, NOW),
            Allowed::From(NOW.plus(Span::minutes(1)))
        );
        assert_eq!(
            factor.allowed(Origin::Known, NOW.plus(Span::minutes(1))),
            Allowed::Now
        );
        assert!(factor.is_of_use(NOW));
        assert!(
            !Factor {
                known_failures: Some(50),
                ..factor.clone()
            }
            .is_of_use(NOW)
        );
        assert_eq!(
            factor
                .without_one(Origin::Known)
                .count(Origin::Known)
                .failures,
            10
        );
    }

    #[test]
    fn what_strangers_alone_tried_is_stored_as_before() {
        let stored = serde_json::json!({"failures": 1, "failed_at": NOW, "epoch": 2});
        let factor: Factor = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(factor).unwrap(), stored);
    }
}
