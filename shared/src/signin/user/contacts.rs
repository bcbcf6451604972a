//! A user's own phone and mail address, as they come and go by the user's own hand: what is to be
//! proved first ([`super::pending`]), what is confirmed, and what is taken away.

use super::attribute::{self, PHONE_COUNTRY, RESET_AT, VERSION};
use super::known::Origin;
use super::pending::{ATTEMPTS_MAX, Attributes, CHANGES, PendingContact};
use super::{Method, User, factor};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::FactorId;
use crate::signin::code::PER_USER;
use crate::signin::link;
use crate::signin::reserved::Requester;
use crate::store::dynamo::{Condition, Failure, Update, document};

impl User {
    /// The update that lets `pending` wait for its code, in the place of what does, and counts the
    /// send. Its conditions repeat [`User::pending`], as far as what waits goes on or is replaced,
    /// and [`User::may_prove`]. That the sends are as they were read, the head of the chain says.
    pub fn begin_contact(
        &self,
        method: Method,
        pending: &PendingContact,
        requester: Requester,
        now: Timestamp,
    ) -> Result<Update, Failure> {
        let update = wait(self.touch(), method, self.pending(method, now), pending)?;
        let judged = self.factor(method);
        let update = factor::unmoved(update, method, &judged, requester.origin());
        let update = self.count_sends(update, &PER_USER.entered(&self.sends, requester, now))?;
        Ok(update.set_due(pending.expires_at))
    }

    /// The update that takes `pending` back again, over the user as they stand, whose message was
    /// certainly not taken: what waited `before` it waits again, and the send of that moment is
    /// none. Where its code waits no more, the send alone is taken back.
    pub fn take_back_contact(
        &self,
        method: Method,
        (before, pending): (Option<&PendingContact>, &PendingContact),
        requester: Requester,
        sent_at: Timestamp,
    ) -> Result<Update, Failure> {
        let update = self.count_sends(self.touch(), &self.sends.without(requester, sent_at))?;
        if self.awaits_code_of(method, pending, sent_at) {
            take_back(update, method, before, pending)
        } else {
            Ok(update)
        }
    }

    /// The update that counts an attempt at the code of what waits, before anything is compared,
    /// and once, however often the SDK repeats it.
    ///
    /// Its conditions repeat [`User::pending`] and [`PendingContact::attempts_left`].
    pub fn count_contact_attempt(
        &self,
        method: Method,
        id: FactorId,
        attempt: &str,
        now: Timestamp,
    ) -> Update {
        let of = Attributes(method);
        self.touch()
            .append(of.attempts(), vec![attempt])
            .when(of.id().is(id.to_string()))
            .when(of.expires_at().is_above(now))
            .when(of.attempts().has_fewer_than(ATTEMPTS_MAX))
            .when(!of.attempts().contains(attempt))
    }

    /// The user as they are reached once `pending` is the contact, which is what a notice looks at,
    /// and the update that makes it so, verified: under the condition that the code which was
    /// judged is the one that waits, and that the factor is as little locked as it was judged to be
    /// ([`User::may_prove`]).
    pub fn confirm_contact(
        &self,
        method: Method,
        pending: &PendingContact,
        origin: Origin,
        now: Timestamp,
    ) -> (Self, Update) {
        let update = self.take_over(method, pending, now);
        // It is the factor from now on, and proved: that ends of its counts what a right code ends
        // at a sign-in.
        let update = factor::unmoved(update, method, &self.factor(method), origin);
        let update = factor::clear(update, method, origin);
        let write = if self.is_another(method, &pending.contact) {
            self.end_contact(update, method, now)
        } else {
            update
        };
        let reached = self.with_contact(method, Some(pending.contact.clone()));
        (reached, write)
    }

    /// Whether `contact` takes the place of another: that one is no longer trusted, nor what was
    /// proved with it.
    pub fn replaces(&self, method: Method, contact: &str) -> bool {
        self.destination(method).is_some() && self.is_another(method, contact)
    }

    /// The user as they are reached once the contact of `method` is gone, which is what a notice
    /// looks at, and the update that takes it away, and what waits in its place. Who once had a
    /// factor does not begin anew with the password alone.
    pub fn remove_contact(&self, method: Method, now: Timestamp) -> (Self, Update) {
        let update = Self::keep_had_factor(self.without_contact(method));
        let write = self.end_contact(update, method, now);
        (self.with_contact(method, None), write)
    }

