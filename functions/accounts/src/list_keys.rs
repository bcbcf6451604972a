//! `GET /v1/accounts/{account}/api-keys`

use serde::Serialize;
use shared::account::api_key::{self, ApiKey, KEYS_MAX};
use shared::kernel::ids::KeyId;
use shared::store::app::App;
use shared::store::dynamo::{keys, read};
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Reply};
use utoipa::ToSchema;

use crate::account;

/// An account's API keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys)]
pub struct Response {
    /// All of them, the oldest first.
    pub api_keys: Vec<Item>,
}

/// An API key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct Item {
    /// What it is named by.
    pub id: KeyId,
    /// What people call it.
    #[schema(example = "portal back end")]
    pub name: String,
    /// What it may be used for.
    #[schema(example = json!(["users:write", "audit:read"]))]
    pub scopes: Vec<Scope>,
    /// When it was made, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub created_at: String,
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    api_key::operator(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let account = account::find(app, call).await?;
    let limit = i32::try_from(KEYS_MAX).unwrap_or(i32::MAX);
    let page = app
        .table
        .query(keys::api_keys(Some(account.id)), None, limit)
        .await?;
    let mut made = page
        .items
        .into_iter()
        .map(read::<ApiKey>)
        .collect::<Result<Vec<_>, _>>()?;
    // A key's id says nothing of its age.
    made.sort_by_key(|key| (key.created_at, key.id.to_bytes()));
    Ok(Reply::json(&Response {
        api_keys: made.into_iter().map(Item::from).collect(),
    }))
}

impl From<ApiKey> for Item {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at.to_rfc3339(),
        }
    }
}
