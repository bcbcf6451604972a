//! What a top-up was, and what was answered: kept for ever, so that the same key can never buy
//! twice.

use serde::{Deserialize, Serialize};
use shared::kernel::clock::Timestamp;
use shared::web::http::{Outcome, Problem, Reply, Slug};

use crate::{Request, Response};

/// The record under an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was answered; what was asked for is part of it.
    answer: Response,
    /// The request that made it: its own repetition by the SDK is no replay.
    made_by: String,
    /// When.
    made_at: Timestamp,
}

impl Record {
    /// The record of a top-up that is answered so.
    pub fn new(answer: &Response, made_by: &str, made_at: Timestamp) -> Self {
        Self {
            answer: answer.clone(),
            made_by: made_by.to_owned(),
            made_at,
        }
    }

    /// The answer, where `request` asks for the same; a refusal where it does not.
    pub fn answer_again(self, request: &Request, asked_by: &str) -> Outcome {
        let Response {
            account,
            transactions,
            reference,
            ..
        } = &self.answer;
        if (*account, *transactions, reference)
            != (
                request.account,
                request.transactions.count(),
                &request.reference,
            )
        {
            return Err(Problem::new(Slug::IdempotencyKeyReused));
        }
        let reply = Reply::json(&self.answer);
        Ok(if self.made_by == asked_by {
            reply
        } else {
            reply.header("idempotency-replayed", "true".into())
        })
    }
}
