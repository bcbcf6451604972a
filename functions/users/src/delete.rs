//! `DELETE /v1/users/{id}`: the user and the username go; the audit entries stay, and name the id
//! alone.

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::web::http::{Call, Outcome, Reply};
use shared::web::settle::{Decision, Unsettled, settle};

use crate::user;

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let decide = || async {
        let user = user::find(app, call, caller.account.id).await?;
        let event = Event::new(Action::UserDeleted, caller.actor).from(call.client_ip);
        Ok(Decision::Write(user.delete(event, call.arrived_at)?, ()))
    };
    settle(app, decide).await.map_err(Unsettled::of_an_object)?;
    Ok(Reply::empty())
}
