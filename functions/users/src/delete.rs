//! `DELETE /v1/users/{id}`: the user and the username go; the audit entries stay, and name the id
//! alone.

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::RetryPolicy;
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Reply};

use crate::user;

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let mut retries = RetryPolicy::default();
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let event = Event::new(Action::UserDeleted, caller.actor).from(call.client_ip);
        let writes = user.delete(event, call.arrived_at)?;
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
