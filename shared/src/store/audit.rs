//! The audit: for each subject a chain of entries, each written in the transaction of what it tells
//! of.
//!
//! The chain's head (sequence and hash) stands on an item that the request reads anyway, and moves
//! under the condition that it stands where it was read: two writers cannot both be number seven.
//! An entry's hash covers its canonical JSON (RFC 8785), in which the hash of the entry before
//! stands.
//!
//! What is refused without being judged writes no entry, so that a refusal costs no write: a
//! sign-in while its client IP has had its failures or so many challenges are open, a code for
//! a challenge that is spent or over or for a factor that is delayed or disabled, a code that is
//! typed after its time (its count is taken back), a send that a limit refuses. The attempt that
//! brought the delay on is told, and the delay with it. Of passwords that are refused because of a
//! delay the first is told, and at the next sign-in how many there were.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::clock::Timestamp;
use crate::kernel::ids::{AccountId, KeyId, RecipientId, UserId};
use crate::kernel::secret;
use crate::store::dynamo::{Condition, Failure, Path, Put, Update, Write, keys};

/// The attributes of a [`Head`].
const SEQUENCE: Path = Path::new("audit_seq");
const HASH: Path = Path::new("audit_hash");

/// Where a chain stands. It is part of the item of its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Head {
    /// The number of entries.
    #[serde(rename = "audit_seq", default)]
    pub sequence: u64,
    /// The hash of the last.
    #[serde(rename = "audit_hash", default)]
    pub hash: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each says it")]
pub enum Action {
    AccountCreated,
    AccountChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    SettingsChanged,
    /// Prepaid transactions were added to the account's balance.
    QuotaToppedUp,
    /// What was bought was set right, by an operator.
    QuotaCorrected,
    UserCreated,
    UserChanged,
    UserDeleted,
    UserUnlocked,
    /// A first factor was tried.
    SignIn,
    /// A one-time link was made, and its mail was put into the outbox.
    LinkCreated,
    /// The portal's back end exchanged its one-time code for a token.
    TokenRedeemed,
    /// Somebody said that the password was forgotten.
    PasswordForgotten,
    /// The user set a new password.
    PasswordChanged,
    /// A code was made and handed to the sender.
    CodeSent,
    /// The sender did not take it; it is as if it had not been made.
    CodeNotSent,
    /// A second factor was tried.
    CodeVerified,
    /// An app was shown its secret.
    EnrolmentBegun,
    /// An app was confirmed, or a code to confirm it was wrong.
    FactorEnrolled,
    /// The user removed the app.
    FactorRemoved,
    /// An administrator removed it, and a new one may be set up.
    FactorReset,
    RecoveryCodesMade,
    /// So many wrong passwords in a row that a delay began, or grew.
    PasswordDelayed,
    /// So many that no password from there is looked at any more.
    PasswordDisabled,
    /// A password was refused without a comparison, the first since the last sign-in; or so many
    /// were, as the next sign-in tells.
    PasswordRefused,
    /// So many wrong codes in a row that a delay began, or grew.
    FactorDelayed,
    /// So many that only an administrator helps.
    FactorDisabled,
    /// An agreement was sent to its recipients.
    AgreementSent,
    /// Somebody opened the link that was mailed to them.
    LinkOpened,
    /// A recipient was mailed another link.
    LinkResent,
    /// What a recipient has to prove was changed.
    RecipientChanged,
    /// A recipient proved what their method asks for.
    RecipientVerified,
    /// A recipient was shown the provider's page.
    KbaSessionOpened,
    /// The provider told how a session went; a pass that is waited for is `recipient-verified`.
    KbaSessionAnswered,
    /// Nobody answered while the session lived.
    KbaSessionExpired,
    /// A recipient has signed.
    RecipientCompleted,
    /// The last recipient has signed.
    AgreementCompleted,
    AgreementCancelled,
    AgreementExpired,
    /// A recipient who had completed failed too often to view the agreement.
    ViewingLocked,
    /// The sender lifted that.
    ViewingReopened,
    /// The sender lifted a delay or an end that a recipient's wrong codes had brought on.
    FactorUnlocked,
    /// Somebody made a link that opens the agreement's report for some minutes.
    ReportLinkCreated,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each says it")]
pub enum Conclusion {
    Success,
    Failure,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The user, or somebody who says so.
    User(UserId),
    /// A recipient of an agreement, or somebody who has their link.
    Recipient(RecipientId),
    /// The provider of knowledge-based authentication.
    Provider,
    /// An API key of the account.
    ApiKey(KeyId),
    /// An operator's API key.
    Operator(KeyId),
    /// This service by itself.
    System,
}

impl Actor {
    fn text(self) -> String {
        match self {
            Self::User(user) => user.to_string(),
            Self::Recipient(recipient) => recipient.to_string(),
            Self::Provider => "provider".into(),
            Self::ApiKey(key) => key.to_string(),
            Self::Operator(key) => format!("operator/{key}"),
            Self::System => "system".into(),
        }
    }
}

/// An entry to be written. It never carries a code; a destination only as it is shown to people,
/// masked. People are named by their ids: an entry cannot be taken out of its chain again, and is
/// kept when whoever it tells of is deleted.
#[derive(Clone, Debug)]
pub struct Event {
    action: Action,
    outcome: Conclusion,
    actor: Actor,
    client_ip: Option<IpAddr>,
    details: serde_json::Map<String, serde_json::Value>,
}

impl Event {
    /// `actor` did `action`.
    pub fn new(action: Action, actor: Actor) -> Self {
        Self {
            action,
            outcome: Conclusion::Success,
            actor,
            client_ip: None,
            details: serde_json::Map::new(),
        }
    }

