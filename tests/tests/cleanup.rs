//! The scheduled clean-up.

use expiry_cleanup::{Batch, Report, run, sweep};
use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use shared::clock::{Span, Timestamp};
use shared::dynamo::{Key, Write, keys};
use tests::agreements::clean;
use tests::{PASSWORD, World};

/// Ten items of each of the eight shards.
const TEN_EACH: Batch = Batch { items_max: 80, page: 50, until: Timestamp::from_millis(i64::MAX) };

#[tokio::test]
async fn what_is_over_is_removed_and_told_of_once() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let body = json!({"challenge": challenge, "method": "sms"});
    let _ = world.send(world.request(Method::POST, "/v1/codes").header("idempotency-key", "k").json(&body)).await.expect(202);
    let _ = world.login("nobody", "wrong password").await.refused(401, "invalid-credentials");
    assert_eq!(clean(&world).await["challenges"], 0);

    world.advance(31 * 86_400);
    let report = clean(&world).await;
    assert_eq!(report["challenges"], 1);
    assert_eq!(report["idempotency_records"], 1);
    // Sends of the source and of the destination, the budget, failures of the source, wrong passwords of the name.
    assert_eq!(report["counters"], 5);
    // The entry, and the head of its chain.
    assert_eq!(report["passing_entries"], 2);
    assert_eq!(clean(&world).await["examined"], 0);
    assert_eq!(world.actions(&ann.id).await.len(), 3, "the audit of a user stays");
}

#[tokio::test]
async fn what_is_still_of_use_stays() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (_, _) = world.challenge_and_code(&ann).await;
    world.advance(400);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(201);
    // The first challenge is over, the second is not; the counters were written to since they were entered.
    let report = clean(&world).await;
    assert_eq!(report["challenges"], 1);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    world.advance(600);
    assert_eq!(clean(&world).await["challenges"], 1);
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

/// Sixty sessions that nobody can read, due before a counter that is over, all in one shard of the index: more than a page and a batch.
#[tokio::test]
async fn items_that_cannot_be_dealt_with_keep_no_others_from_it_and_alone_are_a_failure() {
    let world = World::new().await;
    let (app, courier) = (world.stack.app(), world.stack.courier());
    let past = app.clock.now().minus(Span::hours(1));
    let counter = keys::source_sends("198.18.255.1");
    let unreadable = (0..).map(|number| Key { pk: format!("SESSION#{number}"), sk: "SESSION".into() });
    let unreadable = unreadable.filter(|key| key.due_shard() == counter.due_shard()).take(60);
    let due = |key, at| Write::replace(key, &json!({})).unwrap().due(at);
    let writes = unreadable.map(|key| due(key, past.minus(Span::hours(1)))).chain([due(counter.clone(), past)]);
    world.stack.table().transact(writes.collect()).await.unwrap();

    let small = Batch { items_max: 20, ..Batch::default() };
    let report = sweep(app, courier, small).await;
    assert_eq!((report.failed, report.counters, report.more), (60, 1, false));
    assert!(!report.is_a_failure());
    let report = sweep(app, courier, small).await;
    assert_eq!((report.failed, report.removed()), (60, 0));
    assert!(report.is_a_failure(), "nothing but failures: the run has failed, which the alarm sees");
}

/// So many counters that are over, in one shard of the index.
async fn counters_in(world: &World, shard: &str, count: usize) {
    let past = world.stack.clock().now().minus(Span::hours(1));
    let all = (0..).map(|number| keys::source_sends(&format!("198.18.{}.{}", number / 256, number % 256)));
    let some = all.filter(|key| key.due_shard() == shard).take(count);
    let writes = some.map(|key| Write::replace(key, &json!({})).unwrap().due(past)).collect();
    world.stack.table().transact(writes).await.unwrap();
}

async fn swept(world: &World) -> Report {
    sweep(world.stack.app(), world.stack.courier(), TEN_EACH).await
}

