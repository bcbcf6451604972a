//! The `/_local` routes: the inbox, the clock, the clean-up, the provider, the faults. None of them
//! exists in what is deployed.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response};
use expiry_cleanup::Batch;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use shared::kernel::clock::Span;
use shared::kernel::ids::RequestId;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::{Body as JsonBody, Outcome, Problem, Reply, Slug};

use crate::event::Incoming;
use crate::faults::Faults;
use crate::inbox::Outbox;
use crate::order;
use crate::provider::{Outcome as SessionOutcome, Provider};
use crate::store::Store;

/// The furthest that the clock is moved at once: a century.
const ADVANCE_MAX: i64 = 100 * 366 * 86_400;

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self' data: blob:; form-action 'self'; base-uri 'none'";

/// What the routes act on.
#[derive(Debug)]
pub(crate) struct Control {
    pub app: App,
    pub courier: Courier,
    pub outbox: Outbox,
    pub faults: Faults,
    pub store: Arc<Store>,
    pub provider: Provider,
}

/// `POST /_local/clock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(deserialize_with = "seconds")]
    advance: i64,
}

/// `POST /_local/kba/{session}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    outcome: SessionOutcome,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let refused = || {
        D::Error::custom(format_args!(
            "must be a whole number of seconds, 0 to {ADVANCE_MAX}"
        ))
    };
    let seconds = i64::deserialize(deserializer).map_err(|_| refused())?;
    if (0..=ADVANCE_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(refused())
    }
}

impl Control {
    /// Answers the request for `path`, what stands after `/_local`.
    pub async fn answer(&self, path: &str, incoming: &Incoming) -> Response<Body> {
        let id = RequestId::new(self.app.clock.now(), &self.app.entropy).to_string();
        let reply = self
            .act(path, incoming)
            .await
            .unwrap_or_else(|problem| problem.into_reply(&id));
        let (parts, body) = reply.into_response().into_parts();
        Response::from_parts(parts, Body::from(body.to_vec()))
    }

    async fn act(&self, path: &str, incoming: &Incoming) -> Outcome {
        let allowed: &[Method] = match path {
            "" | "/" | "/inbox.css" | "/inbox.js" => &[Method::GET, Method::HEAD],
            "/outbox" => &[Method::GET, Method::HEAD, Method::DELETE],
            "/clock" | "/faults" => &[Method::GET, Method::HEAD, Method::POST],
            "/cleanup" => &[Method::POST],
            path if path.starts_with("/kba/") => &[Method::POST],
            _ => return Err(Problem::new(Slug::NotFound)),
        };
        if !allowed.contains(&incoming.method) {
            let allow = allowed
                .iter()
                .map(Method::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Problem::new(Slug::MethodNotAllowed).header("allow", allow));
        }
        from_here(incoming)?;
        let changes = incoming.method == Method::POST;
        match path {
            "" => Ok(Reply::empty()
                .with_status(308)
                .header("location", "/_local/".into())),
            "/" => Ok(page(
                "text/html; charset=utf-8",
                include_str!("../assets/inbox.html"),
            )),
            "/inbox.css" => Ok(page(
                "text/css; charset=utf-8",
                include_str!("../assets/inbox.css"),
            )),
            "/inbox.js" => Ok(page(
                "text/javascript; charset=utf-8",
                include_str!("../assets/inbox.js"),
            )),
            "/outbox" => Ok(self.outbox(&incoming.method)),
            "/clock" if changes => self.advance(&incoming.body),
            "/clock" => Ok(self.now()),
            "/cleanup" => Ok(Reply::json(
                &expiry_cleanup::run(&self.app, &self.courier, Batch::default()).await,
            )),
            "/faults" if changes => self.plan(&incoming.body),
            path if path.starts_with("/kba/") => {
                self.provider_answers(path.trim_start_matches("/kba/"), &incoming.body)
                    .await
            }
            _ => Ok(Reply::json(&self.faults.report())),
        }
    }

    fn outbox(&self, method: &Method) -> Reply {
        if *method == Method::DELETE {
            self.outbox.clear();
            return Reply::empty().with_status(204);
        }
        Reply::json(&self.outbox.messages())
    }

    fn now(&self) -> Reply {
        Reply::json(&json!({ "now": self.app.clock.now().to_rfc3339() }))
    }

    fn advance(&self, body: &[u8]) -> Outcome {
        let Advance { advance } = JsonBody::read(value(body)?)?;
        self.app.clock.advance(Span::seconds(advance));
        let kept = self.store.update(|state| state.clock_ahead += advance);
        kept.map_err(|error| Problem::internal("keeping the clock", &error.to_string()))?;
        Ok(self.now())
    }

    /// The provider answers a session. It does so for sessions that it never opened, as well: the
    /// service has to bear it.
    async fn provider_answers(&self, session: &str, body: &[u8]) -> Outcome {
        let session = session.parse().map_err(|_| Problem::new(Slug::NotFound))?;
        let Answer { outcome } = read(value(body)?)?;
        Ok(Reply::json(&self.provider.answer(session, outcome).await))
    }

    fn plan(&self, body: &[u8]) -> Outcome {
        let value = value(body)?;
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            self.faults.clear();
            return Ok(Reply::json(&self.faults.report()));
        }
        let (service, plan) = order::read(value)?;
        self.faults.follow(service, plan);
        Ok(Reply::json(&self.faults.report()))
    }
}

/// Another site's page, open in the same browser, may not steer the stack.
fn from_here(incoming: &Incoming) -> Result<(), Problem> {
    let site = incoming
        .headers
        .get("sec-fetch-site")
        .map(HeaderValue::as_bytes);
    let elsewhere = matches!(site, Some(b"cross-site" | b"same-site"));
    let reads = [Method::GET, Method::HEAD].contains(&incoming.method);
    if elsewhere && !reads {
        Err(Problem::new(Slug::Forbidden))
    } else {
        Ok(())
    }
}

fn page(content_type: &str, text: &'static str) -> Reply {
    Reply::document(content_type, text, "no-cache")
        .header("content-security-policy", PAGE_POLICY.into())
        .header("referrer-policy", "no-referrer".into())
}

fn value(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::invalid_field(
            "",
            format!(
                "is not JSON: line {} column {}",
                error.line(),
                error.column()
            ),
        )
    })
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    JsonBody::read(value)
}
