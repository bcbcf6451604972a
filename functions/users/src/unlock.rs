//! `POST /v1/users/{id}/unlock`: lifts the delays and locks of the password and of every factor.

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::web::http::{Call, Outcome, Reply};
use shared::web::settle::{Decision, Unsettled, settle};

use crate::user::{self, Response};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let event = Event::new(Action::UserUnlocked, caller.actor).from(call.client_ip);
    let now = call.arrived_at;
    let decide = || async {
        let user = user::find(app, call, caller.account.id).await?;
        let (unlocked, writes) = user.unlock(event.clone(), now)?;
        Ok(Decision::Write(writes, unlocked))
    };
    let unlocked = settle(app, decide).await.map_err(Unsettled::of_an_object)?;
    Ok(Reply::json(&Response::of(&unlocked, now)).etag(unlocked.version))
}
