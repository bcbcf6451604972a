//! What keeps a recipient out after wrong codes, and who lets them in again; and what a caller is
//! told who asks twice.

use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::agreements::{agreement, open_last, person, recipient_path, send_with, with_kba};
use tests::path;
use tests::{Answer, World, another};

/// As if so many wrong codes in a row had been tried by now.
async fn failed_before(world: &World, sent: &Answer, failures: u32) {
    let recipient = sent.body["recipients"][0]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let key = keys::recipient(sent.text("id").parse().unwrap(), recipient);
    let write = Update::of(key).set(path("factors.sms.failures"), failures);
    world
        .stack
        .table()
        .transact(vec![write.into()])
        .await
        .unwrap();
}

async fn entries(world: &World, sent: &Answer) -> Vec<Value> {
    let report = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}/audit", sent.text("id")),
            None,
        )
        .await
        .expect(200);
    report.body["entries"].as_array().unwrap().clone()
}

async fn reopen(world: &World, sent: &Answer) -> Answer {
    world
        .backend(
            Method::POST,
            &format!("{}/reopen", recipient_path(sent, 0)),
            None,
        )
        .await
}

#[tokio::test]
async fn a_recipient_with_fifty_wrong_codes_is_let_in_again_by_the_sender() {
    for (before, action) in [(9, "factor-delayed"), (49, "factor-disabled")] {
        let world = World::new().await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
            .await
            .expect(201);
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let code = world.last_code().await;
        failed_before(&world, &sent, before).await;
        let _ = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
        let _ = world
            .verify(&challenge, "sms", &code)
            .await
            .refused(429, "too-many-attempts");
        let told = entries(&world, &sent).await;
        let last = told.last().unwrap();
        assert_eq!(
            (&last["action"], &last["details"]["failures"]),
            (&json!(action), &json!(before + 1))
        );
        assert_eq!(
            last["details"]["recipient"],
            sent.body["recipients"][0]["id"]
        );

        let _ = reopen(&world, &sent).await.expect(200);
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
        let told = entries(&world, &sent).await;
        let [.., lifted, verified] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(
            (&lifted["action"], &verified["action"]),
            (&json!("factor-unlocked"), &json!("recipient-verified"))
        );
        assert!(
            lifted["actor"].as_str().unwrap().starts_with("key_"),
            "{lifted}"
        );
        // Nothing is left to lift, and nothing is told of that.
        let _ = reopen(&world, &sent).await.expect(200);
        assert_eq!(entries(&world, &sent).await.len(), told.len());
    }
}

#[tokio::test]
async fn a_few_wrong_codes_are_no_lock_and_stay_counted() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    failed_before(&world, &sent, 8).await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = reopen(&world, &sent).await.expect(200);
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(429, "too-many-attempts");
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_is_answered_again_to_the_same_request_alone() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let cancel = async |key: Option<&str>, reason: &str| {
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        let request = world
            .request(Method::POST, &path)
            .bearer_auth(&world.key)
            .json(&json!({"reason": reason}));
        world
            .send(key.into_iter().fold(request, |request, key| {
                request.header("idempotency-key", key)
            }))
            .await
    };
    let first = cancel(Some("c1"), "changed").await.expect(200);
    world.advance(60);
    let again = cancel(Some("c1"), "changed").await.expect(200);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(first.body, again.body);
    let _ = cancel(Some("c1"), "another reason")
        .await
        .refused(422, "idempotency-key-reused");
    let _ = cancel(Some("c2"), "changed")
        .await
        .refused(409, "agreement-not-open");
    let _ = cancel(None, "changed")
        .await
        .refused(409, "agreement-not-open");
    let ends = entries(&world, &sent)
        .await
        .iter()
        .filter(|entry| entry["action"] == "agreement-cancelled")
        .count();
    assert_eq!(ends, 1);
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_on_the_way_from_the_table_is_one() {
    use local::{Mode, Service};
    let world = World::new().await;
    for (place, calls) in [3, 4, 5].into_iter().enumerate() {
        let sent = send_with(
            &world,
            &format!("k{place}"),
            &agreement(&json!([person(1, "none")])),
        )
        .await
        .expect(201);
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Lost, calls - 3, 1);
        let _ = world
            .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
            .await
            .expect(200);
        world.stack.faults().clear();
    }
}

