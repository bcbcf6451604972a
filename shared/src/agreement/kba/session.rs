//! A session: one attempt of one recipient at the provider's questions.
//!
//! It stands on an item of its own, because the provider names nothing else. A recipient's item
//! names the latest: opening another supersedes it. Its one answer is recorded on it, and so a
//! second never counts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::callback::Outcome;
use crate::agreement::attribute;
use crate::agreement::{Agreement, Recipient, Ticket};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, AgreementId, RecipientId, SessionId};
use crate::store::dynamo::{Condition, Delete, Failure, Put, Update, keys};
use crate::store::rate_limit::{Limit, Window};

/// How long a session lives, and the challenge with it, from when the provider has opened its own:
/// before that there is nothing that a browser could show. It is told what is left of it when it is
/// answered.
pub const LIFETIME: Span = Span::minutes(10);
/// For how long a person may begin. The rest of [`LIFETIME`] is for who begins at the last moment.
pub const BEGIN_WITHIN: Span = Span::minutes(8);
/// How many sessions a recipient may open.
pub const OPENINGS: Window = Window {
    limits: &[Limit {
        quota: 10,
        span: Span::hours(24),
    }],
};
/// How long a pass is told together with the access token.
pub const RESULT_SHOWN_FOR: Span = Span::seconds(60);
/// How long a session is kept after it was over: longer than the provider goes on telling us of it.
pub const KEPT: Span = Span::days(30);

/// Where a session stands, as the browser is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KbaSessionStatus)]
pub enum Status {
    /// The provider has not answered yet.
    Pending,
    /// The recipient is who they say.
    Passed,
    /// Too few answers were right: an attempt is used up.
    Failed,
    /// The questions were shown, and not answered in time: an attempt is used up.
    TimedOut,
    /// The provider found nobody of that name and address. It costs nothing.
    NotLocatable,
    /// The provider failed. It costs nothing.
    ProviderError,
    /// Nobody answered while the session lived.
    Expired,
    /// A newer session took its place.
    Superseded,
}

impl Status {
    /// The name in answers and items.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotLocatable => "not_locatable",
            Self::ProviderError => "provider_error",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Failed => Self::Failed,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::NotLocatable => Self::NotLocatable,
            Outcome::ProviderError => Self::ProviderError,
        }
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id: what the provider knows it by.
    pub id: SessionId,
    /// The account.
    pub account: AccountId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The recipient.
    pub recipient: RecipientId,
    /// The name of the challenge that opened it: nobody else is told of it.
    pub challenge: String,
    /// Its number among the recipient's sessions, from 1.
    pub number: u32,
    /// Whether it was opened to view what the recipient had completed.
    pub viewing: bool,
    /// Where it stands, as far as anybody wrote it down: see [`Session::status`].
    pub status: Status,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// The provider's first answer, whatever it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Outcome>,
    /// When that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
}

impl Session {
    /// The next session of a recipient, which opens at `opens_at`: when the provider has opened its
    /// own.
    pub fn open(
        id: SessionId,
        ticket: &Ticket,
        recipient: &Recipient,
        opens_at: Timestamp,
    ) -> Self {
        Self {
            id,
            account: ticket.account,
            agreement: ticket.agreement,
            recipient: ticket.recipient,
            challenge: ticket.name.clone(),
            number: recipient.kba.opened + 1,
            viewing: recipient.views(),
            status: Status::Pending,
            opened_at: opens_at,
            expires_at: opens_at.plus(LIFETIME),
            answer: None,
            answered_at: None,
        }
    }

    /// Where it stands at `now`. That a newer one has taken its place stands on its recipient; that
    /// its time is over stands nowhere.
    pub fn status(&self, recipient: &Recipient, now: Timestamp) -> Status {
        match self.status {
            Status::Pending if !self.is_latest(recipient) => Status::Superseded,
            Status::Pending if self.expires_at <= now => Status::Expired,
            status => status,
        }
    }

    /// Whether it is the recipient's latest: no other has taken its place, and no change of the
    /// method has ended it.
    pub fn is_latest(&self, recipient: &Recipient) -> bool {
        recipient.kba.session == Some(self.id)
    }

    /// How many failures are left before they have their consequence; none where there is no limit.
    pub fn attempts_left(agreement: &Agreement, recipient: &Recipient) -> Option<u32> {
        agreement
            .kba
            .max_attempts
            .map(|most| u32::from(most).saturating_sub(recipient.kba.attempts))
    }

    /// The write that creates it. The clean-up looks at it when its time is over.
    pub fn create(&self) -> Result<Put, Failure> {
        Ok(Put::create(keys::session(self.id), self)?.look_at(self.expires_at))
    }

    /// An update of its item, under the condition that it stands as it was read.
    fn touch(&self) -> Update {
        Update::of(keys::session(self.id)).when(
            attribute::STATUS
                .is(self.status.name())
                .and(attribute::ANSWER.is_absent()),
        )
    }

    /// The provider's answer came, and left the session so. Its time is no longer waited for: the
    /// clean-up next looks when nobody has a use for it.
    pub(super) fn answer(&self, outcome: Outcome, status: Status, now: Timestamp) -> Update {
        self.touch()
            .set(attribute::ANSWER, outcome.name())
            .set(attribute::ANSWERED_AT, now)
            .set(attribute::STATUS, status.name())
            .look_at(self.kept_until())
    }

    /// Its time is over, and nobody answered.
    pub fn expire(&self) -> Update {
        self.touch()
            .set(attribute::STATUS, Status::Expired.name())
            .look_at(self.kept_until())
    }

    /// Nothing is to be told of it: the clean-up looks again when nobody will ask for it any more.
    pub fn look_again(&self) -> Update {
        Update::of(keys::session(self.id))
            .when(Condition::item_exists())
            .look_at(self.kept_until())
    }

    /// It is removed, as nobody asks for it any more at `now`.
    pub fn remove(&self, now: Timestamp) -> Delete {
        let is_over = attribute::EXPIRES_AT.is_at_most(now.minus(KEPT));
        Delete::of(keys::session(self.id)).when(is_over)
    }

    /// Until when somebody may ask for it.
    pub const fn kept_until(&self) -> Timestamp {
        self.expires_at.plus(KEPT)
    }
}
