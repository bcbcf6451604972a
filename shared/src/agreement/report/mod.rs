//! The audit report of an agreement: what happened, and what it takes to see that nothing of it was
//! changed since.
//!
//! A chain alone says little to somebody outside: whoever can write the table can compute it anew,
//! and a tail that was cut off does not show. So the report carries a [`Statement`], signed by the
//! service, of how many entries there are and what the hash of the last is.
//! [`verify`](verify::verify) needs nothing but the report and the public keys.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`part`] | how a report of any length is cut |
//! | `statement` | what is signed |
//! | [`link`] | what opens one report in a browser for a few minutes |
//! | [`verify`], `shape`, `entries`, [`finding`] | whether a file is what was signed: what may stand in it, what was done to its entries, in words |
//! | [`join`] | whether parts are one chain |

mod entries;
pub mod finding;
pub mod join;
pub mod link;
pub mod part;
mod shape;
mod statement;
pub mod verify;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::agreement::{self, Authentication, FullAgreement, RecipientStatus, Sender, Status};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::{AccountId, AgreementId, RecipientId};
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::store::audit::{self, Entry};
use crate::store::dynamo::Failure;

pub use part::{Cut, Part};
pub use statement::{Statement, TYPE};

/// The audit report of an agreement, or a part of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditReport)]
pub struct Report {
    /// The agreement, as it stands.
    pub agreement: Agreement,
    /// Its recipients, as the sender listed them.
    pub recipients: Vec<Recipient>,
    /// Which part of the report this is; a report of up to 2,500 entries has one.
    pub part: Part,
    /// Every entry of its audit chain that the part has, as it is stored, the oldest first.
    pub entries: Vec<Entry>,
    /// How many entries the whole chain has.
    #[schema(example = 7)]
    pub count: u64,
    /// The hash of the last of them.
    #[schema(example = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]
    pub head: String,
    /// When the report was made.
    #[schema(example = "2026-11-22T09:45:00Z", format = DateTime)]
    pub issued_at: String,
    /// A compact JWS (RS256, `typ` `audit-report+jwt`) over `agreement`, `account`, `part`,
    /// `count`, `head`, `issued_at`, and `summary`: the SHA-256 of the canonical JSON of this
    /// report's `agreement` and `recipients`. The keys stand at `/.well-known/jwks.json`.
    pub signature: String,
}

/// An agreement, as a report heads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReportedAgreement)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// Its account.
    pub account: AccountId,
    /// The organisation's name when it was sent.
    #[schema(example = "Alder & Pine")]
    pub organisation: String,
    /// What it is called.
    #[schema(example = "Lease, 12 Alder Street")]
    pub title: String,
    /// The group that it was sent from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mortgages", nullable = false)]
    pub group: Option<String>,
    /// Who sent it.
    pub sender: Sender,
    /// Where it stands.
    pub status: Status,
    /// When it was sent.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub sent_at: String,
    /// When its time is over, unless all have completed by then.
    #[schema(example = "2026-12-22T09:30:00Z", format = DateTime)]
    pub expires_at: String,
    /// When the last recipient completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-23T09:30:00Z", format = DateTime, nullable = false)]
    pub completed_at: Option<String>,
    /// When it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-23T09:30:00Z", format = DateTime, nullable = false)]
    pub cancelled_at: Option<String>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the terms have changed", nullable = false)]
    pub reason: Option<String>,
    /// The recipient who could not prove who they are, where that cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failed_recipient: Option<RecipientId>,
}

/// A recipient, as a report names them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReportedRecipient)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// The mail address that the link was sent to.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// The name, if the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ann Smith", nullable = false)]
    pub name: Option<String>,
    /// What the recipient has to prove.
    pub authentication: Authentication,
    /// Where the recipient stands.
    pub status: RecipientStatus,
}

/// Why there is no report.
#[derive(Debug)]
pub enum NoReport {
    /// Something could not be hashed.
    Hashing(Failure),
    /// It could not be signed.
    Signing(KeyringError),
}

/// The entries of a part, as they were read.
#[derive(Clone, Debug)]
pub struct Section {
    /// Which they are.
    pub cut: Cut,
    /// The entries that were there.
    pub entries: Vec<Entry>,
    /// What the entry after the last names as the hash before it; the agreement's head, where there
    /// is none after it.
    pub hash: String,
}

impl Report {
    /// A part of the report of an agreement. What is signed is where the agreement says that its
    /// chain stands, and which entries the part has to have, whatever was read of them: an entry
    /// that somebody took from the table is missed by whoever verifies.
    pub fn of(
        whole: &FullAgreement,
        section: Section,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Self, NoReport> {
        let agreement = Agreement::of(&whole.agreement, now);
        let recipients: Vec<Recipient> = whole.recipients.iter().map(Recipient::from).collect();
        let Section { cut, entries, hash } = section;
        let statement = Statement {
            agreement: agreement.id.to_string(),
            account: agreement.account.to_string(),
            part: Part::new(cut, hash),
            count: whole.agreement.head.sequence,
            head: whole.agreement.head.hash.clone(),
            issued_at: now.to_rfc3339(),
            summary: summary(&json!(agreement), &json!(recipients)).map_err(NoReport::Hashing)?,
        };
        let signature = statement.sign(keyring, now).map_err(NoReport::Signing)?;
        let Statement {
            part,
            count,
            head,
            issued_at,
            ..
        } = statement;
        Ok(Self {
            agreement,
            recipients,
            part,
            entries,
            count,
            head,
            issued_at,
            signature,
        })
    }

    /// What people call a recipient: the name that the sender gave, or the mail address.
    pub fn name_of(&self, id: &str) -> Option<&str> {
        let id: RecipientId = id.parse().ok()?;
        let named = self
            .recipients
            .iter()
            .find(|recipient| recipient.id == id)?;
        Some(named.name.as_deref().unwrap_or(&named.email))
    }
}

impl Agreement {
    fn of(agreement: &agreement::Agreement, now: Timestamp) -> Self {
        let status = agreement.status(now);
        let closure = agreement.closure.as_ref();
        let ended = |so| {
            closure
                .filter(|_| status == so)
                .map(|closure| closure.at.to_rfc3339())
        };
        Self {
            id: agreement.id,
            account: agreement.account,
            organisation: agreement.organisation.clone(),
            title: agreement.title.clone(),
            group: agreement.group.clone(),
            sender: agreement.sender.clone(),
            status,
            sent_at: agreement.created_at.to_rfc3339(),
            expires_at: agreement.expires_at.to_rfc3339(),
            completed_at: ended(Status::Completed),
            cancelled_at: ended(Status::Cancelled),
            reason: closure.and_then(|closure| closure.reason.clone()),
            failed_recipient: closure.and_then(|closure| closure.recipient),
        }
    }
}

impl From<&agreement::Recipient> for Recipient {
    fn from(recipient: &agreement::Recipient) -> Self {
        Self {
            id: recipient.id,
            email: recipient.email.clone(),
            name: recipient.name.clone(),
            authentication: recipient.authentication,
            status: recipient.status,
        }
    }
}

/// The hash of what a report says of its agreement and recipients.
fn summary(
    agreement: &serde_json::Value,
    recipients: &serde_json::Value,
) -> Result<String, Failure> {
    audit::canonical_hash(&json!({"agreement": agreement, "recipients": recipients}))
}
