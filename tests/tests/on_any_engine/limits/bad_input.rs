//! What is malformed, forged or somebody else's: a clear problem that names the field, nothing
//! written, no panic.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use shared::web::http::routes::{Authorisation, Idempotency, ROUTES, Route};
use tests::agreements::{agreement, person, send_with};
use tests::{OPERATOR, PASSWORD, World};

/// What the walk over the routes asks with: a credential of each kind, and an object for each
/// parameter of a path.
struct Caller {
    world: World,
    token: String,
    parameters: Vec<(&'static str, String)>,
}

impl Caller {
    async fn new() -> Self {
        let world = World::new().await;
        let (ann, token) = signed_in(&world).await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
            .await
            .expect(201);
        let recipient = sent.body["recipients"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let parameters = vec![
            ("{account}", world.account.clone()),
            ("{group}", "legal".into()),
            ("{recipient}", recipient),
            ("{id}", ann.id),
        ];
        let mut caller = Self {
            world,
            token,
            parameters,
        };
        caller.parameters.push((
            "/v1/agreements/{id}",
            format!("/v1/agreements/{}", sent.text("id")),
        ));
        // Whole paths first.
        caller.parameters.reverse();
        caller
    }

    async fn ask(
        &self,
        route: &Route,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> tests::Answer {
        let path = self
            .parameters
            .iter()
            .fold(route.path.to_owned(), |path, (name, value)| {
                path.replace(name, value)
            });
        let request = self
            .world
            .request(route.method.parse().unwrap(), &path)
            .header("content-type", content_type)
            .body(body);
        let request = if route.idempotency == Idempotency::Required {
            request.header("idempotency-key", "k2")
        } else {
            request
        };
        self.world
            .send(match route.authorisation {
                Authorisation::Operator => request.bearer_auth(OPERATOR),
                Authorisation::Scope(_) | Authorisation::ScopeOrLink(_) => {
                    request.bearer_auth(&self.world.key)
                }
                Authorisation::AccessToken | Authorisation::AccessTokenOrProof => {
                    request.bearer_auth(&self.token)
                }
                _ => request,
            })
            .await
    }
}

#[tokio::test]
async fn every_route_with_a_body_refuses_what_is_no_request() {
    let caller = Caller::new().await;
    let _ = caller.world.stack.meter().take();
    // A callback is not read before its signature is; it has its own tests.
    let routes: Vec<&Route> = ROUTES
        .iter()
        .filter(|route| route.has_body() && route.authorisation != Authorisation::Signature)
        .collect();
    assert!(routes.len() > 20, "{}", routes.len());
    for route in routes {
        let path = route.path;
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"x\"",
            "{\"a\":1,\"a\":2}",
            "{\"unknown\":1}",
            "{\"\\u0000\":1}",
            "{\"a\":1}{",
        ] {
            // A body that may be left out may be empty, too.
            if body.is_empty() && route.authorisation == Authorisation::AccessTokenOrProof {
                continue;
            }
            let refused = caller
                .ask(route, "application/json", body)
                .await
                .refused(400, "invalid-request");
            assert_eq!(
                refused.pointers().len(),
                1,
                "{path} {body}: {}",
                refused.body
            );
        }
        let _ = caller
            .ask(route, "application/json", vec![0xff, 0xfe])
            .await
            .refused(400, "invalid-request");
        let _ = caller
            .ask(route, "text/plain", "{}")
            .await
            .refused(415, "unsupported-media-type");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
        let _ = caller
            .ask(route, "application/json", large)
            .await
            .refused(413, "payload-too-large");
        let _ = caller
            .ask(route, "application/json", "[".repeat(10_000))
            .await
            .refused(400, "invalid-request");
    }
    let cost = caller.world.stack.meter().take();
    assert!(
        cost.write_units < f64::EPSILON,
        "{cost:?}: nothing was written"
    );
}

#[tokio::test]
async fn a_missing_or_mistyped_field_is_named() {
    let world = World::new().await;
    let account = &world.account;
    let cases = [
        (
            "/v1/login",
            json!({"username": "a", "password": "b"}),
            "/account",
        ),
        (
            "/v1/login",
            json!({"account": account, "password": "b"}),
            "/username",
        ),
        (
            "/v1/login",
            json!({"account": account, "username": "a"}),
            "/password",
        ),
        (
            "/v1/login",
            json!({"account": "usr_00000000000000000000000000", "username": "a", "password": "b"}),
            "/account",
        ),
        (
            "/v1/login",
            json!({"account": account, "username": 7, "password": "b"}),
            "/username",
        ),
        (
            "/v1/login",
            json!({"account": account, "username": "a\u{0}", "password": "b"}),
            "/username",
        ),
        (
            "/v1/login",
            json!({"account": account, "username": "a", "password": "b".repeat(257)}),
            "/password",
        ),
        (
            "/v1/login",
            json!({"account": account, "username": "a", "password": "b", "otp": 1}),
            "/otp",
        ),
        ("/v1/codes", json!({"challenge": "x"}), "/method"),
        (
            "/v1/codes",
            json!({"challenge": "x", "method": "totp"}),
            "/method",
        ),
        (
            "/v1/codes",
            json!({"challenge": 1, "method": "sms"}),
            "/challenge",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "sms"}),
            "/code",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "fax", "code": "1"}),
            "/method",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "sms", "code": 123_456}),
            "/code",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "sms", "code": "１２３４５６"}),
            "/code",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "sms", "code": ""}),
            "/code",
        ),
        (
            "/v1/codes/verify",
            json!({"challenge": "x", "method": "sms", "code": "12345678901"}),
            "/code",
        ),
    ];
    for (path, body, pointer) in cases {
        let refused = world
            .post(path, body.clone())
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{body}");
        assert!(
            !refused.body.to_string().contains("123456"),
            "what was sent is not repeated: {}",
            refused.body
        );
    }
}

