//! A try that was counted, and how the count is taken back where nothing was guessed.

use shared::app::App;
use shared::challenge::Ticket;
use shared::dynamo::Write;
use shared::user::{Method, User};

/// One count: on the challenge, by the try's id, and on the factor.
#[derive(Clone, Copy)]
pub(crate) struct Count<'a> {
    pub ticket: &'a Ticket,
    pub method: Method,
    /// The try's.
    pub id: &'a str,
    /// The user before it.
    pub before: &'a User,
}

impl Count<'_> {
    /// Takes the count on the factor out of an update's item, if no success has cleared it since.
    pub fn uncount_factor(self, update: Write) -> Write {
        let factor = self.before.factor(self.method);
        update
            .and(", #factors.#m.#failures = #factors.#m.#failures - :one, #factors.#m.#failed_at = :failed_at")
            .when("#factors.#m.#epoch = :epoch AND #factors.#m.#failures >= :one")
            .value("failed_at", factor.failed_at)
            .name("m", self.method.name())
            .value("one", 1_u32)
            .value("epoch", factor.epoch)
    }

    /// Takes back a try that compared nothing: on the challenge and on the factor. Where that fails the count stands, which errs
    /// on the safe side.
    pub async fn take_back(self, app: &App) {
        let tries = self.before.challenges.get(&self.ticket.name).map_or(0, |challenge| challenge.tries.len());
        let path = format!("#challenges.#c.#tries[{tries}]");
        let update = self
            .uncount_factor(self.before.touch())
            .remove(path.as_str())
            .when(format!("{path} = :try"))
            .name("c", self.ticket.name.as_str())
            .value("try", self.id);
        if app.table.update_patiently(update, &app.entropy).await.is_err() {
            tracing::info!(challenge.method = self.method.name(), "a try that compared nothing stays counted");
        }
    }
}
