//! Telling the service how a session went: Standard Webhooks, signed with the specification's own
//! crate, and sent again under the same id while there is no answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::kernel::secret::encode;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

use super::Desk;

/// How often a message is sent that is not answered with 2xx: whatever else is answered may be
/// another the next time.
const TRIES: u32 = 5;
/// The wait before the second time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How a session can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Enough answers were right.
    Passed,
    /// Too few were.
    Failed,
    /// The questions were shown, and not answered in time.
    TimedOut,
    /// Nobody of that name and address was found.
    NotLocatable,
    /// The provider itself failed.
    ProviderError,
}

/// What became of a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The service's answer; 0 where there was none.
    pub status: u16,
    /// The token of a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A message as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// Its time.
    pub timestamp: i64,
    /// Its signature.
    pub signature: String,
    /// Its body.
    pub body: String,
    /// What was answered; 0 where nothing was.
    pub status: u16,
}

/// Tells the service at `address` that the session of `reference` went so.
pub(super) async fn deliver(
    desk: &Desk,
    reference: &str,
    outcome: Outcome,
    address: &str,
) -> Delivered {
    let token =
        (outcome == Outcome::Passed).then(|| format!("tok_{}", encode(desk.entropy.bytes::<16>())));
    let mut data = json!({ "session": reference, "outcome": outcome });
    if let (Some(token), Some(data)) = (&token, data.as_object_mut()) {
        data.insert("token".into(), json!(token));
    }
    let at = desk.clock.now().to_rfc3339();
    let body =
        json!({ "type": "kba.session.completed", "timestamp": at, "data": data }).to_string();
    let id = format!("msg_{}", encode(desk.entropy.bytes::<16>()));
    let mut wait = FIRST_WAIT;
    let mut tried = 1;
    loop {
        let status = send(desk, &id, &body, address).await;
        if (200..300).contains(&status) || tried == TRIES {
            return Delivered { status, token };
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
        tried += 1;
    }
}

async fn send(desk: &Desk, id: &str, body: &str, address: &str) -> u16 {
    // A message that is sent again says when it is sent, not when it first was.
    let timestamp = desk.clock.now().as_secs();
    let signed = Webhook::new(desk.secrets.webhook.expose())
        .and_then(|key| key.sign(id, timestamp, body.as_bytes()));
    let Ok(signature) = signed else { return 0 };
    let request = desk
        .http
        .post(address)
        .header("content-type", "application/json");
    let request = request
        .header(HEADER_WEBHOOK_ID, id)
        .header(HEADER_WEBHOOK_TIMESTAMP, timestamp);
    let answer = request
        .header(HEADER_WEBHOOK_SIGNATURE, &signature)
        .body(body.to_owned())
        .send()
        .await;
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    desk.keep(Sent {
        id: id.to_owned(),
        timestamp,
        signature,
        body: body.to_owned(),
        status,
    });
    status
}
