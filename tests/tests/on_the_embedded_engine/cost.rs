//! What each route costs is what `infra/table.md` says: requests to DynamoDB, and the units they
//! consume, exactly.

use local::costs;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use shared::web::http::routes::{Authorisation, ROUTES, Route};
use tests::agreements::{
    agreement, complete, links, open, open_last, person, recipient_path, send_with, with_kba,
};
use tests::chains::{lengthen, resent};
use tests::contacts::{begin, confirm, remove};
use tests::issuer::Issuer;
use tests::path;
use tests::{Answer, OPERATOR, PASSWORD, World, another, token_of};

/// Forgets what was spent so far.
fn forget(world: &World) {
    let _ = world.stack.meter().take();
}

/// What was spent since is what the row of this name says.
fn cost(world: &World, name: &str) {
    let spent = world.stack.meter().take();
    let row = costs()
        .get(name)
        .copied()
        .unwrap_or_else(|| panic!("the table has no row of {name}, which spends {spent:?}"));
    assert_eq!(spent, row.cost, "{name}, and what the table says");
}

async fn backend(
    world: &World,
    method: Method,
    path: &str,
    body: Option<Value>,
    status: u16,
) -> Answer {
    world.backend(method, path, body).await.expect(status)
}

async fn keyed(world: &World, bearer: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = world
        .request(Method::POST, path)
        .bearer_auth(bearer)
        .header("idempotency-key", key);
    world.send(request.json(body)).await
}

#[test]
fn each_route_has_one_row_and_is_measured() {
    let (costs, measured) = (costs(), include_str!("cost.rs"));
    for key in ROUTES.iter().map(Route::key) {
        assert!(costs.contains_key(&key), "{key} has no row");
    }
    let free: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.authorisation == Authorisation::Public)
        .map(Route::key)
        .collect();
    for name in costs.keys().filter(|name| !free.contains(name)) {
        assert!(
            measured.contains(&format!("\"{name}\"")),
            "{name} has a row and is measured nowhere"
        );
    }
}

#[tokio::test]
async fn what_everybody_may_read_costs_nothing() {
    let world = World::new().await;
    for route in ROUTES
        .iter()
        .filter(|route| route.authorisation == Authorisation::Public)
    {
        forget(&world);
        let path = route
            .path
            .replace("{slug}", "not-found")
            .replace("{name}", "sign-in.css")
            .replace("{id}", "agr_1");
        let _ = world.get(&path).await.expect(200);
        cost(&world, &route.key());
    }
    let _ = world.get("/nothing").await.refused(404, "not-found");
    let preflight = world
        .request(Method::OPTIONS, "/v1/login")
        .header("access-control-request-method", "POST");
    assert_eq!(
        world.stack.meter().take(),
        shared::store::dynamo::meter::Cost::default()
    );
    let _ = world
        .send(preflight.header("origin", "https://portal.example"))
        .await;
    cost(&world, "a preflight");
}

#[tokio::test]
async fn signing_in_costs_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    forget(&world);

    let challenge = world.challenge(&ann).await;
    cost(&world, "POST /v1/login");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    cost(&world, "POST /v1/codes");
    let code = world.last_code().await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    cost(&world, "POST /v1/codes/verify, wrong");
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify");
    let _ = world
        .send(
            world
                .request(Method::GET, "/v1/me")
                .bearer_auth(done.text("access_token")),
        )
        .await
        .expect(200);
    cost(&world, "GET /v1/me");

    for (username, row) in [
        ("ann", "POST /v1/login, wrong"),
        ("nobody", "POST /v1/login, by nobody"),
    ] {
        let _ = world
            .login(username, "wrong password")
            .await
            .refused(401, "invalid-credentials");
        cost(&world, row);
    }
    world.advance(60);
    let challenge = world.challenge(&ann).await;
    forget(&world);
    let body = json!({"challenge": challenge, "method": "sms"});
    let _ = world
        .send(
            world
                .request(Method::POST, "/v1/codes")
                .header("idempotency-key", "\"k\"")
                .json(&body),
        )
        .await
        .expect(202);
    cost(&world, "POST /v1/codes, with an Idempotency-Key");
    let refused = world.login("ann", "").await.refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/password"]);
    assert_eq!(
        world.stack.meter().take().requests,
        0,
        "what is malformed is read by nobody"
    );

    // Once the challenges before are over: with one that is open, as the other rows.
    world.advance(700);
    let challenge = world.challenge(&ann).await;
    forget(&world);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    cost(
        &world,
        "POST /v1/codes, to a verified contact from a known address",
    );
    let code = world.last_code().await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify, again that day");
}

