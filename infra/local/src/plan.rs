//! What can go wrong, with whom, and when: the modes, the services, and a plan for one of them.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A service that calls go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The table.
    Dynamodb,
    /// Mail.
    Ses,
    /// SMS.
    Sns,
    /// The KBA vendor.
    Provider,
    /// The issuers of ID tokens, where their keys are fetched.
    Issuer,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The connection is refused; nothing was done.
    Refused,
    /// The call takes effect, and its answer never arrives: the connection breaks, at once or after
    /// so long.
    Lost,
    /// The service answers that there were too many calls; nothing was done.
    Throttled,
    /// Senders and the provider only: the service answers with a fault of its own, and did nothing.
    /// Whoever asked cannot know that.
    Failed,
    /// The call takes effect, and its answer comes so much later.
    Slow,
    /// DynamoDB only: another transaction holds the item; nothing was done.
    Conflict,
    /// DynamoDB only: a transaction takes effect, and the answer is that it is still under way.
    Unsettled,
    /// DynamoDB only, where several items are read at once: each but the first is as it stood a
    /// moment before, and of a query the first is. `BatchGetItem` and `Query` are no snapshots, and
    /// the embedded engine's are.
    Torn,
    /// DynamoDB only: a transaction takes so long, and holds its items until it has taken effect.
    /// Whoever wants to write one of them, or to read it together with others at one instant, meets
    /// a conflict.
    Hold,
}

impl Mode {
    /// Whether a call to `service` can go wrong so at all.
    pub const fn can_befall(self, service: Service) -> bool {
        match self {
            Self::Conflict | Self::Unsettled | Self::Torn | Self::Hold => {
                matches!(service, Service::Dynamodb)
            }
            Self::Failed => matches!(service, Service::Ses | Service::Sns | Service::Provider),
            Self::Refused | Self::Lost | Self::Throttled | Self::Slow => true,
        }
    }

    /// Which services can go wrong so, in words, where it is not each of them.
    pub const fn befalls(self) -> &'static str {
        match self {
            Self::Failed => "befalls `ses`, `sns` and `provider` alone",
            _ => "befalls `dynamodb` alone",
        }
    }

    /// How long it lasts, where nothing else is said: an answer is slow by more than one attempt at
    /// DynamoDB waits, and a transaction takes as long as a busy one does.
    pub const fn usual(self) -> Duration {
        match self {
            Self::Slow => Duration::from_secs(3),
            Self::Hold => Duration::from_millis(20),
            _ => Duration::ZERO,
        }
    }
}

/// What a call is like, as far as that says what may befall it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Nature {
    /// It may meet another transaction.
    pub can_conflict: bool,
    /// It reads several items at once, and not at one instant.
    pub can_tear: bool,
    /// It is a transaction that writes.
    pub is_transaction: bool,
}

impl Nature {
    pub(crate) const fn admits(self, mode: Mode) -> bool {
        match mode {
            Mode::Conflict => self.can_conflict,
            Mode::Torn => self.can_tear,
            Mode::Unsettled | Mode::Hold => self.is_transaction,
            Mode::Refused | Mode::Lost | Mode::Failed | Mode::Throttled | Mode::Slow => true,
        }
    }
}

/// How one call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub mode: Mode,
    /// How long the answer of a slow call takes, the connection of a lost one still stands, or a
    /// transaction holds its items.
    pub lasting: Duration,
}

/// What is still to go wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How.
    pub mode: Mode,
    /// So many calls pass before.
    pub after: u32,
    /// So many calls are struck then.
    pub count: u32,
    /// How late the answer of a slow or a lost call is, or how long a transaction holds its items.
    pub lasting: Duration,
}

impl Plan {
    /// After `after` more calls, the next `count` go wrong; for as long as such a fault usually
    /// lasts.
    pub const fn new(mode: Mode, after: u32, count: u32) -> Self {
        Self {
            mode,
            after,
            count,
            lasting: mode.usual(),
        }
    }

    /// The same, lasting so long.
    #[must_use]
    pub const fn lasting(self, lasting: Duration) -> Self {
        Self { lasting, ..self }
    }

    /// How the next call goes wrong, if it does: one that cannot go wrong so passes by, and is not
    /// counted.
    pub(crate) fn meet(&mut self, nature: Nature) -> Option<Strike> {
        if !nature.admits(self.mode) || self.count == 0 {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        self.count -= 1;
        Some(Strike {
            mode: self.mode,
            lasting: self.lasting,
        })
    }
}

/// As `POST /_local/faults` takes it.
impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("Plan", 4)?;
        plan.serialize_field("mode", &self.mode)?;
        plan.serialize_field("after", &self.after)?;
        plan.serialize_field("count", &self.count)?;
        match self.mode {
            Mode::Slow | Mode::Lost => {
                plan.serialize_field("seconds", &self.lasting.as_secs_f64())?;
            }
            Mode::Hold => plan.serialize_field("milliseconds", &self.lasting.as_millis())?,
            _ => {}
        }
        plan.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_calls_after_so_many_go_wrong_and_then_no_more() {
        let mut plan = Plan::new(Mode::Lost, 2, 2);
        let met: Vec<_> = (0..6)
            .map(|_| plan.meet(Nature::default()).map(|strike| strike.mode))
            .collect();
        assert_eq!(
            met,
            [None, None, Some(Mode::Lost), Some(Mode::Lost), None, None]
        );
    }

    #[test]
    fn a_call_meets_no_fault_that_cannot_befall_it() {
        let reads = Nature {
            can_tear: true,
            ..Nature::default()
        };
        let writes = Nature {
            can_conflict: true,
            is_transaction: true,
            ..Nature::default()
        };
        for (mode, passes, strikes) in [
            (Mode::Torn, writes, reads),
            (Mode::Conflict, reads, writes),
            (Mode::Hold, reads, writes),
            (Mode::Unsettled, reads, writes),
        ] {
            let mut plan = Plan::new(mode, 0, 1);
            assert_eq!(plan.meet(passes), None, "{mode:?}");
            assert_eq!(plan.meet(strikes).map(|strike| strike.mode), Some(mode));
        }
    }

    #[test]
    fn a_plan_is_shown_as_it_is_made() {
        let slow = Plan::new(Mode::Slow, 0, 1).lasting(Duration::from_millis(1500));
        assert_eq!(
            json!(slow),
            json!({"mode": "slow", "after": 0, "count": 1, "seconds": 1.5})
        );
        assert_eq!(
            json!(Plan::new(Mode::Hold, 1, 2)),
            json!({"mode": "hold", "after": 1, "count": 2, "milliseconds": 20})
        );
        assert_eq!(
            json!(Plan::new(Mode::Torn, 1, 2)),
            json!({"mode": "torn", "after": 1, "count": 2})
        );
    }
}
