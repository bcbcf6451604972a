//! The inbox: what SES and SNS would have delivered. It speaks their wire protocols on a port of
//! its own and keeps what it is given.

mod ses;
mod sns;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::routing::post;
use serde::Serialize;
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use tokio::sync::mpsc;

use crate::StartError;
use crate::engine::internal_port;
use crate::serving::Serving;
use crate::worker::TRACE;

/// The most messages kept; the oldest go first.
const KEPT_MAX: usize = 10_000;
/// SES takes messages of 40 MB.
const BODY_MAX: usize = 40 * 1024 * 1024;

/// How a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// By SES.
    Email,
    /// By SNS.
    Sms,
}

/// A message to one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// How it went.
    pub channel: Channel,
    /// The mail address or the phone number.
    pub to: String,
    /// The sender: an address, or an SMS's alphanumeric sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A mail's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The plain text.
    pub text: String,
    /// The same as HTML, where the mail has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// An SMS's kind, as the sender asked for it: `Transactional` or `Promotional`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms_type: Option<String>,
    /// A mail's tags, which SES's events carry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was taken, by the service's clock.
    pub at: String,
    /// The trace that it was sent under, where the sender has one: see [`crate::TRACE`].
    #[serde(skip)]
    pub trace: Option<String>,
}

/// What was sent, the oldest first. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Message>,
    readers: Vec<mpsc::UnboundedSender<Message>>,
}

impl Outbox {
    /// All messages, the oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.kept().messages.iter().cloned().collect()
    }

    /// The newest message to `destination`.
    pub fn latest_to(&self, destination: &str) -> Option<Message> {
        self.kept()
            .messages
            .iter()
            .rev()
            .find(|message| message.to == destination)
            .cloned()
    }

    /// Forgets all messages.
    pub fn clear(&self) {
        self.kept().messages.clear();
    }

    /// Every message from now on, in the order in which they are taken.
    pub fn follow(&self) -> mpsc::UnboundedReceiver<Message> {
        let (reader, messages) = mpsc::unbounded_channel();
        self.kept().readers.push(reader);
        messages
    }

    fn take(&self, messages: impl IntoIterator<Item = Message>) {
        let mut kept = self.kept();
        for message in messages {
            kept.readers
                .retain(|reader| reader.send(message.clone()).is_ok());
            kept.messages.push_back(message);
        }
        let over = kept.messages.len().saturating_sub(KEPT_MAX);
        kept.messages.drain(..over);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trace that a call came under.
fn trace(headers: &HeaderMap) -> Option<String> {
    headers
        .get(TRACE)
        .and_then(|trace| trace.to_str().ok())
        .map(str::to_owned)
}

/// What the two protocols need.
#[derive(Clone, Debug)]
struct Desk {
    outbox: Outbox,
    clock: Clock,
    entropy: Entropy,
}

impl Desk {
    fn now(&self) -> String {
        self.clock.now().to_rfc3339()
    }

    /// An id as AWS has them.
    fn message_id(&self) -> String {
        let bits = u128::from_be_bytes(self.entropy.bytes());
        let hex = format!("{bits:032x}");
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
        [
            part(0..8),
            part(8..12),
            part(12..16),
            part(16..20),
            part(20..32),
        ]
        .join("-")
    }
}

/// Starts the inbox; answers with its address.
pub(crate) async fn start(
    outbox: Outbox,
    clock: Clock,
    entropy: Entropy,
) -> Result<(String, Serving), StartError> {
    let (listener, endpoint) = internal_port().await?;
    let router = Router::new()
        .route("/v2/email/outbound-emails", post(ses::send_email))
        .route("/", post(sns::act))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Desk {
            outbox,
            clock,
            entropy,
        });
    Ok((endpoint, Serving::router(listener, router)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::kernel::clock::Timestamp;

    #[test]
    fn the_oldest_messages_go_first() {
        let outbox = Outbox::default();
        let message = |to: usize| Message {
            channel: Channel::Sms,
            to: to.to_string(),
            from: None,
            subject: None,
            text: String::new(),
            html: None,
            sms_type: None,
            tags: BTreeMap::new(),
            at: String::new(),
            trace: None,
        };
        outbox.take((0..KEPT_MAX + 5).map(message));
        assert_eq!(outbox.messages().len(), KEPT_MAX);
        assert_eq!(
            outbox.messages().first().map(|message| message.to.clone()),
            Some("5".into())
        );
    }

    #[test]
    fn a_message_id_looks_like_a_uuid() {
        let desk = Desk {
            outbox: Outbox::default(),
            clock: Clock::fixed_at(Timestamp::from_millis(0)),
            entropy: Entropy::seeded(1),
        };
        let lengths: Vec<_> = desk.message_id().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
