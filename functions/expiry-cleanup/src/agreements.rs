//! Agreements whose time is over: ended by the same rule, and the same writes, as those that are
//! cancelled.

use shared::agreement::{Agreement, Closure, Ending, Status};
use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Key};

use crate::{Report, put_off};

/// Whether an agreement stands at `key`.
pub fn is_one(key: &Key) -> bool {
    key.pk.starts_with("AGREEMENT#") && key.sk == "AGREEMENT"
}

/// Ends the agreement at `key`, if its time is over, and gives back what was reserved and not used.
pub async fn expire(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    let found = app.table.find(key.clone().holding::<Agreement>()).await?;
    let Some(agreement) = found else {
        return Ok(());
    };
    // What has ended already left the index with that; the index follows the table with a delay.
    if agreement.status != Status::OutForSignature {
        return Ok(());
    }
    if agreement.expires_at > now {
        return put_off(app, key, agreement.expires_at, report).await;
    }
    end(app, agreement, now).await?;
    report.agreements += 1;
    Ok(())
}

/// Ends it. It has counted as expired since its time was over, whenever it is that somebody comes
/// to write it down.
async fn end(app: &App, agreement: Agreement, now: Timestamp) -> Result<(), Failure> {
    let ending = Ending::of(&app.table, agreement).await?;
    let closure = Closure {
        at: ending.whole().agreement.expires_at,
        reason: None,
        recipient: None,
        by: None,
    };
    let event = Event::new(Action::AgreementExpired, Actor::System);
    let writes = ending.writes(Status::Expired, &closure, event, now)?;
    app.table.transact(writes).await
}
