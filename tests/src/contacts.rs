//! A new phone or mail address of one's own, as tests ask for it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, World};

/// A code is asked for to a contact that is to be one's own: `method` is `sms` or `email`.
pub async fn begin(world: &World, token: &str, method: &str, contact: &str) -> Answer {
    let field = if method == "sms" { "phone" } else { "email" };
    world
        .as_user(
            token,
            Method::POST,
            &format!("/v1/factors/{method}"),
            Some(json!({ field: contact })),
        )
        .await
}

/// The code of such a contact is typed.
pub async fn confirm(world: &World, token: &str, method: &str, factor: &str, code: &str) -> Answer {
    let body = json!({"factor": factor, "code": code});
    world
        .as_user(
            token,
            Method::POST,
            &format!("/v1/factors/{method}/confirm"),
            Some(body),
        )
        .await
}

/// A contact is proved, and is one's own from then on.
pub async fn prove(world: &World, token: &str, method: &str, contact: &str) -> Answer {
    let begun = begin(world, token, method, contact).await.expect(202);
    let code = world.last_code().await;
    confirm(world, token, method, &begun.text("factor"), &code)
        .await
        .expect(200)
}

/// A contact of one's own is taken away.
pub async fn remove(world: &World, token: &str, method: &str) -> Answer {
    world
        .as_user(
            token,
            Method::DELETE,
            &format!("/v1/factors/{method}"),
            None,
        )
        .await
}

/// What was sent since the last time: to whom, by text or by mail, and what it says.
pub async fn messages(world: &World) -> Vec<(String, String)> {
    let outbox = world.outbox().await;
    let _ = world
        .send(world.request(Method::DELETE, "/_local/outbox"))
        .await;
    let text = |sent: &Value, name: &str| sent[name].as_str().unwrap_or_default().to_owned();
    outbox
        .iter()
        .map(|sent| (text(sent, "to"), text(sent, "text")))
        .collect()
}

/// Of those, whom they went to, in order.
pub fn recipients(messages: &[(String, String)]) -> Vec<&str> {
    let mut to: Vec<&str> = messages.iter().map(|(to, _)| to.as_str()).collect();
    to.sort_unstable();
    to
}
