//! Whom a username stands for, as the audit knows them: a user, or a decoy. Both cost the same
//! requests, so that nobody can tell.

use super::User;
use super::refused::RefusalReport;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, UserId};
use crate::kernel::secret::Fingerprint;
use crate::store::audit::{Chain, Event, Head};
use crate::store::dynamo::{Failure, Item, Key, Table, Update, Wanted, Write, keys, read};
use serde::Deserialize;

/// How long what was tried with names that nobody has is kept in the audit.
const DECOY_KEPT: Span = Span::days(30);

/// Whom a username stands for.
pub enum Subject {
    /// A user of the account.
    User(Box<User>),
    /// Nobody: the name stands for itself, on an item of its own that expires. It is `usr_` like
    /// any other, and nobody's id.
    Decoy {
        /// Made of the account and the name.
        id: UserId,
        /// The head of its passing chain.
        head: Head,
        /// What was told of passwords that were refused without a comparison.
        refusals: RefusalReport,
    },
}

/// Whom a username stands for, to be read: a user where the name is `known` to be somebody's.
#[derive(Clone, Copy, Debug)]
pub struct WantedSubject {
    id: UserId,
    known: bool,
}

impl Wanted for WantedSubject {
    type Found = Option<Subject>;

    fn enter(&self, keys: &mut Vec<Key>) {
        Subject::key(self.id, self.known).enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        let item = Subject::key(self.id, self.known).take(items)?;
        Subject::read(self.id, self.known, item)
    }
}

/// The decoy: the item that stands for a name that nobody has.
#[derive(Deserialize)]
struct Decoy {
    #[serde(flatten)]
    head: Head,
    #[serde(default)]
    refusals: RefusalReport,
}

impl Subject {
    /// The item that holds the subject's chain.
    fn key(id: UserId, known: bool) -> Key {
        if known {
            keys::user(id)
        } else {
            keys::decoy(id)
        }
    }

    /// The subject, to be read. A credential whose user is gone is in the middle of being deleted,
    /// and leads to none.
    pub const fn wanted(id: UserId, known: bool) -> WantedSubject {
        WantedSubject { id, known }
    }

    /// What stands at [`Subject::key`].
    fn read(id: UserId, known: bool, item: Option<Item>) -> Result<Option<Self>, Failure> {
        Ok(match item {
            Some(item) if known => Some(Self::User(Box::new(read(item)?))),
            Some(item) => {
                let Decoy { head, refusals } = read(item)?;
                Some(Self::Decoy { id, head, refusals })
            }
            None if known => None,
            None => Some(Self::unknown(id)),
        })
    }

    /// Nobody, of whom nothing was told.
    pub fn unknown(id: UserId) -> Self {
        Self::Decoy {
            id,
            head: Head::default(),
            refusals: RefusalReport::default(),
        }
    }

    /// Reads the subject anew, as it stands now. A user who is gone meanwhile leaves nobody behind,
    /// under an id of its own.
    pub async fn again(&self, account: AccountId, table: &Table) -> Result<Self, Failure> {
        let (id, known) = (self.id(), matches!(self, Self::User(_)));
        let stands = table.find(Self::wanted(id, known)).await?;
        Ok(stands.unwrap_or_else(|| Self::new_decoy(account, &id.to_string())))
    }

    /// The group of a user who is in one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::User(user) => user.group.as_deref(),
            Self::Decoy { .. } => None,
        }
    }

    /// Nobody, as far as is known.
    pub fn new_decoy(account: AccountId, username: &str) -> Self {
        Self::unknown(Self::decoy(account, username))
    }

    /// The id under which what is tried with a name that nobody has is kept.
    pub fn decoy(account: AccountId, username: &str) -> UserId {
        UserId::from_bytes(
            Fingerprint::of(format!("nobody\n{account}\n{username}").as_bytes()).short(),
        )
    }

    /// The subject's id.
    pub fn id(&self) -> UserId {
        match self {
            Self::User(user) => user.id,
            Self::Decoy { id, .. } => *id,
        }
    }

    /// What was told of passwords that were refused without a comparison.
    pub fn refusals(&self) -> &RefusalReport {
        match self {
            Self::User(user) => &user.refusals,
            Self::Decoy { refusals, .. } => refusals,
        }
    }

    /// The writes that tell of what was tried, and change nothing else but what was told of refused
    /// passwords, where that is given. They are as many, whoever it is.
    pub fn tell(
        &self,
        account: AccountId,
        refusals: Option<&RefusalReport>,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let told = |update: Update| match refusals {
            Some(told) => told.write(update),
            None => Ok(update),
        };
        match self {
            Self::User(user) => user.change(told(user.touch())?, events, now),
            Self::Decoy { id, head, .. } => {
                let mut chain = Chain::of(account, id, head);
                events
                    .into_iter()
                    .try_for_each(|event| chain.append(event, now))?;
                // The head outlives its entries: a chain that began anew would meet them.
                let head = Update::of(Self::key(*id, false))
                    .set_expiry(now.plus(DECOY_KEPT).plus(Span::days(1)));
                let mut writes = vec![chain.advance(told(head)?).into()];
                writes.extend(chain.passing_writes(now.plus(DECOY_KEPT))?);
                Ok(writes)
            }
        }
    }
}
