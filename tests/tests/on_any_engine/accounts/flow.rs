//! Accounts and their API keys, as the operator has them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};
use tests::{Answer, OPERATOR, World};

/// The most API keys that an account may have.
const KEYS_MAX: usize = 100;

/// A PATCH by the operator that insists on a version.
async fn patch_if(world: &World, path: &str, if_match: &str, body: Value) -> Answer {
    world
        .send(
            world
                .request(Method::PATCH, path)
                .bearer_auth(OPERATOR)
                .header("if-match", if_match)
                .json(&body),
        )
        .await
}

fn entries(told: Vec<Value>) -> Vec<Entry> {
    told.into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

/// The event of `POST /v1/accounts` by the operator, with this body in base64: as API Gateway sends
/// what it does not take for text.
fn in_base64(body: &[u8]) -> lambda_http::Request {
    let event = json!({
        "version": "2.0", "routeKey": "POST /v1/accounts", "rawPath": "/v1/accounts", "rawQueryString": "",
        "headers": {"authorization": format!("Bearer {OPERATOR}"), "content-type": "application/json", "host": "api.example"},
        "body": STANDARD.encode(body), "isBase64Encoded": true,
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "domainName": "api.example", "domainPrefix": "api", "requestId": "r",
            "routeKey": "POST /v1/accounts", "stage": "$default", "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 0,
            "http": {"method": "POST", "path": "/v1/accounts", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": ""},
        },
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

#[tokio::test]
async fn a_good_body_in_base64_is_as_good_as_in_plain() {
    let world = World::new().await;
    let app = Arc::new(world.stack.app().clone());
    let now = app.clock.now();
    let asked = |body: Vec<u8>| {
        let app = Arc::clone(&app);
        async move {
            shared::edge::serve::answer(in_base64(&body), now, |call| accounts::handle(app, call))
                .await
        }
    };
    let name = "Ärztekammer ☂";
    let opened = asked(
        json!({"name": name, "plan": "starter"})
            .to_string()
            .into_bytes(),
    )
    .await;
    let shown: Value = serde_json::from_slice(opened.body()).unwrap();
    assert_eq!(
        (opened.status().as_u16(), &shown["name"]),
        (201, &json!(name)),
        "{shown}"
    );
    let path = format!("/v1/accounts/{}", shown["id"].as_str().unwrap());
    assert_eq!(
        world
            .operator(Method::GET, &path, None)
            .await
            .expect(200)
            .body["name"],
        name
    );
    // The size counts as it is read, and not as it was written down.
    let wide = |length: usize| {
        json!({"name": "a", "plan": "starter", "x": " ".repeat(length)})
            .to_string()
            .into_bytes()
    };
    assert_eq!(asked(wide(60 * 1024)).await.status(), 400);
    assert_eq!(asked(wide(64 * 1024)).await.status(), 413);
}

#[tokio::test]
async fn an_account_is_opened_shown_and_changed() {
    let world = World::new().await;
    let opened = world
        .operator(
            Method::POST,
            "/v1/accounts",
            Some(json!({"name": "Acme Escrow", "plan": "starter"})),
        )
        .await
        .expect(201);
    let id = opened.text("id");
    assert!(id.starts_with("acc_"), "{id}");
    assert_eq!(
        opened.body,
        json!({"id": id, "name": "Acme Escrow", "plan": "starter", "created_at": "2027-01-15T08:00:00Z"})
    );
    assert_eq!(
        (opened.header("etag"), opened.header("cache-control")),
        (Some("\"1\""), Some("no-store"))
    );

    let path = format!("/v1/accounts/{id}");
    let shown = world.operator(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&opened.body, Some("\"1\""))
    );

    let request = world
        .request(Method::PATCH, &path)
        .bearer_auth(OPERATOR)
        .header("content-type", "application/merge-patch+json");
    let changed = world
        .send(request.body(r#"{"plan":"enterprise"}"#))
        .await
        .expect(200);
    assert_eq!(
        (&changed.body["name"], &changed.body["plan"]),
        (&json!("Acme Escrow"), &json!("enterprise"))
    );
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = world
        .operator(Method::PATCH, &path, Some(json!({"name": "Acme"})))
        .await
        .expect(200);
    assert_eq!(
        (&changed.body["name"], &changed.body["plan"]),
        (&json!("Acme"), &json!("enterprise"))
    );
    let shown = world.operator(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&changed.body, Some("\"3\""))
    );
}

#[tokio::test]
async fn a_patch_that_changes_nothing_makes_no_version_and_no_entry() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}", world.account);
    let before = world.actions(&world.account).await;
    for patch in [
        json!({}),
        json!({"name": "Alder & Pine"}),
        json!({"name": "Alder & Pine", "plan": "business"}),
    ] {
        let same = world
            .operator(Method::PATCH, &path, Some(patch))
            .await
            .expect(200);
        assert_eq!(same.header("etag"), Some("\"1\""));
    }
    assert_eq!(world.actions(&world.account).await, before);
}

#[tokio::test]
async fn a_change_to_another_version_than_the_one_that_was_read_is_refused() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}", world.account);
    let rename = |if_match: &'static str, name: &'static str| {
        patch_if(&world, &path, if_match, json!({"name": name}))
    };
    let _ = rename("\"1\"", "first").await.expect(200);
    // Stale, of a version to come, weak (RFC 9110, section 13.1.1), and none that was ever given
    // out.
    for if_match in ["\"1\"", "\"3\"", "W/\"2\"", "2", "\"two\"", ""] {
        let _ = rename(if_match, "never")
            .await
            .refused(412, "precondition-failed");
    }
    // What would change nothing is refused as well: the caller has read something else.
    let _ = rename("\"1\"", "first")
        .await
        .refused(412, "precondition-failed");
    let shown = world.operator(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&shown.body["name"], shown.header("etag")),
        (&json!("first"), Some("\"2\""))
    );
    let _ = rename("*", "second").await.expect(200);
    assert_eq!(
        rename("\"3\"", "third").await.expect(200).header("etag"),
        Some("\"4\"")
    );
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused_and_the_field_named() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}", world.account);
    let _ = world.stack.meter().take();
    let new = |body: Value| ("/v1/accounts".to_owned(), Method::POST, body);
    let change = |body: Value| (path.clone(), Method::PATCH, body);
    let cases = [
        (new(json!({"plan": "starter"})), "/name"),
        (new(json!({"name": "A"})), "/plan"),
        (new(json!({"name": "A", "plan": "gold"})), "/plan"),
        (new(json!({"name": "A", "plan": "Starter"})), "/plan"),
        (new(json!({"name": "A", "plan": null})), "/plan"),
        (new(json!({"name": 7, "plan": "starter"})), "/name"),
        (new(json!({"name": "", "plan": "starter"})), "/name"),
        (new(json!({"name": " \t", "plan": "starter"})), "/name"),
        (
            new(json!({"name": "é".repeat(101), "plan": "starter"})),
            "/name",
        ),
        (
            new(json!({"name": "a\r\nBcc: b@example.com", "plan": "starter"})),
            "/name",
        ),
        (
            new(json!({"name": "A", "plan": "starter", "id": "acc_1"})),
            "/id",
        ),
        (
            new(json!({"name": "A", "plan": "starter", "a/b~c": 1})),
            "/a~1b~0c",
        ),
        (change(json!({"name": null})), "/name"),
        (change(json!({"plan": null})), "/plan"),
        (change(json!({"plan": "free"})), "/plan"),
        (change(json!({"name": "\u{0}"})), "/name"),
        (
            change(json!({"name": "fine", "created_at": "2027-01-15T08:00:00Z"})),
            "/created_at",
        ),
    ];
    for ((path, method, body), pointer) in cases {
        let refused = world
            .operator(method, &path, Some(body.clone()))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{body}");
    }
    assert!(
        world.stack.meter().take().write_units < f64::EPSILON,
        "nothing was written"
    );
    for name in [
        "x".to_owned(),
        "é".repeat(100),
        "Müller & Söhne <GmbH>".to_owned(),
    ] {
        let opened = world
            .operator(
                Method::POST,
                "/v1/accounts",
                Some(json!({"name": name, "plan": "starter"})),
            )
            .await
            .expect(201);
        assert_eq!(opened.body["name"], json!(name));
    }
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found_by_any_route() {
    let world = World::new().await;
    let key = json!({"name": "key", "scopes": ["audit:read"]});
    for id in [
        "acc_00000000000000000000000001",
        "acc_",
        "x",
        &world.account.replace("acc_", "usr_"),
        "%00",
    ] {
        let routes = [
            (Method::GET, String::new(), None),
            (Method::PATCH, String::new(), Some(json!({"name": "x"}))),
            (Method::GET, "/api-keys".into(), None),
            (Method::POST, "/api-keys".into(), Some(key.clone())),
            (
                Method::DELETE,
                "/api-keys/key_00000000000000000000000001".into(),
                None,
            ),
        ];
        for (method, rest, body) in routes {
            let _ = world
                .operator(method, &format!("/v1/accounts/{id}{rest}"), body)
                .await
                .refused(404, "not-found");
        }
    }
    let none = format!(
        "/v1/accounts/{}/api-keys/key_00000000000000000000000001",
        world.account
    );
    let _ = world
        .operator(Method::DELETE, &none, None)
        .await
        .refused(404, "not-found");
    // A key of one account is not there under another.
    let (other, _) = world.open_account("starter").await;
    let keys = world
        .operator(Method::GET, &format!("/v1/accounts/{other}/api-keys"), None)
        .await
        .expect(200);
    let id = keys.body["api_keys"][0]["id"].as_str().unwrap().to_owned();
    let elsewhere = format!("/v1/accounts/{}/api-keys/{id}", world.account);
    let _ = world
        .operator(Method::DELETE, &elsewhere, None)
        .await
        .refused(404, "not-found");
    let keys = world
        .operator(Method::GET, &format!("/v1/accounts/{other}/api-keys"), None)
        .await
        .expect(200);
    assert_eq!(keys.body["api_keys"][0]["id"], json!(id));
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_by_age_without_it() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}/api-keys", world.account);
    let mut made = Vec::new();
    for name in ["first", "second", "third"] {
        world.advance(1);
        let body = json!({"name": name, "scopes": ["users:write", "audit:read"]});
        made.push(
            world
                .operator(Method::POST, &path, Some(body))
                .await
                .expect(201),
        );
    }
    let texts: Vec<String> = made.iter().map(|key| key.text("key")).collect();
    let secret = |text: &String| text.splitn(3, '_').last().unwrap_or_default().len();
    assert!(
        texts.iter().all(|text| secret(text) == 43),
        "256 bits are 43 characters"
    );
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    let listed = world.operator(Method::GET, &path, None).await.expect(200);
    let keys = listed.body["api_keys"].as_array().unwrap();
    let names: Vec<&str> = keys.iter().filter_map(|key| key["name"].as_str()).collect();
    assert_eq!(names, ["all", "first", "second", "third"]);
    for (key, made) in keys[1..].iter().zip(&made) {
        let mut shown = made.body.clone();
        shown.as_object_mut().unwrap().remove("key");
        assert_eq!(*key, shown);
    }
    assert!(
        texts
            .iter()
            .all(|text| !listed.body.to_string().contains(text))
    );
}