#[tokio::test]
async fn a_word_is_a_string_and_nothing_that_names_one() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let keys = format!("/v1/accounts/{}/api-keys", world.account);
    let user = format!("/v1/users/{}", ann.id);
    let agreement = json!({
        "title": "Lease", "sender": {"email": "a@example.com"},
        "recipients": [{"email": "b@example.com", "authentication": {"none": null}}],
    });
    let _ = world.stack.meter().take();
    for (method, path, key, body, pointer) in [
        (
            Method::POST,
            "/v1/codes",
            "",
            json!({"challenge": challenge, "method": {"sms": null}}),
            "/method",
        ),
        (
            Method::POST,
            "/v1/codes",
            "",
            json!({"challenge": challenge, "method": {"sms": {}}}),
            "/method",
        ),
        (
            Method::POST,
            "/v1/codes",
            "",
            json!({"challenge": challenge, "method": ["sms"]}),
            "/method",
        ),
        (
            Method::POST,
            "/v1/codes/verify",
            "",
            json!({"challenge": challenge, "method": {"sms": null}, "code": code}),
            "/method",
        ),
        (
            Method::POST,
            "/v1/users",
            &world.key,
            json!({"username": "x", "kind": {"internal": null}}),
            "/kind",
        ),
        (
            Method::PATCH,
            &user,
            &world.key,
            json!({"locale": {"fr": null}}),
            "/locale",
        ),
        (
            Method::PATCH,
            &user,
            &world.key,
            json!({"kind": {"internal": null}}),
            "/kind",
        ),
        (
            Method::PATCH,
            "/v1/settings",
            &world.key,
            json!({"locale": {"fr": {}}}),
            "/locale",
        ),
        (
            Method::POST,
            &keys,
            OPERATOR,
            json!({"name": "x", "scopes": [{"audit:read": null}]}),
            "/scopes/0",
        ),
        (
            Method::POST,
            "/v1/accounts",
            OPERATOR,
            json!({"name": "x", "plan": {"starter": null}}),
            "/plan",
        ),
        (
            Method::POST,
            "/v1/agreements",
            &world.key,
            agreement,
            "/recipients/0/authentication",
        ),
    ] {
        let request = world
            .request(method, path)
            .header("idempotency-key", "\"one\"")
            .json(&body);
        let request = if key.is_empty() {
            request
        } else {
            request.bearer_auth(key)
        };
        let refused = world.send(request).await.refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{body}");
    }
    assert!(
        world.stack.meter().take().write_units < f64::EPSILON,
        "nothing was written"
    );
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_user_that_cannot_be_is_refused_with_every_field_named() {
    let world = World::new().await;
    let create = |body: Value| world.backend(Method::POST, "/v1/users", Some(body));
    let refused = create(json!({
        "username": "аnn", "kind": "external", "password": "short", "email": "nobody", "phone": "+1202555010",
        "group": "No Spaces", "locale": "xx"
    }))
    .await
    .refused(400, "invalid-request");
    assert!(!refused.pointers().is_empty());
    for (field, value) in [
        ("username", json!("аnn")),
        ("username", json!("a b")),
        ("username", json!("")),
        ("username", json!("a".repeat(129))),
        ("kind", json!("robot")),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(257))),
        ("email", json!("a\r\nBcc: b@example.com")),
        ("phone", json!("2025550123")),
        ("phone", json!("+１２０２５５５０１２３")),
        ("phone", json!("+99912345678")),
        ("group", json!("-x")),
        ("group", json!("x".repeat(65))),
        ("locale", json!("xx")),
        ("sso_subject", json!("")),
        ("id", json!("usr_1")),
    ] {
        let mut body = json!({"username": "ann", "kind": "external"});
        body[field] = value.clone();
        let refused = create(body).await.refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [format!("/{field}")], "{value}");
    }
    assert_eq!(
        world
            .backend(Method::GET, "/v1/users", None)
            .await
            .expect(200)
            .body["users"],
        json!([])
    );
    let _ = create(json!({"username": "Ann", "kind": "external"}))
        .await
        .expect(201);
    let _ = create(json!({"username": "ANN", "kind": "external"}))
        .await
        .refused(409, "username-taken");
}

