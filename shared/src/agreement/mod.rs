//! What recipients are asked to see and sign.
//!
//! An agreement and its recipients stand in one partition. Whatever becomes of either is told in
//! the agreement's one audit chain, whose head stands on the agreement's item: so every change of a
//! recipient moves that head, and a write that says where the head stood says at once that nothing
//! of the agreement has changed since it was read. A completion, a cancellation, an expiry and the
//! answer of a provider at the same moment are that many writes of which one goes through; the
//! others are decided anew from what won. One change moves no head: a viewing of what all have
//! signed that is counted and not told (`viewing`). Nothing is decided from that count but the next
//! telling.
//!
//! What is decided is decided over copies that were read, and written under those very copies: a
//! [`Standing`] is an agreement with one of its recipients, an [`Ending`] an agreement with all of
//! them, read after it. They alone make writes; a [`FullAgreement`] is for showing.
//!
//! What was set when the agreement was sent is kept on it: nobody can switch it off afterwards.

mod attribute;
mod chain;
mod completion;
mod ending;
mod invitation;
pub mod kba;
pub mod provider;
mod recipient;
pub mod reconcile;
pub mod report;
mod standing;
mod token;
mod viewing;
mod whole;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::{Difficulty, Kba, Locale};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, AgreementId, RecipientId};
use crate::store::audit::Head;
use crate::web::http::{Problem, Slug};

pub use completion::{Completion, Invitations};
pub use ending::Ending;
pub use invitation::{Invited, Occasion};
pub use recipient::{
    Authentication, KbaState, OPENINGS, RESENDS, Recipient, RecipientStatus, Reservation,
};
pub use standing::{Standing, WantedStanding};
pub use token::{Link, Ticket};
pub use viewing::{ENTRY_EVERY, ViewingEntry, Viewings};
pub use whole::FullAgreement;

/// How many recipients an agreement may have.
pub const RECIPIENTS_MAX: usize = 40;
/// How long an agreement stands open unless its sender says otherwise.
pub const LIFETIME: Span = Span::days(30);
/// The longest that it may.
pub const LIFETIME_MAX: Span = Span::days(365);

/// Where an agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AgreementStatus)]
pub enum Status {
    /// Its recipients are asked.
    OutForSignature,
    /// All of them have completed.
    Completed,
    /// It was cancelled, by its sender or because a recipient could not prove who they are.
    Cancelled,
    /// Its time was over before all of them had completed.
    Expired,
}

impl Status {
    /// The name in answers and items.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutForSignature => "out_for_signature",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// Who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The mail address.
    #[schema(example = "sales@alder.example", max_length = 254)]
    pub email: String,
    /// The name, as the recipients are told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Robin Alder", max_length = 100, nullable = false)]
    pub name: Option<String>,
}

/// What was set for knowledge-based authentication when the agreement was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// After so many failures of a recipient the agreement is cancelled; none for no limit.
    pub max_attempts: Option<u8>,
    /// How many questions are asked.
    pub difficulty: Difficulty,
    /// Whether viewing the completed agreement asks again.
    pub on_view_after_signing: bool,
}

impl From<&Kba> for Frozen {
    fn from(kba: &Kba) -> Self {
        Self {
            max_attempts: kba.max_attempts,
            difficulty: kba.difficulty,
            on_view_after_signing: kba.on_view_after_signing,
        }
    }
}

/// How an agreement ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// When.
    pub at: Timestamp,
    /// Why, where it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The recipient who could not prove who they are, where that cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<RecipientId>,
    /// The request that cancelled it, where one did: the same request again is answered as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An agreement as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its id, made of the account and the sender's idempotency key.
    pub id: AgreementId,
    /// Its account.
    pub account: AccountId,
    /// The organisation's name when it was sent, as mails give it.
    pub organisation: String,
    /// The language of its mails.
    pub locale: Locale,
    /// What it is called.
    pub title: String,
    /// The group that it was sent from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Who sent it.
    pub sender: Sender,
    /// Where it stands. What is out for signature when its time is over has expired: see
    /// [`Agreement::status`].
    pub status: Status,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// What was set for knowledge-based authentication then.
    pub kba: Frozen,
    /// How many recipients it has.
    pub recipients: u32,
    /// How many of them have completed.
    pub completed: u32,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Closure>,
    /// The head of its audit chain.
    #[serde(flatten)]
    pub head: Head,
}

