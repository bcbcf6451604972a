//! How a request carries out what it decides: it reads, decides, writes under conditions that repeat
//! what was judged, and does so anew for as long as something else was faster.

use crate::store::app::App;
use crate::store::dynamo::{Failure, RetryPolicy, Write};
use crate::web::http::Problem;
use crate::web::http::refusals::contended;

/// What a decision comes to.
#[derive(Debug)]
pub enum Decision<T> {
    /// Nothing is to be written.
    Stands(T),
    /// These writes, all or none, and what is so once they have taken effect.
    Write(Vec<Write>, T),
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum Unsettled {
    /// The decision was a refusal.
    Refused(Problem),
    /// The table did not answer.
    Failed(Failure),
    /// Something else was faster until the retries were used up.
    Contended,
}

/// Carries out what `decide` decides, from what it reads each time that it is asked.
pub async fn settle<T, F>(app: &App, decide: impl Fn() -> F) -> Result<T, Unsettled>
where
    F: Future<Output = Result<Decision<T>, Problem>>,
{
    let mut retries = RetryPolicy::default();
    loop {
        let (writes, next) = match decide().await? {
            Decision::Stands(stands) => return Ok(stands),
            Decision::Write(writes, next) => (writes, next),
        };
        let written = app.table.transact(writes).await;
        if retries.settled(written, &app.entropy).await? {
            return Ok(next);
        }
    }
}

impl From<Problem> for Unsettled {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Failure> for Unsettled {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict | Failure::Condition(_) => Self::Contended,
            Failure::Unavailable(_) => Self::Failed(failure),
        }
    }
}

/// Who signs in or proves something is told that the service is busy.
impl From<Unsettled> for Problem {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Refused(problem) => problem,
            Unsettled::Failed(failure) => failure.into(),
            Unsettled::Contended => Failure::Conflict.into(),
        }
    }
}

impl Unsettled {
    /// Who changes an object is told that others kept changing it: a conflict.
    pub fn of_an_object(self) -> Problem {
        match self {
            Self::Contended => contended(Failure::Conflict),
            other => other.into(),
        }
    }
}
