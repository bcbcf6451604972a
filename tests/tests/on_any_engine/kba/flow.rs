//! Sessions of knowledge-based authentication: what each answer of the provider comes to.

use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::{RecipientStatus, Status};
use tests::World;
use tests::agreements::{agreement, complete, open_last, person, send_with, with_kba};

fn figures(balance: shared::ledger::Balance) -> (i64, i64, i64) {
    (balance.available, balance.reserved, balance.consumed)
}

#[tokio::test]
async fn who_passes_is_verified_and_has_the_same_token_for_a_minute() {
    let world = World::new().await;
    let asked = world.asked(2, |_| {}).await;
    let challenge = &asked.challenges[0];
    let opened = world.open_session(challenge).await.expect(201);
    assert_eq!(
        (&opened.body["expires_in"], &opened.body["attempts_left"]),
        (&json!(600), &json!(3))
    );
    let frame = opened.text("iframe_url");
    assert!(
        frame.starts_with(world.stack.provider().origin()),
        "{frame}"
    );
    let session = opened.text("session");
    assert_eq!(world.session_status(challenge, &session).await, "pending");
    let token = world.provider_says(&session, "passed").await["token"]
        .as_str()
        .unwrap()
        .to_owned();

    let first = world.look(challenge, &session).await.expect(200).body;
    assert_eq!(
        (&first["status"], &first["attempts_left"]),
        (&json!("passed"), &json!(3))
    );
    let claims = claims(&first["authenticated"]["access_token"]);
    assert_eq!(first["authenticated"]["acr"], "kba");
    assert_eq!(
        (&claims["kind"], &claims["acr"]),
        (&json!("recipient"), &json!("kba"))
    );
    assert_eq!(claims["aud"], format!("{}/agreements", world.account));
    assert_eq!(
        (&claims["sub"], &claims["agreement"]),
        (&json!(asked.recipients[0]), &json!(asked.agreement))
    );
    world.advance(59);
    let again = world.look(challenge, &session).await.expect(200).body;
    assert_eq!(
        again["authenticated"]["access_token"],
        first["authenticated"]["access_token"]
    );
    assert_eq!(again["authenticated"]["expires_in"], 900 - 59);
    world.advance(1);
    let late = world.look(challenge, &session).await.expect(200).body;
    assert_eq!(
        (&late["status"], &late["authenticated"]),
        (&json!("passed"), &Value::Null)
    );

    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Verified
    );
    assert_eq!(figures(world.balance().await), (0, 1, 1));
    let _ = world
        .open_session(challenge)
        .await
        .refused(410, "challenge-used");
    let entries = world.chain(&asked).await;
    let passed = entries.last().unwrap();
    assert_eq!(
        (&passed["action"], &passed["details"]["token"]),
        (&json!("recipient-verified"), &json!(token))
    );
}

#[tokio::test]
async fn the_last_attempt_cancels_releases_and_tells_the_sender_alone() {
    let world = World::new().await;
    let asked = world.asked(5, |kba| kba.max_attempts = Some(3)).await;
    let challenge = &asked.challenges[1];
    for (outcome, left) in [("failed", 2), ("timed_out", 1), ("failed", 0)] {
        let session = world.session(challenge).await;
        world.provider_says(&session, outcome).await;
        let told = world.look(challenge, &session).await.expect(200).body;
        assert_eq!(
            (&told["status"], &told["attempts_left"]),
            (&json!(outcome), &json!(left))
        );
        assert_eq!(
            told["closed"],
            if left == 0 {
                json!("agreement-closed")
            } else {
                Value::Null
            }
        );
    }
    let agreement = world.agreement(&asked).await;
    let closure = agreement.closure.unwrap();
    assert_eq!(
        (agreement.status, closure.recipient),
        (Status::Cancelled, Some(asked.recipients[1]))
    );
    assert_eq!(
        world.recipient(&asked, 1).await.status,
        RecipientStatus::Failed
    );
    assert_eq!(figures(world.balance().await), (4, 0, 1));
    let outbox = world.outbox().await;
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0]["to"], "sales@alder.example");
    let text = outbox[0]["text"].as_str().unwrap();
    assert!(
        text.contains("Recipient 1 (recipient1@example.com)")
            && text.contains("Lease")
            && text.contains("3 attempts"),
        "{text}"
    );
    let _ = world
        .open_session(challenge)
        .await
        .refused(410, "agreement-closed");
    let last = world.chain(&asked).await.pop().unwrap();
    assert_eq!(
        (&last["action"], &last["details"]["recipient"]),
        (&json!("agreement-cancelled"), &json!(asked.recipients[1]))
    );
    assert!(
        last["details"]["reason"]
            .as_str()
            .unwrap()
            .contains("3 attempts")
    );
}

