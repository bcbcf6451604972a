//! Answers of the provider that come late, to nobody, or while nobody can say whether they are
//! genuine; and what a pass is worth later.

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::provider::CachedSecret;
use shared::agreement::{RecipientStatus, Status};
use shared::kernel::clock::{Span, Timestamp};
use tests::{Answer, World};

/// A message about a session that was over at `ended_at`.
fn message(session: &str, outcome: &str, ended_at: Timestamp) -> Vec<u8> {
    let mut data = json!({"session": session, "outcome": outcome});
    if outcome == "passed" {
        data["token"] = json!("tok_1");
    }
    json!({"type": "kba.session.completed", "timestamp": ended_at.to_rfc3339(), "data": data})
        .to_string()
        .into_bytes()
}

async fn told(
    world: &World,
    id: &str,
    session: &str,
    outcome: &str,
    ended_at: Timestamp,
) -> Answer {
    world
        .send(world.signed(id, &message(session, outcome, ended_at)))
        .await
}

async fn clean(world: &World) {
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_pass_in_time_that_is_told_late_counts_after_the_clean_up_as_well() {
    let world = World::new().await;
    let asked = world.asked(2, |_| {}).await;
    let challenge = &asked.challenges[0];
    let session = world.session(challenge).await;
    let passed_at = world.stack.clock().now().plus(Span::seconds(590));
    world.advance(5 * 3600);
    clean(&world).await;
    assert_eq!(world.session_status(challenge, &session).await, "expired");
    let _ = told(&world, "msg_1", &session, "passed", passed_at)
        .await
        .expect(204);
    let shown = world.look(challenge, &session).await.expect(200).body;
    assert_eq!(shown["status"], "passed");
    assert!(
        shown["authenticated"]["access_token"].is_string(),
        "{shown}"
    );
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Verified
    );
    let balance = world.balance().await;
    assert_eq!(
        (balance.available, balance.reserved, balance.consumed),
        (0, 1, 1)
    );
    let actions: Vec<Value> = world
        .chain(&asked)
        .await
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    assert_eq!(
        actions,
        [
            "kba-session-opened",
            "kba-session-expired",
            "recipient-verified"
        ]
    );
}

#[tokio::test]
async fn a_pass_that_was_too_late_or_whose_place_was_taken_counts_for_nothing() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let challenge = &asked.challenges[0];
    let opened_at = world.stack.clock().now();
    let first = world.session(challenge).await;
    let second = world.session(challenge).await;
    world.advance(3600);
    let _ = told(
        &world,
        "msg_1",
        &first,
        "passed",
        opened_at.plus(Span::seconds(60)),
    )
    .await
    .expect(204);
    let _ = told(
        &world,
        "msg_2",
        &second,
        "passed",
        opened_at.plus(Span::seconds(600)),
    )
    .await
    .expect(204);
    assert_eq!(world.session_status(challenge, &first).await, "superseded");
    assert_eq!(world.session_status(challenge, &second).await, "expired");
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
    assert_eq!(world.balance().await.reserved, 1);
    let because: Vec<Value> = world
        .chain(&asked)
        .await
        .iter()
        .map(|entry| entry["details"]["because"].clone())
        .collect();
    assert_eq!(because[2..], [json!("superseded"), json!("expired")]);
}

#[tokio::test]
async fn a_provider_whose_clock_is_off_by_less_than_five_minutes_is_understood() {
    for (ahead, ended, counts) in [
        (290, 595, true),
        (-290, 595, true),
        (290, 605, false),
        (-290, 605, false),
    ] {
        let world = World::new().await;
        let asked = world.asked(1, |_| {}).await;
        let session = world.session(&asked.challenges[0]).await;
        let ended_at = world.stack.clock().now().plus(Span::seconds(ended + ahead));
        world.advance(7200);
        let sent_at = world.stack.clock().now().as_secs() + ahead;
        let body = message(&session, "passed", ended_at);
        let _ = world
            .send(world.signed_at("msg_1", sent_at, &body))
            .await
            .expect(204);
        let verified = world.recipient(&asked, 0).await.status == RecipientStatus::Verified;
        assert_eq!(verified, counts, "{ahead} s ahead, over after {ended} s");
    }
}

