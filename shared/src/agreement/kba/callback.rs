//! What the provider sends when a session is over. There is nothing of the person in it, and what
//! is in it besides is refused.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::kernel::clock::Timestamp;
use crate::kernel::ids::SessionId;
use crate::web::http::{Body, FieldError, Problem, Slug};

/// The one type of message that is sent here.
const COMPLETED: &str = "kba.session.completed";
/// The longest token.
const TOKEN_MAX: usize = 200;

/// How a session went, as the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KbaOutcome)]
pub enum Outcome {
    /// The person is who they say.
    Passed,
    /// Too few answers were right.
    Failed,
    /// The questions were shown, and not answered in time.
    TimedOut,
    /// Nobody of that name and address was found.
    NotLocatable,
    /// The provider failed.
    ProviderError,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Passed,
        Self::Failed,
        Self::TimedOut,
        Self::NotLocatable,
        Self::ProviderError,
    ];

    /// The name in messages, items and the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotLocatable => "not_locatable",
            Self::ProviderError => "provider_error",
        }
    }

    /// Whether it uses up an attempt.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// A message of the provider.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KbaCallback)]
pub struct Message {
    /// `kba.session.completed`
    #[serde(rename = "type")]
    #[schema(example = "kba.session.completed")]
    pub kind: String,
    /// When the session was over, RFC 3339: what is told late counts as of then.
    #[schema(example = "2027-01-15T08:00:00Z")]
    pub timestamp: String,
    /// How it went.
    pub data: Data,
}

/// How a session went.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KbaCallbackData)]
pub struct Data {
    /// Our session.
    pub session: SessionId,
    /// How it went.
    pub outcome: Outcome,
    /// The provider's token of a pass: what the audit report shows.
    #[schema(example = "tok_5yJ3c2Vzc2lvbg", max_length = 200, nullable = false)]
    pub token: Option<String>,
}

impl Data {
    /// What is wrong with the token.
    fn token_fault(&self) -> Option<FieldError> {
        let detail = match (&self.token, self.outcome) {
            (None, Outcome::Passed) => "is missing",
            (Some(token), Outcome::Passed) if !is_token(token) => {
                "must be 1 to 200 letters, digits and ._:~+/=-"
            }
            (Some(_), outcome) if outcome != Outcome::Passed => "is a pass's alone",
            _ => return None,
        };
        Some(FieldError::new("/data/token", detail))
    }
}

/// Refuses fields that are none of the message's.
fn known_fields(message: &Value) -> Result<(), Problem> {
    let data = message.get("data");
    let within = data.and_then(|data| unknown(data, "/data", &["session", "outcome", "token"]));
    let beside = unknown(message, "", &["type", "timestamp", "data"]);
    let strange: Vec<String> = beside.into_iter().chain(within).collect();
    if strange.is_empty() {
        return Ok(());
    }
    let problem = Problem::new(Slug::UnexpectedField);
    // Not which: a name may be as personal as a value.
    Err(strange.into_iter().fold(problem, |problem, pointer| {
        problem.field(pointer, "has a field that this message does not allow")
    }))
}

/// What the provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of which session.
    pub session: SessionId,
    /// How it went.
    pub outcome: Outcome,
    /// The token of a pass, and of nothing else.
    pub token: Option<String>,
    /// When the session was over, by the provider's clock.
    pub ended_at: Timestamp,
}

impl Answer {
    /// Reads a message. A field that is none of the message's may hold what must not be here: it is
    /// refused, and not read on.
    pub fn read(value: Value) -> Result<Self, Problem> {
        known_fields(&value)?;
        let Message {
            kind,
            timestamp,
            data,
        } = Body::read(value)?;
        let mut errors = Vec::new();
        if kind != COMPLETED {
            errors.push(FieldError::new("/type", format!("must be \"{COMPLETED}\"")));
        }
        let ended_at = moment(&timestamp);
        if ended_at.is_none() {
            errors.push(FieldError::new("/timestamp", "must be an RFC 3339 time"));
        }
        errors.extend(data.token_fault());
        match ended_at.filter(|_| errors.is_empty()) {
            Some(ended_at) => Ok(Self {
                session: data.session,
                outcome: data.outcome,
                token: data.token,
                ended_at,
            }),
            None => Err(Problem::invalid(errors)),
        }
    }
}

/// Where `value` has a member that is not among `known`.
fn unknown(value: &Value, pointer: &str, known: &[&str]) -> Option<String> {
    let members = value.as_object()?;
    members
        .keys()
        .any(|name| !known.contains(&name.as_str()))
        .then(|| pointer.to_owned())
}

fn moment(text: &str) -> Option<Timestamp> {
    DateTime::from_str(text, Format::DateTimeWithOffset)
        .ok()?
        .to_millis()
        .ok()
        .map(Timestamp::from_millis)
}

fn is_token(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:~+/=-".contains(&byte);
    (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(data: &Value) -> Value {
        json!({"type": COMPLETED, "timestamp": "2027-01-15T08:00:00.250Z", "data": data})
    }

    fn session() -> SessionId {
        SessionId::from_bytes([7; 16])
    }

    #[test]
    fn each_outcome_is_read() {
        for outcome in Outcome::ALL {
            let token = (outcome == Outcome::Passed).then(|| "tok_a.b:c~d+e/f=g-1".to_owned());
            let mut data = json!({"session": session(), "outcome": outcome.name()});
            if let Some(token) = &token {
                data["token"] = json!(token);
            }
            // A quarter of a second after eight.
            let ended_at = Timestamp::from_millis(1_800_000_000_250);
            assert_eq!(
                Answer::read(message(&data)).unwrap(),
                Answer {
                    session: session(),
                    outcome,
                    token,
                    ended_at
                }
            );
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let good = json!({"session": session(), "outcome": "failed"});
        let refused = |value: Value| Answer::read(value).unwrap_err().slug();
        for (pointer, value) in [
            ("/type", json!("kba.session.begun")),
            ("/timestamp", json!("yesterday")),
            ("/timestamp", json!(1_800_000_000)),
            ("/data/outcome", json!("maybe")),
            ("/data/outcome", json!("passed")),
            ("/data/session", json!("acc_01jd3v7c3kq2m8x5t9r4w6y0ab")),
            ("/data/token", json!("tok_1")),
            ("/data", json!("x")),
        ] {
            let mut changed = message(&good);
            *changed.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
            if pointer == "/data/token" {
                changed["data"]["token"] = value;
            }
            assert_eq!(refused(changed), Slug::InvalidRequest, "{pointer}");
        }
        assert_eq!(refused(json!([])), Slug::InvalidRequest);
        let token = |token: &str| {
            message(&json!({"session": session(), "outcome": "passed", "token": token}))
        };
        for text in ["", "a b", "é", &"x".repeat(201)] {
            assert_eq!(refused(token(text)), Slug::InvalidRequest, "{text}");
        }
    }

    #[test]
    fn whatever_else_is_in_it_is_refused_and_not_repeated() {
        let good = json!({"session": session(), "outcome": "failed"});
        for pointer in ["", "/data"] {
            let mut with_more = message(&good);
            with_more.pointer_mut(pointer).unwrap()["ssn-078051120"] = json!("078-05-1120");
            let problem = Answer::read(with_more).unwrap_err();
            assert_eq!(problem.slug(), Slug::UnexpectedField);
            assert!(!format!("{problem:?}").contains("078"), "{problem:?}");
        }
    }
}
