//! An attempt at a challenge: it is counted before anything is compared, on the challenge and on
//! the factor at once, and taken back where nothing was guessed.

use super::attribute::Attributes;
use super::{ChallengeRefusal, Holder, Place};
use crate::kernel::clock::Timestamp;
use crate::signin::user::known::Origin;
use crate::signin::user::{FACTOR_BACKOFF, Method, factor};
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Item, Update, read};
use crate::web::http::Problem;

/// One attempt.
#[derive(Debug)]
pub struct Attempt<'a, P: Place> {
    /// At which challenge.
    pub place: &'a P,
    /// With which factor.
    pub method: Method,
    /// From what kind of address.
    pub origin: Origin,
    /// What it is called by: one that the SDK repeats counts once.
    pub id: &'a str,
    /// When.
    pub now: Timestamp,
}

impl<P: Place> Attempt<'_, P> {
    /// The update that counts it: on the challenge and on the factor at once, and once however
    /// often the SDK repeats it. Its conditions are those of [`Place::trial`].
    pub fn count(&self) -> Update {
        let attempts = || Attributes(self.place.name()).attempts();
        let update = Update::of(self.place.key())
            .append(attempts(), vec![self.id])
            .when(self.place.has_attempt())
            .when(!attempts().contains(self.id));
        let update = factor::count(update, self.method, self.origin, self.now);
        self.place.guard(update, self.now)
    }

    /// The holder before the attempt was counted, or why it was not. `counted` is what came of
    /// [`Attempt::count`].
    pub fn counted_on(&self, counted: Result<Item, Failure>) -> Result<P::Holder, Problem> {
        let failure = match counted {
            Ok(before) => return Ok(read(before)?),
            Err(failure) => failure,
        };
        let Some(stood) = failure.stood() else {
            return Err(failure.into());
        };
        if stood.is_empty() {
            return Err(ChallengeRefusal::Unknown.problem(self.now));
        }
        let holder: P::Holder = read(stood.clone())?;
        // The answer to the first request was lost, and the SDK repeated it: the attempt is counted
        // already.
        if let Some(before) = self.uncounted(&holder) {
            return Ok(before);
        }
        let trial = self
            .place
            .trial(&holder, self.method, self.origin, self.now);
        match trial {
            Err(refusal) => Err(refusal.problem(self.now)),
            Ok(_) => Err(failure.into()),
        }
    }

    /// The holder without the attempt, if it was counted.
    fn uncounted(&self, holder: &P::Holder) -> Option<P::Holder> {
        let mut before = holder.clone();
        let (challenges, factors) = before.counts_mut();
        let attempts = &mut challenges.get_mut(self.place.name())?.attempts;
        let place = attempts.iter().position(|counted| counted == self.id)?;
        attempts.truncate(place);
        let factor = factors.get_mut(self.method.name())?;
        *factor = factor.clone().without_one(self.origin);
        Some(before)
    }

    /// Adds to an update of the holder's item that the count on the factor is taken back, if
    /// nothing has cleared it since. `before` is the holder before the attempt was counted.
    #[must_use]
    pub fn uncount(&self, update: Update, before: &P::Holder) -> Update {
        let factor = before.factor(self.method);
        factor::uncount(update, self.method, &factor, self.origin)
    }

    /// The update that takes back the count on the factor alone.
    pub fn uncounting(&self, before: &P::Holder) -> Update {
        self.uncount(Update::of(self.place.key()), before)
    }

    /// The update that takes back an attempt which compared nothing: on the challenge, under the
    /// condition that it stands there where it was counted, and on the factor.
    pub fn take_back(&self, before: &P::Holder) -> Update {
        let challenge = before.challenges().get(self.place.name());
        let place = challenge.map_or(0, |challenge| challenge.attempts.len());
        let own = || Attributes(self.place.name()).attempts().element(place);
        self.uncounting(before)
            .remove(own())
            .when(own().is(self.id))
    }

    /// The entry of the delay or the end that this attempt, which failed, brought on.
    pub fn lockout(&self, before: &P::Holder) -> Option<Event> {
        let failures = before.factor(self.method).count(self.origin).failures + 1;
        let event = |action| {
            Event::new(action, Actor::System)
                .with("method", self.method.name())
                .with("failures", failures)
        };
        if failures < FACTOR_BACKOFF.free {
            None
        } else if FACTOR_BACKOFF.disabled_at.is_some_and(|at| failures >= at) {
            Some(event(Action::FactorDisabled))
        } else {
            let delay = FACTOR_BACKOFF.delay(failures).as_secs();
            Some(event(Action::FactorDelayed).with("delay", delay))
        }
    }
}
