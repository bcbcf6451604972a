//! Contention as a dimension: one account sends at a rate while every transaction holds its items,
//! on a clock that only holds and waits move. What is counted is who was answered `503`; and the
//! sums are those of what was answered.

use std::time::Duration;

use local::rush::{Ground, Outcome, Rush};
use local::{Options, Stack};
use shared::account::Shards;

/// A rush of some seconds in which transactions take so many milliseconds.
const fn rush(per_second: u32, seconds: u32, hold: u64) -> Rush {
    Rush {
        seed: 1,
        per_second,
        seconds,
        hold: Duration::from_millis(hold),
        cancels: false,
    }
}

/// What comes of a rush on an account that has bought so many, with so many shards or those that it
/// gets by itself. The sums always hold.
async fn borne(bought: u32, shards: Option<u8>, rush: Rush) -> Outcome {
    let stack = Stack::start(Options {
        apart: true,
        ..Options::ephemeral()
    })
    .await
    .unwrap();
    let ground = Ground::open(&stack, bought, shards.and_then(Shards::new))
        .await
        .unwrap();
    tokio::time::pause();
    let outcome = ground.bear(&stack, rush).await;
    tokio::time::resume();
    let outcome = outcome.unwrap();
    assert_eq!(outcome.wrong, Vec::<String>::new(), "{outcome:?}");
    assert!(outcome.conflicts > 0, "transactions met each other");
    outcome
}

#[tokio::test]
async fn who_bought_a_thousand_sends_two_hundred_a_second_and_hardly_one_is_refused() {
    for (seconds, hold) in [(1, 10), (2, 20)] {
        let outcome = borne(1_000, None, rush(200, seconds, hold)).await;
        assert_eq!(
            (outcome.shards, outcome.sends.values().sum()),
            (8, 200 * seconds)
        );
        assert!(
            outcome.refused() < 1.0,
            "{hold} ms: {:.2} %, {:?}",
            outcome.refused(),
            outcome.sends
        );
    }
}

#[tokio::test]
async fn sends_and_what_is_given_back_are_borne_together() {
    let outcome = borne(
        1_000,
        None,
        Rush {
            cancels: true,
            ..rush(100, 2, 20)
        },
    )
    .await;
    assert!(
        outcome.refused() < 1.0,
        "{:.2} %, {:?} {:?}",
        outcome.refused(),
        outcome.sends,
        outcome.cancels
    );
    assert!(outcome.cancels[&200] > 190, "{:?}", outcome.cancels);
}

#[tokio::test]
async fn one_shard_bears_twenty_a_second_and_not_a_hundred() {
    let calm = borne(999, None, rush(20, 3, 20)).await;
    assert_eq!(calm.shards, 1);
    assert!(
        calm.refused() < 1.0,
        "{:.2} %, {:?}",
        calm.refused(),
        calm.sends
    );
    // Where this is no longer so, what is said of shards is to be said anew.
    let rushed = borne(999, None, rush(100, 2, 20)).await;
    assert!(
        rushed.refused() > 10.0,
        "{:.2} %, {:?}",
        rushed.refused(),
        rushed.sends
    );
}
