//! What each route costs, as `infra/table.md` says it: requests to DynamoDB, and the units they consume.

use reqwest::Method;
use serde_json::json;
use shared::dynamo::meter::Cost;
use tests::agreements::{agreement, complete, links, open, open_last, person, recipient_path, send_with, with_kba};
use tests::{OPERATOR, PASSWORD, World, another, token_of};

/// Asserts the requests exactly and the units as upper bounds.
fn costs(world: &World, route: &str, requests: u32, read_units: f64, write_units: f64) {
    let Cost { requests: made, read_units: read, write_units: written } = world.stack.meter().take();
    assert_eq!(made, requests, "{route}: requests");
    assert!(read <= read_units, "{route}: {read} read units");
    assert!(written <= write_units, "{route}: {written} write units");
}

#[tokio::test]
async fn signing_in_costs_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.stack.meter().take();

    let challenge = world.challenge(&ann).await;
    costs(&world, "login", 4, 5.0, 16.0);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    costs(&world, "codes", 2, 4.0, 20.0);
    let code = world.last_code().await;
    let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
    costs(&world, "codes/verify, wrong", 3, 1.0, 10.0);
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    costs(&world, "codes/verify, right", 3, 1.0, 10.0);
    let _ = world.send(world.request(Method::GET, "/v1/me").bearer_auth(done.text("access_token"))).await.expect(200);
    costs(&world, "me", 1, 2.0, 0.0);

    for username in ["ann", "nobody"] {
        let _ = world.login(username, "wrong password").await.refused(401, "invalid-credentials");
        costs(&world, "login, wrong", 4, 5.0, 16.0);
    }
    let refused = world.login("ann", "").await.refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/password"]);
    costs(&world, "login, malformed", 0, 0.0, 0.0);
}

#[tokio::test]
async fn the_back_end_routes_cost_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.stack.meter().take();

    let _ = world.backend(Method::GET, "/v1/settings", None).await.expect(200);
    costs(&world, "get settings", 1, 2.0, 0.0);
    let _ = world.settings(json!({"origins": ["https://a.example"]})).await;
    costs(&world, "patch settings", 2, 2.0, 10.0);
    let body = json!({"username": "ben", "kind": "internal", "password": PASSWORD});
    let _ = world.backend(Method::POST, "/v1/users", Some(body)).await.expect(201);
    costs(&world, "create user", 2, 2.0, 10.0);
    let path = format!("/v1/users/{}", ann.id);
    let _ = world.backend(Method::GET, &path, None).await.expect(200);
    costs(&world, "get user", 2, 3.0, 0.0);
    let _ = world.backend(Method::PATCH, &path, Some(json!({"locale": "fr"}))).await.expect(200);
    costs(&world, "patch user", 3, 3.0, 8.0);
    let _ = world.backend(Method::GET, &format!("/v1/audit?subject={}", ann.id), None).await.expect(200);
    costs(&world, "audit", 2, 4.0, 0.0);
    for path in ["/health", "/openapi.json", "/problems/not-found", "/.well-known/jwks.json", "/", "/nothing"] {
        let _ = world.get(path).await;
        costs(&world, path, 0, 0.0, 0.0);
    }
}

#[tokio::test]
async fn links_cost_what_the_table_says() {
    const PORTAL: &str = "https://portal.example/in";
    let world = World::new().await;
    let _ = world.settings(json!({"links": {"redirect_uris": [PORTAL]}})).await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.stack.meter().take();

    let body = json!({"user": ann.id, "redirect_uri": PORTAL});
    let _ = world.backend(Method::POST, "/v1/links", Some(body)).await.expect(202);
    costs(&world, "links", 6, 6.0, 40.0);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let _ = world.stack.meter().take();
    let challenge = world.post("/v1/links/redeem", json!({"token": token})).await.expect(200).text("challenge");
    costs(&world, "links/redeem", 3, 3.0, 12.0);
    let _ = world.post("/v1/links/redeem", json!({"token": "lnk_x"})).await.refused(404, "link-unknown");
    costs(&world, "links/redeem, no link", 0, 0.0, 0.0);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    let _ = world.stack.meter().take();
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    costs(&world, "codes/verify, by a link", 3, 2.0, 20.0);
    let code = json!({"code": done.text("code")});
    let _ = world.backend(Method::POST, "/v1/tokens", Some(code)).await.expect(200);
    costs(&world, "tokens", 4, 5.0, 12.0);
    for username in ["mute", "nobody"] {
        let _ = world.post("/v1/password/forgotten", json!({"account": world.account, "username": username})).await.expect(202);
        costs(&world, "password/forgotten, nobody", 3, 5.0, 20.0);
    }
}

