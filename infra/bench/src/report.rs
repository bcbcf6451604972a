//! What was measured, and the goals it is held against.

use std::time::Duration;

use local::rush::{Outcome, Rush};
use local::{Row, costs};
use shared::store::dynamo::meter::Cost;

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub cold: Vec<Cold>,
    pub throughput: Vec<Throughput>,
    pub reservations: Vec<Reservations>,
    pub rushes: Vec<(Rush, Outcome)>,
    routes: Vec<Route>,
}

/// A function's cold start.
#[derive(Debug)]
pub(crate) struct Cold {
    pub function: &'static str,
    pub size: u64,
    pub poll: f64,
    pub answer: f64,
    pub peak_mib: f64,
}

/// A route's request, warm.
#[derive(Debug, Default)]
pub(crate) struct Route {
    name: &'static str,
    pub p50: f64,
    pub p99: f64,
    pub cpu: f64,
    pub peak_mib: f64,
    pub cost: Cost,
}

/// Verifications with so many in flight.
#[derive(Debug)]
pub(crate) struct Throughput {
    pub in_flight: usize,
    pub per_second: f64,
    pub per_core: f64,
    pub cpu: f64,
}

/// Reservations on one account's balance.
#[derive(Debug)]
pub(crate) struct Reservations {
    pub shards: u8,
    pub in_flight: usize,
    /// The write units a second that one item takes; none where only the engine is the limit.
    pub units_per_second: Option<u32>,
    pub per_second: f64,
}

/// Goals: MB, milliseconds, MiB.
const SIZE_GOAL: f64 = 9.0;
const POLL_GOAL: f64 = 12.0;
const ANSWER_GOAL: f64 = 18.0;
const MEMORY_GOAL: f64 = 20.0;
/// argon2id takes 19 MiB by itself.
const HASHING_MEMORY_GOAL: f64 = 40.0;
const WRONG_CPU_GOAL: f64 = 1.0;
const RIGHT_CPU_GOAL: f64 = 1.5;

impl Report {
    /// The row of a route.
    pub fn route(&mut self, name: &'static str) -> &mut Route {
        let place = self
            .routes
            .iter()
            .position(|route| route.name == name)
            .unwrap_or_else(|| {
                self.routes.push(Route {
                    name,
                    ..Route::default()
                });
                self.routes.len() - 1
            });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made above")]
        &mut self.routes[place]
    }

    /// Whether there is a row of the route that API Gateway names `key`, or of a way to go it.
    pub fn has(&self, key: &str) -> bool {
        self.routes
            .iter()
            .any(|route| route.name.split(", ").next() == Some(key))
    }

    fn push_reservations(&self, lines: &mut Lines) {
        lines.push(
            [
                "reservations on one account",
                "in flight",
                "shards",
                "an item's write units",
                "per second",
                "",
                "",
            ]
            .map(str::to_owned),
        );
        for row in &self.reservations {
            lines.push([
                "reserve".into(),
                row.in_flight.to_string(),
                row.shards.to_string(),
                row.units_per_second
                    .map_or_else(|| "no limit".into(), |units| format!("{units} a second")),
                format!("{:.0}", row.per_second),
                String::new(),
                String::new(),
            ]);
        }
    }

    fn push_rushes(&self, lines: &mut Lines) {
        let heading = [
            "sends on one account, under conflicts",
            "a second",
            "shards",
            "a hold",
            "answered 503",
            "p50, p99",
            "sums",
        ];
        lines.push(heading.map(str::to_owned));
        for (rush, outcome) in &self.rushes {
            lines.push([
                "send".into(),
                rush.per_second.to_string(),
                outcome.shards.to_string(),
                plain(millis(rush.hold), "ms"),
                format!("{:.2} %", outcome.refused()),
                format!(
                    "{:.0}, {:.0} ms",
                    millis(outcome.wait(0.5)),
                    millis(outcome.wait(0.99))
                ),
                if outcome.wrong.is_empty() {
                    "exact".into()
                } else {
                    outcome.wrong.join("; ")
                },
            ]);
        }
    }

