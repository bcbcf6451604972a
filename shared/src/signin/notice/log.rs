//! What a destination was told recently, in the name of an account: when, and what waits to be
//! told.

use serde::{Deserialize, Serialize};

use super::deferred::{DeferredNotice, DeferredWrite};
use crate::kernel::clock::{Span, Timestamp};
use crate::messaging::courier::Changed;
use crate::messaging::outbox::Mail;
use crate::store::dynamo::{Failure, Item, Key, Path, Update, document, read};
use crate::store::rate_limit::{Limit, MOMENTS, Window};

/// The notices to a destination in the name of an account: 5 an hour.
pub const PER_DESTINATION: Window = Window {
    limits: &[Limit {
        quota: 5,
        span: Span::hours(1),
    }],
};

const DEFERRED: Path = Path::new("deferred");
const VERSION: Path = Path::new("version");

/// The log of a destination's notices, as it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NoticeLog {
    /// When, the newest first.
    pub moments: Vec<Timestamp>,
    /// What waits until there is room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred: Option<DeferredNotice>,
    /// Counts the writes: what was judged is what is written over.
    pub version: u64,
}

impl NoticeLog {
    /// The log that stands at an item.
    pub fn read(item: Item) -> Result<Self, Failure> {
        read(item)
    }

    /// When there is room for another.
    pub fn free_at(&self, now: Timestamp) -> Timestamp {
        PER_DESTINATION
            .full_until(&self.moments, now)
            .map_or(now, |(until, _)| until)
    }

    /// What is held once `changed` is to be told as well, if it has to wait: something waits
    /// already, or the hour is full.
    pub fn hold(&self, mail: &Mail, changed: &[Changed], now: Timestamp) -> Option<DeferredWrite> {
        let free_at = self.free_at(now);
        let waits = self.deferred.is_some() || free_at > now;
        let deferred = DeferredNotice::with(self.deferred.as_ref(), mail, changed);
        waits.then_some(DeferredWrite {
            deferred,
            until: free_at,
            version: self.version,
        })
    }

    /// The write that enters a notice that is sent now: blindly, or over what `seen` has shown,
    /// where the log is to be trimmed.
    pub fn enter(key: Key, seen: Option<&Self>, now: Timestamp) -> Update {
        let entry = PER_DESTINATION.enter(key, now, seen.map(|told| told.moments.as_slice()));
        counted(entry).when(DEFERRED.is_absent())
    }

    /// The write that enters what is held, over the log as it was read: it is a notice, too.
    pub fn take_in(&self, key: Key, now: Timestamp) -> Update {
        let moments = PER_DESTINATION.entered(&self.moments, now);
        let over_at = now.plus(Span::hours(1));
        counted(Update::of(key))
            .set(MOMENTS, moments)
            .remove(DEFERRED)
            .look_at(over_at)
            .set_ttl(over_at)
            .when(VERSION.is(self.version))
    }
}

impl DeferredWrite {
    /// The write that holds it, over the log as it was read: for the transaction of the change.
    /// Nothing takes it until it was told.
    pub fn write(&self, key: Key) -> Result<Update, Failure> {
        Ok(counted(Update::of(key))
            .set(DEFERRED, document(&self.deferred)?)
            .look_at(self.until)
            .remove_ttl()
            .when(VERSION.is(self.version)))
    }
}

/// Adds to an update of a log that it is another version from then on.
fn counted(update: Update) -> Update {
    update.count(VERSION, 0_u64, 1_u64)
}