/// As many requests, and as much read, for each of them, the first time and the next. What is
/// written is as much but for a unit or two: items are of different length, and nobody's is entered
/// in the index of what the clean-up will have to look at, after the answer. Here and not beside
/// the sign-ins, because Amazon's emulator charges nothing for an item that is not there, where the
/// service does.
#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_cost_the_same() {
    const UNITS_APART: f64 = 4.0;
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    let ben = world.user("ben", json!({})).await;
    let disabled = json!({"disabled": true});
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", ben.id),
            Some(disabled),
        )
        .await
        .expect(200);
    for time in 1..=3 {
        let mut costs = Vec::new();
        for (username, password) in [
            ("nobody", PASSWORD),
            ("ann", "wrong password"),
            ("ben", PASSWORD),
        ] {
            let _ = world.stack.meter().take();
            let _ = world
                .login(username, password)
                .await
                .refused(401, "invalid-credentials");
            costs.push(world.stack.meter().take());
        }
        let read: Vec<_> = costs
            .iter()
            .map(|cost| (cost.requests, cost.read_units.to_bits()))
            .collect();
        assert!(
            read.iter().all(|cost| *cost == read[0]),
            "time {time}: {costs:?}"
        );
        let written = costs.iter().map(|cost| cost.write_units);
        let apart = written.clone().fold(0.0, f64::max) - written.fold(f64::MAX, f64::min);
        assert!(apart <= UNITS_APART, "time {time}: {costs:?}");
    }
}

