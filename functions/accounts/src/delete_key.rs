//! `DELETE /v1/accounts/{account}/api-keys/{id}`

use shared::account::api_key::{self, ApiKey};
use shared::kernel::ids::KeyId;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{RetryPolicy, keys, read};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::account;

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let actor = api_key::operator(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let id: KeyId = call.path_id("id")?;
    let mut retries = RetryPolicy::default();
    loop {
        let account = account::find(app, call).await?;
        let found = app.table.get(keys::api_key(Some(account.id), id)).await?;
        let key: ApiKey = read(found.ok_or_else(|| Problem::new(Slug::NotFound))?)?;
        let event = Event::new(Action::ApiKeyRevoked, actor).from(call.client_ip);
        let event = event
            .with("key", id.to_string())
            .with("name", key.name.as_str());
        let mut writes = account.change(account.touch(), event, call.arrived_at)?;
        writes.push(api_key::revoke(key.account, id).into());
        let written = app.table.transact(writes).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            return Ok(Reply::empty(204));
        }
    }
}
