//! A small storm through the routes: many clients, faults and workers that die, judged from
//! outside. The large ones are `bench storm`'s. And that no route is left out of it.
//!
//! Alone in this file: it takes the whole processor, and what waits for a second elsewhere would
//! wait for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use shared::web::http::routes::{ROUTES, Route};
use storm::{Forecast, InProcess};

const SMALL: Forecast = Forecast {
    seed: 9,
    operations: 400,
    clients: 20,
    within: None,
};
/// What is no route, and yet asked for: the schedule's run.
const CLEANUP: &str = "POST /_local/cleanup";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_in_a_storm() {
    let (stack, scene) = InProcess::start().await.unwrap();
    let outcome = storm::run(scene, SMALL).await.unwrap();
    stack.stop().await;
    // That it blew, and that people got somewhere in it.
    assert!(
        outcome.struck.values().sum::<u32>() > 50 && outcome.deaths > 0,
        "{outcome}"
    );
    for route in [
        "POST /v1/login",
        "POST /v1/codes/verify",
        "POST /v1/agreements/{id}/recipients/{recipient}/complete",
    ] {
        assert!(
            outcome
                .done
                .get(&(route, 200))
                .is_some_and(|count| *count > 3),
            "{route}: {outcome}"
        );
    }
    assert!(outcome.is_sound(), "{outcome}");
}

/// The sources under a path.
fn sources(path: PathBuf) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path];
    }
    fs::read_dir(path)
        .unwrap()
        .flat_map(|entry| sources(entry.unwrap().path()))
        .collect()
}

/// The routes that a source names, its tests aside: a text between quotation marks that begins with
/// a method and a path.
fn named(source: &Path) -> Vec<String> {
    let text = fs::read_to_string(source).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let is_route = |text: &&str| {
        text.split_once(" /")
            .is_some_and(|(method, _)| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method))
    };
    code.split('"')
        .filter(is_route)
        .map(str::to_owned)
        .collect()
}

fn routes_named_in(places: &[&str]) -> BTreeSet<String> {
    let storm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/storm/src");
    places
        .iter()
        .flat_map(|place| sources(storm.join(place)))
        .flat_map(|source| named(&source))
        .collect()
}

/// Who is never called is dead code, which the compiler refuses: what a client names is called in a
/// storm that is long enough.
#[test]
fn every_route_is_called_by_a_client() {
    let routes: BTreeSet<String> = ROUTES.iter().map(Route::key).collect();
    let called = routes_named_in(&["clients", "ground.rs"]);
    assert_eq!(
        routes.difference(&called).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "no client calls these"
    );
}

#[test]
fn clients_and_judge_name_no_route_that_does_not_exist() {
    let mut routes: BTreeSet<String> = ROUTES.iter().map(Route::key).collect();
    routes.insert(CLEANUP.to_owned());
    let named = routes_named_in(&["clients", "ground.rs", "aftermath.rs", "judge"]);
    assert!(named.len() > 60, "{named:?}");
    assert_eq!(
        named.difference(&routes).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "nobody serves these"
    );
}
