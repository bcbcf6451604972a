//! Around every handler: the event becomes a [`Call`], a panic a 500, a refusal a problem, and the
//! log says what was answered.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use lambda_http::{Request, Response};
use tracing::Instrument;

use crate::kernel::clock::{Clock, Timestamp};
use crate::kernel::config::Config;
use crate::web::http::{Call, Outcome, Problem, Slug, cors};

/// Runs a function under the Lambda runtime.
pub async fn run<S, F>(
    state: S,
    handle: fn(Arc<S>, Arc<Call>) -> F,
) -> Result<(), lambda_http::Error>
where
    S: Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let state = Arc::new(state);
    let (clock, proxies) = (Clock::system(), Config::from_env().trusted_proxies);
    lambda_http::run(lambda_http::service_fn(move |mut request: Request| {
        let (state, arrived_at) = (Arc::clone(&state), clock.now());
        request.extensions_mut().insert(proxies.clone());
        async move {
            Ok::<_, std::convert::Infallible>(
                answer(request, arrived_at, |call| handle(state, call)).await,
            )
        }
    }))
    .await
}

/// Answers one request, which arrived at that moment.
pub async fn answer<F>(
    request: Request,
    arrived_at: Timestamp,
    handle: impl FnOnce(Arc<Call>) -> F,
) -> Response<lambda_http::Body>
where
    F: Future<Output = Outcome>,
{
    let call = match Call::new(request, arrived_at) {
        Ok(call) => Arc::new(call),
        Err(problem) => return problem.into_reply("").into_response(),
    };
    let route = call.route.map_or("$default", |route| route.path);
    let span = tracing::info_span!(
        "request",
        request.id = call.request_id,
        http.method = call.method,
        http.route = route
    );
    async {
        // A panic may not take the environment with it, nor answer in another shape than every
        // other fault.
        let outcome = AssertUnwindSafe(handle(Arc::clone(&call)))
            .catch_unwind()
            .await;
        let outcome = outcome.unwrap_or_else(|_| Err(Problem::new(Slug::InternalError)));
        let reply = outcome.unwrap_or_else(|problem| {
            tracing::info!(problem = problem.slug().name(), "request refused");
            problem.into_reply(&call.request_id)
        });
        let reply = match call.route {
            Some(route) => reply.answering(route),
            None => reply,
        };
        tracing::info!(http.status = reply.status(), "request answered");
        cors::allow(reply, call.allowed_origin()).into_response()
    }
    .instrument(span)
    .await
}
