//! The challenges on a user's item, and the app and the contacts that were not confirmed.

use shared::kernel::clock::Timestamp;
use shared::signin::user::{Method, User, pending};
use shared::store::app::App;
use shared::store::dynamo::{Failure, Key, Write, read};

use crate::Report;

/// The most challenges removed with one write: an expression has its limits.
const AT_ONCE: usize = 50;

/// Removes the challenges of a user that are over, the app and the contacts that nobody confirmed
/// in time, and enters the user anew in the index while there are others.
pub async fn remove(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    while remove_some(app, key.clone(), now, report).await? {}
    Ok(())
}

/// Removes as many as go with one write, and says whether more are over.
async fn remove_some(
    app: &App,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<bool, Failure> {
    let Some(item) = app.table.get(key.clone()).await? else {
        return Ok(false);
    };
    let user: User = read(item)?;
    let over = user
        .challenges
        .iter()
        .filter(|(_, challenge)| challenge.expires_at <= now);
    let over: Vec<&str> = over.map(|(name, _)| name.as_str()).take(AT_ONCE).collect();
    let (abandoned, pending): (Vec<_>, Vec<_>) = unconfirmed(&user)
        .into_iter()
        .partition(|(_, expires_at)| *expires_at <= now);
    let left = user
        .challenges
        .iter()
        .filter(|(name, _)| !over.contains(&name.as_str()));
    let pending = pending.into_iter().map(|(_, expires_at)| expires_at);
    let next = left
        .map(|(_, challenge)| challenge.expires_at)
        .chain(pending)
        .min();

    // Every sign-in moves the audit chain: nothing was opened since the read, or the index would
    // forget a challenge.
    let update = Write::update(key, "")
        .when("#audit_seq = :seen")
        .value("seen", user.head.sequence);
    let update = match next {
        Some(next) => update.and(", #due_at = :next").value("next", next),
        None => update.remove("#due_at").remove("#due_shard"),
    };
    // Another run that was faster has removed them: it counts them.
    let update = if over.is_empty() {
        update
    } else {
        update.when("attribute_exists(#challenges.#over0)")
    };
    let update = abandoned.iter().fold(update, |update, (name, _)| {
        update
            .when(format!("attribute_exists(#{name})"))
            .remove(format!("#{name}"))
    });
    let update = over
        .iter()
        .enumerate()
        .fold(update, |update, (index, name)| {
            update
                .remove(format!("#challenges.#over{index}"))
                .name(&format!("over{index}"), *name)
        });
    app.table.update(update).await?;
    let more = next.is_some_and(|next| next <= now);
    report.enrolments += u32::try_from(abandoned.len()).unwrap_or(u32::MAX);
    report.challenges += u32::try_from(over.len()).unwrap_or(u32::MAX);
    report.rescheduled += u32::from(next.is_some() && !more);
    Ok(more)
}

/// What was begun and not confirmed, by its attribute, and when it is over.
fn unconfirmed(user: &User) -> Vec<(&'static str, Timestamp)> {
    let app = user
        .enrolment
        .as_ref()
        .map(|pending| ("enrolment", pending.expires_at));
    let contacts = [
        (Method::Sms, &user.pending_sms),
        (Method::Email, &user.pending_email),
    ];
    let contacts = contacts.into_iter().filter_map(|(method, pending)| {
        Some((pending::attribute(method), pending.as_ref()?.expires_at))
    });
    app.into_iter().chain(contacts).collect()
}
