//! A client organisation: its plan, its settings, and the head of its audit chain.

mod allowlist;
pub mod api_key;
mod concerned;
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
use crate::store::dynamo::{
    Condition, Delete, Failure, Key, Path, Put, Stored, Update, Write, document, keys,
};

pub use allowlist::{Explanation, explain, network};
pub use concerned::Concerned;
pub use group::{Group, PrefetchedGroup, WantedGroup, is_group_name};
pub use overrides::{Effective, InvalidSettings, Overrides, Terms};
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

const NAME: Path = Path::new("name");
const PLAN: Path = Path::new("plan");
const VERSION: Path = Path::new("version");
const OVERRIDES: Path = Path::new("overrides");
const SETTINGS_VERSION: Path = Path::new("settings_version");
const QUOTA_SHARDS: Path = Path::new("quota_shards");

/// An account's claim to an origin, as it is stored: CORS preflights are answered from it.
#[derive(Debug, Serialize)]
struct OriginClaim {
    account: AccountId,
}

impl Stored for Account {
    fn key(&self) -> Key {
        keys::account(self.id)
    }
}

impl Account {
    /// The settings in force for the account as a whole.
    pub fn settings(&self) -> Result<Settings, Failure> {
        self.overrides.settings().map_err(|_| {
            Failure::unavailable(
                "reading an account's settings",
                &"the settings are not valid",
            )
        })
    }

    /// The writes that change this account and tell of it: `update` is of the account's item.
    pub fn change(
        &self,
        update: Update,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.id, self.id, &self.head);
        chain.append(event, now)?;
        let update = update.when(Condition::item_exists());
        let mut writes = vec![chain.advance(update).into()];
        writes.extend(chain.writes()?);
        Ok(writes)
    }

    /// An update of this account's item that changes nothing yet.
    pub fn touch(&self) -> Update {
        Update::of(self.key())
    }

    /// Makes name and plan those of `patched`, which is this account's next version, unless
    /// somebody was faster.
    pub fn patch(&self, patched: &Self) -> Result<Update, Failure> {
        Ok(self
            .touch()
            .set(NAME, patched.name.as_str())
            .set(PLAN, document(&patched.plan)?)
            .set(VERSION, patched.version)
            .when(VERSION.is(self.version)))
    }

    /// Sets what the account overrides, unless somebody was faster.
    pub fn override_settings(&self, overrides: &Overrides) -> Result<Update, Failure> {
        Ok(self
            .touch()
            .set(OVERRIDES, document(overrides)?)
            .set(SETTINGS_VERSION, self.settings_version + 1)
            .when(SETTINGS_VERSION.is(self.settings_version)))
    }

    /// The writes after which this account claims the origins `after`, and no more those of
    /// `before` that are not among them.
    pub fn claim_origins(
        &self,
        before: &[String],
        after: &[String],
    ) -> Result<Vec<Write>, Failure> {
        let claim = OriginClaim { account: self.id };
        let key = |origin: &String| keys::origin(origin, self.id);
        let claimed = after.iter().filter(|origin| !before.contains(origin));
        let given_up = before.iter().filter(|origin| !after.contains(origin));
        claimed
            .map(|origin| Put::replace(key(origin), &claim).map(Write::from))
            .chain(given_up.map(|origin| Ok(Delete::of(key(origin)).into())))
            .collect()
    }

    /// Spreads the balance over so many shards. The account's chain makes sure that it is still as
    /// it was read.
    #[must_use]
    pub fn spread_balance(&self, shards: Shards) -> Update {
        if shards == self.quota_shards {
            return self.touch();
        }
        self.touch().set(QUOTA_SHARDS, u32::from(shards.count()))
    }

    /// The same, where it has fewer.
    #[must_use]
    pub fn grow_shards(&self, shards: Shards) -> Update {
        let count = u32::from(shards.count());
        self.touch()
            .set(QUOTA_SHARDS, count)
            .when(QUOTA_SHARDS.is_absent().or(QUOTA_SHARDS.is_below(count)))
    }
}
