//! `DELETE /v1/users/{id}/factors/totp`: an administrator's reset, for who has lost the app.
//!
//! The app and its recovery codes are gone, and so are the sign-ins under way: one that was opened before may not enrol another.

use std::collections::BTreeMap;

use shared::api_key::Caller;
use shared::app::App;
use shared::audit::{Action, Event};
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Patience, Write, document};
use shared::http::refusals::contended;
use shared::http::{Call, Outcome, Reply};
use shared::user::User;

use crate::user;

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let event = Event::new(Action::FactorReset, caller.actor).from(call.source).with("method", "totp");
    let mut patience = Patience::default();
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let written = app.table.transact(writes(&user, event.clone(), app.clock.now())?).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            return Ok(Reply::empty(204));
        }
    }
}

fn writes(user: &User, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
    let update = user
        .remove_app()
        .and(", #reset_at = :now, #challenges = :none")
        .value("now", now)
        .value("none", document(&BTreeMap::<String, u8>::new())?);
    user.change(update, [event], now)
}
