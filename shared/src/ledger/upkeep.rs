//! What operators do to a ledger by hand: set right what was bought, and give a busy account more
//! shards.

use super::balance::{Snapshot, snapshot};
use super::entry::{Entry, EntryId};
use super::plan::{self, LedgerRefusal, Plan, Step};
use super::watch::Watch;
use crate::account::Account;
use crate::account::Shards;
use crate::kernel::clock::{Clock, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::AccountId;
use crate::kernel::secret;
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, RetryPolicy, Table, Write, keys};

/// What came of a step.
#[derive(Debug)]
pub enum Done {
    /// It was made.
    Now(Plan),
    /// It had been made before, by a request with the same id: this is what was recorded then.
    Before(Entry),
}

/// What upkeep works with.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The table.
    pub table: &'a Table,
    /// Randomness.
    pub entropy: &'a Entropy,
    /// The time.
    pub clock: &'a Clock,
}

/// A correction that is to be entered.
struct Correction<'a> {
    id: &'a EntryId,
    change: i64,
    reason: &'a str,
}

impl Correction<'_> {
    /// What is said where an entry of this id stands: it is this one, or another.
    fn made(&self, before: Entry) -> Result<Done, LedgerRefusal> {
        let stands = (before.transactions, before.reference.as_deref());
        if stands == (self.change, Some(self.reason)) {
            Ok(Done::Before(before))
        } else {
            Err(LedgerRefusal::Reused)
        }
    }

    /// The plan of it over what was seen, and its writes.
    fn plan(
        &self,
        account: &Account,
        seen: &Snapshot,
        now: Timestamp,
    ) -> Result<(Plan, Vec<Write>), LedgerRefusal> {
        let (id, reason) = (self.id.clone(), self.reason.to_owned());
        let watch = Watch::of(account, &account.settings()?);
        let planned = plan::correct(account.id, id, self.change, reason, &watch, seen, now)?;
        let event = Event::new(Action::QuotaCorrected, Actor::System)
            .with("entry", self.id.as_str())
            .with("transactions", self.change)
            .with("reason", self.reason);
        let mut writes = planned.writes.clone();
        writes.extend(account.change(account.touch(), event, now)?);
        Ok((planned, writes))
    }
}

impl Tools<'_> {
    /// The account, if there is one.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, Failure> {
        self.table.find(keys::account(id).holding()).await
    }

    /// Enters a correction: `change` more transactions were bought than was entered, or fewer. The
    /// same id twice is one correction.
    ///
    /// More than is available cannot be taken away: what is reserved belongs to somebody. Where it
    /// gets the balance below its threshold, the mails are put into the outbox with it, and the
    /// clean-up sends them.
    pub async fn correct(
        &self,
        account: AccountId,
        id: &EntryId,
        change: i64,
        reason: &str,
    ) -> Result<Option<Done>, LedgerRefusal> {
        let correction = Correction { id, change, reason };
        let mut retries = RetryPolicy::default();
        loop {
            let Some(account) = self.account(account).await? else {
                return Ok(None);
            };
            let (seen, now) = (
                snapshot(self.table, self.entropy, &account).await?,
                self.clock.now(),
            );
            let before = keys::ledger_entry(account.id, id.as_str());
            if let Some(before) = self.table.find(before.holding::<Entry>()).await? {
                return correction.made(before).map(Some);
            }
            let (planned, writes) = correction.plan(&account, &seen, now)?;
            let written = self.table.transact(writes).await;
            if retries.settled(written, self.entropy).await? {
                return Ok(Some(Done::Now(planned)));
            }
        }
    }

    /// Gives an account `shards` shards, if it has fewer, and spreads what is available over them.
    ///
    /// It is safe at any moment. Whoever still goes by the smaller number reserves from the shards
    /// that it knows, which are shards still; only a look at all of them refuses, and that reads
    /// their number in the same instant. A run that was cut off is run again.
    pub async fn grow(
        &self,
        account: AccountId,
        shards: Shards,
    ) -> Result<Option<Shards>, Failure> {
        let Some(account) = self.count(account, shards).await? else {
            return Ok(None);
        };
        // One levelling is enough: what is reserved meanwhile makes the shards differ again, and
        // does not matter.
        let levelling = || self.levelling(&account);
        self.table
            .transact_rebuilding(levelling, self.entropy)
            .await?;
        Ok(Some(account.quota_shards))
    }

    /// The writes that spread what is available over the shards, unless it is.
    async fn levelling(&self, account: &Account) -> Result<Option<Vec<Write>>, Failure> {
        let seen = snapshot(self.table, self.entropy, account).await?;
        let drawn = secret::encode(self.entropy.bytes::<12>());
        let id = EntryId::named(format!("move.{drawn}"));
        let step = plan::level(account.id, id, &seen, self.clock.now());
        step.map(Step::writes).transpose()
    }

    /// The account, once it has at least so many shards.
    async fn count(&self, account: AccountId, shards: Shards) -> Result<Option<Account>, Failure> {
        let mut retries = RetryPolicy::default();
        loop {
            let Some(account) = self.account(account).await? else {
                return Ok(None);
            };
            if account.quota_shards >= shards {
                return Ok(Some(account));
            }
            let event = Event::new(Action::AccountChanged, Actor::System)
                .with("quota_shards", shards.count());
            let writes = account.change(account.grow_shards(shards), event, self.clock.now())?;
            retries
                .settled(self.table.transact(writes).await, self.entropy)
                .await?;
        }
    }
}
