//! What is refused of links and of what they lead to.

use reqwest::Method;
use serde_json::{Value, json};
use shared::web::http::routes::Function;
use shared::web::http::{Operation, Slug};
use tests::agreements::{agreement, links, person, send_with};
use tests::{PASSWORD, World, token_of};

use crate::problems::kba::cancel;
use crate::problems::kba::lock_viewing;
use crate::problems::sign_in::LATER;
use crate::problems::walk::{Walk, snapshot};

const NOBODY: &str = "usr_00000000000000000000000001";
const PORTAL: &str = "https://portal.example/in";

async fn redeem(world: &World, token: &str) -> tests::Answer {
    world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
}

/// Opens a challenge with the link that was mailed last, and has a code sent.
async fn opened(world: &World) -> (String, String) {
    let token = token_of(&world.outbox().await.pop().unwrap());
    let challenge = redeem(world, &token).await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    (challenge, world.last_code().await)
}

#[tokio::test]
async fn the_errors_of_making_a_link() {
    let mut walk = Walk::new().await;
    let (create, path) = (Operation::CreateLink, "/v1/links");
    let ann = walk.world.user("ann", json!({})).await;
    let mute = walk.world.user("mute", json!({"email": null})).await;
    let body = json!({"user": ann.id});
    walk.refuses_keys(create, path, Some(body.clone())).await;
    for wrong in [
        json!({"user": ann.id, "redirect_uri": PORTAL}),
        json!({"user": ann.id, "expires_in": 86_401}),
        json!({"user": "ann"}),
        json!({}),
    ] {
        walk.refuses_body(create, Slug::InvalidRequest, path, wrong)
            .await;
    }
    walk.refuses_body(create, Slug::NotFound, path, json!({"user": NOBODY}))
        .await;
    walk.refuses_body(
        create,
        Slug::LinkNotPossible,
        path,
        json!({"user": mute.id}),
    )
    .await;
    let with_key = |walk: &Walk, body: &Value| {
        walk.ask(create, path)
            .header("idempotency-key", "\"k\"")
            .json(body)
    };
    let _ = walk.world.send(with_key(&walk, &body)).await.expect(202);
    walk.refuses(
        create,
        Slug::IdempotencyKeyReused,
        with_key(&walk, &json!({"user": mute.id})),
    )
    .await;
    walk.refuses_contention(create, path, Some(body)).await;
    snapshot(walk, Function::Links);
}

#[tokio::test]
async fn the_errors_of_opening_a_link() {
    let mut walk = Walk::new().await;
    let (redeem, path) = (Operation::RedeemLink, "/v1/links/redeem");
    let ann = walk.world.user("ann", json!({})).await;
    let link = || Some(json!({"user": ann.id}));
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let _ = walk
            .world
            .backend(Method::POST, "/v1/links", link())
            .await
            .expect(202);
        tokens.push(token_of(&walk.world.outbox().await.pop().unwrap()));
    }
    let body = |token: &str| json!({"token": token});
    walk.refuses_without_a_table(redeem, path, Some(&body(&tokens[0])))
        .await;
    walk.refuses_bodies(redeem, path).await;
    walk.refuses(
        redeem,
        Slug::InvalidRequest,
        walk.ask(redeem, "/v1/links/redeem?next=/")
            .json(&body(&tokens[0])),
    )
    .await;
    walk.refuses_body(redeem, Slug::LinkUnknown, path, body("lnk_x"))
        .await;
    let (challenge, code) = opened(&walk.world).await;
    let _ = walk
        .world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
    walk.refuses_body(redeem, Slug::LinkUsed, path, body(&tokens[1]))
        .await;
    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    walk.refuses_body(redeem, Slug::NoUsableFactor, path, body(&tokens[0]))
        .await;
    walk.world.advance(LATER);
    walk.refuses_body(redeem, Slug::LinkExpired, path, body(&tokens[0]))
        .await;

    // A recipient's link.
    let sent = send_with(&walk.world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let link = links(&walk.world, "r1@example.com").await.pop().unwrap();
    walk.refuses_without_a_table(redeem, path, Some(&body(&link)))
        .await;
    walk.refuses_body(redeem, Slug::LinkUnknown, path, body("agl_x.y.z"))
        .await;
    for _ in 0..20 {
        let _ = walk.world.post(path, body(&link)).await.expect(200);
    }
    walk.refuses_body(redeem, Slug::TooManyAttempts, path, body(&link))
        .await;
    lock_viewing(&walk.world, &sent).await;
    walk.refuses_body(redeem, Slug::ViewingLocked, path, body(&link))
        .await;
    cancel(&walk.world, &sent).await;
    walk.refuses_body(redeem, Slug::AgreementClosed, path, body(&link))
        .await;
    snapshot(walk, Function::LinkRedeem);
}

