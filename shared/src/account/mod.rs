//! A client organisation: its plan, its settings, and the head of its audit chain.

mod allowlist;
pub mod api_key;
mod group;
mod overrides;
mod rules;
mod settings;
mod shards;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::store::audit::{Chain, Event, Head};
use crate::store::dynamo::{Failure, Write, keys};

pub use allowlist::{Explanation, explain, network};
pub use group::{Foreseen, Group, is_group_name};
pub use overrides::{Effective, Invalid, Overrides, Terms};
pub use settings::{Difficulty, Kba, Links, Locale, Methods, Quota, SecondFactor, Settings, Sso};
pub use shards::{SHARDS_MAX, Shards};

/// What the organisation has subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each says it")]
pub enum Plan {
    Starter,
    Business,
    Enterprise,
}

impl Plan {
    /// Whether knowledge-based authentication is included.
    pub const fn includes_kba(self) -> bool {
        matches!(self, Self::Business | Self::Enterprise)
    }
}

/// An account as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The organisation's name, as messages give it.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Counts the changes of name and plan: the account's `ETag`.
    pub version: u64,
    /// Counts the changes of the settings: their `ETag`.
    pub settings_version: u64,
    /// What the account has set; the rest has its default.
    #[serde(default)]
    pub overrides: Overrides,
    /// How many shards its balance of prepaid transactions has.
    #[serde(default)]
    pub quota_shards: Shards,
    /// The head of the account's audit chain.
    #[serde(flatten)]
    pub head: Head,
}

impl Account {
    /// The settings in force for the account as a whole.
    pub fn settings(&self) -> Result<Settings, Failure> {
        self.overrides.settings().map_err(|_| {
            Failure::unavailable("reading an account's settings", &"they are not valid")
        })
    }

    /// The writes that change this account and tell of it: `update` is a `SET` on the account's
    /// item.
    pub fn change(
        &self,
        update: Write,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.id, self.id, &self.head);
        chain.append(event, now)?;
        let mut writes = vec![chain.advance(update.when("attribute_exists(#pk)"))];
        writes.extend(chain.writes()?);
        Ok(writes)
    }

    /// An update of this account's item that changes nothing yet.
    pub fn touch(&self) -> Write {
        Write::update(keys::account(self.id), "")
    }
}