    fn without_contact(&self, method: Method) -> Update {
        let of = attribute::contact(method);
        let update = self
            .touch()
            .increase(VERSION, 1_u64)
            .remove(of.value)
            .remove(of.since)
            .remove(of.verified)
            .remove(of.pending);
        match method {
            Method::Sms => update.remove(PHONE_COUNTRY),
            _ => update,
        }
    }

    /// Adds to an update what another contact ends, or none. It counts as a change, for which there
    /// was room when it was begun: whatever else changes the contact takes away what waits. What
    /// was mailed to another address opens nothing.
    fn end_contact(&self, update: Update, method: Method, now: Timestamp) -> Update {
        let changes = CHANGES.entered(self.changes(method), now);
        let update = update.set(attribute::contact(method).changes, changes);
        if method == Method::Email {
            link::end_all(update)
        } else {
            update
        }
    }

    /// The update that puts the contact that waits in its place, under the condition that its code
    /// is the one that waits.
    fn take_over(&self, method: Method, pending: &PendingContact, now: Timestamp) -> Update {
        let of = Attributes(method);
        self.place(method, pending, now)
            .increase(VERSION, 1_u64)
            .remove(of.whole())
            .remove(RESET_AT)
            .when(waits_for(method, pending))
            .when(of.id().is(pending.id.to_string()))
    }

    /// The update that makes the contact the user's, and verified.
    fn place(&self, method: Method, pending: &PendingContact, now: Timestamp) -> Update {
        let of = attribute::contact(method);
        let update = self
            .touch()
            .set(of.value, pending.contact.as_str())
            .set(of.verified, true);
        let update = match method {
            Method::Sms => update.set(PHONE_COUNTRY, pending.country.clone().unwrap_or_default()),
            _ => update,
        };
        if self.is_another(method, &pending.contact) {
            update.set(of.since, now)
        } else {
            update
        }
    }

    /// The user with another contact, or none, of `method`.
    fn with_contact(&self, method: Method, contact: Option<String>) -> Self {
        match method {
            Method::Sms => Self {
                phone: contact,
                ..self.clone()
            },
            _ => Self {
                email: contact,
                ..self.clone()
            },
        }
    }
}

/// That the code of `pending` is the one that waits ([`User::awaits_code_of`]).
fn waits_for(method: Method, pending: &PendingContact) -> Condition {
    Attributes(method)
        .code_digest()
        .is(pending.code.mac.digest.as_str())
}

/// Adds to an update of the user's item that `pending` waits, in the place of what does. Where it
/// goes on, the attempts are left as they stand: they are counted by a write of their own, which
/// moves no head. So what another takes the place of is named by its attempts too: it may be [put
/// back](take_back), and then has to have all of them.
fn wait(
    update: Update,
    method: Method,
    before: Option<&PendingContact>,
    pending: &PendingContact,
) -> Result<Update, Failure> {
    let of = Attributes(method);
    match before {
        Some(before) if before.id == pending.id => {
            let update = go_on(update, method, pending)?;
            Ok(update.when(of.attempts().has_fewer_than(ATTEMPTS_MAX)))
        }
        Some(before) => Ok(replace(update, method, pending)?
            .when(of.id().is(before.id.to_string()))
            .when(of.attempts().is(document(&before.attempts)?))),
        None => replace(update, method, pending),
    }
}

/// Adds to an update that `pending` waits, whatever did.
fn replace(update: Update, method: Method, pending: &PendingContact) -> Result<Update, Failure> {
    Ok(update.set(Attributes(method).whole(), document(pending)?))
}

/// Adds to an update what a code that is sent, or taken back, changes of what goes on to wait.
fn go_on(update: Update, method: Method, pending: &PendingContact) -> Result<Update, Failure> {
    let of = Attributes(method);
    Ok(update
        .set(of.code(), document(&pending.code)?)
        .set(of.superseded(), document(&pending.superseded)?)
        .set(of.sent(), document(&pending.sent)?)
        .set(of.sms(), pending.sms.clone())
        .set(of.begun_at(), pending.begun_at)
        .set(of.expires_at(), pending.expires_at)
        .when(of.id().is(pending.id.to_string())))
}

/// Adds to an update what takes `pending` back again: what waited before it waits again.
fn take_back(
    update: Update,
    method: Method,
    before: Option<&PendingContact>,
    pending: &PendingContact,
) -> Result<Update, Failure> {
    let update = update.when(waits_for(method, pending));
    match before {
        Some(before) if before.id == pending.id => go_on(update, method, before),
        Some(before) => replace(update, method, before),
        None => Ok(update.remove(Attributes(method).whole())),
    }
}
