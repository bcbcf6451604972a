//! The scheduled clean-up: what is over is removed, in capped batches.
//!
//! The index `due` is the list of work: an item is in it until it was dealt with, so that a run
//! that is cut short is gone on with by the next. Every removal repeats, as its condition, that the
//! item is over: two runs at once, or a request in the same instant, change nothing. Nothing else
//! relies on a clean-up having run.
//!
//! Where somebody else holds an item, or has changed it since it was read, it is read and judged
//! anew, a bounded number of times with a random wait between. What could not be had even then is
//! told as left, what could not be dealt with as failed, and the run as having more to do: a run
//! that does not say so has left nothing that was due.
//!
//! What is kept for how long: challenges until they end, counters until no limit looks at them,
//! idempotency records 24 hours, the audit of names that nobody has 30 days. The audit of users and
//! accounts is not removed.

mod agreements;
mod challenges;
mod mails;
mod records;
mod report;
mod sessions;

use futures_util::future::join_all;
use shared::kernel::clock::Timestamp;
use shared::messaging::courier::Courier;
use shared::signin::notice;
use shared::store::app::App;
use shared::store::dynamo::keys::{DUE_SHARDS, due_shard};
use shared::store::dynamo::{Failure, Key, RetryPolicy, Update};

pub use report::Report;

/// How much is done in one go.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The most items that a sweep deals with, an equal part of them in each shard of the index;
    /// those that cannot be dealt with do not count, so that they keep no others from it.
    pub items_max: u32,
    /// How many it asks for at once.
    pub page: i32,
    /// When it begins nothing more: a mail may take seconds, and what the run is stopped in goes
    /// twice.
    pub until: Timestamp,
}

impl Default for Batch {
    /// A thousand items, a write or two each, are done within ten seconds.
    fn default() -> Self {
        Self {
            items_max: 1_000,
            page: 50,
            until: Timestamp::from_millis(i64::MAX),
        }
    }
}

/// How many items are dealt with at the same time.
const AT_ONCE: usize = 10;

/// Batch after batch, until nothing is due, nothing more can be dealt with, or the time is over:
/// the next run goes on from there.
pub async fn run(app: &App, courier: &Courier, batch: Batch) -> Report {
    let mut report = Report::default();
    // Nobody waits for these mails, and one that is given up may go twice.
    let courier = &courier.unhurried();
    loop {
        let swept = sweep(app, courier, batch).await;
        report.add(&swept);
        (report.left, report.more) = (swept.left, swept.more);
        // What stays due whatever is done would be met for ever.
        if !swept.more || swept.done() == 0 || app.clock.now() >= batch.until {
            return report;
        }
    }
}

/// Deals with what is due, up to the batch's size and time. Each shard has an equal part of it, and
/// another is the first in every minute: what piles up in one keeps nothing in the others waiting.
pub async fn sweep(app: &App, courier: &Courier, batch: Batch) -> Report {
    let now = app.clock.now();
    let first = now
        .as_secs()
        .div_euclid(60)
        .rem_euclid(i64::from(DUE_SHARDS));
    let first = u8::try_from(first).unwrap_or_default();
    let mut report = Report::default();
    for shard in (first..DUE_SHARDS).chain(0..first) {
        let mut part = Report::default();
        if let Err(failure) = sweep_shard(app, courier, batch, (shard, now), &mut part).await {
            tracing::error!(
                ?failure,
                "due items of a shard could not be read; the next run continues from there; if repeated, check DynamoDB and permissions"
            );
            part.failed += 1;
            part.more = true;
        }
        report.add(&part);
        report.more |= part.more || part.left > 0 || part.failed > 0;
    }
    report
}

