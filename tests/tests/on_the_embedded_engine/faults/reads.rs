//! What changes nothing: it is answered as before, or not at all.

use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{agreement, open_last, person, send_with, with_kba};
use tests::{OPERATOR, World};

use crate::faults::harness::{OTHERS, each, each_of_the_table};

/// Each of these paths with a key of the account.
async fn as_before(world: &World, paths: &[&str]) {
    for path in paths {
        let expected = world
            .backend(Method::GET, path, None)
            .await
            .expect(200)
            .body;
        every_read(world, path, &world.key, &expected).await;
    }
}

/// One path. A read is in conflict only where it is one of several items at one instant.
async fn every_read(world: &World, path: &str, bearer: &str, expected: &Value) {
    each(Service::Dynamodb, &OTHERS, async |fault| {
        let ask = || world.send(world.request(Method::GET, path).bearer_auth(bearer));
        let (struck, first) = fault.strikes(world, ask()).await;
        assert!(
            first.status == 503 || first.body == *expected,
            "{path} {fault:?}: {}",
            first.body
        );
        assert_eq!(ask().await.expect(200).body, *expected, "{path} {fault:?}");
        struck
    })
    .await;
}

#[tokio::test]
async fn what_a_back_end_reads() {
    let world = with_kba(20).await;
    let mut body = agreement(&json!([person(1, "kba"), person(2, "none")]));
    body["group"] = json!("mortgages");
    let _ = world
        .backend(
            Method::PATCH,
            "/v1/groups/mortgages/settings",
            Some(json!({"locale": "fr"})),
        )
        .await
        .expect(200);
    let sent = send_with(&world, "k", &body).await.expect(201);
    let one = format!("/v1/agreements/{}", sent.text("id"));
    let ann = world.user("ann", json!({"group": "mortgages"})).await;
    as_before(
        &world,
        &[
            "/v1/agreements",
            &one,
            &format!("{one}/audit"),
            "/v1/authentication-methods?group=mortgages",
            "/v1/quota",
            "/v1/quota/entries",
            "/v1/settings",
            "/v1/settings?effective=true",
            "/v1/groups/mortgages/settings",
            "/v1/groups/mortgages/settings?effective=true",
            "/v1/ip-allowlist/explain?ip=203.0.113.7",
            "/v1/users",
            &format!("/v1/users/{}", ann.id),
            &format!("/v1/audit?subject={}", ann.id),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_an_operator_reads() {
    let world = World::new().await;
    for path in ["", "/api-keys"] {
        let path = format!("/v1/accounts/{}{path}", world.account);
        let expected = world
            .operator(Method::GET, &path, None)
            .await
            .expect(200)
            .body;
        every_read(&world, &path, OPERATOR, &expected).await;
    }
}

#[tokio::test]
async fn the_balance_adds_up_though_it_is_being_written() {
    let world = with_kba(20).await;
    each_of_the_table(async |fault| {
        let (struck, first) = fault
            .strikes(&world, world.backend(Method::GET, "/v1/quota", None))
            .await;
        assert!(
            first.status == 503 || first.body["purchased"] == 20,
            "{fault:?}: {}",
            first.body
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn what_a_person_reads() {
    let world = with_kba(20).await;
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let token = world.token(&ann).await;
    for path in ["/v1/me", "/v1/factors"] {
        let expected = world
            .as_user(&token, Method::GET, path, None)
            .await
            .expect(200)
            .body;
        every_read(&world, path, &token, &expected).await;
    }
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let session = world.session(&challenge).await;
    world.provider_says(&session, "passed").await;
    let expected = world.look(&challenge, &session).await.expect(200).body;
    assert!(expected["authenticated"]["access_token"].is_string());
    every_read(
        &world,
        &format!("/v1/kba/sessions/{session}"),
        &challenge,
        &expected,
    )
    .await;
}
