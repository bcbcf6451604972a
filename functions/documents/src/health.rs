//! `GET /health`: that requests are answered. It asks nothing of DynamoDB: its outage is no reason
//! to replace what runs here.

use serde::Serialize;
use shared::web::http::Reply;
use utoipa::ToSchema;

/// The service answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct Response {
    /// `ok`
    #[schema(example = "ok")]
    pub status: &'static str,
}

pub(crate) fn handle() -> Reply {
    Reply::json(&Response { status: "ok" })
}
