//! Items that are over as a whole.

use shared::app::App;
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Key, Write, ends_at, ttl};

use crate::Report;

/// Removes the item at `key`, if it is over; enters it anew in the index, if it is not.
pub async fn remove(app: &App, key: Key, now: Timestamp, report: &mut Report) -> Result<(), Failure> {
    let removal = Write::delete(key.clone()).when("#ttl <= :over").value("over", ttl(now));
    match app.table.remove(removal).await {
        Ok(()) => count(&key, report),
        Err(Failure::Condition(stood)) => {
            if let Some(later) = stood.first().and_then(Option::as_ref).and_then(ends_at) {
                reschedule(app, key, later, report).await?;
            }
        }
        // Somebody is writing it at this moment: then it is not over, and the next run looks again.
        Err(Failure::Conflict) => {}
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// A counter that was written to since it was entered in the index is due later.
async fn reschedule(app: &App, key: Key, later: Timestamp, report: &mut Report) -> Result<(), Failure> {
    let update =
        Write::update(key, "SET #due_at = :later").when("attribute_exists(#pk) AND #due_at < :later").value("later", later);
    match app.table.update(update).await {
        Ok(_) => report.rescheduled += 1,
        Err(Failure::Unavailable(inner)) => return Err(Failure::Unavailable(inner)),
        Err(Failure::Condition(_) | Failure::Conflict) => {}
    }
    Ok(())
}

fn count(key: &Key, report: &mut Report) {
    match key.pk.split('#').next() {
        Some("IDEMPOTENCY") => report.idempotency_records += 1,
        Some("LINK" | "EXCHANGE") => report.links += 1,
        Some("AUDIT" | "USER") => report.passing_entries += 1,
        _ => report.counters += 1,
    }
}
