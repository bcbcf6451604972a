//! What came of a storm, as it is printed.

use std::collections::BTreeMap;
use std::fmt;

use local::{Mode, Service};
use shared::web::http::routes::{ROUTES, Route};

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
    /// How many requests there were when the clients stopped: fewer than were forecast where time
    /// was up.
    pub reached: usize,
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
    pub(crate) fn of(
        forecast: Forecast,
        reached: usize,
        history: History,
        struck: BTreeMap<(Service, Mode), u32>,
    ) -> Self {
        let mut done = BTreeMap::new();
        for call in &history.calls {
            *done.entry((call.route, call.status())).or_default() += 1;
        }
        let deaths = history.calls.iter().filter(|call| call.died).count();
        let findings = judge::judge(&history);
        Self {
            forecast,
            reached,
            done,
            calls: history.calls.len(),
            deaths,
            mails: history.mails.len(),
            struck,
            findings,
            history,
        }
    }

    /// Whether no promise was broken, in as many requests as were forecast.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.is_complete()
    }

    /// Whether there were as many requests as were forecast.
    pub const fn is_complete(&self) -> bool {
        self.reached >= self.forecast.operations
    }

    /// The routes that nobody succeeded with: the rarest take a storm of some size.
    pub fn unserved(&self) -> Vec<String> {
        let served = |key: &str| {
            self.done
                .keys()
                .any(|(route, status)| *route == key && (200..300).contains(status))
        };
        ROUTES
            .iter()
            .map(Route::key)
            .filter(|key| !served(key))
            .collect()
    }

    /// How often a promise was broken.
    pub fn count(&self, promise: Promise) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.promise == promise)
            .count()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast {
            seed,
            operations,
            clients,
            within,
        } = self.forecast;
        writeln!(
            f,
            "seed {seed}: {} of {operations} operations by {clients} clients",
            self.reached
        )?;
        let mut routes = BTreeMap::<&str, Vec<String>>::new();
        for ((route, status), count) in &self.done {
            let status = if *status == 0 {
                "no answer".to_owned()
            } else {
                status.to_string()
            };
            routes
                .entry(route)
                .or_default()
                .push(format!("{status}: {count}"));
        }
        for (route, answers) in routes {
            writeln!(f, "  {route}  {}", answers.join(", "))?;
        }
        writeln!(
            f,
            "routes that nobody was served by: {}",
            self.unserved().join(", ")
        )?;
        let struck = self.struck.iter().map(|((service, mode), count)| {
            format!("{count} {} {mode:?}", name_of(*service)).to_lowercase()
        });
        writeln!(
            f,
            "{} calls, {} messages, {} workers died",
            self.calls, self.mails, self.deaths
        )?;
        writeln!(
            f,
            "faults that struck: {}",
            struck.collect::<Vec<_>>().join(", ")
        )?;
        for promise in Promise::ALL {
            let broken: Vec<_> = self
                .findings
                .iter()
                .filter(|finding| finding.promise == promise)
                .collect();
            writeln!(f, "{}: broken {} times", promise.name(), broken.len())?;
            for finding in broken.iter().take(SHOWN) {
                writeln!(f, "    {}", finding.what)?;
            }
        }
        if !self.is_complete() {
            let within = within.unwrap_or_default().as_secs();
            writeln!(
                f,
                "TIME WAS UP after {within} s: {} of {operations} operations were reached",
                self.reached
            )?;
        }
        write!(
            f,
            "{}",
            if self.findings.is_empty() {
                "every promise was kept"
            } else {
                "PROMISES WERE BROKEN"
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_storm_that_was_over_too_soon_is_not_sound_and_says_how_far_it_came() {
        let forecast = Forecast {
            seed: 1,
            operations: 5_000,
            clients: 20,
            within: Some(Duration::from_mins(7)),
        };
        let after =
            |reached: usize| Outcome::of(forecast, reached, History::default(), BTreeMap::new());
        assert!(after(5_000).is_sound() && after(5_019).is_sound());
        let short = after(800);
        assert!(!short.is_sound());
        let said = short.to_string();
        assert!(
            said.starts_with("seed 1: 800 of 5000 operations by 20 clients\n"),
            "{said}"
        );
        assert!(
            said.contains("TIME WAS UP after 420 s: 800 of 5000 operations were reached"),
            "{said}"
        );
        assert!(!after(5_000).to_string().contains("TIME WAS UP"));
    }
}
