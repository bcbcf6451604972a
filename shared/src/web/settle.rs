//! How a request carries out what it decides: it reads, decides, writes under conditions that
//! repeat what was judged, and does so anew for as long as something else was faster.
//!
//! A loop is written out by hand where the next decision needs what the failed write has shown: the
//! logs of notices that were full (`Notices::learn`), a transaction whose outcome is in doubt
//! (`Doubt`), or what the caller has read already. What no request answers for, and so refuses
//! nothing, is [`Table::transact_rebuilding`](crate::store::dynamo::Table::transact_rebuilding).

use crate::store::app::App;
use crate::store::dynamo::{Failure, RetryPolicy, Write};
use crate::web::http::Problem;
use crate::web::http::refusals::contended;

/// What a decision comes to.
#[derive(Debug)]
pub enum Decision<T> {
    /// Nothing is to be written.
    Stands(T),
    /// These writes, at least one, all or none; and what is so once they have taken effect.
    Write(Vec<Write>, T),
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum Unsettled {
    /// It was refused, or what it is decided from could not be read.
    Refused(Problem),
    /// The table did not take the writes.
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
        let (writes, next) = match decide().await.map_err(Unsettled::Refused)? {
            Decision::Stands(stands) => return Ok(stands),
            Decision::Write(writes, next) => (writes, next),
        };
        let written = app.table.transact(writes).await;
        let settled = retries.settled(written, &app.entropy).await;
        if settled.map_err(Unsettled::of_write)? {
            return Ok(next);
        }
    }
}

impl Unsettled {
    fn of_write(failure: Failure) -> Self {
        match failure {
            Failure::Conflict | Failure::Condition(_) => Self::Contended,
            Failure::Unavailable(_) => Self::Failed(failure),
        }
    }

    /// Who changes an object is told that others kept changing it: a conflict (409).
    pub fn of_an_object(self) -> Problem {
        match self {
            Self::Contended => contended(Failure::Conflict),
            other => other.of_a_sign_in(),
        }
    }

    /// Who signs in or proves something is told that the service is busy (503).
    pub fn of_a_sign_in(self) -> Problem {
        match self {
            Self::Refused(problem) => problem,
            Self::Failed(failure) => failure.into(),
            Self::Contended => Failure::Conflict.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::http::Slug;

    #[test]
    fn who_changes_an_object_is_told_of_a_conflict_and_who_signs_in_that_the_service_is_busy() {
        let status = |problem: Problem| (problem.slug().status(), problem.slug());
        assert_eq!(
            [
                status(Unsettled::Contended.of_an_object()),
                status(Unsettled::Contended.of_a_sign_in())
            ],
            [(409, Slug::Conflict), (503, Slug::ServiceUnavailable)]
        );
        let refused = || Unsettled::Refused(Problem::new(Slug::NotFound));
        assert_eq!(
            [
                refused().of_an_object().slug(),
                refused().of_a_sign_in().slug()
            ],
            [Slug::NotFound; 2]
        );
    }
}
