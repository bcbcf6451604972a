//! The users of an account: made, shown, listed, changed, renamed, unlocked, deleted.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};
use tests::{Answer, PASSWORD, Person, World, another};

fn path(person: &Person) -> String {
    format!("/v1/users/{}", person.id)
}

async fn patch(world: &World, person: &Person, body: Value) -> Answer {
    world
        .backend(Method::PATCH, &path(person), Some(body))
        .await
}

async fn patch_if(world: &World, person: &Person, if_match: &str, body: Value) -> Answer {
    world
        .send(
            world
                .request(Method::PATCH, &path(person))
                .bearer_auth(&world.key)
                .header("if-match", if_match)
                .json(&body),
        )
        .await
}

fn count(answers: &[Answer], status: u16, slug: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status && answer.slug() == slug)
        .count()
}

async fn chain(world: &World, person: &Person) -> Vec<Entry> {
    world
        .audit(&person.id)
        .await
        .into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect()
}

/// All usernames, page by page.
async fn names(world: &World) -> Vec<String> {
    let (mut names, mut query) = (Vec::new(), String::new());
    loop {
        let page = world
            .backend(Method::GET, &format!("/v1/users{query}"), None)
            .await
            .expect(200)
            .body;
        names.extend(
            page["users"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["username"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?cursor={cursor}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn a_user_is_created_shown_listed_and_never_with_the_password() {
    let world = World::new().await;
    let body = json!({
        "username": "Ann@Example.com", "kind": "internal", "password": PASSWORD, "email": "ann@example.com", "phone": "+12025550123",
        "group": "escrow-west", "locale": "fr", "sso_subject": "00u1a2b3c4",
    });
    let created = world
        .backend(Method::POST, "/v1/users", Some(body))
        .await
        .expect(201);
    let id = created.text("id");
    let expected = json!({
        "id": id, "username": "ann@example.com", "kind": "internal", "email": "ann@example.com", "email_verified": false,
        "phone": "+12025550123", "phone_verified": false, "group": "escrow-west", "locale": "fr", "sso_subject": "00u1a2b3c4",
        "disabled": false, "created_at": "2027-01-15T08:00:00Z",
        "factors": ["sms", "email"], "locks": [],
    });
    assert_eq!(
        (
            &created.body,
            created.header("etag"),
            created.header("cache-control")
        ),
        (&expected, Some("\"1\""), Some("no-store"))
    );
    let shown = world
        .backend(Method::GET, &format!("/v1/users/{id}"), None)
        .await
        .expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&expected, Some("\"1\""))
    );
    let listed = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200);
    assert_eq!(listed.body, json!({ "users": [expected] }));

    let least = world
        .backend(
            Method::POST,
            "/v1/users",
            Some(json!({"username": "b", "kind": "external"})),
        )
        .await
        .expect(201);
    let expected = json!({
        "id": least.text("id"), "username": "b", "kind": "external", "disabled": false, "created_at": "2027-01-15T08:00:00Z",
        "factors": [], "locks": [],
    });
    assert_eq!(least.body, expected);
    let _ = world
        .login("b", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_takes_away_what_may_be_missing() {
    let world = World::new().await;
    let ann = world
        .user(
            "ann",
            json!({"group": "escrow", "locale": "fr", "sso_subject": "s"}),
        )
        .await;
    let patched = patch(
        &world,
        &ann,
        json!({"kind": "internal", "locale": "de", "group": null, "sso_subject": null}),
    )
    .await
    .expect(200);
    assert_eq!(patched.header("etag"), Some("\"2\""));
    assert_eq!(
        (&patched.body["kind"], &patched.body["locale"]),
        (&json!("internal"), &json!("de"))
    );
    assert!(patched.body.get("group").is_none() && patched.body.get("sso_subject").is_none());
    let patched = patch(
        &world,
        &ann,
        json!({"email": null, "phone": null, "locale": null}),
    )
    .await
    .expect(200);
    assert_eq!(patched.body["factors"], json!([]));
    let shown = world
        .backend(Method::GET, &path(&ann), None)
        .await
        .expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&patched.body, Some("\"3\""))
    );
    // Who has lost the phone does not enrol with the password alone.
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");

    let before = world.actions(&ann.id).await;
    for same in [
        json!({}),
        json!({"username": "ANN", "kind": "internal"}),
        json!({"email": null, "disabled": false}),
    ] {
        assert_eq!(
            patch(&world, &ann, same).await.expect(200).header("etag"),
            Some("\"3\"")
        );
    }
    assert_eq!(
        world.actions(&ann.id).await,
        before,
        "what changes nothing is not told"
    );
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_with_the_field_named() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.stack.meter().take();
    for (body, pointers) in [
        (json!({"kind": null}), vec!["/kind"]),
        (json!({"kind": "robot"}), vec!["/kind"]),
        (json!({"username": null}), vec!["/username"]),
        (json!({"username": "аnn"}), vec!["/username"]),
        (json!({"disabled": null}), vec!["/disabled"]),
        (json!({"disabled": "yes"}), vec!["/disabled"]),
        (json!({"password": "1234567"}), vec!["/password"]),
        (json!({"password": "x".repeat(257)}), vec!["/password"]),
        (json!({"locale": "xx"}), vec!["/locale"]),
        (json!({"id": "usr_1"}), vec!["/id"]),
        (json!({"factors": null}), vec!["/factors"]),
        (
            json!({"email": "nobody", "phone": "12", "group": "A b", "sso_subject": ""}),
            vec!["/email", "/phone", "/group", "/sso_subject"],
        ),
    ] {
        let refused = patch(&world, &ann, body.clone())
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), pointers, "{body}");
    }
    assert!(
        world.stack.meter().take().write_units < f64::EPSILON,
        "nothing was written"
    );
}