#[tokio::test]
async fn changing_factors_costs_what_the_table_says() {
    let world = World::new().await;
    // Without a mail address nobody is told, which would cost three requests more.
    let ann = world.user("ann", json!({"email": null})).await;
    let token = world.token(&ann).await;
    let _ = world.stack.meter().take();

    let begun = world.as_user(&token, Method::POST, "/v1/factors/totp", None).await.expect(201);
    costs(&world, "begin", 2, 2.0, 12.0);
    let app = tests::Authenticator::reading(&begun);
    let body = json!({"factor": begun.text("factor"), "code": app.code(&world)});
    let _ = world.as_user(&token, Method::POST, "/v1/factors/totp/confirm", Some(body)).await.expect(200);
    costs(&world, "confirm", 3, 2.0, 16.0);
    let _ = world.as_user(&token, Method::GET, "/v1/factors", None).await.expect(200);
    costs(&world, "list", 1, 2.0, 0.0);
    let _ = world.as_user(&token, Method::POST, "/v1/factors/recovery-codes", None).await.expect(201);
    costs(&world, "recovery codes", 2, 2.0, 12.0);
    let _ = world.as_user(&token, Method::PATCH, "/v1/me", Some(json!({"locale": "fr"}))).await.expect(200);
    costs(&world, "patch me", 2, 2.0, 12.0);
    world.advance(30);
    let challenge = world.challenge(&ann).await;
    let _ = world.stack.meter().take();
    let _ = world.verify(&challenge, "totp", &app.code(&world)).await.expect(200);
    costs(&world, "codes/verify, app", 3, 1.0, 16.0);
    let _ = world.as_user(&token, Method::DELETE, "/v1/factors/totp", None).await.expect(204);
    costs(&world, "remove", 2, 3.0, 14.0);
}

