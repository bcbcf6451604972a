//! `POST /v1/agreements/{id}/recipients/{recipient}/complete`: the recipient has signed. The last
//! one completes the agreement.

use shared::account::api_key::Caller;
use shared::agreement::{Completion, Invitations, RecipientStatus, Standing};
use shared::messaging::outbox;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Key, RetryPolicy, Stored, Write};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply};

use crate::doubt::Doubt;
use crate::{State, find, shown};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let app = &state.app;
    let (mut retries, mut doubt) = (RetryPolicy::default(), Doubt::default());
    loop {
        let standing = find::standing(app, call, caller.account.id).await?;
        if standing.recipient().status == RecipientStatus::Completed {
            return Ok(Reply::json(&shown::Recipient::from(standing.recipient())));
        }
        let completion = match standing.complete(call.arrived_at) {
            Ok(completion) => completion,
            Err(_) if doubt.is_raised() => continue,
            Err(refusal) => return Err(refusal.problem()),
        };
        let event = Event::new(Action::RecipientCompleted, caller.actor).from(call.client_ip);
        let event = event.with("recipient", standing.recipient().id.to_string());
        let (writes, mails) = writes(state, call, &standing, &completion, event).await?;
        let completed = standing.recipient().after(&writes)?;
        let written = app.table.transact(writes).await;
        let settled = retries.settled(written, &app.entropy).await;
        if settled.map_err(contended)? {
            outbox::deliver_all(app, &state.courier, mails).await;
            return Ok(Reply::json(&shown::Recipient::from(&completed)));
        }
    }
}

/// The writes of the completion, and the keys of their messages in the outbox.
async fn writes(
    state: &State,
    call: &Call,
    standing: &Standing,
    completion: &Completion<'_>,
    event: Event,
) -> Result<(Vec<Write>, Vec<Key>), Problem> {
    if completion.is_last() {
        last(state, call, standing, completion, event).await
    } else {
        Ok((completion.writes(event)?, Vec::new()))
    }
}

/// The writes of the last one to sign, and the keys of their messages in the outbox.
async fn last(
    state: &State,
    call: &Call,
    standing: &Standing,
    completion: &Completion<'_>,
    event: Event,
) -> Result<(Vec<Write>, Vec<Key>), Problem> {
    let app = &state.app;
    let others = standing.others(&app.table).await?;
    let keyring = app.keyrings.current(call.arrived_at).await;
    let base = call.base_url(app.config.base_url.as_deref());
    completion.last_writes(
        &others,
        &Invitations {
            base: &base,
            keyring: &keyring,
            entropy: &app.entropy,
        },
        event,
    )
}
