//! Agreements whose time is over: ended by the same rule, and the same writes, as those that are cancelled.

use shared::agreement::{Agreement, Closure, Status, Whole};
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Key, Write, read};

use crate::Report;

/// Whether an agreement stands at `key`.
pub fn is_one(key: &Key) -> bool {
    key.pk.starts_with("AGREEMENT#") && key.sk == "AGREEMENT"
}

/// Ends the agreement at `key`, if its time is over, and gives back what was reserved and not used.
pub async fn expire(app: &App, key: Key, now: Timestamp, report: &mut Report) -> Result<(), Failure> {
    let Some(agreement) = app.table.get(key.clone()).await? else { return Ok(()) };
    let agreement: Agreement = read(agreement)?;
    // What has ended already left the index with that; the index follows the table with a delay.
    if agreement.status != Status::OutForSignature {
        return Ok(());
    }
    if agreement.expires_at > now {
        return reschedule(app, key, agreement.expires_at, report).await;
    }
    let whole = Whole::around(&app.table, agreement).await?;
    // It has counted as expired since its time was over, whenever it is that somebody comes to write it down.
    let closure = Closure { at: whole.agreement.expires_at, reason: None, recipient: None, by: None };
    let writes = whole.end(Status::Expired, &closure, Event::new(Action::AgreementExpired, Actor::System), now)?;
    match app.table.transact(writes).await {
        Ok(()) => report.agreements += 1,
        // Somebody was faster: another run, or a request in this very instant. If it is still to be ended, the next run does it.
        Err(Failure::Condition(_) | Failure::Conflict) => {}
        Err(unavailable) => return Err(unavailable),
    }
    Ok(())
}

async fn reschedule(app: &App, key: Key, later: Timestamp, report: &mut Report) -> Result<(), Failure> {
    let update = Write::update(key, "SET #due_at = :later").when("attribute_exists(#due_at) AND #due_at < :later");
    match app.table.update(update.value("later", later)).await {
        Ok(_) => report.rescheduled += 1,
        Err(Failure::Unavailable(inner)) => return Err(Failure::Unavailable(inner)),
        Err(Failure::Condition(_) | Failure::Conflict) => {}
    }
    Ok(())
}