    /// It did not succeed.
    #[must_use]
    pub const fn failed(mut self) -> Self {
        self.outcome = Conclusion::Failure;
        self
    }

    /// It came from this address.
    #[must_use]
    pub const fn from(mut self, client_ip: IpAddr) -> Self {
        self.client_ip = Some(client_ip);
        self
    }

    /// A detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// An entry as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// The account it belongs to.
    pub account: AccountId,
    /// The user, agreement or account whose chain this is.
    pub subject: String,
    /// The place in the chain, from 1.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// What happened.
    pub action: Action,
    /// How it went.
    pub outcome: Conclusion,
    /// A user's id, a recipient's, an API key's, `operator/` and a key's id, `provider`, or
    /// `system`.
    pub actor: String,
    /// The address of the connection it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What else there is to tell.
    #[schema(value_type = Object)]
    pub details: serde_json::Map<String, serde_json::Value>,
    /// The hash of the entry before; empty for the first.
    pub previous: String,
    /// SHA-256 over the canonical JSON (RFC 8785) of all the other members, base64url.
    #[serde(default)]
    pub hash: String,
}

impl Entry {
    /// The hash of all the other members.
    pub fn digest(&self) -> Result<String, Failure> {
        let unhashed = serde_json::to_value(self).map(|mut value| {
            value.as_object_mut().map(|members| members.remove("hash"));
            value
        });
        canonical_hash(
            &unhashed.map_err(|error| Failure::unavailable("hashing an audit entry", &error))?,
        )
    }
}

/// SHA-256 over the canonical JSON (RFC 8785) of `value`, base64url.
pub fn canonical_hash(value: &serde_json::Value) -> Result<String, Failure> {
    let canonical = serde_json_canonicalizer::to_vec(value);
    let canonical =
        canonical.map_err(|error| Failure::unavailable("hashing what is audited", &error))?;
    Ok(secret::encode(digest(&SHA256, &canonical)))
}

/// A chain about to grow, within one transaction.
#[derive(Clone, Debug)]
pub struct Chain {
    account: AccountId,
    subject: String,
    was: u64,
    head: Head,
    entries: Vec<Entry>,
}

impl Chain {
    /// The chain of `subject`, whose head was read as `head`.
    pub fn of(account: AccountId, subject: impl std::fmt::Display, head: &Head) -> Self {
        Self {
            account,
            subject: subject.to_string(),
            was: head.sequence,
            head: head.clone(),
            entries: Vec::new(),
        }
    }

