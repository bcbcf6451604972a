//! The recipients of an agreement: the link, what is asked on top of it, signing and viewing.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::Recipient;
use shared::kernel::keyring::{self, Keyring};
use shared::store::dynamo::{keys, read};
use tests::agreements::{
    agreement, clean, complete, links, open, open_last, person, quota, recipient_path, send_with,
    steps, with_kba,
};
use tests::{Answer, World, another};

fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&shared::kernel::secret::decode(body).unwrap()).unwrap()
}

async fn cancel(world: &World, sent: &Answer) -> Answer {
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    world
        .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
        .await
}

async fn status(world: &World, sent: &Answer) -> String {
    world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", sent.text("id")),
            None,
        )
        .await
        .expect(200)
        .text("status")
}

/// A recipient as it stands in the table.
async fn recipient_item(world: &World, sent: &Answer, place: usize) -> Recipient {
    let id = sent.body["recipients"][place]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let key = keys::recipient(sent.text("id").parse().unwrap(), id);
    read(world.stack.table().get(key).await.unwrap().unwrap()).unwrap()
}

async fn statuses(world: &World, sent: &Answer) -> Vec<String> {
    let shown = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", sent.text("id")),
            None,
        )
        .await
        .expect(200);
    let recipients = shown.body["recipients"].as_array().unwrap();
    recipients
        .iter()
        .map(|recipient| recipient["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_link_lets_in_who_has_nothing_else_to_prove_and_is_not_used_up() {
    for method in ["none", "email"] {
        let world = World::new().await;
        let sent = send_with(
            &world,
            "k",
            &agreement(&json!([person(1, method), person(2, method)])),
        )
        .await
        .expect(201);
        let _ = complete(&world, &sent, 0)
            .await
            .refused(409, "recipient-not-verified");
        for _ in 0..2 {
            let opened = open_last(&world, "r1@example.com").await.expect(200);
            assert_eq!(opened.body["status"], "authenticated");
            let claims = claims(&opened.text("access_token"));
            assert_eq!(claims["aud"], format!("{}/agreements", world.account));
            assert_eq!(
                (&claims["kind"], &claims["acr"]),
                (&json!("recipient"), &json!("single-factor"))
            );
            assert_eq!(
                (&claims["agreement"], &claims["sub"]),
                (&sent.body["id"], &sent.body["recipients"][0]["id"])
            );
            let token = opened.text("access_token");
            let confirm = json!({"factor": "fac_00000000000000000000000000", "code": "123456"});
            for (method, path, body) in [
                (Method::GET, "/v1/me", None),
                (Method::PATCH, "/v1/me", Some(json!({"locale": "fr"}))),
                (
                    Method::POST,
                    "/v1/factors/sms",
                    Some(json!({"phone": "+12025550177"})),
                ),
                (
                    Method::POST,
                    "/v1/factors/email",
                    Some(json!({"email": "new@example.org"})),
                ),
                (
                    Method::POST,
                    "/v1/factors/sms/confirm",
                    Some(confirm.clone()),
                ),
                (
                    Method::POST,
                    "/v1/factors/email/confirm",
                    Some(confirm.clone()),
                ),
                (Method::DELETE, "/v1/factors/sms", None),
                (Method::DELETE, "/v1/factors/email", None),
                (Method::GET, "/v1/factors", None),
                (Method::POST, "/v1/factors/totp", None),
                (Method::POST, "/v1/factors/totp/confirm", Some(confirm)),
                (Method::DELETE, "/v1/factors/totp", None),
                (Method::POST, "/v1/factors/recovery-codes", None),
            ] {
                let _ = world
                    .as_user(&token, method, path, body)
                    .await
                    .refused(403, "forbidden");
            }
        }
        assert_eq!(statuses(&world, &sent).await, ["verified", "pending"]);
        let _ = complete(&world, &sent, 0).await.expect(200);
        let _ = complete(&world, &sent, 0).await.expect(200);
        assert_eq!(status(&world, &sent).await, "out_for_signature");
    }
}

#[tokio::test]
async fn a_code_by_sms_is_asked_on_top_of_the_link_each_time_it_is_opened() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    for _ in 0..2 {
        let opened = open_last(&world, "r1@example.com").await.expect(200);
        assert_eq!(opened.body["status"], "second_factor_required");
        assert_eq!(
            opened.body["methods"],
            json!([{"method": "sms", "destination": "+1••••••••01"}])
        );
        let challenge = opened.text("challenge");
        let _ = world
            .issue(&challenge, "email")
            .await
            .refused(403, "method-not-enabled");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let _ = world
            .issue(&challenge, "sms")
            .await
            .refused(429, "resend-too-soon");
        let code = world.last_code().await;
        let wrong = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
        assert_eq!(wrong.body["attempts_left"], 4);
        let done = world.verify(&challenge, "sms", &code).await.expect(200);
        assert_eq!(claims(&done.text("access_token"))["acr"], "two-factor");
        let _ = world
            .verify(&challenge, "sms", &code)
            .await
            .refused(410, "challenge-used");
        let _ = world
            .issue(&challenge, "sms")
            .await
            .refused(410, "challenge-used");
        world.advance(61);
    }
    assert_eq!(statuses(&world, &sent).await, ["verified"]);
    let _ = complete(&world, &sent, 0).await.expect(200);
    // After completing the link suffices.
    assert_eq!(
        open_last(&world, "r1@example.com").await.expect(200).body["acr"],
        "single-factor"
    );
}

