//! The wrong codes of a factor, counted apart by where they come from: what strangers type wrong
//! never refuses who is at a known address.
//!
//! From the 10th in a row a delay that doubles from 30 s to an hour; at the 50th no code of that
//! origin is taken, nor sent to it, until an administrator unlocks the factor: both together are
//! the hundred of NIST SP 800-63B-4 §3.2.2. A right code from a known address clears both counts,
//! one from elsewhere the strangers' alone. A recipient of an agreement is known nowhere: all count
//! as strangers.

use serde::{Deserialize, Serialize};

use super::known::Origin;
use crate::kernel::clock::{Span, Timestamp};
use crate::store::dynamo::Write;
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

    /// Whether codes of no origin are refused until somebody unlocks the factor.
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
                    .map(|failures| failures.saturating_sub(1))
            }
        }
        self
    }

    /// Whether something has cleared the counts since the factor was as `before`: a success, or who
    /// unlocked it.
    pub const fn was_cleared_since(&self, before: &Self) -> bool {
        self.epoch != before.epoch
    }

    /// The factor with nothing counted.
    #[must_use]
    pub fn cleared(&self) -> Self {
        Self {
            epoch: self.epoch + 1,
            ..Self::default()
        }
    }
}

/// Names, in a write on the item of who has the factor `#m`, the counts of an origin: `#count` and
/// `#at`.
#[must_use]
pub fn named(write: Write, origin: Origin) -> Write {
    let (count, at) = attributes(origin);
    write.name("count", count).name("at", at)
}

const fn attributes(origin: Origin) -> (&'static str, &'static str) {
    match origin {
        Origin::Stranger => ("failures", "failed_at"),
        Origin::Known => ("known_failures", "known_failed_at"),
    }
}

/// Adds to an update that one more code of the factor `#m` is counted, under the condition that its
/// origin may try one now.
#[must_use]
pub fn count(update: Write, origin: Origin, now: Timestamp) -> Write {
    let counted = named(update, origin)
        .and(", #factors.#m.#count = if_not_exists(#factors.#m.#count, :none) + :one, #factors.#m.#at = :now")
        .value("none", 0_u32)
        .value("one", 1_u32)
        .value("now", now);
    FACTOR_BACKOFF.guard(counted, "#factors.#m.#count", "#factors.#m.#at", now)
}

/// Adds the condition that no more codes of an origin were counted for the factor `#m` than
/// `judged` has: a count moves neither a version nor the head of a chain, and may have been the one
/// that locks the factor.
#[must_use]
pub fn unmoved(write: Write, judged: &Factor, origin: Origin) -> Write {
    // A name that no expression uses is refused.
    write
        .name("wrong", attributes(origin).0)
        .when("attribute_not_exists(#factors.#m.#wrong) OR #factors.#m.#wrong = :wrong_judged")
        .value("wrong_judged", judged.count(origin).failures)
}

/// Adds to an update that the one more is taken back, given the factor as it was before; under the
/// condition that nothing has cleared it.
#[must_use]
pub fn uncount(update: Write, before: &Factor, origin: Origin) -> Write {
    named(update, origin)
        .and(", #factors.#m.#count = #factors.#m.#count - :one, #factors.#m.#at = :failed_at")
        .when("#factors.#m.#epoch = :epoch AND #factors.#m.#count >= :one")
        .value("failed_at", before.count(origin).failed_at)
        .value("one", 1_u32)
        .value("epoch", before.epoch)
}

/// Adds to an update that the counts of the factor called `name` are over, as a success of this
/// origin ends them: both, or the strangers'. What is on its way to be taken back must not be taken
/// from what is counted from now on: the epoch moves.
#[must_use]
pub fn clear(update: Write, name: &str, origin: Origin) -> Write {
    let factor = format!("#factors.#{name}");
    let update = update
        .and(&format!(
            ", {factor}.#failures = :cleared, {factor}.#epoch = {factor}.#epoch + :success"
        ))
        .value("cleared", 0_u32)
        .value("success", 1_u32);
    match origin {
        Origin::Stranger => update,
        Origin::Known => update
            .remove(format!("{factor}.#known_failures"))
            .remove(format!("{factor}.#known_failed_at")),
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