#[tokio::test]
async fn a_password_that_is_refused_unseen_costs_what_the_table_says_whoever_it_is() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    for username in ["ann", "nobody"] {
        for _ in 0..5 {
            let _ = world
                .login(username, "wrong password")
                .await
                .refused(401, "invalid-credentials");
        }
        // The first is told besides.
        let _ = world
            .login(username, PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        forget(&world);
        let _ = world
            .login(username, PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        cost(&world, "POST /v1/login, refused");
    }
}

#[tokio::test]
async fn an_id_token_costs_what_the_table_says() {
    let world = World::new().await;
    let issuer = Issuer::of(&world, env!("CARGO_BIN_EXE_issuer")).await;
    let _ = world.user("ann", json!({"sso_subject": "subject"})).await;
    let token = issuer.token("subject").await;
    forget(&world);
    let _ = world.login_by(&token).await.expect(200);
    cost(&world, "POST /v1/login, by an ID token");
}

#[tokio::test]
async fn a_sign_in_that_tells_of_refused_passwords_costs_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    for _ in 0..5 {
        let _ = world
            .login("ann", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    forget(&world);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify, after refused passwords");
}

#[tokio::test]
async fn accounts_and_settings_cost_what_the_table_says() {
    let world = World::new().await;
    let operator = |method: Method, path: String, body: Option<Value>| {
        let request = world.request(method, &path).bearer_auth(OPERATOR);
        world.send(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
    };
    let (account, keys) = (
        format!("/v1/accounts/{}", world.account),
        format!("/v1/accounts/{}/api-keys", world.account),
    );
    forget(&world);
    let _ = operator(
        Method::POST,
        "/v1/accounts".into(),
        Some(json!({"name": "Elm", "plan": "business"})),
    )
    .await
    .expect(201);
    cost(&world, "POST /v1/accounts");
    let _ = operator(Method::GET, account.clone(), None)
        .await
        .expect(200);
    cost(&world, "GET /v1/accounts/{account}");
    let _ = operator(Method::PATCH, account, Some(json!({"plan": "enterprise"})))
        .await
        .expect(200);
    cost(&world, "PATCH /v1/accounts/{account}");
    let made = operator(
        Method::POST,
        keys.clone(),
        Some(json!({"name": "second", "scopes": ["audit:read"]})),
    )
    .await
    .expect(201);
    cost(&world, "POST /v1/accounts/{account}/api-keys");
    let _ = operator(Method::GET, keys.clone(), None).await.expect(200);
    cost(&world, "GET /v1/accounts/{account}/api-keys");
    let _ = operator(Method::DELETE, format!("{keys}/{}", made.text("id")), None)
        .await
        .expect(204);
    cost(&world, "DELETE /v1/accounts/{account}/api-keys/{id}");

    let _ = backend(&world, Method::GET, "/v1/settings", None, 200).await;
    cost(&world, "GET /v1/settings");
    let _ = world.settings(json!({"locale": "fr"})).await;
    cost(&world, "PATCH /v1/settings");
    let _ = world
        .settings(json!({"origins": ["https://a.example"]}))
        .await;
    cost(&world, "PATCH /v1/settings, an origin more");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    cost(&world, "PATCH /v1/settings, methods");
    let _ = backend(
        &world,
        Method::GET,
        "/v1/ip-allowlist/explain?ip=203.0.113.7",
        None,
        200,
    )
    .await;
    cost(&world, "GET /v1/ip-allowlist/explain");
}

#[tokio::test]
async fn users_cost_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    forget(&world);

    let body = json!({"username": "ben", "kind": "internal", "password": PASSWORD});
    let ben = backend(&world, Method::POST, "/v1/users", Some(body), 201)
        .await
        .text("id");
    cost(&world, "POST /v1/users");
    let _ = backend(&world, Method::GET, "/v1/users", None, 200).await;
    cost(&world, "GET /v1/users");
    let path = format!("/v1/users/{}", ann.id);
    let _ = backend(&world, Method::GET, &path, None, 200).await;
    cost(&world, "GET /v1/users/{id}");
    let _ = backend(
        &world,
        Method::PATCH,
        &path,
        Some(json!({"locale": "fr"})),
        200,
    )
    .await;
    cost(&world, "PATCH /v1/users/{id}");
    let _ = backend(
        &world,
        Method::GET,
        &format!("/v1/audit?subject={}", ann.id),
        None,
        200,
    )
    .await;
    cost(&world, "GET /v1/audit");
    let _ = backend(&world, Method::POST, &format!("{path}/unlock"), None, 200).await;
    cost(&world, "POST /v1/users/{id}/unlock");
    let _ = backend(
        &world,
        Method::DELETE,
        &format!("{path}/factors/totp"),
        None,
        204,
    )
    .await;
    cost(&world, "DELETE /v1/users/{id}/factors/totp");
    let _ = backend(
        &world,
        Method::DELETE,
        &format!("/v1/users/{ben}"),
        None,
        204,
    )
    .await;
    cost(&world, "DELETE /v1/users/{id}");
}

#[tokio::test]
async fn links_and_passwords_cost_what_the_table_says() {
    const PORTAL: &str = "https://portal.example/in";
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    forget(&world);

    let body = json!({"user": ann.id, "redirect_uri": PORTAL});
    let _ = backend(&world, Method::POST, "/v1/links", Some(body), 202).await;
    cost(&world, "POST /v1/links");
    let token = token_of(&world.outbox().await.pop().unwrap());
    forget(&world);
    let challenge = open(&world, &token).await.expect(200).text("challenge");
    cost(&world, "POST /v1/links/redeem");
    let _ = open(&world, "lnk_x").await.refused(404, "link-unknown");
    assert_eq!(
        world.stack.meter().take().requests,
        0,
        "what has not the form of a link costs nothing"
    );
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    forget(&world);
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify, after a link");
    let _ = backend(
        &world,
        Method::POST,
        "/v1/tokens",
        Some(json!({"code": done.text("code")})),
        200,
    )
    .await;
    cost(&world, "POST /v1/tokens");

    let _ = world
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": "nobody"}),
        )
        .await
        .expect(202);
    cost(&world, "POST /v1/password/forgotten, by nobody");
    let _ = world
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": "ann"}),
        )
        .await
        .expect(202);
    cost(&world, "POST /v1/password/forgotten");
    world.advance(60);
    let challenge = open_last(&world, "ann@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    forget(&world);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify, before a new password");
    let body = json!({"challenge": challenge, "password": "a horse of another colour"});
    let _ = world.post("/v1/password", body).await.expect(204);
    cost(&world, "POST /v1/password");
}

