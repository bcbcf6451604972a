//! One challenge, whoever it is put to: what it takes to be gone on with, and what is written of it
//! as a whole.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::attribute::Attributes;
use super::{ATTEMPTS_MAX, Challenge, ChallengeRefusal, Stage};
use crate::kernel::clock::Timestamp;
use crate::signin::code::Bound;
use crate::signin::user::known::Origin;
use crate::signin::user::{Factor, Method};
use crate::store::dynamo::{Condition, Failure, Key, Update, document};
use crate::store::rate_limit::Allowed;

/// How many challenges that are over are removed with the opening of a new one; the clean-up takes
/// the rest.
const PRUNED_AT_ONCE: usize = 20;

/// Whom a challenge is put to: a user, or a recipient of an agreement.
pub trait Holder: Clone + DeserializeOwned {
    /// The challenges on the item, by name.
    fn challenges(&self) -> &BTreeMap<String, Challenge>;

    /// What is counted of a factor.
    fn factor(&self, method: Method) -> Factor;

    /// Both, to be changed.
    fn counts_mut(
        &mut self,
    ) -> (
        &mut BTreeMap<String, Challenge>,
        &mut BTreeMap<String, Factor>,
    );

    /// Whether nothing of theirs can be gone on with.
    fn is_ended(&self) -> bool {
        false
    }

    /// Whether what opened the challenge was spent by another.
    fn was_spent_elsewhere(&self, _: &Challenge) -> bool {
        false
    }
}

/// Where a challenge stands: its holder's item, and its name there.
pub trait Place: Bound {
    /// Whose item it is.
    type Holder: Holder;

    /// The holder's item.
    fn key(&self) -> Key;

    /// Adds the condition that the holder has not ended.
    fn guard_holder(&self, update: Update) -> Update {
        update
    }

    /// The challenge, if it can be gone on with.
    fn challenge<'a>(
        &self,
        holder: &'a Self::Holder,
        now: Timestamp,
    ) -> Result<&'a Challenge, ChallengeRefusal> {
        let challenge = holder
            .challenges()
            .get(self.name())
            .filter(|_| !holder.is_ended())
            .ok_or(ChallengeRefusal::Expired)?;
        if !challenge.stage.is_open() || holder.was_spent_elsewhere(challenge) {
            Err(ChallengeRefusal::Used)
        } else if challenge.expires_at <= now {
            Err(ChallengeRefusal::Expired)
        } else {
            Ok(challenge)
        }
    }

    /// The same, if an attempt of this origin may be made, or a code be sent to it, for `method`.
    fn trial<'a>(
        &self,
        holder: &'a Self::Holder,
        method: Method,
        origin: Origin,
        now: Timestamp,
    ) -> Result<&'a Challenge, ChallengeRefusal> {
        let challenge = self.challenge(holder, now)?;
        if challenge.attempts_left() == 0 {
            return Err(ChallengeRefusal::AttemptsSpent(challenge.expires_at));
        }
        match holder.factor(method).allowed(origin, now) {
            Allowed::Now => Ok(challenge),
            Allowed::From(moment) => Err(ChallengeRefusal::FactorDelayed(moment)),
            Allowed::Never => Err(ChallengeRefusal::FactorDisabled),
        }
    }

    /// Adds the conditions of [`Place::challenge`].
    fn guard(&self, update: Update, now: Timestamp) -> Update {
        let own = Attributes(self.name());
        self.guard_holder(update)
            .when(own.whole().exists())
            .when(own.stage().is_absent())
            .when(own.expires_at().is_above(now))
    }

    /// That the challenge has an attempt left, as [`Place::trial`] judges it.
    fn has_attempt(&self) -> Condition {
        Attributes(self.name())
            .attempts()
            .has_fewer_than(ATTEMPTS_MAX)
    }

    /// Adds to an update of the holder's item that `challenge` stands here, and that some of the
    /// holder's that are over no longer do. One that is live makes no room for another.
    fn open(
        &self,
        update: Update,
        holder: &Self::Holder,
        challenge: &Challenge,
        now: Timestamp,
    ) -> Result<Update, Failure> {
        let update = update.set(Attributes(self.name()).whole(), document(challenge)?);
        let over = holder
            .challenges()
            .iter()
            .filter(|(_, challenge)| challenge.expires_at <= now)
            .take(PRUNED_AT_ONCE);
        Ok(over.fold(update, |update, (name, _)| {
            update.remove(Attributes(name).whole())
        }))
    }

    /// Adds to an update of the holder's item that the challenge is completed, and what it is good
    /// for from then on. The condition that it can be is [`Place::guard`]'s.
    fn complete(&self, update: Update, stage: Stage) -> Result<Update, Failure> {
        Ok(update.set(Attributes(self.name()).stage(), document(&stage)?))
    }

    /// Adds to an update of the holder's item that the challenge ends at `until`.
    fn keep_until(&self, update: Update, until: Timestamp) -> Update {
        update.set(Attributes(self.name()).expires_at(), until)
    }
}

/// Adds to an update of the holder's item that the challenge of that name is completed, under the
/// condition that it is still there, however it stands.
pub fn complete_named(update: Update, name: &str, now: Timestamp) -> Result<Update, Failure> {
    let own = Attributes(name);
    let stage = document(&Stage::Completed { at: now })?;
    Ok(update.set(own.stage(), stage).when(own.whole().exists()))
}
