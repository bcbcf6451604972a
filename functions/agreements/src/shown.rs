//! An agreement as the organisation's back end sees it.

use serde::Serialize;
use shared::agreement::{self, Authentication, FullAgreement, RecipientStatus, Sender, Status};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AgreementId, RecipientId};
use utoipa::ToSchema;

/// An agreement.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agreement)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
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
    /// When it was sent, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub created_at: String,
    /// When its time is over, unless all have completed by then.
    #[schema(example = "2026-12-22T09:30:00Z", format = DateTime)]
    pub expires_at: String,
    /// When it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-23T09:30:00Z", format = DateTime, nullable = false)]
    pub ended_at: Option<String>,
    /// Why it was cancelled, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the terms have changed", nullable = false)]
    pub reason: Option<String>,
    /// The recipient who could not prove who they are, where that cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failed_recipient: Option<RecipientId>,
    /// Its recipients, as the sender listed them. Left out in the list of agreements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
}

/// A recipient of an agreement.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipient)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// The mail address.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// The name, if the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ann Smith", nullable = false)]
    pub name: Option<String>,
    /// The country, if the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "US", nullable = false)]
    pub country: Option<String>,
    /// The phone number, if the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+12025550100", nullable = false)]
    pub phone: Option<String>,
    /// What the recipient has to prove.
    pub authentication: Authentication,
    /// Where the recipient stands.
    pub status: RecipientStatus,
    /// Whether viewing is locked until the sender reopens it.
    pub viewing_locked: bool,
}

impl Agreement {
    /// The agreement, without its recipients.
    pub fn of(agreement: &agreement::Agreement, now: Timestamp) -> Self {
        let closure = agreement.closure.as_ref();
        let status = agreement.status(now);
        let ended_at = closure
            .map(|closure| closure.at)
            .or((status == Status::Expired).then_some(agreement.expires_at));
        Self {
            id: agreement.id,
            title: agreement.title.clone(),
            group: agreement.group.clone(),
            sender: agreement.sender.clone(),
            status,
            created_at: agreement.created_at.to_rfc3339(),
            expires_at: agreement.expires_at.to_rfc3339(),
            ended_at: ended_at.map(Timestamp::to_rfc3339),
            reason: closure.and_then(|closure| closure.reason.clone()),
            failed_recipient: closure.and_then(|closure| closure.recipient),
            recipients: Vec::new(),
        }
    }

    /// The agreement and its recipients.
    pub fn whole(whole: &FullAgreement, now: Timestamp) -> Self {
        Self {
            recipients: whole.recipients.iter().map(Recipient::from).collect(),
            ..Self::of(&whole.agreement, now)
        }
    }
}

impl From<&agreement::Recipient> for Recipient {
    fn from(recipient: &agreement::Recipient) -> Self {
        Self {
            id: recipient.id,
            email: recipient.email.clone(),
            name: recipient.name.clone(),
            country: recipient.country.clone(),
            phone: recipient.phone.clone(),
            authentication: recipient.authentication,
            status: recipient.status,
            viewing_locked: recipient.viewing_locked_at.is_some(),
        }
    }
}
