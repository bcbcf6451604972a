//! A recipient of an agreement: who they are, what they have proved, and the challenges that are
//! open.
//!
//! As on a user's item, an attempt at a code counts on the challenge and on the factor in one
//! write, and so both stand here.

mod change;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use change::Reservation;

use super::{Agreement, AgreementRefusal, Link, Viewings};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::contact;
use crate::kernel::ids::{AgreementId, RecipientId, SessionId};
use crate::kernel::secret;
use crate::ledger::Hold;
use crate::signin::challenge::Challenge;
use crate::signin::user::{FACTOR_BACKOFF, Factor, Method};
use crate::store::rate_limit::{Limit, Window};

/// How often a recipient's link may be opened. Each opening is an audit entry until all have
/// signed.
pub const OPENINGS: Window = Window {
    limits: &[
        Limit {
            quota: 20,
            span: Span::minutes(10),
        },
        Limit {
            quota: 60,
            span: Span::hours(24),
        },
    ],
};
/// How often a recipient may be mailed another link: as often as a destination may be sent codes.
/// The first one, which the sending itself mails, and the last, when all have signed, do not count.
pub const RESENDS: Window = Window {
    limits: &[
        Limit {
            quota: 5,
            span: Span::minutes(10),
        },
        Limit {
            quota: 10,
            span: Span::hours(1),
        },
    ],
};

/// What a recipient has to prove beyond having received the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Nothing.
    None,
    /// Nothing: the link was mailed to them.
    Email,
    /// A code by SMS.
    Sms,
    /// Knowledge-based authentication. Premium: it costs a prepaid transaction.
    Kba,
}

impl Authentication {
    /// All of them, in the order in which a sender is shown them.
    pub const ALL: [Self; 4] = [Self::None, Self::Email, Self::Sms, Self::Kba];

    /// The name in requests, answers and items.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Kba => "kba",
        }
    }
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecipientStatus {
    /// Nothing is proved yet.
    Pending,
    /// What their method asks for is proved.
    Verified,
    /// They have signed.
    Completed,
    /// They could not prove who they are, and have no attempt left.
    Failed,
}

impl RecipientStatus {
    /// The name in answers and items.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// What there is to know of a recipient's knowledge-based authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct KbaState {
    /// Failed attempts since the last pass.
    pub attempts: u32,
    /// The transaction that is reserved for the recipient, while it is neither consumed nor
    /// released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Whether the recipient's transaction was consumed: the same recipient never costs a second
    /// one.
    pub consumed: bool,
    /// The latest session: it supersedes those before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// When sessions were opened recently, the newest first.
    pub sessions: Vec<Timestamp>,
    /// How many sessions were opened, ever: each has its number.
    pub opened: u32,
    /// The number of the latest session that was passed. What those before it come to, later,
    /// counts no more.
    pub passed: u32,
}

/// A recipient as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// Its agreement.
    pub agreement: AgreementId,
    /// Its place in the sender's list, from 0.
    pub place: u32,
    /// The mail address.
    pub email: String,
    /// The name, if the sender gave it: then it stays the same throughout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The phone number in E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The phone's country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_country: Option<String>,
    /// What is asked beyond the link.
    pub authentication: Authentication,
    /// Where the recipient stands.
    pub status: RecipientStatus,
    /// Knowledge-based authentication.
    #[serde(default)]
    pub kba: KbaState,
    /// Since when viewing is locked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewing_locked_at: Option<Timestamp>,
    /// The fingerprints of the link that was mailed when the agreement was sent, and of that to the
    /// signed one. What else was mailed has items of its own: see [`Link::create`].
    #[serde(default)]
    pub links: Vec<String>,
    /// When another link was mailed recently, the newest first.
    #[serde(default)]
    pub resends: Vec<Timestamp>,
    /// When the link was opened recently, the newest first.
    #[serde(default)]
    pub openings: Vec<Timestamp>,
    /// The viewings of what all have signed.
    #[serde(default, skip_serializing_if = "Viewings::is_none")]
    pub viewings: Viewings,
    /// The wrong codes in a row, by method.
    #[serde(default)]
    pub factors: BTreeMap<String, Factor>,
    /// The open challenges, and those lately closed, by the fingerprint of their token.
    #[serde(default)]
    pub challenges: BTreeMap<String, Challenge>,
    /// How often a rule has changed the recipient: see [`super::Standing`].
    #[serde(default)]
    pub version: u64,
}