#[tokio::test]
async fn changing_factors_costs_what_the_table_says() {
    let world = World::new().await;
    // Who has no mailbox is told by a text, which costs as much as a mail.
    let ann = world.user("ann", json!({"email": null})).await;
    let token = world.token(&ann).await;
    forget(&world);

    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    cost(&world, "POST /v1/factors/totp");
    let app = tests::Authenticator::reading(&begun);
    let body = json!({"factor": begun.text("factor"), "code": app.code(&world)});
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp/confirm", Some(body))
        .await
        .expect(200);
    cost(&world, "POST /v1/factors/totp/confirm");
    let _ = world
        .as_user(&token, Method::GET, "/v1/factors", None)
        .await
        .expect(200);
    cost(&world, "GET /v1/factors");
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .expect(201);
    cost(&world, "POST /v1/factors/recovery-codes");
    let _ = world
        .as_user(
            &token,
            Method::PATCH,
            "/v1/me",
            Some(json!({"locale": "fr"})),
        )
        .await
        .expect(200);
    cost(&world, "PATCH /v1/me");
    let new = json!({"password": "a horse of another colour", "current_password": PASSWORD});
    let _ = world
        .as_user(&token, Method::PATCH, "/v1/me", Some(new))
        .await
        .expect(200);
    cost(&world, "PATCH /v1/me, password");
    world.advance(30);
    let challenge = world
        .login("ann", "a horse of another colour")
        .await
        .expect(200)
        .text("challenge");
    forget(&world);
    let _ = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .expect(200);
    cost(&world, "POST /v1/codes/verify, by an app");
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    cost(&world, "DELETE /v1/factors/totp");
}

#[tokio::test]
async fn ones_own_contacts_cost_what_the_table_says() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"email": null})).await;
    let token = world.token(&ann).await;
    // With an app, the phone is not the last factor.
    let _ = world.enrol(&token).await;
    forget(&world);
    let begun = begin(&world, &token, "email", "new@example.com")
        .await
        .expect(202);
    cost(&world, "POST /v1/factors/email");
    let _ = confirm(
        &world,
        &token,
        "email",
        &begun.text("factor"),
        &world.last_code().await,
    )
    .await
    .expect(200);
    cost(&world, "POST /v1/factors/email/confirm");
    let begun = begin(&world, &token, "sms", "+12025550177")
        .await
        .expect(202);
    cost(&world, "POST /v1/factors/sms");
    let _ = confirm(
        &world,
        &token,
        "sms",
        &begun.text("factor"),
        &world.last_code().await,
    )
    .await
    .expect(200);
    cost(&world, "POST /v1/factors/sms/confirm");
    let _ = remove(&world, &token, "sms").await.expect(204);
    cost(&world, "DELETE /v1/factors/sms");
    let _ = remove(&world, &token, "email").await.expect(204);
    cost(&world, "DELETE /v1/factors/email");
}

#[tokio::test]
async fn groups_cost_what_the_table_says() {
    const PATH: &str = "/v1/groups/escrow/settings";
    let world = World::new().await;
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let token = world.token(&ann).await;
    forget(&world);

    let _ = backend(
        &world,
        Method::PATCH,
        PATH,
        Some(json!({"locale": "fr"})),
        200,
    )
    .await;
    cost(&world, "PATCH /v1/groups/{group}/settings");
    for path in [PATH, "/v1/groups/escrow/settings?effective=true"] {
        let _ = backend(&world, Method::GET, path, None, 200).await;
        cost(&world, "GET /v1/groups/{group}/settings");
    }
    // The token does not name the group: it is known once the user was read.
    let _ = world
        .as_user(&token, Method::GET, "/v1/me", None)
        .await
        .expect(200);
    cost(&world, "GET /v1/me, in a group");
    let challenge = world.challenge(&ann).await;
    cost(&world, "POST /v1/login, in a group");
    world.advance(60);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    cost(&world, "POST /v1/codes, in a group");
    let _ = backend(
        &world,
        Method::GET,
        "/v1/authentication-methods?group=escrow",
        None,
        200,
    )
    .await;
    cost(&world, "GET /v1/authentication-methods, of a group");
}

