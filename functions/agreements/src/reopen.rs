//! `POST /v1/agreements/{id}/recipients/{recipient}/reopen`: lets a recipient view again who failed too often to.

use shared::agreement::Refusal;
use shared::api_key::Caller;
use shared::app::App;
use shared::audit::{Action, Event};
use shared::dynamo::Patience;
use shared::http::refusals::contended;
use shared::http::{Call, Outcome, Reply};

use crate::{find, shown};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let mut patience = Patience::default();
    loop {
        let (agreement, mut recipient) = find::recipient(app, call, caller.account.id).await?;
        if recipient.viewing_locked_at.is_none() {
            return Ok(Reply::ok(&shown::Recipient::from(&recipient)));
        }
        let now = app.clock.now();
        let ended = Refusal::NotOpen(agreement.status(now));
        if agreement.accessible(&recipient, now) == Err(ended) {
            return Err(ended.problem());
        }
        let event = Event::new(Action::ViewingReopened, caller.actor).from(call.source);
        let event = event.with("recipient", recipient.id.to_string());
        let mut writes = agreement.change(agreement.touch(), [event], now)?;
        let update = recipient.touch().and(", #kba.#attempts = :none").value("none", 0_u32);
        writes.push(update.remove("#viewing_locked_at").when("attribute_exists(#viewing_locked_at)"));
        let written = app.table.transact(writes).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            recipient.viewing_locked_at = None;
            return Ok(Reply::ok(&shown::Recipient::from(&recipient)));
        }
    }
}
