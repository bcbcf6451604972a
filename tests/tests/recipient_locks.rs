//! What keeps a recipient out after wrong codes, and who lets them in again; and what a caller is told who asks twice.

use reqwest::Method;
use serde_json::{Value, json};
use shared::dynamo::{Write, keys};
use tests::agreements::{agreement, open_last, person, recipient_path, send_with};
use tests::{Answer, World, another};

/// As if so many wrong codes in a row had been tried by now.
async fn failed_before(world: &World, sent: &Answer, failures: u32) {
    let recipient = sent.body["recipients"][0]["id"].as_str().unwrap().parse().unwrap();
    let key = keys::recipient(sent.text("id").parse().unwrap(), recipient);
    let write = Write::update(key, "SET #factors.#sms.#failures = :failures").value("failures", failures);
    world.stack.table().transact(vec![write]).await.unwrap();
}

async fn entries(world: &World, sent: &Answer) -> Vec<Value> {
    let report = world.backend(Method::GET, &format!("/v1/agreements/{}/audit", sent.text("id")), None).await.expect(200);
    report.body["entries"].as_array().unwrap().clone()
}

async fn reopen(world: &World, sent: &Answer) -> Answer {
    world.backend(Method::POST, &format!("{}/reopen", recipient_path(sent, 0)), None).await
}

#[tokio::test]
async fn a_recipient_with_a_hundred_wrong_codes_is_let_in_again_by_the_sender() {
    for (before, action) in [(9, "factor-delayed"), (99, "factor-disabled")] {
        let world = World::new().await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")]))).await.expect(201);
        let challenge = open_last(&world, "r1@example.com").await.expect(200).text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let code = world.last_code().await;
        failed_before(&world, &sent, before).await;
        let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
        let _ = world.verify(&challenge, "sms", &code).await.refused(429, "too-many-attempts");
        let told = entries(&world, &sent).await;
        let last = told.last().unwrap();
        assert_eq!((&last["action"], &last["details"]["failures"]), (&json!(action), &json!(before + 1)));
        assert_eq!(last["details"]["recipient"], sent.body["recipients"][0]["id"]);

        let _ = reopen(&world, &sent).await.expect(200);
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
        let told = entries(&world, &sent).await;
        let [.., lifted, verified] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((&lifted["action"], &verified["action"]), (&json!("factor-unlocked"), &json!("recipient-verified")));
        assert!(lifted["actor"].as_str().unwrap().starts_with("key_"), "{lifted}");
        // Nothing is left to lift, and nothing is told of that.
        let _ = reopen(&world, &sent).await.expect(200);
        assert_eq!(entries(&world, &sent).await.len(), told.len());
    }
}

#[tokio::test]
async fn a_few_wrong_codes_are_no_lock_and_stay_counted() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")]))).await.expect(201);
    let challenge = open_last(&world, "r1@example.com").await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    failed_before(&world, &sent, 8).await;
    let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
    let _ = reopen(&world, &sent).await.expect(200);
    let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
    let _ = world.verify(&challenge, "sms", &code).await.refused(429, "too-many-attempts");
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_is_answered_again_to_the_same_request_alone() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")]))).await.expect(201);
    let cancel = async |key: Option<&str>, reason: &str| {
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        let request = world.request(Method::POST, &path).bearer_auth(&world.key).json(&json!({"reason": reason}));
        world.send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
    };
    let first = cancel(Some("c1"), "changed").await.expect(200);
    world.advance(60);
    let again = cancel(Some("c1"), "changed").await.expect(200);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!(first.body, again.body);
    let _ = cancel(Some("c1"), "another reason").await.refused(422, "idempotency-key-reused");
    let _ = cancel(Some("c2"), "changed").await.refused(409, "agreement-not-open");
    let _ = cancel(None, "changed").await.refused(409, "agreement-not-open");
    let ends = entries(&world, &sent).await.iter().filter(|entry| entry["action"] == "agreement-cancelled").count();
    assert_eq!(ends, 1);
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_on_the_way_from_the_table_is_one() {
    use local::{Mode, Service};
    let world = World::new().await;
    for (place, calls) in [3, 4, 5].into_iter().enumerate() {
        let sent = send_with(&world, &format!("k{place}"), &agreement(&json!([person(1, "none")]))).await.expect(201);
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        world.stack.faults().set(Service::Dynamodb, Mode::Lost, calls - 3, 1);
        let _ = world.backend(Method::POST, &path, Some(json!({"reason": "changed"}))).await.expect(200);
        world.stack.faults().clear();
    }
}

#[tokio::test]
async fn a_superseded_code_of_a_recipient_counts_for_the_challenge_and_not_for_the_factor() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")]))).await.expect(201);
    let sent_a_code = async || {
        let challenge = open_last(&world, "r1@example.com").await.expect(200).text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        (challenge, world.last_code().await)
    };
    for _ in 0..3 {
        let (challenge, old) = sent_a_code().await;
        world.advance(61);
        let _ = world.issue(&challenge, "sms").await.expect(202);
        for left in [4, 3, 2, 1, 0] {
            let refused = world.verify(&challenge, "sms", &old).await.refused(401, "code-superseded");
            assert_eq!(refused.body["attempts_left"], left);
        }
        let _ = world.verify(&challenge, "sms", &old).await.refused(429, "too-many-attempts");
        world.advance(600);
    }
    let (challenge, code) = sent_a_code().await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}
