//! Links and their codes, fifty at once; and each request of their way to a token refused,
//! throttled, lost.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::strain::rounds;
use tests::{Answer, Person, World, token_of};

const MANY: usize = 50;
const PORTAL: &str = "https://portal.example/in";
const MODES: [&str; 3] = ["refused", "throttled", "lost"];

fn count(answers: &[Answer], status: u16, slug: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status && answer.slug() == slug)
        .count()
}

async fn link(world: &World, person: &Person, more: Value) -> String {
    let mut body = json!({"user": person.id});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let _ = world
        .backend(Method::POST, "/v1/links", Some(body))
        .await
        .expect(202);
    token_of(&world.outbox().await.pop().unwrap())
}

async fn redeem(world: &World, token: &str) -> Answer {
    world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
}

/// Opens a challenge with the link and has a code sent.
async fn opened(world: &World, token: &str) -> (String, String) {
    let challenge = redeem(world, token).await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    (challenge, world.last_code().await)
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_redemptions_and_two_devices_that_complete_make_one_token() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann, json!({})).await;
    let here = opened(&world, &token).await;
    world.advance(60);
    let there = opened(&world, &token).await;
    let attempts = (0..MANY).map(|number| {
        let (challenge, code) = if number % 2 == 0 { &here } else { &there };
        world.verify(challenge, "sms", code)
    });
    let (redeemed, tried) = tokio::join!(
        join_all((0..MANY).map(|_| redeem(&world, &token))),
        join_all(attempts)
    );
    assert_eq!(count(&tried, 200, ""), 1, "{tried:?}");
    let lost = [
        "challenge-used",
        "challenge-expired",
        "code-invalid",
        "too-many-attempts",
        "service-unavailable",
    ];
    assert!(
        tried
            .iter()
            .all(|answer| answer.status == 200 || lost.contains(&answer.slug())),
        "{tried:?}"
    );
    let fine = |answer: &Answer| {
        answer.status == 200 || ["link-used", "service-unavailable"].contains(&answer.slug())
    };
    assert!(redeemed.iter().all(fine), "{redeemed:?}");
    let _ = redeem(&world, &token).await.refused(410, "link-used");
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "code-verified")
            .count(),
        1
    );
    // What was opened on the way leads nowhere any more.
    for answer in redeemed.iter().filter(|answer| answer.status == 200) {
        let refused = world.issue(&answer.text("challenge"), "sms").await;
        assert!(
            ["challenge-used", "challenge-expired"].contains(&refused.slug()),
            "{}",
            refused.body
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_devices_that_complete_by_one_link_one_is_signed_in() {
    let lost = ["challenge-used", "challenge-expired", "link-used"];
    for round in rounds() {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let token = link(&world, &ann, json!({})).await;
        let here = opened(&world, &token).await;
        world.advance(60);
        let there = opened(&world, &token).await;
        let both =
            join_all([&here, &there].map(|(challenge, code)| world.verify(challenge, "sms", code)));
        let tried = round.race(&world, both).await;
        assert_eq!(count(&tried, 200, ""), 1, "{round:?}: {tried:?}");
        assert!(
            tried
                .iter()
                .all(|answer| answer.status == 200 || lost.contains(&answer.slug())),
            "{round:?}: {tried:?}"
        );
        let _ = redeem(&world, &token).await.refused(410, "link-used");
        assert_eq!(
            world
                .actions(&ann.id)
                .await
                .iter()
                .filter(|action| *action == "code-verified")
                .count(),
            1,
            "{round:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_exchanges_of_a_code_make_one_token() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = opened(
        &world,
        &link(&world, &ann, json!({"redirect_uri": PORTAL})).await,
    )
    .await;
    let handed = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("code");
    let body = json!({"code": handed});
    let answers =
        join_all((0..MANY).map(|_| world.backend(Method::POST, "/v1/tokens", Some(body.clone()))))
            .await;
    assert_eq!(count(&answers, 200, ""), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 410, 409].contains(&answer.status)),
        "{answers:?}"
    );
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "token-redeemed")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_with_one_key_mail_one_link() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let body = json!({"user": ann.id});
    let ask = || {
        let request = world
            .request(Method::POST, "/v1/links")
            .bearer_auth(&world.key)
            .header("idempotency-key", "k");
        world.send(request.json(&body))
    };
    let answers = join_all((0..MANY).map(|_| ask())).await;
    assert!(
        answers
            .iter()
            .all(|answer| [202, 409].contains(&answer.status)),
        "{answers:?}"
    );
    assert!(count(&answers, 202, "") >= 1);
    assert_eq!(world.outbox().await.len(), 1);
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_owed_and_sent_later() {
    for mode in ["refused", "throttled"] {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        fault(&world, "ses", mode, 0, 3).await;
        let _ = world
            .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
            .await
            .expect(202);
        clear(&world).await;
        assert!(world.outbox().await.is_empty());
        world.advance(120);
        let _ = world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await
            .expect(200);
        let _ = redeem(&world, &token_of(&world.outbox().await.pop().unwrap()))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_link_is_spent_once_and_a_code_exchanged_once_whatever_is_lost() {
    for mode in MODES {
        for after in 0..5 {
            let world = World::new().await;
            let _ = world
                .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
                .await;
            let ann = world.user("ann", json!({})).await;
            let token = link(&world, &ann, json!({"redirect_uri": PORTAL})).await;
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = redeem(&world, &token).await;
            clear(&world).await;
            assert!(
                first.status == 200 || first.slug() == "service-unavailable",
                "{mode} after {after}: {}",
                first.body
            );

            let (challenge, code) = opened(&world, &token).await;
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = world.verify(&challenge, "sms", &code).await;
            clear(&world).await;
            let second = world.verify(&challenge, "sms", &code).await;
            let done: Vec<_> = [first, second]
                .into_iter()
                .filter(|answer| answer.status == 200)
                .collect();
            assert!(
                done.len() == 1 || (mode == "lost" && done.is_empty()),
                "{mode} after {after}"
            );
            let _ = redeem(&world, &token).await.refused(410, "link-used");

            let Some(done) = done.first() else { continue };
            let body = json!({"code": done.text("code")});
            fault(&world, "dynamodb", mode, after, 3).await;
            let first = world
                .backend(Method::POST, "/v1/tokens", Some(body.clone()))
                .await;
            clear(&world).await;
            let second = world
                .backend(Method::POST, "/v1/tokens", Some(body.clone()))
                .await;
            let got = [&first, &second]
                .iter()
                .filter(|answer| answer.status == 200)
                .count();
            assert!(
                got == 1 || (mode == "lost" && got == 0),
                "{mode} after {after}: {} {}",
                first.body,
                second.body
            );
            let told = world
                .actions(&ann.id)
                .await
                .iter()
                .filter(|action| *action == "token-redeemed")
                .count();
            assert_eq!(told, 1, "{mode} after {after}");
        }
    }
}
