//! A phone number or mail address that its user has yet to prove: it counts for nothing until the
//! code that was sent to it was typed (NIST SP 800-63B-4 §3.1.3 wants proof of control when an
//! out-of-band authenticator is bound).
//!
//! It stands on its user's item, one of each kind. The code is bound to the user, to this enrolment
//! and to this contact, and is consumed by the one write that puts the contact in its place.

use serde::{Deserialize, Serialize};

use super::known::Origin;
use super::{Method, User};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{FactorId, UserId};
use crate::kernel::keyring::{Keyring, KeyringError, Mac};
use crate::signin::challenge::Refusal;
use crate::signin::code::{self, Bound, Draft, LiveCode, Sent, Verdict};
use crate::store::dynamo::{Failure, Write, document};
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
    /// When each of them that was a text was: what is given back to the budget of texts.
    #[serde(default)]
    pub texts: Vec<Timestamp>,
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
pub struct Wish {
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
        wish: &Wish,
        fresh_id: FactorId,
        (keyring, entropy): (&Keyring, &Entropy),
        now: Timestamp,
    ) -> Result<(Self, Draft), KeyringError> {
        let waits = user.pending(wish.method, now);
        let before =
            waits.filter(|before| before.contact == wish.contact && before.attempts_left() > 0);
        let id = before.map_or(fresh_id, |before| before.id);
        let draft = code::draw(
            &Binding::new(user.id, id, &wish.contact),
            wish.method,
            keyring,
            entropy,
            now,
        )?;
        // The waits go on also where five wrong codes have ended the one before, or it is another
        // contact: two in turn wait as one does.
        let sent = waits.map(|before| before.sent).unwrap_or_default();
        let superseded = before.map(|before| {
            before
                .superseded
                .iter()
                .cloned()
                .chain([before.code.mac.clone()])
                .collect()
        });
        let texts = before
            .map(|before| before.texts.clone())
            .unwrap_or_default();
        let another = (wish.method == Method::Sms).then_some(now);
        let pending = Self {
            id,
            contact: wish.contact.clone(),
            country: wish.country.clone(),
            begun_at: now,
            expires_at: now.plus(LIFETIME),
            code: draft.stored.clone(),
            superseded: superseded.unwrap_or_default(),
            sent: sent.and_now(now),
            texts: texts.into_iter().chain(another).collect(),
            attempts: before
                .map(|before| before.attempts.clone())
                .unwrap_or_default(),
        };
        Ok((pending, draft))
    }

    /// Compares a tried code with all that were sent to this contact.
    pub fn judge(
        &self,
        user: UserId,
        method: Method,
        tried: &str,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Verdict {
        let binding = Binding::new(user, self.id, &self.contact);
        code::judge_among(
            &binding,
            (Some(&self.code), &self.superseded),
            method,
            tried,
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

    /// The same, if it is the one that is asked for.
    pub fn waiting(&self, wish: &Wish, now: Timestamp) -> Option<&PendingContact> {
        self.pending(wish.method, now)
            .filter(|pending| pending.contact == wish.contact)
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
    ) -> Result<(), Refusal> {
        match self.factor(method).allowed(origin, now) {
            Allowed::Never => Err(Refusal::FactorDisabled),
            Allowed::From(moment) if self.destination(method) == Some(contact) => {
                Err(Refusal::FactorDelayed(moment))
            }
            Allowed::From(_) | Allowed::Now => Ok(()),
        }
    }

    /// When the user changed the own contact of `method` of late.
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

    /// Adds to an update that the user changes the own contact of `method` once more.
    #[must_use]
    pub fn count_change(&self, update: Write, method: Method, now: Timestamp) -> Write {
        let name = if method == Method::Sms {
            "phone_changes"
        } else {
            "email_changes"
        };
        update
            .and(&format!(", #{name} = :changes"))
            .value("changes", CHANGES.entered(self.changes(method), now))
    }
}

/// The attribute of a user's item that holds what waits for `method`.
pub const fn attribute(method: Method) -> &'static str {
    if matches!(method, Method::Sms) {
        "pending_sms"
    } else {
        "pending_email"
    }
}

/// Adds to an update of the user's item that `pending` waits, in the place of what does. Where it
/// goes on, the attempts are left as they stand: they are counted by a write of their own, which
/// moves no head. So what another takes the place of is named by its attempts too: it may be [put
/// back](take_back), and then has to have all of them.
pub fn wait(
    update: Write,
    method: Method,
    before: Option<&PendingContact>,
    pending: &PendingContact,
) -> Result<Write, Failure> {
    let update = update.name("pending", attribute(method));
    match before {
        Some(before) if before.id == pending.id => go_on(update, pending).map(|update| {
            update
                .value("most", ATTEMPTS_MAX)
                .when("size(#pending.#attempts) < :most")
        }),
        Some(before) => Ok(replace(update, pending)?
            .when("#pending.#id = :before AND #pending.#attempts = :attempts_before")
            .value("before", before.id.to_string())
            .value("attempts_before", document(&before.attempts)?)),
        None => replace(update, pending),
    }
}

/// Adds to an update that `pending` waits, whatever did.
fn replace(update: Write, pending: &PendingContact) -> Result<Write, Failure> {
    Ok(update
        .and(", #pending = :pending")
        .value("pending", document(pending)?))
}

/// Adds to an update what a code that is sent, or taken back, changes of what goes on to wait.
fn go_on(update: Write, pending: &PendingContact) -> Result<Write, Failure> {
    Ok(update
        .and(", #pending.#code = :code, #pending.#superseded = :superseded, #pending.#sent = :sent, #pending.#texts = :texts")
        .and(", #pending.#begun_at = :begun_at, #pending.#expires_at = :until")
        .when("#pending.#id = :pending_id")
        .value("code", document(&pending.code)?)
        .value("superseded", document(&pending.superseded)?)
        .value("sent", document(&pending.sent)?)
        .value("texts", pending.texts.clone())
        .value("begun_at", pending.begun_at)
        .value("until", pending.expires_at)
        .value("pending_id", pending.id.to_string()))
}

/// Adds to an update what takes `pending` back again, whose message was certainly not taken: what
/// waited before it waits again.
pub fn take_back(
    update: Write,
    method: Method,
    before: Option<&PendingContact>,
    pending: &PendingContact,
) -> Result<Write, Failure> {
    let update = sent_as_drafted(update.name("pending", attribute(method)), pending);
    match before {
        Some(before) if before.id == pending.id => go_on(update, before),
        Some(before) => replace(update, before),
        None => Ok(update.remove("#pending")),
    }
}

/// Adds the condition that the code of `pending` is the one that waits.
pub fn sent_as_drafted(update: Write, pending: &PendingContact) -> Write {
    update
        .when("#pending.#code.#mac.#h = :digest")
        .value("digest", pending.code.mac.digest.as_str())
}
