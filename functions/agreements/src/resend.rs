//! `POST /v1/agreements/{id}/recipients/{recipient}/resend`: another link by mail, once per
//! `Idempotency-Key` where there is one. Those mailed before stay good.

use shared::account::api_key::Caller;
use shared::agreement::{
    Agreement, AgreementRefusal, Occasion, RESENDS, Recipient, Standing, Status,
};
use shared::kernel::clock::Timestamp;
use shared::messaging::outbox;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Key, Write, keys};
use shared::web::http::refusals::too_many_sends;
use shared::web::http::{Call, Outcome, Problem, Reply};
use shared::web::idempotency::IdempotencyKey;
use shared::web::settle::{Decision, Unsettled, settle};

use crate::{State, find, shown};

/// Another link that is asked for.
struct Resending<'a> {
    app: &'a App,
    call: &'a Call,
    caller: &'a Caller,
    key: Option<IdempotencyKey>,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let app = &state.app;
    let resending = Resending {
        app,
        call,
        caller,
        key: IdempotencyKey::of(call, &caller.account.id.to_string())?,
    };
    let (mail, reply) = settle(app, || resending.decide())
        .await
        .map_err(Unsettled::of_an_object)?;
    outbox::deliver_all(app, &state.courier, mail).await;
    Ok(reply)
}

impl Resending<'_> {
    /// What the same request was answered before; or the writes that put the mail into the outbox,
    /// with where it stands, and the answer.
    async fn decide(&self) -> Result<Decision<(Option<Key>, Reply)>, Problem> {
        let (account, now) = (self.caller.account.id, self.call.arrived_at);
        let record = self.key.as_ref().map(IdempotencyKey::record);
        let (standing, record) =
            find::standing_beside(self.app, self.call, account, record).await?;
        let answered = self.key.as_ref().map(|key| key.answer_again(record, now));
        if let Some(reply) = answered.transpose()?.flatten() {
            return Ok(Decision::Stands((None, reply)));
        }
        let (agreement, recipient) = (standing.agreement(), standing.recipient());
        let occasion = decide(agreement, recipient, now)?;
        let mut writes = self.writes(&standing, occasion).await?;
        let answer = shown::Recipient::from(recipient);
        if let Some(key) = &self.key {
            let kept = serde_json::to_string(&answer).unwrap_or_default();
            writes.push(key.keep(&kept, now)?.into());
        }
        let mail = keys::recipient(agreement.id, recipient.id);
        Ok(Decision::Write(writes, (Some(mail), Reply::json(&answer))))
    }

    /// The writes that make another link and put its mail into the outbox.
    async fn writes(&self, standing: &Standing, occasion: Occasion) -> Result<Vec<Write>, Problem> {
        let (app, now) = (self.app, self.call.arrived_at);
        let recipient = standing.recipient();
        let base = self.call.base_url(app.config.base_url.as_deref());
        let keyring = app.keyrings.current(now).await;
        let drawn_from = (&*keyring, &app.entropy);
        let invited = standing
            .agreement()
            .invite(recipient, occasion, &base, drawn_from, now)?;
        let event = Event::new(Action::LinkResent, self.caller.actor).from(self.call.client_ip);
        let event = event.with("recipient", recipient.id.to_string());
        let update = recipient.note_resend(standing.update(), now);
        let mut writes = standing.step(outbox::on(update, &invited.message, now)?, [event], now)?;
        writes.push(invited.link.create()?.into());
        Ok(writes)
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
            return Err(AgreementRefusal::NotOpen(ended).problem());
        }
    };
    match RESENDS.full_until(&recipient.resends, now) {
        None => Ok(occasion),
        Some((until, limit)) => Err(too_many_sends(until, limit, now)
            .detail("Too many links were mailed to this recipient recently.")),
    }
}
