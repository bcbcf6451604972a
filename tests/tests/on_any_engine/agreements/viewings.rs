//! Viewings of a signed agreement: told once a day, with how many there were between.

use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{agreement, complete, open_last, person, send_with, with_kba};
use tests::{Answer, World};

const DAY: i64 = 24 * 3600;

/// An agreement that one recipient has signed.
async fn signed(world: &World, authentication: &str) -> Answer {
    let sent = send_with(world, "k", &agreement(&json!([person(1, authentication)])))
        .await
        .expect(201);
    let opened = open_last(world, "r1@example.com").await.expect(200);
    if authentication == "kba" {
        let session = world.session(&opened.text("challenge")).await;
        world.provider_says(&session, "passed").await;
    }
    let _ = complete(world, &sent, 0).await.expect(200);
    sent
}

async fn report(world: &World, sent: &Answer) -> Vec<Value> {
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    let report = world
        .backend(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    report["entries"].as_array().unwrap().clone()
}

/// The details of the viewings that are told.
async fn told(world: &World, sent: &Answer) -> Vec<Value> {
    let entries = report(world, sent).await;
    let viewings = entries
        .iter()
        .filter(|entry| entry["details"]["purpose"] == "view");
    viewings
        .map(|entry| entry["details"]["viewings_since"].clone())
        .collect()
}

async fn view(world: &World) -> Answer {
    open_last(world, "r1@example.com").await.expect(200)
}

#[tokio::test]
async fn a_viewing_is_told_once_a_day_and_those_between_with_the_next() {
    let world = World::new().await;
    let sent = signed(&world, "none").await;
    for _ in 0..5 {
        assert_eq!(view(&world).await.body["status"], "authenticated");
        world.advance(60);
    }
    assert_eq!(
        told(&world, &sent).await,
        [Value::Null],
        "the first is told, and of the others nothing yet"
    );
    world.advance(DAY);
    let _ = view(&world).await;
    assert_eq!(told(&world, &sent).await, [Value::Null, json!(4)]);
    world.advance(DAY);
    let _ = view(&world).await;
    assert_eq!(
        told(&world, &sent).await,
        [Value::Null, json!(4), Value::Null],
        "there was none between"
    );
    let page = world
        .request(
            Method::GET,
            &format!("/v1/agreements/{}/audit", sent.text("id")),
        )
        .bearer_auth(&world.key);
    let page = page
        .header("accept", "text/html")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("It was opened 4 times more between this and the viewing told before."),
        "{page}"
    );
}

#[tokio::test]
async fn a_chain_does_not_grow_by_more_than_an_entry_a_day() {
    let world = World::new().await;
    let sent = signed(&world, "none").await;
    let before = report(&world, &sent).await.len();
    for _ in 0..3 {
        for _ in 0..15 {
            let _ = view(&world).await;
        }
        world.advance(DAY);
    }
    assert_eq!(report(&world, &sent).await.len(), before + 3);
    assert_eq!(
        told(&world, &sent).await,
        [Value::Null, json!(14), json!(14)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_viewings_at_once_one_is_told_and_the_others_are_counted() {
    let world = World::new().await;
    let sent = signed(&world, "none").await;
    let answers =
        futures_util::future::join_all((0..20).map(|_| open_last(&world, "r1@example.com"))).await;
    let opened = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(
        opened > 1,
        "{:?}",
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    assert_eq!(told(&world, &sent).await, [Value::Null]);
    world.advance(DAY);
    let _ = view(&world).await;
    assert_eq!(told(&world, &sent).await, [Value::Null, json!(opened - 1)]);
}

#[tokio::test]
async fn what_is_not_signed_by_all_is_told_each_time() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "none")])),
    )
    .await
    .expect(201);
    let _ = view(&world).await;
    let _ = complete(&world, &sent, 0).await.expect(200);
    let opened = async || {
        report(&world, &sent)
            .await
            .iter()
            .filter(|entry| entry["action"] == "link-opened")
            .count()
    };
    for times in 2..5 {
        let _ = view(&world).await;
        assert_eq!(opened().await, times);
    }
}

#[tokio::test]
async fn questions_that_are_asked_again_are_told_each_time() {
    let world = with_kba(5).await;
    let _ = world
        .settings(json!({"kba": {"on_view_after_signing": true}}))
        .await;
    let sent = signed(&world, "kba").await;
    for _ in 0..2 {
        let challenge = view(&world).await.text("challenge");
        let session = world.session(&challenge).await;
        world.provider_says(&session, "passed").await;
        assert_eq!(world.session_status(&challenge, &session).await, "passed");
    }
    let entries = report(&world, &sent).await;
    let count = |action: &str| {
        entries
            .iter()
            .filter(|entry| entry["action"] == action)
            .count()
    };
    assert_eq!(
        (
            count("link-opened"),
            count("kba-session-opened"),
            count("recipient-verified")
        ),
        (2, 3, 3)
    );
}
