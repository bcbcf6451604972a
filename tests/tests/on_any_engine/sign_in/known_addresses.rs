//! The addresses that a user is known at: every way of completing a sign-in makes its address one
//! of them, on the user's item and on the credential's copy alike, and nothing else does.

use reqwest::Method;
use serde_json::{Value, json};
use shared::signin::user::known::{KEPT_MAX, Origin};
use tests::issuer::Issuer;
use tests::{Authenticator, PASSWORD, Person, World, another, token_of};

const HOME: &str = "203.0.113.7";
const AWAY: &str = "198.51.100.9";

async fn is_known(world: &World, person: &Person, address: &str) -> bool {
    world.origin_of(person, address).await == Origin::Known
}

#[tokio::test]
async fn a_code_makes_its_address_known_and_what_comes_before_it_does_not() {
    let world = World::of_many_places().await;
    let (ann, ben) = (
        world.user("ann", json!({})).await,
        world.user("ben", json!({})).await,
    );
    let home = world.at(HOME);
    let _ = home
        .login("ann", "a wrong password")
        .await
        .refused(401, "invalid-credentials");
    let challenge = home.challenge(&ann).await;
    let _ = home.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    let _ = home
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    assert!(!is_known(&world, &ann, HOME).await, "nothing was completed");
    let _ = home.verify(&challenge, "sms", &code).await.expect(200);
    assert!(is_known(&world, &ann, HOME).await);
    assert!(!is_known(&world, &ann, AWAY).await && !is_known(&world, &ben, HOME).await);
}

#[tokio::test]
async fn a_first_factor_that_is_enough_makes_its_address_known() {
    let world = World::of_many_places().await;
    let issuer = Issuer::of(&world, env!("CARGO_BIN_EXE_issuer")).await;
    let _ = world
        .settings(json!({"second_factor": {"internal_required": false}}))
        .await;
    let ann = world
        .user("ann", json!({"kind": "internal", "sso_subject": "subject"}))
        .await;
    let done = world.at(HOME).login("ann", PASSWORD).await.expect(200);
    assert_eq!(
        (&done.body["status"], is_known(&world, &ann, HOME).await),
        (&json!("authenticated"), true)
    );
    let token = issuer.token("subject").await;
    let _ = world
        .at(AWAY)
        .post(
            "/v1/login",
            json!({"account": world.account, "id_token": token}),
        )
        .await
        .expect(200);
    assert!(is_known(&world, &ann, AWAY).await);
}

#[tokio::test]
async fn a_first_app_makes_its_address_known() {
    let world = World::of_many_places().await;
    let cid = world.user("cid", json!({"phone": null})).await;
    let home = world.at(HOME);
    let challenge = home.challenge(&cid).await;
    let begun = home
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    assert!(!is_known(&world, &cid, HOME).await);
    let code = Authenticator::reading(&begun).code(&world);
    let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    let _ = home
        .post("/v1/factors/totp/confirm", body)
        .await
        .expect(200);
    assert!(is_known(&world, &cid, HOME).await);
}

#[tokio::test]
async fn the_portals_back_end_is_nowhere_and_a_new_password_is_no_sign_in() {
    let world = World::of_many_places().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": ["https://portal.example/in"]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let body = json!({"user": ann.id, "redirect_uri": "https://portal.example/in"});
    let _ = world
        .backend(Method::POST, "/v1/links", Some(body))
        .await
        .expect(202);
    let challenge = world
        .at(HOME)
        .open_last_link()
        .await
        .expect(200)
        .text("challenge");
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    let done = world
        .at(HOME)
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(
        (&done.body["status"], is_known(&world, &ann, HOME).await),
        (&json!("redirect"), true)
    );
    let redeemed = world.at("192.0.2.55").send(
        Method::POST,
        "/v1/tokens",
        Some(&world.key),
        Some(json!({"code": done.text("code")})),
    );
    let _ = redeemed.await.expect(200);
    assert!(!is_known(&world, &ann, "192.0.2.55").await);

    let _ = world
        .at(AWAY)
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": "ann"}),
        )
        .await
        .expect(202);
    let opened = world
        .at(AWAY)
        .open_last_link()
        .await
        .expect(200)
        .text("challenge");
    world.advance(60);
    let _ = world.at(AWAY).issue(&opened, "sms").await.expect(202);
    let proved = world
        .at(AWAY)
        .verify(&opened, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(proved.body["status"], "new_password_required");
    assert!(!is_known(&world, &ann, AWAY).await);
}