/// Why a step is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgreementRefusal {
    /// The agreement is not out for signature: so it stands.
    NotOpen(Status),
    /// The recipient has completed.
    RecipientCompleted,
    /// The recipient has not been verified.
    RecipientNotVerified,
    /// The recipient failed too often to see the completed agreement; the sender can reopen it.
    ViewingLocked,
}

impl Agreement {
    /// Where it stands at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.status == Status::OutForSignature && self.expires_at <= now {
            Status::Expired
        } else {
            self.status
        }
    }

    /// Whether its recipients are asked.
    pub fn open(&self, now: Timestamp) -> Result<(), AgreementRefusal> {
        match self.status(now) {
            Status::OutForSignature => Ok(()),
            status => Err(AgreementRefusal::NotOpen(status)),
        }
    }

    /// Whether `recipient` may come to it by the link: to act on it while it is open, to view it
    /// once they have completed.
    pub fn accessible(
        &self,
        recipient: &Recipient,
        now: Timestamp,
    ) -> Result<(), AgreementRefusal> {
        match self.status(now) {
            Status::OutForSignature | Status::Completed
                if recipient.viewing_locked_at.is_some() =>
            {
                Err(AgreementRefusal::ViewingLocked)
            }
            Status::OutForSignature | Status::Completed => Ok(()),
            status => Err(AgreementRefusal::NotOpen(status)),
        }
    }

    /// Whether the one who completes next is the last.
    pub const fn is_last(&self) -> bool {
        self.completed + 1 >= self.recipients
    }
}

impl AgreementRefusal {
    /// The problem, as the sender is told it.
    pub fn problem(self) -> Problem {
        match self {
            Self::NotOpen(status) => {
                Problem::new(Slug::AgreementNotOpen).with("agreement_status", status.name())
            }
            Self::RecipientCompleted => Problem::new(Slug::RecipientCompleted),
            Self::RecipientNotVerified => Problem::new(Slug::RecipientNotVerified),
            Self::ViewingLocked => Problem::new(Slug::ViewingLocked),
        }
    }

