//! A request through the gateway, and a message as the provider signs it.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::Stranded;
use crate::{Incoming, Stack};

/// Where requests come from.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));
/// The largest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// The way to the handlers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    pub stack: &'a Stack,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// A text in the body.
    pub fn text(&self, pointer: &str) -> Result<String, Stranded> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| Stranded(format!("no {pointer} in {} {}", self.status, self.body)))
    }
}

impl<'a> Wire<'a> {
    pub const fn new(stack: &'a Stack) -> Self {
        Self { stack }
    }

    /// A request.
    pub async fn send(
        self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Stranded> {
        let wrong = |error: &dyn std::fmt::Display| Stranded(error.to_string());
        let mut map = HeaderMap::new();
        let kind = body.map(|_| ("content-type", "application/json"));
        for (name, value) in headers.iter().copied().chain(kind) {
            let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
            map.insert(name, HeaderValue::from_str(value).map_err(|error| wrong(&error))?);
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| wrong(&error))?;
        let uri = Uri::try_from(path).map_err(|error| wrong(&error))?;
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let incoming = Incoming { method, uri, headers: map, body, peer: PEER };
        let (parts, body) = self.stack.gateway().answer(incoming).await.into_parts();
        let body = axum::body::to_bytes(body, ANSWER_MAX).await.map_err(|error| wrong(&error))?;
        Ok(Answer { status: parts.status.as_u16(), body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// A POST by the operator.
    pub async fn operator(self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer, Stranded> {
        let bearer = format!("Bearer {}", self.stack.operator_key().expose());
        let key = key.map(|key| ("idempotency-key", key));
        let headers: Vec<_> = std::iter::once(("authorization", bearer.as_str())).chain(key).collect();
        self.send("POST", path, Some(body), &headers).await
    }

    /// The provider's message `id`, signed now.
    pub async fn callback(self, id: &str, session: &str, outcome: &str) -> Result<Answer, Stranded> {
        let now = self.stack.clock().now();
        let mut data = json!({"session": session, "outcome": outcome});
        if let Some(data) = data.as_object_mut().filter(|_| outcome == "passed") {
            data.insert("token".into(), json!("tok_storm"));
        }
        let body = json!({"type": "kba.session.completed", "timestamp": now.to_rfc3339(), "data": data});
        let secret = self.stack.provider().webhook_secret().expose();
        let signed = Webhook::new(secret).and_then(|key| key.sign(id, now.as_secs(), body.to_string().as_bytes()));
        let signature = signed.map_err(|error| Stranded(error.to_string()))?;
        let at = now.as_secs().to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature.as_str())];
        self.send("POST", "/v1/kba/callback", Some(&body), &headers).await
    }

    /// The token of the link that was last mailed to `address`.
    pub fn link(self, address: &str) -> Option<String> {
        let mail = self.stack.outbox().latest_to(address)?;
        let (_, rest) = mail.text.split_once("/link#")?;
        rest.split_whitespace().next().map(str::to_owned)
    }
}
