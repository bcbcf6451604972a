//! `POST /v1/agreements/{id}/recipients/{recipient}/complete`: the recipient has signed. The last one completes the agreement.

use shared::agreement::{Agreement, Closure, Occasion, Recipient, RecipientStatus, Refusal, Status, Whole};
use shared::api_key::Caller;
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Key, Patience, Write, document, keys};
use shared::http::refusals::contended;
use shared::http::{Call, Outcome, Problem, Reply};
use shared::keyring::Keyring;
use shared::owed;

use crate::{State, find, shown};

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let app = &state.app;
    let now = call.arrived_at;
    let mut patience = Patience::default();
    loop {
        let (agreement, mut recipient) = find::recipient(app, call, caller.account.id).await?;
        if recipient.status == RecipientStatus::Completed {
            return Ok(Reply::ok(&shown::Recipient::from(&recipient)));
        }
        agreement.open(now).map_err(Refusal::problem)?;
        recipient.completable().map_err(Refusal::problem)?;
        let event = Event::new(Action::RecipientCompleted, caller.actor).from(call.source);
        let event = event.with("recipient", recipient.id.to_string());
        let (writes, mails) = if agreement.is_last() {
            let whole = Whole::around(&app.table, agreement.clone()).await?;
            let keyring = app.keyrings.current(now).await;
            let base = call.base_url(app.config.base_url.as_deref());
            let last = Last { app, base: &base, keyring: &keyring, now };
            last.writes(&whole, &recipient, event)?
        } else {
            (one(&agreement, &recipient, event, now)?, Vec::new())
        };
        let written = app.table.transact(writes).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            owed::deliver_all(app, &state.courier, mails).await;
            recipient.status = RecipientStatus::Completed;
            return Ok(Reply::ok(&shown::Recipient::from(&recipient)));
        }
    }
}

/// The update of a recipient who completes.
fn completed(recipient: &Recipient) -> Write {
    recipient.touch().and(", #status = :completed").value("completed", RecipientStatus::Completed.name())
}

/// Adds to the agreement's update that one more has completed.
fn counted(update: Write, agreement: &Agreement) -> Write {
    update.and(", #completed = :count").value("count", agreement.completed + 1)
}

/// One recipient completes, and others are still to.
fn one(agreement: &Agreement, recipient: &Recipient, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
    let mut writes = agreement.change(counted(agreement.touch(), agreement), [event], now)?;
    writes.push(completed(recipient));
    Ok(writes)
}

/// The last recipient completes.
struct Last<'a> {
    app: &'a App,
    base: &'a str,
    keyring: &'a Keyring,
    now: Timestamp,
}

impl Last<'_> {
    /// The agreement is completed, each recipient is owed the link to it, and what was reserved and not used is given back.
    fn writes(&self, whole: &Whole, last: &Recipient, event: Event) -> Result<(Vec<Write>, Vec<Key>), Problem> {
        let agreement = &whole.agreement;
        let closure = Closure { at: self.now, reason: None, recipient: None, by: None };
        let all = Event::new(Action::AgreementCompleted, Actor::System);
        let update = counted(agreement.end(Status::Completed, &closure)?, agreement);
        let mut writes = agreement.change(update, [event, all], self.now)?;
        let mut mails = Vec::new();
        for recipient in &whole.recipients {
            let update = if recipient.id == last.id { completed(recipient) } else { recipient.touch() };
            let sources = (self.keyring, &self.app.entropy);
            let invited = agreement.invite(recipient, Occasion::Signed, self.base, sources, self.now)?;
            let links = document(&recipient.links_with(invited.link.fingerprint))?;
            let update = update.and(", #links = :links").value("links", links);
            writes.push(owed::on(update, &invited.owed, self.now)?);
            mails.push(keys::recipient(agreement.id, recipient.id));
        }
        writes.extend(whole.release(self.now)?);
        Ok((writes, mails))
    }
}
