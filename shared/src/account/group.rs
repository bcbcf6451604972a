//! A part of an account that overrides some of its settings. It exists once named: one that has
//! overridden nothing has no item.

use serde::{Deserialize, Serialize};

use super::{Account, Overrides, Settings};
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{
    Condition, Failure, Item, Key, OrDefault, Path, Table, Update, Wanted, document, keys, read,
};

const VERSION: Path = Path::new("version");
const OVERRIDES: Path = Path::new("overrides");

/// The longest name of a group.
const NAME_MAX: usize = 64;

/// Whether `name` is one that a group may have: `[a-z0-9][a-z0-9-]{0,63}`.
pub fn is_group_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=NAME_MAX).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('-')
}

/// What a group overrides, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct Group {
    /// Counts the changes: the `ETag`. A group that has overridden nothing is at 0.
    #[serde(default)]
    pub version: u64,
    /// What is set over the account's settings.
    #[serde(default)]
    pub overrides: Overrides,
}

impl Group {
    /// The group `name` of `account`, to be read.
    pub fn wanted(account: AccountId, name: &str) -> OrDefault<Self> {
        keys::group(account, name).holding().or_default()
    }

    /// The write that sets `overrides`, under the condition that nobody did since this was read.
    pub fn set(
        &self,
        account: AccountId,
        name: &str,
        overrides: &Overrides,
    ) -> Result<Update, Failure> {
        let as_it_was_read = match self.version {
            0 => Condition::item_is_absent(),
            was => VERSION.is(was),
        };
        Ok(Update::of(keys::group(account, name))
            .set(OVERRIDES, document(overrides)?)
            .set(VERSION, self.version + 1)
            .when(as_it_was_read))
    }
}

/// A group's item that was read beside others, because a token or a credential remembers the group
/// of its user. Where the user has changed groups since, the new group is read afterwards.
#[derive(Debug, Default)]
pub struct PrefetchedGroup {
    name: Option<String>,
    item: Option<Item>,
}

/// The item of a group, to be read beside others; nothing where there is no group.
#[derive(Debug)]
pub struct WantedGroup {
    account: AccountId,
    name: Option<String>,
}

impl PrefetchedGroup {
    /// The group `name` of `account`, to be read beside others.
    pub const fn wanted(account: AccountId, name: Option<String>) -> WantedGroup {
        WantedGroup { account, name }
    }
}

impl WantedGroup {
    fn key(&self) -> Option<Key> {
        let name = self.name.as_deref()?;
        Some(keys::group(self.account, name))
    }
}

impl Wanted for WantedGroup {
    type Found = PrefetchedGroup;

    fn enter(&self, keys: &mut Vec<Key>) {
        self.key().enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        let item = self.key().take(items)?;
        Ok(PrefetchedGroup {
            name: self.name,
            item,
        })
    }
}

impl Account {
    /// The settings in force for whoever is in `group`: the group's over the account's over the
    /// defaults. Nothing is read, unless there is a group and it is not the one that was
    /// prefetched.
    pub async fn settings_in(
        &self,
        group: Option<&str>,
        prefetched: PrefetchedGroup,
        table: &Table,
    ) -> Result<Settings, Failure> {
        let Some(name) = group else {
            return self.settings();
        };
        let group = if prefetched.name.as_deref() == Some(name) {
            prefetched.item.map(read).transpose()?.unwrap_or_default()
        } else {
            table.find(Group::wanted(self.id, name)).await?
        };
        self.settings_with(&group)
    }

    /// The settings in force for the members of a group that was read.
    pub fn settings_with(&self, group: &Group) -> Result<Settings, Failure> {
        let settings = self.overrides.settings_with(&group.overrides);
        settings.map_err(|_| {
            Failure::unavailable("reading a group's settings", &"the settings are not valid")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_plain_word() {
        for name in ["a", "7", "escrow-west", &"a".repeat(64)] {
            assert!(is_group_name(name), "{name:?}");
        }
        for name in ["", "-a", "A", "ä", "a_b", "a b", "a#b", &"a".repeat(65)] {
            assert!(!is_group_name(name), "{name:?}");
        }
    }
}
