//! A phone that is set up: with a challenge, as the first factor, or with a token, in the place of
//! another.

use super::{Channel, Reference};
use crate::model::rules::{Expected, FRESH};

/// How often a day a user changes the own phone.
const CHANGES: u32 = 3;

impl Reference {
    /// A phone that is set up with a challenge, and confirmed by the code that was sent there.
    pub fn enrol_phone(&mut self, which: usize) -> Expected {
        if let Some(refusal) = self.over(which) {
            return refusal;
        }
        let who = self.challenges[which].person;
        if !self.methods_of(who).sms {
            return Expected::refused(403, "method-not-enabled", "enrol: method off");
        }
        if !self.challenges[which].enrols || !self.may_enrol(who, Channel::Sms, true) {
            return Expected::refused(
                403,
                "fresh-second-factor-required",
                "enrol: not who has a factor",
            );
        }
        if let Some(refusal) = self.refusal_of_phone(who) {
            return refusal;
        }
        self.proved(who);
        self.complete(which);
        Expected::ok(202, "enrol: phone set up")
    }

    /// Another phone, with a token: it ends what was proved with the one before, if there was one.
    pub fn new_phone(&mut self, which: usize) -> Expected {
        let shown = self.me(which);
        if shown.status != 200 {
            return shown;
        }
        let (who, token) = (self.holder(which), &self.tokens[which]);
        if !token.second || self.now - token.proved_at > FRESH {
            return Expected::refused(403, "fresh-second-factor-required", "phone: not fresh");
        }
        if let Some(refusal) = self.refusal_of_phone(who) {
            return refusal;
        }
        if self.people[who].has_phone {
            self.end_proofs(who);
            self.people[who].spared = Some(which);
        }
        self.proved(who);
        let person = &mut self.people[who];
        (person.had_factor, person.was_reset) = (true, false);
        Expected::ok(202, "phone: changed")
    }

    /// Why no code is sent to another phone of somebody.
    fn refusal_of_phone(&mut self, who: usize) -> Option<Expected> {
        if self.people[who].phone_changes >= CHANGES {
            return Some(Expected::refused(
                429,
                "too-many-changes",
                "phone: three times a day",
            ));
        }
        if let Some(refusal) = self.refusal_of_counts(who) {
            return Some(refusal);
        }
        (*self.budget.left(self.now) < 1)
            .then(|| Expected::refused(429, "too-many-sends", "send: budget"))
    }

    /// The code was sent, and typed: another number, with a window and a count of its own.
    fn proved(&mut self, who: usize) {
        let (requester, now) = (self.requester(who), self.now);
        self.sends[self.here].add(now);
        *self.budget.left(now) -= 1;
        self.budget.complete(&[now], now);
        let person = &mut self.people[who];
        person.codes.add(requester, now);
        person.codes_to.remove(&Channel::Sms);
        person
            .wrong_codes
            .retain(|(channel, _), _| *channel != Channel::Sms);
        person.phone_changes += 1;
        person.has_phone = true;
    }
}
