//! The claim of a send: what the rules say of it, the writes that make it, and those that take it back.

use shared::account::{Account, Settings};
use shared::audit::{Action, Actor, Event};
use shared::challenge::{Challenge, Refusal, Ticket};
use shared::clock::Timestamp;
use shared::code::{self, Draft, LiveCode, PER_DESTINATION, PER_SOURCE};
use shared::config::{Config, source_key};
use shared::dynamo::{Failure, Write, document, keys};
use shared::http::Call;
use shared::idempotency::IdempotencyKey;
use shared::send_budget::Budget;
use shared::throttle::{Limit, Window};
use shared::user::known::Origin;
use shared::user::{Method, User};

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
    /// The destination or the source address has had its share.
    TooMany(Timestamp, Limit),
    /// Too many texts of the account to this country went unanswered this hour.
    OutOfBudget,
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
    pub now: Timestamp,
}

impl Case {
    /// Whether a code may be sent, as far as what was read tells.
    pub fn decide(&self, config: &Config, sends_of_source: &[Timestamp]) -> Result<&Challenge, Denial> {
        let challenge = self.ticket.trial(&self.user, self.method, self.origin, self.now).map_err(Denial::Challenge)?;
        if !challenge.first.leads_on(&self.settings) {
            return Err(Denial::Challenge(Refusal::Expired));
        }
        if !self.user.can_use(self.method, self.settings.second_factor.methods) || !challenge.first.admits(self.method) {
            return Err(Denial::MethodNotEnabled);
        }
        let country = self.user.phone_country.as_ref();
        if self.method == Method::Sms && !country.is_some_and(|country| config.sms_countries.contains(country)) {
            return Err(Denial::DestinationNotAllowed);
        }
        if let Some(at) = code::resend_at(challenge, self.now) {
            return Err(Denial::TooSoon(at));
        }
        match PER_SOURCE.full_until(sends_of_source, self.now) {
            Some((until, limit)) => Err(Denial::TooMany(until, limit)),
            None => Ok(challenge),
        }
    }

    /// Where the code goes.
    pub fn destination(&self) -> &str {
        self.user.destination(self.method).unwrap_or_default()
    }

    /// Where the code goes, as it is shown.
    pub fn masked(&self) -> String {
        self.user.masked_destination(self.method).unwrap_or_default()
    }

