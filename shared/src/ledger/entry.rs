//! Entries: immutable, named by their caller, and what each kind does to a balance.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::balance::Balance;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Failure, Key, Put, keys};

/// What an entry is named by, within its account: the same id is the same step, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(String);

impl EntryId {
    /// The entry of this name: a top-up's own id, say.
    pub fn named(name: impl Display) -> Self {
        Self(name.to_string())
    }

    /// What an agreement reserved when it was sent.
    pub fn reserve(agreement: impl Display) -> Self {
        Self(format!("reserve.{agreement}"))
    }

    /// The consumption of a recipient's transaction: one, ever.
    pub fn consume(recipient: impl Display) -> Self {
        Self(format!("consume.{recipient}"))
    }

    /// What was released of `whose` (an agreement, or a recipient) because of `cause`, which tells
    /// one release from another.
    pub fn release(whose: impl Display, cause: impl Display) -> Self {
        Self(format!("release.{whose}.{cause}"))
    }

    /// What was reserved for one recipient after the sending: `change` tells one change of method
    /// from another.
    pub fn reserve_again(recipient: impl Display, change: impl Display) -> Self {
        Self(format!("reserve.{recipient}.{change}"))
    }

    /// As it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Transactions were bought.
    Topup,
    /// Put aside for an agreement's recipients.
    Reserve,
    /// Used by a recipient.
    Consume,
    /// Put aside and not used.
    Release,
    /// An operator set something right: more or fewer transactions were bought than was entered.
    Correction,
    /// From one shard to another: it changes no sum, and is not listed.
    Move,
}

impl EntryKind {
    /// What `count` of this kind do to a balance.
    pub const fn effect(self, count: i64) -> Balance {
        match self {
            Self::Topup | Self::Correction | Self::Move => Balance {
                available: count,
                reserved: 0,
                consumed: 0,
            },
            Self::Reserve => Balance {
                available: -count,
                reserved: count,
                consumed: 0,
            },
            Self::Consume => Balance {
                available: 0,
                reserved: -count,
                consumed: count,
            },
            Self::Release => Balance {
                available: count,
                reserved: -count,
                consumed: 0,
            },
        }
    }

    /// Whether people see it in the list of entries.
    pub const fn is_listed(self) -> bool {
        !matches!(self, Self::Move)
    }
}

/// So many on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The shard.
    pub shard: u8,
    /// How many; negative only for corrections and moves.
    pub count: i64,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// Whose balance it changed.
    pub account: AccountId,
    /// What it did.
    pub kind: EntryKind,
    /// How many in all; negative only for corrections that take away.
    pub transactions: i64,
    /// On which shards.
    pub parts: Vec<Part>,
    /// The agreement it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// The recipient it was for, where it was for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The group it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The first entry of the agreement's audit chain that is written with it: the chain's head
    /// says whether it had been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The operator's own name for it, or the reason of a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Entry {
    /// Whether `other` tells of the same step. When it was made and on which shards is no part of
    /// what was asked for.
    pub fn is_same_step(&self, other: &Self) -> bool {
        let said = |entry: &Self| {
            (
                entry.id.clone(),
                entry.account,
                entry.kind,
                entry.transactions,
            )
        };
        said(self) == said(other)
            && (&self.agreement, &self.recipient, &self.group)
                == (&other.agreement, &other.recipient, &other.group)
            && self.reference == other.reference
    }

    /// Where it stands.
    pub fn key(&self) -> Key {
        keys::ledger_entry(self.account, self.id.as_str())
    }

    /// The write that creates it: entered in the list of the shard that it began at, unless it is
    /// not for people to see.
    pub(super) fn create(&self) -> Result<Put, Failure> {
        let write = Put::create(self.key(), self)?;
        let shard = self.parts.first().map_or(0, |part| part.shard);
        Ok(if self.kind.is_listed() {
            write.listed(keys::ledger_listing(self.account, shard), self.place())
        } else {
            write
        })
    }

    /// Its place in the list: by time, then by name.
    pub fn place(&self) -> String {
        format!("{:013}#{}", self.at.as_millis(), self.id)
    }

    /// The entry's key, as its place in the list tells it.
    pub fn key_at(account: AccountId, place: &str) -> Option<Key> {
        place
            .split_once('#')
            .map(|(_, id)| keys::ledger_entry(account, id))
    }
}
