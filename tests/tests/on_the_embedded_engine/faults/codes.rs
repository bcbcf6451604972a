//! Codes that are asked for: a sender that fails, a claim that is lost, contention.

use reqwest::Method;
use serde_json::json;
use tests::agreements::challenge_of;
use tests::{World, another};

use crate::faults::harness::{OF_THE_TABLE, fresh, is_clean, side_by_side, times};

const MODES: [&str; 3] = ["refused", "throttled", "lost"];

async fn fault(world: &World, service: &str, mode: &str, after: u32, count: u32) {
    let body = json!({"service": service, "mode": mode, "after": after, "count": count});
    let _ = world
        .send(world.request(Method::POST, "/_local/faults").json(&body))
        .await
        .expect(200);
}

async fn clear(world: &World) {
    let _ = world
        .send(
            world
                .request(Method::POST, "/_local/faults")
                .json(&json!({})),
        )
        .await
        .expect(200);
}

#[tokio::test]
async fn a_code_is_sent_once_for_each_key_and_counts_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        world.advance(3_600);
        let ann = world
            .user(&fresh(fault, "ann").to_lowercase(), json!({}))
            .await;
        let challenge = world.challenge(&ann).await;
        let before = world.outbox().await.len();
        let body = json!({"challenge": challenge, "method": "sms"});
        let ask = || {
            world.send(
                world
                    .request(Method::POST, "/v1/codes")
                    .header("idempotency-key", "k")
                    .json(&body),
            )
        };
        let (struck, first) = fault.strikes(world, ask()).await;
        let again = ask().await;
        // A record that could not be completed holds its key until its code is over: rather none
        // than two.
        let held = again.slug() == "idempotency-conflict" && first.status == 202;
        assert!(again.status == 202 || held, "{fault:?}: {}", again.body);
        assert!(
            first.status != 202 || held || first.body == again.body,
            "{fault:?}"
        );
        assert_eq!(world.outbox().await.len(), before + 1, "{fault:?}");
        if !held {
            assert_eq!(
                again.body["resend_in"], 30,
                "{fault:?}: a send that failed does not count"
            );
        }
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        let told = world.actions(&ann.id).await;
        assert_eq!(
            times(&told, "code-sent") - times(&told, "code-not-sent"),
            1,
            "{fault:?}: {told:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_fails_burns_neither_the_cooldown_nor_a_send() {
    for (service, method) in [("sns", "sms"), ("ses", "email")] {
        for mode in ["refused", "throttled"] {
            let world = World::new().await;
            let _ = world
                .settings(json!({"second_factor": {"methods": {"email": true}}}))
                .await;
            let ann = world.user("ann", json!({})).await;
            let challenge = world.challenge(&ann).await;
            for _ in 0..7 {
                fault(&world, service, mode, 0, 3).await;
                is_clean(
                    &world
                        .issue(&challenge, method)
                        .await
                        .refused(503, "sender-unavailable"),
                );
            }
            clear(&world).await;
            assert!(world.outbox().await.is_empty());
            let sent = world.issue(&challenge, method).await.expect(202);
            assert_eq!(sent.body["resend_in"], 30);
            let _ = world
                .verify(&challenge, method, &world.last_code().await)
                .await
                .expect(200);
            // All five of the destination are left but one.
            for _ in 0..4 {
                let challenge = world.challenge(&ann).await;
                let _ = world.issue(&challenge, method).await.expect(202);
            }
        }
    }
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_told_as_sent_and_counts_and_its_code_is_good() {
    for (service, method) in [("sns", "sms"), ("ses", "email")] {
        let world = World::new().await;
        let _ = world
            .settings(json!({"second_factor": {"methods": {"email": true}}}))
            .await;
        let ann = world.user("ann", json!({})).await;
        let challenge = world.challenge(&ann).await;
        let body = json!({"challenge": challenge, "method": method});
        let ask = |key| {
            world.send(
                world
                    .request(Method::POST, "/v1/codes")
                    .header("idempotency-key", key)
                    .json(&body),
            )
        };
        fault(&world, service, "lost", 0, 1).await;
        let sent = ask("k").await.expect(202);
        clear(&world).await;
        assert_eq!(world.outbox().await.len(), 1);
        // The same request again is that one; another has to wait, since this one may have arrived.
        let again = ask("k").await.expect(202);
        assert_eq!(
            (&again.body, again.header("idempotency-replayed")),
            (&sent.body, Some("true"))
        );
        let _ = ask("other").await.refused(429, "resend-too-soon");
        assert_eq!(world.outbox().await.len(), 1);
        let _ = world
            .verify(&challenge, method, &world.last_code().await)
            .await
            .expect(200);
        // It was one of the five that the destination may have.
        for _ in 0..4 {
            let challenge = world.challenge(&ann).await;
            let _ = world.issue(&challenge, method).await.expect(202);
        }
        let challenge = world.challenge(&ann).await;
        let _ = world
            .issue(&challenge, method)
            .await
            .refused(429, "too-many-sends");
    }
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_burns_nothing() {
    for mode in MODES {
        for after in 0..3 {
            let world = World::new().await;
            let ann = world.user("ann", json!({})).await;
            let (challenge, code) = world.challenge_and_code(&ann).await;
            world.advance(60);
            let body = json!({"challenge": challenge, "method": "sms"});
            let ask = || {
                world.send(
                    world
                        .request(Method::POST, "/v1/codes")
                        .header("idempotency-key", "k")
                        .json(&body),
                )
            };
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = ask().await;
            clear(&world).await;
            if first.status == 202 {
                continue;
            }
            is_clean(&first);
            assert_eq!(world.outbox().await.len(), 1, "{mode} after {after}");
            // The code before is as good as it was, and another can be asked for with the same key.
            let wrong = world
                .verify(&challenge, "sms", &another(&code))
                .await
                .refused(401, "code-invalid");
            assert_eq!(wrong.body["attempts_left"], 4);
            let again = ask().await.expect(202);
            assert_eq!(
                (
                    &again.body["resend_in"],
                    again.header("idempotency-replayed")
                ),
                (&json!(60), None),
                "{mode} after {after}"
            );
        }
    }
}

/// Longer than anybody asks: each takes effect, and nobody is told so.
const ENDLESS: u32 = 1_000;

#[tokio::test]
async fn a_claim_that_does_not_settle_is_taken_back() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        let before = world.outbox().await.len();
        let body = json!({"challenge": challenge, "method": "sms"});
        let ask = || {
            world.send(
                world
                    .request(Method::POST, "/v1/codes")
                    .header("idempotency-key", "k")
                    .json(&body),
            )
        };
        fault(&world, "dynamodb", "unsettled", 0, ENDLESS).await;
        is_clean(&ask().await.refused(503, "service-unavailable"));
        clear(&world).await;
        let sent = ask().await.expect(202);
        assert_eq!(
            (&sent.body["resend_in"], sent.header("idempotency-replayed")),
            (&json!(30), None),
            "{is_recipient}"
        );
        assert_eq!(world.outbox().await.len(), before + 1, "{is_recipient}");
    }
}