    /// The budget that a text is taken from.
    fn budget(&self) -> Option<Budget<'_>> {
        let country = self.user.phone_country.as_deref().filter(|_| self.method == Method::Sms)?;
        Some(Budget { account: self.account.id, country })
    }

    /// Whether a claim failed because the budget is used up.
    pub fn is_out_of_budget(&self, failure: &Failure) -> bool {
        let Failure::Condition(reasons) = failure else { return false };
        self.budget().is_some() && reasons.last().is_some_and(Option::is_some)
    }

    fn challenge_before(&self) -> Option<&Challenge> {
        self.user.challenges.get(&self.ticket.name)
    }

    fn code_before(&self) -> Option<&LiveCode> {
        self.challenge_before()?.codes.get(self.method.name())
    }

    /// The update that puts the new code in the place of the one before.
    fn code_update(&self, draft: &Draft) -> Result<Write, Failure> {
        let sends = self.challenge_before().map_or(0, |challenge| challenge.sends);
        let texts = self.challenge_before().map(|challenge| challenge.texts_with(self.method, self.now)).unwrap_or_default();
        let update = self
            .user
            .touch()
            .and(", #challenges.#c.#codes.#m = :code, #challenges.#c.#sends = :sends, #challenges.#c.#sent_at = :now")
            .and(", #challenges.#c.#texts = :texts")
            .when("#challenges.#c.#sends = :sends_before")
            .name("m", self.method.name())
            .value("code", document(&draft.stored)?)
            .value("sends", sends + 1)
            .value("sends_before", sends)
            .value("texts", texts)
            .value("now", self.now);
        let update = match self.code_before() {
            Some(before) => update
                .and(", #challenges.#c.#superseded.#m = list_append(#challenges.#c.#superseded.#m, :superseded)")
                .value("superseded", document(&[&before.mac])?),
            None => update,
        };
        Ok(self.ticket.guard(update, self.now))
    }

    /// The writes of the claim, in the order of [`Place`].
    pub fn claim(
        &self,
        draft: &Draft,
        call: &Call,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let source = keys::source_sends(&source_key(call.source));
        let mut writes = vec![
            PER_DESTINATION.enter(keys::destination_sends(self.destination()), self.now, trims.destination.as_deref()),
            PER_SOURCE.enter(source, self.now, trims.source.as_deref()),
        ];
        let event = self.event(Action::CodeSent, call).with("reference", draft.stored.reference.as_str());
        writes.extend(self.user.change(self.code_update(draft)?, [event], self.now)?);
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?);
        }
        // The last, wherever that is.
        writes.extend(self.budget().map(|budget| budget.take(self.now)));
        Ok(writes)
    }

    /// The update that gives the send back: the cooldown and the counts.
    fn count_restoration(&self, user: &User, draft: &Draft) -> Write {
        let sends = self.challenge_before().map_or(0, |challenge| challenge.sends);
        let sent_at = self.challenge_before().map_or(Timestamp::default(), |challenge| challenge.sent_at);
        let texts = self.challenge_before().map(|challenge| challenge.texts.clone()).unwrap_or_default();
        user.touch()
            .and(", #challenges.#c.#sends = :sends, #challenges.#c.#sent_at = :sent_at, #challenges.#c.#texts = :texts")
            .when("#challenges.#c.#codes.#m.#mac.#h = :digest AND #challenges.#c.#sends = :claimed")
            .name("c", self.ticket.name.as_str())
            .name("m", self.method.name())
            .value("digest", draft.stored.mac.digest.as_str())
            .value("claimed", sends + 1)
            .value("sends", sends)
            .value("sent_at", sent_at)
            .value("texts", texts)
    }

    /// Adds to it that the code before is good again.
    fn code_restoration(&self, update: Write) -> Result<Write, Failure> {
        let Some(before) = self.code_before() else { return Ok(update.remove("#challenges.#c.#codes.#m")) };
        let superseded = self.challenge_before().and_then(|challenge| challenge.superseded.get(self.method.name()));
        let place = superseded.map_or(0, Vec::len);
        Ok(update
            .and(", #challenges.#c.#codes.#m = :before")
            .value("before", document(before)?)
            .remove(format!("#challenges.#c.#superseded.#m[{place}]")))
    }

    /// Whether the claim stands on the user's item.
    pub fn stands(&self, draft: &Draft, user: &User) -> bool {
        let challenge = user.challenges.get(&self.ticket.name);
        challenge.and_then(|challenge| challenge.codes.get(self.method.name())).is_some_and(|code| code.mac == draft.stored.mac)
    }

    /// The writes that take the claim back: `now` is what stands of it. Where the challenge has ended meanwhile, the counters and the
    /// key are given back all the same.
    pub fn undo(&self, draft: &Draft, call: &Call, now: &Standing, key: Option<&IdempotencyKey>) -> Result<Vec<Write>, Failure> {
        let event = self.event(Action::CodeNotSent, call).failed().with("reference", draft.stored.reference.as_str());
        let update = if self.stands(draft, &now.user) {
            self.code_restoration(self.count_restoration(&now.user, draft))?
        } else {
            now.user.touch()
        };
        let mut writes = now.user.change(update, [event], self.now)?;
        let destination = keys::destination_sends(self.destination());
        writes.extend(Window::withdraw(destination, self.now, &now.destination));
        writes.extend(Window::withdraw(keys::source_sends(&source_key(call.source)), self.now, &now.source));
        writes.extend(key.map(IdempotencyKey::free));
        // Who has signed in by another factor meanwhile was given back what the challenge had taken.
        let given_back = now.user.challenges.get(&self.ticket.name).is_some_and(|challenge| challenge.used_at.is_some());
        writes.extend(self.budget().filter(|_| !given_back).map(|budget| budget.give_back(self.now)));
        Ok(writes)
    }

    fn event(&self, action: Action, call: &Call) -> Event {
        let event = Event::new(action, Actor::User(self.user.id)).from(call.source);
        event.with("method", self.method.name()).with("destination", self.masked())
    }
}

/// Where the writes of a claim stand in its transaction.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Destination = 0,
    Source = 1,
    User = 2,
    /// Where the request carries a key; the budget's write otherwise.
    Idempotency = 4,
}

/// The logs that have to be trimmed before anything is entered.
#[derive(Debug, Default)]
pub struct Trims {
    pub destination: Option<Vec<Timestamp>>,
    pub source: Option<Vec<Timestamp>>,
}

/// What stands now of what a claim wrote.
pub struct Standing {
    pub user: User,
    pub destination: Vec<Timestamp>,
    pub source: Vec<Timestamp>,
}

/// What a log that refused its entry says: it is full, or it has to be trimmed first.
pub fn read_log(failure: &Failure, place: Place, window: &Window, now: Timestamp) -> Result<Option<Vec<Timestamp>>, Denial> {
    let Some(stood) = failure.stood_at(place as usize) else { return Ok(None) };
    let moments = Window::moments(stood);
    match window.full_until(&moments, now) {
        Some((until, limit)) => Err(Denial::TooMany(until, limit)),
        None => Ok(Some(moments)),
    }
}
