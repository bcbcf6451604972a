//! What is written of an agreement: always with its audit entry, always under the condition that
//! nothing of it has changed.

use super::attribute::{CLOSURE, STATUS};
use super::{Agreement, Closure, Status};
use crate::kernel::clock::Timestamp;
use crate::store::audit::{Chain, Event};
use crate::store::dynamo::{Failure, Key, Stored, Update, Write, document, keys};

impl Stored for Agreement {
    fn key(&self) -> Key {
        keys::agreement(self.id)
    }
}

impl Agreement {
    /// An update of this agreement's item that changes nothing yet.
    pub(super) fn touch(&self) -> Update {
        Update::of(self.key())
    }

    /// The writes that change this agreement and tell of it: `update` is of its item. The
    /// item's is the first of them.
    ///
    /// They are made under the condition that the agreement stands where it was read, and that its
    /// chain does: as every change of a recipient moves the chain, that says the same of all
    /// recipients.
    pub(super) fn change(
        &self,
        update: Update,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.account, self.id, &self.head);
        events
            .into_iter()
            .try_for_each(|event| chain.append(event, now))?;
        let update = update.when(STATUS.is(self.status.name()));
        let mut writes = vec![chain.advance(update).into()];
        writes.extend(chain.writes()?);
        Ok(writes)
    }

    /// The writes that tell of what was decided over the agreement alone.
    pub fn tell(
        &self,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        self.change(self.touch(), events, now)
    }

    /// The update that ends it so. What was reserved and not consumed is to be released in the same
    /// transaction.
    pub(super) fn end(&self, status: Status, closure: &Closure) -> Result<Update, Failure> {
        Ok(self
            .touch()
            .set(STATUS, status.name())
            .set(CLOSURE, document(closure)?)
            .remove_due())
    }
}
