//! An agreement and all of its recipients, as they stand.

use super::{Agreement, Recipient, Status};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::dynamo::{Failure, Item, Key, Table, Write, keys, read};
use crate::ids::{AgreementId, RecipientId};
use crate::quota::plan::{self, About};
use crate::quota::{EntryId, Unit};

use super::Closure;

/// How many items of an agreement's partition are asked for at once: all of them, unless they are large.
const PAGE: i32 = 100;

/// An agreement and all of its recipients.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The agreement.
    pub agreement: Agreement,
    /// Its recipients, as their sender listed them.
    pub recipients: Vec<Recipient>,
}

impl Whole {
    /// An agreement and its recipients, to be shown. They are read one after another, in an order that nobody promises: what is
    /// decided from is read by [`Whole::around`].
    pub async fn read(table: &Table, id: AgreementId) -> Result<Option<Self>, Failure> {
        Self::of(id, Self::partition(table, id).await?)
    }

    /// The recipients of an agreement that was read before them. Every change of a recipient moves the agreement's chain: where that
    /// stands still as `agreement` has it when a transaction is written, so do all recipients as they are read here.
    pub async fn around(table: &Table, agreement: Agreement) -> Result<Self, Failure> {
        let read = Self::of(agreement.id, Self::partition(table, agreement.id).await?)?;
        Ok(Self { agreement, recipients: read.map(|whole| whole.recipients).unwrap_or_default() })
    }

    async fn partition(table: &Table, id: AgreementId) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let page = table.query(keys::agreement_partition(id), after, PAGE).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    fn of(id: AgreementId, items: Vec<Item>) -> Result<Option<Self>, Failure> {
        let (mut agreement, mut recipients) = (None, Vec::<Recipient>::new());
        for item in items {
            match Key::of(&item) {
                Some(key) if key == keys::agreement(id) => agreement = Some(read(item)?),
                Some(key) if key.sk.starts_with("RECIPIENT#") => recipients.push(read(item)?),
                _ => {}
            }
        }
        recipients.sort_by_key(|recipient| recipient.place);
        Ok(agreement.map(|agreement| Self { agreement, recipients }))
    }

    /// One of its recipients.
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.id == id)
    }

    /// The transactions that are reserved for its recipients and not consumed.
    pub fn units(&self) -> Vec<Unit> {
        self.recipients.iter().filter_map(Recipient::reserved).collect()
    }

    /// The writes that end the agreement so, and give back what was reserved and not consumed. The agreement's is the first.
    ///
    /// A recipient's reservation is not taken from the recipient: an agreement that has ended has none.
    pub fn end(&self, status: Status, closure: &Closure, events: impl IntoIterator<Item = Event>) -> Result<Vec<Write>, Failure> {
        let mut writes = self.agreement.change(self.agreement.end(status, closure)?, events, closure.at)?;
        writes.extend(self.release(closure.at)?);
        Ok(writes)
    }

    /// The writes that give back what was reserved and not consumed, in the transaction that ends the agreement: an agreement ends
    /// once.
    pub fn release(&self, now: Timestamp) -> Result<Vec<Write>, Failure> {
        let units = self.units();
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let id = EntryId::release(self.agreement.id, "end");
        Ok(plan::release(self.agreement.account, id, &self.agreement.about(None), &units, now)?.writes)
    }
}

impl Agreement {
    /// What an entry of the ledger says that it is for.
    pub fn about(&self, recipient: Option<RecipientId>) -> About {
        About {
            agreement: Some(self.id.to_string()),
            recipient: recipient.map(|recipient| recipient.to_string()),
            group: self.group.clone(),
        }
    }
}
