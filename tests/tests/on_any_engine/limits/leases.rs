//! A request that holds its `Idempotency-Key` and never comes to its end, or comes to it when
//! another has taken its place.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use tests::agreements::challenge_of;
use tests::{Answer, World};

/// Asks for a code, with a body that is written in one of two ways: to the key they are two
/// requests.
async fn ask(world: &World, challenge: &str, method_first: bool) -> Answer {
    let (challenge, method) = (json!(challenge), json!("sms"));
    let body = if method_first {
        format!("{{\"method\":{method},\"challenge\":{challenge}}}")
    } else {
        format!("{{\"challenge\":{challenge},\"method\":{method}}}")
    };
    let request = world
        .request(Method::POST, "/v1/codes")
        .header("idempotency-key", "k");
    world
        .send(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
}

#[tokio::test]
async fn a_key_is_free_again_when_the_request_that_held_it_cannot_be_running_any_more() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        let before = world.outbox().await.len();
        // It is read and claimed, the message goes, and the record is never completed.
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Refused, 2, 3);
        let _ = ask(&world, &challenge, false).await.expect(202);
        assert_eq!(world.stack.faults().struck(), 3);
        world.stack.faults().clear();
        for seconds in [0, 359] {
            world.advance(seconds);
            let _ = ask(&world, &challenge, false)
                .await
                .refused(409, "idempotency-conflict");
        }
        world.advance(1);
        let again = ask(&world, &challenge, false).await.expect(202);
        assert_eq!(
            (
                again.header("idempotency-replayed"),
                world.outbox().await.len()
            ),
            (None, before + 2),
            "{is_recipient}"
        );
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_to_its_end_after_its_lease_completes_nothing_of_the_one_in_its_place()
{
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        // Both are claimed, and go on when they are let.
        let first = world.stack.faults().hold(Service::Dynamodb, 1);
        let then = async {
            first.arrived().await;
            world.advance(361);
            let second = world.stack.faults().hold(Service::Dynamodb, 1);
            let (placed, ()) = tokio::join!(ask(&world, &challenge, true), async {
                second.arrived().await;
                // What the first writes when its message has gone.
                let last = world.stack.faults().hold(Service::Dynamodb, 0);
                first.let_go();
                last.arrived().await;
                let _ = ask(&world, &challenge, true)
                    .await
                    .refused(409, "idempotency-conflict");
                last.let_go();
                second.let_go();
            });
            placed
        };
        let (one, other) = tokio::join!(ask(&world, &challenge, false), then);
        assert_eq!(
            (one.status, other.status),
            (202, 202),
            "{} {}",
            one.body,
            other.body
        );
        assert_eq!(
            ask(&world, &challenge, true)
                .await
                .expect(202)
                .header("idempotency-replayed"),
            Some("true")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_fails_after_its_lease_frees_nothing_of_the_one_in_its_place() {
    let world = World::new().await;
    let challenge = challenge_of(&world, false).await;
    let first = world.stack.faults().hold(Service::Dynamodb, 1);
    let then = async {
        first.arrived().await;
        world.advance(361);
        let placed = ask(&world, &challenge, true).await;
        world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
        first.let_go();
        placed
    };
    let (failed, placed) = tokio::join!(ask(&world, &challenge, false), then);
    let (_, placed) = (
        failed.refused(503, "sender-unavailable"),
        placed.expect(202),
    );
    let again = ask(&world, &challenge, true).await.expect(202);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.body),
        (Some("true"), &placed.body)
    );
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}
