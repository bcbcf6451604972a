//! Races under a table that makes room for them: what it does to each request while several of them
//! meet.
//!
//! A quick table answers so soon that two requests seldom meet between a read and a write. Each of
//! these widens the gap in which they do: reads of several items that are no snapshot, transactions
//! that conflict, answers that take their time, and items that are held while a transaction runs.

use std::pin::Pin;
use std::time::Duration;

use local::{Mode, Plan, Service};

use crate::World;

/// How often a race is run under each, unless `COUNTERSIGN_ROUNDS` says otherwise.
const ROUNDS: usize = 5;
/// How long a call takes, or a transaction holds its items: several times what a request computes.
const MOMENT: Duration = Duration::from_millis(5);

/// What the table does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// Of several items that are read at once some are older than others.
    Torn,
    /// Two calls in a row meet somebody else's transaction; which two, the round says.
    Conflicting,
    /// Each call takes its time.
    Slow,
    /// Each transaction holds its items for as long.
    Holding,
}

/// One of the times that a race is run.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What the table does meanwhile.
    pub strain: Strain,
    /// Which it is of those under this strain, from zero.
    pub number: usize,
}

/// Every time that a race is run: so often under each strain.
pub fn rounds() -> impl Iterator<Item = Round> {
    let often = shared::kernel::config::env("COUNTERSIGN_ROUNDS")
        .map_or(ROUNDS, |often| often.parse().expect("a number of rounds"));
    assert!(often > 0, "a race that is not run shows nothing");
    let strains = [
        Strain::Torn,
        Strain::Conflicting,
        Strain::Slow,
        Strain::Holding,
    ];
    strains
        .into_iter()
        .flat_map(move |strain| (0..often).map(move |number| Round { strain, number }))
}

impl Round {
    /// What comes of requests that race while the table behaves so.
    pub fn race<'a, T>(
        self,
        world: &'a World,
        requests: impl Future<Output = T> + 'a,
    ) -> Pin<Box<dyn Future<Output = T> + 'a>> {
        Box::pin(async move {
            world.stack.faults().follow(Service::Dynamodb, self.plan());
            let outcome = requests.await;
            world.stack.faults().clear();
            outcome
        })
    }

    fn plan(self) -> Plan {
        match self.strain {
            Strain::Torn => Plan::new(Mode::Torn, 0, u32::MAX),
            Strain::Conflicting => Plan::new(
                Mode::Conflict,
                u32::try_from(self.number % 7).unwrap_or_default(),
                2,
            ),
            Strain::Slow => Plan::new(Mode::Slow, 0, u32::MAX).lasting(MOMENT),
            Strain::Holding => Plan::new(Mode::Hold, 0, u32::MAX).lasting(MOMENT),
        }
    }
}
