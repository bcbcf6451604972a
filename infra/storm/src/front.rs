//! The front door: what stands for API Gateway. Clients call it over HTTP; it says from which
//! address they do, hands each request to a worker of its own, and answers for those that die.
//! Nothing else reaches the service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use futures_util::future::BoxFuture;
use futures_util::stream;
use local::{Incoming, Worker};
use serde_json::Value;
use shared::kernel::clock::{Clock, Span};
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use crate::log::Trouble;

/// The header that says which call of the history a request is.
pub(crate) const CALL: &str = "x-storm-call";
/// The header that says where it comes from.
pub(crate) const SOURCE: &str = "x-storm-source";
/// The header that says what becomes of who works on it: see [`Fate`].
pub(crate) const FATE: &str = "x-storm-fate";
/// The largest body that is read: as API Gateway has it.
const BODY_MAX: usize = 10 * 1024 * 1024;

/// The service behind the door.
pub trait Service: Send + Sync + 'static {
    /// Lets `worker` answer a request; nothing comes back where it dies.
    fn answer<'a>(
        &'a self,
        incoming: Incoming,
        worker: &'a Worker,
    ) -> BoxFuture<'a, Option<Response<Body>>>;

    /// Lets `worker` run the scheduled clean-up; answers with its report.
    fn clean_up<'a>(&'a self, worker: &'a Worker) -> BoxFuture<'a, Option<Value>>;

    /// The service's clock has been moved.
    fn clock_moved(&self) {}
}

/// What becomes of who works on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They live.
    Lives,
    /// They die once so many of their own calls have taken effect.
    Dies(u32),
    /// They live, and their answer is lost on its way.
    IsNotHeard,
}

impl Fate {
    /// As the header has it.
    pub fn header(self) -> String {
        match self {
            Self::Lives => "lives".into(),
            Self::Dies(after) => after.to_string(),
            Self::IsNotHeard => "lost".into(),
        }
    }

    fn read(headers: &HeaderMap) -> Self {
        let text = headers
            .get(FATE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match text.parse() {
            Ok(after) => Self::Dies(after),
            Err(_) if text == "lost" => Self::IsNotHeard,
            Err(_) => Self::Lives,
        }
    }
}

/// The front door.
#[derive(Clone)]
pub(crate) struct Front(Arc<Inside>);

struct Inside {
    service: Box<dyn Service>,
    clock: Clock,
    /// Held by every request that runs, and by whoever moves the clock.
    gate: RwLock<()>,
    troubles: Mutex<HashMap<usize, Trouble>>,
}

impl Front {
    /// Opens the door to `service` on `listener`.
    pub fn open(
        listener: TcpListener,
        service: Box<dyn Service>,
        clock: Clock,
    ) -> (Self, JoinHandle<()>) {
        let (gate, troubles) = (RwLock::new(()), Mutex::default());
        let front = Self(Arc::new(Inside {
            service,
            clock,
            gate,
            troubles,
        }));
        let router = Router::new()
            .fallback(take)
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(front.clone());
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        (front, serving)
    }

    /// Moves the clock while no request runs. Time within a request is short: what a lease, a code
    /// or a session lives for never passes in one.
    pub async fn pass_time(&self, span: Span) {
        let _nobody = self.0.gate.write().await;
        self.0.clock.advance(span);
        self.0.service.clock_moved();
    }

    /// Moves the clock by a second or two, whoever is at work.
    pub fn tick_on(&self, span: Span) {
        self.0.clock.advance(span);
        self.0.service.clock_moved();
    }

    /// What befell a call.
    pub fn trouble(&self, call: usize) -> Trouble {
        self.0
            .troubles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&call)
            .unwrap_or_default()
    }

    async fn work(&self, incoming: Incoming, worker: &Worker) -> Option<Response<Body>> {
        let _running = self.0.gate.read().await;
        if incoming.uri.path() == "/_local/cleanup" {
            let report = self.0.service.clean_up(worker).await?;
            return Some(Response::new(Body::from(report.to_string())));
        }
        self.0.service.answer(incoming, worker).await
    }

    fn note(&self, call: usize, died: bool, worker: &Worker) {
        let trouble = Trouble {
            died,
            struck: worker.struck(),
        };
        if died || !trouble.struck.is_empty() {
            self.0
                .troubles
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(call, trouble);
        }
    }
}

async fn take(State(front): State<Front>, request: Request) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return Ok(failed());
    };
    let mut headers = parts.headers;
    let fate = Fate::read(&headers);
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let call: usize = said(CALL)
        .and_then(|call| call.parse().ok())
        .unwrap_or(usize::MAX);
    let Some(peer) = said(SOURCE).and_then(|source| source.parse::<IpAddr>().ok()) else {
        return Ok(failed());
    };
    for name in [CALL, SOURCE, FATE] {
        headers.remove(name);
    }
    let dies_after = if let Fate::Dies(after) = fate {
        Some(after)
    } else {
        None
    };
    let worker = Worker::new(trace_of(call), dies_after);
    let incoming = Incoming {
        method: parts.method,
        uri: parts.uri,
        headers,
        body,
        peer,
    };
    let answer = front.work(incoming, &worker).await;
    front.note(call, answer.is_none(), &worker);
    Ok(match answer {
        Some(answer) if fate != Fate::IsNotHeard => answer,
        // The connection breaks within the body.
        Some(_) => Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(
            io::Error::from(io::ErrorKind::ConnectionReset),
        )]))),
        None => failed(),
    })
}

/// What API Gateway says where a function ended without an answer.
fn failed() -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"message":"Internal Server Error"}"#));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The trace of a call, as X-Ray has them: `Root=1-` a time of eight hexadecimal digits, `-`, and
/// an id of 24.
pub(crate) fn trace_of(call: usize) -> String {
    format!("Root=1-00000000-{call:024x}")
}

/// The call of a trace. In Lambda the runtime adds to it.
pub(crate) fn call_of(trace: &str) -> Option<usize> {
    let id = trace.strip_prefix("Root=1-00000000-")?.get(..24)?;
    usize::from_str_radix(id, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_trace() {
        assert_eq!(call_of(&trace_of(4711)), Some(4711));
        assert_eq!(
            call_of(&format!(
                "{};Parent=9a9197af755a6419;Sampled=0",
                trace_of(7)
            )),
            Some(7)
        );
        assert_eq!(call_of("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"), None);
    }

    #[test]
    fn a_fate_reads_back() {
        for fate in [Fate::Lives, Fate::Dies(3), Fate::IsNotHeard] {
            let headers = [(
                axum::http::HeaderName::from_static(FATE),
                fate.header().parse().unwrap(),
            )]
            .into_iter()
            .collect();
            assert_eq!(Fate::read(&headers), fate);
        }
    }
}
