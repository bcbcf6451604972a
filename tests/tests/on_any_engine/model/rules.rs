//! The numbers of the rules, and what counts by them.

use std::collections::BTreeMap;

/// The length of a step of an app.
pub const STEP: i64 = 30;
/// How long a challenge lives.
pub const CHALLENGE: i64 = 600;
/// How long a code that was sent is good.
pub const CODE: i64 = 300;
/// How long a link is good.
pub const LINK: i64 = 3_600;
/// How long a token is good, and how long it is fresh.
pub const TOKEN: i64 = 900;
pub const FRESH: i64 = 300;
/// The SMS that an hour begins with.
const ALLOWANCE: i64 = 100;

/// After the 5th wrong password a delay of a second, which doubles up to a quarter of an hour.
pub fn password_delay(failures: u32) -> i64 {
    if failures < 5 {
        0
    } else {
        (1_i64 << (failures - 5).min(20)).min(900)
    }
}

/// From the 10th wrong code on, min(30 s · 2^(n−10), 1 h).
pub fn code_delay(failures: u32) -> i64 {
    if failures < 10 {
        0
    } else {
        (30_i64 << (failures - 10).min(20)).min(3_600)
    }
}

/// After the first code of a challenge by a method a wait of half a minute, which doubles up to
/// four.
pub fn resend_wait(sent: u32) -> i64 {
    if sent == 0 {
        0
    } else {
        (30_i64 << (sent - 1).min(20)).min(240)
    }
}

/// What is expected of an answer: the status, and the slugs of which it may be one; and the rule
/// that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub slugs: Vec<&'static str>,
    pub attempts_left: Option<u64>,
    pub rule: &'static str,
}

impl Expected {
    pub fn ok(status: u16, rule: &'static str) -> Self {
        Self {
            status,
            slugs: vec![""],
            attempts_left: None,
            rule,
        }
    }

    pub fn refused(status: u16, slug: &'static str, rule: &'static str) -> Self {
        Self {
            status,
            slugs: vec![slug],
            attempts_left: None,
            rule,
        }
    }
}

/// So many wrong codes of an origin in a row, and only an administrator helps.
pub const DISABLED_AT: u32 = 50;

/// Failures in a row.
#[derive(Debug, Default)]
pub struct Count {
    failures: u32,
    failed_at: i64,
}

impl Count {
    /// So many failures that no delay of theirs is left.
    pub fn long_ago(failures: u32, now: i64) -> Self {
        Self {
            failures,
            failed_at: now - code_delay(u32::MAX),
        }
    }

    pub fn is_over(&self) -> bool {
        self.failures >= DISABLED_AT
    }

    pub fn is_delayed(&self, delay: fn(u32) -> i64, now: i64) -> bool {
        now < self.failed_at + delay(self.failures)
    }

    pub fn add(&mut self, now: i64) {
        self.failures += 1;
        self.failed_at = now;
    }
}

/// Moments, of which so many may be within a span.
#[derive(Debug, Default)]
pub struct Moments(Vec<i64>);

impl Moments {
    /// So many at one moment.
    pub fn at_once(many: usize, now: i64) -> Self {
        Self(vec![now; many])
    }

    pub fn is_full(&self, most: usize, span: i64, now: i64) -> bool {
        self.0.iter().filter(|at| **at + span > now).count() >= most
    }

    pub fn add(&mut self, now: i64) {
        self.0.push(now);
    }
}

/// Who asks for a code: the person where they are known, somebody elsewhere, or anybody for who is
/// known nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    Known,
    Stranger,
    Anybody,
}

/// The codes that were sent to somebody, or somewhere, and who asked for them: of each limit half
/// is kept for where the person is known.
#[derive(Debug, Default)]
pub struct Codes(Vec<(i64, Requester)>);

impl Codes {
    /// Whether one of these limits, each so many in so many seconds, of which so many are kept,
    /// allows no more.
    pub fn is_full(&self, limits: &[(usize, usize, i64)], requester: Requester, now: i64) -> bool {
        let within = |span: i64, of: Option<Requester>| {
            self.0
                .iter()
                .filter(|(at, by)| at + span > now && of.is_none_or(|of| of == *by))
                .count()
        };
        limits.iter().any(|&(most, kept, span)| {
            let all = within(span, None) >= most;
            match requester {
                Requester::Anybody => all,
                Requester::Stranger => {
                    all || within(span, Some(Requester::Stranger)) >= most - kept
                }
                Requester::Known => all && within(span, Some(Requester::Known)) >= kept,
            }
        })
    }

    pub fn add(&mut self, requester: Requester, now: i64) {
        self.0.push((now, requester));
    }
}

/// The notices to a mailbox or a phone: five an hour, and what is more waits and becomes one.
#[derive(Debug, Default)]
pub struct Notices {
    told: Moments,
    waits: bool,
}

impl Notices {
    /// Whether a notice goes at once.
    pub fn tell(&mut self, now: i64) -> bool {
        if self.waits || self.told.is_full(5, 3_600, now) {
            self.waits = true;
            return false;
        }
        self.told.add(now);
        true
    }

    /// Whether the clean-up tells what waits.
    pub fn release(&mut self, now: i64) -> bool {
        let released = self.waits && !self.told.is_full(5, 3_600, now);
        if released {
            self.waits = false;
            self.told.add(now);
        }
        released
    }
}

/// The SMS that are left, by hour.
#[derive(Debug, Default)]
pub struct Budget(BTreeMap<i64, i64>);

impl Budget {
    pub fn left(&mut self, now: i64) -> &mut i64 {
        self.0.entry(now / 3_600).or_insert(ALLOWANCE)
    }

    /// A sign-in is completed by SMS: its SMS of this hour, and one more.
    pub fn complete(&mut self, texts: &[i64], now: i64) {
        let of_this_hour = texts.iter().filter(|at| *at / 3_600 == now / 3_600).count();
        *self.left(now) += i64::try_from(of_this_hour).unwrap() + 1;
    }
}
