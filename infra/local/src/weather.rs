//! Calls that go wrong at random: how often, and how, to each service. Drawn from a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::kernel::entropy::Entropy;

use crate::plan::{Mode, Nature, Service, Strike};

/// How many calls in a thousand go wrong, and how: each mode is as likely as it stands often in the
/// list, of those that can befall the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// So many in a thousand.
    pub per_mille: u32,
    /// So.
    pub modes: &'static [Mode],
}

impl Odds {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        per_mille: 0,
        modes: &[],
    };
}

/// How calls to each service go wrong. Those to issuers of ID tokens do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// To the table.
    pub table: Odds,
    /// To SES and SNS.
    pub senders: Odds,
    /// To the KBA vendor.
    pub provider: Odds,
    /// How late slow answers are, each as likely; where there is nothing here, as is usual.
    pub slow: &'static [Duration],
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        table: Odds::NONE,
        senders: Odds::NONE,
        provider: Odds::NONE,
        slow: &[],
    };

    /// So many in a thousand of the calls to the table that can meet another transaction do.
    pub const fn contention(per_mille: u32) -> Self {
        Self {
            table: Odds {
                per_mille,
                modes: &[Mode::Conflict],
            },
            ..Self::CALM
        }
    }

    const fn odds(&self, service: Service) -> Odds {
        match service {
            Service::Dynamodb => self.table,
            Service::Ses | Service::Sns => self.senders,
            Service::Provider => self.provider,
            Service::Issuer => Odds::NONE,
        }
    }
}

/// Weather that blows.
#[derive(Debug)]
pub(crate) struct Blowing {
    entropy: Entropy,
    weather: Weather,
    /// What was struck.
    pub struck: BTreeMap<(Service, Mode), u32>,
}

impl Blowing {
    /// This weather, drawn from `seed`.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            entropy: Entropy::seeded(seed),
            weather,
            struck: BTreeMap::new(),
        }
    }

    /// How this call goes wrong, if it does.
    pub fn strike(&mut self, service: Service, nature: Nature) -> Option<Strike> {
        let Odds { per_mille, modes } = self.weather.odds(service);
        if per_mille == 0 || self.entropy.below(1000) >= per_mille {
            return None;
        }
        let possible: Vec<Mode> = modes
            .iter()
            .copied()
            .filter(|mode| nature.admits(*mode))
            .collect();
        let mode = self.one_of(&possible)?;
        let lasting = self
            .one_of(self.weather.slow)
            .filter(|_| mode == Mode::Slow)
            .unwrap_or(mode.usual());
        *self.struck.entry((service, mode)).or_default() += 1;
        Some(Strike { mode, lasting })
    }

    fn one_of<T: Copy>(&self, of: &[T]) -> Option<T> {
        let drawn = self
            .entropy
            .below(u32::try_from(of.len()).ok().filter(|many| *many > 0)?);
        of.get(usize::try_from(drawn).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITES: Nature = Nature {
        can_conflict: true,
        can_tear: false,
        is_transaction: true,
    };

    #[test]
    fn so_many_in_a_thousand_go_wrong_and_only_as_they_can() {
        let table = Odds {
            per_mille: 100,
            modes: &[Mode::Torn, Mode::Conflict, Mode::Conflict, Mode::Lost],
        };
        let mut blowing = Blowing::new(
            1,
            Weather {
                table,
                ..Weather::CALM
            },
        );
        let struck: Vec<Mode> = (0..6_000)
            .filter_map(|_| blowing.strike(Service::Dynamodb, WRITES))
            .map(|strike| strike.mode)
            .collect();
        // 600 are expected, 23 is the standard deviation; of those, two in three are conflicts.
        assert!(struck.len().abs_diff(600) < 140, "{}", struck.len());
        let conflicts = struck
            .iter()
            .filter(|mode| **mode == Mode::Conflict)
            .count();
        assert!(
            conflicts.abs_diff(400) < 120 && !struck.contains(&Mode::Torn),
            "{conflicts}"
        );
        assert_eq!(
            (0..1_000).find_map(|_| blowing.strike(Service::Ses, Nature::default())),
            None
        );
    }

    #[test]
    fn what_cannot_meet_another_transaction_is_not_struck_by_contention() {
        let mut blowing = Blowing::new(1, Weather::contention(1_000));
        assert_eq!(blowing.strike(Service::Dynamodb, Nature::default()), None);
        assert_eq!(
            blowing
                .strike(Service::Dynamodb, WRITES)
                .map(|strike| strike.mode),
            Some(Mode::Conflict)
        );
    }
}
