//! API Gateway's part: a request becomes an event, the event passes through lambda_http's own
//! parsing into the handler, and what the handler's response became on its way out is sent.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, SET_COOKIE};
use axum::http::{HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, Request, Service, service_fn};
use serde::Deserialize;
use serde_json::Value;
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::web::http::routes::Function;
use url::Url;

use crate::dispatch::Functions;
use crate::event::{Incoming, event_of};

/// The largest body that API Gateway takes.
pub(crate) const BODY_MAX: usize = 10 * 1024 * 1024;
/// The most that request line and headers may have together.
const HEAD_MAX: usize = 10_240;

/// The way from a request to the functions and back.
#[derive(Clone, Debug)]
pub struct Gateway {
    functions: Arc<Functions>,
    clock: Clock,
    entropy: Entropy,
}

/// A function's answer, as API Gateway reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    cookies: Vec<String>,
    body: Option<String>,
    is_base64_encoded: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status_code: 200,
            headers: BTreeMap::new(),
            cookies: Vec::new(),
            body: None,
            is_base64_encoded: false,
        }
    }
}

impl Gateway {
    /// A way to `functions`.
    pub(crate) fn new(functions: Functions, clock: Clock, entropy: Entropy) -> Self {
        Self {
            functions: Arc::new(functions),
            clock,
            entropy,
        }
    }

    /// Answers one request.
    pub async fn answer(&self, incoming: Incoming) -> Response<Body> {
        if let Some(refused) = refused(&incoming) {
            return refused;
        }
        let request_id = STANDARD.encode(self.entropy.bytes::<11>());
        let (function, event) = event_of(&incoming, &request_id, self.clock.now());
        let mut answer = match self.invoke(function, &event.to_string(), &request_id).await {
            Ok(answer) => response(answer),
            Err(cause) => {
                tracing::error!(
                    cause,
                    function = function.name(),
                    "function returned an error; the caller got 500"
                );
                message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        };
        if let Ok(id) = request_id.parse() {
            answer.headers_mut().insert("apigw-requestid", id);
        }
        answer
    }

    /// The HTTP answer that API Gateway makes of what a function answered.
    pub fn response(answered: Value) -> Response<Body> {
        serde_json::from_value(answered).map_or_else(
            |_| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            response,
        )
    }

    /// Hands `event` to `function` as the Lambda runtime does, and reads what it would send back.
    async fn invoke(
        &self,
        function: Function,
        event: &str,
        request_id: &str,
    ) -> Result<Answer, String> {
        let payload: LambdaRequest =
            serde_json::from_str(event).map_err(|error| error.to_string())?;
        let mut context = Context::default();
        request_id.clone_into(&mut context.request_id);
        let functions = Arc::clone(&self.functions);
        let answered = async {
            let mut adapter = Adapter::from(service_fn(move |request: Request| {
                let functions = Arc::clone(&functions);
                async move { Ok::<_, Infallible>(Box::pin(functions.answer(function, request)).await) }
            }));
            adapter.call(LambdaEvent::new(payload, context)).await
        };
        // The runtime catches a panic of the parsing, too, and API Gateway answers for it.
        let answered = AssertUnwindSafe(answered)
            .catch_unwind()
            .await
            .map_err(|_| "it panicked".to_owned())?;
        let Ok(answered) = answered;
        let answered = serde_json::to_value(answered).map_err(|error| error.to_string())?;
        serde_json::from_value(answered).map_err(|error| error.to_string())
    }
}

/// What API Gateway refuses by itself.
fn refused(incoming: &Incoming) -> Option<Response<Body>> {
    let headers = incoming
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>();
    if headers + incoming.uri.to_string().len() > HEAD_MAX {
        return Some(message(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Request Header Fields Too Large",
        ));
    }
    // lambda_http makes an address of it, and expects to succeed.
    let is_host = |host: &HeaderValue| {
        host.to_str()
            .is_ok_and(|host| Url::parse(&format!("http://{host}/")).is_ok())
    };
    let mut hosts = incoming.headers.get_all(HOST).iter();
    if !hosts.next().is_none_or(is_host)
        || hosts.next().is_some()
        || !incoming.uri.path().starts_with('/')
    {
        return Some(message(StatusCode::BAD_REQUEST, "Bad Request"));
    }
    None
}

fn response(answer: Answer) -> Response<Body> {
    let Answer {
        status_code,
        headers,
        cookies,
        body,
        is_base64_encoded,
    } = answer;
    let body = body.unwrap_or_default();
    let body = if is_base64_encoded {
        STANDARD.decode(body).unwrap_or_default()
    } else {
        body.into_bytes()
    };
    let mut response = Response::builder().status(status_code);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    for cookie in cookies {
        response = response.header(SET_COOKIE, cookie);
    }
    response
        .body(Body::from(body))
        .unwrap_or_else(|_| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

/// An answer of API Gateway's own.
pub(crate) fn message(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(
        serde_json::json!({ "message": text }).to_string(),
    ));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_bytes_is_decoded() {
        let answer = Answer {
            body: Some("AAE=".into()),
            is_base64_encoded: true,
            cookies: vec!["a=1".into()],
            ..Answer::default()
        };
        let response = response(answer);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get(SET_COOKIE).unwrap(), "a=1");
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        let incoming = |host: &'static str| Incoming {
            method: axum::http::Method::GET,
            uri: axum::http::Uri::from_static("/health"),
            headers: [(HOST, host.parse().unwrap())].into_iter().collect(),
            body: axum::body::Bytes::new(),
            peer: std::net::IpAddr::from([127, 0, 0, 1]),
        };
        assert!(refused(&incoming("127.0.0.1:9000")).is_none());
        for host in ["a b", "127.0.0.1:99999", "[::1", "\u{ff}"] {
            assert!(refused(&incoming(host)).is_some(), "{host}");
        }
    }
}
