//! What `infra/table.md` says that each route costs: the tests and the benchmark hold what they
//! measure against it.

use std::collections::BTreeMap;

use shared::store::dynamo::meter::Cost;

const TABLE: &str = include_str!("../../table.md");

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// How many requests wait for each other, of those before the answer.
    pub waits: u32,
    /// What is spent, on mails too.
    pub cost: Cost,
}

/// The rows of the table of costs, by what their first cell names.
pub fn costs() -> BTreeMap<String, Row> {
    let (_, section) = TABLE
        .split_once("## What each route costs")
        .unwrap_or_default();
    let section = section
        .split_once("\n## ")
        .map_or(section, |(section, _)| section);
    section
        .lines()
        .filter_map(row)
        .flat_map(|(names, row)| names.into_iter().map(move |name| (name, row)))
        .collect()
}

/// A row names a route, or some that cost the same, or a route and how it is gone: `route`,
/// `route`; `route`, again.
fn row(line: &str) -> Option<(Vec<String>, Row)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let (names, waits) = (
        cells.next()?,
        cells.next()?.split(" + ").next()?.parse().ok()?,
    );
    let mut number = || sum(cells.next()?);
    let (requests, read_units, write_units) = (number()?, number()?, number()?);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests"
    )]
    let cost = Cost {
        requests: requests as u32,
        read_units,
        write_units,
    };
    Some((
        names
            .split(", `")
            .map(|name| name.replace('`', ""))
            .collect(),
        Row { waits, cost },
    ))
}

/// A number, or the sum of some: what is done before the answer, and for mails.
fn sum(cell: &str) -> Option<f64> {
    cell.split(" + ").map(|part| part.parse::<f64>().ok()).sum()
}
