//! The claim of a send: what the rules say of it, the writes that make it, and those that take it
//! back.

use shared::account::{Account, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::config::Config;
use shared::signin::challenge::{Challenge, Place, Refusal, Ticket};
use shared::signin::code::counters::{Counters, Full, Standing, Trims};
use shared::signin::code::{Draft, LiveCode, PER_SOURCE, PER_USER};
use shared::signin::reserved::Asker;
use shared::signin::user::known::Origin;
use shared::signin::user::{Method, User};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Item, Write, document};
use shared::web::http::Call;
use shared::web::idempotency::IdempotencyKey;

/// Why a code is not sent. Nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The challenge can not be gone on with, or the factor is locked.
    Challenge(Refusal),
    /// The account has the method off, or the user has no address for it.
    MethodNotEnabled,
    /// The country is not on the deployment's list.
    DestinationNotAllowed,
    /// The challenge was sent a code a moment ago.
    TooSoon(Timestamp),
    /// The destination, the user or the source address has had its share, or the account's texts
    /// have.
    Full(Full),
}

/// What is known when a send is decided.
pub struct Case {
    pub ticket: Ticket,
    pub method: Method,
    pub account: Account,
    pub settings: Settings,
    pub user: User,
    /// From where it is asked for.
    pub origin: Origin,
    /// Who asks.
    pub asker: Asker,
    pub now: Timestamp,
}

impl Case {
    /// Whether a code may be sent, as far as what was read tells.
    pub fn decide(
        &self,
        config: &Config,
        sends_of_source: &[Timestamp],
    ) -> Result<&Challenge, Denial> {
        let challenge = self
            .ticket
            .trial(&self.user, self.method, self.origin, self.now)
            .map_err(Denial::Challenge)?;
        if !challenge.first.leads_on(&self.settings) {
            return Err(Denial::Challenge(Refusal::Expired));
        }
        if !self
            .user
            .can_use(self.method, self.settings.second_factor.methods)
            || !challenge.first.admits(self.method)
        {
            return Err(Denial::MethodNotEnabled);
        }
        let country = self.user.phone_country.as_ref();
        if self.method == Method::Sms
            && !country.is_some_and(|country| config.sms_countries.contains(country))
        {
            return Err(Denial::DestinationNotAllowed);
        }
        if let Some(at) = challenge.sent(self.method).resend_at(self.now) {
            return Err(Denial::TooSoon(at));
        }
        let full = PER_USER.full_until(&self.user.sends, self.asker, self.now);
        match full.or_else(|| PER_SOURCE.full_until(sends_of_source, self.now)) {
            Some((until, limit)) => Err(Denial::Full(Full::Until(until, limit))),
            None => Ok(challenge),
        }
    }

    /// Where the code goes.
    pub fn destination(&self) -> &str {
        self.user.destination(self.method).unwrap_or_default()
    }

    /// Where the code goes, as it is shown.
    pub fn masked(&self) -> String {
        self.user
            .masked_destination(self.method)
            .unwrap_or_default()
    }

