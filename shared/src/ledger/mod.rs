//! The ledger of prepaid transactions: what an account bought, what of it is reserved, what is
//! consumed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`entry`] | immutable entries, named by their caller, and what each kind does to a balance |
//! | [`balance`] | the shards of an account's balance, read at one instant |
//! | [`plan`] | pure: a step of the ledger as the writes of somebody's transaction |
//! | [`watch`] | the low-balance mail and metric, once per crossing |
//! | [`upkeep`] | corrections, and more shards for a busy account |
//!
//! An account's balance is one item or several (shards), `BALANCE#acc#<n>` with {available,
//! reserved, consumed}; on each of them, and so in the sum, `purchased = available + reserved +
//! consumed`. Every change is an [`Entry`] whose key is the id that its caller gave it, created in
//! the same transaction: the same step twice is a failed condition, whatever was lost in between.
//! An entry says how much it did on which shard, so that every balance can be recomputed from the
//! entries alone.
//!
//! Whether the entries, the balances and what each recipient holds agree is judged over both, in
//! `agreement::reconcile`.
//!
//! # The protocol
//! As a payment's authorisation and capture: a hold is captured, or released because the agreement
//! was cancelled or has expired. Whatever becomes of it, nothing is lost and nothing appears.
//!
//! ```
//! use shared::account::{Account, Settings};
//! use shared::ledger::plan::{consume, release, reserve};
//! use shared::ledger::{About, Balance, Entry, EntryId, Exhausted, LedgerRefusal};
//! use shared::ledger::{ReservationRequest, Snapshot, Watch};
//! # use shared::{account::Shards, kernel::clock::Timestamp, ledger::{Notice, balance::Shard}};
//! # let at = Timestamp::from_millis(1_800_000_000_000);
//! # let account: Account = serde_json::from_value(serde_json::json!({
//! #     "id": "acc_01jd3v7c3kq2m8x5t9r4w6y0ab", "name": "Alder", "plan": "business", "created_at": 0,
//! #     "version": 1, "settings_version": 1,
//! # })).unwrap();
//! # let one_shard = |balance| Snapshot {
//! #     count: Shards::default(), shards: vec![Shard { balance, entries: 1 }], notice: Notice::default(),
//! # };
//! # let watch = Watch::of(&account, &Settings::default());
//! let bought = Balance { available: 40, reserved: 0, consumed: 0 };
//! let seen: Snapshot = one_shard(bought);
//! let after = |before: Balance, entry: &Entry| before + entry.kind.effect(entry.transactions);
//!
//! // An agreement is sent to two recipients: a hold for each.
//! let about = About { agreement: Some("agr_1".into()), ..About::default() };
//! let id = EntryId::reserve("agr_1");
//! let of_two = about.clone();
//! let order = ReservationRequest { account: &account, id, about: of_two, count: 2, watch: &watch, at };
//! let sent = reserve(&order, Some(&seen)).unwrap();
//! let [first, second] = sent.holds[..] else { panic!("a hold for each") };
//! let held = after(bought, &sent.entry);
//! assert_eq!(held, Balance { available: 38, reserved: 2, consumed: 0 });
//!
//! // The first proves who they are, and their hold is captured: once, ever, by the entry's name.
//! let capture = consume(account.id, EntryId::consume("rcp_1"), &about, first, at);
//! let captured = after(held, capture.entry());
//! assert_eq!(captured, Balance { available: 38, reserved: 1, consumed: 1 });
//!
//! // The second never does, and the agreement expires: their hold is released.
//! let id = EntryId::release("agr_1", "expired");
//! let release = release(account.id, id, &about, &[second], at);
//! let over = after(captured, release.entry());
//! assert_eq!(over, Balance { available: 39, reserved: 0, consumed: 1 });
//! assert_eq!(over.purchased(), bought.purchased());
//!
//! // Only what was seen at one instant refuses, and says how many there were.
//! let refused = reserve(&ReservationRequest { count: 41, ..order }, Some(&seen));
//! let few = Exhausted { requested: 41, available: 40 };
//! assert!(matches!(refused, Err(LedgerRefusal::Exhausted(told)) if told == few));
//! ```
//!
//! # In a transaction of one's own
//! A step is planned as writes; the first is the entry's creation. They go into the caller's
//! transaction, wherever in it:
//!
//! ```text
//! let mut sighted = false;                                        // no snapshot is read for the first attempt
//! loop {
//!     let seen = if sighted { Some(balance::snapshot(&app.table, &app.entropy, &account).await?) } else { None };
//!     let plan = plan::reserve(&order, seen.as_ref())?;           // Err(LedgerRefusal::Exhausted) only over what was seen
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
//!
//! [`SHARDS_MAX`]: crate::account::SHARDS_MAX

mod attribute;
pub mod balance;
pub(crate) mod change;
pub mod entry;
pub mod plan;
pub mod upkeep;
pub mod watch;

pub use balance::{Balance, Figures, Hold, Notice, Share, Snapshot, StaleRead, WantedShards};
pub use entry::{Entry, EntryId, EntryKind};
pub use plan::{
    About, Exhausted, LedgerRefusal, Plan, Purchase, ReservationRequest, Step, TopupTarget,
};
pub use watch::{Crossing, Watch};
