//! The one place that reads a clock: what is measured here is this machine's time and not the
//! service's.

use std::time::{Duration, Instant};

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
