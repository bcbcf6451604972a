//! `DELETE /v1/accounts/{account}/api-keys/{id}`

use shared::account::api_key::{self, ApiKey};
use shared::kernel::ids::KeyId;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::keys;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};

use crate::account;

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let actor = api_key::operator(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let id: KeyId = call.path_id("id")?;
    settle(app, || revocation(app, call, actor, id))
        .await
        .map_err(Unsettled::of_an_object)?;
    Ok(Reply::empty())
}

/// The writes that revoke the key, if the account has it.
async fn revocation(
    app: &App,
    call: &Call,
    actor: Actor,
    id: KeyId,
) -> Result<Decision<()>, Problem> {
    let account = account::find(app, call).await?;
    let wanted = keys::api_key(Some(account.id), id).holding::<ApiKey>();
    let found = app.table.find(wanted).await?;
    let key = found.ok_or_else(|| Problem::new(Slug::NotFound))?;
    let event = Event::new(Action::ApiKeyRevoked, actor)
        .from(call.client_ip)
        .with("key", id.to_string())
        .with("name", key.name.as_str());
    let mut writes = account.change(account.touch(), event, call.arrived_at)?;
    writes.push(api_key::revoke(key.account, id).into());
    Ok(Decision::Write(writes, ()))
}
