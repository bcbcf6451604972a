//! A relay between one environment of a function and AWS's stand-ins: what an environment of its
//! own process asks of them meets the same faults as a handler in this one, on account of whoever
//! works in it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use futures_util::stream;
use http_body_util::BodyExt;

use crate::StartError;
use crate::engine::internal_port;
use crate::faults::Faults;
use crate::plan::Service;
use crate::sdk::Sdk;
use crate::serving::Serving;
use crate::worker::Worker;

/// DynamoDB takes requests of 16 MB, SES of 40.
const BODY_MAX: usize = 40 * 1024 * 1024;
/// The services that are relayed, by the first part of the path.
const SERVICES: [(&str, Service); 3] = [
    ("/dynamodb", Service::Dynamodb),
    ("/ses", Service::Ses),
    ("/sns", Service::Sns),
];

/// A relay of one environment.
#[derive(Debug)]
pub struct Relay {
    endpoint: String,
    at_work: Arc<Mutex<Option<Worker>>>,
    /// It relays for as long as this is kept.
    _serving: Serving,
}

/// Where the stand-ins are.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// DynamoDB.
    pub dynamodb: String,
    /// SES and SNS.
    pub inbox: String,
}

struct Inside {
    connectors: Vec<(&'static str, String, SharedHttpConnector)>,
    at_work: Arc<Mutex<Option<Worker>>>,
}

impl Relay {
    /// Starts one before these, under these faults.
    pub async fn start(endpoints: &Endpoints, faults: &Faults) -> Result<Self, StartError> {
        let (listener, endpoint) = internal_port().await?;
        let sdk = Sdk::new(faults.clone(), false);
        let connector = |(prefix, service): (&'static str, Service)| {
            let target = if service == Service::Dynamodb {
                &endpoints.dynamodb
            } else {
                &endpoints.inbox
            };
            (prefix, target.clone(), sdk.connector(service))
        };
        let at_work = Arc::new(Mutex::new(None));
        let inside = Inside {
            connectors: SERVICES.into_iter().map(connector).collect(),
            at_work: Arc::clone(&at_work),
        };
        let router = Router::new()
            .fallback(relay)
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(Arc::new(inside));
        Ok(Self {
            endpoint,
            at_work,
            _serving: Serving::router(listener, router),
        })
    }

    /// Where DynamoDB is reached by it; with `ses` and `sns`, they.
    pub fn endpoint(&self, service: &str) -> String {
        format!("{}/{service}", self.endpoint)
    }

    /// Who works in the environment from now on.
    pub fn at_work(&self, worker: Worker) {
        *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
    }
}

async fn relay(State(inside): State<Arc<Inside>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let Some((rest, target, connector)) =
        inside
            .connectors
            .iter()
            .find_map(|(prefix, target, connector)| {
                Some((path.strip_prefix(prefix)?, target, connector))
            })
    else {
        return refused(StatusCode::NOT_FOUND);
    };
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let mut onward = HttpRequest::new(SdkBody::from(body.to_vec()));
    let address = format!("{target}/{}", rest.trim_start_matches('/'));
    if onward
        .set_method(parts.method.as_str())
        .and_then(|()| onward.set_uri(address))
        .is_err()
    {
        return refused(StatusCode::BAD_REQUEST);
    }
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host") {
        onward.headers_mut().insert(
            name.as_str().to_owned(),
            value.to_str().unwrap_or_default().to_owned(),
        );
    }
    let worker = inside
        .at_work
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    // Between two invocations nobody is at work: what the environment asks for then belongs to its
    // start. Once its worker is dead, the environment waits for an answer until it is ended.
    let answer = match worker {
        Some(worker) => worker.does(async { connector.call(onward).await }).await,
        None => connector.call(onward).await,
    };
    match answer {
        Ok(answer) => passed_on(answer).await,
        Err(_) => broken(),
    }
}

async fn passed_on(mut answer: HttpResponse) -> Response<Body> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let Ok(body) = body.collect().await else {
        return broken();
    };
    let mut response = Response::new(Body::from(body.to_bytes()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers() {
        let pair = HeaderName::try_from(name)
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        if let Some((name, value)) = pair.filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "content-length" | "transfer-encoding" | "connection"
            )
        }) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn broken() -> Response<Body> {
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(reset)])))
}

fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