#[tokio::test]
async fn a_superseded_a_late_and_a_guessed_code_are_refused_as_a_users_are() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let first = world.last_code().await;
    world.advance(60);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let second = world.last_code().await;
    let _ = world
        .verify(&challenge, "sms", &first)
        .await
        .refused(401, "code-superseded");
    world.advance(301);
    let _ = world
        .verify(&challenge, "sms", &second)
        .await
        .refused(410, "code-expired");
    let answers = join_all((0..50).map(|_| world.verify(&challenge, "sms", "000000"))).await;
    // A code whose time is over is compared with nothing: no answer tells a guess from the code,
    // and what is taken back at the same moment as others may stay counted, but never more than the
    // challenge has attempts. One went to the superseded code.
    assert!(
        answers
            .iter()
            .all(|answer| ["code-expired", "too-many-attempts"].contains(&answer.slug())),
        "{answers:?}"
    );
    let recipient = recipient_item(&world, &sent, 0).await;
    let counted = recipient
        .challenges
        .values()
        .map(|challenge| challenge.attempts.len())
        .max()
        .unwrap();
    let failures = recipient.factors["sms"].failures;
    assert!(
        (1..=5).contains(&counted) && failures <= 4,
        "{counted} attempts, {failures} failures"
    );
    assert_eq!(statuses(&world, &sent).await, ["pending"]);
    world.advance(600);
    let _ = world
        .verify(&challenge, "sms", &second)
        .await
        .refused(410, "challenge-expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_right_codes_of_a_recipient_make_one_token_and_fifty_wrong_ones_are_five_attempts() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "sms"), person(2, "sms")])),
    )
    .await
    .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    let answers = join_all((0..50).map(|_| world.verify(&challenge, "sms", &code))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{answers:?}"
    );
    let challenge = open_last(&world, "r2@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let wrong = another(&world.last_code().await);
    let answers = join_all((0..50).map(|_| world.verify(&challenge, "sms", &wrong))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.slug() == "code-invalid")
            .count(),
        5,
        "{answers:?}"
    );
    assert_eq!(statuses(&world, &sent).await, ["verified", "pending"]);
}

#[tokio::test]
async fn kba_is_asked_for_with_a_challenge_of_its_own() {
    let world = with_kba(5).await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    let opened = open_last(&world, "r1@example.com").await.expect(200);
    assert_eq!(opened.body["status"], "identity_verification_required");
    assert_eq!(opened.body["methods"], json!([{"method": "kba"}]));
    let challenge = opened.text("challenge");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(403, "method-not-enabled");
}

#[tokio::test]
async fn a_cancelled_or_expired_agreement_opens_for_nobody() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = cancel(&world, &sent).await.expect(200);
    let _ = open_last(&world, "r1@example.com")
        .await
        .refused(410, "agreement-closed");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(410, "agreement-closed");
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(410, "agreement-closed");
    let _ = complete(&world, &sent, 0)
        .await
        .refused(409, "agreement-not-open");

    let mut body = agreement(&json!([person(2, "none")]));
    body["expires_in"] = json!(60);
    let sent = send_with(&world, "k2", &body).await.expect(201);
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    world.advance(60);
    let _ = open_last(&world, "r2@example.com")
        .await
        .refused(410, "agreement-closed");
    let _ = complete(&world, &sent, 0)
        .await
        .refused(409, "agreement-not-open");
}

