//! `DELETE /v1/factors/{sms|email}`: the contact is the user's no more. Whoever else has signed in,
//! or is about to, is out, and what was mailed to the address opens nothing.

use shared::signin::notice::{Changed, Notices};
use shared::signin::user::Method;
use shared::store::audit::Action;
use shared::store::dynamo::{Failure, RetryPolicy};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::State;
use crate::who::Who;

pub async fn remove(state: &State, call: &Call, method: Method) -> Outcome {
    let app = &state.app;
    let mut who = Who::by_token(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        let masked = who.user.masked_destination(method);
        let masked = masked.ok_or_else(|| Problem::new(Slug::NotFound))?;
        who.may_remove(method)?;
        who.may_change_contact(method)?;
        let event = who
            .event(Action::FactorRemoved, call)
            .with("method", method.name())
            .with("destination", masked);
        let (reached, update) = who.user.remove_contact(method, who.now);
        let update = who.end_others(who.guard(update));
        let mut writes = who.user.change(update, [event], who.now)?;
        writes.extend(who.notices(app, &mut notices, &reached, told(method))?);
        let learn = |written: &Result<(), Failure>| notices.learn(written);
        if who.settle(app, writes, &mut retries, learn).await? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty());
        }
    }
}

const fn told(method: Method) -> Changed {
    if matches!(method, Method::Sms) {
        Changed::Phone(None)
    } else {
        Changed::Email(None)
    }
}
