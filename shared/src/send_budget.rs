//! The budget of texts that nobody verified. Who makes a service send texts to numbers that earn from them never types a code; who
//! signs in does. So unverified texts are what is limited: per account, per country, per hour.
//!
//! The formula, all of it: an hour begins with [`ALLOWANCE`] texts. Each text takes one. Each sign-in that is completed by SMS gives
//! back the texts that it took, and [`EARNED`] more. In any clock hour, then:
//!
//! > texts that nobody verified ≤ 100 + sign-ins that were completed by SMS
//!
//! A quiet day does not come near it, a launch earns what it needs as it goes, and an attack is over after a hundred texts, or after
//! as many as the account's own traffic of that hour. One user cannot use it up for the others: a destination takes ten an hour.
//!
//! Both writes are blind: an hour is an item of its own, created by whichever comes first. Nothing has to be read before.

use crate::clock::{Span, Timestamp};
use crate::dynamo::{Write, keys};
use crate::ids::AccountId;

/// How long a budget is for.
pub const HOUR: Span = Span::hours(1);
/// The texts that an hour begins with.
pub const ALLOWANCE: u32 = 100;
/// What a completed sign-in adds to what it gives back.
pub const EARNED: u32 = 1;

/// What is left of a budget after a completed sign-in that took `sends` texts.
pub const fn credit(sends: u32) -> u32 {
    sends + EARNED
}

/// The hour that `now` is in, counted since the epoch.
const fn hour(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(HOUR.as_secs())
}

/// When the next hour's budget begins.
pub const fn renewed_at(now: Timestamp) -> Timestamp {
    Timestamp::from_millis((hour(now) + 1) * HOUR.as_secs() * 1000)
}

/// The budget of an account for a country, ISO 3166-1 alpha-2.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// The account.
    pub account: AccountId,
    /// The country that texts go to.
    pub country: &'a str,
}

impl Budget<'_> {
    /// The write that takes one text, under the condition that one is left.
    pub fn take(&self, now: Timestamp) -> Write {
        self.add(now, -1).when("attribute_not_exists(#left) OR #left >= :least").value("least", 1_u32)
    }

    /// The write that gives back a text that was not sent.
    pub fn give_back(&self, now: Timestamp) -> Write {
        self.add(now, 1)
    }

    /// The write that credits a sign-in that was completed with one of its `sends` texts.
    pub fn verified(&self, sends: u32, now: Timestamp) -> Write {
        self.add(now, i64::from(credit(sends)))
    }

    fn add(&self, now: Timestamp, texts: i64) -> Write {
        let key = keys::send_budget(self.account, self.country, hour(now));
        Write::update(key, "SET #left = if_not_exists(#left, :allowance) + :texts")
            .value("allowance", ALLOWANCE)
            .value("texts", texts)
            .set_expiry(renewed_at(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `sends` texts a minute, of which `verified` in a hundred are typed in a minute later, for `hours`; answers with how many
    /// were sent and how many refused.
    fn played(hours: i64, sends: impl Fn(i64) -> u32, verified: u32) -> (u32, u32) {
        let (mut left, mut pending, mut sent, mut refused) = (ALLOWANCE, 0, 0, 0);
        for minute in 0..hours * 60 {
            if minute % 60 == 0 {
                left = ALLOWANCE;
            }
            left += pending * credit(1);
            let taken = sends(minute).min(left);
            left -= taken;
            pending = taken * verified / 100;
            sent += taken;
            refused += sends(minute) - taken;
        }
        (sent, refused)
    }

    #[test]
    fn the_formula_on_quiet_days_launches_and_attacks() {
        struct Case {
            what: &'static str,
            hours: i64,
            sends: fn(i64) -> u32,
            verified: u32,
            /// At least so many sent, at most so many refused.
            expected: (std::ops::RangeInclusive<u32>, std::ops::RangeInclusive<u32>),
        }
        let cases = [
            Case { what: "a night", hours: 12, sends: |_| 0, verified: 90, expected: (0..=0, 0..=0) },
            Case {
                what: "a quiet day",
                hours: 24,
                sends: |minute| u32::from(minute % 3 == 0),
                verified: 90,
                expected: (480..=480, 0..=0),
            },
            Case {
                what: "a quiet day on which nothing arrives",
                hours: 1,
                sends: |minute| u32::from(minute % 3 == 0),
                verified: 0,
                expected: (20..=20, 0..=0),
            },
            Case { what: "a working day", hours: 8, sends: |_| 20, verified: 85, expected: (9_600..=9_600, 0..=0) },
            Case {
                what: "a launch",
                hours: 3,
                sends: |minute| 10 + u32::try_from(minute).unwrap_or_default(),
                verified: 75,
                expected: (17_910..=17_910, 0..=0),
            },
            Case { what: "a launch from nothing", hours: 1, sends: |_| 100, verified: 70, expected: (6_000..=6_000, 0..=0) },
            Case { what: "an attack", hours: 1, sends: |_| 1_000, verified: 0, expected: (100..=100, 59_900..=59_900) },
            Case {
                what: "an attack for a day",
                hours: 24,
                sends: |_| 60,
                verified: 0,
                expected: (2_400..=2_400, 84_000..=84_000),
            },
            Case {
                what: "an attack that types one code in ten",
                hours: 1,
                sends: |_| 1_000,
                verified: 10,
                expected: (100..=200, 59_000..=60_000),
            },
        ];
        for case in cases {
            let (sent, refused) = played(case.hours, case.sends, case.verified);
            assert!(
                case.expected.0.contains(&sent) && case.expected.1.contains(&refused),
                "{}: {sent} sent, {refused} refused",
                case.what
            );
        }
    }

    #[test]
    fn unverified_texts_are_bounded_whatever_is_done() {
        for verified in [0, 10, 30, 49, 50] {
            let (sent, _) = played(1, |_| 500, verified);
            let completed = sent * verified / 100;
            assert!(sent - completed <= ALLOWANCE + completed + 500, "{verified}: {sent}");
        }
    }

    #[test]
    fn a_budget_is_renewed_on_the_hour() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(at.to_rfc3339(), "2027-01-15T08:00:00Z");
        assert_eq!(renewed_at(at).to_rfc3339(), "2027-01-15T09:00:00Z");
        assert_eq!(renewed_at(at.plus(Span::seconds(3599))), renewed_at(at));
    }
}
