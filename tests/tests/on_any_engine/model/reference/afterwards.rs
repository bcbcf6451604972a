//! What comes after a sign-in: the token, what its holder does with it, and what administrators do.

use super::{Channel, Reference, Token};
use crate::model::rules::{Expected, FRESH, TOKEN};

impl Reference {
    /// A token is handed out, and its person known from now on where that is; `second` says whether
    /// a second factor of another kind was proved.
    pub fn signed(&mut self, who: usize, second: bool) {
        let generation = self.people[who].generation;
        self.tokens.push(Token {
            person: who,
            generation,
            proved_at: self.now,
            second,
        });
        self.people[who].known.insert(self.here);
    }

    /// A token is shown.
    pub fn me(&self, which: usize) -> Expected {
        let token = &self.tokens[which];
        let person = &self.people[token.person];
        if token.proved_at + TOKEN <= self.now {
            return Expected::refused(401, "unauthorized", "token: over");
        }
        match (
            person.disabled,
            token.generation == person.generation,
            person.spared == Some(which),
        ) {
            (false, true, _) => Expected::ok(200, "token: good"),
            (false, false, true) => Expected::ok(200, "token: spared"),
            _ => Expected::refused(401, "unauthorized", "token: ended"),
        }
    }

    pub fn holder(&self, token: usize) -> usize {
        self.tokens[token].person
    }

    /// A new password, with a token and the password before: it ends whatever else there is.
    pub fn new_password(&mut self, which: usize, right: bool) -> Expected {
        let shown = self.me(which);
        if shown.status != 200 {
            return shown;
        }
        let token = &self.tokens[which];
        if !token.second || self.now - token.proved_at > FRESH {
            return Expected::refused(403, "fresh-second-factor-required", "password: not fresh");
        }
        let (who, origin) = (token.person, self.origin(token.person));
        if self.failures[self.here].is_full(100, 300, self.now)
            || self.is_refused_unseen(who, origin).is_some()
        {
            return Expected::refused(
                429,
                "too-many-attempts",
                "password: the one before is refused",
            );
        }
        if !right {
            self.typed_wrong(who, origin);
            return Expected::refused(
                401,
                "invalid-credentials",
                "password: the one before is wrong",
            );
        }
        self.end_proofs(who);
        self.end_links(who);
        self.people[who].spared = Some(which);
        self.people[who].password += 1;
        self.people[who].wrong_passwords.clear();
        Expected::ok(200, "password: set")
    }

    pub(super) fn end_proofs(&mut self, who: usize) {
        self.people[who].generation += 1;
        self.people[who].spared = None;
        self.challenges
            .iter_mut()
            .filter(|challenge| challenge.person == who)
            .for_each(|challenge| challenge.ended = true);
    }

    fn end_links(&mut self, who: usize) {
        self.links
            .iter_mut()
            .filter(|link| link.person == who)
            .for_each(|link| link.ended = true);
    }

    /// An administrator lifts the delays.
    pub fn unlock(&mut self, who: usize) {
        self.people[who].wrong_passwords.clear();
        self.people[who].wrong_codes.clear();
    }

    /// An administrator disables somebody, or takes that back: what was open, or mailed, is over.
    pub fn disable(&mut self, who: usize, disabled: bool) {
        if disabled && !self.people[who].disabled {
            self.end_proofs(who);
            self.end_links(who);
        }
        self.people[who].disabled = disabled;
    }

    /// An administrator takes the app away. What was mailed is good: it is the way to another.
    pub fn reset(&mut self, who: usize) {
        self.end_proofs(who);
        let person = &mut self.people[who];
        (person.app, person.recovery_used, person.was_reset) = (None, None, true);
        person
            .wrong_codes
            .retain(|(channel, _), _| !matches!(channel, Channel::App | Channel::Recovery));
    }
}
