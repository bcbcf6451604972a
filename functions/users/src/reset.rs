//! `DELETE /v1/users/{id}/factors/totp`: an administrator's reset, for who has lost the app.
//!
//! The app and its recovery codes are gone, and so are the sign-ins under way and the access
//! tokens: who signed in before may not enrol another.

use std::collections::BTreeMap;

use shared::account::api_key::Caller;
use shared::kernel::clock::Timestamp;
use shared::signin::notice::{self, Changed, Notices};
use shared::signin::user::User;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, document};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Reply};

use crate::{State, user};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    let app = &state.app;
    call.only_query(&["account"])?;
    call.no_body()?;
    let event = Event::new(Action::FactorReset, caller.actor)
        .from(call.client_ip)
        .with("method", "totp");
    let mut retries = RetryPolicy::default();
    let mut notices = Notices::default();
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let (now, locale) = (
            call.arrived_at,
            user::locale(app, &caller.account, &user).await?,
        );
        let notice = notice::Change {
            before: &user,
            after: &user,
            account: &caller.account,
            locale,
            changed: &[Changed::AppReset],
            sms_countries: &app.config.sms_countries,
        };
        let mut writes = writes(&user, event.clone(), now)?;
        writes.extend(notices.owe(&notice, now)?);
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty(204));
        }
    }
}

fn writes(user: &User, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
    let update = user
        .end_tokens(user.remove_app())
        .and(", #reset_at = :now, #challenges = :none")
        .value("now", now)
        .value("none", document(&BTreeMap::<String, u8>::new())?);
    user.change(update, [event], now)
}
