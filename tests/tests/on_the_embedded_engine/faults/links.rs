//! A link from the mail to the portal's token: mailed once, opened as often as one likes, and its
//! code exchanged once.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Person, World, token_of};

use crate::faults::harness::{
    Fault, OF_THE_TABLE, THAT_MAIL, empty_the_inbox, fresh, mailed_once, side_by_side, times,
};

const PORTAL: &str = "https://portal.example/in";

/// Somebody of their own for a fault, and what a link to them is asked for with.
async fn somebody(world: &World, fault: Fault) -> (Person, Value) {
    world.advance(3_600);
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let person = world
        .user(
            &fresh(fault, "ann").to_lowercase(),
            json!({"email": "ann@example.com"}),
        )
        .await;
    let body = json!({"user": person.id, "redirect_uri": PORTAL});
    (person, body)
}

/// The token of a link to somebody of their own.
async fn linked(world: &World, fault: Fault) -> (Person, String) {
    let (person, body) = somebody(world, fault).await;
    empty_the_inbox(world).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(body))
        .await
        .expect(202);
    (person, token_of(&world.outbox().await.pop().unwrap()))
}

#[tokio::test]
async fn a_link_is_mailed_once_for_each_key_and_opens() {
    side_by_side(THAT_MAIL, async |world, fault| {
        let (person, body) = somebody(world, fault).await;
        empty_the_inbox(world).await;
        let ask = || {
            let request = world
                .request(Method::POST, "/v1/links")
                .bearer_auth(&world.key);
            world.send(
                request
                    .header("idempotency-key", fresh(fault, "link"))
                    .json(&body),
            )
        };
        let (struck, first) = fault.strikes(world, ask()).await;
        let again = ask().await.expect(202);
        assert!(first.status != 202 || first.body == again.body, "{fault:?}");
        assert_eq!(
            times(&world.actions(&person.id).await, "link-created"),
            1,
            "{fault:?}"
        );
        mailed_once(world, fault, &["ann@example.com"]).await;
        let token = token_of(&world.outbox().await.pop().unwrap());
        let _ = world
            .post("/v1/links/redeem", json!({"token": token}))
            .await
            .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_link_is_opened_and_told_of_and_used_up_by_nothing_but_its_code() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (person, token) = linked(world, fault).await;
        let redeem = || world.post("/v1/links/redeem", json!({"token": token}));
        let (struck, first) = fault.strikes(world, redeem()).await;
        let again = redeem().await.expect(200);
        let opened = times(&world.actions(&person.id).await, "link-opened");
        let hidden = opened == 2 && first.status == 503;
        assert!(
            opened == 2 || (opened == 1 && first.status == 503),
            "{fault:?}: {opened}"
        );
        assert!(!hidden || fault.may_hide_an_effect(), "{fault:?}");
        let challenge = again.text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        let _ = redeem().await.refused(410, "link-used");
        struck
    })
    .await;
}

#[tokio::test]
async fn a_portals_code_is_exchanged_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (person, token) = linked(world, fault).await;
        let challenge = world
            .post("/v1/links/redeem", json!({"token": token}))
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let code = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200)
            .text("code");
        let exchange = || world.backend(Method::POST, "/v1/tokens", Some(json!({"code": code})));
        let (struck, first) = fault.strikes(world, exchange()).await;
        let again = exchange().await;
        let got: Vec<_> = [&first, &again]
            .into_iter()
            .filter(|answer| answer.status == 200)
            .collect();
        // Only where the answer of the last write was lost is a code spent without a token.
        assert!(
            got.len() == 1 || (got.is_empty() && fault.may_hide_an_effect()),
            "{fault:?}: {} {}",
            first.body,
            again.body
        );
        assert!(
            again.status == 200 || again.slug() == "code-used",
            "{fault:?}: {}",
            again.body
        );
        assert_eq!(
            times(&world.actions(&person.id).await, "token-redeemed"),
            1,
            "{fault:?}"
        );
        for answer in got {
            let _ = world
                .as_user(&answer.text("access_token"), Method::GET, "/v1/me", None)
                .await
                .expect(200);
        }
        struck
    })
    .await;
}
