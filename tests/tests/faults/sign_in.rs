//! Each request to DynamoDB, SES and SNS of each route, in turn: refused, throttled, in conflict, lost after it took effect. Three
//! in a row, which is all that the SDK tries, and one, which it must get over without anything counted twice.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{PASSWORD, World, another};

use crate::harness::is_clean;

const MODES: [&str; 3] = ["refused", "throttled", "lost"];
/// More requests than any route makes.
const REQUESTS_MAX: u32 = 8;

async fn fault(world: &World, service: &str, mode: &str, after: u32, count: u32) {
    let body = json!({"service": service, "mode": mode, "after": after, "count": count});
    let _ = world.send(world.request(Method::POST, "/_local/faults").json(&body)).await.expect(200);
}

async fn clear(world: &World) {
    let _ = world.send(world.request(Method::POST, "/_local/faults").json(&json!({}))).await.expect(200);
}

#[tokio::test]
async fn one_fault_in_any_request_of_a_sign_in_is_got_over() {
    for mode in MODES {
        for after in 0..REQUESTS_MAX {
            let world = World::new().await;
            let ann = world.user("ann", json!({})).await;
            fault(&world, "dynamodb", mode, after, 1).await;
            let (challenge, code) = world.challenge_and_code(&ann).await;
            let wrong = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
            assert_eq!(wrong.body["attempts_left"], 4, "{mode} after {after}");
            let _ = world.verify(&challenge, "sms", &code).await.expect(200);
            clear(&world).await;
            assert_eq!(world.outbox().await.len(), 1, "{mode} after {after}");
            assert_eq!(
                world.actions(&ann.id).await,
                ["user-created", "sign-in", "code-sent", "code-verified: wrong-code", "code-verified"],
                "{mode} after {after}"
            );
        }
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_concluded_is_refused_and_counts_no_more_than_once() {
    for mode in MODES {
        for after in 0..4 {
            let world = World::new().await;
            let _ = world.user("ann", json!({})).await;
            fault(&world, "dynamodb", mode, after, 3).await;
            let answer = world.login("ann", PASSWORD).await;
            clear(&world).await;
            if answer.status != 200 {
                is_clean(&answer);
            }
            // Four more wrong ones are not delayed: so at most one was counted.
            for _ in 0..4 {
                let _ = world.login("ann", "wrong password").await.refused(401, "invalid-credentials");
            }
            let last = world.login("ann", PASSWORD).await;
            assert!(last.status == 200 || last.slug() == "too-many-attempts", "{mode} after {after}: {}", last.body);
        }
    }
}

#[tokio::test]
async fn a_code_is_not_taken_twice_whatever_is_lost() {
    for mode in MODES {
        for after in 0..4 {
            let world = World::new().await;
            let ann = world.user("ann", json!({})).await;
            let (challenge, code) = world.challenge_and_code(&ann).await;
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = world.verify(&challenge, "sms", &code).await;
            clear(&world).await;
            if first.status != 200 {
                is_clean(&first);
            }
            let second = world.verify(&challenge, "sms", &code).await;
            let tokens = [&first, &second].iter().filter(|answer| answer.status == 200).count();
            let taken = world.actions(&ann.id).await.iter().filter(|action| *action == "code-verified").count();
            assert_eq!(taken, 1, "{mode} after {after}: {} {}", first.body, second.body);
            // Only where the answer of the last write was lost is a code spent without a token.
            assert!(tokens == 1 || (mode == "lost" && tokens == 0), "{mode} after {after}");
        }
    }
}

#[tokio::test]
async fn a_wrong_code_is_counted_once_whatever_is_lost() {
    for mode in MODES {
        for after in 0..4 {
            let world = World::new().await;
            let ann = world.user("ann", json!({})).await;
            let (challenge, code) = world.challenge_and_code(&ann).await;
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = world.verify(&challenge, "sms", &another(&code)).await;
            clear(&world).await;
            let second = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
            let left = second.body["attempts_left"].as_i64().unwrap();
            assert!(left == 3 || (first.status == 503 && left == 4), "{mode} after {after}: {} {}", first.body, second.body);
        }
    }
}

#[tokio::test]
async fn a_sender_that_fails_burns_neither_the_cooldown_nor_a_send() {
    for (service, method) in [("sns", "sms"), ("ses", "email")] {
        for mode in ["refused", "throttled"] {
            let world = World::new().await;
            let _ = world.settings(json!({"second_factor": {"methods": {"email": true}}})).await;
            let ann = world.user("ann", json!({})).await;
            let challenge = world.challenge(&ann).await;
            for _ in 0..7 {
                fault(&world, service, mode, 0, 3).await;
                is_clean(&world.issue(&challenge, method).await.refused(503, "sender-unavailable"));
            }
            clear(&world).await;
            assert!(world.outbox().await.is_empty());
            let sent = world.issue(&challenge, method).await.expect(202);
            assert_eq!(sent.body["resend_in"], 60);
            let _ = world.verify(&challenge, method, &world.last_code().await).await.expect(200);
            // All five of the destination are left but one.
            for _ in 0..4 {
                let challenge = world.challenge(&ann).await;
                let _ = world.issue(&challenge, method).await.expect(202);
            }
        }
    }
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_not_sent_twice_and_its_code_is_good() {
    for (service, method) in [("sns", "sms"), ("ses", "email")] {
        let world = World::new().await;
        let _ = world.settings(json!({"second_factor": {"methods": {"email": true}}})).await;
        let ann = world.user("ann", json!({})).await;
        let challenge = world.challenge(&ann).await;
        fault(&world, service, "lost", 0, 1).await;
        is_clean(&world.issue(&challenge, method).await.refused(503, "sender-unavailable"));
        clear(&world).await;
        assert_eq!(world.outbox().await.len(), 1);
        let first = world.last_code().await;
        // Neither the cooldown nor a send is burnt; what arrived is superseded by what is asked for next.
        let sent = world.issue(&challenge, method).await.expect(202);
        assert_eq!(sent.body["resend_in"], 60);
        let refused = world.verify(&challenge, method, &first).await.refused(401, "code-superseded");
        assert_eq!(refused.body["attempts_left"], 4);
        let _ = world.verify(&challenge, method, &world.last_code().await).await.expect(200);

        let challenge = world.challenge(&ann).await;
        fault(&world, service, "lost", 0, 1).await;
        let _ = world.issue(&challenge, method).await.refused(503, "sender-unavailable");
        let _ = world.verify(&challenge, method, &world.last_code().await).await.expect(200);
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
            let ask = || world.send(world.request(Method::POST, "/v1/codes").header("idempotency-key", "k").json(&body));
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = ask().await;
            clear(&world).await;
            if first.status == 202 {
                continue;
            }
            is_clean(&first);
            assert_eq!(world.outbox().await.len(), 1, "{mode} after {after}");
            // The code before is as good as it was, and another can be asked for with the same key.
            let wrong = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
            assert_eq!(wrong.body["attempts_left"], 4);
            let again = ask().await.expect(202);
            assert_eq!(
                (&again.body["resend_in"], again.header("idempotency-replayed")),
                (&json!(120), None),
                "{mode} after {after}"
            );
        }
    }
}

#[tokio::test]
async fn a_resend_that_fails_leaves_the_code_before_good() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(60);
    fault(&world, "sns", "refused", 0, 3).await;
    let _ = world.issue(&challenge, "sms").await.refused(503, "sender-unavailable");
    clear(&world).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let actions = world.actions(&ann.id).await;
    assert_eq!(actions, ["user-created", "sign-in", "code-sent", "code-sent", "code-not-sent", "code-verified"]);
}

#[tokio::test]
async fn a_failed_send_frees_its_idempotency_key() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let body = json!({"challenge": challenge, "method": "sms"});
    let ask = || world.send(world.request(Method::POST, "/v1/codes").header("idempotency-key", "k").json(&body));
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
    let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
    fault(&world, "dynamodb", "conflict", 1, 6).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    clear(&world).await;
    let (challenge, code) = {
        world.advance(60);
        world.challenge_and_code(&ann).await
    };
    fault(&world, "dynamodb", "conflict", 0, 1_000).await;
    is_clean(&world.verify(&challenge, "sms", &code).await.refused(503, "service-unavailable"));
    clear(&world).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn the_back_end_routes_fail_cleanly_and_leave_all_or_nothing() {
    let routes: [(Method, &str, Option<Value>); 5] = [
        (Method::POST, "/v1/users", Some(json!({"username": "new", "kind": "external", "password": PASSWORD}))),
        (Method::PATCH, "/v1/settings", Some(json!({"locale": "fr", "origins": ["https://a.example"]}))),
        (Method::GET, "/v1/settings", None),
        (Method::GET, "/v1/users", None),
        (Method::GET, "/v1/audit?subject=ACCOUNT", None),
    ];
    for (method, path, body) in routes {
        for mode in MODES {
            for after in 0..3 {
                let world = World::new().await;
                let path = path.replace("ACCOUNT", &world.account);
                fault(&world, "dynamodb", mode, after, 3).await;
                let answer = world.backend(method.clone(), &path, body.clone()).await;
                clear(&world).await;
                if answer.status >= 400 {
                    is_clean(&answer);
                }
                let repeated = world.backend(method.clone(), &path, body.clone()).await;
                let took_effect = mode == "lost" && repeated.slug() == "username-taken";
                assert!(repeated.status < 400 || took_effect || answer.status == 201, "{mode} {path}: {}", repeated.body);
            }
        }
    }
}
