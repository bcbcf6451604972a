//! The public documents, and the answer to what no route takes.

mod discovery;
mod health;
mod jwks;
mod problem;
mod unrouted;

use std::sync::Arc;

use shared::store::app::App;
use shared::web::http::{Call, Operation, Outcome, Problem, Reply, Slug};

pub use discovery::Response as Discovery;
pub use health::Response as Health;
pub use jwks::{Jwk, Response as Jwks};
pub use problem::Response as ProblemMeaning;

/// How long a public document may be kept.
const CACHE: &str = "public, max-age=300";
/// Every route, field, refusal and example: made from the types.
const OPENAPI: &str = include_str!("../openapi.json");

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    let Some(route) = call.route else {
        return unrouted::handle(&app, &call).await;
    };
    match route.operation {
        Operation::Health => Ok(health::handle()),
        Operation::OpenApi => Ok(Reply::document("application/json", OPENAPI, CACHE)),
        Operation::ShowProblem => problem::handle(&call),
        Operation::Jwks => Ok(jwks::handle(&app, call.arrived_at).await),
        Operation::Discovery => Ok(discovery::handle(&app, &call)),
        _ => Err(Problem::new(Slug::NotFound)),
    }
}

/// A public document in JSON.
fn json(document: &impl serde::Serialize) -> Reply {
    // Structs of strings and lists always serialise.
    Reply::document(
        "application/json",
        serde_json::to_vec(document).unwrap_or_default(),
        CACHE,
    )
}