    /// Prints it, and says how many goals of size, requests and units are missed. A number that
    /// misses its goal is marked with `!`.
    pub fn print(&self) -> usize {
        let mut lines = Lines::new([
            "function",
            "binary",
            "first poll",
            "first answer",
            "peak memory",
            "",
            "",
        ]);
        for cold in &self.cold {
            lines.push([
                cold.function.into(),
                goal(megabytes(cold.size), "MB", SIZE_GOAL),
                goal(cold.poll, "ms", POLL_GOAL),
                // A password takes longer to hash than that, wherever it is hashed.
                if cold.function == "login" {
                    plain(cold.answer, "ms")
                } else {
                    goal(cold.answer, "ms", ANSWER_GOAL)
                },
                goal(cold.peak_mib, "MiB", memory_goal(cold.function)),
                String::new(),
                String::new(),
            ]);
        }
        self.push_routes(&mut lines);
        lines.push(
            [
                "verifications in flight",
                "per second",
                "per core second",
                "CPU each",
                "",
                "",
                "",
            ]
            .map(str::to_owned),
        );
        for throughput in &self.throughput {
            lines.push([
                throughput.in_flight.to_string(),
                format!("{:.0}", throughput.per_second),
                format!("{:.0}", throughput.per_core),
                plain(throughput.cpu, "ms"),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        self.push_reservations(&mut lines);
        self.push_rushes(&mut lines);
        lines.print();
        say(&format!(
            "\nGoals: binary {SIZE_GOAL} MB, first poll {POLL_GOAL} ms, first answer {ANSWER_GOAL} ms, memory {MEMORY_GOAL} MiB \
             ({HASHING_MEMORY_GOAL} where passwords are hashed), CPU of a wrong code {WRONG_CPU_GOAL} ms and of a right one \
             {RIGHT_CPU_GOAL} ms, requests and units as infra/table.md has them. ! marks what misses one. Waits are that table's: requests that go \
             out together are one. A route without times was asked once. The last rows hold the embedded DynamoDB's work too."
        ));
        let large = self
            .cold
            .iter()
            .filter(|cold| megabytes(cold.size) > SIZE_GOAL)
            .count();
        let costly = self
            .routes
            .iter()
            .filter(|route| route.spends_more())
            .count();
        if large + costly > 0 {
            say(&format!(
                "{large} binaries are too large, and {costly} routes spend more than they should."
            ));
        }
        large + costly
    }

    fn push_routes(&self, lines: &mut Lines) {
        let heading = [
            "route, warm",
            "p50",
            "p99",
            "CPU",
            "peak memory",
            "requests (waits)",
            "units read + written",
        ];
        lines.push(heading.map(str::to_owned));
        for route in &self.routes {
            let timed = |value, unit| {
                if route.p50 > 0.0 {
                    plain(value, unit)
                } else {
                    String::new()
                }
            };
            let waits = route
                .row()
                .map_or_else(String::new, |row| format!(" ({})", row.waits));
            let cost = route.cost;
            lines.push([
                route.name.into(),
                timed(route.p50, "ms"),
                timed(route.p99, "ms"),
                match cpu_goal(route.name) {
                    Some(most) if route.p50 > 0.0 => goal(route.cpu, "ms", most),
                    _ => timed(route.cpu, "ms"),
                },
                timed(route.peak_mib, "MiB"),
                format!("{}{waits}", cost.requests),
                format!(
                    "{} + {}{}",
                    cost.read_units,
                    cost.write_units,
                    if route.spends_more() { " !" } else { "" }
                ),
            ]);
        }
    }
}

impl Route {
    /// What the table says of it.
    fn row(&self) -> Option<Row> {
        costs().get(self.name).copied()
    }

    /// Whether it spends more than the table says. What has no row there has no goal.
    fn spends_more(&self) -> bool {
        self.row().is_some_and(|Row { cost, .. }| {
            let spent = self.cost;
            spent.requests > cost.requests
                || spent.read_units > cost.read_units
                || spent.write_units > cost.write_units
        })
    }
}

fn megabytes(size: u64) -> f64 {
    f64::from(u32::try_from(size).unwrap_or(u32::MAX)) / 1e6
}

/// Whether a function hashes passwords, which takes its own memory and time.
pub(crate) fn hashes(function: &str) -> bool {
    matches!(function, "factors" | "login" | "password" | "users")
}

fn memory_goal(function: &str) -> f64 {
    if hashes(function) {
        HASHING_MEMORY_GOAL
    } else {
        MEMORY_GOAL
    }
}

fn cpu_goal(route: &str) -> Option<f64> {
    match route {
        "POST /v1/codes/verify, wrong" => Some(WRONG_CPU_GOAL),
        "POST /v1/codes/verify" => Some(RIGHT_CPU_GOAL),
        _ => None,
    }
}

fn goal(value: f64, unit: &str, most: f64) -> String {
    format!(
        "{}{}",
        plain(value, unit),
        if value > most { " !" } else { "" }
    )
}

fn plain(value: f64, unit: &str) -> String {
    format!("{value:.2} {unit}")
}

/// Rows of one table.
struct Lines(Vec<[String; 7]>);

impl Lines {
    fn new(heading: [&str; 7]) -> Self {
        Self(vec![heading.map(str::to_owned)])
    }

    fn push(&mut self, row: [String; 7]) {
        self.0.push(row);
    }

    fn print(&self) {
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        for row in &self.0 {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                format!("{cell:<width$}", width = width(column).unwrap_or_default())
            });
            say(cells.collect::<Vec<_>>().join(" | ").trim_end());
        }
    }
}

/// A span in milliseconds.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// The one in the middle.
pub(crate) fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    at_rank(&spans, 0.5)
}

/// The one below which the given part of `sorted` lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few hundred"
)]
pub(crate) fn at_rank(sorted: &[Duration], part: f64) -> Duration {
    let place = (sorted.len() as f64 * part) as usize;
    sorted
        .get(place)
        .or(sorted.last())
        .copied()
        .unwrap_or_default()
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "it is what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
