//! `POST /v1/users/{id}/unlock`: lifts the delays and locks of the password and of every factor.

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::RetryPolicy;
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Reply};

use crate::user::{self, Response};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let event = Event::new(Action::UserUnlocked, caller.actor).from(call.client_ip);
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let (unlocked, writes) = user.unlock(event.clone(), now)?;
        let written = app.table.transact(writes).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            return Ok(Reply::ok(&Response::of(&unlocked, now)).etag(unlocked.version));
        }
    }
}
