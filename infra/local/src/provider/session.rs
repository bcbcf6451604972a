//! A session at the provider: from being opened to the one outcome that it has.

use serde::Deserialize;
use serde_json::Value;
use shared::kernel::clock::{Span, Timestamp};

use super::callback::Outcome;
use super::questions::{self, Question};

/// How long somebody has for the questions, once they are shown.
pub(super) const ANSWER_WITHIN: Span = Span::seconds(120);

/// What the service asks for.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub reference: String,
    pub name: Option<String>,
    pub questions: usize,
    pub callback_url: String,
    /// For how long somebody may begin.
    pub expires_in: Span,
    /// The request as it was sent.
    pub sent: Value,
}

/// The request that opens a session: no more than the interface has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    reference: String,
    name: Option<String>,
    difficulty: Difficulty,
    callback_url: String,
    expires_in: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Difficulty {
    Default,
    Hard,
}

impl Opening {
    /// Reads a request, or says what is wrong with it.
    pub fn read(sent: Value) -> Result<Self, String> {
        let request: Request =
            serde_json::from_value(sent.clone()).map_err(|error| error.to_string())?;
        let Request {
            reference,
            name,
            difficulty,
            callback_url,
            expires_in,
        } = request;
        if reference.is_empty()
            || reference.len() > 64
            || expires_in == 0
            || url::Url::parse(&callback_url).is_err()
        {
            return Err("reference, expires_in or callback_url is not usable".into());
        }
        let questions = if matches!(difficulty, Difficulty::Hard) {
            4
        } else {
            3
        };
        let expires_in = Span::seconds(expires_in.into());
        Ok(Self {
            reference,
            name,
            questions,
            callback_url,
            expires_in,
            sent,
        })
    }
}

/// Where a session stands.
#[derive(Debug)]
enum Step {
    /// Nobody has said yet who they are.
    Opened,
    /// The questions are on the page.
    Asked {
        questions: Vec<Question>,
        until: Timestamp,
    },
    /// It is over.
    Ended(Outcome),
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub opening: Opening,
    /// What its page is addressed by.
    pub key: String,
    /// Until when somebody may begin.
    begin_until: Timestamp,
    step: Step,
}

/// Who somebody says they are. It has no `Debug`, and is kept nowhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub name: Option<String>,
    pub address: String,
    pub ssn4: Option<String>,
}

/// What the page goes on with.
#[derive(Debug)]
pub(super) enum Next {
    /// These questions, for so long.
    Questions(Vec<Question>, Span),
    /// Nobody has begun in time: it is over without a word to anybody.
    TooLate,
    /// It is over; the callback goes to this address.
    Over(Outcome, Option<String>),
}

impl Session {
    pub fn new(opening: Opening, key: String, now: Timestamp) -> Self {
        let begin_until = now.plus(opening.expires_in);
        Self {
            opening,
            key,
            begin_until,
            step: Step::Opened,
        }
    }

    /// How it went, if it is over.
    pub const fn outcome(&self) -> Option<Outcome> {
        if let Step::Ended(outcome) = self.step {
            Some(outcome)
        } else {
            None
        }
    }

    /// Looks somebody up, and asks them what only they should know. `None` where what they typed
    /// cannot be looked up with.
    pub fn look_up(&mut self, person: &Person, now: Timestamp) -> Option<Next> {
        match &self.step {
            Step::Ended(outcome) => return Some(Next::Over(*outcome, None)),
            // A page that was reloaded gets the same questions, and no more time.
            Step::Asked { questions, until } => {
                return Some(Next::Questions(questions.clone(), until.until(now)));
            }
            Step::Opened if self.begin_until <= now => return Some(Next::TooLate),
            Step::Opened => {}
        }
        let name = self
            .opening
            .name
            .as_deref()
            .or(person.name.as_deref())
            .unwrap_or_default()
            .trim();
        let address = person.address.trim();
        let digits = person.ssn4.as_deref().is_none_or(|digits| {
            digits.is_empty()
                || (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        });
        if name.is_empty()
            || address.is_empty()
            || name.len() > 200
            || address.len() > 500
            || !digits
        {
            return None;
        }
        // The public records of this machine know everybody but who lives nowhere.
        if address.to_ascii_lowercase().contains("nowhere") {
            let to = self.end(Outcome::NotLocatable);
            return Some(Next::Over(Outcome::NotLocatable, Some(to)));
        }
        let questions = questions::about(name, address, self.opening.questions);
        self.step = Step::Asked {
            questions: questions.clone(),
            until: now.plus(ANSWER_WITHIN),
        };
        Some(Next::Questions(questions, ANSWER_WITHIN))
    }

    /// Takes the answers, by their places. All of three, or three of four, have to be right.
    pub fn take(&mut self, answers: &[usize], now: Timestamp) -> Option<Next> {
        let outcome = match &self.step {
            Step::Opened => return None,
            Step::Ended(outcome) => return Some(Next::Over(*outcome, None)),
            Step::Asked { until, .. } if *until <= now => Outcome::TimedOut,
            Step::Asked { questions, .. } => {
                let right = questions
                    .iter()
                    .zip(answers)
                    .filter(|(question, answer)| question.right == **answer)
                    .count();
                if right >= 3 {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                }
            }
        };
        let to = self.end(outcome);
        Some(Next::Over(outcome, Some(to)))
    }

    /// Whether its questions are on a page and their time is over.
    pub fn is_late(&self, now: Timestamp) -> bool {
        matches!(self.step, Step::Asked { until, .. } if until <= now)
    }

    /// Ends it so; answers with where the callback goes.
    pub fn end(&mut self, outcome: Outcome) -> String {
        self.step = Step::Ended(outcome);
        self.opening.callback_url.clone()
    }
}
