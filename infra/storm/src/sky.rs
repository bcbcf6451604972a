//! The sky over the storm: one weather after another, for so many calls each. What goes wrong is
//! not the same all the time: a torn read is found where much is torn, and a mail that goes twice
//! where every mail is slow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use local::{Faults, Mode, Odds, Service, Weather};
use shared::kernel::entropy::Entropy;

use crate::front::Fate;

/// A stretch of weather.
#[derive(Clone, Copy, Debug)]
struct Spell {
    weather: Weather,
    /// How many workers in a thousand die, and how many answers in a thousand are lost at the door.
    deaths: u32,
    unheard: u32,
    /// For how many calls.
    lasts: usize,
}

const MIXED: Odds = Odds {
    per_mille: 40,
    modes: &[
        Mode::Refused,
        Mode::Throttled,
        Mode::Conflict,
        Mode::Torn,
        Mode::Lost,
        Mode::Unsettled,
        Mode::Hold,
    ],
};
/// As late as a mail or an SMS may be answered for and go once.
const LATE: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];
const SLOW: Odds = Odds {
    per_mille: 1000,
    modes: &[Mode::Slow],
};
const TORN: Odds = Odds {
    per_mille: 500,
    modes: &[Mode::Torn],
};
const LOSSES: Odds = Odds {
    per_mille: 90,
    modes: &[Mode::Lost, Mode::Unsettled],
};
const DOWN: Odds = Odds {
    per_mille: 350,
    modes: &[Mode::Refused, Mode::Throttled, Mode::Lost],
};
/// Everything at once; torn reads; contention; slow senders; torn reads again; answers that are
/// lost; senders that are down; workers that die; and nothing.
const SPELLS: [Spell; 9] = [
    Spell {
        weather: Weather {
            table: MIXED,
            ..Weather::CALM
        },
        deaths: 15,
        unheard: 15,
        lasts: 150,
    },
    Spell {
        weather: Weather {
            table: TORN,
            ..Weather::CALM
        },
        deaths: 0,
        unheard: 10,
        lasts: 150,
    },
    Spell {
        weather: Weather::contention(250),
        deaths: 10,
        unheard: 10,
        lasts: 150,
    },
    Spell {
        weather: Weather {
            senders: SLOW,
            slow: &LATE,
            ..Weather::CALM
        },
        deaths: 0,
        unheard: 0,
        lasts: 60,
    },
    Spell {
        weather: Weather {
            table: TORN,
            ..Weather::CALM
        },
        deaths: 0,
        unheard: 10,
        lasts: 150,
    },
    Spell {
        weather: Weather {
            table: LOSSES,
            ..Weather::CALM
        },
        deaths: 20,
        unheard: 60,
        lasts: 150,
    },
    Spell {
        weather: Weather {
            table: MIXED,
            senders: DOWN,
            provider: DOWN,
            slow: &[],
        },
        deaths: 10,
        unheard: 10,
        lasts: 100,
    },
    Spell {
        weather: Weather::CALM,
        deaths: 90,
        unheard: 20,
        lasts: 150,
    },
    Spell {
        weather: Weather::CALM,
        deaths: 0,
        unheard: 0,
        lasts: 100,
    },
];
/// After how many calls of its own a worker dies at the latest: the longest request makes as many.
const LAST_CALL: u32 = 8;

/// The sky.
#[derive(Debug)]
pub(crate) struct Sky {
    faults: Faults,
    seed: u64,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    spell: Option<Spell>,
    count: u64,
    until: usize,
    struck: BTreeMap<(Service, Mode), u32>,
}

impl Sky {
    /// A calm sky.
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            seed,
            now: Mutex::new(Now {
                spell: None,
                count: 0,
                until: usize::MAX,
                struck: BTreeMap::new(),
            }),
        }
    }

    /// The first weather comes with the next call.
    pub fn start(&self) {
        self.now().until = 0;
    }

    /// Lets the weather change, where it has lasted: `calls` have been asked by now.
    pub fn change(&self, calls: usize) {
        let mut now = self.now();
        if calls < now.until {
            return;
        }
        let place =
            usize::try_from(self.seed.wrapping_add(now.count)).unwrap_or_default() % SPELLS.len();
        let Some(spell) = SPELLS.get(place).copied() else {
            return;
        };
        now.collect(self.faults.calm());
        self.faults
            .blow(self.seed.wrapping_add(now.count), spell.weather);
        *now = Now {
            spell: Some(spell),
            count: now.count + 1,
            until: calls + spell.lasts,
            struck: std::mem::take(&mut now.struck),
        };
    }

    /// The weather ends; answers with what was struck in all.
    pub fn clear(&self) -> BTreeMap<(Service, Mode), u32> {
        let mut now = self.now();
        now.collect(self.faults.calm());
        (now.spell, now.until) = (None, usize::MAX);
        now.struck.clone()
    }

    /// What becomes of who works on the next call.
    pub fn fate(&self, entropy: &Entropy) -> Fate {
        let Some(spell) = self.now().spell else {
            return Fate::Lives;
        };
        match entropy.below(1000) {
            drawn if drawn < spell.deaths => Fate::Dies(entropy.below(LAST_CALL) + 1),
            drawn if drawn < spell.deaths + spell.unheard => Fate::IsNotHeard,
            _ => Fate::Lives,
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn collect(&mut self, struck: BTreeMap<(Service, Mode), u32>) {
        for (what, count) in struck {
            *self.struck.entry(what).or_default() += count;
        }
    }
}
