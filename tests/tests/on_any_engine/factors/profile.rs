//! What a user changes about the own password and language.

use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::keys;
use tests::contacts::{messages, recipients};
use tests::{Answer, PASSWORD, World};

async fn patch(world: &World, token: &str, body: Value) -> Answer {
    world
        .as_user(token, Method::PATCH, "/v1/me", Some(body))
        .await
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"locale": "de"})).await;
    let token = world.token(&ann).await;
    let _ = messages(&world).await;
    let _ = patch(
        &world,
        &token,
        json!({"password": "another horse battery", "current_password": PASSWORD}),
    )
    .await
    .expect(200);
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    assert!(
        told[0].1.contains("Passwort") && !told[0].1.contains("another horse"),
        "{told:?}"
    );
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .login("ann", "another horse battery")
        .await
        .expect(200);
    let audit = serde_json::to_string(&world.audit(&ann.id).await).unwrap();
    assert!(!audit.contains("another horse"));
}

#[tokio::test]
async fn a_language_is_changed_without_a_word() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = messages(&world).await;
    assert_eq!(
        patch(&world, &token, json!({"locale": "fr"}))
            .await
            .expect(200)
            .body["locale"],
        "fr"
    );
    assert_eq!(
        patch(&world, &token, json!({"locale": null}))
            .await
            .expect(200)
            .body["locale"],
        "en"
    );
    assert!(messages(&world).await.is_empty());
}

#[tokio::test]
async fn a_profile_is_changed_with_a_fresh_second_factor_alone_and_as_it_was_read() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let me = world
        .as_user(&token, Method::GET, "/v1/me", None)
        .await
        .expect(200);
    let etag = me.header("etag").unwrap().to_owned();
    let with = |etag: &str, body: Value| {
        world
            .request(Method::PATCH, "/v1/me")
            .bearer_auth(&token)
            .header("if-match", etag.to_owned())
            .json(&body)
    };
    let changed = world
        .send(with(&etag, json!({"locale": "fr"})))
        .await
        .expect(200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    let _ = world
        .send(with(&etag, json!({"locale": "it"})))
        .await
        .refused(412, "precondition-failed");
    for (body, pointer) in [
        (
            json!({"password": "short", "current_password": PASSWORD}),
            "/password",
        ),
        (json!({"password": null}), "/password"),
        (json!({"locale": "xx"}), "/locale"),
        (json!({"username": "root"}), "/username"),
        (json!({"kind": "internal"}), "/kind"),
    ] {
        assert_eq!(
            patch(&world, &token, body)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            [pointer]
        );
    }
    world.advance(301);
    let _ = patch(&world, &token, json!({"locale": "it"}))
        .await
        .refused(403, "fresh-second-factor-required");
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.0/16"]}))
        .await;
    let _ = world
        .user("staff", json!({"kind": "internal", "phone": null}))
        .await;
    let office = world.opened("staff").await.text("access_token");
    let _ = patch(&world, &office, json!({"locale": "fr"}))
        .await
        .refused(403, "fresh-second-factor-required");
}

#[tokio::test]
async fn a_change_ends_all_tokens_but_the_one_it_was_made_with_and_an_administrators_ends_that_as_well()
 {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let earlier = world.token(&ann).await;
    world.advance(60);
    let token = world.token(&ann).await;
    world.advance(60);
    let later = world.token(&ann).await;
    let world = &world;
    let me =
        |token: String| async move { world.as_user(&token, Method::GET, "/v1/me", None).await };
    let _ = patch(world, &token, json!({"locale": "fr"}))
        .await
        .expect(200);
    let _ = me(earlier.clone()).await.expect(200);
    let _ = patch(
        world,
        &token,
        json!({"password": "another horse battery", "current_password": PASSWORD}),
    )
    .await
    .expect(200);
    let _ = me(earlier).await.refused(401, "unauthorized");
    let _ = me(later).await.refused(401, "unauthorized");
    let _ = me(token.clone()).await.expect(200);
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"phone": "+12025550177"})))
        .await
        .expect(200);
    let _ = me(token).await.refused(401, "unauthorized");
}