#[tokio::test]
async fn sending_costs_what_the_table_says() {
    let world = with_kba(900).await;
    forget(&world);
    let one = agreement(&json!([person(1, "none")]));
    let sent = send_with(&world, "one", &one).await.expect(201);
    cost(&world, "POST /v1/agreements");
    let _ = send_with(&world, "one", &one).await.expect(201);
    cost(&world, "POST /v1/agreements, again");
    let forty: Vec<_> = (0..40).map(|number| person(number, "kba")).collect();
    let many = send_with(&world, "forty", &agreement(&json!(forty)))
        .await
        .expect(201);
    cost(&world, "POST /v1/agreements, to forty by KBA");

    let _ = backend(
        &world,
        Method::GET,
        &format!("/v1/agreements/{}", sent.text("id")),
        None,
        200,
    )
    .await;
    cost(&world, "GET /v1/agreements/{id}");
    let _ = backend(
        &world,
        Method::GET,
        &format!("/v1/agreements/{}", many.text("id")),
        None,
        200,
    )
    .await;
    cost(&world, "GET /v1/agreements/{id}, of forty");
    let _ = backend(&world, Method::GET, "/v1/agreements", None, 200).await;
    cost(&world, "GET /v1/agreements");
    let _ = backend(&world, Method::GET, "/v1/authentication-methods", None, 200).await;
    cost(&world, "GET /v1/authentication-methods");
    let mut grouped = one;
    grouped["group"] = json!("escrow");
    let grouped = recipient_path(&send_with(&world, "grouped", &grouped).await.expect(201), 0);
    forget(&world);
    let _ = backend(
        &world,
        Method::PATCH,
        &grouped,
        Some(json!({"authentication": "sms"})),
        200,
    )
    .await;
    cost(
        &world,
        "PATCH /v1/agreements/{id}/recipients/{recipient}, in a group",
    );
    let recipient = recipient_path(&sent, 0);
    for (to, row) in [
        ("sms", "PATCH /v1/agreements/{id}/recipients/{recipient}"),
        (
            "kba",
            "PATCH /v1/agreements/{id}/recipients/{recipient}, to or from KBA",
        ),
        (
            "none",
            "PATCH /v1/agreements/{id}/recipients/{recipient}, to or from KBA",
        ),
    ] {
        let _ = backend(
            &world,
            Method::PATCH,
            &recipient,
            Some(json!({"authentication": to})),
            200,
        )
        .await;
        cost(&world, row);
    }
    let _ = backend(
        &world,
        Method::POST,
        &format!("{recipient}/resend"),
        None,
        202,
    )
    .await;
    cost(
        &world,
        "POST /v1/agreements/{id}/recipients/{recipient}/resend",
    );
    let _ = backend(
        &world,
        Method::POST,
        &format!("{recipient}/reopen"),
        None,
        200,
    )
    .await;
    cost(
        &world,
        "POST /v1/agreements/{id}/recipients/{recipient}/reopen, nothing locked",
    );
    let cancel = format!("/v1/agreements/{}/cancel", many.text("id"));
    forget(&world);
    let _ = backend(
        &world,
        Method::POST,
        &cancel,
        Some(json!({"reason": "changed"})),
        200,
    )
    .await;
    cost(&world, "POST /v1/agreements/{id}/cancel");
    let _ = send_with(&world, "kba", &agreement(&json!([person(2, "kba")])))
        .await
        .expect(201);
    cost(&world, "POST /v1/agreements, to one by KBA");
}