    /// What the code counts in, beside the user's own item.
    pub fn counters(&self, call: &Call) -> Counters<'_> {
        let country = self
            .user
            .phone_country
            .as_deref()
            .filter(|_| self.method == Method::Sms);
        let standing = if self.user.is_verified(self.method) {
            Standing::Verified
        } else {
            Standing::Entered
        };
        Counters {
            account: self.account.id,
            destination: self.destination(),
            country,
            standing,
            asker: self.asker,
            source: call.client_ip,
            now: self.now,
        }
    }

    fn challenge_before(&self) -> Option<&Challenge> {
        self.user.challenges.get(&self.ticket.name)
    }

    fn code_before(&self) -> Option<&LiveCode> {
        self.challenge_before()?.codes.get(self.method.name())
    }

    /// The update that puts the new code in the place of the one before, and counts it for the
    /// challenge and for the user.
    fn code_update(&self, draft: &Draft) -> Result<Write, Failure> {
        let challenge = self.challenge_before();
        let sent = challenge
            .map(|challenge| challenge.sent(self.method))
            .unwrap_or_default()
            .and_now(self.now);
        let texts = challenge
            .map(|challenge| challenge.texts_with(self.method, self.now))
            .unwrap_or_default();
        let update = self
            .user
            .touch()
            .and(", #challenges.#c.#codes.#m = :code, #challenges.#c.#sent.#m = :sent, #challenges.#c.#texts = :texts")
            .name("m", self.method.name())
            .value("code", document(&draft.stored)?)
            .value("sent", document(&sent)?)
            .value("texts", texts);
        let update = self.user.count_sends(
            update,
            &PER_USER.entered(&self.user.sends, self.asker, self.now),
        )?;
        let update = match self.code_before() {
            Some(before) => update
                .and(", #challenges.#c.#superseded.#m = list_append(#challenges.#c.#superseded.#m, :superseded)")
                .value("superseded", document(&[&before.mac])?),
            None => update,
        };
        Ok(self
            .ticket
            .guard_trial(update, &self.user, self.method, self.origin, self.now))
    }

    /// The writes of the claim: the counters', the user's with its entry, and the record's of an
    /// idempotency key.
    pub fn claim(
        &self,
        draft: &Draft,
        call: &Call,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let mut writes = self.counters(call).enter(trims);
        let event = self
            .event(Action::CodeSent, call)
            .with("reference", draft.stored.reference.as_str());
        writes.extend(
            self.user
                .change(self.code_update(draft)?, [event], self.now)?,
        );
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?);
        }
        Ok(writes)
    }

    /// The update that gives the send back to the challenge: the wait and the count.
    fn count_restoration(&self, update: Write, draft: &Draft) -> Result<Write, Failure> {
        let texts = self
            .challenge_before()
            .map(|challenge| challenge.texts.clone())
            .unwrap_or_default();
        let update = update
            .and(", #challenges.#c.#texts = :texts")
            .when("#challenges.#c.#codes.#m.#mac.#h = :digest")
            .name("c", self.ticket.name.as_str())
            .name("m", self.method.name())
            .value("digest", draft.stored.mac.digest.as_str())
            .value("texts", texts);
        let before = self
            .challenge_before()
            .and_then(|challenge| challenge.sent.get(self.method.name()));
        Ok(match before {
            Some(sent) => update
                .and(", #challenges.#c.#sent.#m = :sent")
                .value("sent", document(sent)?),
            None => update.remove("#challenges.#c.#sent.#m"),
        })
    }

    /// Adds to it that the code before is good again.
    fn code_restoration(&self, update: Write) -> Result<Write, Failure> {
        let Some(before) = self.code_before() else {
            return Ok(update.remove("#challenges.#c.#codes.#m"));
        };
        let superseded = self
            .challenge_before()
            .and_then(|challenge| challenge.superseded.get(self.method.name()));
        let place = superseded.map_or(0, Vec::len);
        Ok(update
            .and(", #challenges.#c.#codes.#m = :before")
            .value("before", document(before)?)
            .remove(format!("#challenges.#c.#superseded.#m[{place}]")))
    }

    /// Whether the claim stands on the user's item.
    pub fn stands(&self, draft: &Draft, user: &User) -> bool {
        let challenge = user.challenges.get(&self.ticket.name);
        challenge
            .and_then(|challenge| challenge.codes.get(self.method.name()))
            .is_some_and(|code| code.mac == draft.stored.mac)
    }

    /// The writes that take the claim back: `now` is what stands of it. Where the challenge has
    /// ended meanwhile, the counters and the key are given back all the same.
    pub fn undo(
        &self,
        draft: &Draft,
        call: &Call,
        now: &Left,
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<Write>, Failure> {
        let event = self
            .event(Action::CodeNotSent, call)
            .failed()
            .with("reference", draft.stored.reference.as_str());
        let update = now.user.count_sends(
            now.user.touch(),
            &now.user.sends.without(self.asker, self.now),
        )?;
        let update = if self.stands(draft, &now.user) {
            self.code_restoration(self.count_restoration(update, draft)?)?
        } else {
            update
        };
        let mut writes = now.user.change(update, [event], self.now)?;
        // Who has completed the challenge by this method meanwhile was given back its texts with
        // that. Another factor gives back none.
        let used = now
            .user
            .challenges
            .get(&self.ticket.name)
            .is_some_and(|challenge| challenge.used_at.is_some());
        let typed = used
            && now
                .user
                .factor(self.method)
                .was_cleared_since(&self.user.factor(self.method));
        writes.extend(self.counters(call).withdraw(&now.logs, !typed));
        writes.extend(key.map(IdempotencyKey::free));
        Ok(writes)
    }

    fn event(&self, action: Action, call: &Call) -> Event {
        let event = Event::new(action, Actor::User(self.user.id)).from(call.client_ip);
        event
            .with("method", self.method.name())
            .with("destination", self.masked())
    }
}

/// What is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// A claim whose message was not taken.
    Claimed,
    /// A claim of which we do not know whether it was made.
    IfClaimed,
}

/// What stands now of what a claim wrote.
pub struct Left {
    pub user: User,
    /// The counters' logs.
    pub logs: Vec<Option<Item>>,
}
