//! A short storm over the service; `cargo run --release -p bench -- faults` goes through a long one.

use local::Mode;
use local::storm::{self, Forecast};
use tests::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_a_storm() {
    let world = World::new().await;
    let forecast = Forecast { seed: 7, operations: 1_500, clients: 16, per_mille: 120 };
    let outcome = storm::run(&world.stack, forecast).await.unwrap();
    println!("seed {}\n{outcome}", forecast.seed);
    assert!(outcome.is_sound(), "{outcome}");
    for mode in [Mode::Refused, Mode::Lost, Mode::Throttled, Mode::Conflict, Mode::Torn] {
        assert!(outcome.struck.get(&mode).is_some_and(|struck| *struck > 10), "{outcome}");
    }
    // It went all the ways that it is about.
    for (what, status) in [
        ("top-up", 201),
        ("send", 201),
        ("open", 200),
        ("begin", 201),
        ("callback", 204),
        ("change", 200),
        ("complete", 200),
        ("cancel", 200),
        ("clean-up", 0),
    ] {
        assert!(outcome.count(what, status) > 0, "{what} {status}: {outcome}");
    }
}