#[tokio::test]
async fn what_belongs_to_another_account_is_not_there() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (other, key) = world.open_account("starter").await;
    let as_other = |method: Method, path: String, body: Option<Value>| {
        let request = world.request(method, &path).bearer_auth(&key);
        world.send(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
    };
    let user = format!("/v1/users/{}", ann.id);
    let _ = as_other(Method::GET, user.clone(), None)
        .await
        .refused(404, "not-found");
    let _ = as_other(Method::PATCH, user.clone(), Some(json!({"disabled": true})))
        .await
        .refused(404, "not-found");
    let _ = as_other(Method::DELETE, user.clone(), None)
        .await
        .refused(404, "not-found");
    let _ = as_other(Method::POST, format!("{user}/unlock"), None)
        .await
        .refused(404, "not-found");
    let _ = as_other(Method::GET, format!("/v1/audit?subject={}", ann.id), None)
        .await
        .refused(404, "not-found");
    let _ = as_other(
        Method::GET,
        format!("/v1/settings?account={}", world.account),
        None,
    )
    .await
    .refused(404, "not-found");
    assert_eq!(
        as_other(Method::GET, "/v1/users".into(), None)
            .await
            .expect(200)
            .body["users"],
        json!([])
    );
    // The same name is another user there, and its password opens nothing here.
    let body = json!({"username": "ann", "kind": "external", "password": "another password"});
    let _ = as_other(Method::POST, "/v1/users".into(), Some(body))
        .await
        .expect(201);
    let _ = world
        .login("ann", "another password")
        .await
        .refused(401, "invalid-credentials");
    let body = json!({"account": other, "username": "ann", "password": PASSWORD});
    let _ = world
        .post("/v1/login", body)
        .await
        .refused(401, "invalid-credentials");
    // An account's key opens no operator's route.
    let _ = as_other(Method::GET, format!("/v1/accounts/{other}"), None)
        .await
        .refused(403, "forbidden");
    // Somebody else's challenge is good for its own user alone: the code of one does not open the
    // other.
    let ben = world.user("ben", json!({})).await;
    let (_, code) = world.challenge_and_code(&ann).await;
    let bens = world.challenge(&ben).await;
    let _ = world
        .verify(&bens, "sms", &code)
        .await
        .refused(401, "code-invalid");
}

