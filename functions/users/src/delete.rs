//! `DELETE /v1/users/{id}`: the user and the username go; the audit entries stay, and name the id
//! alone.

use shared::account::api_key::Caller;
use shared::kernel::clock::Timestamp;
use shared::signin::user::{User, sso_subject};
use shared::store::app::App;
use shared::store::audit::{Action, Chain, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Reply};

use crate::user;

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let mut retries = RetryPolicy::default();
    loop {
        let user = user::find(app, call, caller.account.id).await?;
        let event = Event::new(Action::UserDeleted, caller.actor).from(call.client_ip);
        let written = app
            .table
            .transact(writes(&user, event, call.arrived_at)?)
            .await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            return Ok(Reply::empty(204));
        }
    }
}

fn writes(user: &User, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
    let mut chain = Chain::of(user.account, user.id, &user.head);
    chain.append(event, now)?;
    let name = Write::delete(keys::name(user.account, &user.username))
        .when("#user = :user")
        .value("user", user.id.to_string());
    // What strangers tried stays, as it stays for every name that nobody has.
    let known_failures = Write::delete(keys::name_known_failures(user.account, &user.username));
    let mut writes = vec![
        chain.unmoved(Write::delete(keys::user(user.id)).when("attribute_exists(#pk)")),
        name,
        known_failures,
    ];
    writes.extend(chain.writes()?);
    writes.extend(sso_subject::release(user));
    Ok(writes)
}
