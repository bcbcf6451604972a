//! `Idempotency-Key` (IETF draft-07): the same request again is answered as it was, and is carried
//! out once.
//!
//! The record is claimed in the transaction of the effect, completed once the effect is certain,
//! and removed where it failed: only what succeeded is kept.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::secret::Fingerprint;
use crate::store::app::App;
use crate::store::dynamo::{Condition, Delete, Failure, Item, Key, Path, Put, Update, keys, read};
use crate::web::http::{Call, Outcome, Problem, Reply, Slug};

/// How long an answer is kept.
pub const KEPT: Span = Span::hours(24);
/// How long a request may run before another may take its place: longer than a code is good, so
/// that a send whose record could not be completed is not repeated while its code can still be
/// used.
const LEASE: Span = Span::minutes(6);
/// The longest key taken.
const KEY_MAX: usize = 255;

const REQUEST: Path = Path::new("request");
const RUNNING_UNTIL: Path = Path::new("running_until");
const KEPT_UNTIL: Path = Path::new("kept_until");

/// A caller's key for a request.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    record: Key,
    request: String,
}

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The fingerprint of the request.
    request: String,
    /// Until when the request may still be running; none once it has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running_until: Option<Timestamp>,
    /// Until when it is kept.
    kept_until: Timestamp,
    /// The answer.
    answer: String,
}

/// What a record says to a new request with its key.
#[derive(Debug, PartialEq, Eq)]
enum Replay {
    /// There is none, or it is over: go ahead.
    None,
    /// This was answered.
    Answer(String),
    /// It is still running.
    Running,
    /// It was another request.
    Reused,
}

/// The text of the call's key, which it has to have: for what is kept for ever, under an item of
/// its own.
pub fn required_key(call: &Call) -> Result<String, Problem> {
    given_key(call)?.ok_or_else(|| Problem::new(Slug::IdempotencyKeyRequired))
}

/// The text of the call's key, if it has one: a String of RFC 8941 (what is in its quotes), or a
/// bare token.
fn given_key(call: &Call) -> Result<Option<String>, Problem> {
    if !call.has_header("idempotency-key") {
        return Ok(None);
    }
    let value = call.header("idempotency-key").unwrap_or_default().trim();
    let key = if value.starts_with('"') {
        quoted(value)
    } else {
        bare(value)
    };
    let key = key.filter(|key| (1..=KEY_MAX).contains(&key.len()));
    let detail = "must be a quoted string (RFC 8941) of 1 to 255 characters";
    let malformed = || Problem::invalid_parameter("Idempotency-Key", detail);
    key.map(Some).ok_or_else(malformed)
}

/// A String of RFC 8941 section 3.3.3: printable ASCII in quotes, blanks included, with `\"` and
/// `\\`. Parameters say nothing.
fn quoted(value: &str) -> Option<String> {
    let text = sfv::Parser::new(value)
        .parse_item::<Cow<'_, sfv::StringRef>>()
        .ok()?;
    Some(text.as_str().to_owned())
}

/// A token that somebody sends without quotes.
fn bare(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    value.chars().all(plain).then(|| value.to_owned())
}

/// Completes the record of the key, where there is one. Should this fail, the same request is told
/// to wait until its lease is over, which is when its code is.
pub async fn complete(app: &App, key: Option<&IdempotencyKey>) {
    let Some(key) = key else { return };
    let completed = app
        .table
        .update_with_retries(key.completion(), &app.entropy)
        .await;
    if completed.is_err() {
        tracing::warn!(
            "idempotency record was not completed; repeats of the request get 409 until its lease ends; no action needed"
        );
    }
}

/// The refusal of a code that is asked for too soon; or what was answered to the same request,
/// where that was faster. What a decision looks at is not read at one instant: the code that stands
/// in the way may be this very request's.
pub async fn refused_unless_answered(
    app: &App,
    key: Option<&IdempotencyKey>,
    problem: Problem,
    now: Timestamp,
) -> Outcome {
    let Some(key) = key.filter(|_| problem.slug() == Slug::ResendTooSoon) else {
        return Err(problem);
    };
    let record = app.table.find(key.record()).await?;
    key.answer_again(record, now)?.ok_or(problem)
}