#[tokio::test]
async fn a_batch_ends_at_its_cap_and_the_next_goes_on_from_there() {
    let world = World::new().await;
    counters_in(&world, "DUE#3", 25).await;
    for (removed, more) in [(10, true), (10, true), (5, false), (0, false)] {
        let report = swept(&world).await;
        assert_eq!((report.counters, report.examined, report.more), (removed, removed, more));
    }
    counters_in(&world, "DUE#3", 25).await;
    let report = run(world.stack.app(), world.stack.courier(), TEN_EACH).await;
    assert_eq!((report.counters, report.more), (25, false), "a run is as many batches as it takes");
}

#[tokio::test]
async fn what_piles_up_in_one_shard_keeps_no_other_waiting() {
    let world = World::new().await;
    counters_in(&world, "DUE#0", 40).await;
    counters_in(&world, "DUE#7", 1).await;
    // Whichever shard is the first this minute.
    let report = swept(&world).await;
    assert_eq!((report.counters, report.more), (11, true));
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_is_told_of_and_keeps_no_other_waiting() {
    let world = World::new().await;
    for shard in 0..8 {
        counters_in(&world, &format!("DUE#{shard}"), 1).await;
    }
    // As often as the SDK tries the first of them.
    world.stack.faults().set(Service::Dynamodb, Mode::Refused, 0, 3);
    let report = run(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!((report.counters, report.failed, report.more, report.is_a_failure()), (8, 1, false, false));
    // Nothing can be read at all.
    counters_in(&world, "DUE#0", 1).await;
    world.stack.faults().set(Service::Dynamodb, Mode::Refused, 0, 1_000);
    let report = run(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!((report.examined, report.failed, report.more), (0, 8, true));
    assert!(report.is_a_failure());
}

#[tokio::test]
async fn a_window_that_was_written_to_since_it_was_entered_holds_after_the_clean_up() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let send = async || world.issue(&world.challenge(&ann).await, "sms").await;
    let _ = send().await.expect(202);
    world.advance(3_500);
    for _ in 0..5 {
        let _ = send().await.expect(202);
    }
    let _ = send().await.refused(429, "too-many-sends");
    // An hour after the first: that is when the index says to look.
    world.advance(101);
    assert!(clean(&world).await["rescheduled"].as_u64().unwrap() >= 1);
    let _ = send().await.refused(429, "too-many-sends");
    world.advance(500);
    let _ = send().await.expect(202);
}

#[tokio::test]
async fn an_app_that_is_to_be_confirmed_for_longer_than_a_challenge_lives_is_looked_at_again() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    world.advance(200);
    let _ = world.as_user(&token, Method::POST, "/v1/factors/totp", None).await.expect(201);
    for (seconds, challenges, enrolments) in [(400, 1, 0), (200, 0, 1), (0, 0, 0)] {
        world.advance(seconds);
        let report = clean(&world).await;
        assert_eq!((&report["challenges"], &report["enrolments"]), (&json!(challenges), &json!(enrolments)), "{report}");
    }
}

/// How many requests a sweep makes before the one that reads the only item that is due, which is in this shard.
fn before_the_read(world: &World, shard: &str) -> u32 {
    let first = world.stack.clock().now().as_secs().div_euclid(60).rem_euclid(8);
    let own: i64 = shard.trim_start_matches("DUE#").parse().unwrap();
    u32::try_from((own - first).rem_euclid(8)).unwrap() + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_that_is_opened_while_another_is_removed_is_removed_in_its_turn() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.challenge(&ann).await;
    world.advance(601);
    let shard = keys::user(ann.id.parse().unwrap()).due_shard();
    let gate = world.stack.faults().hold(Service::Dynamodb, before_the_read(&world, &shard));
    let meanwhile = async {
        gate.arrived().await;
        let _ = world.challenge(&ann).await;
        gate.let_go();
    };
    let (first, ()) = tokio::join!(swept(&world), meanwhile);
    assert_eq!(gate.operation(), Some("GetItem"));
    assert_eq!((first.challenges, first.failed), (0, 0), "what was read has changed: it is left to the next");
    let next = swept(&world).await;
    assert_eq!((next.challenges, next.rescheduled), (0, 1), "the sign-in has removed the one that was over");
    world.advance(600);
    assert_eq!(swept(&world).await.challenges, 1);
}