#[tokio::test]
async fn a_recipients_way_costs_what_the_table_says() {
    let world = with_kba(900).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "sms")])),
    )
    .await
    .expect(201);
    let (first, second) = (
        links(&world, "r1@example.com").await.remove(0),
        links(&world, "r2@example.com").await.remove(0),
    );
    forget(&world);
    let _ = open(&world, &first).await.expect(200);
    cost(
        &world,
        "POST /v1/links/redeem, a recipient's who is asked nothing",
    );
    let challenge = open(&world, &second).await.expect(200).text("challenge");
    cost(&world, "POST /v1/links/redeem, a recipient's");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    cost(&world, "POST /v1/codes, a recipient's");
    let code = world.last_code().await;
    // As if fifty wrong ones had been tried.
    let (id, recipient) = (
        sent.text("id"),
        sent.body["recipients"][1]["id"].as_str().unwrap(),
    );
    let key = keys::recipient(id.parse().unwrap(), recipient.parse().unwrap());
    let locked = Update::of(key).set(path("factors.sms.failures"), 50_u32);
    world
        .stack
        .table()
        .transact(vec![locked.into()])
        .await
        .unwrap();
    forget(&world);
    let _ = backend(
        &world,
        Method::POST,
        &format!("{}/reopen", recipient_path(&sent, 1)),
        None,
        200,
    )
    .await;
    cost(
        &world,
        "POST /v1/agreements/{id}/recipients/{recipient}/reopen",
    );
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    cost(&world, "POST /v1/codes/verify, a recipient's");
    let _ = complete(&world, &sent, 0).await.expect(200);
    cost(
        &world,
        "POST /v1/agreements/{id}/recipients/{recipient}/complete",
    );
    let _ = complete(&world, &sent, 1).await.expect(200);
    cost(
        &world,
        "POST /v1/agreements/{id}/recipients/{recipient}/complete, the last of two",
    );
    let report = format!("/v1/agreements/{}/audit", sent.text("id"));
    let _ = backend(&world, Method::GET, &report, None, 200).await;
    cost(&world, "GET /v1/agreements/{id}/audit");
    let _ = backend(&world, Method::POST, &format!("{report}/links"), None, 201).await;
    cost(&world, "POST /v1/agreements/{id}/audit/links");
    for row in [
        "POST /v1/links/redeem, a recipient's who views",
        "POST /v1/links/redeem, a recipient's who views again",
    ] {
        let _ = open(&world, &first).await.expect(200);
        cost(&world, row);
    }
    lengthen(
        &world,
        &sent.text("id"),
        5_000,
        resent("rcp_00000000000000000000000001"),
    )
    .await;
    forget(&world);
    let _ = backend(&world, Method::GET, &format!("{report}?part=1"), None, 200).await;
    cost(&world, "GET /v1/agreements/{id}/audit, a part of 2,500");
}

#[tokio::test]
async fn kba_costs_what_the_table_says() {
    let world = with_kba(900).await;
    let _ = world.settings(json!({"kba": {"max_attempts": 1}})).await;
    let mut body = agreement(&json!([
        person(1, "kba"),
        person(2, "kba"),
        person(3, "kba")
    ]));
    body["group"] = json!("escrow");
    let _ = send_with(&world, "k", &body).await.expect(201);
    let mut challenges = Vec::new();
    for email in ["r1@example.com", "r2@example.com"] {
        challenges.push(open_last(&world, email).await.expect(200).text("challenge"));
    }
    forget(&world);
    for (challenge, outcome, row) in [
        (
            &challenges[0],
            "not_locatable",
            "POST /v1/kba/callback, not_locatable",
        ),
        (&challenges[0], "passed", "POST /v1/kba/callback"),
        (
            &challenges[1],
            "failed",
            "POST /v1/kba/callback, the last attempt failed",
        ),
    ] {
        let session = world.session(challenge).await;
        cost(&world, "POST /v1/kba/sessions");
        let _ = world.look(challenge, &session).await.expect(200);
        cost(&world, "GET /v1/kba/sessions/{session}");
        world.provider_says(&session, outcome).await;
        cost(&world, row);
    }
}

#[tokio::test]
async fn the_quota_costs_what_the_table_says() {
    let world = with_kba(5).await;
    forget(&world);
    let topup = json!({"account": world.account, "transactions": 5});
    for row in ["POST /v1/quota/topups", "POST /v1/quota/topups, again"] {
        let _ = keyed(&world, OPERATOR, "/v1/quota/topups", "a", &topup)
            .await
            .expect(201);
        cost(&world, row);
    }
    let _ = backend(&world, Method::GET, "/v1/quota", None, 200).await;
    cost(&world, "GET /v1/quota");
    let _ = backend(&world, Method::GET, "/v1/quota/entries", None, 200).await;
    cost(&world, "GET /v1/quota/entries");
}

#[tokio::test]
async fn an_account_with_all_shards_costs_what_the_table_says() {
    let world = with_kba(5).await;
    forget(&world);
    let topup = json!({"account": world.account, "transactions": 1_000});
    let _ = keyed(&world, OPERATOR, "/v1/quota/topups", "a", &topup)
        .await
        .expect(201);
    cost(&world, "POST /v1/quota/topups, of a thousand");
    let _ = backend(&world, Method::GET, "/v1/quota", None, 200).await;
    cost(&world, "GET /v1/quota, on eight shards");
    let _ = backend(&world, Method::GET, "/v1/quota/entries", None, 200).await;
    cost(&world, "GET /v1/quota/entries, on eight shards");
    let _ = send_with(&world, "kba", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    cost(
        &world,
        "POST /v1/agreements, to one by KBA, on eight shards",
    );
}
