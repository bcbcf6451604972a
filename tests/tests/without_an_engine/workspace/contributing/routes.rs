//! Every route stands in the places that the walkthrough of one goes through.

use shared::web::http::routes::{Authorisation, ROUTES, Route};

use super::page::section;
use super::tree::{has_word, text, under};

/// A place that a route stands in.
struct Place {
    /// As the page names it.
    named: &'static str,
    /// Where it is looked for: which client of a storm asks for a route, and which case of the
    /// benchmark, is the route's own affair.
    within: &'static str,
    /// Which routes stand there.
    takes: fn(&Route) -> bool,
    /// Whether a text has the route.
    has: fn(&str, &Route) -> bool,
}

impl Place {
    /// A file in which every route stands by its operation.
    const fn of_operations(path: &'static str) -> Self {
        Self {
            named: path,
            within: path,
            takes: |_| true,
            has: |text, route| has_word(text, &operation(route)),
        }
    }
}

const PLACES: [Place; 7] = [
    Place::of_operations("infra/template.yaml"),
    Place::of_operations("infra/openapi/src/types.rs"),
    Place::of_operations("infra/openapi/src/examples.rs"),
    Place {
        takes: touches_the_table,
        ..Place::of_operations("tests/tests/on_the_embedded_engine/faults/mod.rs")
    },
    Place {
        // Alone in its row, or beside others that cost the same.
        has: |text, route| {
            let key = route.key();
            text.contains(&format!("`{key}` |")) || text.contains(&format!("`{key}`, `"))
        },
        ..Place::of_operations("infra/table.md")
    },
    Place {
        named: "infra/bench/src/once.rs",
        within: "infra/bench/src",
        takes: |_| true,
        has: |text, route| {
            let key = route.key();
            text.contains(&format!("\"{key}\"")) || text.contains(&format!("\"{key}, "))
        },
    },
    Place {
        named: "infra/storm/src/clients/deal.rs",
        within: "infra/storm/src",
        takes: |_| true,
        has: |text, route| text.contains(&format!("\"{}\"", route.key())),
    },
];

fn operation(route: &Route) -> String {
    format!("{:?}", route.operation)
}

/// Whether it reads or writes the table.
fn touches_the_table(route: &Route) -> bool {
    route.authorisation != Authorisation::Public
}

#[test]
fn every_route_stands_where_the_walkthrough_of_one_goes() {
    let walkthrough = section("A route");
    for place in PLACES {
        let Place {
            named,
            within,
            takes,
            has,
        } = place;
        assert!(
            has_word(walkthrough, named),
            "the page does not name {named}"
        );
        let sources = under(within);
        let routes = ROUTES.iter().filter(|route| takes(route));
        let missing: Vec<_> = routes
            .filter(|route| !sources.iter().any(|source| has(&source.text, route)))
            .map(Route::key)
            .collect();
        assert!(missing.is_empty(), "{within} has nothing of {missing:?}");
    }
}

#[test]
fn every_refusal_that_a_route_names_is_provoked() {
    let suites = under("tests/tests/on_the_embedded_engine/problems");
    for route in ROUTES.iter().filter(|route| !route.refusals.is_empty()) {
        let named = operation(route);
        assert!(
            suites.iter().any(|suite| suite.has(&named)),
            "no suite provokes what {} refuses",
            route.key()
        );
    }
}

/// A function with one route need not ask which it is.
#[test]
fn every_function_dispatches_to_each_of_its_routes() {
    for route in ROUTES {
        let function = route.function;
        let sources = under(&format!("functions/{}/src", function.name()));
        let is_alone = ROUTES
            .iter()
            .filter(|other| other.function == function)
            .count()
            == 1;
        let named = operation(route);
        assert!(
            is_alone || sources.iter().any(|source| source.has(&named)),
            "{} does not know {}",
            function.name(),
            route.key()
        );
    }
}

/// A row of the API's table in README, as what it names and the function that it is of.
fn readme_rows() -> Vec<(Vec<String>, String)> {
    let readme = text("README.md");
    let (_, section) = readme.split_once("\n## The API\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let names = |cell: &str| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    section
        .lines()
        .filter_map(|line| {
            let mut cells = line.split(" | ");
            let (routes, function) = (cells.next()?, cells.nth(1)?);
            let named: Vec<String> = names(function);
            Some((names(routes), named.first()?.clone()))
        })
        .collect()
}

/// Whether `pattern` takes a route: `POST /v1/login`, `/v1/users…`, `/assets/*`.
fn takes(pattern: &str, route: &Route) -> bool {
    let (method, path) = pattern.split_once(' ').unwrap_or((route.method, pattern));
    let of_path = match path.strip_suffix(['…', '*']) {
        Some(beginning) => route.path.starts_with(beginning),
        None => route.path == path,
    };
    method == route.method && of_path
}

#[test]
fn every_route_is_in_readmes_table_of_the_api_under_its_function() {
    let rows = readme_rows();
    for route in ROUTES {
        let is_told = rows.iter().any(|(patterns, function)| {
            function == route.function.name()
                && patterns.iter().any(|pattern| takes(pattern, route))
        });
        assert!(is_told, "README does not have {}", route.key());
    }
}