    /// The problem, as a recipient is told it.
    pub fn problem_of_recipient(self) -> Problem {
        match self {
            Self::NotOpen(_) => Problem::new(Slug::AgreementClosed),
            other => other.problem(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::account::Settings;
    use crate::kernel::entropy::Entropy;
    use std::collections::BTreeMap;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    pub(crate) fn agreement() -> Agreement {
        Agreement {
            id: AgreementId::from_bytes([2; 16]),
            account: AccountId::from_bytes([1; 16]),
            organisation: "Alder & Pine".into(),
            locale: Locale::En,
            title: "Lease".into(),
            group: None,
            sender: Sender {
                email: "sales@alder.example".into(),
                name: None,
            },
            status: Status::OutForSignature,
            created_at: NOW,
            expires_at: NOW.plus(LIFETIME),
            kba: Frozen::from(&Settings::default().kba),
            recipients: 2,
            completed: 0,
            closure: None,
            head: Head::default(),
        }
    }

    pub(crate) fn recipient(authentication: Authentication, status: RecipientStatus) -> Recipient {
        Recipient {
            id: RecipientId::from_bytes([3; 16]),
            agreement: AgreementId::from_bytes([2; 16]),
            place: 0,
            email: "ann@example.com".into(),
            name: None,
            country: None,
            phone: None,
            phone_country: None,
            authentication,
            status,
            kba: KbaState::default(),
            viewing_locked_at: None,
            links: Vec::new(),
            resends: Vec::new(),
            openings: Vec::new(),
            viewings: Viewings::default(),
            factors: BTreeMap::new(),
            challenges: BTreeMap::new(),
            version: 0,
        }
    }

    #[test]
    fn what_is_out_for_signature_expires_and_what_has_ended_does_not() {
        let mut agreement = agreement();
        let late = NOW.plus(LIFETIME);
        assert_eq!(
            (agreement.status(NOW), agreement.status(late)),
            (Status::OutForSignature, Status::Expired)
        );
        assert_eq!(
            agreement.open(late),
            Err(AgreementRefusal::NotOpen(Status::Expired))
        );
        agreement.status = Status::Completed;
        assert_eq!(agreement.status(late), Status::Completed);
        let signed = recipient(Authentication::None, RecipientStatus::Completed);
        assert_eq!(agreement.accessible(&signed, late), Ok(()));
        agreement.status = Status::Cancelled;
        assert_eq!(
            agreement.accessible(&signed, NOW),
            Err(AgreementRefusal::NotOpen(Status::Cancelled))
        );
    }

    #[test]
    fn after_completing_the_link_suffices_unless_viewing_was_to_ask_again() {
        let mut agreement = agreement();
        let asked = |agreement: &Agreement, authentication, status| {
            recipient(authentication, status).asked(agreement)
        };
        for authentication in Authentication::ALL {
            assert_eq!(
                asked(&agreement, authentication, RecipientStatus::Pending),
                authentication
            );
            assert_eq!(
                asked(&agreement, authentication, RecipientStatus::Verified),
                authentication
            );
        }
        assert_eq!(
            asked(&agreement, Authentication::Kba, RecipientStatus::Completed),
            Authentication::Email
        );
        assert_eq!(
            asked(&agreement, Authentication::Sms, RecipientStatus::Completed),
            Authentication::Email
        );
        agreement.kba.on_view_after_signing = true;
        assert_eq!(
            asked(&agreement, Authentication::Kba, RecipientStatus::Completed),
            Authentication::Kba
        );
    }

    #[test]
    fn a_locked_recipient_sees_nothing_until_the_sender_reopens_it() {
        let mut locked = recipient(Authentication::Kba, RecipientStatus::Completed);
        locked.viewing_locked_at = Some(NOW);
        assert_eq!(
            agreement().accessible(&locked, NOW),
            Err(AgreementRefusal::ViewingLocked)
        );
    }

    #[test]
    fn only_who_was_verified_completes_and_who_has_completed_is_not_changed() {
        use RecipientStatus as S;
        let of = |status| recipient(Authentication::Sms, status);
        assert_eq!(S::Pending, of(S::Pending).status);
        assert_eq!(
            of(S::Pending).completable(),
            Err(AgreementRefusal::RecipientNotVerified)
        );
        assert_eq!(
            of(S::Failed).completable(),
            Err(AgreementRefusal::RecipientNotVerified)
        );
        assert_eq!(
            (
                of(S::Verified).completable(),
                of(S::Completed).completable()
            ),
            (Ok(()), Ok(()))
        );
        assert_eq!(
            of(S::Completed).changeable(),
            Err(AgreementRefusal::RecipientCompleted)
        );
        assert_eq!(
            (of(S::Pending).proved(), of(S::Completed).proved()),
            (S::Verified, S::Completed)
        );
        assert_eq!(
            (of(S::Verified).doubted(), of(S::Completed).doubted()),
            (S::Pending, S::Completed)
        );
    }

    #[test]
    fn a_recipient_holds_the_links_that_were_mailed_to_them_and_no_others() {
        let entropy = Entropy::seeded(1);
        let issue = |recipient| {
            Link::issue(
                AccountId::from_bytes([1; 16]),
                AgreementId::from_bytes([2; 16]),
                recipient,
                &entropy,
            )
            .0
        };
        let mut ann = recipient(Authentication::None, RecipientStatus::Pending);
        let [first, second, nobodys] = [issue(ann.id), issue(ann.id), issue(ann.id)];
        ann.links = ann.links_with(first.fingerprint.clone());
        ann.links = ann.links_with(second.fingerprint.clone());
        assert!(ann.holds(&first) && ann.holds(&second) && !ann.holds(&nobodys));
        assert!(!ann.holds(&Link {
            recipient: RecipientId::from_bytes([4; 16]),
            ..first
        }));
    }
}