impl Recipient {
    /// The count of wrong codes.
    pub fn factor(&self, method: Method) -> Factor {
        self.factors.get(method.name()).cloned().unwrap_or_default()
    }

    /// Whether `link` is one of the two that this item names.
    pub fn holds(&self, link: &Link) -> bool {
        let same = |kept: &String| secret::equal(kept.as_bytes(), link.fingerprint.as_bytes());
        self.id == link.recipient
            && self
                .links
                .iter()
                .fold(false, |found, kept| found | same(kept))
    }

    /// The links once that to the signed agreement is mailed as well.
    pub fn links_with(&self, fingerprint: String) -> Vec<String> {
        self.links.iter().cloned().chain([fingerprint]).collect()
    }

    /// Whether the recipient is on the way to view what they completed.
    pub fn views(&self) -> bool {
        self.status == RecipientStatus::Completed
    }

    /// What is asked of whoever opens the link now. After completing, the link suffices, unless
    /// viewing was to ask again.
    pub fn asked(&self, agreement: &Agreement) -> Authentication {
        match self.authentication {
            Authentication::Kba if self.views() && !agreement.kba.on_view_after_signing => {
                Authentication::Email
            }
            Authentication::Sms if self.views() => Authentication::Email,
            asked => asked,
        }
    }

    /// The transaction that is reserved for this recipient and not consumed, while the agreement is
    /// open.
    pub const fn reserved(&self) -> Option<Hold> {
        if self.kba.consumed {
            None
        } else {
            self.kba.hold
        }
    }

    /// Whether the recipient may complete.
    pub const fn completable(&self) -> Result<(), AgreementRefusal> {
        match self.status {
            RecipientStatus::Verified | RecipientStatus::Completed => Ok(()),
            RecipientStatus::Pending | RecipientStatus::Failed => {
                Err(AgreementRefusal::RecipientNotVerified)
            }
        }
    }

    /// The factors whose wrong codes have brought on a delay, or the end of any more
    /// attempts.
    pub fn locked_factors(&self) -> impl Iterator<Item = Method> {
        let is_locked = |method: &Method| {
            let factor = self.factors.get(method.name());
            factor.is_some_and(|factor| factor.failures >= FACTOR_BACKOFF.free)
        };
        Method::ALL.into_iter().filter(is_locked)
    }

    /// Whether the recipient's method may be changed.
    pub const fn changeable(&self) -> Result<(), AgreementRefusal> {
        match self.status {
            RecipientStatus::Completed => Err(AgreementRefusal::RecipientCompleted),
            RecipientStatus::Pending | RecipientStatus::Verified | RecipientStatus::Failed => {
                Ok(())
            }
        }
    }

    /// Where the recipient stands after a proof: who has completed stays so.
    pub const fn proved(&self) -> RecipientStatus {
        match self.status {
            RecipientStatus::Pending | RecipientStatus::Verified => RecipientStatus::Verified,
            other => other,
        }
    }

    /// Where the recipient stands after an attempt that failed: who was verified proves themselves
    /// again; who has completed stays so.
    pub const fn doubted(&self) -> RecipientStatus {
        match self.status {
            RecipientStatus::Pending | RecipientStatus::Verified => RecipientStatus::Pending,
            other => other,
        }
    }

    /// The phone number, as it is shown.
    pub fn masked_phone(&self) -> Option<String> {
        self.phone.as_deref().map(contact::mask_phone)
    }

    /// The mail address, as it is shown in the audit.
    pub fn masked_email(&self) -> String {
        contact::mask_email(&self.email)
    }
}
