//! The ledger of prepaid transactions: what an account bought, what of it is reserved, what is
//! consumed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`entry`] | immutable entries, named by their caller, and what each kind does to a balance |
//! | [`balance`] | the shards of an account's balance, read at one instant |
//! | [`plan`] | pure: a step of the ledger as the writes of somebody's transaction |
//! | [`watch`] | the low-balance mail and metric, once per crossing |
//! | [`reconcile`] | every balance recomputed from the entries, and what each recipient holds |
//! | [`checkpoint`] | the same at a point in time, of an account that never stands still |
//! | [`upkeep`] | corrections, and more shards for a busy account |
//!
//! An account's balance is one item or several (shards), `BALANCE#acc#<n>` with {available,
//! reserved, consumed}; on each of them, and so in the sum, `purchased = available + reserved +
//! consumed`. Every change is an [`Entry`] whose key is the id that its caller gave it, created in
//! the same transaction: the same step twice is a failed condition, whatever was lost in between.
//! An entry says how much it did on which shard, so that every balance can be recomputed from the
//! entries alone.
//!
//! # In a transaction of one's own
//! A step is planned as writes; the first is the entry's creation. They go into the caller's
//! transaction, wherever in it:
//!
//! ```text
//! let mut sighted = false;                                        // no snapshot is read for the first attempt
//! loop {
//!     let seen = if sighted { Some(balance::snapshot(&app.table, &app.entropy, &account).await?) } else { None };
//!     let plan = plan::reserve(&order, seen.as_ref())?;           // Err(Refusal::Exhausted) only over what was seen
//!     writes.extend(plan.writes.iter().cloned());                 // plan.holds[i]: keep it on the i-th recipient
//!     match app.table.transact(writes).await {
//!         Ok(()) => break,
//!         Err(Failure::Unavailable(_)) => return Err(…),          // may have taken effect: the same ids find out
//!         Err(failure) => { sighted |= plan.failed(&failure); retries.wait(&app.entropy).await?; }
//!     }
//! }
//! let mails = watch::tell(plan.crossing.as_ref(), now);           // after the commit; then outbox::deliver_all
//! ```
//!
//! - [`plan::reserve`]: n transactions, one [`Hold`] for each: available → reserved. Nothing read:
//!   one shard, by the hash of the entry's id, under the condition that it stays at or above the
//!   threshold. With a [`Snapshot`]: from as many shards as it takes.
//! - [`plan::consume`]: one hold, reserved → consumed. Name the entry by the recipient
//!   ([`EntryId::consume`]): it happens once, ever.
//! - [`plan::release`]: holds that were not used, reserved → available, on the shards they came
//!   from.
//!
//! The latter two are [`Step`]s: several of them go into one transaction by [`plan::together`].
//!
//! A reservation of n transactions is 3 writes at best (entry, shard, the group's share), at most
//! [`SHARDS_MAX`] and 2 more, and where the balance crosses its threshold all shards, one more, and
//! one for each contact. Consuming is 3, releasing at most 2 + [`SHARDS_MAX`].

mod attribute;
pub mod balance;
pub(crate) mod change;
pub mod entry;
pub mod plan;
pub mod upkeep;
pub mod watch;

pub use balance::{Balance, Figures, Hold, Notice, Share, Snapshot, StaleRead, WantedShards};
pub use entry::{Entry, EntryId, Kind};
pub use plan::{About, Exhausted, Onto, Order, Plan, Purchase, Refusal, Step};
pub use watch::{Crossing, Watch};
