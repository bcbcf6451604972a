//! What a user changes about the own sign-in, and who is told of it.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, PASSWORD, World};

async fn patch(world: &World, token: &str, body: Value) -> Answer {
    world.as_user(token, Method::PATCH, "/v1/me", Some(body)).await
}

/// To whom mails went since the last time, and what they say.
async fn mails(world: &World) -> Vec<(String, String)> {
    let outbox = world.outbox().await;
    let _ = world.send(world.request(Method::DELETE, "/_local/outbox")).await;
    let text = |mail: &Value, name: &str| mail[name].as_str().unwrap_or_default().to_owned();
    outbox.iter().filter(|sent| sent["channel"] == "email").map(|mail| (text(mail, "to"), text(mail, "text"))).collect()
}

fn recipients(mails: &[(String, String)]) -> Vec<&str> {
    let mut to: Vec<&str> = mails.iter().map(|(to, _)| to.as_str()).collect();
    to.sort_unstable();
    to
}

#[tokio::test]
async fn another_address_takes_the_place_of_the_old_and_both_are_told() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let open = world.challenge(&ann).await;
    let _ = mails(&world).await;
    let body = json!({"email": "new@example.org", "phone": "+12025550177"});
    let changed = patch(&world, &token, body.clone()).await.expect(200);
    assert_eq!((changed.text("email"), changed.text("phone")), ("n••••••••@example.org".into(), "+1••••••••77".into()));
    let told = mails(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com", "new@example.org"]);
    for (_, text) in &told {
        assert!(
            text.contains("Alder & Pine") && text.contains("n••••••••@example.org") && text.contains("+1••••••••77"),
            "{text}"
        );
        assert!(!text.contains("new@example.org") && !text.contains("2025550177"), "{text}");
    }
    // What was open is over; the next code goes to the new number.
    let _ = world.issue(&open, "sms").await.refused(410, "challenge-expired");
    let login = world.login("ann", PASSWORD).await.expect(200);
    assert_eq!(login.body["methods"][0]["destination"], "+1••••••••77");
    let entries = world.audit(&ann.id).await;
    let entry = entries.iter().rfind(|entry| entry["action"] == "user-changed").unwrap();
    assert_eq!((&entry["actor"], &entry["details"]["changed"]), (&json!(ann.id), &json!(["/email", "/phone"])));
    // The same again changes nothing, and tells nobody.
    let _ = patch(&world, &token, body).await.expect(200);
    assert!(mails(&world).await.is_empty());
    assert_eq!(world.audit(&ann.id).await.len(), entries.len());

    let factors = world.as_user(&token, Method::GET, "/v1/factors", None).await.expect(200);
    assert_eq!(factors.body["factors"], json!([{"method": "sms", "enrolled_at": "2027-01-15T08:00:00Z"}]));
    let removed = patch(&world, &token, json!({"phone": null})).await.expect(200);
    assert_eq!(removed.body["phone"], Value::Null);
    assert_eq!(recipients(&mails(&world).await), ["new@example.org"]);
    // The password alone is no way to another factor.
    let _ = world.login("ann", PASSWORD).await.refused(403, "no-usable-factor");
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"locale": "de"})).await;
    let token = world.token(&ann).await;
    let _ = mails(&world).await;
    let _ = patch(&world, &token, json!({"password": "another horse battery", "current_password": PASSWORD})).await.expect(200);
    let told = mails(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    assert!(told[0].1.contains("Passwort") && !told[0].1.contains("another horse"), "{told:?}");
    let _ = world.login("ann", PASSWORD).await.refused(401, "invalid-credentials");
    let _ = world.login("ann", "another horse battery").await.expect(200);
    let audit = serde_json::to_string(&world.audit(&ann.id).await).unwrap();
    assert!(!audit.contains("another horse"));
}

#[tokio::test]
async fn a_language_is_changed_without_a_word() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = mails(&world).await;
    assert_eq!(patch(&world, &token, json!({"locale": "fr"})).await.expect(200).body["locale"], "fr");
    assert_eq!(patch(&world, &token, json!({"locale": null})).await.expect(200).body["locale"], "en");
    assert!(mails(&world).await.is_empty());
}

#[tokio::test]
async fn a_profile_is_changed_with_a_fresh_second_factor_alone_and_as_it_was_read() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let me = world.as_user(&token, Method::GET, "/v1/me", None).await.expect(200);
    let etag = me.header("etag").unwrap().to_owned();
    let with = |etag: &str, body: Value| {
        world.request(Method::PATCH, "/v1/me").bearer_auth(&token).header("if-match", etag.to_owned()).json(&body)
    };
    let changed = world.send(with(&etag, json!({"locale": "fr"}))).await.expect(200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    let _ = world.send(with(&etag, json!({"locale": "it"}))).await.refused(412, "precondition-failed");
    for (body, pointer) in [
        (json!({"email": "nobody"}), "/email"),
        (json!({"phone": "12"}), "/phone"),
        (json!({"password": "short", "current_password": PASSWORD}), "/password"),
        (json!({"password": null}), "/password"),
        (json!({"locale": "xx"}), "/locale"),
        (json!({"username": "root"}), "/username"),
        (json!({"kind": "internal"}), "/kind"),
    ] {
        assert_eq!(patch(&world, &token, body).await.refused(400, "invalid-request").pointers(), [pointer]);
    }
    world.advance(301);
    let _ = patch(&world, &token, json!({"locale": "it"})).await.refused(403, "fresh-second-factor-required");
    let _ = world.settings(json!({"ip_allowlist": ["127.0.0.0/16"]})).await;
    let _ = world.user("staff", json!({"kind": "internal", "phone": null})).await;
    let office = world.opened("staff").await.text("access_token");
    let _ = patch(&world, &office, json!({"phone": "+12025550177"})).await.refused(403, "fresh-second-factor-required");
}

