//! A phone number or mail address that its user has yet to prove: it counts for nothing until the
//! code that was sent to it was typed (NIST SP 800-63B-4 §3.1.3 wants proof of control when an
//! out-of-band authenticator is bound).
//!
//! It stands on its user's item, one of each kind. The code is bound to the user, to this enrolment
//! and to this contact, and is consumed by the one write that puts the contact in its place.

use serde::{Deserialize, Serialize};

use super::attribute;
use super::known::Origin;
use super::{Method, User};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{FactorId, UserId};
use crate::kernel::keyring::{Keyring, KeyringError, Mac};
use crate::signin::challenge::ChallengeRefusal;
use crate::signin::code::{self, Bound, Draft, LiveCode, Sent, SentCodeVerdict};
use crate::store::dynamo::Path;
use crate::store::rate_limit::{Allowed, Limit, Window};

/// How long a contact waits to be proved.
pub const LIFETIME: Span = Span::minutes(10);
/// How many wrong codes end it.
pub const ATTEMPTS_MAX: u32 = 5;
/// How often a user changes the own phone, or mail address: 3 times a day each.
pub const CHANGES: Window = Window {
    limits: &[Limit {
        quota: 3,
        span: Span::days(1),
    }],
};

/// The attributes of the contact of a method that waits for its code.
#[derive(Clone, Copy)]
pub(super) struct Attributes(pub(super) Method);

impl Attributes {
    /// All of it.
    pub fn whole(self) -> Path {
        attribute::contact(self.0).pending
    }

    /// What it is confirmed by.
    pub fn id(self) -> Path {
        self.whole().member("id")
    }

    /// When it was last asked for.
    pub fn begun_at(self) -> Path {
        self.whole().member("begun_at")
    }

    /// When it is over.
    pub fn expires_at(self) -> Path {
        self.whole().member("expires_at")
    }

    /// The code that is good.
    pub fn code(self) -> Path {
        self.whole().member("code")
    }

    /// The digest of its MAC, which it is told by.
    pub fn code_digest(self) -> Path {
        LiveCode::digest_in(self.code())
    }

    /// The MACs of those before it.
    pub fn superseded(self) -> Path {
        self.whole().member("superseded")
    }

    /// The codes that were sent.
    pub fn sent(self) -> Path {
        self.whole().member("sent")
    }

    /// When its SMS were sent.
    pub fn sms(self) -> Path {
        self.whole().member("sms")
    }

    /// The ids of the attempts.
    pub fn attempts(self) -> Path {
        self.whole().member("attempts")
    }
}

/// A contact that waits for its code, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingContact {
    /// What it is confirmed by.
    pub id: FactorId,
    /// The number in E.164, or the address.
    pub contact: String,
    /// The number's country, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// When it was last asked for: how fresh the second factor was is judged as of then.
    pub begun_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
    /// The code that is good.
    pub code: LiveCode,
    /// The MACs of those before it.
    #[serde(default)]
    pub superseded: Vec<Mac>,
    /// The codes that were sent.
    pub sent: Sent,
    /// When each of them that was an SMS was: what is given back to the SMS budget.
    #[serde(default)]
    pub sms: Vec<Timestamp>,
    /// The ids of the attempts: an attempt that the SDK repeats counts once.
    pub attempts: Vec<String>,
}

/// What the code of a contact is good for.
struct Binding {
    user: UserId,
    enrolment: String,
}

impl Binding {
    fn new(user: UserId, id: FactorId, contact: &str) -> Self {
        Self {
            user,
            enrolment: format!("{id}\n{contact}"),
        }
    }
}

impl Bound for Binding {
    fn holder(&self) -> String {
        self.user.to_string()
    }

    fn name(&self) -> &str {
        &self.enrolment
    }
}

/// A contact that somebody says is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedContact {
    /// By which method codes go there.
    pub method: Method,
    /// The number in E.164, or the address.
    pub contact: String,
    /// The number's country.
    pub country: Option<String>,
}

impl PendingContact {
    /// How many attempts are left.
    pub fn attempts_left(&self) -> u32 {
        ATTEMPTS_MAX.saturating_sub(u32::try_from(self.attempts.len()).unwrap_or(u32::MAX))
    }