#[tokio::test]
async fn an_address_is_known_for_ninety_days_after_its_last_sign_in_and_the_latest_eight_are_kept()
{
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(60 * 86_400);
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(90 * 86_400 - 1);
    assert!(is_known(&world, &ann, HOME).await);
    world.advance(1);
    assert!(!is_known(&world, &ann, HOME).await);

    let addresses: Vec<String> = (0..=KEPT_MAX)
        .map(|number| format!("203.0.113.{number}"))
        .collect();
    for address in &addresses {
        let _ = world.at(address).sign_in(&ann).await;
        world.advance(3_600);
    }
    let mut known = Vec::new();
    for address in &addresses {
        known.push(is_known(&world, &ann, address).await);
    }
    assert_eq!(known, [&[false][..], &[true; KEPT_MAX]].concat());
}

#[tokio::test]
async fn the_copy_is_written_once_a_day_and_goes_wherever_the_credential_goes() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    let first = world.credential("ann").await.known;
    world.advance(3_600);
    let _ = world.at(HOME).sign_in(&ann).await;
    assert_eq!(
        world.credential("ann").await.known,
        first,
        "once a day is enough"
    );
    assert_ne!(world.stored(&ann).await.known, first);
    world.advance(86_400);
    let _ = world.at(HOME).sign_in(&ann).await;
    assert_ne!(world.credential("ann").await.known, first);

    let path = format!("/v1/users/{}", ann.id);
    for patch in [
        json!({"username": "anna"}),
        json!({"password": "another horse battery"}),
        json!({"group": "escrow"}),
    ] {
        let _ = world
            .backend(Method::PATCH, &path, Some(patch.clone()))
            .await
            .expect(200);
        assert!(is_known(&world, &ann, HOME).await, "after {patch}");
    }
    let _ = world.backend(Method::DELETE, &path, None).await.expect(204);
    let content = world.content().await;
    // The windows of codes have moments by this name, and no addresses.
    let tells = |item: &Value| {
        item["known"]
            .as_array()
            .is_some_and(|known| known.iter().any(|one| one["h"].is_string()))
    };
    assert!(
        !content.values().any(tells),
        "nothing tells where somebody was who is gone"
    );
}

/// Fifty sign-ins that complete in the same instant, from ten addresses: the list has the latest
/// eight, and the copy is the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_in_the_same_instant_leave_one_list() {
    let world = World::of_many_places().await;
    let _ = world
        .settings(json!({"second_factor": {"internal_required": false}}))
        .await;
    let ann = world.user("ann", json!({"kind": "internal"})).await;
    let addresses: Vec<String> = (0..10)
        .map(|number| format!("203.0.113.{number}"))
        .collect();
    for _ in 0..5 {
        let all = addresses
            .iter()
            .map(|address| world.at(address).login("ann", PASSWORD));
        let done = futures_util::future::join_all(all).await;
        assert!(done.iter().any(|answer| answer.status == 200));
        world.advance(1);
    }
    let mut known = 0;
    for address in &addresses {
        known += usize::from(is_known(&world, &ann, address).await);
    }
    assert_eq!(known, KEPT_MAX);
}

#[tokio::test]
async fn a_link_that_was_mailed_is_no_address() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let _ = world
        .at(HOME)
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200);
    assert!(!is_known(&world, &ann, HOME).await);
}
