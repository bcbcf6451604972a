//! The budget of unverified SMS. An attacker who makes a service send SMS to numbers that earn from
//! them (SMS pumping) never types a code; a person who signs in does. So unverified SMS are what is
//! limited: per account, per country, per hour. What one number is sent over all accounts is
//! limited by `signin::code::counters`.
//!
//! The formula, all of it: an hour begins with [`ALLOWANCE`] SMS. Each SMS takes one, to a user
//! or to a recipient of an agreement. Each sign-in that is completed by SMS, which a recipient's
//! verification is as well, gives back the SMS that it took in this hour, and [`EARNED`] more.
//! What it took in the hour before is not given back: nothing can be taken from that any more, and
//! it is not this hour's. E-mails take nothing and give nothing back. In any clock hour, then:
//!
//! > SMS of the hour that nobody verified ≤ 100 + sign-ins that were completed by SMS in it
//!
//! A quiet day does not come near it, a launch earns what it needs as it goes, and an attack is
//! over after a hundred SMS, or after as many as the account's own traffic of that hour. One user
//! cannot use it up for the others: whatever the destination, a user is sent ten codes an hour (see
//! [`crate::signin::code::counters`]).
//!
//! Both writes are blind: an hour is an item of its own, created by whichever comes first. Nothing
//! has to be read before.

pub mod credit;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Key, Path, Update, keys};
use crate::web::http::problem::Policy;
use crate::web::http::{Problem, Slug};

/// How long a budget is for.
pub const HOUR: Span = Span::hours(1);
/// The SMS that an hour begins with.
pub const ALLOWANCE: u32 = 100;
/// What an SMS takes.
const SMS: i64 = 1;
/// What a completed sign-in adds to what it gives back.
pub const EARNED: u32 = 1;

/// How many SMS are left.
const LEFT: Path = Path::new("left");

/// The hour that `now` is in, counted since the epoch.
const fn hour(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(HOUR.as_secs())
}

/// What a completed sign-in adds to the hour of `now`, given when its SMS were sent: those of
/// this hour, and [`EARNED`].
fn credit(sms: &[Timestamp], now: Timestamp) -> i64 {
    let of_this_hour = sms
        .iter()
        .filter(|sent_at| hour(**sent_at) == hour(now))
        .count();
    i64::try_from(of_this_hour).unwrap_or_default() + i64::from(EARNED)
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
    /// The country that SMS go to.
    pub country: &'a str,
}

impl Budget<'_> {
    /// The item of the hour of `now`.
    pub fn key(&self, now: Timestamp) -> Key {
        keys::send_budget(self.account, self.country, hour(now))
    }

    /// The write that takes one SMS, under the condition that one is left.
    pub fn take(&self, now: Timestamp) -> Update {
        self.add(now, -SMS)
            .when(LEFT.is_absent().or(LEFT.is_at_least(SMS)))
    }

    /// The write that gives back an SMS that was not sent.
    pub fn give_back(&self, now: Timestamp) -> Update {
        self.add(now, SMS)
    }

    /// The write that credits a sign-in that was completed by SMS, and was sent its SMS at these
    /// moments.
    pub fn verified(&self, sms: &[Timestamp], now: Timestamp) -> Update {
        self.add(now, credit(sms, now))
    }

    fn add(&self, now: Timestamp, sms: i64) -> Update {
        Update::of(self.key(now))
            .count(LEFT, ALLOWANCE, sms)
            .set_expiry(renewed_at(now))
    }
}

