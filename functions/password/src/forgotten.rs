//! `POST /v1/password/forgotten`: mails a link to whoever has the username, if that is anybody who
//! can be reached.
//!
//! Whom a link does not lead on, for want of a factor that may follow it, is mailed whom to ask
//! instead.
//!
//! Nobody is told whether it is. The answer is the same, the requests to the table are as many, and
//! it comes when [`FLOOR`] is over: not when a mail was sent, which takes longer than sending none.
//! A refusal because of the name comes then as well, since what led to it takes longer for a name
//! that somebody has. Where too little of it is left, the mail is not begun: it stays in the
//! outbox, and the clean-up sends it. One that was begun is never broken off: it would be claimed
//! by nobody who is at it, or go twice.
//!
//! The same request again, by `Idempotency-Key`, is answered at once. The record is kept for
//! everybody, in the transaction that counts the request, so that it tells of nobody more than the
//! answer does; the key is one of those of the client IP.

mod case;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::AccountId;
use shared::store::dynamo::{Failure, Key, RetryPolicy, Write};
use shared::web::http::{Call, Outcome, Problem, Reply};
use shared::web::idempotency::IdempotencyKey;
use shared::{messaging::outbox, signin::link};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::State;
use case::{ForgottenPasswordCase, Known, Limits};

/// How long everybody waits for the answer: as long as a mail takes on a cold start, in nearly
/// every case.
const FLOOR: Duration = Duration::from_secs(2);
/// How much of it has to be left for a mail to be begun.
const SENDING: Duration = Duration::from_millis(700);
/// The longest username that is looked up.
const USERNAME_MAX: usize = 256;

/// Whose password was forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForgottenPasswordRequest)]
pub struct Request {
    /// The organisation's account.
    pub account: AccountId,
    /// The username, in any case.
    #[schema(example = "ann")]
    pub username: String,
}

/// The same for everybody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForgottenPassword)]
pub struct Response {
    /// For how many seconds the link is good, if one was mailed.
    #[schema(example = 1800)]
    pub expires_in: i64,
}

impl Response {
    const fn of_everybody() -> Self {
        Self {
            expires_in: link::PASSWORD_LIFETIME.as_secs(),
        }
    }
}

/// What became of a request.
enum Done {
    /// It was carried out before, and this was the answer.
    Before(Reply),
    /// It is carried out, but for the mail that is in the outbox here.
    Now(Option<Key>),
    /// The name has reached its limit, or the address had by the time that it was counted.
    Full(Problem),
}

pub async fn handle(state: &State, call: &Call) -> Outcome {
    let request: Request = call.json()?;
    check(&request.username)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "how long somebody waits, and not what time it is"
    )]
    let began = Instant::now();
    let answer = match carry_out(state, call, &request).await? {
        Done::Before(reply) => return Ok(reply),
        Done::Now(mail) => {
            let mail = mail.filter(|_| may_send(began.elapsed()));
            outbox::deliver_all(&state.app, &state.courier, mail).await;
            Ok(Reply::json(&Response::of_everybody()))
        }
        Done::Full(problem) => Err(problem),
    };
    tokio::time::sleep_until(began + answered_after(began.elapsed())).await;
    answer
}

/// Refuses as malformed what can be nobody's username.
fn check(username: &str) -> Result<(), Problem> {
    let is_long = username.len() > USERNAME_MAX;
    if username.is_empty() || is_long || username.chars().any(char::is_control) {
        return Err(Problem::invalid_field(
            "/username",
            "must have 1 to 256 characters, none of them a control character",
        ));
    }
    Ok(())
}

/// Whether a mail is begun when so much time has gone by.
fn may_send(elapsed: Duration) -> bool {
    elapsed + SENDING <= FLOOR
}

/// When the answer comes: with the floor, or, where the sending took longer all the same, with the
/// next whole second.
fn answered_after(elapsed: Duration) -> Duration {
    if elapsed <= FLOOR {
        FLOOR
    } else {
        Duration::from_secs(elapsed.as_secs() + 1)
    }
}

/// Counts the request, tells of it in the audit, and puts a mail in the outbox where there is
/// somebody to get one; answers where that stands.
async fn carry_out(state: &State, call: &Call, request: &Request) -> Result<Done, Problem> {
    let app = &state.app;
    let requester = format!("{}\n{}", request.account, client_ip_key(call.client_ip));
    let key = IdempotencyKey::of(call, &requester)?;
    let (mut retries, mut limits) = (RetryPolicy::default(), Limits::default());
    loop {
        let case = match ForgottenPasswordCase::read(state, call, request, key.as_ref()).await? {
            Known::Answered(reply) => return Ok(Done::Before(reply)),
            Known::Open(case) => case,
            Known::Full(problem) => return Ok(Done::Full(problem)),
            Known::Moved => {
                retries.wait(&app.entropy).await?;
                continue;
            }
        };
        let (mail, mut writes) = case.plan(state, call, &limits).await?;
        writes.extend(kept(key.as_ref(), case.now)?);
        let failure = match app.table.transact(writes).await {
            Ok(()) => return Ok(Done::Now(mail)),
            Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
            Err(failure) => failure,
        };
        // Where the record stood in the way, the same request was faster, and its count is no
        // refusal of this.
        let is_kept = |key: &IdempotencyKey| failure.stood_at(&key.record()).is_some();
        if !key.as_ref().is_some_and(is_kept) {
            limits = match case.limits(&failure, &limits) {
                Ok(limits) => limits,
                Err(problem) => return Ok(Done::Full(problem)),
            };
        }
        retries.wait(&app.entropy).await?;
    }
}

/// The write that keeps the answer for the same request, where there is a key.
fn kept(key: Option<&IdempotencyKey>, now: Timestamp) -> Result<Option<Write>, Failure> {
    let answer = serde_json::to_string(&Response::of_everybody()).unwrap_or_default();
    let kept = key.map(|key| key.keep(&answer, now)).transpose()?;
    Ok(kept.map(Write::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_with_the_floor_or_a_whole_second_and_no_mail_is_begun_too_late() {
        let millis = Duration::from_millis;
        for (elapsed, begun, answered) in [
            (0, true, 2000),
            (1300, true, 2000),
            (1301, false, 2000),
            (2000, false, 2000),
            (2001, false, 3000),
            (6200, false, 7000),
        ] {
            assert_eq!(
                (may_send(millis(elapsed)), answered_after(millis(elapsed))),
                (begun, millis(answered)),
                "{elapsed}"
            );
        }
    }
}
