//! Trying again under contention: a bounded number of times, each after a random wait that grows.

use std::time::Duration;

use super::Failure;
use crate::kernel::entropy::Entropy;

/// How often a write that lost a race is decided anew.
const ATTEMPTS_MAX: u32 = 12;
/// The first wait is drawn from up to this many milliseconds; it doubles.
const FIRST_WAIT: u32 = 8;
/// No wait is drawn from more.
const LONGEST_WAIT: u32 = 400;

/// How often a write is tried at once, from the item that its failure handed back: each time
/// somebody else's write went through.
const AT_ONCE: u32 = 100;

/// How often a write may still be tried again.
#[derive(Debug, Default)]
pub struct RetryPolicy {
    attempts: u32,
    at_once: u32,
}

impl RetryPolicy {
    /// Waits a little before the next attempt, or gives up with a conflict.
    pub async fn wait(&mut self, entropy: &Entropy) -> Result<(), Failure> {
        if self.attempts >= ATTEMPTS_MAX {
            return Err(Failure::Conflict);
        }
        let longest = (FIRST_WAIT << self.attempts).min(LONGEST_WAIT);
        self.attempts += 1;
        tokio::time::sleep(Duration::from_millis(u64::from(entropy.below(longest) + 1))).await;
        Ok(())
    }

    /// Lets a write be tried again at once, or gives up with a conflict. A wait would only let the
    /// item that its failure handed back grow old.
    pub const fn at_once(&mut self) -> Result<(), Failure> {
        self.at_once += 1;
        if self.at_once > AT_ONCE {
            Err(Failure::Conflict)
        } else {
            Ok(())
        }
    }

    /// What became of a write that was decided from what was read: `true` once it is done; `false`
    /// where it lost a race and is to be decided anew, from the read on.
    pub async fn settled(
        &mut self,
        written: Result<(), Failure>,
        entropy: &Entropy,
    ) -> Result<bool, Failure> {
        match written {
            Ok(()) => Ok(true),
            Err(Failure::Condition(_) | Failure::Conflict) => {
                self.wait(entropy).await.map(|()| false)
            }
            Err(unavailable) => Err(unavailable),
        }
    }
}
