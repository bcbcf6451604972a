//! Limits that hold under any race, because they are conditions of the write that counts.
//!
//! [`Backoff`] delays after failures in a row; [`Window`] allows so many in a span, exactly: over
//! any stretch of that length, and not over aligned stretches. Both are tables of numbers here, and
//! expressions where they are used.

use crate::kernel::clock::{Span, Timestamp};
use crate::store::dynamo::{Condition, Item, Key, Path, Update};

/// From `free` failures in a row on, a delay of `base` that doubles with each further one, up to
/// `cap`. At `disabled_at` failures there is no more trying.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first count that is followed by a delay.
    pub free: u32,
    /// That delay.
    pub base: Span,
    /// The longest delay.
    pub cap: Span,
    /// The count at which nothing but an administrator helps.
    pub disabled_at: Option<u32>,
}

/// When another attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Now.
    Now,
    /// From this moment on.
    From(Timestamp),
    /// Never, unless somebody lifts it.
    Never,
}

impl Backoff {
    /// The delay after `failures` in a row.
    pub fn delay(&self, failures: u32) -> Span {
        if failures < self.free {
            return Span::default();
        }
        // Long before 32 doublings every cap is reached.
        let doubled = self
            .base
            .as_secs()
            .saturating_mul(1 << (failures - self.free).min(32));
        Span::seconds(doubled.min(self.cap.as_secs()))
    }

    /// When an attempt may be made after `failures` in a row, the last of them at `failed_at`.
    pub fn allowed(&self, failures: u32, failed_at: Timestamp, now: Timestamp) -> Allowed {
        if self.disabled_at.is_some_and(|at| failures >= at) {
            return Allowed::Never;
        }
        let from = failed_at.plus(self.delay(failures));
        if failures < self.free || from <= now {
            Allowed::Now
        } else {
            Allowed::From(from)
        }
    }

    /// That an attempt may be made now, by what stands at `count` and `at`.
    pub fn guard(&self, count: &Path, at: &Path, now: Timestamp) -> Condition {
        let may_be_now = self.free_or_over(count, at, now);
        match self.disabled_at {
            Some(end) => may_be_now.and(count.clone().is_absent().or(count.clone().is_below(end))),
            None => may_be_now,
        }
    }

    /// That there were too few failures for a delay, or the delay after them is over.
    fn free_or_over(&self, count: &Path, at: &Path, now: Timestamp) -> Condition {
        let is_free = count
            .clone()
            .is_absent()
            .or(count.clone().is_below(self.free));
        let failures = (self.free..).scan(false, |was_capped, failures| {
            let is_capped = self.delay(failures) == self.cap;
            (!std::mem::replace(was_capped, is_capped)).then_some((failures, is_capped))
        });
        failures.fold(is_free, |condition, (failures, is_capped)| {
            // At the cap one clause stands for all greater counts.
            let counted = if is_capped {
                count.clone().is_at_least(failures)
            } else {
                count.clone().is(failures)
            };
            let is_over = at.clone().is_at_most(now.minus(self.delay(failures)));
            condition.or(counted.and(is_over))
        })
    }
}

/// At most `quota` in any stretch of `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub quota: usize,
    /// In how long.
    pub span: Span,
}

impl Limit {
    /// Until when `moments` (the newest first) allow no more, if they do not allow one now.
    pub fn full_until(&self, moments: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        let oldest = self
            .quota
            .checked_sub(1)
            .and_then(|place| moments.get(place))?;
        Some(oldest.plus(self.span)).filter(|until| *until > now)
    }
}

/// A log of moments on an item of its own, the newest first, under one or more limits.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The limits; the last is the longest.
    pub limits: &'static [Limit],
}

/// The moments of a log, wherever it stands.
pub(crate) const MOMENTS: Path = Path::new("moments");

impl Window {
    /// Until when `moments` (the newest first) allow no more, if they do not allow one now; and the
    /// limit that says so.
    pub fn full_until(&self, moments: &[Timestamp], now: Timestamp) -> Option<(Timestamp, Limit)> {
        let full = self
            .limits
            .iter()
            .filter_map(|limit| Some((limit.full_until(moments, now)?, *limit)));
        full.max_by_key(|(until, _)| *until)
    }

