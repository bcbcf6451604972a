//! `POST /v1/accounts/{account}/api-keys`

use serde::{Deserialize, Serialize};
use shared::account::api_key::{self, ApiKey, KEYS_MAX};
use shared::kernel::ids::{AccountId, KeyId};
use shared::kernel::secret::Secret;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::keys;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, FieldError, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};
use utoipa::ToSchema;

use crate::{account, name};

/// An API key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateApiKey)]
pub struct Request {
    /// What people call it: 1 to 100 characters, none of them a control character.
    #[schema(example = "portal back end", min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may be used for: at least one, each once. `operator` is not for an account's keys.
    #[schema(example = json!(["users:write", "audit:read"]), min_items = 1)]
    pub scopes: Vec<Scope>,
}

/// A new API key. This is the only time that it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub struct Response {
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
    /// The key, for `Authorization: Bearer`. Only a hash of it is kept.
    #[schema(
        example = "csk_01jd3v7c3kq2m8x5t9r4w6y0ab_7Qm1vX0c3b8LZr4dKq2sWn6tYp5uHj9gFa0eRi7oTxM"
    )]
    pub key: String,
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let actor = api_key::operator(app, call).await?;
    call.only_query(&[])?;
    let request: Request = call.json()?;
    let errors = errors(&request);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let (id, now): (AccountId, _) = (call.path_id("account")?, call.arrived_at);
    let (key, text) = ApiKey::generate(id, request.name, request.scopes, now, &app.entropy);
    settle(app, || creation(app, call, actor, &key))
        .await
        .map_err(Unsettled::of_an_object)?;
    Ok(Reply::json(&Response::of(key, &text)))
}

/// The writes that store the key, where the account has room for one more.
async fn creation(
    app: &App,
    call: &Call,
    actor: Actor,
    key: &ApiKey,
) -> Result<Decision<()>, Problem> {
    let account = account::find(app, call).await?;
    room_for_one(app, account.id).await?;
    let event = Event::new(Action::ApiKeyCreated, actor)
        .from(call.client_ip)
        .with("key", key.id.to_string())
        .with("name", key.name.as_str())
        .with("scopes", serde_json::json!(key.scopes));
    let mut writes = account.change(account.touch(), event, call.arrived_at)?;
    writes.push(key.create()?.into());
    Ok(Decision::Write(writes, ()))
}

impl Response {
    fn of(key: ApiKey, text: &Secret<String>) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at.to_rfc3339(),
            key: text.expose().clone(),
        }
    }
}

/// Refuses one key too many. The count holds: a key made meanwhile moves the account's audit head,
/// which was read before.
async fn room_for_one(app: &App, account: AccountId) -> Result<(), Problem> {
    let limit = i32::try_from(KEYS_MAX).unwrap_or(i32::MAX);
    let made = app
        .table
        .query(keys::api_keys(Some(account)), None, limit)
        .await?
        .items
        .len();
    if made < KEYS_MAX {
        return Ok(());
    }
    Err(Problem::new(Slug::Conflict).detail(format!(
        "The account already has {KEYS_MAX} API keys, the maximum. Revoke one first."
    )))
}

fn errors(request: &Request) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = name::fault(&request.name).into_iter().collect();
    if request.scopes.is_empty() {
        errors.push(FieldError::new("/scopes", "must name at least one scope"));
    }
    for (index, scope) in request.scopes.iter().enumerate() {
        let detail = if *scope == Scope::Operator {
            "is not for an account's keys"
        } else if request
            .scopes
            .iter()
            .take(index)
            .any(|earlier| earlier == scope)
        {
            "is already in the list"
        } else {
            continue;
        };
        errors.push(FieldError::new(format!("/scopes/{index}"), detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(scopes: &[Scope]) -> Vec<String> {
        let request = Request {
            name: "key".into(),
            scopes: scopes.to_vec(),
        };
        errors(&request)
            .into_iter()
            .map(|fault| fault.pointer)
            .collect()
    }

    #[test]
    fn a_key_has_each_scope_once_and_never_the_operators() {
        assert_eq!(pointers(&[Scope::UsersWrite, Scope::AuditRead]), [""; 0]);
        assert_eq!(pointers(&[]), ["/scopes"]);
        assert_eq!(
            pointers(&[Scope::AuditRead, Scope::Operator, Scope::AuditRead]),
            ["/scopes/1", "/scopes/2"]
        );
    }
}
