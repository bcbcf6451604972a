//! `POST /v1/users/{id}/unlock`: lifts the delays and locks of the password and of every factor.

use shared::account::api_key::Caller;
use shared::kernel::clock::Timestamp;
use shared::signin::user::factor::clear;
use shared::signin::user::known::Origin;
use shared::signin::user::{Method, User, attempts};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write};
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
        let mut user = user::find(app, call, caller.account.id).await?;
        let written = app.table.transact(writes(&user, event.clone(), now)?).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            user.factors
                .values_mut()
                .for_each(|factor| *factor = factor.cleared());
            return Ok(Reply::ok(&Response::of(&user, now)).etag(user.version));
        }
    }
}

fn writes(user: &User, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
    let counted = Method::ALL
        .into_iter()
        .map(Method::name)
        .filter(|name| user.factors.contains_key(*name));
    let update = counted.fold(user.touch(), |update, name| {
        clear(update, name, Origin::Known)
    });
    let mut writes = user.change(update, [event], now)?;
    writes.extend(attempts::end_all(user.account, &user.username));
    Ok(writes)
}