#[tokio::test]
async fn a_link_that_nobody_was_mailed_is_unknown() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let good = links(&world, "r1@example.com").await.pop().unwrap();
    let mut forged = good.clone();
    let middle = if &forged[30..31] == "A" { "B" } else { "A" };
    forged.replace_range(30..31, middle);
    for token in [
        "agl_",
        "agl_x.y.z",
        forged.as_str(),
        &good[..good.len() - 1],
        "\u{e9}",
    ] {
        let _ = open(&world, token).await.refused(404, "link-unknown");
    }
    let _ = world
        .verify(&good.replace("agl_", "chl_"), "sms", "000000")
        .await
        .refused(401, "challenge-unknown");
}

#[tokio::test]
async fn all_are_mailed_the_signed_agreement_once_the_last_has_completed_and_can_view_it() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "email")])),
    )
    .await
    .expect(201);
    for (place, email) in ["r1@example.com", "r2@example.com"].into_iter().enumerate() {
        let _ = open_last(&world, email).await.expect(200);
        let _ = complete(&world, &sent, place).await.expect(200);
    }
    assert_eq!(
        (
            status(&world, &sent).await.as_str(),
            world.outbox().await.len()
        ),
        ("completed", 4)
    );
    let subjects: Vec<Value> = world
        .outbox()
        .await
        .iter()
        .map(|mail| mail["subject"].clone())
        .collect();
    assert_eq!(
        subjects[2..],
        [json!("Signed: Lease"), json!("Signed: Lease")]
    );
    world.advance(366 * 86_400);
    let _ = clean(&world).await;
    for email in ["r1@example.com", "r2@example.com"] {
        let [first, second] = links(&world, email).await.try_into().unwrap();
        let _ = open(&world, &first).await.expect(200);
        let _ = open(&world, &second).await.expect(200);
    }
    let _ = cancel(&world, &sent)
        .await
        .refused(409, "agreement-not-open");
    let patch = json!({"authentication": "none"});
    let path = recipient_path(&sent, 0);
    let _ = world
        .backend(Method::PATCH, &path, Some(patch))
        .await
        .refused(409, "agreement-not-open");
}

#[tokio::test]
async fn another_link_is_mailed_and_those_before_stay_good() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let path = format!("{}/resend", recipient_path(&sent, 0));
    for _ in 0..40 {
        let _ = world.backend(Method::POST, &path, None).await.expect(202);
        world.advance(360);
    }
    let mailed = links(&world, "r1@example.com").await;
    let distinct: std::collections::BTreeSet<&String> = mailed.iter().collect();
    assert_eq!((mailed.len(), distinct.len()), (41, 41));
    // Whatever became of the keys meanwhile: nobody is sent another link because they were rotated.
    let app = world.stack.app();
    app.keyrings.replace(
        Keyring::parse(
            keyring::make(app.clock.now(), &app.entropy)
                .unwrap()
                .expose(),
        )
        .unwrap(),
    );
    for (number, link) in mailed.iter().enumerate() {
        let _ = open(&world, link).await.expect(200);
        world.advance(if number % 20 == 19 { 600 } else { 0 });
    }
    let _ = complete(&world, &sent, 0).await.expect(200);
    let _ = world.backend(Method::POST, &path, None).await.expect(202);
    world.advance(86_400);
    for link in links(&world, "r1@example.com")
        .await
        .iter()
        .rev()
        .take(3)
        .chain(mailed.first())
    {
        let _ = open(&world, link).await.expect(200);
    }
    // Nothing of a link is kept but its hash.
    let table = format!("{:?}", world.content().await);
    assert!(
        mailed
            .iter()
            .all(|link| !table.contains(&link["agl_".len()..]))
    );
    let sent = send_with(&world, "k2", &agreement(&json!([person(2, "none")])))
        .await
        .expect(201);
    let path = format!("{}/resend", recipient_path(&sent, 0));
    let _ = world.backend(Method::POST, &path, None).await.expect(202);
    let _ = cancel(&world, &sent).await.expect(200);
    for link in links(&world, "r2@example.com").await {
        let _ = open(&world, &link).await.refused(410, "agreement-closed");
    }
    let _ = world
        .backend(Method::POST, &path, None)
        .await
        .refused(409, "agreement-not-open");
}

