//! `DELETE /v1/factors/totp`: the app, and the recovery codes that stand in for it. Whoever else
//! has signed in, or is about to, is out.

use shared::signin::notice::{Changed, Notices};
use shared::signin::user::Method;
use shared::store::audit::Action;
use shared::store::dynamo::{Failure, RetryPolicy};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::State;
use crate::who::Who;

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    let app = &state.app;
    let mut who = Who::by_token(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        who.may_change()?;
        let id = who.user.app.as_ref().map(|app| app.id);
        let id = id.ok_or_else(|| Problem::new(Slug::NotFound))?;
        who.may_remove(Method::Totp)?;
        let event = who
            .event(Action::FactorRemoved, call)
            .with("method", "totp")
            .with("factor", id.to_string());
        let update = who.end_others(who.guard(who.user.remove_app(id)));
        let mut writes = who.user.change(update, [event], who.now)?;
        writes.extend(who.notices(app, &mut notices, &who.user, Changed::AppRemoved)?);
        let learn = |written: &Result<(), Failure>| notices.learn(written);
        if who.settle(app, writes, &mut retries, learn).await? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty());
        }
    }
}
