//! The shards of an account's balance, read at one instant.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::{Account, SHARDS_MAX, Shards};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{
    Failure, Item, Key, KeyOf, OrDefault, RetryPolicy, Table, Wanted, keys, read,
};

/// How often the shards are looked at together, for somebody who is only to be shown them, before
/// each is looked at by itself.
const LOOKS: u32 = 2;

/// How many groups are read at once.
const SHARES_PAGE: i32 = 500;

/// A balance, or a change of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Balance {
    /// Bought and free.
    #[serde(default)]
    pub available: i64,
    /// Put aside for recipients.
    #[serde(default)]
    pub reserved: i64,
    /// Used.
    #[serde(default)]
    pub consumed: i64,
}

impl Balance {
    /// Bought, in all.
    pub const fn purchased(self) -> i64 {
        self.available + self.reserved + self.consumed
    }

    /// Whether nothing of it is negative.
    pub const fn is_sound(self) -> bool {
        self.available >= 0 && self.reserved >= 0 && self.consumed >= 0
    }
}

impl Add for Balance {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            available: self.available + other.available,
            reserved: self.reserved + other.reserved,
            consumed: self.consumed + other.consumed,
        }
    }
}

impl Sum for Balance {
    fn sum<I: Iterator<Item = Self>>(balances: I) -> Self {
        balances.fold(Self::default(), Add::add)
    }
}

/// An account's prepaid transactions, as people see them: `purchased` is the sum of the other
/// three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = QuotaFigures)]
pub struct Figures {
    /// Bought and free.
    #[schema(example = 480)]
    pub available: i64,
    /// Put aside for recipients who have not proved who they are yet.
    #[schema(example = 3)]
    pub reserved: i64,
    /// Used.
    #[schema(example = 17)]
    pub consumed: i64,
    /// Bought, in all.
    #[schema(example = 500)]
    pub purchased: i64,
}

impl From<Balance> for Figures {
    fn from(balance: Balance) -> Self {
        let Balance {
            available,
            reserved,
            consumed,
        } = balance;
        Self {
            available,
            reserved,
            consumed,
            purchased: balance.purchased(),
        }
    }
}

/// One reserved transaction: the shard that it came from and goes back to. Kept on the recipient
/// that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hold(u8);

impl Hold {
    pub(crate) const fn on(shard: u8) -> Self {
        Self(shard)
    }

    pub(crate) const fn shard(self) -> u8 {
        self.0
    }
}

/// A group's part in an account's balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Share {
    /// Put aside for recipients of its agreements.
    #[serde(default)]
    pub reserved: i64,
    /// Used by them.
    #[serde(default)]
    pub consumed: i64,
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.reserved += other.reserved;
        self.consumed += other.consumed;
    }
}

/// What was told of the balance being low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Notice {
    /// Whether it was told since the balance was last seen at or above its threshold.
    #[serde(default)]
    pub told: bool,
    /// How often the threshold was crossed.
    #[serde(default)]
    pub crossings: u64,
}

/// A shard as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Shard {
    /// What stands on it.
    #[serde(flatten)]
    pub balance: Balance,
    /// How many entries have changed it: the same number twice is the same balance.
    #[serde(default)]
    pub entries: u64,
}

/// All shards of an account at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How many there are.
    pub count: Shards,
    /// What stands on each.
    pub shards: Vec<Shard>,
    /// What was told.
    pub notice: Notice,
}

impl Snapshot {
    /// The account's balance.
    pub fn total(&self) -> Balance {
        self.shards.iter().map(|shard| shard.balance).sum()
    }
}

/// What an account's shards were seen to hold, each at a moment of its own: good enough to show,
/// and to begin with, and never to refuse or to tell anybody anything. Unlike a [`Snapshot`],
/// nobody's writes stand in the way of reading it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StaleRead {
    /// What stood on each.
    pub shards: Vec<Shard>,
}

/// An account's balance as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// How many shards it has.
    pub count: Shards,
    /// What stands on all of them.
    pub total: Balance,
}

/// Shards of a balance, to be read.
#[derive(Debug)]
pub struct WantedShards(Vec<OrDefault<Shard>>);

impl WantedShards {
    fn of(account: AccountId, shards: impl Iterator<Item = u8>) -> Self {
        let shard = |shard| keys::balance(account, shard).holding().or_default();
        Self(shards.map(shard).collect())
    }
}

impl Wanted for WantedShards {
    type Found = StaleRead;

