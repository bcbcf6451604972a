//! Whom a username stands for, as the audit knows them: a user, or nobody. Both cost the same requests, so that nobody can tell.

use super::User;
use crate::audit::{Chain, Event, Head};
use crate::clock::{Span, Timestamp};
use crate::dynamo::{Failure, Item, Key, Write, keys, read};
use crate::ids::{AccountId, UserId};
use crate::secret::Fingerprint;

/// How long what was tried with names that nobody has is kept in the audit.
const NOBODY_KEPT: Span = Span::days(30);

/// Whom a username stands for.
pub enum Subject {
    /// A user of the account.
    User(Box<User>),
    /// Nobody: the name stands for itself, on an item of its own that expires. It is `usr_` like any other, and nobody's id.
    Nobody {
        /// Made of the account and the name.
        id: UserId,
        /// The head of its passing chain.
        head: Head,
    },
}

impl Subject {
    /// The item that holds the subject's chain.
    pub fn key(id: UserId, known: bool) -> Key {
        let key = keys::user(id);
        if known { key } else { Key { sk: "NOBODY".into(), ..key } }
    }

    /// What stands at [`Subject::key`]. A credential whose user is gone is in the middle of being deleted, and leads to none.
    pub fn read(id: UserId, known: bool, item: Option<Item>) -> Result<Option<Self>, Failure> {
        Ok(match item {
            Some(item) if known => Some(Self::User(Box::new(read(item)?))),
            Some(item) => Some(Self::Nobody { id, head: read(item)? }),
            None if known => None,
            None => Some(Self::Nobody { id, head: Head::default() }),
        })
    }

    /// The group of a user who is in one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::User(user) => user.group.as_deref(),
            Self::Nobody { .. } => None,
        }
    }

    /// Nobody, as far as is known.
    pub fn new_nobody(account: AccountId, username: &str) -> Self {
        Self::Nobody { id: Self::nobody(account, username), head: Head::default() }
    }

    /// The id under which what is tried with a name that nobody has is kept.
    pub fn nobody(account: AccountId, username: &str) -> UserId {
        UserId::from_bytes(Fingerprint::of(format!("nobody\n{account}\n{username}").as_bytes()).short())
    }

    /// The subject's id.
    pub fn id(&self) -> UserId {
        match self {
            Self::User(user) => user.id,
            Self::Nobody { id, .. } => *id,
        }
    }

    /// The writes that tell of what was tried, and change nothing else. They are as many, whoever it is.
    pub fn tell(
        &self,
        account: AccountId,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        match self {
            Self::User(user) => user.change(user.touch(), events, now),
            Self::Nobody { id, head } => {
                let mut chain = Chain::of(account, id, head);
                events.into_iter().try_for_each(|event| chain.append(event, now))?;
                // The head outlives its entries: a chain that began anew would meet them.
                let head = Write::update(Self::key(*id, false), "").set_expiry(now.plus(NOBODY_KEPT).plus(Span::days(1)));
                let mut writes = vec![chain.advance(head)];
                writes.extend(chain.passing_writes(now.plus(NOBODY_KEPT))?);
                Ok(writes)
            }
        }
    }
}