#[tokio::test]
async fn the_errors_of_exchanging_a_code() {
    let mut walk = Walk::new().await;
    let (exchange, path) = (Operation::RedeemCode, "/v1/tokens");
    let _ = walk
        .world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let ann = walk.world.user("ann", json!({})).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let link = json!({"user": ann.id, "redirect_uri": PORTAL});
        let _ = walk
            .world
            .backend(Method::POST, "/v1/links", Some(link))
            .await
            .expect(202);
        let (challenge, code) = opened(&walk.world).await;
        codes.push(
            walk.world
                .verify(&challenge, "sms", &code)
                .await
                .expect(200)
                .text("code"),
        );
    }
    let body = |code: &str| json!({"code": code});
    walk.refuses_keys(exchange, path, Some(body(&codes[0])))
        .await;
    walk.refuses_body(exchange, Slug::NotFound, path, body("otc_x"))
        .await;
    walk.refuses_contention(exchange, path, Some(body(&codes[0])))
        .await;
    let _ = walk
        .world
        .backend(Method::POST, path, Some(body(&codes[0])))
        .await
        .expect(200);
    walk.refuses_body(exchange, Slug::CodeUsed, path, body(&codes[0]))
        .await;
    walk.world.advance(60);
    walk.refuses_body(exchange, Slug::CodeExpired, path, body(&codes[1]))
        .await;
    snapshot(walk, Function::Tokens);
}

#[tokio::test]
async fn the_errors_of_a_forgotten_password() {
    let mut walk = Walk::new().await;
    let (forget, path) = (Operation::ForgetPassword, "/v1/password/forgotten");
    let ann = walk.world.user("ann", json!({})).await;
    let account = walk.world.account.clone();
    let body = |username: &str| json!({"account": account, "username": username});
    walk.refuses_without_a_table(forget, path, Some(&body("ann")))
        .await;
    walk.refuses_bodies(forget, path).await;
    for wrong in [
        body(""),
        body("a\u{0}"),
        json!({"account": "acme", "username": "ann"}),
    ] {
        walk.refuses_body(forget, Slug::InvalidRequest, path, wrong)
            .await;
    }
    let with_key = |walk: &Walk, key: &str, body: Value| {
        walk.ask(forget, path)
            .header("idempotency-key", key)
            .json(&body)
    };
    walk.refuses(
        forget,
        Slug::InvalidRequest,
        with_key(&walk, "\"\"", body("nobody")),
    )
    .await;
    let _ = walk
        .world
        .send(with_key(&walk, "\"k1\"", body("nobody")))
        .await
        .expect(202);
    walk.refuses(
        forget,
        Slug::IdempotencyKeyReused,
        with_key(&walk, "\"k1\"", body("somebody")),
    )
    .await;
    let (set, path) = (Operation::SetPassword, "/v1/password");
    let body =
        |challenge: &str, password: &str| json!({"challenge": challenge, "password": password});
    let mut challenges = Vec::new();
    for _ in 0..2 {
        let forgotten = json!({"account": account, "username": "ann"});
        let _ = walk
            .world
            .post("/v1/password/forgotten", forgotten)
            .await
            .expect(202);
        let (challenge, code) = opened(&walk.world).await;
        let _ = walk
            .world
            .verify(&challenge, "sms", &code)
            .await
            .expect(200);
        challenges.push(challenge);
    }
    walk.refuses_without_a_table(set, path, Some(&body(&challenges[0], PASSWORD)))
        .await;
    walk.refuses_bodies(set, path).await;
    walk.refuses_body(
        set,
        Slug::InvalidRequest,
        path,
        body(&challenges[0], "short"),
    )
    .await;
    walk.refuses_body(
        set,
        Slug::ChallengeUnknown,
        path,
        body("chl_x.y.z", PASSWORD),
    )
    .await;
    let signing_in = walk.world.challenge(&ann).await;
    walk.refuses_body(set, Slug::Forbidden, path, body(&signing_in, PASSWORD))
        .await;
    let _ = walk
        .world
        .post(path, body(&challenges[0], PASSWORD))
        .await
        .expect(204);
    walk.refuses_body(
        set,
        Slug::ChallengeUsed,
        path,
        body(&challenges[0], PASSWORD),
    )
    .await;
    walk.refuses_body(
        set,
        Slug::ChallengeExpired,
        path,
        body(&challenges[1], PASSWORD),
    )
    .await;
    let forgotten = json!({"account": account, "username": "ann"});
    for _ in 0..3 {
        let _ = walk
            .world
            .post("/v1/password/forgotten", forgotten.clone())
            .await
            .expect(202);
    }
    walk.refuses_body(
        forget,
        Slug::TooManySends,
        "/v1/password/forgotten",
        forgotten,
    )
    .await;
    snapshot(walk, Function::Password);
}
