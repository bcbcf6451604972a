//! `POST /v1/agreements/{id}/recipients/{recipient}/resend`: another link by mail, once per
//! `Idempotency-Key` where there is one. Those mailed before stay good.

use shared::account::api_key::Caller;
use shared::agreement::{Agreement, Occasion, RESENDS, Recipient, Refusal, Status};
use shared::kernel::clock::Timestamp;
use shared::messaging::outbox;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{RetryPolicy, keys};
use shared::web::http::refusals::{contended, too_many_sends};
use shared::web::http::{Call, Outcome, Problem, Reply};
use shared::web::idempotency::IdempotencyKey;

use crate::{State, find, shown};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let app = &state.app;
    let account = caller.account.id;
    let key = IdempotencyKey::of(call, &account.to_string())?;
    let base = call.base_url(app.config.base_url.as_deref());
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    loop {
        let record = key.as_ref().map(IdempotencyKey::record);
        let (standing, record) = find::standing_beside(app, call, account, record).await?;
        let (agreement, recipient) = (standing.agreement(), standing.recipient());
        if let Some(reply) = key
            .as_ref()
            .map(|key| key.answer_again(record, now))
            .transpose()?
            .flatten()
        {
            return Ok(reply);
        }
        let occasion = decide(agreement, recipient, now)?;
        let keyring = app.keyrings.current(now).await;
        let invited =
            agreement.invite(recipient, occasion, &base, (&keyring, &app.entropy), now)?;
        let event = Event::new(Action::LinkResent, caller.actor).from(call.client_ip);
        let event = event.with("recipient", recipient.id.to_string());
        let update = recipient.note_resend(standing.update(), now);
        let mut writes = standing.step(outbox::on(update, &invited.owed, now)?, [event], now)?;
        writes.push(invited.link.create()?.into());
        let answer = shown::Recipient::from(recipient);
        if let Some(key) = &key {
            let kept = serde_json::to_string(&answer).unwrap_or_default();
            writes.push(key.keep(&kept, now)?.into());
        }
        let written = app.table.transact(writes).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            outbox::deliver_all(
                app,
                &state.courier,
                vec![keys::recipient(agreement.id, recipient.id)],
            )
            .await;
            return Ok(Reply::json(202, &answer));
        }
    }
}

/// What another link is mailed for, if one may be.
fn decide(
    agreement: &Agreement,
    recipient: &Recipient,
    now: Timestamp,
) -> Result<Occasion, Problem> {
    let occasion = match agreement.status(now) {
        Status::OutForSignature => Occasion::Signing,
        Status::Completed => Occasion::Signed,
        ended @ (Status::Cancelled | Status::Expired) => {
            return Err(Refusal::NotOpen(ended).problem());
        }
    };
    match RESENDS.full_until(&recipient.resends, now) {
        None => Ok(occasion),
        Some((until, limit)) => Err(too_many_sends(until, limit, now)
            .detail("This recipient was mailed another link too often of late.")),
    }
}
