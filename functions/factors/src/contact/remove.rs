//! `DELETE /v1/factors/{sms|email}`: the contact is the user's no more. Whoever else has signed in,
//! or is about to, is out, and what was mailed to the address opens nothing.

use shared::signin::link;
use shared::signin::notice::{Changed, Notices};
use shared::signin::user::{Method, User, pending};
use shared::store::audit::Action;
use shared::store::dynamo::{RetryPolicy, Write};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::State;
use crate::who::Who;

pub async fn remove(state: &State, call: &Call, method: Method) -> Outcome {
    let app = &state.app;
    let mut who = Who::by_token(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let mut retries = RetryPolicy::default();
    let mut notices = Notices::default();
    loop {
        let masked = who
            .user
            .masked_destination(method)
            .ok_or_else(|| Problem::new(Slug::NotFound))?;
        who.may_remove(method)?;
        who.may_change_contact(method)?;
        let event = who
            .event(Action::FactorRemoved, call)
            .with("method", method.name())
            .with("destination", masked);
        let update = who
            .user
            .count_change(removal(&who.user, method), method, who.now);
        let mut writes = who
            .user
            .change(who.end_others(who.guard(update))?, [event], who.now)?;
        writes.extend(who.notices(app, &mut notices, &without(&who.user, method), told(method))?);
        if who
            .settle(app, writes, &mut retries, |written| notices.learn(written))
            .await?
        {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty(204));
        }
    }
}

/// The update that takes the contact away, and what waits in its place. Who once had a factor does
/// not begin anew with the password alone.
fn removal(user: &User, method: Method) -> Write {
    let update = user
        .touch()
        .and(", #version = #version + :one, #had_factor = :yes")
        .value("one", 1_u64)
        .value("yes", true);
    let update = update
        .name("pending", pending::attribute(method))
        .remove("#pending");
    let gone: &[&str] = match method {
        Method::Sms => &[
            "#phone",
            "#phone_country",
            "#phone_since",
            "#phone_verified",
        ],
        _ => &["#email", "#email_since", "#email_verified"],
    };
    let update = gone
        .iter()
        .fold(update, |update, attribute| update.remove(*attribute));
    if method == Method::Email {
        link::end_all(update)
    } else {
        update
    }
}

/// The user once it is gone.
fn without(user: &User, method: Method) -> User {
    match method {
        Method::Sms => User {
            phone: None,
            ..user.clone()
        },
        _ => User {
            email: None,
            ..user.clone()
        },
    }
}

const fn told(method: Method) -> Changed {
    if matches!(method, Method::Sms) {
        Changed::Phone(None)
    } else {
        Changed::Email(None)
    }
}
