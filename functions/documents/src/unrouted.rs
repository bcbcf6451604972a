//! What no route takes: preflights, wrong methods, and unknown paths.

use shared::store::app::App;
use shared::store::dynamo::keys;
use shared::web::http::{Call, Outcome, Problem, Slug, cors, routes};

/// The longest origin that settings take.
const ORIGIN_MAX: usize = 2_000;

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let methods = routes::methods(&call.path);
    if methods.is_empty() {
        return Err(Problem::new(Slug::NotFound));
    }
    match call.header("origin") {
        Some(origin)
            if call.method == "OPTIONS"
                && call.header("access-control-request-method").is_some() =>
        {
            let claimed = is_claimed(app, origin).await?.then_some(origin);
            Ok(cors::preflight(claimed, &methods))
        }
        _ => Err(Problem::new(Slug::MethodNotAllowed).header("allow", methods.join(", "))),
    }
}

/// Whether some account claims `origin`. A preflight names no account, and one is enough.
async fn is_claimed(app: &App, origin: &str) -> Result<bool, Problem> {
    if origin.len() > ORIGIN_MAX {
        return Ok(false);
    }
    Ok(!app
        .table
        .query(keys::origins(origin), None, 1)
        .await?
        .items
        .is_empty())
}
