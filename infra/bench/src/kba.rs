//! The KBA provider's side of the proof: sessions are opened at the local stack's provider, and
//! answered with signed callbacks.
//!
//! The bootstrap of `kba-session` is shown to ask nobody on this machine, and to answer everything
//! else; sessions are opened by [`crate::inside`].

use std::sync::Arc;

use kba_session::{State, handle};
use serde_json::{Value, json};
use shared::agreement::provider::{CachedSecret, Provider};
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::kernel::outbound::Outbound;
use shared::kernel::secret::encode;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

use crate::Fault;
use crate::event::Event;
use crate::inside;
use crate::world::{Way, World};

const FUNCTION: &str = "kba-session";

/// The provider, and the handler that asks it.
pub(crate) struct Vendor {
    state: Arc<State>,
    signer: Webhook,
}

impl Vendor {
    /// The local stack's provider.
    pub async fn of(world: &World) -> Result<Self, Fault> {
        let vendor = world.stack.provider();
        let app = inside::app(world, FUNCTION).await?;
        let held = CachedSecret::given(vendor.api_secret().clone());
        let provider = Provider::new(Outbound::new(&app.config), &app.config, held);
        let signer = Webhook::new(vendor.webhook_secret().expose())?;
        Ok(Self {
            state: Arc::new(State { app, provider }),
            signer,
        })
    }

    /// Opens a session; the bootstrap, asked first, says that there is no provider to be reached.
    pub async fn open(&self, way: &mut Way<'_>, challenge: &str) -> Result<String, Fault> {
        way.ask(FUNCTION, &opening(challenge)).await?.expect(503)?;
        self.session(way, challenge).await
    }

    /// Opens a session through the handler in this process.
    pub async fn session(&self, way: &Way<'_>, challenge: &str) -> Result<String, Fault> {
        let event = opening(challenge);
        if let Way::Handlers(world) = way {
            return world.ask(&event).await?.expect(201)?.text("session");
        }
        let state = Arc::clone(&self.state);
        let (_, body) = inside::ask(&event, |call| handle(state, call)).await?;
        let session = body.get("session").and_then(Value::as_str);
        session
            .map(str::to_owned)
            .ok_or_else(|| format!("no session was opened: {body}").into())
    }

    /// Tells the service how a session went, twice, as a provider does that heard no answer.
    pub async fn say(&self, way: &mut Way<'_>, session: &str, outcome: &str) -> Result<(), Fault> {
        let event = self.message(session, outcome)?;
        way.ask("kba-callback", &event).await?.expect(204)?;
        way.ask("kba-callback", &event).await?.expect(204).map(drop)
    }

    /// The signed message that says how a session went.
    pub fn message(&self, session: &str, outcome: &str) -> Result<Event, Fault> {
        let id = format!("msg_{}", encode(Entropy::system().bytes::<16>()));
        let now = Clock::system().now();
        let token = (outcome == "passed").then(|| json!(format!("tok_{id}")));
        let mut data = json!({ "session": session, "outcome": outcome });
        if let (Some(token), Some(data)) = (token, data.as_object_mut()) {
            data.insert("token".into(), token);
        }
        let body =
            json!({ "type": "kba.session.completed", "timestamp": now.to_rfc3339(), "data": data });
        let signature = self
            .signer
            .sign(&id, now.as_secs(), body.to_string().as_bytes())?;
        let event = Event::post("/v1/kba/callback", body).header(HEADER_WEBHOOK_ID, &id);
        let event = event.header(HEADER_WEBHOOK_TIMESTAMP, &now.as_secs().to_string());
        Ok(event.header(HEADER_WEBHOOK_SIGNATURE, &signature))
    }
}

fn opening(challenge: &str) -> Event {
    Event::post("/v1/kba/sessions", json!({ "challenge": challenge }))
}
