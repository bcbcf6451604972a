//! The public documents, the pages, what no route takes, and keys that are rotated.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::web::http::Slug;
use shared::web::http::routes::{Authorisation, ROUTES};
use tests::{Answer, PASSWORD, World};

const CACHE: &str = "public, max-age=300";
const OPENAPI: &str = include_str!("../../../functions/documents/openapi.json");

async fn fetch(world: &World, path: &str, accept: &str) -> Response {
    world
        .request(Method::GET, path)
        .header("accept", accept)
        .send()
        .await
        .unwrap()
}

fn header(response: &Response, name: &str) -> String {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

async fn me(world: &World, token: &str) -> Answer {
    world
        .send(world.request(Method::GET, "/v1/me").bearer_auth(token))
        .await
}

fn key_id(token: &str) -> String {
    let head: Value = serde_json::from_slice(
        &URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap(),
    )
    .unwrap();
    head["kid"].as_str().unwrap().to_owned()
}

async fn published(world: &World) -> Vec<String> {
    let keys = world.get("/.well-known/jwks.json").await.expect(200).body["keys"]
        .as_array()
        .unwrap()
        .clone();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_service_says_that_it_answers_whatever_the_table_does() {
    let world = World::new().await;
    world
        .stack
        .faults()
        .set(local::Service::Dynamodb, local::Mode::Refused, 0, 1_000);
    let health = world.get("/health").await.expect(200);
    assert_eq!(
        (&health.body, health.header("cache-control")),
        (&json!({"status": "ok"}), Some("no-store"))
    );
    assert_eq!(world.stack.faults().struck(), 0);
}

#[tokio::test]
async fn every_problem_is_explained_to_programs_and_to_people() {
    let world = World::new().await;
    for slug in Slug::ALL {
        let path = format!("/problems/{}", slug.name());
        let program = fetch(&world, &path, "application/json").await;
        assert_eq!(
            (program.status().as_u16(), header(&program, "content-type")),
            (200, "application/json".into())
        );
        assert_eq!(header(&program, "cache-control"), CACHE);
        assert!(
            header(&program, "vary")
                .split(", ")
                .any(|name| name == "accept")
        );
        let explained: Value = program.json().await.unwrap();
        assert_eq!(
            (&explained["slug"], &explained["status"]),
            (&json!(slug.name()), &json!(slug.status()))
        );
        assert_eq!(
            (&explained["title"], &explained["meaning"]),
            (&json!(slug.title()), &json!(slug.meaning()))
        );

        let person = fetch(
            &world,
            &path,
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .await;
        assert_eq!(
            (person.status().as_u16(), header(&person, "content-type")),
            (200, "text/html; charset=utf-8".into())
        );
        assert_eq!(header(&person, "cache-control"), CACHE);
        let policy = header(&person, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("script-src"),
            "it runs nothing: {policy}"
        );
        let page = person.text().await.unwrap();
        let title = slug.title().replace('\'', "&#39;");
        assert!(
            page.contains(&title) && page.contains(slug.name()) && !page.contains("<script"),
            "{page}"
        );
    }
    for path in [
        "/problems/nothing",
        "/problems/Not-Found",
        "/problems/..%2Fhealth",
    ] {
        let refused = world.get(path).await.refused(404, "not-found");
        assert_eq!(refused.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_type_of_a_problem_is_an_address_that_explains_it() {
    let world = World::new().await;
    let refused = world.get("/v1/users").await.refused(401, "unauthorized");
    let explained = world.get(&refused.text("type")).await.expect(200);
    assert_eq!(explained.body["title"], refused.body["title"]);
    assert_eq!(refused.body["status"], 401);
    assert_eq!(
        refused.text("instance"),
        refused.header("apigw-requestid").unwrap(),
        "the request's id, as the log has it"
    );
}

#[tokio::test]
async fn the_keys_are_published_and_their_private_halves_are_not() {
    let world = World::new().await;
    let jwks = world.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(
        (jwks.header("content-type"), jwks.header("cache-control")),
        (Some("application/json"), Some(CACHE))
    );
    let keys = jwks.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let members: BTreeSet<&str> = keys[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        BTreeSet::from(["kty", "use", "alg", "kid", "n", "e"])
    );
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["use"], &keys[0]["alg"]),
        (&json!("RSA"), &json!("sig"), &json!("RS256"))
    );
    assert_eq!(
        URL_SAFE_NO_PAD
            .decode(keys[0]["n"].as_str().unwrap())
            .unwrap()
            .len(),
        256,
        "2048 bits"
    );
    assert_eq!(keys[0]["e"], "AQAB");
}

#[tokio::test]
async fn discovery_says_what_a_verifier_of_tokens_needs() {
    let world = World::new().await;
    let discovery = world
        .get("/.well-known/openid-configuration")
        .await
        .expect(200);
    assert_eq!(
        (
            discovery.header("content-type"),
            discovery.header("cache-control")
        ),
        (Some("application/json"), Some(CACHE))
    );
    let base = world.stack.base_url();
    assert_eq!(
        (&discovery.body["issuer"], &discovery.body["jwks_uri"]),
        (
            &json!(base),
            &json!(format!("{base}/.well-known/jwks.json"))
        )
    );
    assert_eq!(
        discovery.body["id_token_signing_alg_values_supported"],
        json!(["RS256"])
    );
    let tells = |member: &str, value: &str| {
        discovery.body[member]
            .as_array()
            .is_some_and(|told| told.contains(&json!(value)))
    };
    assert!(
        tells("acr_values_supported", "kba") && tells("claims_supported", "agreement"),
        "{}",
        discovery.body
    );
    // OpenID Connect Discovery 1.0, section 3: what is required of who has no authorization
    // endpoint.
    for member in ["response_types_supported", "subject_types_supported"] {
        assert!(
            discovery.body[member]
                .as_array()
                .is_some_and(|values| !values.is_empty()),
            "{member}"
        );
    }
}

#[tokio::test]
async fn the_openapi_document_is_served_as_it_was_made_and_has_every_route() {
    let world = World::new().await;
    let served = fetch(&world, "/openapi.json", "*/*").await;
    assert_eq!(
        (
            header(&served, "content-type"),
            header(&served, "cache-control")
        ),
        ("application/json".into(), CACHE.into())
    );
    let text = served.text().await.unwrap();
    assert!(text == OPENAPI, "it is not the file");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert!(
            operation["responses"][route.success.to_string()].is_object(),
            "{}",
            route.key()
        );
        for slug in route.refusals {
            assert!(
                operation["responses"][slug.status().to_string()].is_object(),
                "{}: {}",
                route.key(),
                slug.name()
            );
        }
    }
}

#[tokio::test]
async fn what_no_route_takes_is_a_problem_and_other_methods_are_told() {
    let world = World::new().await;
    let send = |method: Method, path: &str| world.send(world.request(method, path));
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        for path in [
            "/nowhere",
            "/v1/users/usr_1/unlock/x",
            "/health/",
            "/HEALTH",
            "/v1/accounts//api-keys",
        ] {
            let refused = send(method.clone(), path).await.refused(404, "not-found");
            assert_eq!(
                (refused.header("cache-control"), refused.header("allow")),
                (Some("no-store"), None)
            );
        }
    }
    for (method, path, allow) in [
        (Method::POST, "/health", "GET"),
        (Method::DELETE, "/", "GET"),
        (Method::PUT, "/v1/users", "POST, GET"),
        (Method::POST, "/v1/users/usr_1", "GET, PATCH, DELETE"),
        (Method::GET, "/v1/users/usr_1/unlock", "POST"),
        (Method::PUT, "/v1/accounts/acc_1/api-keys", "POST, GET"),
        (Method::GET, "/v1/accounts/acc_1/api-keys/key_1", "DELETE"),
        (Method::OPTIONS, "/v1/codes", "POST"),
    ] {
        let refused = send(method, path).await.refused(405, "method-not-allowed");
        assert_eq!(refused.header("allow"), Some(allow), "{path}");
    }
    // HEAD is a method like any other that API Gateway has no route for. It changes nothing, and
    // has no body.
    for (path, status) in [("/health", 405), ("/v1/login", 405), ("/nowhere", 404)] {
        let head = send(Method::HEAD, path).await.expect(status);
        assert_eq!(head.body, Value::Null);
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_a_path_that_is_there_and_an_origin_that_is_claimed() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"origins": ["https://portal.example"]}))
        .await;
    let preflight = |path: &str, origin: &str| {
        let request = world
            .request(Method::OPTIONS, path)
            .header("origin", origin);
        world.send(
            request
                .header("access-control-request-method", "PATCH")
                .header("access-control-request-headers", "if-match"),
        )
    };
    let allowed = preflight("/v1/settings", "https://portal.example")
        .await
        .expect(204);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://portal.example")
    );
    assert_eq!(
        allowed.header("access-control-allow-methods"),
        Some("GET, PATCH")
    );
    let headers = allowed.header("access-control-allow-headers").unwrap();
    assert!(
        [
            "authorization",
            "content-type",
            "if-match",
            "idempotency-key"
        ]
        .iter()
        .all(|name| headers.contains(name)),
        "{headers}"
    );
    assert_eq!(
        (
            allowed.header("access-control-allow-credentials"),
            allowed.header("vary")
        ),
        (None, Some("origin"))
    );
    let long = format!("https://{}.example", "x".repeat(4_000));
    for origin in [
        "https://evil.example",
        "https://portal.example.evil.example",
        "https://PORTAL.example",
        "null",
        "*",
        &long,
    ] {
        let refused = preflight("/v1/settings", origin).await.expect(204);
        assert!(
            refused
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control")),
            "{origin}"
        );
    }
    let _ = preflight("/nowhere", "https://portal.example")
        .await
        .refused(404, "not-found");
    // Without the question it is no preflight.
    let plain = world
        .request(Method::OPTIONS, "/v1/settings")
        .header("origin", "https://portal.example");
    let _ = world.send(plain).await.refused(405, "method-not-allowed");
}