#[tokio::test]
async fn a_superseded_code_of_a_recipient_counts_for_the_challenge_and_not_for_the_factor() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let sent_a_code = async || {
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        (challenge, world.last_code().await)
    };
    for _ in 0..3 {
        let (challenge, old) = sent_a_code().await;
        world.advance(61);
        let _ = world.issue(&challenge, "sms").await.expect(202);
        for left in [4, 3, 2, 1, 0] {
            let refused = world
                .verify(&challenge, "sms", &old)
                .await
                .refused(401, "code-superseded");
            assert_eq!(refused.body["attempts_left"], left);
        }
        let _ = world
            .verify(&challenge, "sms", &old)
            .await
            .refused(429, "too-many-attempts");
        world.advance(600);
    }
    let (challenge, code) = sent_a_code().await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

/// What the factor counts is taken back with a superseded code, so that the factor does not tell
/// that the challenge has had its last attempt. The send names the attempts themselves, and the
/// head of the agreement's chain, which the entry of that attempt moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipients_challenge_whose_attempts_are_spent_meanwhile_is_sent_nothing() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let opened = open_last(&world, "r1@example.com").await.expect(200);
    let challenge = opened.text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let old = world.last_code().await;
    world.advance(61);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let typed = async || world.verify(&challenge, "sms", &old).await;
    for _ in 0..4 {
        let _ = typed().await.refused(401, "code-superseded");
    }
    world.advance(121);
    let before = world.outbox().await.len();
    let read = world.stack.faults().hold(local::Service::Dynamodb, 0);
    let meanwhile = async {
        read.arrived().await;
        assert!(read.is_a_read());
        let _ = typed().await.refused(401, "code-superseded");
        read.let_go();
    };
    let (issued, ()) = tokio::join!(world.issue(&challenge, "sms"), meanwhile);
    let _ = issued.refused(429, "too-many-attempts");
    assert_eq!(world.outbox().await.len(), before);
}

/// Tries so many wrong codes, of as many challenges as it takes.
async fn guess(world: &World, count: usize) {
    let mut challenge = String::new();
    for number in 0..count {
        if number % 5 == 0 {
            challenge = open_last(world, "r1@example.com")
                .await
                .expect(200)
                .text("challenge");
        }
        let _ = world
            .verify(&challenge, "sms", "000000")
            .await
            .refused(401, "code-invalid");
    }
}

#[tokio::test]
async fn a_recipients_right_code_ends_the_wrong_ones_in_a_row() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    for _ in 0..2 {
        guess(&world, 9).await;
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn codes_for_a_recipient_who_is_asked_for_none_count_for_nothing() {
    let world = with_kba(5).await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    for _ in 0..2 {
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        for _ in 0..6 {
            let _ = world
                .verify(&challenge, "sms", "000000")
                .await
                .refused(403, "method-not-enabled");
        }
    }
    let _ = world
        .backend(
            Method::PATCH,
            &recipient_path(&sent, 0),
            Some(json!({"authentication": "sms"})),
        )
        .await
        .expect(200);
    guess(&world, 9).await;
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_recipients_code_after_its_time_counts_for_nothing() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let late = world.last_code().await;
    world.advance(301);
    guess(&world, 9).await;
    for _ in 0..6 {
        let _ = world
            .verify(&challenge, "sms", &late)
            .await
            .refused(410, "code-expired");
    }
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_disabled_factor_of_a_recipient_takes_and_is_sent_nothing_however_long_one_waits() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let opened = async || {
        open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge")
    };
    failed_before(&world, &sent, 49).await;
    let challenge = opened().await;
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(401, "code-invalid");
    // Longer than the longest delay.
    world.advance(2 * 3_600);
    let challenge = opened().await;
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
    let _ = reopen(&world, &sent).await.expect(200);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn viewing_that_was_reopened_has_all_its_attempts_again_and_is_locked_by_the_last() {
    let world = World::new().await;
    let asked = world
        .asked(2, |kba| {
            (kba.max_attempts, kba.on_view_after_signing) = (Some(2), true);
        })
        .await;
    let session = world.session(&asked.challenges[0]).await;
    world.provider_says(&session, "passed").await;
    world.completed(&asked, 0).await;
    let challenge = world.another_challenge(&asked, 0).await;
    let fail = async || {
        let session = world.session(&challenge).await;
        world.provider_says(&session, "failed").await;
        world.recipient(&asked, 0).await.viewing_locked_at.is_some()
    };
    let path = format!(
        "/v1/agreements/{}/recipients/{}/reopen",
        asked.agreement, asked.recipients[0]
    );
    for _ in 0..2 {
        assert_eq!((fail().await, fail().await), (false, true));
        let _ = world
            .open_session(&challenge)
            .await
            .refused(403, "viewing-locked");
        let shown = world
            .backend(Method::POST, &path, None)
            .await
            .expect(200)
            .body;
        assert_eq!(shown["viewing_locked"], false);
    }
}
