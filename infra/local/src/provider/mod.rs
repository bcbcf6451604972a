//! A KBA provider for this machine, on an origin of its own: it opens sessions, asks its questions
//! on its own page, and tells how a session went with a signed callback. It speaks the interface
//! that `shared::agreement::provider` describes.
//!
//! What a person types here stays here, and only for as long as it takes to make questions of it.

mod callback;
mod questions;
mod secrets;
mod session;
mod web;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use shared::agreement::kba::webhook;
use shared::agreement::provider::CachedSecret;
use shared::kernel::clock::Clock;
use shared::kernel::config::Config;
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::SessionId;
use shared::kernel::outbound::Outbound;
use shared::kernel::secret::{Secret, encode};
use tokio::net::TcpListener;

use crate::serving::Serving;

pub use callback::{Delivered, Outcome, Sent};
pub(crate) use secrets::Secrets;
use session::{Opening, Session};

/// How often it is looked whether somebody ran out of time.
const WATCH: Duration = Duration::from_millis(500);
/// How many sessions are remembered; the oldest makes room.
const KEPT_MAX: usize = 10_000;

/// The provider, shared by all clones.
#[derive(Clone, Debug)]
pub struct Provider(Arc<Desk>);

/// What the service has of the provider.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub client: Option<shared::agreement::provider::Provider>,
    pub secrets: Option<CachedSecret<webhook::Secrets>>,
}

#[derive(Debug)]
struct Desk {
    origin: String,
    clock: Clock,
    entropy: Entropy,
    secrets: Secrets,
    /// Where callbacks go that no session says it of.
    callback_url: String,
    http: reqwest::Client,
    /// By reference: the id of the service's session.
    sessions: Mutex<BTreeMap<String, Session>>,
    sent: Mutex<Vec<Sent>>,
}

impl Provider {
    /// A provider that answers at `origin`, and calls the service at `service`.
    pub(crate) fn new(
        origin: String,
        service: &str,
        clock: Clock,
        entropy: Entropy,
        secrets: Secrets,
    ) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(35))
            .build()
            .unwrap_or_default();
        let callback_url = format!("{service}/v1/kba/callback");
        let (sessions, sent) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Desk {
            origin,
            clock,
            entropy,
            secrets,
            callback_url,
            http,
            sessions,
            sent,
        }))
    }

    /// Serves it on `listener`, until it is stopped.
    pub(crate) fn serve(&self, listener: TcpListener) -> Serving {
        tokio::spawn(watch(Arc::downgrade(&self.0)));
        Serving::router(listener, web::router(self.clone()))
    }

    /// What the service has of it: a client, and the secrets of its callbacks.
    pub(crate) fn vendor(&self, outbound: Outbound, config: &Config) -> Vendor {
        let Secrets { api, webhook } = &self.0.secrets;
        let client = shared::agreement::provider::Provider::new(
            outbound,
            config,
            CachedSecret::given(api.clone()),
        );
        Vendor {
            client,
            secrets: webhook::Secrets::read([webhook]).map(CachedSecret::given),
        }
    }

    /// Where it answers.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The secret that the service shows it.
    pub fn api_secret(&self) -> &Secret<String> {
        &self.0.secrets.api
    }

    /// The secret that it signs its callbacks with.
    pub fn webhook_secret(&self) -> &Secret<String> {
        &self.0.secrets.webhook
    }

    /// What it was told of a session when that was opened, as it was sent.
    pub fn opening(&self, session: &str) -> Option<Value> {
        self.0
            .sessions()
            .get(session)
            .map(|session| session.opening.sent.clone())
    }

    /// How many sessions were opened.
    pub fn opened(&self) -> usize {
        self.0.sessions().len()
    }

    /// Every message that was sent to the service, the oldest first; one that was repeated stands
    /// here once a time.
    pub fn sent(&self) -> Vec<Sent> {
        self.0
            .sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Opens a session, once for each reference. Answers with the address of its page, and whether
    /// it is new; or with nothing, where the same reference was opened with other words.
    fn open(&self, opening: Opening) -> Option<(String, bool)> {
        let mut sessions = self.0.sessions();
        if let Some(known) = sessions.get(&opening.reference) {
            return (known.opening.sent == opening.sent).then(|| (self.page(&known.key), false));
        }
        let key = encode(self.0.entropy.bytes::<24>());
        let page = self.page(&key);
        if sessions.len() >= KEPT_MAX {
            sessions.pop_first();
        }
        sessions.insert(
            opening.reference.clone(),
            Session::new(opening, key, self.0.clock.now()),
        );
        Some((page, true))
    }

    /// Answers `session` so, with a callback, as if its questions had been answered.
    pub async fn answer(&self, session: SessionId, outcome: Outcome) -> Delivered {
        let reference = session.to_string();
        let address = {
            let mut sessions = self.0.sessions();
            let known = sessions.get_mut(&reference);
            known.map_or_else(
                || self.0.callback_url.clone(),
                |session| session.end(outcome),
            )
        };
        callback::deliver(&self.0, &reference, outcome, &address).await
    }

    fn page(&self, key: &str) -> String {
        format!("{}/verify/{key}", self.0.origin)
    }
}

impl Desk {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, sent: Sent) {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sent);
    }
}

/// Whoever looked at the questions and walked away has run out of time, whether their page is still
/// open or not.
async fn watch(desk: Weak<Desk>) {
    loop {
        tokio::time::sleep(WATCH).await;
        let Some(desk) = desk.upgrade() else { return };
        let now = desk.clock.now();
        let late = |session: &&mut Session| session.is_late(now);
        let ended: Vec<(String, String)> = {
            let mut sessions = desk.sessions();
            let late = sessions.values_mut().filter(late);
            late.map(|session| {
                (
                    session.opening.reference.clone(),
                    session.end(Outcome::TimedOut),
                )
            })
            .collect()
        };
        for (reference, address) in ended {
            callback::deliver(&desk, &reference, Outcome::TimedOut, &address).await;
        }
    }
}