#[tokio::test]
async fn a_change_to_another_version_than_the_one_that_was_read_is_refused() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = patch_if(&world, &ann, "\"1\"", json!({"group": "first"}))
        .await
        .expect(200);
    for if_match in ["\"1\"", "\"3\"", "W/\"2\"", "2", "x"] {
        let _ = patch_if(&world, &ann, if_match, json!({"group": "never"}))
            .await
            .refused(412, "precondition-failed");
    }
    let shown = world
        .backend(Method::GET, &path(&ann), None)
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["group"], shown.header("etag")),
        (&json!("first"), Some("\"2\""))
    );
    // Signing in is no change of the profile: the version holds.
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let _ = patch_if(&world, &ann, "\"2\"", json!({"group": "second"}))
        .await
        .expect(200);
    let _ = patch_if(&world, &ann, "*", json!({"group": "third"}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_hundred_and_twenty_users_are_listed_in_pages_by_age() {
    let world = World::new().await;
    let mut made = Vec::new();
    for number in 0..120 {
        world.advance(1);
        // The names are in no order that the listing could lean on.
        let username = format!("user-{}", number * 7_919 % 1_000);
        let body = json!({"username": username, "kind": "external"});
        made.push((
            world
                .backend(Method::POST, "/v1/users", Some(body))
                .await
                .expect(201)
                .text("id"),
            username,
        ));
    }
    let (mut pages, mut query) = (Vec::new(), String::new());
    loop {
        let page = world
            .backend(Method::GET, &format!("/v1/users{query}"), None)
            .await
            .expect(200)
            .body;
        let ids = page["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_str().unwrap().to_owned());
        pages.push(ids.collect::<Vec<_>>());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(
        pages.concat(),
        made.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()
    );

    // A cursor goes on after its user even when that one is gone.
    let first = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200)
        .body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let _ = world
        .backend(Method::DELETE, &format!("/v1/users/{}", made[49].0), None)
        .await
        .expect(204);
    let second = world
        .backend(Method::GET, &format!("/v1/users?cursor={cursor}"), None)
        .await
        .expect(200)
        .body;
    assert_eq!(second["users"][0]["id"], json!(made[50].0));
    assert_eq!(names(&world).await.len(), 119);
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_is_refused_and_one_of_another_account_shows_nothing_of_it()
{
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let long = encode(&"x".repeat(3_000));
    for cursor in [
        "",
        "%00",
        "x",
        &ann.id,
        &encode("ann"),
        &encode("usr_"),
        &encode(&world.account),
        &encode("usr_1\u{0}"),
        &long,
    ] {
        let refused = world
            .backend(Method::GET, &format!("/v1/users?cursor={cursor}"), None)
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["?cursor"], "{cursor}");
    }
    let (_, key) = world.open_account("starter").await;
    let start = encode("usr_00000000000000000000000000");
    for cursor in [encode(&ann.id), start.clone()] {
        let request = world
            .request(Method::GET, &format!("/v1/users?cursor={cursor}"))
            .bearer_auth(&key);
        assert_eq!(
            world.send(request).await.expect(200).body,
            json!({"users": []})
        );
    }
    let own = world
        .backend(Method::GET, &format!("/v1/users?cursor={start}"), None)
        .await
        .expect(200);
    assert_eq!(own.body["users"][0]["id"], json!(ann.id));
}

#[tokio::test]
async fn a_rename_moves_the_name_with_its_password_and_frees_the_old() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let ben = world.user("ben", json!({})).await;
    let _ = patch(&world, &ann, json!({"username": "BEN"}))
        .await
        .refused(409, "username-taken");
    assert_eq!(
        names(&world).await.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["ann".into(), "ben".into()])
    );
    let _ = world.login("ann", PASSWORD).await.expect(200);

    let renamed = patch(&world, &ann, json!({"username": "Anna@Example.com"}))
        .await
        .expect(200);
    assert_eq!(renamed.body["username"], "anna@example.com");
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let login = world.login("ANNA@example.com", PASSWORD).await.expect(200);
    assert_eq!(login.body["status"], "second_factor_required");
    // The old name is free, and whoever takes it has another password.
    let taken = world
        .user("ann", json!({"password": "another password"}))
        .await;
    assert_ne!(taken.id, ann.id);
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world.login("ann", "another password").await.expect(200);
    let _ = patch(&world, &ann, json!({"username": "ann"}))
        .await
        .refused(409, "username-taken");
    // Name and password in one.
    let _ = patch(
        &world,
        &ben,
        json!({"username": "benedict", "password": "a third password"}),
    )
    .await
    .expect(200);
    let _ = world
        .login("benedict", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .login("benedict", "a third password")
        .await
        .expect(200);
    // There and back again.
    let _ = patch(&world, &ben, json!({"username": "ben"}))
        .await
        .expect(200);
    let _ = world.login("ben", "a third password").await.expect(200);
    let entry = chain(&world, &ben)
        .await
        .into_iter()
        .rfind(|entry| entry.actor.starts_with("key_"))
        .unwrap();
    assert_eq!(entry.details["changed"], json!(["/username"]));
}

#[tokio::test]
async fn of_a_name_that_is_taken_nothing_else_of_the_patch_is_written() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.user("ben", json!({})).await;
    let before = world
        .backend(Method::GET, &path(&ann), None)
        .await
        .expect(200);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let mixed = json!({"username": "ben", "password": "another password", "phone": "+14165550100", "disabled": true});
    let refused = patch(&world, &ann, mixed)
        .await
        .refused(409, "username-taken");
    assert_eq!(refused.pointers(), ["/username"]);
    assert_eq!(
        world
            .backend(Method::GET, &path(&ann), None)
            .await
            .expect(200)
            .body,
        before.body
    );
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn another_password_is_in_force_at_once_and_ends_what_the_old_one_opened() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let patched = patch(&world, &ann, json!({"password": "another password"}))
        .await
        .expect(200);
    assert!(
        !patched.body.to_string().contains("password"),
        "{}",
        patched.body
    );
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world.login("ann", "another password").await.expect(200);
    let last = chain(&world, &ann)
        .await
        .into_iter()
        .rfind(|entry| entry.actor.starts_with("key_"))
        .unwrap();
    assert_eq!(
        Value::Object(last.details),
        json!({"changed": ["/password"]})
    );
    // Without a password nobody signs in with one.
    let _ = patch(&world, &ann, json!({"password": null}))
        .await
        .expect(200);
    for password in [PASSWORD, "another password"] {
        let _ = world
            .login("ann", password)
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = patch(&world, &ann, json!({"password": PASSWORD}))
        .await
        .expect(200);
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_disabled_user_is_out_until_enabled_again() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let token = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    let open = world.challenge(&ann).await;
    assert_eq!(
        patch(&world, &ann, json!({"disabled": true}))
            .await
            .expect(200)
            .body["disabled"],
        true
    );
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .send(world.request(Method::GET, "/v1/me").bearer_auth(&token))
        .await
        .refused(401, "unauthorized");
    let _ = patch(&world, &ann, json!({"disabled": false}))
        .await
        .expect(200);
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(410, "challenge-expired");
    let (challenge, code) = {
        world.advance(60);
        world.challenge_and_code(&ann).await
    };
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_the_name_is_anothers_to_take() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let token = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    world.advance(60);
    let (open, code) = world.challenge_and_code(&ann).await;
    let deleted = world
        .backend(Method::DELETE, &path(&ann), None)
        .await
        .expect(204);
    assert_eq!(
        (&deleted.body, deleted.header("content-type")),
        (&Value::Null, None)
    );
    for method in [Method::GET, Method::DELETE] {
        let _ = world
            .backend(method, &path(&ann), None)
            .await
            .refused(404, "not-found");
    }
    let _ = patch(&world, &ann, json!({"disabled": false}))
        .await
        .refused(404, "not-found");
    let _ = world
        .backend(Method::POST, &format!("{}/unlock", path(&ann)), None)
        .await
        .refused(404, "not-found");
    assert_eq!(names(&world).await, [""; 0]);
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .verify(&open, "sms", &code)
        .await
        .refused(401, "challenge-unknown");
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(401, "challenge-unknown");
    let _ = world
        .send(world.request(Method::GET, "/v1/me").bearer_auth(&token))
        .await
        .refused(401, "unauthorized");

    let again = world
        .user("ann", json!({"password": "another password"}))
        .await;
    assert_ne!(again.id, ann.id);
    let _ = world.login("ann", "another password").await.expect(200);
    let _ = world
        .verify(&open, "sms", &code)
        .await
        .refused(401, "challenge-unknown");
    // The audit of the one who is gone stays, and ends with it.
    let chain = chain(&world, &ann).await;
    assert_eq!(first_broken(&chain), None);
    let last = chain.last().unwrap();
    assert_eq!(
        (json!(last.action), Value::Object(last.details.clone())),
        (json!("user-deleted"), json!({}))
    );
    assert_eq!(world.actions(&again.id).await, ["user-created", "sign-in"]);
}

#[tokio::test]
async fn an_unlock_lifts_the_delay_of_the_password() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
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
    let unlocked = world
        .backend(Method::POST, &format!("{}/unlock", path(&ann)), None)
        .await
        .expect(200);
    assert_eq!(
        (unlocked.text("id"), unlocked.header("etag")),
        (ann.id.clone(), Some("\"1\""))
    );
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
    assert!(
        world
            .actions(&ann.id)
            .await
            .contains(&"user-unlocked".to_owned())
    );
}

#[tokio::test]
async fn whoever_is_to_unlock_sees_what_is_locked() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let shown = async || {
        world
            .backend(Method::GET, &path(&ann), None)
            .await
            .expect(200)
            .body["locks"]
            .clone()
    };
    assert_eq!(shown().await, json!([]));
    for number in 0..10 {
        let challenge = world.challenge(&ann).await;
        let _ = world
            .verify(&challenge, "sms", "000000")
            .await
            .refused(401, "code-invalid");
        assert_eq!(shown().await == json!([]), number < 9, "{number}");
    }
    let delayed = json!([{"method": "sms", "addresses": "unknown", "failures": 10, "until": "2027-01-15T08:00:30Z"}]);
    assert_eq!(shown().await, delayed);
    let listed = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200);
    assert_eq!(listed.body["users"][0]["locks"], delayed);
    world.advance(30);
    assert_eq!(shown().await, json!([]));
    // Forty more, as they are counted, and nobody but an administrator helps.
    let key = shared::store::dynamo::keys::user(ann.id.parse().unwrap());
    let fifty =
        shared::store::dynamo::Update::of(key).set(tests::path("factors.sms.failures"), 50_u32);
    world
        .stack
        .table()
        .transact(vec![fifty.into()])
        .await
        .unwrap();
    assert_eq!(
        shown().await,
        json!([{"method": "sms", "addresses": "unknown", "failures": 50, "until": null}])
    );
    let unlocked = world
        .backend(Method::POST, &format!("{}/unlock", path(&ann)), None)
        .await
        .expect(200);
    assert_eq!(
        (&unlocked.body["locks"], shown().await),
        (&json!([]), json!([]))
    );
}

