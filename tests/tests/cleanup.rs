//! The scheduled clean-up.

use reqwest::Method;
use serde_json::{Value, json};
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
