//! The only source of time. Everything that depends on "now" is given a [`Clock`] or a
//! [`Timestamp`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch. Stored as a number, shown as RFC 3339 UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as JWT and DynamoDB's TTL count.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `span` more.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0.saturating_mul(1000)))
    }

    /// This moment, `span` earlier.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0.saturating_mul(1000)))
    }

    /// Whole seconds from `now` until this moment, rounded up, and none once it has passed.
    pub const fn until(self, now: Self) -> Span {
        let millis = self.0 - now.0;
        if millis <= 0 {
            Span(0)
        } else {
            Span((millis + 999) / 1000)
        }
    }

    /// RFC 3339, UTC, to the second or the millisecond as needed.
    pub fn to_rfc3339(self) -> String {
        let moment = DateTime::from_fractional_secs(
            self.as_secs(),
            f64::from(u32::try_from(self.0.rem_euclid(1000)).unwrap_or_default()) / 1000.0,
        );
        // Only years beyond 9999 cannot be shown; no clock of ours gets there.
        moment.fmt(Format::DateTime).unwrap_or_default()
    }
}

/// A span of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// So many minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes * 60)
    }

    /// So many hours.
    pub const fn hours(hours: i64) -> Self {
        Self(hours * 3600)
    }

    /// So many days.
    pub const fn days(days: i64) -> Self {
        Self(days * 86_400)
    }

    /// Whole seconds.
    pub const fn as_secs(self) -> i64 {
        self.0
    }
}

/// The service's clock: the system's, moved forward by an offset that only the local stack changes.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_millis: Arc<AtomicI64>,
    fixed: bool,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `now` until it is advanced: for tests.
    pub fn fixed_at(now: Timestamp) -> Self {
        Self {
            offset_millis: Arc::new(AtomicI64::new(now.as_millis())),
            fixed: true,
        }
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        let base = if self.fixed { 0 } else { system_millis() };
        Timestamp(base + self.offset_millis.load(Ordering::Relaxed))
    }

    /// Moves this clock, and every clone of it, forward.
    pub fn advance(&self, span: Span) {
        self.offset_millis
            .fetch_add(span.0 * 1000, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the system's clock"
)]
fn system_millis() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_as_rfc_3339() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_000).to_rfc3339(),
            "2023-11-14T22:13:20Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_250).to_rfc3339(),
            "2023-11-14T22:13:20.25Z"
        );
    }

    #[test]
    fn what_is_left_is_rounded_up_and_never_negative() {
        let now = Timestamp::from_millis(10_000);
        assert_eq!(Timestamp::from_millis(10_001).until(now), Span::seconds(1));
        assert_eq!(Timestamp::from_millis(9_000).until(now), Span::seconds(0));
    }

    #[test]
    fn every_clone_of_a_clock_is_advanced() {
        let clock = Clock::fixed_at(Timestamp::from_millis(5));
        let other = clock.clone();
        clock.advance(Span::minutes(1));
        assert_eq!(other.now(), Timestamp::from_millis(60_005));
    }
}
