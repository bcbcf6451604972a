//! A try that was counted: what it brought on, and how the count is taken back where nothing was guessed.

use std::collections::BTreeMap;

use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::challenge::Challenge;
use shared::dynamo::Write;
use shared::user::{FACTOR_BACKOFF, Factor, Method};

/// One count: on the challenge, by the try's id, and on the factor.
pub(crate) struct Count<'a> {
    /// The challenge's name.
    challenge: &'a str,
    method: Method,
    /// The try's.
    id: &'a str,
    /// The tries at the challenge before it.
    tries: usize,
    /// The factor before it.
    factor: Factor,
}

impl<'a> Count<'a> {
    /// The count of the try `id` at the one called `challenge` of these, which are as they stood before it, as the factor is.
    pub fn new(
        (challenge, challenges): (&'a str, &BTreeMap<String, Challenge>),
        (method, factor): (Method, Factor),
        id: &'a str,
    ) -> Self {
        let tries = challenges.get(challenge).map_or(0, |challenge| challenge.tries.len());
        Self { challenge, method, id, tries, factor }
    }

    /// Takes the count on the factor out of an update's item, if no success has cleared it since.
    pub fn uncount_factor(&self, update: Write) -> Write {
        update
            .and(", #factors.#m.#failures = #factors.#m.#failures - :one, #factors.#m.#failed_at = :failed_at")
            .when("#factors.#m.#epoch = :epoch AND #factors.#m.#failures >= :one")
            .value("failed_at", self.factor.failed_at)
            .name("m", self.method.name())
            .value("one", 1_u32)
            .value("epoch", self.factor.epoch)
    }

    /// Takes back a try that compared nothing: on the challenge and on the factor, in `update`'s item. Where that fails the count
    /// stands, which errs on the safe side.
    pub async fn take_back(&self, app: &App, update: Write) {
        let path = format!("#challenges.#c.#tries[{}]", self.tries);
        let update = self
            .uncount_factor(update)
            .remove(path.as_str())
            .when(format!("{path} = :try"))
            .name("c", self.challenge)
            .value("try", self.id);
        if app.table.update_patiently(update, &app.entropy).await.is_err() {
            tracing::info!(challenge.method = self.method.name(), "a try that compared nothing stays counted");
        }
    }

    /// The entry of the delay or the end that this try, which failed, brought on.
    pub fn lockout(&self) -> Option<Event> {
        let failures = self.factor.failures + 1;
        let event = |action| Event::new(action, Actor::System).with("method", self.method.name()).with("failures", failures);
        if failures < FACTOR_BACKOFF.free {
            None
        } else if FACTOR_BACKOFF.disabled_at.is_some_and(|at| failures >= at) {
            Some(event(Action::FactorDisabled))
        } else {
            Some(event(Action::FactorDelayed).with("delay", FACTOR_BACKOFF.delay(failures).as_secs()))
        }
    }
}