/// Deals with what is due in one shard, up to its part of the batch.
async fn sweep_shard(
    app: &App,
    courier: &Courier,
    batch: Batch,
    (shard, now): (u8, Timestamp),
    part: &mut Report,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        if app.clock.now() >= batch.until {
            part.more = true;
            return Ok(());
        }
        let (shard, due_by) = (due_shard(shard), now.as_millis());
        let due = app
            .table
            .due(shard, due_by, after.take(), batch.page)
            .await?;
        let page_was_full = i32::try_from(due.len()).is_ok_and(|found| found >= batch.page);
        after = due.last().cloned();
        sweep_page(app, courier, batch, due.iter().filter_map(Key::of), part).await;
        // On from the last one, whatever came of it: what is still listed there is seen by the next
        // run.
        if part.more || !page_was_full {
            return Ok(());
        }
    }
}

/// Deals with what is due at `keys`, up to the shard's part of the batch.
async fn sweep_page(
    app: &App,
    courier: &Courier,
    batch: Batch,
    keys: impl Iterator<Item = Key>,
    part: &mut Report,
) {
    let most = batch.items_max.div_ceil(u32::from(DUE_SHARDS));
    let mut keys = keys.peekable();
    while keys.peek().is_some() {
        let room = most.saturating_sub(part.examined - part.failed - part.left);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if room == 0 || app.clock.now() >= batch.until {
            part.more = true;
            return;
        }
        let some = keys
            .by_ref()
            .take(room.min(AT_ONCE))
            .map(|key| examined(app, courier, key));
        join_all(some).await.iter().for_each(|one| part.add(one));
    }
}

/// What came of one item. One that cannot be dealt with does not keep the others from it; one that
/// others are at is read again, and judged as it stands then, and by the time that it is then: a
/// sweep takes minutes, and the moment of a ledger's entry is that of its writing, within what a
/// checkpoint waits for ([`shared::agreement::reconcile::checkpoint`]).
async fn examined(app: &App, courier: &Courier, key: Key) -> Report {
    let mut report = Report {
        examined: 1,
        ..Report::default()
    };
    let mut retries = RetryPolicy::default();
    loop {
        match deal_with(app, courier, key.clone(), app.clock.now(), &mut report).await {
            Ok(()) => return report,
            Err(Failure::Condition(_) | Failure::Conflict)
                if retries.wait(&app.entropy).await.is_ok() => {}
            Err(Failure::Condition(_) | Failure::Conflict) => {
                tracing::warn!(
                    item.pk = key.pk,
                    item.sk = key.sk,
                    "due item is being changed by other requests; it is left for the next run; no action needed"
                );
                report.left += 1;
                return report;
            }
            Err(failure) => {
                tracing::error!(
                    ?failure,
                    "cleanup of an item failed; the next run tries again; if repeated, check permissions and the stored item"
                );
                report.failed += 1;
                return report;
            }
        }
    }
}

/// Deals with one item, as it stands now. A condition that did not hold, or a conflict, says that
/// somebody else was at it.
async fn deal_with(
    app: &App,
    courier: &Courier,
    key: Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    if notice::is_log(&key) {
        let holds = mails::tell(app, courier, &key, now, report).await?;
        if holds {
            Ok(())
        } else {
            records::remove(app, key, now, report).await
        }
    } else if mails::stands_at(&key) {
        mails::send(app, courier, &key, report).await
    } else if sessions::stands_at(&key) {
        sessions::end(app, key, now, report).await
    } else if agreements::is_one(&key) {
        agreements::expire(app, key, now, report).await
    } else if key.pk.starts_with("USER#") && key.sk == "USER" {
        challenges::remove(app, key, now, report).await
    } else {
        records::remove(app, key, now, report).await
    }
}

/// An item turned out to be due `later`: it was written to since it was entered in the index.
async fn put_off(
    app: &App,
    key: Key,
    later: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    match app.table.update(Update::of(key).put_off(later)).await {
        Ok(_) => report.rescheduled += 1,
        // It is entered for then, or is gone or done with, by somebody else's write.
        Err(Failure::Condition(_)) => {}
        Err(failure) => return Err(failure),
    }
    Ok(())
}