#[tokio::test]
async fn a_resend_that_fails_leaves_the_code_before_good() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(60);
    fault(&world, "sns", "refused", 0, 3).await;
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(503, "sender-unavailable");
    clear(&world).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions,
        [
            "user-created",
            "sign-in",
            "code-sent",
            "code-sent",
            "code-not-sent",
            "code-verified"
        ]
    );
}

#[tokio::test]
async fn a_resend_that_fails_is_asked_for_again_without_a_wait() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        let _ = world.issue(&challenge, "sms").await.expect(202);
        world.advance(60);
        fault(&world, "sns", "refused", 0, 3).await;
        let _ = world
            .issue(&challenge, "sms")
            .await
            .refused(503, "sender-unavailable");
        clear(&world).await;
        assert_eq!(
            world.issue(&challenge, "sms").await.expect(202).body["resend_in"],
            60
        );
    }
}

#[tokio::test]
async fn a_failed_send_frees_its_idempotency_key() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let body = json!({"challenge": challenge, "method": "sms"});
    let ask = || {
        world.send(
            world
                .request(Method::POST, "/v1/codes")
                .header("idempotency-key", "k")
                .json(&body),
        )
    };
    fault(&world, "sns", "refused", 0, 3).await;
    let _ = ask().await.refused(503, "sender-unavailable");
    clear(&world).await;
    let sent = ask().await.expect(202);
    assert_eq!(sent.header("idempotency-replayed"), None);
    assert_eq!(world.outbox().await.len(), 1);
}

#[tokio::test]
async fn contention_is_tried_again_and_given_up_with_a_clean_refusal() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    // Both writes meet another transaction, a few times each; reads never do.
    fault(&world, "dynamodb", "conflict", 0, 6).await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    fault(&world, "dynamodb", "conflict", 1, 6).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    clear(&world).await;
    let (challenge, code) = {
        world.advance(60);
        world.challenge_and_code(&ann).await
    };
    fault(&world, "dynamodb", "conflict", 0, 1_000).await;
    is_clean(
        &world
            .verify(&challenge, "sms", &code)
            .await
            .refused(503, "service-unavailable"),
    );
    clear(&world).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_send_that_failed_is_no_send_of_its_source() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        // One more than a client IP has.
        for _ in 0..26 {
            fault(&world, "sns", "refused", 0, 3).await;
            let _ = world
                .issue(&challenge, "sms")
                .await
                .refused(503, "sender-unavailable");
        }
        clear(&world).await;
        let _ = world.issue(&challenge, "sms").await.expect(202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_fails_after_another_took_its_place_takes_nothing_back_of_that() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        fault(&world, "sns", "refused", 0, 3).await;
        // What is read to take the first back, after the read and the claim, is read at two
        // moments: the second is sent between them.
        let torn = world.stack.faults().tear(2);
        let meanwhile = async {
            torn.arrived().await;
            world.advance(61);
            let _ = world.issue(&challenge, "sms").await.expect(202);
            torn.let_go();
        };
        let (first, ()) = tokio::join!(world.issue(&challenge, "sms"), meanwhile);
        let _ = first.refused(503, "sender-unavailable");
        assert_eq!(torn.operation(), Some("BatchGetItem"));
        let soon = world
            .issue(&challenge, "sms")
            .await
            .refused(429, "resend-too-soon");
        assert!(soon.body["resend_in"].as_i64().unwrap() > 0);
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
    }
}
