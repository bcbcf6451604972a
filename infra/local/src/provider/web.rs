//! The provider's HTTP: where sessions are opened, and the page in the frame.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::kernel::secret::equal;
use url::Url;

use super::session::{Next, Opening, Person, Session};
use super::{Outcome, Provider, callback};

/// The largest body taken.
const BODY_MAX: usize = 16 * 1024;

const HTML: &str = include_str!("../../assets/provider.html");
const CSS: &str = include_str!("../../assets/provider.css");
const JS: &str = include_str!("../../assets/provider.js");

/// The answers of a page: the place of each choice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    answers: Vec<usize>,
}

/// The provider's routes.
pub(super) fn router(provider: Provider) -> Router {
    Router::new()
        .route("/v1/sessions", post(open))
        .route("/verify/{key}", get(page))
        .route("/verify/{key}/session", get(session))
        .route("/verify/{key}/person", post(look_up))
        .route("/verify/{key}/answers", post(take))
        .route(
            "/provider.css",
            get(|| async { asset("text/css; charset=utf-8", CSS) }),
        )
        .route(
            "/provider.js",
            get(|| async { asset("text/javascript; charset=utf-8", JS) }),
        )
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(provider)
}

/// The service opens a session.
async fn open(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let expected = format!("Bearer {}", provider.api_secret().expose());
    if !equal(shown, expected.as_bytes()) {
        return refused(StatusCode::UNAUTHORIZED, "the secret is not ours");
    }
    let read = serde_json::from_slice::<Value>(&body)
        .map_err(|error| error.to_string())
        .and_then(Opening::read);
    let opening = match read {
        Ok(opening) => opening,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let reference = opening.reference.clone();
    match provider.open(opening) {
        Some((page, new)) => {
            let status = if new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            (
                status,
                axum::Json(json!({ "reference": reference, "iframe_url": page })),
            )
                .into_response()
        }
        None => refused(
            StatusCode::CONFLICT,
            "the reference stands for another session",
        ),
    }
}

/// The page in the frame. It may be framed by the service alone.
async fn page(State(provider): State<Provider>, Path(key): Path<String>) -> Response {
    let Some(service) = with(&provider, &key, |session| {
        origin(&session.opening.callback_url)
    }) else {
        return missing();
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; \
         frame-ancestors {service}"
    );
    let mut page = asset("text/html; charset=utf-8", HTML);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        page.headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    page
}

/// What the page begins with.
async fn session(State(provider): State<Provider>, Path(key): Path<String>) -> Response {
    let told = with(&provider, &key, |session| {
        let opener = origin(&session.opening.callback_url);
        json!({ "name": session.opening.name, "outcome": session.outcome(), "opener": opener })
    });
    told.map_or_else(missing, |told| axum::Json(told).into_response())
}

/// Somebody says who they are.
async fn look_up(
    State(provider): State<Provider>,
    Path(key): Path<String>,
    body: Bytes,
) -> Response {
    // Neither what was typed nor what is wrong with it is repeated or logged.
    let Ok(person) = serde_json::from_slice::<Person>(&body) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "name, address, and the digits if any",
        );
    };
    let now = provider.0.clock.now();
    go_on(&provider, &key, |session| session.look_up(&person, now))
}

/// Somebody answers the questions.
async fn take(State(provider): State<Provider>, Path(key): Path<String>, body: Bytes) -> Response {
    let Ok(Answers { answers }) = serde_json::from_slice::<Answers>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the place of each answer");
    };
    let now = provider.0.clock.now();
    go_on(&provider, &key, |session| session.take(&answers, now))
}

fn go_on(
    provider: &Provider,
    key: &str,
    step: impl FnOnce(&mut Session) -> Option<Next>,
) -> Response {
    let next = with(provider, key, |session| {
        (session.opening.reference.clone(), step(session))
    });
    match next {
        None => missing(),
        Some((_, None)) => refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "please check what you typed",
        ),
        Some((_, Some(Next::TooLate))) => refused(
            StatusCode::GONE,
            "the time to begin is over: please go back and begin again",
        ),
        Some((_, Some(Next::Questions(questions, within)))) => {
            // This is a simulation: who tries it has to know what the records say.
            let right: Vec<_> = questions.iter().map(|question| question.right).collect();
            axum::Json(
                json!({ "questions": questions, "seconds": within.as_secs(), "simulation": right }),
            )
            .into_response()
        }
        Some((reference, Some(Next::Over(outcome, to)))) => {
            if let Some(address) = to {
                tell(provider, reference, outcome, address);
            }
            axum::Json(json!({ "outcome": outcome })).into_response()
        }
    }
}

/// Tells the service, while the page goes on.
fn tell(provider: &Provider, reference: String, outcome: Outcome, address: String) {
    let provider = provider.clone();
    tokio::spawn(
        async move { callback::deliver(&provider.0, &reference, outcome, &address).await },
    );
}

fn with<T>(provider: &Provider, key: &str, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
    let mut sessions = provider.0.sessions();
    sessions
        .values_mut()
        .find(|session| equal(session.key.as_bytes(), key.as_bytes()))
        .map(look)
}

fn origin(address: &str) -> String {
    Url::parse(address)
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

fn missing() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no such session")
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, axum::Json(json!({ "error": why }))).into_response()
}
