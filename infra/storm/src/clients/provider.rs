//! The provider of knowledge-based authentication tells how a session went: as often as it likes,
//! late, and twice.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use standardwebhooks::{HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use crate::desk::{Ask, Desk};

/// Where the provider calls from.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
/// How often a message is sent that is not taken.
const TRIES: u32 = 12;

/// Tells it, under a new message id or under `id`, until it is taken; answers with the id.
pub(crate) async fn tell(
    desk: &Desk,
    session: &str,
    outcome: &str,
    id: Option<String>,
) -> Option<String> {
    let id = id.unwrap_or_else(|| format!("msg_{}", desk.place.ground.next()));
    for _ in 0..TRIES {
        let ask = message(desk, &id, session, outcome)?;
        match desk.ask(ask).await.status() {
            // The clock was moved on its way: it is signed anew.
            0 | 401 | 500.. => {}
            _ => break,
        }
    }
    Some(id)
}

/// The message, signed now.
pub(crate) fn message(desk: &Desk, id: &str, session: &str, outcome: &str) -> Option<Ask> {
    let now = desk.place.log.now();
    let mut data = json!({"session": session, "outcome": outcome});
    if outcome == "passed" {
        data.as_object_mut()?
            .insert("token".into(), json!("tok_storm"));
    }
    let body =
        json!({"type": "kba.session.completed", "timestamp": now.to_rfc3339(), "data": data});
    let key = Webhook::new(&desk.place.ground.webhook).ok()?;
    let signature = key
        .sign(id, now.as_secs(), body.to_string().as_bytes())
        .ok()?;
    let ask = Ask::new("POST /v1/kba/callback")
        .with(body)
        .from(SOURCE)
        .about(session)
        .message(id);
    Some(
        ask.header(HEADER_WEBHOOK_TIMESTAMP, now.as_secs().to_string())
            .header(HEADER_WEBHOOK_SIGNATURE, signature),
    )
}