#[tokio::test]
async fn whoever_changes_a_factor_the_user_is_told_in_the_own_language() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"locale": "fr"})).await;
    let token = world.token(&ann).await;
    let _ = mails(&world).await;
    let told = async |word: &str| {
        let told = mails(&world).await;
        assert_eq!(recipients(&told), ["ann@example.com"]);
        assert!(told[0].1.contains(word), "{told:?}");
    };
    let _ = world.enrol(&token).await;
    told("Une application d’authentification a été configurée").await;
    let _ = world.as_user(&token, Method::POST, "/v1/factors/recovery-codes", None).await.expect(201);
    told("De nouveaux codes de secours").await;
    let _ = world.as_user(&token, Method::DELETE, "/v1/factors/totp", None).await.expect(204);
    told("ont été supprimés").await;
    let _ = world.enrol(&token).await;
    let _ = mails(&world).await;
    let path = format!("/v1/users/{}", ann.id);
    let _ = world.backend(Method::DELETE, &format!("{path}/factors/totp"), None).await.expect(204);
    told("Un administrateur").await;
    let _ = world.backend(Method::PATCH, &path, Some(json!({"group": "escrow"}))).await.expect(200);
    assert!(mails(&world).await.is_empty());
    let _ = world.backend(Method::PATCH, &path, Some(json!({"email": "new@example.org"}))).await.expect(200);
    assert_eq!(recipients(&mails(&world).await), ["ann@example.com", "new@example.org"]);
}

#[tokio::test]
async fn an_administrators_change_is_told_in_the_language_of_the_group() {
    let world = World::new().await;
    let path = "/v1/groups/escrow/settings";
    let _ = world.backend(Method::PATCH, path, Some(json!({"locale": "it"}))).await.expect(200);
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let own = format!("/v1/users/{}", ann.id);
    let _ = world.backend(Method::DELETE, &format!("{own}/factors/totp"), None).await.expect(204);
    let _ = world.backend(Method::PATCH, &own, Some(json!({"phone": "+12025550177"}))).await.expect(200);
    let _ = world.backend(Method::PATCH, &own, Some(json!({"sso_subject": "00u1"}))).await.expect(200);
    let _ = world.backend(Method::PATCH, &own, Some(json!({"sso_subject": null}))).await.expect(200);
    let told = mails(&world).await;
    for (mail, word) in told.iter().zip(["Un amministratore", "altro numero", "un altro account", "è stato disattivato"]) {
        assert!(mail.1.contains(word), "{word}: {mail:?}");
    }
    assert_eq!(recipients(&told), ["ann@example.com"; 4]);
}

#[tokio::test]
async fn a_notice_that_cannot_be_sent_is_owed_and_the_change_stands() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = mails(&world).await;
    world.stack.faults().set(Service::Ses, Mode::Refused, 0, 1_000);
    let _ = patch(&world, &token, json!({"email": "new@example.org"})).await.expect(200);
    world.stack.faults().clear();
    assert!(mails(&world).await.is_empty());
    world.advance(120);
    let _ = world.send(world.request(Method::POST, "/_local/cleanup")).await.expect(200);
    assert_eq!(recipients(&mails(&world).await), ["ann@example.com", "new@example.org"]);
}

#[tokio::test]
async fn a_change_ends_all_tokens_but_the_one_it_was_made_with_and_an_administrators_ends_that_as_well() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let earlier = world.token(&ann).await;
    world.advance(60);
    let token = world.token(&ann).await;
    world.advance(60);
    let later = world.token(&ann).await;
    let world = &world;
    let me = |token: String| async move { world.as_user(&token, Method::GET, "/v1/me", None).await };
    let _ = patch(world, &token, json!({"locale": "fr"})).await.expect(200);
    let _ = me(earlier.clone()).await.expect(200);
    let _ = patch(world, &token, json!({"password": "another horse battery", "current_password": PASSWORD})).await.expect(200);
    let _ = me(earlier).await.refused(401, "unauthorized");
    let _ = me(later).await.refused(401, "unauthorized");
    let _ = me(token.clone()).await.expect(200);
    let path = format!("/v1/users/{}", ann.id);
    let _ = world.backend(Method::PATCH, &path, Some(json!({"phone": "+12025550177"}))).await.expect(200);
    let _ = me(token).await.refused(401, "unauthorized");
}
