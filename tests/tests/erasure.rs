//! Whoever is deleted is gone: what is kept for ever names an id, and neither the name, the mail address nor the number that somebody had,
//! now or before. Looked for in the whole table, and in all that was logged on the way.
//!
//! Alone in this file: the subscriber is the process's.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Memory, PASSWORD, Person, World, another, token_of};

/// Words that occur nowhere else, each a datum that somebody had at some time: usernames, mailboxes, numbers, the subject of ID tokens.
const CANARIES: [&str; 7] = [
    "zelda.quillfeather",
    "zelda.oxenstierna",
    "mailbox.wilhelmina",
    "mailbox.zanzibar",
    "2025550187",
    "4045550193",
    "subject-5e1da",
];
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
    });
    world.user("zelda.quillfeather", data).await
}

/// Signs in by every method, each with a wrong try first, and sets up an app.
async fn signs_in(world: &World, zelda: &Person) {
    let _ = world.login(&zelda.username, "wrong password").await.refused(401, "invalid-credentials");
    for method in ["email", "sms"] {
        let challenge = world.challenge(zelda).await;
        let body = json!({"challenge": challenge, "method": method});
        let request = world.request(Method::POST, "/v1/codes").header("idempotency-key", format!("\"{method}\""));
        let _ = world.send(request.json(&body)).await.expect(202);
        let code = world.last_code().await;
        let _ = world.verify(&challenge, method, &another(&code)).await.refused(401, "code-invalid");
        let token = world.verify(&challenge, method, &code).await.expect(200).text("access_token");
        if method == "sms" {
            let _ = world.enrol(&token).await;
        }
        world.advance(61);
    }
}

/// Comes back by a link of the portal's, and by one after a forgotten password.
async fn comes_by_links(world: &World, zelda: &Person) {
    let body = json!({"user": zelda.id, "redirect_uri": PORTAL});
    let _ = world.backend(Method::POST, "/v1/links", Some(body)).await.expect(202);
    let token = token_of(world.outbox().await.last().unwrap());
    let challenge = world.post("/v1/links/redeem", json!({"token": token})).await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world.verify(&challenge, "sms", &world.last_code().await).await.expect(200);
    let body = json!({"account": world.account, "username": zelda.username});
    let _ = world.post("/v1/password/forgotten", body).await.expect(202);
}

/// Everything that an administrator can do to a user: another of each datum, a reset, an unlocking.
async fn is_administered(world: &World, zelda: &Person) {
    let path = format!("/v1/users/{}", zelda.id);
    let change = json!({
        "username": "Zelda.Oxenstierna", "email": "mailbox.zanzibar@example.com", "phone": "+14045550193", "password": PASSWORD,
    });
    let _ = world.backend(Method::PATCH, &path, Some(change)).await.expect(200);
    let _ = world.backend(Method::DELETE, &format!("{path}/factors/totp"), None).await.expect(204);
    for _ in 0..6 {
        let _ = world.login("zelda.oxenstierna", "wrong password").await;
    }
    let _ = world.backend(Method::POST, &format!("{path}/unlock"), None).await.expect(200);
    let renamed = Person { username: "zelda.oxenstierna".into(), ..zelda.clone() };
    // One that is open when the user goes.
    let _ = world.challenge(&renamed).await;
}

#[tokio::test]
async fn whoever_is_deleted_is_named_nowhere_any_more() {
    let memory = Memory::listen();
    let world = World::new().await;
    let zelda = zelda(&world).await;
    signs_in(&world, &zelda).await;
    comes_by_links(&world, &zelda).await;
    is_administered(&world, &zelda).await;
    let before = world.content().await;
    assert!(before.iter().any(|(key, item)| found(&format!("{key} {item}")).is_some()), "what is looked for was there");

    let _ = world.backend(Method::DELETE, &format!("/v1/users/{}", zelda.id), None).await.expect(204);

    for (key, item) in world.content().await {
        assert_eq!(found(&format!("{key} {item}")), None, "{key}: {item}");
    }
    let entries = world.audit(&zelda.id).await;
    let told = |action: &str| entries.iter().find(|entry| entry["action"] == action).map(|entry| entry["details"].clone());
    assert_eq!((told("user-created"), told("user-deleted")), (Some(json!({"kind": "external"})), Some(json!({}))));
    let named = |entry: &Value| entry["subject"] == zelda.id.as_str();
    assert!(entries.len() > 15 && entries.iter().all(named), "the chain stays, and names the id: {entries:?}");
    let logged = memory.text();
    let line = logged.lines().find(|line| found(line).is_some());
    assert!(logged.contains("/v1/users") && line.is_none(), "{line:?}");
}
