//! One challenge, whoever it is put to: what it takes to be gone on with, and what an attempt
//! counts.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::{ATTEMPTS_MAX, Challenge, Refusal};
use crate::kernel::clock::Timestamp;
use crate::signin::code::Bound;
use crate::signin::user::known::Origin;
use crate::signin::user::{Factor, Method, factor};
use crate::store::dynamo::{Failure, Item, Key, Write, read};
use crate::store::rate_limit::Allowed;
use crate::web::http::Problem;

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
    fn guard_holder(&self, write: Write) -> Write {
        write
    }

    /// The challenge, if it can be gone on with.
    fn challenge<'a>(
        &self,
        holder: &'a Self::Holder,
        now: Timestamp,
    ) -> Result<&'a Challenge, Refusal> {
        let challenge = holder
            .challenges()
            .get(self.name())
            .filter(|_| !holder.is_ended())
            .ok_or(Refusal::Expired)?;
        if challenge.used_at.is_some() || holder.was_spent_elsewhere(challenge) {
            Err(Refusal::Used)
        } else if challenge.expires_at <= now {
            Err(Refusal::Expired)
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
    ) -> Result<&'a Challenge, Refusal> {
        let challenge = self.challenge(holder, now)?;
        if challenge.attempts_left() == 0 {
            return Err(Refusal::AttemptsSpent(challenge.expires_at));
        }
        match holder.factor(method).allowed(origin, now) {
            Allowed::Now => Ok(challenge),
            Allowed::From(moment) => Err(Refusal::FactorDelayed(moment)),
            Allowed::Never => Err(Refusal::FactorDisabled),
        }
    }

    /// Adds the conditions of [`Place::challenge`].
    fn guard(&self, write: Write, now: Timestamp) -> Write {
        let write = self.guard_holder(write);
        write
            .when(
                "attribute_exists(#challenges.#c) AND attribute_not_exists(#challenges.#c.#used_at) \
                 AND #challenges.#c.#expires_at > :alive_at",
            )
            .name("c", self.name())
            .value("alive_at", now)
    }

    /// Adds the conditions that what [`Place::trial`] judged by `holder` holds: of the challenge,
    /// its attempts, and the factor's count of the origin.
    fn guard_trial(
        &self,
        write: Write,
        holder: &Self::Holder,
        method: Method,
        origin: Origin,
        now: Timestamp,
    ) -> Write {
        let of_factor = holder.factor(method);
        let write = factor::unmoved(write.name("m", method.name()), &of_factor, origin);
        let write = write
            .when("size(#challenges.#c.#attempts) < :attempts_max")
            .value("attempts_max", ATTEMPTS_MAX);
        self.guard(write, now)
    }

    /// The write that counts an attempt before anything is compared: on the challenge and on the
    /// factor at once, and once however often the SDK repeats it.
    fn count_attempt(
        &self,
        method: Method,
        origin: Origin,
        attempt_id: &str,
        now: Timestamp,
    ) -> Write {
        let update = Write::update(self.key(), "")
            .and(", #challenges.#c.#attempts = list_append(#challenges.#c.#attempts, :attempts)")
            .when("size(#challenges.#c.#attempts) < :attempts_max AND NOT contains(#challenges.#c.#attempts, :attempt)")
            .name("m", method.name())
            .value("attempts", [attempt_id].as_slice())
            .value("attempt", attempt_id)
            .value("attempts_max", ATTEMPTS_MAX);
        self.guard(factor::count(update, origin, now), now)
    }

    /// The holder before the attempt `attempt_id` was counted, or why it was not. `counted` is what
    /// came of [`Place::count_attempt`].
    fn counted_on(
        &self,
        counted: Result<Item, Failure>,
        (method, origin): (Method, Origin),
        attempt_id: &str,
        now: Timestamp,
    ) -> Result<Self::Holder, Problem> {
        let failure = match counted {
            Ok(before) => return Ok(read(before)?),
            Err(failure) => failure,
        };
        let Some(stood) = failure.stood() else {
            return Err(failure.into());
        };
        if stood.is_empty() {
            return Err(Refusal::Unknown.problem(now));
        }
        let holder: Self::Holder = read(stood.clone())?;
        // The answer to the first request was lost, and the SDK repeated it: the attempt is counted
        // already.
        if let Some(before) = uncounted(&holder, self.name(), (method, origin), attempt_id) {
            return Ok(before);
        }
        match self.trial(&holder, method, origin, now) {
            Err(refusal) => Err(refusal.problem(now)),
            Ok(_) => Err(failure.into()),
        }
    }
}

/// The holder without the attempt, if it was counted.
fn uncounted<H: Holder>(
    holder: &H,
    challenge: &str,
    (method, origin): (Method, Origin),
    attempt_id: &str,
) -> Option<H> {
    let mut before = holder.clone();
    let (challenges, factors) = before.counts_mut();
    let attempts = &mut challenges.get_mut(challenge)?.attempts;
    let place = attempts.iter().position(|counted| counted == attempt_id)?;
    attempts.truncate(place);
    let factor = factors.get_mut(method.name())?;
    *factor = factor.clone().without_one(origin);
    Some(before)
}
