//! The rules of sessions at the provider, and of what it answers.

use crate::kba_machine::books::Slot;
use crate::kba_machine::nouns::{Challenge, Expected, Method, Outcome, Session, no, ok};
use crate::kba_machine::reached;
use crate::kba_machine::reference::{DAY, Reference, SESSION, full, sender};

impl Reference {
    pub fn begin(&mut self, challenge: usize) -> Expected {
        let Challenge {
            of,
            expires_at,
            used,
            dropped,
        } = self.challenges[challenge];
        if let Some(shut) = self.shut(of) {
            return shut;
        }
        let over = expires_at <= self.now;
        match (dropped, used, over) {
            (true, _, _) | (false, false, true) => return no(410, "challenge-expired"),
            // What is over may have been removed.
            (false, true, true) => {
                return Expected {
                    status: 410,
                    slugs: vec!["challenge-used", "challenge-expired"],
                };
            }
            (false, true, false) => return no(410, "challenge-used"),
            (false, false, false) => {}
        }
        if self.asked(of) != Method::Kba {
            return no(403, "method-not-enabled");
        }
        if full(&self.recipient(of).sessions, self.now, 10, DAY) {
            return no(429, "too-many-sessions");
        }
        let (now, id) = (self.now, self.sessions.len());
        self.challenges[challenge].expires_at = now + SESSION;
        let recipient = self.recipient_mut(of);
        recipient.sessions.push(now);
        recipient.session = Some(id);
        let (number, viewing) = (
            u32::try_from(recipient.sessions.len()).unwrap(),
            recipient.status == "completed",
        );
        let session = Session {
            of,
            challenge,
            number,
            viewing,
            status: "pending",
            expires_at: now + SESSION,
            answered_at: None,
            removed: false,
        };
        self.sessions.push(session);
        ok(201)
    }

    pub fn attempts_left(&self, of: (u8, usize)) -> Option<u32> {
        self.agreements[&of.0]
            .max_attempts
            .map(|most| most.saturating_sub(self.recipient(of).attempts))
    }

    /// Where a session stands, apart from what became of its agreement.
    pub fn standing(&self, id: usize) -> &'static str {
        let session = &self.sessions[id];
        match session.status {
            "pending" if self.recipient(session.of).session != Some(id) => "superseded",
            "pending" if session.expires_at <= self.now => "expired",
            status => status,
        }
    }

    /// What is told of a session: where it stands, and whether the token is told with it.
    pub fn shown(&self, id: usize) -> (&'static str, bool) {
        let session = &self.sessions[id];
        // What ended, was locked or asks for something else by now lets nobody in, whatever was
        // passed before.
        let lets_in =
            self.shut(session.of).is_none() && self.recipient(session.of).method == Method::Kba;
        let status = match self.standing(id) {
            "pending" if !lets_in => "expired",
            status => status,
        };
        (
            status,
            lets_in
                && session.status == "passed"
                && session.answered_at.is_some_and(|at| self.now < at + 60),
        )
    }

    pub fn answer(&mut self, message: usize, id: usize, outcome: Outcome) -> Expected {
        if self.messages.contains_key(&message) {
            return ok(204);
        }
        // All is said of it.
        if self.sessions[id].removed {
            return ok(204);
        }
        self.messages.insert(message, self.now + 7 * DAY);
        if self.sessions[id].answered_at.is_some() {
            return ok(204);
        }
        let standing = self.standing(id);
        let is_latest = self.recipient(self.sessions[id].of).session == Some(id);
        let had_effect = self.carry_out(id, standing, outcome);
        reached(format!(
            "answer: {outcome:?} {}",
            if had_effect { "counts" } else { "idle" }
        ));
        if had_effect && standing != "pending" {
            reached(format!(
                "answer: {outcome:?} of a session that is {standing} counts"
            ));
        }
        let session = &mut self.sessions[id];
        session.answered_at = Some(self.now);
        // What counted is told by its name, though it came late: somebody had begun.
        session.status = match (is_latest, had_effect) {
            (false, _) => "superseded",
            (true, true) => outcome.name(),
            (true, false) => "expired",
        };
        ok(204)
    }

    /// Whether anything came of an answer.
    fn carry_out(&mut self, id: usize, standing: &'static str, outcome: Outcome) -> bool {
        let Session {
            of,
            number,
            viewing,
            challenge,
            ..
        } = self.sessions[id];
        let views = self.recipient(of).status == "completed";
        if self.shut(of).is_some()
            || (!views && !self.open(of.0))
            || self.recipient(of).method != Method::Kba
        {
            return false;
        }
        match outcome {
            Outcome::Failed | Outcome::TimedOut => {
                // A pass resets what was before it, whenever that is told.
                if number < self.recipient(of).passed || viewing != views {
                    return false;
                }
                self.fail(of);
            }
            _ if standing != "pending" => return false,
            Outcome::Passed => {
                self.consume(of);
                self.challenges[challenge].used = true;
                let recipient = self.recipient_mut(of);
                (recipient.attempts, recipient.passed) = (0, number);
                if !views {
                    recipient.status = "verified";
                }
            }
            Outcome::NotLocatable | Outcome::ProviderError => {}
        }
        true
    }

    fn consume(&mut self, of: (u8, usize)) {
        if std::mem::take(&mut self.recipient_mut(of).reserved) {
            self.recipient_mut(of).consumed = true;
            self.ledger.consume(self.about(of.0, Some(of.1)));
        }
    }

    fn fail(&mut self, of: (u8, usize)) {
        let views = self.recipient(of).status == "completed";
        self.consume(of);
        let recipient = self.recipient_mut(of);
        recipient.attempts += 1;
        let attempts = recipient.attempts;
        if self.agreements[&of.0]
            .max_attempts
            .is_none_or(|most| attempts < most)
        {
            // Who has not completed is not verified any more.
            if !views {
                let before = std::mem::replace(&mut self.recipient_mut(of).status, "pending");
                reached(format!("an attempt of one who was {before}"));
            }
            return;
        }
        reached(format!(
            "the last attempt of {}",
            if views { "a viewer" } else { "a signer" }
        ));
        if views {
            self.recipient_mut(of).locked = true;
        } else {
            self.recipient_mut(of).status = "failed";
            self.end(of.0, "cancelled");
            self.owe(
                Slot::Sender(of.0),
                sender(of.0),
                "Cancelled:",
                self.now + 30 * DAY,
            );
        }
    }
}
