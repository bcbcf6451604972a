//! The claim of a code for a new contact: what the rules say of it, the writes that make it, and
//! those that take it back.

use shared::kernel::clock::Timestamp;
use shared::kernel::contact;
use shared::signin::code::counters::{ContactStatus, Counters, Full, Trims};
use shared::signin::code::{self, PER_CLIENT_IP, PER_USER};
use shared::signin::refusals::resend_too_soon;
use shared::signin::reserved::Requester;
use shared::signin::user::pending::{ClaimedContact, PendingContact};
use shared::signin::user::{Method, User};
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, Item, Write};
use shared::web::http::{Call, Problem, Slug};
use shared::web::idempotency::IdempotencyKey;

use super::Response;
use crate::who::Who;

/// What is known when a send is decided.
pub struct ContactCase<'a> {
    pub who: Who,
    pub wish: &'a ClaimedContact,
    pub call: &'a Call,
    pub requester: Requester,
}

impl ContactCase<'_> {
    /// Whether a code may be sent, as far as what was read tells.
    pub fn decide(
        &self,
        countries: &[String],
        sends_of_source: &[Timestamp],
    ) -> Result<(), Problem> {
        let (Who { user, now, .. }, method) = (&self.who, self.wish.method);
        self.who.may_enrol(method, *now)?;
        if !self
            .wish
            .country
            .as_ref()
            .is_none_or(|country| countries.contains(country))
        {
            return Err(Problem::new(Slug::DestinationNotAllowed));
        }
        if self.is_another() {
            self.who.may_change_contact(method)?;
        }
        let may = user.may_prove(method, &self.wish.contact, self.requester.origin(), *now);
        may.map_err(|refusal| refusal.problem(*now))?;
        if let Some(at) = self.before().and_then(|before| before.sent.resend_at(*now)) {
            return Err(resend_too_soon(at, *now));
        }
        let full = PER_USER.full_until(&user.sends, self.requester, *now);
        match full.or_else(|| PER_CLIENT_IP.full_until(sends_of_source, *now)) {
            Some((until, limit)) => Err(Full::Until(until, limit).problem(*now)),
            None => Ok(()),
        }
    }

    fn is_another(&self) -> bool {
        let ClaimedContact {
            method, contact, ..
        } = self.wish;
        self.who.user.is_another(*method, contact)
    }

    /// How sure it is that the contact is the user's. One's own is what it is at a sign-in.
    fn standing(&self) -> ContactStatus {
        match (
            self.is_another(),
            self.who.user.is_verified(self.wish.method),
        ) {
            (true, _) => ContactStatus::Pending,
            (false, true) => ContactStatus::Verified,
            (false, false) => ContactStatus::Entered,
        }
    }

    /// What the code counts in, beside the user's own item.
    pub fn counters(&self) -> Counters<'_> {
        Counters {
            account: self.who.account.id,
            destination: &self.wish.contact,
            country: self.wish.country.as_deref(),
            standing: self.standing(),
            requester: self.requester,
            client_ip: self.call.client_ip,
            now: self.who.now,
        }
    }

    /// What is answered once the code is sent.
    pub fn answer(&self, pending: &PendingContact) -> Response {
        Response {
            factor: pending.id,
            destination: self.masked(),
            reference: pending.code.reference.clone(),
            expires_in: code::LIFETIME.as_secs(),
            resend_in: pending.sent.cooldown().as_secs(),
            code_length: code::length(self.wish.method),
        }
    }

    /// The writes of the claim: the counters', the user's with its entry, and the record's of an
    /// idempotency key.
    pub fn claim(
        &self,
        pending: &PendingContact,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let (Who { user, now, .. }, method) = (&self.who, self.wish.method);
        let update = user.begin_contact(method, pending, self.requester, *now)?;
        let update = self.who.guard(update);
        let mut writes = self.counters().enter(trims);
        writes.extend(user.change(update, [self.event(Action::EnrolmentBegun, pending)], *now)?);
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, *now)?.into());
        }
        Ok(writes)
    }

    /// The writes that take the claim back, over the user and the counters' logs as they stand:
    /// what waited before waits again. Where the enrolment has ended meanwhile, the counters and
    /// the key are given back all the same.
    pub fn undo(
        &self,
        pending: &PendingContact,
        (user, logs): (&User, &[Option<Item>]),
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<Write>, Failure> {
        let (method, now) = (self.wish.method, self.who.now);
        let taken_back = (self.before(), pending);
        let update = user.take_back_contact(method, taken_back, self.requester, now)?;
        let event = self.event(Action::CodeNotSent, pending).failed();
        let mut writes = user.change(update, [event], now)?;
        // Whoever has typed the code meanwhile was given back its text with that. That the contact
        // is the user's and verified says nothing of it: it may have been so before.
        let typed = !self.stands(pending, user)
            && user
                .factor(method)
                .was_cleared_since(&self.who.user.factor(method));
        writes.extend(self.counters().withdraw(logs, !typed));
        writes.extend(key.map(|key| key.free().into()));
        Ok(writes)
    }

    /// Whether the claim stands on the user's item.
    pub fn stands(&self, pending: &PendingContact, user: &User) -> bool {
        user.awaits_code_of(self.wish.method, pending, self.who.now)
    }

    /// What waited before it.
    fn before(&self) -> Option<&PendingContact> {
        self.who.user.pending(self.wish.method, self.who.now)
    }

    fn masked(&self) -> String {
        match self.wish.method {
            Method::Sms => contact::mask_phone(&self.wish.contact),
            _ => contact::mask_email(&self.wish.contact),
        }
    }

    fn event(&self, action: Action, pending: &PendingContact) -> Event {
        let event = self
            .who
            .event(action, self.call)
            .with("method", self.wish.method.name());
        let event = event
            .with("factor", pending.id.to_string())
            .with("destination", self.masked());
        event.with("reference", pending.code.reference.as_str())
    }
}
