//! An agreement and all of its recipients, as they stand.

use super::{Agreement, Recipient, Status};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::dynamo::{Failure, Item, Key, Patience, Table, Write, keys, read};
use crate::entropy::Entropy;
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
    /// decided from is read by [`Whole::around`], and what is vouched for by [`Whole::at_one_instant`].
    pub async fn read(table: &Table, id: AgreementId) -> Result<Option<Self>, Failure> {
        Self::of(id, Self::partition(table, id).await?)
    }

    /// The recipients of an agreement that was read before them. Every change of a recipient moves the agreement's chain: where that
    /// stands still as `agreement` has it when a transaction is written, so do all recipients as they are read here.
    pub async fn around(table: &Table, agreement: Agreement) -> Result<Self, Failure> {
        let read = Self::of(agreement.id, Self::partition(table, agreement.id).await?)?;
        Ok(Self { agreement, recipients: read.map(|whole| whole.recipients).unwrap_or_default() })
    }

    /// The same agreement and recipients as they stand at one instant. Who its recipients are was settled when it was sent; while
    /// somebody writes on any of them there is nothing to be had but a conflict, and it is tried again.
    pub async fn at_one_instant(&self, table: &Table, entropy: &Entropy) -> Result<Option<Self>, Failure> {
        let id = self.agreement.id;
        let recipients = self.recipients.iter().map(|recipient| keys::recipient(id, recipient.id));
        let wanted: Vec<Key> = [keys::agreement(id)].into_iter().chain(recipients).collect();
        let mut patience = Patience::default();
        loop {
            match table.get_together(wanted.clone()).await {
                Ok(items) => return Self::of(id, items.into_iter().flatten()),
                Err(Failure::Conflict) => patience.wait(entropy).await?,
                Err(failure) => return Err(failure),
            }
        }
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

    fn of(id: AgreementId, items: impl IntoIterator<Item = Item>) -> Result<Option<Self>, Failure> {
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
    /// A recipient's reservation is not taken from the recipient: an agreement that has ended has none. It is told of `now`, which may be
    /// later than it ended.
    pub fn end(&self, status: Status, closure: &Closure, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
        let mut writes = self.agreement.change(self.agreement.end(status, closure)?, [event], now)?;
        writes.extend(self.release(now)?);
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