    /// What becomes of what waits now once `wish` is asked for: it goes on where it is the same
    /// contact, and a new one takes its place otherwise. With the code to be sent.
    pub fn begin(
        user: &User,
        wish: &ClaimedContact,
        fresh_id: FactorId,
        (keyring, entropy): (&Keyring, &Entropy),
        now: Timestamp,
    ) -> Result<(Self, Draft), KeyringError> {
        let waits = user.pending(wish.method, now);
        let before =
            waits.filter(|before| before.contact == wish.contact && before.attempts_left() > 0);
        let id = before.map_or(fresh_id, |before| before.id);
        let bound = Binding::new(user.id, id, &wish.contact);
        let draft = code::draw(&bound, wish.method, keyring, entropy, now)?;
        // The waits go on also where five wrong codes have ended the one before, or it is another
        // contact: two in turn wait as one does.
        let sent = waits.map(|before| before.sent).unwrap_or_default();
        let another = (wish.method == Method::Sms).then_some(now);
        let mut sms = before.map(|it| it.sms.clone()).unwrap_or_default();
        sms.extend(another);
        let attempts = before.map(|it| it.attempts.clone());
        let pending = Self {
            id,
            contact: wish.contact.clone(),
            country: wish.country.clone(),
            begun_at: now,
            expires_at: now.plus(LIFETIME),
            code: draft.stored.clone(),
            superseded: before.map(Self::superseded_next).unwrap_or_default(),
            sent: sent.and_now(now),
            sms,
            attempts: attempts.unwrap_or_default(),
        };
        Ok((pending, draft))
    }

    /// The MACs of the codes before the next one.
    fn superseded_next(&self) -> Vec<Mac> {
        let mut superseded = self.superseded.clone();
        superseded.push(self.code.mac.clone());
        superseded
    }

    /// Compares a tried code with all that were sent to this contact.
    pub fn judge(
        &self,
        user: UserId,
        method: Method,
        submitted: &str,
        keyring: &Keyring,
        now: Timestamp,
    ) -> SentCodeVerdict {
        let binding = Binding::new(user, self.id, &self.contact);
        code::judge_among(
            &binding,
            (Some(&self.code), &self.superseded),
            method,
            submitted,
            keyring,
            now,
        )
    }
}

impl User {
    /// The contact of `method` that waits for its code, if one does.
    pub fn pending(&self, method: Method, now: Timestamp) -> Option<&PendingContact> {
        let pending = match method {
            Method::Sms => self.pending_sms.as_ref(),
            Method::Email => self.pending_email.as_ref(),
            Method::Totp | Method::RecoveryCode => None,
        };
        pending.filter(|pending| pending.expires_at > now)
    }

    /// Whether the code of `pending` is the one that waits.
    pub fn awaits_code_of(&self, method: Method, pending: &PendingContact, now: Timestamp) -> bool {
        let waits = self.pending(method, now);
        let waits = waits.filter(|waits| waits.contact == pending.contact);
        waits.is_some_and(|waits| waits.code.mac == pending.code.mac)
    }

    /// The contact that waits as it did before `attempt` was counted, if it was.
    pub fn pending_before(
        &self,
        method: Method,
        attempt: &str,
        now: Timestamp,
    ) -> Option<PendingContact> {
        let pending = self.pending(method, now)?;
        let place = pending.attempts.iter().position(|id| id == attempt)?;
        Some(PendingContact {
            attempts: pending.attempts.iter().take(place).cloned().collect(),
            ..pending.clone()
        })
    }

    /// Whether a code may be sent to `contact`, or one that was be taken, at the wish of somebody
    /// at such an address: what locks the factor of `method` keeps every contact from becoming it,
    /// and a delay is one of the contact that the wrong codes were for.
    pub fn may_prove(
        &self,
        method: Method,
        contact: &str,
        origin: Origin,
        now: Timestamp,
    ) -> Result<(), ChallengeRefusal> {
        match self.factor(method).allowed(origin, now) {
            Allowed::Never => Err(ChallengeRefusal::FactorDisabled),
            Allowed::From(moment) if self.destination(method) == Some(contact) => {
                Err(ChallengeRefusal::FactorDelayed(moment))
            }
            Allowed::From(_) | Allowed::Now => Ok(()),
        }
    }

    /// When the user changed the own contact of `method` recently.
    pub fn changes(&self, method: Method) -> &[Timestamp] {
        match method {
            Method::Sms => &self.phone_changes,
            Method::Email => &self.email_changes,
            Method::Totp | Method::RecoveryCode => &[],
        }
    }

    /// Until when the user changes the own contact of `method` no more, if not now.
    pub fn changes_until(&self, method: Method, now: Timestamp) -> Option<(Timestamp, Limit)> {
        CHANGES.full_until(self.changes(method), now)
    }
}
