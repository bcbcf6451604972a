//! The KBA provider, as we know it: a small interface that an adapter to a vendor implements.
//!
//! Vendors' own wire formats are not public, and none is spoken here. What an adapter answers to,
//! at `PROVIDER_URL`:
//!
//! ```text
//! POST <PROVIDER_URL>/v1/sessions
//! Authorization: Bearer <the secret that the deployment and the adapter share>
//! Idempotency-Key: "kba_…"
//! Content-Type: application/json
//!
//! { "reference": "kba_…",              our session's id: what the callback names, and no more
//!   "difficulty": "default" | "hard",  three questions, or four
//!   "callback_url": "https://…/v1/kba/callback",
//!   "expires_in": 480,                 for so many seconds the person may begin
//!   "name": "Ann Miller" }             only where the sender fixed it: the person cannot change it then
//!
//! 201 { "reference": "kba_…", "iframe_url": "https://…" }
//! ```
//!
//! - The same reference again is the same session, and answered alike (200 or 201): we repeat a
//!   request that had no answer.
//! - Nothing else about the person leaves us. Address and digits of the social-security number go
//!   from the frame to the provider, and so does the name, unless the sender gave it.
//! - `iframe_url` is of the origin that the deployment names: our page lets no other be framed.
//! - 429 and 5xx, and no answer, are tried again; anything else says that the deployment is set up
//!   wrongly.
//! - Who has begun is done two minutes after `expires_in` at the latest, or has run out of time: a
//!   session lives ten minutes in all. One that nobody began is over without a word.
//! - How the session went comes as a callback, by Standard Webhooks, until it is answered with 2xx:
//!   see [`crate::agreement::kba::callback`]. `webhook-timestamp` is when the message is sent, each
//!   time anew, and at most five minutes from our clock; `timestamp` in the body is when the
//!   session was over, and stays. The span between the two says how late we are told. A pass within
//!   the ten minutes counts however late that is, unless another session has taken its place or the
//!   agreement has ended; one after them comes to nothing.

mod secrets;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::account::Difficulty;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::config::Config;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::SessionId;
use crate::kernel::outbound::{Limits, Outbound, OutboundError, OutboundResponse};
use crate::kernel::secret::Secret;

pub use secrets::CachedSecret;

/// How often a session is asked for. The provider knows it again by our id.
const ATTEMPTS_MAX: u32 = 3;
/// How long one request may take: a vendor that asks its own sources first takes seconds. Three,
/// and the waits between them, are 18.6 seconds at most, and less than API Gateway gives us.
const LIMITS: Limits = Limits {
    total: Duration::from_secs(6),
    body_max: 16 * 1024,
};
/// The longest wait before the second request; it doubles.
const FIRST_WAIT: u32 = 100;
/// The longest address of a frame.
const ADDRESS_MAX: usize = 2048;

/// The provider, ready to be asked.
#[derive(Clone, Debug)]
pub struct Provider {
    outbound: Outbound,
    sessions: String,
    frame_origin: String,
    secret: CachedSecret<Secret<String>>,
}

/// What a session is opened with. There is nothing else that the provider is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// Our session.
    pub reference: SessionId,
    /// How many questions.
    pub difficulty: Difficulty,
    /// Where the callback goes.
    pub callback_url: String,
    /// For how long the person may begin.
    pub expires_in: Span,
    /// The person's name, where the sender fixed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The provider opened no session that can be used. Why is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpened;

/// A session that the provider says it has opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Opened {
    reference: SessionId,
    iframe_url: String,
}

impl Opened {
    /// Reads the provider's answer; `None` where it is not what the interface has.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether it is this session, on a page of this origin.
    pub fn fits(&self, reference: SessionId, frame_origin: &str) -> bool {
        self.reference == reference && self.may_be_framed(frame_origin)
    }

    fn may_be_framed(&self, frame_origin: &str) -> bool {
        let url = Url::parse(&self.iframe_url)
            .ok()
            .filter(|_| self.iframe_url.len() <= ADDRESS_MAX);
        url.is_some_and(|url| {
            let bare = url.username().is_empty() && url.password().is_none();
            bare && url.origin().is_tuple() && url.origin().ascii_serialization() == frame_origin
        })
    }
}

impl Provider {
    /// The provider that the deployment names, if it names one.
    pub fn new(
        outbound: Outbound,
        config: &Config,
        secret: CachedSecret<Secret<String>>,
    ) -> Option<Self> {
        let base = config.provider_url.as_deref()?;
        let sessions = format!("{}/v1/sessions", base.trim_end_matches('/'));
        Some(Self {
            outbound,
            sessions,
            frame_origin: config.provider_frame_origin()?,
            secret,
        })
    }