#[tokio::test]
async fn one_attempt_may_be_all_there_is_and_there_may_be_no_limit() {
    let world = World::new().await;
    let asked = world.asked(3, |kba| kba.max_attempts = Some(1)).await;
    let session = world.session(&asked.challenges[0]).await;
    // Its own transaction is consumed and the others' are released, on one shard.
    world.provider_says(&session, "failed").await;
    assert_eq!(figures(world.balance().await), (2, 0, 1));
    let asked = world.asked(1, |kba| kba.max_attempts = None).await;
    for _ in 0..6 {
        let opened = world.open_session(&asked.challenges[0]).await.expect(201);
        assert_eq!(opened.body["attempts_left"], Value::Null);
        world.provider_says(&opened.text("session"), "failed").await;
    }
    assert_eq!(
        world.agreement(&asked).await.status,
        Status::OutForSignature
    );
    assert_eq!(figures(world.balance().await), (2, 0, 2));
}

#[tokio::test]
async fn who_cannot_be_found_and_a_provider_that_fails_cost_nothing() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    for outcome in ["not_locatable", "provider_error"] {
        let session = world.session(&asked.challenges[0]).await;
        world.provider_says(&session, outcome).await;
        let told = world
            .look(&asked.challenges[0], &session)
            .await
            .expect(200)
            .body;
        assert_eq!(
            (&told["status"], &told["attempts_left"]),
            (&json!(outcome), &json!(3))
        );
    }
    assert_eq!(figures(world.balance().await), (0, 1, 0));
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
}

#[tokio::test]
async fn of_a_superseded_session_a_pass_has_no_effect_and_failures_count() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let challenge = &asked.challenges[0];
    let sessions = [
        world.session(challenge).await,
        world.session(challenge).await,
        world.session(challenge).await,
    ];
    assert_eq!(
        world.session_status(challenge, &sessions[0]).await,
        "superseded"
    );
    world.provider_says(&sessions[0], "passed").await;
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
    assert_eq!(figures(world.balance().await), (0, 1, 0));
    world.provider_says(&sessions[1], "timed_out").await;
    assert_eq!(
        world.look(challenge, &sessions[1]).await.body["attempts_left"],
        2
    );
    for session in &sessions[..2] {
        assert_eq!(world.session_status(challenge, session).await, "superseded");
    }
    assert_eq!(figures(world.balance().await), (0, 0, 1));
    // The same session again, and otherwise: nothing.
    world.provider_says(&sessions[1], "failed").await;
    world.provider_says(&sessions[0], "failed").await;
    assert_eq!(
        world.look(challenge, &sessions[2]).await.body["attempts_left"],
        2
    );
    world.provider_says(&sessions[2], "passed").await;
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Verified
    );
    assert_eq!(figures(world.balance().await), (0, 0, 1));
}

#[tokio::test]
async fn a_session_never_begun_expires_and_costs_nothing() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let challenge = &asked.challenges[0];
    world.advance(500);
    let session = world.session(challenge).await;
    world.advance(599);
    assert_eq!(world.session_status(challenge, &session).await, "pending");
    world.advance(1);
    assert_eq!(world.session_status(challenge, &session).await, "expired");
    let _ = world
        .open_session(challenge)
        .await
        .refused(410, "challenge-expired");
    world.provider_says(&session, "passed").await;
    assert_eq!(world.session_status(challenge, &session).await, "expired");
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
    assert_eq!(figures(world.balance().await), (0, 1, 0));
}

#[tokio::test]
async fn after_completing_failures_lock_viewing_and_cancel_nothing() {
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
    for _ in 0..2 {
        let session = world.session(&challenge).await;
        world.provider_says(&session, "failed").await;
    }
    let _ = world
        .open_session(&challenge)
        .await
        .refused(403, "viewing-locked");
    let recipient = world.recipient(&asked, 0).await;
    assert!(recipient.viewing_locked_at.is_some());
    assert_eq!(recipient.status, RecipientStatus::Completed);
    assert_eq!(
        world.agreement(&asked).await.status,
        Status::OutForSignature
    );
    assert_eq!(
        figures(world.balance().await),
        (0, 1, 1),
        "the same recipient never costs a second one"
    );
    assert!(world.outbox().await.is_empty());
}

#[tokio::test]
async fn the_eleventh_session_of_a_day_is_refused() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    for _ in 0..10 {
        let _ = world.session(&asked.challenges[0]).await;
    }
    let refused = world
        .open_session(&asked.challenges[0])
        .await
        .refused(429, "too-many-sessions");
    assert_eq!(refused.header("retry-after"), Some("86400"));
    assert_eq!(
        world.stack.provider().opened(),
        10,
        "the provider was not asked"
    );
    world.advance(86_400);
    let challenge = world.another_challenge(&asked, 0).await;
    let _ = world.session(&challenge).await;
}

