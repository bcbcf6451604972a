//! The claim of a send to a user: what the rules say of it, the writes that make it, and those that
//! take it back.

use std::net::IpAddr;

use super::counters::{ContactStatus, Counters, Full, Trims};
use super::{Draft, PER_USER, SendRefusal, allow_client_ip, allow_country};
use crate::account::{Account, Settings};
use crate::kernel::clock::Timestamp;
use crate::signin::challenge::{Challenge, ChallengeRefusal, CodeSend, Ticket};
use crate::signin::reserved::Requester;
use crate::signin::user::known::Origin;
use crate::signin::user::{Method, User};
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Item, Update, Write};
use crate::web::idempotency::IdempotencyKey;

/// What is known when a send is decided.
#[derive(Debug)]
pub struct CodeSendCase {
    /// The challenge that it is for.
    pub ticket: Ticket,
    /// How the code is to be sent.
    pub method: Method,
    /// The account.
    pub account: Account,
    /// The settings that are in force for the user.
    pub settings: Settings,
    /// The user.
    pub user: User,
    /// From what kind of address it is asked for.
    pub origin: Origin,
    /// Who asks.
    pub requester: Requester,
    /// From which address.
    pub client_ip: IpAddr,
    /// When.
    pub now: Timestamp,
}

impl CodeSendCase {
    /// Whether a code may be sent, as far as what was read tells: `countries` are those that SMS
    /// go to, `sends` when the client IP was sent codes recently.
    pub fn decide(&self, countries: &[String], sends: &[Timestamp]) -> Result<(), SendRefusal> {
        let challenge = self.send().trial()?;
        if !challenge.primary.leads_on(&self.settings) {
            return Err(SendRefusal::Challenge(ChallengeRefusal::Expired));
        }
        if !self.is_enabled(challenge) {
            return Err(SendRefusal::MethodNotEnabled);
        }
        if self.method == Method::Sms {
            allow_country(self.user.phone_country.as_ref(), countries)?;
        }
        self.send().is_due()?;
        match PER_USER.full_until(&self.user.sends, self.requester, self.now) {
            Some((until, limit)) => Err(SendRefusal::Full(Full::Until(until, limit))),
            None => allow_client_ip(sends, self.now),
        }
    }

    fn is_enabled(&self, challenge: &Challenge) -> bool {
        let methods = self.settings.second_factor.methods;
        self.user.can_use(self.method, methods) && challenge.primary.admits(self.method)
    }

    /// The send, on the challenge.
    pub const fn send(&self) -> CodeSend<'_, Ticket> {
        CodeSend {
            place: &self.ticket,
            holder: &self.user,
            method: self.method,
            origin: self.origin,
            now: self.now,
        }
    }

    /// Where the code goes.
    pub fn destination(&self) -> &str {
        self.user.destination(self.method).unwrap_or_default()
    }

    /// Where the code goes, as it is shown.
    pub fn masked(&self) -> String {
        let masked = self.user.masked_destination(self.method);
        masked.unwrap_or_default()
    }

    /// What the code counts in, beside the user's own item.
    pub fn counters(&self) -> Counters<'_> {
        let country = self.user.phone_country.as_deref();
        let standing = if self.user.is_verified(self.method) {
            ContactStatus::Verified
        } else {
            ContactStatus::Entered
        };
        Counters {
            account: self.account.id,
            destination: self.destination(),
            country: country.filter(|_| self.method == Method::Sms),
            standing,
            requester: self.requester,
            client_ip: self.client_ip,
            now: self.now,
        }
    }

    /// The writes of the claim: the counters', the user's with its entry, and the record's of an
    /// idempotency key.
    pub fn claim(
        &self,
        draft: &Draft,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let mut writes = self.counters().enter(trims);
        let (update, event) = (self.entry(draft)?, self.event(Action::CodeSent, draft));
        writes.extend(self.user.change(update, [event], self.now)?);
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?.into());
        }
        Ok(writes)
    }

    /// The update that enters the code, for the challenge and for the user. That the user's own
    /// sends stand as they were judged, the head of the user's chain says.
    fn entry(&self, draft: &Draft) -> Result<Update, Failure> {
        let sends = PER_USER.entered(&self.user.sends, self.requester, self.now);
        let update = self.user.count_sends(self.user.touch(), &sends)?;
        self.send().enter(update, draft)
    }

    /// The writes that take the claim back, over the user and the counters' logs as they stand.
    /// Where the challenge has ended meanwhile, the counters and the key are given back all the
    /// same.
    pub fn undo(
        &self,
        draft: &Draft,
        (user, logs): (&User, &[Option<Item>]),
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<Write>, Failure> {
        let sends = user.sends.without(self.requester, self.now);
        let update = user.count_sends(user.touch(), &sends)?;
        let update = if self.send().stands(draft, user) {
            self.send().take_back(update, draft)?
        } else {
            update
        };
        let event = self.event(Action::CodeNotSent, draft).failed();
        let mut writes = user.change(update, [event], self.now)?;
        let gives_back = !self.send().was_typed(user);
        writes.extend(self.counters().withdraw(logs, gives_back));
        writes.extend(key.map(|key| key.free().into()));
        Ok(writes)
    }

    fn event(&self, action: Action, draft: &Draft) -> Event {
        Event::new(action, Actor::User(self.user.id))
            .from(self.client_ip)
            .with("method", self.method.name())
            .with("destination", self.masked())
            .with("reference", draft.stored.reference.as_str())
    }
}
