//! The scheduled clean-up: what is over is removed, in capped batches.
//!
//! The index `due` is the list of work: an item is in it until it was dealt with, so that a run that is cut short is gone on with
//! by the next. Every removal repeats, as its condition, that the item is over: two runs at once, or a request in the same instant,
//! change nothing. Nothing else relies on a clean-up having run.
//!
//! What is kept for how long: challenges until they end, counters until no limit looks at them, idempotency records 24 hours, the
//! audit of names that nobody has 30 days. The audit of users and accounts is not removed.

mod agreements;
mod challenges;
mod mails;
mod records;
mod sessions;

use futures_util::future::join_all;
use serde::Serialize;
use shared::app::App;
use shared::clock::Timestamp;
use shared::courier::Courier;
use shared::dynamo::keys::{DUE_SHARDS, due_shard};
use shared::dynamo::{Failure, Key};

/// How much one run does.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The most items it deals with; those that cannot be dealt with do not count, so that they keep no others from it.
    pub items_max: u32,
    /// How many it asks for at once.
    pub page: i32,
    /// When it begins nothing more: a mail may take seconds, and what the run is stopped in goes twice.
    pub until: Timestamp,
}

impl Default for Batch {
    /// A thousand items, a write or two each, are done within ten seconds.
    fn default() -> Self {
        Self { items_max: 1_000, page: 50, until: Timestamp::from_millis(i64::MAX) }
    }
}

/// How many items are dealt with at the same time.
const AT_ONCE: usize = 10;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Items it looked at.
    pub examined: u32,
    /// Challenges that were over.
    pub challenges: u32,
    /// Apps that nobody confirmed in time.
    pub enrolments: u32,
    /// Counts of wrong passwords, failed sign-ins and sends that no limit looks at any more.
    pub counters: u32,
    /// Answers kept for `Idempotency-Key`.
    pub idempotency_records: u32,
    /// Links, and their one-time codes, that nobody needs to be told of any more.
    pub links: u32,
    /// Sessions of knowledge-based authentication that nobody answered in time, or that were looked at when their time was over.
    pub kba_sessions_expired: u32,
    /// Sessions that nobody will ask for any more.
    pub kba_sessions: u32,
    /// Audit entries of names that nobody has.
    pub passing_entries: u32,
    /// Agreements whose time was over.
    pub agreements: u32,
    /// Mails that were owed, and sent.
    pub mails_sent: u32,
    /// Mails that nobody has a use for any more.
    pub mails_dropped: u32,
    /// Mails that could not be sent, and are owed still.
    pub mails_owed: u32,
    /// Items that turned out to be due later.
    pub rescheduled: u32,
    /// Items that could not be dealt with: the log says why.
    pub failed: u32,
    /// Whether more is due.
    pub more: bool,
}

impl Report {
    /// How many things it removed.
    pub const fn removed(&self) -> u32 {
        self.challenges
            + self.enrolments
            + self.counters
            + self.idempotency_records
            + self.links
            + self.kba_sessions
            + self.kba_sessions_expired
            + self.passing_entries
            + self.agreements
            + self.mails_sent
            + self.mails_dropped
    }

    /// Whether it could deal with nothing that it tried: not a bad item among good ones, but a right, a key or a service that is gone.
    pub const fn is_a_failure(&self) -> bool {
        self.failed > 0 && self.removed() == 0
    }

    /// Adds what another run did.
    pub const fn add(&mut self, other: &Self) {
        self.examined += other.examined;
        self.challenges += other.challenges;
        self.enrolments += other.enrolments;
        self.counters += other.counters;
        self.idempotency_records += other.idempotency_records;
        self.links += other.links;
        self.kba_sessions_expired += other.kba_sessions_expired;
        self.kba_sessions += other.kba_sessions;
        self.passing_entries += other.passing_entries;
        self.agreements += other.agreements;
        self.mails_sent += other.mails_sent;
        self.mails_dropped += other.mails_dropped;
        self.mails_owed += other.mails_owed;
        self.rescheduled += other.rescheduled;
        self.failed += other.failed;
        self.more = other.more;
    }
}

/// Deals with what is due, up to the batch's size and time.
pub async fn sweep(app: &App, courier: &Courier, batch: Batch) -> Result<Report, Failure> {
    let now = app.clock.now();
    let mut report = Report::default();
    for shard in 0..DUE_SHARDS {
        let mut after = None;
        loop {
            let due = app.table.due(due_shard(shard), now.as_millis(), after.take(), batch.page).await?;
            let page_was_full = i32::try_from(due.len()).is_ok_and(|found| found >= batch.page);
            after = due.last().cloned();
            let mut keys = due.iter().filter_map(Key::of).peekable();
            while keys.peek().is_some() {
                let left = usize::try_from(batch.items_max.saturating_sub(report.examined - report.failed)).unwrap_or(usize::MAX);
                if left == 0 || app.clock.now() >= batch.until {
                    report.more = true;
                    return Ok(report);
                }
                let some = keys.by_ref().take(left.min(AT_ONCE)).map(|key| examined(app, courier, key, now));
                join_all(some).await.iter().for_each(|part| report.add(part));
            }
            // On from the last one, whatever came of it: what is still listed there is seen by the next run.
            if !page_was_full {
                break;
            }
        }
    }
    Ok(report)
}

/// What came of one item. One that cannot be dealt with does not keep the others from it.
async fn examined(app: &App, courier: &Courier, key: Key, now: Timestamp) -> Report {
    let mut report = Report { examined: 1, ..Report::default() };
    if let Err(failure) = deal_with(app, courier, key, now, &mut report).await {
        tracing::error!(?failure, "an item could not be cleaned up");
        report.failed += 1;
    }
    report
}

async fn deal_with(app: &App, courier: &Courier, key: Key, now: Timestamp, report: &mut Report) -> Result<(), Failure> {
    if mails::stands_at(&key) {
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
