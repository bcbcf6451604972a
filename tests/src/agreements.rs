//! Agreements, as tests send them.

use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};

use crate::{Answer, World};

/// Sends an agreement.
pub async fn send_with(world: &World, key: &str, body: &Value) -> Answer {
    let request = world
        .request(Method::POST, "/v1/agreements")
        .bearer_auth(&world.key);
    world
        .send(request.header("idempotency-key", key).json(body))
        .await
}

/// An agreement with these recipients.
pub fn agreement(recipients: &Value) -> Value {
    json!({"title": "Lease", "sender": {"email": "sales@alder.example", "name": "Robin Alder"}, "recipients": recipients})
}

/// A recipient who can be asked for anything.
pub fn person(number: usize, authentication: &str) -> Value {
    json!({
        "email": format!("r{number}@example.com"), "name": format!("Person {number}"), "country": "US",
        "phone": format!("+12025550{number:03}"), "authentication": authentication,
    })
}

/// Buys transactions.
pub async fn buy(world: &World, transactions: u32) {
    let body = json!({"account": world.account, "transactions": transactions});
    let request = world
        .request(Method::POST, "/v1/quota/topups")
        .bearer_auth(crate::OPERATOR);
    let _ = world
        .send(
            request
                .header("idempotency-key", format!("order-{transactions}"))
                .json(&body),
        )
        .await
        .expect(201);
}

/// A world whose account has KBA on, and so many transactions.
pub async fn with_kba(transactions: u32) -> World {
    let world = World::new().await;
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    buy(&world, transactions).await;
    world
}

/// What is available, reserved and consumed.
pub async fn quota(world: &World) -> (i64, i64, i64) {
    let quota = world
        .backend(Method::GET, "/v1/quota", None)
        .await
        .expect(200)
        .body;
    let of = |name: &str| quota[name].as_i64().unwrap();
    assert_eq!(
        of("purchased"),
        of("available") + of("reserved") + of("consumed")
    );
    (of("available"), of("reserved"), of("consumed"))
}

/// Runs the clean-up.
pub async fn clean(world: &World) -> Value {
    let report = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200)
        .body;
    assert_eq!(report["failed"], 0, "{report}");
    report
}

/// The actions in an agreement's report, whose chain has to be whole.
pub async fn steps(world: &World, sent: &Answer) -> Vec<String> {
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    let report = world
        .backend(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    let entries: Vec<Entry> = serde_json::from_value(report["entries"].clone()).unwrap();
    assert_eq!(first_broken(&entries), None);
    report["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect()
}

/// The path of a recipient of an agreement that was sent.
pub fn recipient_path(sent: &Answer, place: usize) -> String {
    format!(
        "/v1/agreements/{}/recipients/{}",
        sent.text("id"),
        sent.body["recipients"][place]["id"].as_str().unwrap()
    )
}

/// The links that were mailed to an address, the oldest first.
pub async fn links(world: &World, email: &str) -> Vec<String> {
    let to = |mail: &&Value| mail["to"] == email;
    let link = |mail: &Value| {
        mail["text"].as_str()?.split("/link#").nth(1).map(|rest| {
            rest.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    world
        .outbox()
        .await
        .iter()
        .filter(to)
        .filter_map(link)
        .collect()
}

/// Opens a link.
pub async fn open(world: &World, token: &str) -> Answer {
    world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
}

/// Opens the last link that was mailed to an address.
pub async fn open_last(world: &World, email: &str) -> Answer {
    let links = links(world, email).await;
    open(
        world,
        links
            .last()
            .unwrap_or_else(|| panic!("nothing was mailed to {email}")),
    )
    .await
}

/// Says that a recipient has signed.
pub async fn complete(world: &World, sent: &Answer, place: usize) -> Answer {
    world
        .backend(
            Method::POST,
            &format!("{}/complete", recipient_path(sent, place)),
            None,
        )
        .await
}

/// A challenge that a code by SMS is owed for: of a user, or of a recipient.
pub async fn challenge_of(world: &World, is_recipient: bool) -> String {
    if !is_recipient {
        return world.challenge(&world.user("ann", json!({})).await).await;
    }
    let _ = send_with(world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge")
}

/// The same, and the code that was sent for it.
pub async fn sent_a_code(world: &World, is_recipient: bool) -> (String, String) {
    let challenge = challenge_of(world, is_recipient).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    (challenge, world.last_code().await)
}
