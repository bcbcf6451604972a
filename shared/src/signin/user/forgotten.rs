//! A new password after a forgotten one: who may set it, with the challenge that a mailed link has
//! opened, and the writes that set it.

use std::collections::BTreeMap;

use super::attribute::{PASSWORD_VERSION, VERSION};
use super::{User, attempts, credential};
use crate::kernel::clock::Timestamp;
use crate::signin::challenge::attribute::CHALLENGES;
use crate::signin::challenge::{Challenge, Stage, Ticket};
use crate::signin::link;
use crate::store::audit::Event;
use crate::store::dynamo::{Failure, Write, document};

/// Why no new password may be set with a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantRefusal {
    /// Its time is over, or its user was disabled.
    Expired,
    /// It was completed, and was for something else.
    Used,
    /// Its second factor has not been proved yet.
    Unproved,
}

impl User {
    /// The challenge that was shown, if a new password may be set with it now.
    pub fn password_grant(
        &self,
        ticket: &Ticket,
        now: Timestamp,
    ) -> Result<&Challenge, GrantRefusal> {
        let challenge = self.challenges.get(&ticket.name);
        let challenge = challenge.filter(|_| !self.disabled);
        let challenge = challenge.ok_or(GrantRefusal::Expired)?;
        match challenge.stage {
            Stage::SetsPassword { until, .. } if until > now => Ok(challenge),
            Stage::SetsPassword { .. } => Err(GrantRefusal::Expired),
            Stage::Completed { .. } => Err(GrantRefusal::Used),
            Stage::Open if challenge.expires_at <= now => Err(GrantRefusal::Expired),
            Stage::Open => Err(GrantRefusal::Unproved),
        }
    }

    /// The writes that set the password which `hash` is of, with the challenge that was shown: they
    /// end everything that was begun with the old one, and the wrong ones in a row.
    ///
    /// The condition of the first repeats [`User::password_grant`]; the credential is written under
    /// the condition that it is the user's, and has a password.
    pub fn set_forgotten_password(
        &self,
        (ticket, challenge): (&Ticket, &Challenge),
        hash: &str,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let version = self.password_version + 1;
        let update = self
            .touch()
            .set(CHALLENGES, document(&self.of_same_link(challenge))?)
            .set(VERSION, self.version + 1)
            .set(PASSWORD_VERSION, version)
            .when(ticket.grants_password(now))
            .when(Self::is_enabled());
        let update = link::end_all(self.end_tokens(update));
        let mut writes = self.change(update, [event], now)?;
        let own = credential::update(self).when(credential::has_password());
        writes.push(credential::set_password(own, Some(hash), version).into());
        writes.extend(attempts::end_all(self.account, &self.username).map(Write::from));
        Ok(writes)
    }

    /// The challenges of the link that opened this one. They are kept with it: they lead nowhere,
    /// and are told why.
    fn of_same_link(&self, challenge: &Challenge) -> BTreeMap<&str, Challenge> {
        let link = |challenge: &Challenge| challenge.primary.link().map(|link| link.name.clone());
        let own = link(challenge);
        let spent = |other: &Challenge| Challenge {
            stage: other.stage.after_password(),
            ..other.clone()
        };
        let kept = self
            .challenges
            .iter()
            .filter(|(_, other)| link(other) == own);
        kept.map(|(name, other)| (name.as_str(), spent(other)))
            .collect()
    }
}