#[tokio::test]
async fn another_link_is_not_mailed_without_end() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "none")])),
    )
    .await
    .expect(201);
    let resend = |place: usize| {
        let (world, path) = (&world, format!("{}/resend", recipient_path(&sent, place)));
        async move { world.backend(Method::POST, &path, None).await }
    };
    for (allowed, wait) in [(5, "600"), (5, "3000")] {
        for _ in 0..allowed {
            let _ = resend(0).await.expect(202);
        }
        let refused = resend(0).await.refused(429, "too-many-sends");
        assert_eq!(refused.header("retry-after"), Some(wait));
        let _ = resend(1).await.expect(202);
        world.advance(600);
    }
    let _ = resend(0).await.refused(429, "too-many-sends");
    world.advance(2_400);
    let _ = resend(0).await.expect(202);
    assert_eq!(links(&world, "r1@example.com").await.len(), 1 + 11);
    let resent = steps(&world, &sent)
        .await
        .iter()
        .filter(|action| *action == "link-resent")
        .count();
    assert_eq!(resent, 11 + 2, "what was refused left nothing");
}

#[tokio::test]
async fn the_same_resend_again_mails_nothing() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "none")])),
    )
    .await
    .expect(201);
    let resend = |place: usize, key: &'static str| {
        let path = format!("{}/resend", recipient_path(&sent, place));
        world.send(
            world
                .request(Method::POST, &path)
                .bearer_auth(&world.key)
                .header("idempotency-key", key),
        )
    };
    let first = resend(0, "one").await.expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    for _ in 0..7 {
        let again = resend(0, "one").await.expect(202);
        assert_eq!(
            (&again.body, again.header("idempotency-replayed")),
            (&first.body, Some("true"))
        );
    }
    assert_eq!(links(&world, "r1@example.com").await.len(), 2);
    let _ = resend(1, "one")
        .await
        .refused(422, "idempotency-key-reused");
    // A refusal frees the key.
    for key in ["two", "three", "four", "five"] {
        let _ = resend(0, key).await.expect(202);
    }
    let _ = resend(0, "six").await.refused(429, "too-many-sends");
    world.advance(600);
    assert_eq!(
        resend(0, "six")
            .await
            .expect(202)
            .header("idempotency-replayed"),
        None
    );
    // What was answered is answered again, whatever has become of the agreement; a day later it is
    // forgotten.
    let _ = cancel(&world, &sent).await.expect(200);
    assert_eq!(resend(0, "one").await.expect(202).body, first.body);
    world.advance(86_400);
    let _ = resend(0, "one").await.refused(409, "agreement-not-open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_resends_at_once_are_five_and_those_of_one_key_are_one() {
    for (key, mailed) in [(None, 5), (Some("one"), 1)] {
        let world = World::new().await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
            .await
            .expect(201);
        let path = format!("{}/resend", recipient_path(&sent, 0));
        let ask = || {
            let request = world.request(Method::POST, &path).bearer_auth(&world.key);
            world.send(key.into_iter().fold(request, |request, key| {
                request.header("idempotency-key", key)
            }))
        };
        let answers = futures_util::future::join_all((0..50).map(|_| ask())).await;
        assert!(
            answers
                .iter()
                .all(|answer| [202, 409, 429].contains(&answer.status)),
            "{answers:?}"
        );
        let replayed = |answer: &&tests::Answer| answer.header("idempotency-replayed").is_some();
        let made = answers
            .iter()
            .filter(|answer| answer.status == 202 && !replayed(answer))
            .count();
        let resent = steps(&world, &sent)
            .await
            .iter()
            .filter(|action| *action == "link-resent")
            .count();
        assert_eq!(made, resent);
        assert!((1..=mailed).contains(&made), "{made}");
        // One mail is owed at a time: what is mailed while one is under way takes its place.
        assert!((2..=1 + made).contains(&links(&world, "r1@example.com").await.len()));
    }
}

#[tokio::test]
async fn a_link_is_not_opened_without_end() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    for _ in 0..20 {
        let _ = open_last(&world, "r1@example.com").await.expect(200);
    }
    let _ = open_last(&world, "r1@example.com")
        .await
        .refused(429, "too-many-attempts");
    world.advance(600);
    let _ = open_last(&world, "r1@example.com").await.expect(200);
}