    /// Opens a session; answers with the address of its frame.
    pub async fn open(
        &self,
        opening: &Opening,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<String, NotOpened> {
        let secret = self.secret.current(now).await.ok_or(NotOpened)?;
        let authorization = Secret::new(format!("Bearer {}", secret.expose()));
        let key = format!("\"{}\"", opening.reference);
        let headers = [
            ("authorization", authorization.expose().as_str()),
            ("idempotency-key", key.as_str()),
        ];
        let body = serde_json::to_vec(opening).map_err(|_| NotOpened)?;
        let mut wait = FIRST_WAIT;
        for attempt in 1..=ATTEMPTS_MAX {
            let answer = self
                .outbound
                .post(&self.sessions, &headers, body.clone(), LIMITS)
                .await;
            match self.read(answer, opening.reference) {
                Read::Opened(address) => return Ok(address),
                Read::Refused => return Err(NotOpened),
                Read::Again if attempt == ATTEMPTS_MAX => return Err(NotOpened),
                Read::Again => {
                    tokio::time::sleep(Duration::from_millis(u64::from(entropy.below(wait) + 1)))
                        .await;
                }
            }
            wait *= 2;
        }
        Err(NotOpened)
    }

    fn read(&self, answer: Result<OutboundResponse, OutboundError>, reference: SessionId) -> Read {
        let answer = match answer {
            Ok(answer) => answer,
            Err(OutboundError::NotAllowed) => {
                tracing::error!(
                    "PROVIDER_URL is not an allowed address; the KBA session was not opened; correct PROVIDER_URL"
                );
                return Read::Refused;
            }
            Err(cause) => {
                tracing::warn!(
                    ?cause,
                    "KBA provider did not respond; the request may be retried; if repeated, contact the provider"
                );
                return Read::Again;
            }
        };
        if let Some(read) = refused(answer.status) {
            return read;
        }
        // What the provider says is not repeated: it may hold what nobody should read.
        let fits = |opened: &Opened| opened.fits(reference, &self.frame_origin);
        if let Some(Opened { iframe_url, .. }) = Opened::read(&answer.body).filter(fits) {
            return Read::Opened(iframe_url);
        }
        tracing::error!(
            "KBA provider's response does not match its API; the session was not opened; contact the provider"
        );
        Read::Refused
    }
}

enum Read {
    Opened(String),
    Again,
    Refused,
}

/// What comes of an answer that opened no session, by its status.
fn refused(status: u16) -> Option<Read> {
    match status {
        200 | 201 => None,
        429 | 500.. => {
            tracing::warn!(
                provider.status = status,
                "KBA provider did not open a session; the request may be retried; if repeated, contact the provider"
            );
            Some(Read::Again)
        }
        status => {
            tracing::error!(
                provider.status = status,
                "KBA provider rejected the request; the session was not opened; check PROVIDER_URL and the provider's key"
            );
            Some(Read::Refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        let config = Config {
            provider_url: Some("https://kba.example/api/".into()),
            ..Config::read(|_| None)
        };
        let held = CachedSecret::given(Secret::new("secret".to_owned()));
        Provider::new(Outbound::new(&config), &config, held).unwrap()
    }

    fn opening() -> Opening {
        Opening {
            reference: SessionId::from_bytes([1; 16]),
            difficulty: Difficulty::Hard,
            callback_url: "https://api.example/v1/kba/callback".into(),
            expires_in: Span::minutes(8),
            name: None,
        }
    }

    fn read(status: u16, body: &serde_json::Value) -> Read {
        let answer = OutboundResponse {
            status,
            body: body.to_string().into_bytes(),
        };
        provider().read(Ok(answer), opening().reference)
    }

    #[test]
    fn a_session_is_opened_with_these_words_alone() {
        let sent = serde_json::to_value(opening()).unwrap();
        let reference = opening().reference.to_string();
        assert_eq!(
            sent,
            serde_json::json!({"reference": reference, "difficulty": "hard", "expires_in": 480,
                "callback_url": "https://api.example/v1/kba/callback"})
        );
        assert_eq!(provider().sessions, "https://kba.example/api/v1/sessions");
    }

    #[test]
    fn only_a_frame_of_the_named_origin_is_shown() {
        let (own, other) = (opening().reference, SessionId::from_bytes([2; 16]));
        let opened = |reference, iframe_url| {
            read(
                201,
                &serde_json::json!({"reference": reference, "iframe_url": iframe_url}),
            )
        };
        assert!(matches!(
            opened(own, "https://kba.example/s/1"),
            Read::Opened(_)
        ));
        assert!(matches!(
            opened(other, "https://kba.example/s/1"),
            Read::Refused
        ));
        for address in [
            "http://kba.example/s/1",
            "https://kba.example:444/s/1",
            "https://kba.example.evil.example/",
            "https://user@kba.example/",
            "//kba.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "",
        ] {
            assert!(matches!(opened(own, address), Read::Refused), "{address}");
        }
    }

    #[test]
    fn what_may_be_better_the_next_time_is_tried_again() {
        let nothing = serde_json::json!({});
        for status in [429, 500, 503] {
            assert!(matches!(read(status, &nothing), Read::Again), "{status}");
        }
        for status in [200, 302, 400, 401, 404] {
            assert!(matches!(read(status, &nothing), Read::Refused), "{status}");
        }
        assert!(matches!(
            provider().read(Err(OutboundError::TooSlow), opening().reference),
            Read::Again
        ));
        assert!(matches!(
            provider().read(Err(OutboundError::NotAllowed), opening().reference),
            Read::Refused
        ));
    }

    #[test]
    fn without_an_address_there_is_no_provider() {
        let config = Config::read(|_| None);
        assert!(
            Provider::new(
                Outbound::new(&config),
                &config,
                CachedSecret::given(Secret::new("secret".to_owned()))
            )
            .is_none()
        );
    }
}
