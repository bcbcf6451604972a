//! `DELETE /v1/users/{id}/factors/totp`: an administrator's reset, for who has lost the app.
//!
//! The app and its recovery codes are gone, and so are the sign-ins under way and the access
//! tokens: who signed in before may not enrol another.

use shared::account::api_key::Caller;
use shared::signin::notice::{self, Changed, Notices};
use shared::store::audit::{Action, Event};
use shared::store::dynamo::RetryPolicy;
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
        let mut writes = user.reset(event.clone(), now)?;
        writes.extend(notices.writes(&notice, now)?);
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