impl IdempotencyKey {
    /// The key of `call`, if it has one, among those of `caller`. What is asked for stands in the
    /// path and in the body.
    pub fn of(call: &Call, caller: &str) -> Result<Option<Self>, Problem> {
        let Some(key) = given_key(call)? else {
            return Ok(None);
        };
        let request =
            Fingerprint::of(&[call.path.as_bytes(), b"\n", call.raw_body()].concat()).encode();
        Ok(Some(Self {
            record: keys::idempotency(caller, &key),
            request,
        }))
    }

    /// Where the record stands.
    pub fn record(&self) -> Key {
        self.record.clone()
    }

    /// What the record, if there is one, says.
    fn replay(&self, item: Option<Item>, now: Timestamp) -> Result<Replay, Failure> {
        let Some(item) = item else {
            return Ok(Replay::None);
        };
        let record: Record = read(item)?;
        let over =
            record.kept_until <= now || record.running_until.is_some_and(|until| until <= now);
        Ok(if over {
            Replay::None
        } else if record.request != self.request {
            Replay::Reused
        } else if record.running_until.is_some() {
            Replay::Running
        } else {
            Replay::Answer(record.answer)
        })
    }

    /// The answer of the same request before, a 202, if there was one; a refusal where it is
    /// another, or still running.
    pub fn answer_again(
        &self,
        item: Option<Item>,
        now: Timestamp,
    ) -> Result<Option<Reply>, Problem> {
        let replay = self.replay(item, now)?;
        if let Some(problem) = replay.refusal() {
            return Err(problem);
        }
        let Replay::Answer(body) = replay else {
            return Ok(None);
        };
        let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        Ok(Some(
            Reply::json(&body).header("idempotency-replayed", "true".into()),
        ))
    }

    /// The write that claims the key for a request that will answer so.
    pub fn claim(&self, answer: &str, now: Timestamp) -> Result<Put, Failure> {
        self.record_put(answer, Some(now.plus(LEASE)), now)
    }

    fn record_put(
        &self,
        answer: &str,
        running_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Put, Failure> {
        let kept_until = now.plus(KEPT);
        let record = Record {
            request: self.request.clone(),
            running_until,
            kept_until,
            answer: answer.to_owned(),
        };
        let is_free = Condition::item_is_absent()
            .or(KEPT_UNTIL.is_at_most(now))
            .or(RUNNING_UNTIL.is_at_most(now));
        Ok(Put::replace(self.record(), &record)?
            .due(kept_until)
            .when(is_free))
    }

    /// The write that claims the key and keeps the answer, for a request that has succeeded with
    /// the transaction that this is part of.
    pub fn keep(&self, answer: &str, now: Timestamp) -> Result<Put, Failure> {
        self.record_put(answer, None, now)
    }

    /// The write that keeps the answer.
    fn completion(&self) -> Update {
        Update::of(self.record())
            .remove(RUNNING_UNTIL)
            .when(REQUEST.is(&self.request))
    }

    /// The write that frees the key.
    pub fn free(&self) -> Delete {
        let is_own = REQUEST.is(&self.request).and(RUNNING_UNTIL.exists());
        Delete::of(self.record()).when(Condition::item_is_absent().or(is_own))
    }
}

impl Replay {
    /// The refusal, where it is one.
    fn refusal(&self) -> Option<Problem> {
        match self {
            Self::None | Self::Answer(_) => None,
            Self::Running => {
                Some(Problem::new(Slug::IdempotencyConflict).header("retry-after", "1".into()))
            }
            Self::Reused => Some(Problem::new(Slug::IdempotencyKeyReused)),
        }
    }
}
