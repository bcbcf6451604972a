//! An agreement and one of its recipients, as one decision has read them.
//!
//! The two are read in one request, and that is no snapshot: the one may be older than the other.
//! So a decision over both is written under both: under the head of the agreement's chain, and
//! under the version of its recipient. Nothing else makes a write of a recipient, and the two
//! copies do not leave this pair: what is written is what was judged. A later copy of either is
//! another decision's.

use crate::kernel::clock::Timestamp;
use crate::kernel::ids::{AgreementId, RecipientId};
use crate::store::audit::Event;
use crate::store::dynamo::{Failure, Item, Key, KeyOf, Table, Update, Wanted, Write, keys};

use super::{Agreement, AgreementRefusal, Closure, Recipient, Status, whole};

/// An agreement and one of its recipients, as they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    agreement: Agreement,
    recipient: Recipient,
}

/// An agreement and one of its recipients, to be read.
#[derive(Debug)]
pub struct WantedStanding(KeyOf<Agreement>, KeyOf<Recipient>);

impl Wanted for WantedStanding {
    type Found = Option<Standing>;

    fn enter(&self, keys: &mut Vec<Key>) {
        self.0.enter(keys);
        self.1.enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        let (agreement, recipient) = (self.0.take(items)?, self.1.take(items)?);
        Ok(agreement
            .zip(recipient)
            .map(|(agreement, recipient)| Standing::of(agreement, recipient)))
    }
}

impl Standing {
    /// The two, as they are to be read: none is found where one of them is not there.
    pub fn wanted(agreement: AgreementId, recipient: RecipientId) -> WantedStanding {
        WantedStanding(
            keys::agreement(agreement).holding(),
            keys::recipient(agreement, recipient).holding(),
        )
    }

    /// These two.
    pub const fn of(agreement: Agreement, recipient: Recipient) -> Self {
        Self {
            agreement,
            recipient,
        }
    }

    /// The agreement, as it was read.
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The recipient, as it was read.
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Whether the recipient may come to the agreement by the link.
    pub fn accessible(&self, now: Timestamp) -> Result<(), AgreementRefusal> {
        self.agreement.accessible(&self.recipient, now)
    }

    /// Whether what the recipient has to prove may be changed.
    pub fn changeable(&self, now: Timestamp) -> Result<(), AgreementRefusal> {
        self.agreement.open(now)?;
        self.recipient.changeable()
    }

    /// An update of the recipient's item that changes nothing yet: for [`Standing::step`].
    pub fn update(&self) -> Update {
        self.recipient.touch()
    }

    /// That the recipient stands as it was read, where it was judged and does not change: for
    /// [`Standing::step`].
    pub fn unchanged(&self) -> Update {
        self.recipient.unchanged()
    }

    /// The writes of a decision over both: `recipient` is what becomes of the recipient's item,
    /// made of [`Standing::update`] or [`Standing::unchanged`], and `events` tell of it. The
    /// agreement's item is the first of them.
    pub fn step(
        &self,
        recipient: Update,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        self.step_of(self.agreement.touch(), recipient, events, now)
    }

    /// The same, where the decision cancels the agreement.
    pub fn end(
        &self,
        closure: &Closure,
        recipient: Update,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        self.step_of(
            self.agreement.end(Status::Cancelled, closure)?,
            recipient,
            events,
            now,
        )
    }

    /// The same, where the agreement changes as well: `agreement` is an update of its item.
    pub(super) fn step_of(
        &self,
        agreement: Update,
        recipient: Update,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut writes = self.agreement.change(agreement, events, now)?;
        writes.push(recipient.into());
        Ok(writes)
    }

    /// The writes that tell of what was decided over neither as it stands.
    pub fn tell(
        &self,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        self.agreement.tell(events, now)
    }

    /// The agreement's other recipients. They are read after the agreement: where its chain stands
    /// still when the decision is written, so do they. The one of this pair is not among them,
    /// however it stands by then.
    pub async fn others(&self, table: &Table) -> Result<Vec<Recipient>, Failure> {
        let mut recipients = whole::recipients(table, self.agreement.id).await?;
        recipients.retain(|other| other.id != self.recipient.id);
        Ok(recipients)
    }
}