#[tokio::test]
async fn an_unlock_lifts_the_delay_of_every_factor() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    for method in ["sms", "email"] {
        for _ in 0..2 {
            let challenge = world.challenge(&ann).await;
            for _ in 0..5 {
                let _ = world
                    .verify(&challenge, method, "00000000")
                    .await
                    .refused(401, "code-invalid");
            }
        }
    }
    let challenge = world.challenge(&ann).await;
    for method in ["sms", "email"] {
        let _ = world
            .issue(&challenge, method)
            .await
            .refused(429, "too-many-attempts");
    }
    let _ = world
        .backend(Method::POST, &format!("{}/unlock", path(&ann)), None)
        .await
        .expect(200);
    let _ = world.issue(&challenge, "email").await.expect(202);
    let code = world.last_code().await;
    let _ = world
        .verify(&challenge, "email", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world.verify(&challenge, "email", &code).await.expect(200);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn another_destination_ends_what_is_open_and_nothing_else_does() {
    let world = World::new().await;
    let mut ann = world.user("ann", json!({"phone": "+12025550123"})).await;
    for (body, ends) in [
        (json!({"group": "escrow"}), false),
        (
            json!({"phone": "+12025550123", "email": "ann@example.com"}),
            false,
        ),
        (json!({"username": "anna"}), false),
        (json!({"username": "ann", "locale": "fr"}), false),
        (json!({"phone": "+14165550100"}), true),
        (json!({"email": "anna@example.com"}), true),
        (json!({"email": null}), true),
    ] {
        world.advance(600);
        let (challenge, code) = world.challenge_and_code(&ann).await;
        let _ = patch(&world, &ann, body.clone()).await.expect(200);
        let answer = world.verify(&challenge, "sms", &code).await;
        assert_eq!(
            (answer.status, answer.slug()),
            if ends {
                (410, "challenge-expired")
            } else {
                (200, "")
            },
            "{body}: {}",
            answer.body
        );
        if let Some(name) = body["username"].as_str() {
            name.clone_into(&mut ann.username);
        }
    }
    // The next code goes to the new phone.
    world.advance(600);
    let _ = world.challenge_and_code(&ann).await;
    assert_eq!(world.outbox().await.last().unwrap()["to"], "+14165550100");
}

#[tokio::test]
async fn the_audit_tells_where_codes_go_now_and_never_in_full() {
    let world = World::new().await;
    let ann = world
        .user(
            "ann",
            json!({"phone": "+12025550123", "email": "ann@example.com"}),
        )
        .await;
    let _ = patch(
        &world,
        &ann,
        json!({"phone": "+14165550199", "email": "longer.name@example.org"}),
    )
    .await
    .expect(200);
    let _ = patch(&world, &ann, json!({"phone": null, "group": "escrow"}))
        .await
        .expect(200);
    let chain = chain(&world, &ann).await;
    assert_eq!(first_broken(&chain), None);
    let details: Vec<Value> = chain
        .iter()
        .map(|entry| Value::Object(entry.details.clone()))
        .collect();
    assert_eq!(
        details,
        [
            json!({"kind": "external"}),
            json!({"changed": ["/email", "/phone"], "email": "l••••••••@example.org", "phone": "+1••••••••99"}),
            json!({"changed": ["/phone", "/group"]}),
        ]
    );
    let told = serde_json::to_string(&chain).unwrap();
    for full in ["2025550123", "4165550199", "ann@example.com", "longer.name"] {
        assert!(!told.contains(full), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_renames_to_one_name_one_wins_and_the_others_keep_theirs() {
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..12 {
        people.push(
            world
                .user(&format!("user{number}"), json!({"password": null}))
                .await,
        );
    }
    let answers = join_all(
        people
            .iter()
            .map(|person| patch(&world, person, json!({"username": "chief"}))),
    )
    .await;
    assert_eq!(
        (
            count(&answers, 200, ""),
            count(&answers, 409, "username-taken")
        ),
        (1, 11),
        "{answers:?}"
    );
    let winner = answers
        .iter()
        .position(|answer| answer.status == 200)
        .unwrap();
    let expected: BTreeSet<String> = people
        .iter()
        .enumerate()
        .map(|(place, person)| {
            if place == winner {
                "chief".into()
            } else {
                person.username.clone()
            }
        })
        .collect();
    assert_eq!(
        names(&world).await.into_iter().collect::<BTreeSet<_>>(),
        expected
    );
    for (place, person) in people.iter().enumerate() {
        let body = json!({"username": person.username, "kind": "external"});
        let again = world.backend(Method::POST, "/v1/users", Some(body)).await;
        assert_eq!(
            again.status,
            if place == winner { 201 } else { 409 },
            "{}",
            person.username
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_swap_names_at_once_never_share_one() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let ben = world
        .user("ben", json!({"password": "another password"}))
        .await;
    let swap = [(&ann, "ben"), (&ben, "ann")]
        .map(|(person, name)| patch(&world, person, json!({"username": name})));
    let answers = join_all(swap).await;
    assert_eq!(
        count(&answers, 409, "username-taken"),
        2,
        "each name was taken throughout: {answers:?}"
    );
    let _ = world.login("ann", PASSWORD).await.expect(200);
    let _ = world.login("ben", "another password").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_of_one_user_at_once_lose_nothing() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let each = [
        json!({"username": "anna"}),
        json!({"kind": "internal"}),
        json!({"email": "anna@example.com"}),
        json!({"phone": "+12025550123"}),
        json!({"group": "escrow"}),
        json!({"locale": "it"}),
        json!({"sso_subject": "s1"}),
        json!({"disabled": true}),
    ];
    let answers = join_all(each.iter().map(|body| patch(&world, &ann, body.clone()))).await;
    assert_eq!(count(&answers, 200, ""), each.len(), "{answers:?}");
    let shown = world
        .backend(Method::GET, &path(&ann), None)
        .await
        .expect(200);
    for body in &each {
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(shown.body[name], *value, "{name}");
        }
    }
    assert_eq!(shown.header("etag"), Some("\"9\""));
    let chain = chain(&world, &ann).await;
    assert_eq!((first_broken(&chain), chain.len()), (None, 1 + each.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_deletions_one_is_made_and_told() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = path(&ann);
    let answers = join_all((0..8).map(|_| world.backend(Method::DELETE, &path, None))).await;
    assert_eq!(
        (count(&answers, 204, ""), count(&answers, 404, "not-found")),
        (1, 7),
        "{answers:?}"
    );
    assert_eq!(
        world.actions(&ann.id).await,
        ["user-created", "user-deleted"]
    );
}

#[tokio::test]
async fn whatever_becomes_of_a_users_password_and_app_is_another_version_of_the_user() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    let version = async || {
        world
            .backend(Method::GET, &path, None)
            .await
            .expect(200)
            .header("etag")
            .unwrap()
            .to_owned()
    };
    let mut versions = vec![version().await];
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    versions.push(version().await);
    let _ = world.enrol(&token).await;
    versions.push(version().await);
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    versions.push(version().await);
    let _ = world
        .backend(Method::DELETE, &format!("{path}/factors/totp"), None)
        .await
        .expect(204);
    versions.push(version().await);
    let _ = world
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": "ann"}),
        )
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let challenge = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    let before = version().await;
    let body = json!({"challenge": challenge, "password": "another horse battery"});
    let _ = world.post("/v1/password", body).await.expect(204);
    versions.push(version().await);
    let distinct: std::collections::BTreeSet<&String> = versions.iter().collect();
    assert_eq!(
        (distinct.len(), before == versions[4]),
        (versions.len(), true),
        "{versions:?}"
    );
    // Who has read the user before any of it changes nothing.
    for stale in &versions[..versions.len() - 1] {
        let request = world
            .request(Method::PATCH, &path)
            .bearer_auth(&world.key)
            .header("if-match", stale);
        let _ = world
            .send(request.json(&json!({"locale": "fr"})))
            .await
            .refused(412, "precondition-failed");
    }
}