#[tokio::test]
async fn only_the_public_documents_may_be_kept() {
    let world = World::new().await;
    for route in ROUTES
        .iter()
        .filter(|route| route.method == "GET" && route.path != "/health")
    {
        let path = route
            .path
            .replace("{slug}", "conflict")
            .replace("{name}", "api.js")
            .replace("{account}", &world.account);
        let answer = world
            .operator(Method::GET, &path.replace("{id}", "usr_1"), None)
            .await;
        let kept = answer.header("cache-control") != Some("no-store");
        assert_eq!(
            kept,
            route.authorisation == Authorisation::Public,
            "{}",
            route.key()
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("strict-transport-security").is_some());
    }
}

/// Asserts that a page or a part of one may run our own scripts alone, and be framed by nobody.
fn guarded(response: &Response) {
    let policy = header(response, "content-security-policy");
    let says = |part: &str| policy.split(';').any(|directive| directive.trim() == part);
    assert!(
        says("default-src 'none'") && says("script-src 'self'") && says("connect-src 'self'"),
        "{policy}"
    );
    assert!(
        says("base-uri 'none'") && says("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(header(response, "referrer-policy"), "no-referrer");
    assert_eq!(header(response, "x-content-type-options"), "nosniff");
}

/// A page, as a browser gets it.
async fn page(world: &World, path: &str) -> String {
    let page = fetch(world, path, "text/html").await;
    assert_eq!(
        (page.status().as_u16(), header(&page, "content-type")),
        (200, "text/html; charset=utf-8".into())
    );
    assert_eq!(header(&page, "cache-control"), "no-cache");
    guarded(&page);
    let html = page.text().await.unwrap();
    assert!(
        !html.contains(" style=") && !html.contains(" onclick=") && !html.contains("<script>"),
        "the policy would stop it"
    );
    html
}

/// A part of a page.
async fn part(world: &World, name: &str) -> String {
    let part = fetch(world, &format!("/assets/{name}"), "*/*").await;
    assert_eq!(
        (part.status().as_u16(), header(&part, "cache-control")),
        (200, CACHE.into()),
        "{name}"
    );
    let expected = match name.rsplit('.').next().unwrap() {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        other => panic!("{other}"),
    };
    assert_eq!(header(&part, "content-type"), expected, "{name}");
    guarded(&part);
    part.text().await.unwrap()
}

/// The parts that a page or a part of one names.
fn named(text: &str) -> Vec<String> {
    let linked = text
        .split("\"/assets/")
        .skip(1)
        .chain(text.split("from \"./").skip(1));
    linked
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_pages_run_our_own_scripts_alone_and_all_their_parts_are_there() {
    let world = World::new().await;
    let mut wanted = Vec::new();
    for path in [
        "/?account=acc_1&utm_source=mail",
        "/link?utm_source=mail",
        "/report/agr_1",
    ] {
        wanted.extend(named(&page(&world, path).await));
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if seen.insert(name.clone()) {
            wanted.extend(named(&part(&world, &name).await));
        }
    }
    let known = [
        "sign-in.js",
        "sign-in.css",
        "mark.svg",
        "api.js",
        "link.js",
        "report.js",
        "report.css",
    ];
    assert!(known.iter().all(|name| seen.contains(*name)), "{seen:?}");
    for name in [
        "nothing.js",
        "sign-in.html",
        "..%2Flib.rs",
        "sign-in.js%00",
        "SIGN-IN.JS",
    ] {
        let _ = world
            .get(&format!("/assets/{name}"))
            .await
            .refused(404, "not-found");
    }
}

#[tokio::test]
async fn a_rotation_of_the_keys_signs_nobody_out() {
    let world = World::new().await;
    let app = world.stack.app();
    let rotated =
        |document: &str| keyring::rotate(document, app.clock.now(), &Entropy::system()).unwrap();
    let put = |document: &str| app.keyrings.replace(Keyring::parse(document).unwrap());
    let first = keyring::make(app.clock.now(), &Entropy::system()).unwrap();
    put(first.expose());
    let ann = world.user("ann", json!({})).await;
    let ben = world.user("ben", json!({})).await;
    let cid = world.user("cid", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let token = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    let (bens, bens_code) = world.challenge_and_code(&ben).await;
    let cids = world.challenge(&cid).await;
    assert_eq!(published(&world).await, [key_id(&token)]);

    world.advance(1);
    let second = rotated(first.expose());
    put(second.expose());
    // The token, the challenge with its code, and the challenge without one are as good as before.
    let _ = me(&world, &token).await.expect(200);
    let bens_token = world
        .verify(&bens, "sms", &bens_code)
        .await
        .expect(200)
        .text("access_token");
    let _ = world.issue(&cids, "sms").await.expect(202);
    let code = world.last_code().await;
    let _ = world.verify(&cids, "sms", &code).await.expect(200);
    // The new key is published, and does not sign yet: authorizers keep the old list for a while.
    let both = published(&world).await;
    assert_eq!(
        (
            both.len(),
            both.contains(&key_id(&token)),
            key_id(&bens_token)
        ),
        (2, true, key_id(&token))
    );

    // The MAC keys change hands while a challenge is open: a code that was made under the old one
    // is taken under the new one.
    world.advance(14 * 60);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(2 * 60);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let (challenge, code) = world.challenge_and_code(&ben).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);

    // So do the signing keys: a token that was signed by the old one holds to its end.
    world.advance(3 * 3_600 - 17 * 60);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let old = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    world.advance(2 * 60);
    let (challenge, code) = world.challenge_and_code(&ben).await;
    let new = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(
        (key_id(&old), both.contains(&key_id(&new))),
        (key_id(&token), true)
    );
    assert_ne!(key_id(&new), key_id(&old));
    let _ = me(&world, &old).await.expect(200);
    let _ = me(&world, &new).await.expect(200);

    // A ring that never held the key takes neither its tokens nor its challenges.
    let open = world.challenge(&cid).await;
    put(keyring::make(app.clock.now(), &Entropy::system())
        .unwrap()
        .expose());
    let _ = me(&world, &new).await.refused(401, "unauthorized");
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(401, "challenge-unknown");
    // Passwords and API keys are under no key of the ring.
    let _ = world.login("ann", PASSWORD).await.expect(200);
}
