//! `DELETE /v1/users/{id}/factors/totp`: an administrator's reset, for who has lost the app.
//!
//! The app and its recovery codes are gone, and so are the sign-ins under way and the access
//! tokens: who signed in before may not enrol another.

use shared::account::Account;
use shared::account::api_key::Caller;
use shared::signin::notice::{self, Changed, Notices};
use shared::signin::user::User;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{RetryPolicy, Write};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply};

use crate::{State, user};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    let app = &state.app;
    call.only_query(&["account"])?;
    call.no_body()?;
    let event = Event::new(Action::FactorReset, caller.actor)
        .from(call.client_ip)
        .with("method", "totp");
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let telling = telling(app, &mut notices, (&user, &caller.account), call).await?;
        let mut writes = user.reset(event.clone(), call.arrived_at)?;
        writes.extend(telling);
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        let settled = retries.settled(written, &app.entropy).await;
        if settled.map_err(contended)? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty());
        }
    }
}

/// The writes of the notices that tell of it.
async fn telling(
    app: &App,
    notices: &mut Notices,
    (user, account): (&User, &Account),
    call: &Call,
) -> Result<Vec<Write>, Problem> {
    let notice = notice::Change {
        before: user,
        after: user,
        account,
        locale: user::locale(app, account, user).await?,
        changed: &[Changed::AppReset],
        sms_countries: &app.config.sms_countries,
    };
    Ok(notices.writes(&notice, call.arrived_at)?)
}