/// One is held at each of its requests in turn, up to the one that sets the password, while the
/// other does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_new_passwords_with_the_same_one_before_one_is_set() {
    for after in 0..20 {
        let world = World::new().await;
        let token = world.token(&world.user("ann", json!({})).await).await;
        let new = |password: &str| json!({"password": password, "current_password": PASSWORD});
        let held = world.stack.faults().hold(Service::Dynamodb, after);
        let other = async {
            held.arrived().await;
            let answer = patch(&world, &token, new("a horse of another colour")).await;
            held.let_go();
            answer
        };
        let (late, first) =
            tokio::join!(patch(&world, &token, new("another horse battery")), other);
        let sets = held.operation() == Some("TransactWriteItems");
        let (set, refused) = if sets { (late, first) } else { (first, late) };
        let _ = set.expect(200);
        assert!(
            matches!(refused.status, 401 | 409),
            "held after {after}: {refused:?}"
        );
        let password = if sets {
            "another horse battery"
        } else {
            "a horse of another colour"
        };
        let _ = world.login("ann", password).await.expect(200);
        if sets {
            return;
        }
    }
    panic!("no password is set");
}

/// How many wrong passwords in a row stand for a username at the addresses that its user is known
/// at.
async fn wrong_in_a_row(world: &World, username: &str) -> Option<u32> {
    let key = keys::name_known_failures(world.account.parse().unwrap(), username);
    let item = world.stack.table().get(key).await.unwrap()?;
    item["failures"].as_n().unwrap().parse().ok()
}

/// Held at each of its requests in turn, while an administrator changes the user or the settings so
/// that the new password is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_is_no_wrong_one_though_the_change_is_refused() {
    const NEW: &str = "fourteen chars";
    // That it ended others is told, and nothing where there were none.
    for (status, slug, others) in [
        (412, "precondition-failed", 4),
        (400, "invalid-request", 4),
        (400, "invalid-request", 0),
    ] {
        let mut ended = 0;
        for after in 0..20 {
            let world = World::new().await;
            let ann = world.user("ann", json!({"kind": "internal"})).await;
            let token = world.token(&ann).await;
            for _ in 0..others {
                let wrong = json!({"password": NEW, "current_password": "a wrong password"});
                let _ = patch(&world, &token, wrong)
                    .await
                    .refused(401, "invalid-credentials");
            }
            let me = world
                .as_user(&token, Method::GET, "/v1/me", None)
                .await
                .expect(200);
            let asked = world.request(Method::PATCH, "/v1/me").bearer_auth(&token);
            let asked = if status == 412 {
                asked.header("if-match", me.header("etag").unwrap())
            } else {
                asked
            };
            let held = world.stack.faults().hold(Service::Dynamodb, after);
            let other = async {
                held.arrived().await;
                let path = format!("/v1/users/{}", ann.id);
                let _ = world
                    .backend(Method::PATCH, &path, Some(json!({"locale": "fr"})))
                    .await
                    .expect(200);
                let _ = world
                    .settings(json!({"second_factor": {"internal_required": status == 412}}))
                    .await;
                held.let_go();
            };
            let asked = asked.json(&json!({"password": NEW, "current_password": PASSWORD}));
            let (answer, ()) = tokio::join!(world.send(asked), other);
            if answer.status == 200 {
                assert_eq!(
                    wrong_in_a_row(&world, "ann").await,
                    None,
                    "held after {after}"
                );
                break;
            }
            let _ = answer.refused(status, slug);
            let told = world
                .actions(&ann.id)
                .await
                .contains(&format!("password-changed: {slug}"));
            match (wrong_in_a_row(&world, "ann").await, told) {
                (None, told) if told == (others > 0) => ended += 1,
                // It was not looked at.
                (Some(failures), false) if failures == others => {}
                other => panic!("{slug} after {others} wrong ones, held after {after}: {other:?}"),
            }
            let _ = world.login("ann", PASSWORD).await.expect(200);
        }
        assert!(ended > 0, "{slug}: after the password was right");
    }
}
