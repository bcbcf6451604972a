//! Sessions of knowledge-based authentication whose time is over, and those that nobody will ask
//! for any more.

use shared::agreement::Standing;
use shared::agreement::kba::{Session, Status};
use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Key, Write};

use crate::{Report, put_off};

/// Whether a session stands at `key`.
pub fn stands_at(key: &Key) -> bool {
    key.sk == "SESSION"
}

/// Writes down that a session has expired; removes one that is kept for no reason any more.
///
/// It costs nothing and releases nothing: the recipient's transaction stays reserved while the
/// agreement is open.
pub async fn end(app: &App, key: Key, now: Timestamp, report: &mut Report) -> Result<(), Failure> {
    let found = app.table.find(key.clone().holding::<Session>()).await?;
    let Some(session) = found else { return Ok(()) };
    if session.kept_until() <= now {
        app.table.remove(session.remove(now)).await?;
        report.kba_sessions += 1;
        return Ok(());
    }
    if session.expires_at > now {
        return put_off(app, key, session.expires_at, report).await;
    }
    match abandoned(app, &session, now).await? {
        Some(writes) => app.table.transact(writes).await?,
        None => app.table.update(session.look_again()).await.map(drop)?,
    }
    report.kba_sessions_expired += 1;
    Ok(())
}

/// The writes that end a session that nobody answered; none where it was answered, or a newer one
/// took its place.
async fn abandoned(
    app: &App,
    session: &Session,
    now: Timestamp,
) -> Result<Option<Vec<Write>>, Failure> {
    let wanted = Standing::wanted(session.agreement, session.recipient);
    let Some(standing) = app.table.find(wanted).await? else {
        return Ok(None);
    };
    if session.answer.is_some()
        || session.status(standing.recipient(), now) != Status::Expired
        || session.status != Status::Pending
    {
        return Ok(None);
    }
    let event = Event::new(Action::KbaSessionExpired, Actor::System)
        .with("session", session.id.to_string());
    let event = event
        .with("recipient", session.recipient.to_string())
        .with("method", "kba");
    let mut writes = vec![session.expire().into()];
    // That no newer session has taken its place stands on the recipient.
    writes.extend(standing.step(standing.unchanged(), [event], now)?);
    Ok(Some(writes))
}
