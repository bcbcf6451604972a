//! A small storm through the routes: many clients, faults and workers that die, judged from outside. The large ones are `bench storm`'s.

use storm::{Forecast, InProcess};

const SMALL: Forecast = Forecast { seed: 9, operations: 400, clients: 20, within: None };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_in_a_storm() {
    let (stack, scene) = InProcess::start().await.unwrap();
    let outcome = storm::run(scene, SMALL).await.unwrap();
    stack.stop().await;
    // That it blew, and that people got somewhere in it.
    assert!(outcome.struck.values().sum::<u32>() > 50 && outcome.deaths > 0, "{outcome}");
    for route in ["POST /v1/login", "POST /v1/codes/verify", "POST /v1/agreements/{id}/recipients/{recipient}/complete"] {
        assert!(outcome.done.get(&(route, 200)).is_some_and(|count| *count > 3), "{route}: {outcome}");
    }
    assert!(outcome.is_sound(), "{outcome}");
}
