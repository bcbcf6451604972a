//! `POST /v1/agreements/{id}/recipients/{recipient}/resend`: another link by mail. Those mailed before stay good.

use shared::agreement::{Occasion, Refusal, Status};
use shared::api_key::Caller;
use shared::audit::{Action, Event};
use shared::dynamo::{Patience, document, keys};
use shared::http::refusals::contended;
use shared::http::{Call, Outcome, Reply};
use shared::owed;

use crate::{State, find, shown};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let app = &state.app;
    let base = call.base_url(app.config.base_url.as_deref());
    let mut patience = Patience::default();
    loop {
        let (agreement, recipient) = find::recipient(app, call, caller.account.id).await?;
        let now = app.clock.now();
        let occasion = match agreement.status(now) {
            Status::OutForSignature => Occasion::Signing,
            Status::Completed => Occasion::Signed,
            ended @ (Status::Cancelled | Status::Expired) => return Err(Refusal::NotOpen(ended).problem()),
        };
        let keyring = app.keyrings.current(now).await;
        let invited = agreement.invite(&recipient, occasion, &base, (&keyring, &app.entropy), now)?;
        let event = Event::new(Action::LinkResent, caller.actor).from(call.source);
        let event = event.with("recipient", recipient.id.to_string());
        let mut writes = agreement.change(agreement.touch(), [event], now)?;
        let links = document(&recipient.links_with(invited.fingerprint))?;
        let update = recipient.touch().and(", #links = :links").value("links", links);
        writes.push(owed::on(update, &invited.owed, now)?);
        let written = app.table.transact(writes).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            owed::deliver_all(app, &state.courier, vec![keys::recipient(agreement.id, recipient.id)]).await;
            return Ok(Reply::json(202, &shown::Recipient::from(&recipient)));
        }
    }
}
