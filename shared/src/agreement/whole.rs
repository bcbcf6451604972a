//! An agreement and all of its recipients, as they stand.

use super::{Agreement, Recipient};
use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AgreementId, RecipientId};
use crate::ledger::plan::{self, About, Step};
use crate::ledger::{EntryId, Hold};
use crate::store::dynamo::{Failure, Item, Key, RetryPolicy, Table, Write, keys, read};

/// How many items of an agreement's partition are asked for at once: all of them, unless they are
/// large.
const PAGE: i32 = 100;

/// An agreement and all of its recipients.
#[derive(Clone, Debug)]
pub struct FullAgreement {
    /// The agreement.
    pub agreement: Agreement,
    /// Its recipients, as their sender listed them.
    pub recipients: Vec<Recipient>,
}

impl FullAgreement {
    /// An agreement and its recipients, to be shown. They are read one after another, in an order
    /// that nobody promises: what ends it is decided from an [`super::Ending`], and what is vouched
    /// for is read by [`FullAgreement::at_one_instant`].
    pub async fn read(table: &Table, id: AgreementId) -> Result<Option<Self>, Failure> {
        Self::of(id, partition(table, id).await?)
    }

    /// The same agreement and recipients as they stand at one instant. Who its recipients are was
    /// settled when it was sent; while somebody writes on any of them there is nothing to be had
    /// but a conflict, and it is tried again.
    pub async fn at_one_instant(
        &self,
        table: &Table,
        entropy: &Entropy,
    ) -> Result<Option<Self>, Failure> {
        let id = self.agreement.id;
        let recipients = self
            .recipients
            .iter()
            .map(|recipient| keys::recipient(id, recipient.id));
        let wanted: Vec<Key> = [keys::agreement(id)]
            .into_iter()
            .chain(recipients)
            .collect();
        let mut retries = RetryPolicy::default();
        loop {
            match table.get_snapshot(wanted.clone()).await {
                Ok(items) => return Self::of(id, items.into_iter().flatten()),
                Err(Failure::Conflict) => retries.wait(entropy).await?,
                Err(failure) => return Err(failure),
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
        Ok(agreement.map(|agreement| Self {
            agreement,
            recipients,
        }))
    }

    /// One of its recipients.
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.id == id)
    }
}

async fn partition(table: &Table, id: AgreementId) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = table
            .query(keys::agreement_partition(id), after, PAGE)
            .await?;
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// The recipients of an agreement, as they stand now.
pub(super) async fn recipients(table: &Table, id: AgreementId) -> Result<Vec<Recipient>, Failure> {
    let read = FullAgreement::of(id, partition(table, id).await?)?;
    Ok(read.map(|whole| whole.recipients).unwrap_or_default())
}

/// The writes that give back what is reserved for these recipients and not consumed, in the
/// transaction that ends their agreement: it ends once.
pub(super) fn release<'a>(
    agreement: &Agreement,
    recipients: impl IntoIterator<Item = &'a Recipient>,
    now: Timestamp,
) -> Result<Vec<Write>, Failure> {
    let holds: Vec<Hold> = recipients
        .into_iter()
        .filter_map(Recipient::reserved)
        .collect();
    agreement.release(&holds, now).writes()
}

impl Agreement {
    /// The step of the ledger that gives back these transactions when the agreement ends.
    pub fn release(&self, holds: &[Hold], now: Timestamp) -> Step {
        plan::release(
            self.account,
            EntryId::release(self.id, "end"),
            &self.about(None),
            holds,
            now,
        )
    }

    /// What an entry of the ledger says that it is for, which is made with the next change of the
    /// agreement.
    pub fn about(&self, recipient: Option<RecipientId>) -> About {
        About {
            sequence: Some(self.head.sequence + 1),
            agreement: Some(self.id.to_string()),
            recipient: recipient.map(|recipient| recipient.to_string()),
            group: self.group.clone(),
        }
    }
}
