//! The scheduled clean-up.

use expiry_cleanup::{Batch, sweep};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Span;
use shared::dynamo::{Key, Write, keys};
use tests::{PASSWORD, World};

async fn clean(world: &World) -> Value {
    world.send(world.request(Method::POST, "/_local/cleanup")).await.expect(200).body
}

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
    let report = sweep(app, courier, small).await.unwrap();
    assert_eq!((report.failed, report.counters, report.more), (60, 1, false));
    assert!(!report.is_a_failure());
    let report = sweep(app, courier, small).await.unwrap();
    assert_eq!((report.failed, report.removed()), (60, 0));
    assert!(report.is_a_failure(), "nothing but failures: the run has failed, which the alarm sees");
}