    fn enter(&self, keys: &mut Vec<Key>) {
        self.0.enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        self.0.take(items).map(|shards| StaleRead { shards })
    }
}

impl From<&Snapshot> for Shown {
    fn from(seen: &Snapshot) -> Self {
        Self {
            count: seen.count,
            total: seen.total(),
        }
    }
}

impl StaleRead {
    /// What is to be read for it, in one request with whatever else is.
    pub fn wanted(account: &Account) -> WantedShards {
        WantedShards::of(account.id, account.quota_shards.each())
    }

    /// The account's balance.
    pub fn total(&self) -> Balance {
        self.shards.iter().map(|shard| shard.balance).sum()
    }
}

/// What stands on the shards of `account` at one instant, in one request (two where the number of
/// shards has just grown).
///
/// The account's item is read in the same transaction: it says how many shards there are, so that
/// no new one is overlooked.
pub async fn snapshot(
    table: &Table,
    entropy: &Entropy,
    account: &Account,
) -> Result<Snapshot, Failure> {
    let mut retries = RetryPolicy::default();
    loop {
        match look(table, account).await {
            Err(Failure::Conflict) => retries.wait(entropy).await?,
            seen => return seen,
        }
    }
}

/// What is shown of the balance of `account`: as it stands at one instant, unless others write on
/// it each time that it is looked at. Then each shard as it stands at a moment of its own: what was
/// bought is available, reserved or consumed on each of them, and so in the sum.
pub async fn shown(table: &Table, account: &Account) -> Result<Shown, Failure> {
    for _ in 0..LOOKS {
        match look(table, account).await {
            Ok(seen) => return Ok(Shown::from(&seen)),
            Err(Failure::Conflict) => {}
            Err(failure) => return Err(failure),
        }
    }
    // All that there may be: their number is read at a moment of its own as well.
    let shards = WantedShards::of(account.id, 0..SHARDS_MAX);
    let (sharded, seen) = table.find((sharded(account.id), shards)).await?;
    Ok(Shown {
        count: stands(account.id, sharded)?,
        total: seen.total(),
    })
}

/// One look at all shards together. Where others write on any of them, that is a conflict.
async fn look(table: &Table, account: &Account) -> Result<Snapshot, Failure> {
    let mut count = account.quota_shards;
    loop {
        let notice = keys::balance_notice(account.id).holding().or_default();
        let shards = WantedShards::of(account.id, count.each());
        let wanted = (sharded(account.id), notice, shards);
        let (sharded, notice, StaleRead { shards }) = table.find_snapshot(wanted).await?;
        let stands = stands(account.id, sharded)?;
        if stands <= count {
            return Ok(Snapshot {
                count,
                shards,
                notice,
            });
        }
        count = stands;
    }
}

/// How many shards there are, as the account's item says.
#[derive(Deserialize)]
struct Sharded {
    #[serde(default)]
    quota_shards: Shards,
}

fn sharded(account: AccountId) -> KeyOf<Sharded> {
    keys::account(account).holding()
}

fn stands(account: AccountId, found: Option<Sharded>) -> Result<Shards, Failure> {
    let missing = || {
        Failure::unavailable(
            "reading a balance",
            &format!("{account} has no balance item"),
        )
    };
    Ok(found.ok_or_else(missing)?.quota_shards)
}

/// The shares of an account's groups: the sums over the shards.
pub async fn shares(
    table: &Table,
    account: AccountId,
    count: Shards,
) -> Result<BTreeMap<String, Share>, Failure> {
    let parts = try_join_all(count.each().map(|shard| shares_on(table, account, shard))).await?;
    let mut shares = BTreeMap::<String, Share>::new();
    for (group, part) in parts.into_iter().flatten() {
        *shares.entry(group).or_default() += part;
    }
    Ok(shares)
}

async fn shares_on(
    table: &Table,
    account: AccountId,
    shard: u8,
) -> Result<Vec<(String, Share)>, Failure> {
    let (mut parts, mut after) = (Vec::new(), None);
    loop {
        let list = keys::quota_shares(account, shard);
        let page = table.query(list, after, SHARES_PAGE).await?;
        for item in page.items {
            let group = item.get(keys::SK).and_then(|it| it.as_s().ok().cloned());
            parts.push((group.unwrap_or_default(), read(item)?));
        }
        after = page.next;
        if after.is_none() {
            return Ok(parts);
        }
    }
}
