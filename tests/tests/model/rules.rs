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
/// The texts that an hour begins with.
const ALLOWANCE: i64 = 100;

/// After the 5th wrong password a delay of a second, which doubles up to a quarter of an hour.
pub fn password_delay(failures: u32) -> i64 {
    if failures < 5 { 0 } else { (1_i64 << (failures - 5).min(20)).min(900) }
}

/// From the 10th wrong code on, min(30 s · 2^(n−10), 1 h).
pub fn code_delay(failures: u32) -> i64 {
    if failures < 10 { 0 } else { (30_i64 << (failures - 10).min(20)).min(3_600) }
}

/// What is expected of an answer: the status, and the slugs of which it may be one; and the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub slugs: Vec<&'static str>,
    pub attempts_left: Option<u64>,
    pub rule: &'static str,
}

impl Expected {
    pub fn ok(status: u16, rule: &'static str) -> Self {
        Self { status, slugs: vec![""], attempts_left: None, rule }
    }

    pub fn refused(status: u16, slug: &'static str, rule: &'static str) -> Self {
        Self { status, slugs: vec![slug], attempts_left: None, rule }
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
        Self { failures, failed_at: now - code_delay(u32::MAX) }
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

/// The texts that are left, by hour.
#[derive(Debug, Default)]
pub struct Budget(BTreeMap<i64, i64>);

impl Budget {
    pub fn left(&mut self, now: i64) -> &mut i64 {
        self.0.entry(now / 3_600).or_insert(ALLOWANCE)
    }

    /// A sign-in is completed by SMS: its texts of this hour, and one more.
    pub fn complete(&mut self, texts: &[i64], now: i64) {
        let of_this_hour = texts.iter().filter(|at| *at / 3_600 == now / 3_600).count();
        *self.left(now) += i64::try_from(of_this_hour).unwrap() + 1;
    }
}