#[tokio::test]
async fn groups_cost_what_the_table_says() {
    const PATH: &str = "/v1/groups/escrow/settings";
    let world = World::new().await;
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let token = world.token(&ann).await;
    let _ = world.stack.meter().take();

    let _ = world.backend(Method::PATCH, PATH, Some(json!({"locale": "fr"}))).await.expect(200);
    costs(&world, "patch group", 3, 3.0, 8.0);
    let _ = world.backend(Method::GET, PATH, None).await.expect(200);
    costs(&world, "get group", 2, 3.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/groups/escrow/settings?effective=true", None).await.expect(200);
    costs(&world, "get group, effective", 2, 3.0, 0.0);
    // The token does not name the group: it is known once the user was read.
    let _ = world.as_user(&token, Method::GET, "/v1/me", None).await.expect(200);
    costs(&world, "me, in a group", 2, 3.0, 0.0);
    let challenge = world.challenge(&ann).await;
    costs(&world, "login, in a group", 4, 5.0, 16.0);
    world.advance(60);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    costs(&world, "codes, in a group", 2, 5.0, 20.0);
}

#[tokio::test]
async fn sending_costs_what_the_table_says() {
    let world = with_kba(1_000).await;
    let _ = world.stack.meter().take();
    let one = agreement(&json!([person(1, "none")]));
    let sent = send_with(&world, "one", &one).await.expect(201);
    costs(&world, "send to one", 3 + 4, 10.0, 20.0);
    let _ = send_with(&world, "one", &one).await.expect(201);
    costs(&world, "send again", 2, 9.0, 0.0);
    let forty: Vec<_> = (0..40).map(|number| person(number, "kba")).collect();
    let many = send_with(&world, "forty", &agreement(&json!(forty))).await.expect(201);
    costs(&world, "send to forty", 3 + 4 * 40, 100.0, 400.0);

    let path = format!("/v1/agreements/{}", sent.text("id"));
    let _ = world.backend(Method::GET, &path, None).await.expect(200);
    costs(&world, "get agreement", 2, 4.0, 0.0);
    let _ = world.backend(Method::GET, &format!("/v1/agreements/{}", many.text("id")), None).await.expect(200);
    costs(&world, "get agreement of forty", 2, 12.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/agreements", None).await.expect(200);
    costs(&world, "list agreements", 3, 5.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/authentication-methods", None).await.expect(200);
    costs(&world, "methods", 1, 2.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/authentication-methods?group=escrow", None).await.expect(200);
    costs(&world, "methods of a group", 2, 3.0, 0.0);
    let recipient = recipient_path(&sent, 0);
    for (to, requests, written) in [("sms", 3, 8.0), ("kba", 3, 14.0), ("none", 3, 14.0)] {
        let _ = world.backend(Method::PATCH, &recipient, Some(json!({"authentication": to}))).await.expect(200);
        costs(&world, &format!("patch recipient to {to}"), requests, 10.0, written);
    }
    let _ = world.backend(Method::POST, &format!("{recipient}/resend"), None).await.expect(202);
    costs(&world, "resend", 3 + 4, 8.0, 20.0);
    let _ = world.backend(Method::POST, &format!("{recipient}/reopen"), None).await.expect(200);
    costs(&world, "reopen, not locked", 2, 4.0, 0.0);
    let cancel = format!("/v1/agreements/{}/cancel", many.text("id"));
    let _ = world.backend(Method::POST, &cancel, Some(json!({"reason": "changed"}))).await.expect(200);
    costs(&world, "cancel of forty", 4, 14.0, 14.0);
}

#[tokio::test]
async fn a_recipients_way_costs_what_the_table_says() {
    let world = with_kba(1_000).await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none"), person(2, "sms")]))).await.expect(201);
    let (first, second) = (links(&world, "r1@example.com").await.remove(0), links(&world, "r2@example.com").await.remove(0));
    let _ = world.stack.meter().take();
    let _ = open(&world, &first).await.expect(200);
    costs(&world, "redeem, nothing else asked", 2, 4.0, 10.0);
    let challenge = open(&world, &second).await.expect(200).text("challenge");
    costs(&world, "redeem, sms asked", 2, 4.0, 8.0);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    costs(&world, "codes of a recipient", 2, 4.0, 16.0);
    let code = world.last_code().await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    costs(&world, "verify of a recipient", 3, 2.0, 10.0);
    let _ = complete(&world, &sent, 0).await.expect(200);
    costs(&world, "complete", 3, 4.0, 8.0);
    let _ = complete(&world, &sent, 1).await.expect(200);
    costs(&world, "complete, the last of two", 4 + 4 * 2, 11.0, 36.0);
    let report = format!("/v1/agreements/{}/audit", sent.text("id"));
    let _ = world.backend(Method::GET, &report, None).await.expect(200);
    costs(&world, "report", 3, 5.0, 0.0);
}

#[tokio::test]
async fn kba_costs_what_the_table_says() {
    let world = with_kba(1_000).await;
    let _ = world.settings(json!({"kba": {"max_attempts": 1}})).await;
    let mut body = agreement(&json!([person(1, "kba"), person(2, "kba"), person(3, "kba")]));
    body["group"] = json!("escrow");
    let _ = send_with(&world, "k", &body).await.expect(201);
    let mut challenges = Vec::new();
    for email in ["r1@example.com", "r2@example.com"] {
        challenges.push(open_last(&world, email).await.expect(200).text("challenge"));
    }
    let _ = world.stack.meter().take();
    for (challenge, outcome, requests, written) in
        [(&challenges[0], "not_locatable", 3, 14.0), (&challenges[0], "passed", 3, 24.0), (&challenges[1], "failed", 4 + 3, 40.0)]
    {
        let session = world.session(challenge).await;
        costs(&world, "kba session", 2, 3.0, 12.0);
        let _ = world.look(challenge, &session).await.expect(200);
        costs(&world, "kba poll", 1, 4.0, 0.0);
        world.provider_says(&session, outcome).await;
        costs(&world, &format!("callback, {outcome}"), requests, 8.0, written);
    }
}

#[tokio::test]
async fn the_quota_costs_what_the_table_says() {
    let world = with_kba(5).await;
    let _ = world.stack.meter().take();
    let topup = |key: &'static str| {
        let request = world.request(Method::POST, "/v1/quota/topups").bearer_auth(OPERATOR).header("idempotency-key", key);
        world.send(request.json(&json!({"account": world.account, "transactions": 5})))
    };
    let _ = topup("a").await.expect(201);
    costs(&world, "top-up", 4, 9.0, 14.0);
    let _ = topup("a").await.expect(201);
    costs(&world, "top-up, again", 2, 3.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/quota", None).await.expect(200);
    costs(&world, "quota", 2 + 1, 9.0, 0.0);
    let _ = world.backend(Method::GET, "/v1/quota/entries", None).await.expect(200);
    costs(&world, "entries", 2 + 1, 6.0, 0.0);
}