#[tokio::test]
async fn a_key_that_is_missing_wrong_revoked_or_too_weak_is_refused() {
    let world = World::new().await;
    let get = |authorization: Option<String>| {
        let request = world.request(Method::GET, "/v1/users");
        world.send(authorization.into_iter().fold(request, |request, value| {
            request.header("authorization", value)
        }))
    };
    for wrong in [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Basic YTpi".into()),
        Some("Bearer x".into()),
        Some(format!("Bearer {}x", world.key)),
        Some(format!("Bearer csk_{}", "z".repeat(5_000))),
    ] {
        let refused = get(wrong).await.refused(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let _ = get(Some(format!("bearer {}", world.key))).await.expect(200);

    let path = format!("/v1/accounts/{}/api-keys", world.account);
    let made = world
        .operator(
            Method::POST,
            &path,
            Some(json!({"name": "reader", "scopes": ["audit:read"]})),
        )
        .await
        .expect(201);
    let (id, key) = (made.text("id"), made.text("key"));
    let _ = get(Some(format!("Bearer {key}")))
        .await
        .refused(403, "forbidden");
    let audit = || {
        world.send(
            world
                .request(Method::GET, &format!("/v1/audit?subject={}", world.account))
                .bearer_auth(&key),
        )
    };
    let _ = audit().await.expect(200);
    let listed = world.operator(Method::GET, &path, None).await.expect(200);
    assert!(!listed.body.to_string().contains(&key) && listed.body.to_string().contains(&id));
    let _ = world
        .operator(Method::DELETE, &format!("{path}/{id}"), None)
        .await
        .expect(204);
    let _ = audit().await.refused(401, "unauthorized");
    let _ = world
        .operator(Method::DELETE, &format!("{path}/{id}"), None)
        .await
        .refused(404, "not-found");
    for scopes in [
        json!([]),
        json!(["operator"]),
        json!(["audit:read", "audit:read"]),
        json!(["all"]),
    ] {
        let refused = world
            .operator(
                Method::POST,
                &path,
                Some(json!({"name": "x", "scopes": scopes})),
            )
            .await;
        assert!(refused.refused(400, "invalid-request").pointers()[0].starts_with("/scopes"));
    }
    let _ = world
        .send(
            world
                .request(Method::GET, "/v1/users")
                .bearer_auth(OPERATOR),
        )
        .await
        .refused(400, "invalid-request");
    let operators = format!("/v1/users?account={}", world.account);
    let _ = world
        .send(world.request(Method::GET, &operators).bearer_auth(OPERATOR))
        .await
        .expect(200);
}

async fn signed_in(world: &World) -> (tests::Person, String) {
    let person = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&person).await;
    (
        person,
        world
            .verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .text("access_token"),
    )
}

#[tokio::test]
async fn an_access_token_that_is_forged_expired_or_of_another_service_is_refused() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let me = |token: String| world.send(world.request(Method::GET, "/v1/me").bearer_auth(token));
    let (ann, good) = signed_in(&world).await;
    let _ = me(good.clone()).await.expect(200);
    let _ = me(signed_in(&elsewhere).await.1)
        .await
        .refused(401, "unauthorized");
    let _ = me(world.key.clone()).await.refused(401, "unauthorized");
    let parts: Vec<&str> = good.split('.').collect();
    let _ = me(format!("{}.{}.", parts[0], parts[1]))
        .await
        .refused(401, "unauthorized");
    let _ = me(format!("eyJhbGciOiJub25lIn0.{}.", parts[1]))
        .await
        .refused(401, "unauthorized");
    let _ = me("x".repeat(10_000)).await.refused(401, "unauthorized");
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": true})))
        .await
        .expect(200);
    let _ = me(good.clone()).await.refused(401, "unauthorized");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": false})))
        .await
        .expect(200);
    world.advance(900);
    let _ = me(good).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_path_that_no_route_takes_is_a_problem_too() {
    let world = World::new().await;
    for path in [
        "/v1",
        "/v1/",
        "/v1/users/",
        "/v2/login",
        "/v1/users/usr_x/lock",
        "/..%2f",
        "/%00",
        "/v1//login",
    ] {
        let _ = world.get(path).await.refused(404, "not-found");
    }
    for id in [
        "x",
        "usr_",
        "usr_00000000000000000000000000",
        "acc_00000000000000000000000000",
        "%00",
        "%F0%9F%98%80",
    ] {
        let _ = world
            .backend(Method::GET, &format!("/v1/users/{id}"), None)
            .await
            .refused(404, "not-found");
    }
    let wrong = world
        .send(world.request(Method::GET, "/v1/login"))
        .await
        .refused(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), Some("POST"));
    let wrong = world
        .send(world.request(Method::PUT, "/v1/settings"))
        .await
        .refused(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), Some("GET, PATCH"));
    let _ = world
        .backend(Method::GET, "/v1/settings?effective=maybe", None)
        .await
        .refused(400, "invalid-request");
    let refused = world
        .backend(Method::GET, "/v1/settings?efective=true", None)
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["?efective"]);
    let refused = world
        .backend(Method::GET, "/v1/users?cursor=%00", None)
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["?cursor"]);
}

