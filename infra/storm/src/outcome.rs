//! What came of a storm, as it is printed.

use std::collections::BTreeMap;
use std::fmt;

use local::{Mode, Service};

use crate::Forecast;
use crate::desk::name_of;
use crate::history::History;
use crate::judge::{self, Finding, Promise};

/// How many findings of each kind are shown.
const SHOWN: usize = 12;

/// What was done, what went wrong, and which promises were broken.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The storm.
    pub forecast: Forecast,
    /// How calls were answered: by route and status; 0 where nobody answered.
    pub done: BTreeMap<(&'static str, u16), usize>,
    /// How many there were.
    pub calls: usize,
    /// How many workers died.
    pub deaths: usize,
    /// How many messages arrived.
    pub mails: usize,
    /// The calls that went wrong, by service and how.
    pub struck: BTreeMap<(Service, Mode), u32>,
    /// What breaks a promise.
    pub findings: Vec<Finding>,
    /// All that was asked and answered.
    pub history: History,
}

impl Outcome {
    /// Judges a history.
    pub(crate) fn of(forecast: Forecast, history: History, struck: BTreeMap<(Service, Mode), u32>) -> Self {
        let mut done = BTreeMap::new();
        for call in &history.calls {
            *done.entry((call.route, call.status())).or_default() += 1;
        }
        let deaths = history.calls.iter().filter(|call| call.died).count();
        let findings = judge::judge(&history);
        Self { forecast, done, calls: history.calls.len(), deaths, mails: history.mails.len(), struck, findings, history }
    }

    /// Whether no promise was broken.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// How often a promise was broken.
    pub fn count(&self, promise: Promise) -> usize {
        self.findings.iter().filter(|finding| finding.promise == promise).count()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast { seed, operations, clients, .. } = self.forecast;
        writeln!(f, "seed {seed}: {operations} operations by {clients} clients")?;
        let mut routes = BTreeMap::<&str, Vec<String>>::new();
        for ((route, status), count) in &self.done {
            let status = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
            routes.entry(route).or_default().push(format!("{status}: {count}"));
        }
        for (route, answers) in routes {
            writeln!(f, "  {route}  {}", answers.join(", "))?;
        }
        let struck =
            self.struck.iter().map(|((service, mode), count)| format!("{count} {} {mode:?}", name_of(*service)).to_lowercase());
        writeln!(f, "{} calls, {} messages, {} workers died", self.calls, self.mails, self.deaths)?;
        writeln!(f, "faults that struck: {}", struck.collect::<Vec<_>>().join(", "))?;
        for promise in Promise::ALL {
            let broken: Vec<_> = self.findings.iter().filter(|finding| finding.promise == promise).collect();
            writeln!(f, "{}: broken {} times", promise.name(), broken.len())?;
            for finding in broken.iter().take(SHOWN) {
                writeln!(f, "    {}", finding.what)?;
            }
        }
        write!(f, "{}", if self.is_sound() { "every promise was kept" } else { "PROMISES WERE BROKEN" })
    }
}
