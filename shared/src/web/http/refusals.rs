//! How what lies below every noun becomes a problem: the keyring, the table, and the rate limits.

use super::problem::Policy;
use super::{Problem, Slug};
use crate::kernel::clock::Timestamp;
use crate::kernel::keyring::KeyringError;
use crate::store::dynamo::Failure;
use crate::store::rate_limit::Limit;

/// The problem of a destination or a client IP that has reached its limit of messages.
pub fn too_many_sends(until: Timestamp, limit: Limit, now: Timestamp) -> Problem {
    let policy = Policy {
        name: "sends",
        quota: u32::try_from(limit.quota).unwrap_or(u32::MAX),
        window: limit.span,
    };
    Problem::new(Slug::TooManySends).retry_after(until.until(now), &policy)
}

/// The problem of a client IP that has failed too often.
pub fn client_ip_blocked(until: Timestamp, limit: Limit, now: Timestamp) -> Problem {
    let policy = Policy {
        name: "source",
        quota: u32::try_from(limit.quota).unwrap_or(u32::MAX),
        window: limit.span,
    };
    Problem::new(Slug::TooManyAttempts)
        .detail("There were too many failed sign-ins from this address.")
        .retry_after(until.until(now), &policy)
}

/// The problem of a change to an object that others kept changing until the retries were used up.
pub fn contended(failure: Failure) -> Problem {
    match failure {
        Failure::Conflict | Failure::Condition(_) => {
            Problem::new(Slug::Conflict).header("retry-after", "1".into())
        }
        unavailable @ Failure::Unavailable(_) => unavailable.into(),
    }
}

impl From<KeyringError> for Problem {
    fn from(error: KeyringError) -> Self {
        Self::internal("using the keyring", &error.to_string())
    }
}