/// The problem of an account that has sent too many SMS to a country that nobody answered.
pub fn out_of_budget(now: Timestamp) -> Problem {
    let policy = Policy {
        name: "budget",
        quota: ALLOWANCE,
        window: HOUR,
    };
    Problem::new(Slug::TooManySends)
        .detail("Too few of the codes that this account sent to this country this hour were typed. Another factor may still be used.")
        .retry_after(renewed_at(now).until(now), &policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signin::challenge::LIFETIME;
    use std::collections::BTreeMap;

    /// The hours as the table keeps them, under the same deltas and the same condition.
    #[derive(Default)]
    struct Hours {
        left: BTreeMap<i64, i64>,
        /// The SMS that were taken in an hour, and those that a completed sign-in accounts for;
        /// the sign-ins.
        taken: BTreeMap<i64, i64>,
        verified: BTreeMap<i64, i64>,
        completed: BTreeMap<i64, i64>,
    }

    impl Hours {
        fn left(&mut self, now: Timestamp) -> &mut i64 {
            self.left
                .entry(hour(now))
                .or_insert_with(|| i64::from(ALLOWANCE))
        }

        fn take(&mut self, now: Timestamp) -> bool {
            let left = self.left(now);
            let taken = *left >= SMS;
            if taken {
                *left -= SMS;
                *self.taken.entry(hour(now)).or_default() += 1;
            }
            self.holds();
            taken
        }

        fn complete(&mut self, sms: &[Timestamp], now: Timestamp) {
            *self.left(now) += credit(sms, now);
            *self.completed.entry(hour(now)).or_default() += 1;
            for sent_at in sms {
                *self.verified.entry(hour(*sent_at)).or_default() += 1;
            }
            self.holds();
        }

        /// The sentence that the formula is for, at every moment, hour by hour.
        fn holds(&self) {
            for (hour, taken) in &self.taken {
                let of = |map: &BTreeMap<i64, i64>| map.get(hour).copied().unwrap_or_default();
                let unverified = taken - of(&self.verified);
                assert!(
                    unverified <= i64::from(ALLOWANCE) + of(&self.completed),
                    "hour {hour}: {unverified} unverified"
                );
            }
        }
    }

    const EIGHT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn minute(minute: i64) -> Timestamp {
        EIGHT.plus(Span::minutes(minute))
    }

    /// Plays `sends` SMS a minute, of which `verified` in a hundred are typed in a minute later,
    /// for `hours`; answers with how many were sent and how many refused.
    fn played(hours: i64, sends: impl Fn(i64) -> u32, verified: u32) -> (u32, u32) {
        let (mut budget, mut pending, mut sent, mut refused) = (Hours::default(), 0, 0, 0);
        for at in 0..hours * 60 {
            (0..pending).for_each(|_| budget.complete(&[minute(at - 1)], minute(at)));
            let taken = (0..sends(at))
                .map(|_| u32::from(budget.take(minute(at))))
                .sum::<u32>();
            pending = taken * verified / 100;
            sent += taken;
            refused += sends(at) - taken;
        }
        (sent, refused)
    }

    #[test]
    fn the_formula_on_quiet_days_launches_and_attacks() {
        struct BudgetCase {
            what: &'static str,
            hours: i64,
            sends: fn(i64) -> u32,
            verified: u32,
            /// How many are sent, and how many refused.
            expected: (u32, u32),
        }
        let cases = [
            BudgetCase {
                what: "a night",
                hours: 12,
                sends: |_| 0,
                verified: 90,
                expected: (0, 0),
            },
            BudgetCase {
                what: "a quiet day",
                hours: 24,
                sends: |minute| u32::from(minute % 3 == 0),
                verified: 90,
                expected: (480, 0),
            },
            BudgetCase {
                what: "a quiet day on which nothing arrives",
                hours: 1,
                sends: |minute| u32::from(minute % 3 == 0),
                verified: 0,
                expected: (20, 0),
            },
            BudgetCase {
                what: "a working day",
                hours: 8,
                sends: |_| 20,
                verified: 85,
                expected: (9_600, 0),
            },
            BudgetCase {
                what: "a launch",
                hours: 3,
                sends: |minute| 10 + u32::try_from(minute).unwrap_or_default(),
                verified: 75,
                expected: (17_910, 0),
            },
            BudgetCase {
                what: "a launch from nothing",
                hours: 1,
                sends: |_| 100,
                verified: 70,
                expected: (6_000, 0),
            },
            BudgetCase {
                what: "an attack",
                hours: 1,
                sends: |_| 1_000,
                verified: 0,
                expected: (100, 59_900),
            },
            BudgetCase {
                what: "an attack for a day",
                hours: 24,
                sends: |_| 60,
                verified: 0,
                expected: (2_400, 84_000),
            },
            BudgetCase {
                what: "an attack that types one code in ten",
                hours: 1,
                sends: |_| 1_000,
                verified: 10,
                expected: (124, 59_876),
            },
        ];
        for case in cases {
            assert_eq!(
                played(case.hours, case.sends, case.verified),
                case.expected,
                "{}",
                case.what
            );
        }
    }

    #[test]
    fn an_attack_that_verifies_some_is_bounded_by_what_it_verifies() {
        // `Hours::holds` is asked at every step; here it is asked of every share, over two edges of
        // an hour.
        for verified in [0, 10, 30, 49, 50, 51, 99] {
            let (sent, refused) = played(3, |_| 200, verified);
            assert_eq!(sent + refused, 3 * 60 * 200, "{verified}");
        }
    }

    #[test]
    fn texts_of_the_hour_before_are_not_this_hours() {
        // Thirty challenges of four SMS each before the hour, all completed after it.
        let mut budget = Hours::default();
        let sms: Vec<Timestamp> = [49, 50, 52, 56].map(minute).into();
        let begun = (0..25)
            .filter(|_| sms.iter().all(|at| budget.take(*at)))
            .count();
        assert_eq!(begun, 25, "a hundred texts");
        assert!(!budget.take(minute(57)));
        (0..25).for_each(|_| budget.complete(&sms, minute(60)));
        let left = (0..1_000).filter(|_| budget.take(minute(61))).count();
        assert_eq!(left, 125, "the hour's own, and one for each sign-in");
    }

    #[test]
    fn a_sign_in_over_the_edge_gives_back_what_it_took_on_this_side() {
        assert_eq!(credit(&[minute(58), minute(59), minute(61)], minute(62)), 2);
        assert_eq!(credit(&[minute(58), minute(59)], minute(59)), 3);
        assert_eq!(credit(&[], minute(59)), 1, "a code by e-mail takes no text");
        // No challenge is open for so long that its SMS are of three hours.
        assert!(LIFETIME.as_secs() < HOUR.as_secs());
    }

    #[test]
    fn a_budget_is_renewed_on_the_hour() {
        assert_eq!(EIGHT.to_rfc3339(), "2027-01-15T08:00:00Z");
        assert_eq!(renewed_at(EIGHT).to_rfc3339(), "2027-01-15T09:00:00Z");
        assert_eq!(
            renewed_at(EIGHT.plus(Span::seconds(3599))),
            renewed_at(EIGHT)
        );
    }
}
