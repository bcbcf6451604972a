//! `POST /v1/links/redeem`: a link that was mailed opens a challenge, and is not used up by it.
//!
//! Whose link it is shows in how its token begins; each kind has a file of its own.

mod recipient;
mod user;

use std::sync::Arc;

use serde::Deserialize;
use shared::kernel::secret::Secret;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Slug};
use utoipa::ToSchema;

/// A link that was opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedeemLinkRequest)]
pub struct Request {
    /// What stands behind the `#` of the link.
    #[schema(value_type = String, example = "lnk_…")]
    pub token: Secret<String>,
}

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.only_query(&[])?;
    let request: Request = call.json()?;
    if recipient::has_prefix(&request.token) {
        return recipient::redeem(&app, &call, &request.token).await;
    }
    user::redeem(&app, &call, &request.token).await
}