    /// The write that enters `now` in the log at `key`, under the condition that every limit allows
    /// it.
    ///
    /// `trim` rewrites the log, dropping what no limit looks at any more: the write appends blindly
    /// until the log has grown to twice what is needed; it then fails though no limit is reached,
    /// and is made again with the log that its failure handed back.
    pub fn enter(&self, key: Key, now: Timestamp, trim: Option<&[Timestamp]>) -> Update {
        let update = match trim {
            None => Update::of(key)
                .prepend(MOMENTS, vec![now])
                .when(MOMENTS.element(self.most()).is_absent()),
            Some(moments) => Update::of(key)
                .set(MOMENTS, self.rewritten(moments, now))
                .when(MOMENTS.is(moments.to_vec())),
        };
        let update = self.limits.iter().fold(update, |update, limit| {
            let oldest = || MOMENTS.element(limit.quota - 1);
            update.when(
                oldest()
                    .is_absent()
                    .or(oldest().is_at_most(now.minus(limit.span))),
            )
        });
        let longest = self
            .limits
            .last()
            .map_or(Span::default(), |limit| limit.span);
        update.set_expiry(now.plus(longest))
    }

    fn rewritten(&self, moments: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
        let kept = moments.iter().copied().take(self.needed());
        std::iter::once(now).chain(kept).collect()
    }

    /// A log that stands on an item of something else, with `now` in it: as much of it as the
    /// limits look at.
    pub fn entered(&self, moments: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
        std::iter::once(now)
            .chain(moments.iter().copied())
            .take(self.needed())
            .collect()
    }

    /// The write that takes `moment` out of a log again, given the log as it stands. `None` if it
    /// is not in it.
    pub fn withdraw(key: Key, moment: Timestamp, moments: &[Timestamp]) -> Option<Update> {
        let index = moments.iter().position(|entry| *entry == moment)?;
        let place = MOMENTS.element(index);
        Some(Update::of(key).remove(place.clone()).when(place.is(moment)))
    }

    /// The moments of a log.
    pub fn moments(item: &Item) -> Vec<Timestamp> {
        let list = item
            .get(MOMENTS.attribute())
            .and_then(|value| value.as_l().ok());
        let moment =
            |value: &aws_sdk_dynamodb::types::AttributeValue| value.as_n().ok()?.parse().ok();
        list.into_iter()
            .flatten()
            .filter_map(moment)
            .map(Timestamp::from_millis)
            .collect()
    }

    fn needed(&self) -> usize {
        self.limits
            .iter()
            .map(|limit| limit.quota)
            .max()
            .unwrap_or_default()
    }

    fn most(&self) -> usize {
        self.needed() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWORD: Backoff = Backoff {
        free: 5,
        base: Span::seconds(1),
        cap: Span::minutes(15),
        disabled_at: None,
    };

    #[test]
    fn a_delay_doubles_up_to_its_cap() {
        let delays: Vec<i64> = (4..18)
            .map(|failures| PASSWORD.delay(failures).as_secs())
            .collect();
        assert_eq!(
            delays,
            [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
        );
        assert!((15..200).all(|failures| PASSWORD.delay(failures) == Span::minutes(15)));
        assert_eq!(PASSWORD.delay(u32::MAX), Span::minutes(15));
    }

    #[test]
    fn a_try_is_allowed_once_the_delay_is_over() {
        let failed_at = Timestamp::from_millis(1_000_000);
        assert_eq!(PASSWORD.allowed(4, failed_at, failed_at), Allowed::Now);
        assert_eq!(
            PASSWORD.allowed(6, failed_at, failed_at),
            Allowed::From(failed_at.plus(Span::seconds(2)))
        );
        assert_eq!(
            PASSWORD.allowed(6, failed_at, failed_at.plus(Span::seconds(2))),
            Allowed::Now
        );
        let ended = Backoff {
            disabled_at: Some(7),
            ..PASSWORD
        };
        assert_eq!(
            ended.allowed(7, failed_at, failed_at.plus(Span::days(9))),
            Allowed::Never
        );
    }

    proptest! {
        /// The reference: count what lies in the stretch before `now`.
        #[test]
        fn a_window_never_lets_more_through_than_its_quota(gaps in prop::collection::vec(0_i64..400, 1..60)) {
            const WINDOW: Window = Window { limits: &[
                Limit { quota: 5, span: Span::minutes(10) }, Limit { quota: 10, span: Span::hours(1) },
            ] };
            let mut now = Timestamp::from_millis(0);
            let mut log: Vec<Timestamp> = Vec::new();
            for gap in gaps {
                now = now.plus(Span::seconds(gap));
                let within = |span: Span| log.iter().filter(|moment| moment.plus(span) > now).count();
                let allowed = within(Span::minutes(10)) < 5 && within(Span::hours(1)) < 10;
                prop_assert_eq!(WINDOW.full_until(&log, now).is_none(), allowed);
                if allowed {
                    log.insert(0, now);
                }
            }
        }
    }
}