    /// Adds an entry.
    pub fn append(&mut self, event: Event, now: Timestamp) -> Result<(), Failure> {
        let mut entry = Entry {
            account: self.account,
            subject: self.subject.clone(),
            sequence: self.head.sequence + 1,
            at: now.to_rfc3339(),
            action: event.action,
            outcome: event.outcome,
            actor: event.actor.text(),
            source: event.client_ip.map(|ip| ip.to_string()),
            details: event.details,
            previous: self.head.hash.clone(),
            hash: String::new(),
        };
        entry.hash = entry.digest()?;
        self.head = Head {
            sequence: entry.sequence,
            hash: entry.hash.clone(),
        };
        self.entries.push(entry);
        Ok(())
    }

    /// The head as it will stand.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Adds to the update of the head's item that the head moves, and the condition that it stands
    /// where it was read.
    #[must_use]
    pub fn advance(&self, update: Update) -> Update {
        update
            .set(SEQUENCE, self.head.sequence)
            .set(HASH, self.head.hash.as_str())
            .when(self.unmoved())
    }

    /// That the head stands where it was read.
    pub fn unmoved(&self) -> Condition {
        let is_there = SEQUENCE.is(self.was);
        if self.was == 0 {
            SEQUENCE.is_absent().or(is_there)
        } else {
            is_there
        }
    }

    /// The writes of the entries.
    pub fn writes(&self) -> Result<Vec<Write>, Failure> {
        let puts = self.entries.iter().map(|entry| self.put(entry));
        puts.map(|put| put.map(Write::from)).collect()
    }

    /// The writes of entries that are not kept beyond `until`.
    pub fn passing_writes(&self, until: Timestamp) -> Result<Vec<Write>, Failure> {
        let puts = self.entries.iter().map(|entry| self.put(entry));
        puts.map(|put| put.map(|put| put.due(until).into()))
            .collect()
    }

    fn put(&self, entry: &Entry) -> Result<Put, Failure> {
        Put::create(
            keys::audit_entry(self.account, &self.subject, entry.sequence),
            entry,
        )
    }
}

/// The first entry that does not follow from the one before it, by its place in `entries`, which
/// begin the chain.
pub fn first_broken(entries: &[Entry]) -> Option<usize> {
    first_broken_after(&Head::default(), entries)
}

/// The same of entries that come after where the chain stood at `start`.
pub fn first_broken_after(start: &Head, entries: &[Entry]) -> Option<usize> {
    let mut before = start.clone();
    entries.iter().position(|entry| {
        let follows = entry.sequence == before.sequence + 1 && entry.previous == before.hash;
        let sound = entry.digest().is_ok_and(|digest| digest == entry.hash);
        before = Head {
            sequence: entry.sequence,
            hash: entry.hash.clone(),
        };
        !(follows && sound)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: usize) -> Vec<Entry> {
        let mut chain = Chain::of(
            AccountId::from_bytes([1; 16]),
            UserId::from_bytes([2; 16]),
            &Head::default(),
        );
        for number in 0..length {
            let event = Event::new(Action::SignIn, Actor::System).with("number", number);
            chain
                .append(event, Timestamp::from_millis(1_800_000_000_000))
                .unwrap();
        }
        chain.entries
    }

    #[test]
    fn a_chain_as_it_was_written_is_whole() {
        assert_eq!(first_broken(&chain(5)), None);
    }

    #[test]
    fn what_was_altered_dropped_or_moved_is_found() {
        let mut altered = chain(5);
        altered[2].details.insert("number".into(), 7.into());
        assert_eq!(first_broken(&altered), Some(2));
        let mut dropped = chain(5);
        dropped.remove(1);
        assert_eq!(first_broken(&dropped), Some(1));
        let mut moved = chain(5);
        moved.swap(3, 4);
        assert_eq!(first_broken(&moved), Some(3));
    }
}