#[tokio::test]
async fn a_pass_lets_nobody_in_once_the_agreement_was_cancelled_or_asks_for_something_else() {
    for change in ["cancel", "patch"] {
        let world = World::new().await;
        let asked = world.asked(2, |_| {}).await;
        let challenge = &asked.challenges[0];
        let session = world.session(challenge).await;
        world.provider_says(&session, "passed").await;
        assert!(world.look(challenge, &session).await.body["authenticated"].is_object());
        let path = format!("/v1/agreements/{}", asked.agreement);
        let changed = if change == "cancel" {
            world
                .backend(
                    Method::POST,
                    &format!("{path}/cancel"),
                    Some(json!({"reason": "changed"})),
                )
                .await
        } else {
            let path = format!("{path}/recipients/{}", asked.recipients[0]);
            world
                .backend(
                    Method::PATCH,
                    &path,
                    Some(json!({"authentication": "email"})),
                )
                .await
        };
        let _ = changed.expect(200);
        let shown = world.look(challenge, &session).await.expect(200).body;
        assert_eq!(
            (&shown["status"], &shown["authenticated"]),
            (&json!("passed"), &Value::Null),
            "{change}"
        );
    }
}

#[tokio::test]
async fn an_answer_to_a_session_that_was_cleaned_up_is_taken_and_one_to_none_of_ours_is_not() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let opened_at = world.stack.clock().now();
    world.advance(601);
    clean(&world).await;
    world.advance(30 * 86_400);
    clean(&world).await;
    let before = world.chain(&asked).await.len();
    let _ = told(&world, "msg_1", &session, "failed", opened_at)
        .await
        .expect(204);
    assert_eq!(world.chain(&asked).await.len(), before);
    let app = world.stack.app();
    let other = shared::kernel::ids::SessionId::new(app.clock.now(), &app.entropy).to_string();
    let _ = told(&world, "msg_2", &other, "failed", opened_at)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn while_nobody_can_say_whether_a_message_is_genuine_it_is_to_be_sent_again() {
    // Nothing listens there.
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let unread = CachedSecret::webhook_secrets(client, "webhook".into());
    let world = World::with(|options| options.callback_secrets = Some(unread)).await;
    let asked = world.asked(1, |kba| kba.max_attempts = Some(1)).await;
    let session = world.session(&asked.challenges[0]).await;
    let before = world.chain(&asked).await.len();
    let now = world.stack.clock().now();
    let refused = told(&world, "msg_1", &session, "failed", now)
        .await
        .refused(503, "service-unavailable");
    assert!(refused.header("retry-after").is_some());
    // Without a signature there is nothing to be said of it.
    let unsigned = world
        .request(Method::POST, "/v1/kba/callback")
        .header("content-type", "application/json");
    let _ = world
        .send(unsigned.body(message(&session, "failed", now)))
        .await
        .refused(401, "signature-invalid");
    assert_eq!(
        (
            world.chain(&asked).await.len(),
            world.agreement(&asked).await.status
        ),
        (before, Status::OutForSignature)
    );
}

#[tokio::test]
async fn at_the_provider_of_this_machine_nobody_begins_after_eight_minutes() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let client = reqwest::Client::new();
    for (after, status) in [(479, 200), (480, 410)] {
        let challenge = world.another_challenge(&asked, 0).await;
        let page = world
            .open_session(&challenge)
            .await
            .expect(201)
            .text("iframe_url");
        world.advance(after);
        let person = json!({"address": "1 Main Street"});
        let answer = client
            .post(format!("{page}/person"))
            .json(&person)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "after {after} s");
        world.advance(-after);
    }
}

#[tokio::test]
async fn a_failure_of_before_a_pass_that_is_told_after_it_counts_for_nothing() {
    let world = World::new().await;
    let asked = world
        .asked(2, |kba| {
            (kba.max_attempts, kba.on_view_after_signing) = (Some(1), true);
        })
        .await;
    let challenge = &asked.challenges[0];
    let opened_at = world.stack.clock().now();
    let (old, new) = (
        world.session(challenge).await,
        world.session(challenge).await,
    );
    let _ = told(&world, "msg_1", &new, "passed", opened_at)
        .await
        .expect(204);
    let _ = told(&world, "msg_2", &old, "failed", opened_at)
        .await
        .expect(204);
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Verified
    );
    // A session to sign that was opened after the pass, and is answered when the recipient has
    // signed: it is not one to view.
    let challenge = world.another_challenge(&asked, 0).await;
    let late = world.session(&challenge).await;
    world.completed(&asked, 0).await;
    let _ = told(&world, "msg_3", &late, "failed", opened_at)
        .await
        .expect(204);
    let recipient = world.recipient(&asked, 0).await;
    assert_eq!(
        (
            recipient.status,
            recipient.viewing_locked_at,
            recipient.kba.attempts
        ),
        (RecipientStatus::Completed, None, 0)
    );
    assert_eq!(
        world.agreement(&asked).await.status,
        Status::OutForSignature
    );
    let because: Vec<Value> = world
        .chain(&asked)
        .await
        .iter()
        .map(|entry| entry["details"]["because"].clone())
        .collect();
    assert_eq!(
        because
            .iter()
            .filter(|because| *because == "passed-since")
            .count(),
        2
    );
}