#[tokio::test]
async fn odd_headers_do_no_harm() {
    let world = World::new().await;
    let body = json!({"account": world.account, "username": "nobody", "password": "x"}).to_string();
    let post = || world.request(Method::POST, "/v1/login").body(body.clone());
    let _ = world
        .send(post())
        .await
        .refused(415, "unsupported-media-type");
    let twice = post()
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_TYPE, "application/json");
    let _ = world
        .send(twice)
        .await
        .refused(415, "unsupported-media-type");
    let charset = post().header(CONTENT_TYPE, "Application/JSON; charset=utf-8");
    let _ = world
        .send(charset)
        .await
        .refused(401, "invalid-credentials");
    let odd = post()
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", HeaderValue::from_bytes(b"\xff").unwrap())
        .header("x-a", "b")
        .header("x-a", "c");
    let _ = world
        .send(odd.header("origin", HeaderValue::from_bytes(b"\xff").unwrap()))
        .await
        .refused(401, "invalid-credentials");
}

#[tokio::test]
async fn an_answer_may_be_read_by_the_accounts_origins_alone() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"origins": ["https://portal.example"]}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let login = |origin: &'static str, password: &'static str| {
        let body = json!({"account": world.account, "username": "ann", "password": password});
        world.send(
            world
                .request(Method::POST, "/v1/login")
                .header("origin", origin)
                .json(&body),
        )
    };
    let allowed = |answer: &tests::Answer| {
        answer
            .header("access-control-allow-origin")
            .map(str::to_owned)
    };
    assert_eq!(
        allowed(&login("https://portal.example", PASSWORD).await),
        Some("https://portal.example".into())
    );
    assert_eq!(
        allowed(&login("https://portal.example", "wrong").await),
        Some("https://portal.example".into())
    );
    assert_eq!(
        allowed(&login("https://evil.example", PASSWORD).await),
        None
    );
    assert_eq!(allowed(&login("null", PASSWORD).await), None);

    let (challenge, code) = world.challenge_and_code(&ann).await;
    for origin in ["https://portal.example", "https://evil.example"] {
        for (path, body) in [
            (
                "/v1/codes",
                json!({"challenge": challenge, "method": "sms"}),
            ),
            (
                "/v1/codes/verify",
                json!({"challenge": challenge, "method": "sms", "code": code}),
            ),
        ] {
            let answer = world
                .send(
                    world
                        .request(Method::POST, path)
                        .header("origin", origin)
                        .json(&body),
                )
                .await;
            assert_eq!(
                allowed(&answer).is_some(),
                origin.contains("portal"),
                "{path}"
            );
        }
        let preflight = world
            .request(Method::OPTIONS, "/v1/login")
            .header("origin", origin);
        let preflight = preflight
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let preflight = world.send(preflight).await.expect(204);
        assert_eq!(allowed(&preflight).is_some(), origin.contains("portal"));
        assert_eq!(
            preflight.header("access-control-allow-methods").is_some(),
            origin.contains("portal")
        );
    }
    let _ = world.settings(json!({"origins": []})).await;
    assert_eq!(
        allowed(&login("https://portal.example", PASSWORD).await),
        None
    );
}
