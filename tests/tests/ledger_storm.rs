//! A short storm over the ledger; `cargo run --release -p bench -- faults` goes through a long one.

use local::Mode;
use local::storm::{self, Forecast};
use tests::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_a_storm() {
    let world = World::new().await;
    let forecast = Forecast { seed: 7, operations: 600, clients: 8, per_mille: 120 };
    let outcome = storm::run(&world.stack, forecast).await.unwrap();
    println!("seed {}\n{outcome}", forecast.seed);
    assert!(outcome.is_sound(), "{outcome}");
    for mode in [Mode::Refused, Mode::Lost, Mode::Throttled, Mode::Conflict] {
        assert!(outcome.struck.get(&mode).is_some_and(|struck| *struck > 10), "{outcome}");
    }
}