#[tokio::test]
async fn the_accounts_chain_tells_of_every_change_and_is_whole() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}", world.account);
    let _ = world
        .operator(
            Method::PATCH,
            &path,
            Some(json!({"name": "Alder", "plan": "enterprise"})),
        )
        .await
        .expect(200);
    let keys = format!("{path}/api-keys");
    let body = json!({"name": "reader", "scopes": ["audit:read"]});
    let made = world
        .operator(Method::POST, &keys, Some(body))
        .await
        .expect(201);
    let _ = world
        .operator(Method::DELETE, &format!("{keys}/{}", made.text("id")), None)
        .await
        .expect(204);
    let _ = world
        .settings(json!({"locale": "fr", "contacts": ["desk@example.com"]}))
        .await;

    let told = world.audit(&world.account).await;
    assert!(
        !json!(told).to_string().contains(&made.text("key")),
        "a key is in no entry"
    );
    let chain = entries(told);
    assert_eq!(first_broken(&chain), None);
    assert_eq!(
        world.actions(&world.account).await,
        [
            "account-created",
            "api-key-created",
            "account-changed",
            "api-key-created",
            "api-key-revoked",
            "settings-changed"
        ]
    );
    let details = |place: usize| Value::Object(chain[place].details.clone());
    assert_eq!(details(0), json!({"name": "Alder & Pine"}));
    assert_eq!(details(2), json!({"name": "Alder", "plan": "enterprise"}));
    assert_eq!(
        details(3),
        json!({"key": made.text("id"), "name": "reader", "scopes": ["audit:read"]})
    );
    assert_eq!(
        details(4),
        json!({"key": made.text("id"), "name": "reader"})
    );
    assert_eq!(
        details(5),
        json!({"changed": ["/contacts", "/locale"]}),
        "the names of the settings, not their values"
    );
    let operator = chain[0].actor.strip_prefix("operator/").unwrap();
    assert!(
        operator.starts_with("key_")
            && chain[..5].iter().all(|entry| entry.actor == chain[0].actor)
    );
    assert_eq!(
        json!(chain[5].actor),
        chain[1].details["key"],
        "the settings were changed by the account's own key"
    );
    assert!(chain.iter().all(
        |entry| entry.source.as_deref() == Some("127.0.0.1") && entry.subject == world.account
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hundredth_key_is_the_last_however_many_ask_at_once() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}/api-keys", world.account);
    let make = || {
        world.operator(
            Method::POST,
            &path,
            Some(json!({"name": "one more", "scopes": ["audit:read"]})),
        )
    };
    for _ in 2..KEYS_MAX {
        let _ = make().await.expect(201);
    }
    let answers = join_all((0..6).map(|_| make())).await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 409)),
        (1, 5),
        "{answers:?}"
    );
    let refused = make().await.refused(409, "conflict");
    assert!(refused.text("detail").contains("100"), "{}", refused.body);
    let listed = world.operator(Method::GET, &path, None).await.expect(200);
    let keys = listed.body["api_keys"].as_array().unwrap();
    assert_eq!(keys.len(), KEYS_MAX);
    // One of these, and not the one that the audit is read with: they are listed by their ids,
    // which are drawn.
    let last = keys.iter().rfind(|key| key["name"] == "one more").unwrap()["id"]
        .as_str()
        .unwrap();
    let _ = world
        .operator(Method::DELETE, &format!("{path}/{last}"), None)
        .await
        .expect(204);
    let _ = make().await.expect(201);
    let chain = entries(world.audit(&world.account).await);
    assert_eq!(
        (first_broken(&chain), chain.len()),
        (None, 1 + KEYS_MAX + 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_to_one_version_one_is_made() {
    let world = World::new().await;
    let path = format!("/v1/accounts/{}", world.account);
    let rename = |number: usize| {
        let path = &path;
        let world = &world;
        async move {
            patch_if(
                world,
                path,
                "\"1\"",
                json!({"name": format!("name {number}")}),
            )
            .await
        }
    };
    let answers = join_all((0..20).map(rename)).await;
    assert_eq!(
        (count(&answers, 200), count(&answers, 412)),
        (1, 19),
        "{answers:?}"
    );
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    let shown = world.operator(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&winner.body, Some("\"2\""))
    );
    let changes = world
        .actions(&world.account)
        .await
        .into_iter()
        .filter(|action| action == "account-changed")
        .count();
    assert_eq!(changes, 1);
}