#[tokio::test]
async fn a_change_of_method_ends_what_was_proved_and_what_was_open() {
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
    let patch = |to: &str| {
        world.backend(
            Method::PATCH,
            Box::leak(recipient_path(&sent, 0).into_boxed_str()),
            Some(json!({"authentication": to})),
        )
    };
    let _ = patch("none").await.expect(200);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
    let _ = open_last(&world, "r1@example.com").await.expect(200);
    assert_eq!(statuses(&world, &sent).await, ["verified"]);
    let _ = patch("sms").await.expect(200);
    let _ = complete(&world, &sent, 0)
        .await
        .refused(409, "recipient-not-verified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_recipients_complete_at_once_and_each_is_mailed_once() {
    let world = World::new().await;
    let recipients: Vec<Value> = (0..40).map(|number| person(number, "none")).collect();
    let sent = send_with(&world, "k", &agreement(&json!(recipients)))
        .await
        .expect(201);
    for number in 0..40 {
        let _ = open_last(&world, &format!("r{number}@example.com"))
            .await
            .expect(200);
    }
    let answers = join_all((0..40).map(|place| complete(&world, &sent, place))).await;
    // RetryPolicy has an end: whoever was told of a conflict asks again.
    for (place, answer) in answers.iter().enumerate() {
        assert!(
            answer.status == 200 || answer.slug() == "conflict",
            "{}",
            answer.body
        );
        if answer.status != 200 {
            let _ = complete(&world, &sent, place).await.expect(200);
        }
    }
    assert_eq!(
        (
            status(&world, &sent).await.as_str(),
            world.outbox().await.len()
        ),
        ("completed", 80)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_completion_a_cancellation_and_an_expiry_one_wins_and_the_sums_hold() {
    for round in 0..8 {
        let world = with_kba(5).await;
        let mut body = agreement(&json!([person(1, "none"), person(2, "kba")]));
        body["expires_in"] = json!(60);
        let sent = send_with(&world, "k", &body).await.expect(201);
        let _ = open_last(&world, "r1@example.com").await.expect(200);
        let patch = json!({"authentication": "none"});
        let path = recipient_path(&sent, 1);
        if round % 2 == 0 {
            world.advance(60);
        }
        let (completed, cancelled, changed, _) = tokio::join!(
            complete(&world, &sent, 0),
            cancel(&world, &sent),
            world.backend(Method::PATCH, &path, Some(patch)),
            clean(&world),
        );
        assert!([200, 409].contains(&completed.status), "{}", completed.body);
        assert!([200, 409].contains(&cancelled.status), "{}", cancelled.body);
        assert!([200, 409].contains(&changed.status), "{}", changed.body);
        let ended = if round % 2 == 0 {
            "expired"
        } else {
            "cancelled"
        };
        assert_eq!(status(&world, &sent).await, ended);
        assert_eq!(cancelled.status == 200, ended == "cancelled");
        let _ = clean(&world).await;
        assert_eq!(quota(&world).await, (5, 0, 0), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_for_a_recipients_code_at_once_are_one_message() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let before = world.outbox().await.len();
    let answers = join_all((0..20).map(|_| world.issue(&challenge, "sms"))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 202).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 202 || answer.slug() == "resend-too-soon"),
        "{answers:?}"
    );
    assert_eq!(world.outbox().await.len(), before + 1);
}

#[tokio::test]
async fn nothing_is_sent_to_a_recipient_in_a_country_that_is_not_on_the_list() {
    let world = World::new().await;
    let mut abroad = person(1, "sms");
    abroad["phone"] = json!("+33612345678");
    let _ = send_with(&world, "k", &agreement(&json!([abroad])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let before = world.content().await;
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(422, "destination-not-allowed");
    assert_eq!(world.content().await, before);
}

#[tokio::test]
async fn challenges_of_a_recipient_that_are_over_go_with_the_next_and_those_that_are_not_stay() {
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
    let mut challenges = Vec::new();
    for _ in 0..4 {
        challenges.push(opened().await);
        world.advance(250);
    }
    // At a thousand seconds the first two are over; the next opening takes them away.
    challenges.push(opened().await);
    assert_eq!(recipient_item(&world, &sent, 0).await.challenges.len(), 3);
    for (place, challenge) in challenges.iter().enumerate() {
        let answer = world.issue(challenge, "sms").await;
        assert_eq!(
            answer.status,
            if place < 2 { 410 } else { 202 },
            "{place}: {}",
            answer.body
        );
    }
}
