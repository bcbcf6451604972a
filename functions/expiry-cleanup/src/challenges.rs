//! The challenges on a user's item, and the app and the contacts that were not confirmed.

use shared::kernel::clock::Timestamp;
use shared::signin::user::User;
use shared::store::app::App;
use shared::store::dynamo::{Failure, Key};

use crate::Report;

/// Removes what is over on a user's item, a part at a time.
pub async fn remove(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    while remove_some(app, key.clone(), now, report).await? {}
    Ok(())
}

/// Removes as much as goes with one write, and says whether more is over.
async fn remove_some(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<bool, Failure> {
    let Some(user) = app.table.find(key.holding::<User>()).await? else {
        return Ok(false);
    };
    let sweep = user.sweep(now);
    app.table.update(sweep.write).await?;
    let more = sweep.next.is_some_and(|next| next <= now);
    report.enrolments += u32::try_from(sweep.unconfirmed).unwrap_or(u32::MAX);
    report.challenges += u32::try_from(sweep.challenges).unwrap_or(u32::MAX);
    report.rescheduled += u32::from(sweep.next.is_some() && !more);
    Ok(more)
}
