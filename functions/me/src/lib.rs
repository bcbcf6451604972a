//! `GET /v1/me`: who is signed in, and how they proved themselves.

use std::sync::Arc;

use shared::signin::me::Response;
use shared::signin::signed_in::signed_in;
use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Reply, Slug};

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call
        .route
        .is_none_or(|route| route.operation != Operation::GetMe)
    {
        return Err(Problem::new(Slug::NotFound));
    }
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let signed_in = signed_in(&app, &call, &keyring, now).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let version = signed_in.user.version;
    Ok(Reply::json(&Response::of(signed_in)).etag(version))
}
