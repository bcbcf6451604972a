//! Whoever is deleted is gone: what is kept for ever names an id, and neither the name, the mail
//! address nor the number that somebody had, now or before. Looked for in the whole table, and in
//! all that was logged on the way.
//!
//! Alone in this file: the subscriber is the process's.

use reqwest::Method;
use serde_json::{Value, json};
use tests::contacts::{begin, confirm, prove, remove};
use tests::{Memory, PASSWORD, Person, World, another, token_of};

/// Words that occur nowhere else, each a datum that somebody had at some time: usernames, names,
/// mailboxes, numbers, the subject of ID tokens. What stands with the user when the user goes comes
/// last.
const CANARIES: [&str; 13] = [
    "zelda.quillfeather",
    "xanthippe vandersnoot",
    "mailbox.wilhelmina",
    "mailbox.quetzal",
    "2025550187",
    "2025550161",
    "zelda.oxenstierna",
    "perpetua featherstonehaugh",
    "mailbox.zanzibar",
    "4045550193",
    "subject-5e1da",
    "mailbox.yggdrasil",
    "2025550166",
];
/// How many of them the user has when the user goes.
const LATEST: usize = 7;
const PORTAL: &str = "https://portal.example/in";

/// The first of these that stands in `text`, in whatever case.
fn found(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    CANARIES.into_iter().find(|canary| text.contains(canary))
}

/// A user with a datum of every kind, in a world where all ways to sign in are on.
async fn zelda(world: &World) -> Person {
    let settings = json!({"second_factor": {"methods": {"email": true}}, "links": {"redirect_uris": [PORTAL]}});
    let _ = world.settings(settings).await;
    let data = json!({
        "email": "Mailbox.Wilhelmina@example.com", "phone": "+12025550187", "sso_subject": "subject-5e1da", "group": "escrow",
        "name": "Xanthippe Vandersnoot",
    });
    world.user("zelda.quillfeather", data).await
}

/// Signs in by every method, each with a wrong attempt first, and sets up an app.
async fn signs_in(world: &World, zelda: &Person) {
    let _ = world
        .login(&zelda.username, "wrong password")
        .await
        .refused(401, "invalid-credentials");
    for method in ["email", "sms"] {
        let challenge = world.challenge(zelda).await;
        let body = json!({"challenge": challenge, "method": method});
        let request = world
            .request(Method::POST, "/v1/codes")
            .header("idempotency-key", format!("\"{method}\""));
        let _ = world.send(request.json(&body)).await.expect(202);
        let code = world.last_code().await;
        let _ = world
            .verify(&challenge, method, &another(&code))
            .await
            .refused(401, "code-invalid");
        let token = world
            .verify(&challenge, method, &code)
            .await
            .expect(200)
            .text("access_token");
        if method == "sms" {
            let _ = world.enrol(&token).await;
        }
        world.advance(61);
    }
}

/// Comes back by a link of the portal's, and by one after a forgotten password.
async fn comes_by_links(world: &World, zelda: &Person) {
    let body = json!({"user": zelda.id, "redirect_uri": PORTAL});
    let _ = world
        .backend(Method::POST, "/v1/links", Some(body))
        .await
        .expect(202);
    let token = token_of(world.outbox().await.last().unwrap());
    let challenge = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    let body = json!({"account": world.account, "username": zelda.username});
    let _ = world.post("/v1/password/forgotten", body).await.expect(202);
}

/// Proves a contact of each kind, sets a password by the one before, and takes both contacts away.
async fn changes_the_own_profile(world: &World, zelda: &Person) {
    let token = world.token(zelda).await;
    for (method, contact) in [
        ("sms", "+12025550161"),
        ("email", "Mailbox.Quetzal@example.com"),
    ] {
        let _ = prove(world, &token, method, contact).await;
    }
    for (current, status) in [("wrong password", 401), (PASSWORD, 200)] {
        let body = json!({"password": "another horse battery", "current_password": current});
        let _ = world
            .as_user(&token, Method::PATCH, "/v1/me", Some(body))
            .await
            .expect(status);
    }
    for method in ["sms", "email"] {
        let _ = remove(world, &token, method).await.expect(204);
    }
}

/// Says of a contact of each kind that it is the own, and types a wrong code: they wait when the
/// user goes.
async fn begins_others(world: &World, zelda: &Person) {
    let token = world.token(zelda).await;
    for (method, contact) in [
        ("sms", "+12025550166"),
        ("email", "Mailbox.Yggdrasil@example.com"),
    ] {
        let begun = begin(world, &token, method, contact).await.expect(202);
        let wrong = another(&world.last_code().await);
        let _ = confirm(world, &token, method, &begun.text("factor"), &wrong)
            .await
            .refused(401, "code-invalid");
    }
}

/// Everything that an administrator can do to a user: another of each datum, a reset, an unlocking.
async fn is_administered(world: &World, zelda: &Person) -> Person {
    let path = format!("/v1/users/{}", zelda.id);
    let change = json!({
        "username": "Zelda.Oxenstierna", "email": "mailbox.zanzibar@example.com", "phone": "+14045550193", "password": PASSWORD,
        "name": "Perpetua Featherstonehaugh",
    });
    let _ = world
        .backend(Method::PATCH, &path, Some(change))
        .await
        .expect(200);
    let _ = world
        .backend(Method::DELETE, &format!("{path}/factors/totp"), None)
        .await
        .expect(204);
    for _ in 0..6 {
        let _ = world.login("zelda.oxenstierna", "wrong password").await;
    }
    let _ = world
        .backend(Method::POST, &format!("{path}/unlock"), None)
        .await
        .expect(200);
    Person {
        username: "zelda.oxenstierna".into(),
        ..zelda.clone()
    }
}

#[tokio::test]
async fn whoever_is_deleted_is_named_nowhere_any_more() {
    let memory = Memory::listen();
    let world = World::new().await;
    let zelda = zelda(&world).await;
    signs_in(&world, &zelda).await;
    comes_by_links(&world, &zelda).await;
    changes_the_own_profile(&world, &zelda).await;
    let zelda = is_administered(&world, &zelda).await;
    // What is told later is told by then: a mail that is owed has its address until it is sent.
    world.advance(3_600);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await;
    begins_others(&world, &zelda).await;
    // One that is open when the user goes.
    let _ = world.challenge(&zelda).await;
    let before: Vec<String> = world
        .content()
        .await
        .iter()
        .map(|(key, item)| format!("{key} {item}").to_lowercase())
        .collect();
    for canary in &CANARIES[CANARIES.len() - LATEST..] {
        assert!(
            before.iter().any(|item| item.contains(canary)),
            "{canary} was there"
        );
    }

    let _ = world
        .backend(Method::DELETE, &format!("/v1/users/{}", zelda.id), None)
        .await
        .expect(204);

    for (key, item) in world.content().await {
        assert_eq!(found(&format!("{key} {item}")), None, "{key}: {item}");
    }
    let entries = world.audit(&zelda.id).await;
    let told = |action: &str| {
        entries
            .iter()
            .find(|entry| entry["action"] == action)
            .map(|entry| entry["details"].clone())
    };
    assert_eq!(
        (told("user-created"), told("user-deleted")),
        (Some(json!({"kind": "external"})), Some(json!({})))
    );
    let named = |entry: &Value| entry["subject"] == zelda.id.as_str();
    assert!(
        entries.len() > 15 && entries.iter().all(named),
        "the chain stays, and names the id: {entries:?}"
    );
    let logged = memory.text();
    let line = logged.lines().find(|line| found(line).is_some());
    assert!(logged.contains("/v1/users") && line.is_none(), "{line:?}");
}
