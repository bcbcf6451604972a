//! What a code that was typed gives back to the SMS budget.

use crate::store::app::App;
use crate::store::dynamo::{Failure, Update};

/// A credit that is given in the transaction which takes the code. The budget's item is one that
/// all sign-ins of an account share, and nothing hangs on it: once a transaction was in another's
/// way, the credit is given after it.
#[derive(Debug)]
pub struct Credit {
    write: Option<Update>,
    contended: bool,
}

impl Credit {
    /// A credit, if there is one to give.
    pub const fn new(write: Option<Update>) -> Self {
        Self {
            write,
            contended: false,
        }
    }

    /// The part of it in the transaction.
    pub fn within(&self) -> Option<Update> {
        self.write.clone().filter(|_| !self.contended)
    }

    /// Learns what became of the transaction.
    pub const fn learn(&mut self, written: &Result<(), Failure>) {
        self.contended |= matches!(written, Err(Failure::Conflict));
    }

    /// Gives what was not given in the transaction, which has taken effect. Nothing in the write
    /// tells it from itself, so it is asked for once: where no answer comes, the account may have
    /// those SMS fewer for the hour, and never more.
    pub async fn give(self, app: &App) {
        let Some(write) = self.write.filter(|_| self.contended) else {
            return;
        };
        if app.table.update_once(write, &app.entropy).await.is_err() {
            tracing::info!(
                "credit to the SMS send budget was not written; the account has fewer SMS this hour; no action needed"
            );
        }
    }
}