#[tokio::test]
async fn a_session_is_shown_to_the_challenge_that_opened_it_alone() {
    let world = World::new().await;
    let asked = world.asked(2, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let other = world.another_challenge(&asked, 0).await;
    for challenge in [&asked.challenges[1], &other] {
        let _ = world
            .look(challenge, &session)
            .await
            .refused(404, "not-found");
    }
    let _ = world
        .look("chl_nonsense", &session)
        .await
        .refused(401, "challenge-unknown");
    let path = format!("/v1/kba/sessions/{session}");
    let _ = world.get(&path).await.refused(401, "unauthorized");
    let _ = world
        .look(&asked.challenges[0], "kba_01jd3v7c3kq2m8x5t9r4w6y0ab")
        .await
        .refused(404, "not-found");
    let _ = world
        .send(
            world
                .request(Method::GET, "/v1/kba/sessions/x")
                .bearer_auth(&other),
        )
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn the_provider_is_told_reference_name_difficulty_and_address_and_no_more() {
    let world = World::new().await;
    let asked = world
        .asked(1, |kba| kba.difficulty = shared::account::Difficulty::Hard)
        .await;
    let session = world.session(&asked.challenges[0]).await;
    let told = world.stack.provider().opening(&session).unwrap();
    assert_eq!(
        told,
        json!({
            "reference": session, "difficulty": "hard", "expires_in": 480, "name": "Recipient 0",
            "callback_url": format!("{}/v1/kba/callback", world.stack.base_url()),
        })
    );
}

fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&shared::kernel::secret::decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn who_fails_after_passing_is_verified_again_before_they_complete() {
    let world = with_kba(5).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "kba"), person(2, "none")])),
    )
    .await
    .expect(201);
    let try_once = async |outcome: &str| {
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        let opened = stands(&world, &sent).await;
        let session = world.session(&challenge).await;
        world.provider_says(&session, outcome).await;
        (opened, stands(&world, &sent).await)
    };
    let of = |opened: &str, after: &str| (opened.to_owned(), after.to_owned());
    assert_eq!(try_once("passed").await, of("pending", "verified"));
    // Opening uses nothing up, nor does what the provider could not ask.
    assert_eq!(try_once("provider_error").await, of("verified", "verified"));
    assert_eq!(try_once("not_locatable").await, of("verified", "verified"));
    for outcome in ["failed", "timed_out"] {
        assert_eq!(try_once(outcome).await, of("verified", "pending"));
        let _ = complete(&world, &sent, 0)
            .await
            .refused(409, "recipient-not-verified");
        assert_eq!(try_once("passed").await, of("pending", "verified"));
    }
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    let page = world
        .request(Method::GET, &path)
        .bearer_auth(&world.key)
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("This was failed attempt 1, and Person 1 has to be verified again."),
        "{page}"
    );
    let _ = complete(&world, &sent, 0).await.expect(200);
    assert_eq!(tests::agreements::quota(&world).await, (4, 0, 1));
}

/// Where the first recipient stands.
async fn stands(world: &World, sent: &tests::Answer) -> String {
    let shown = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", sent.text("id")),
            None,
        )
        .await
        .expect(200)
        .body;
    shown["recipients"][0]["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn viewing_asks_again_where_that_was_set_when_it_was_sent_and_not_elsewhere() {
    let world = with_kba(5).await;
    for (number, (set, asked)) in [
        (false, "authenticated"),
        (true, "identity_verification_required"),
    ]
    .into_iter()
    .enumerate()
    {
        let on_view = |set: bool| json!({"kba": {"on_view_after_signing": set}});
        let _ = world.settings(on_view(set)).await;
        let body = agreement(&json!([person(number, "kba")]));
        let sent = send_with(&world, &format!("k{number}"), &body)
            .await
            .expect(201);
        // What is set by then is another matter.
        let _ = world.settings(on_view(!set)).await;
        let email = format!("r{number}@example.com");
        let challenge = open_last(&world, &email)
            .await
            .expect(200)
            .text("challenge");
        let session = world.session(&challenge).await;
        world.provider_says(&session, "passed").await;
        let _ = complete(&world, &sent, 0).await.expect(200);
        assert_eq!(
            open_last(&world, &email).await.expect(200).body["status"],
            asked
        );
    }
}

#[tokio::test]
async fn a_challenge_lives_as_long_as_the_last_session_that_it_opened() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let challenge = &asked.challenges[0];
    for _ in 0..3 {
        let session = world.session(challenge).await;
        world.advance(599);
        assert_eq!(world.session_status(challenge, &session).await, "pending");
    }
    world.advance(1);
    let _ = world
        .open_session(challenge)
        .await
        .refused(410, "challenge-expired");
}
