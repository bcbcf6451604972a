//! An attempt that was counted: what it brought on, and how the count is taken back where nothing
//! was guessed.

use std::collections::BTreeMap;

use shared::signin::challenge::Challenge;
use shared::signin::user::known::Origin;
use shared::signin::user::{FACTOR_BACKOFF, Factor, Method, factor};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::Write;

/// One count: on the challenge, by the attempt's id, and on the factor.
pub(crate) struct Count<'a> {
    /// The challenge's name.
    challenge: &'a str,
    method: Method,
    origin: Origin,
    /// The attempt's.
    id: &'a str,
    /// The attempts at the challenge before it.
    attempts: usize,
    /// The factor before it.
    factor: Factor,
}

impl<'a> Count<'a> {
    /// The count of the attempt `id`, of this origin, at the one called `challenge` of these, which
    /// are as they stood before it, as the factor is.
    pub fn new(
        (challenge, challenges): (&'a str, &BTreeMap<String, Challenge>),
        (method, factor): (Method, Factor),
        (id, origin): (&'a str, Origin),
    ) -> Self {
        let attempts = challenges
            .get(challenge)
            .map_or(0, |challenge| challenge.attempts.len());
        Self {
            challenge,
            method,
            origin,
            id,
            attempts,
            factor,
        }
    }

    /// Takes the count on the factor out of an update's item, if no success has cleared it since.
    pub fn uncount_factor(&self, update: Write) -> Write {
        factor::uncount(update, &self.factor, self.origin).name("m", self.method.name())
    }

    /// Takes back an attempt that compared nothing: on the challenge and on the factor, in
    /// `update`'s item. Where that fails the count stands, which errs on the safe side.
    pub async fn take_back(&self, app: &App, update: Write) {
        let path = format!("#challenges.#c.#attempts[{}]", self.attempts);
        let update = self
            .uncount_factor(update)
            .remove(path.as_str())
            .when(format!("{path} = :attempt"))
            .name("c", self.challenge)
            .value("attempt", self.id);
        if app
            .table
            .update_with_retries(update, &app.entropy)
            .await
            .is_err()
        {
            tracing::info!(
                challenge.method = self.method.name(),
                "an attempt that compared nothing stays counted"
            );
        }
    }

    /// The entry of the delay or the end that this attempt, which failed, brought on.
    pub fn lockout(&self) -> Option<Event> {
        let failures = self.factor.count(self.origin).failures + 1;
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
            Some(
                event(Action::FactorDelayed)
                    .with("delay", FACTOR_BACKOFF.delay(failures).as_secs()),
            )
        }
    }
}
