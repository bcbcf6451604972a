//! How what a sign-in is refused for becomes a problem.

use crate::kernel::clock::{Span, Timestamp};
use crate::signin::challenge::{self, ChallengeRefusal};
use crate::signin::code;
use crate::signin::exchange::ExchangeRefusal;
use crate::signin::link::LinkRefusal;
use crate::signin::user::{FACTOR_BACKOFF, attempts, password};
use crate::store::rate_limit::Limit;
use crate::web::http::problem::Policy;
use crate::web::http::{Problem, Slug};

/// The policy that a challenge without attempts is refused by.
const CHALLENGE: Policy = Policy {
    name: "challenge",
    quota: challenge::ATTEMPTS_MAX,
    window: challenge::LIFETIME,
};
/// The policy that a locked factor is refused by.
const FACTOR: Policy = Policy {
    name: "factor",
    quota: FACTOR_BACKOFF.free,
    window: FACTOR_BACKOFF.cap,
};
/// The policy that a delayed username is refused by.
const PASSWORD: Policy = Policy {
    name: "password",
    quota: attempts::BACKOFF.free,
    window: attempts::BACKOFF.cap,
};
/// The policy that a username is refused by whose count has reached its end.
const PASSWORD_END: Policy = Policy {
    name: "password",
    quota: attempts::FAILURES_MAX,
    window: Span::days(1),
};

impl ChallengeRefusal {
    /// The problem, as of `now`.
    pub fn problem(self, now: Timestamp) -> Problem {
        match self {
            Self::Unknown => Problem::new(Slug::ChallengeUnknown),
            Self::Expired => Problem::new(Slug::ChallengeExpired),
            Self::Used => Problem::new(Slug::ChallengeUsed),
            Self::AttemptsSpent(until) => Problem::new(Slug::TooManyAttempts)
                .detail("This challenge has no attempts left. Sign in again.")
                .retry_after(until.until(now), &CHALLENGE),
            Self::FactorDelayed(moment) => Problem::new(Slug::TooManyAttempts)
                .detail("This factor had too many wrong codes in a row. Another factor may still be used.")
                .retry_after(moment.until(now), &FACTOR),
            // Nothing but an administrator helps, or the sender of an agreement; the longest delay
            // keeps a client from asking all the time.
            Self::FactorDisabled => Problem::new(Slug::TooManyAttempts)
                .detail("This factor had too many wrong codes in a row. An administrator can unlock it; for an agreement, its sender can.")
                .retry_after(FACTOR_BACKOFF.cap, &FACTOR),
        }
    }
}

impl From<LinkRefusal> for Problem {
    fn from(refusal: LinkRefusal) -> Self {
        Self::new(match refusal {
            LinkRefusal::Unknown => Slug::LinkUnknown,
            LinkRefusal::Expired => Slug::LinkExpired,
            LinkRefusal::Used => Slug::LinkUsed,
        })
    }
}

impl From<ExchangeRefusal> for Problem {
    fn from(refusal: ExchangeRefusal) -> Self {
        Self::new(match refusal {
            ExchangeRefusal::Unknown => Slug::NotFound,
            ExchangeRefusal::Expired => Slug::CodeExpired,
            ExchangeRefusal::Used => Slug::CodeUsed,
        })
    }
}

/// The problem of a password that is refused without a look at it: until a moment, or until
/// somebody lifts the refusal. The latter has no known end; `Retry-After` says a day, so that a
/// client does not ask all the time.
pub fn password_refused(until: Option<Timestamp>, now: Timestamp) -> Problem {
    let problem = Problem::new(Slug::TooManyAttempts);
    match until {
        Some(moment) => problem
            .detail("There were too many wrong passwords in a row for this username.")
            .retry_after(moment.until(now), &PASSWORD),
        None => problem
            .detail(
                "There were too many wrong passwords in a row for this username. Set a new password, ask an administrator to \
                 unlock the user, or sign in from an address that this user has signed in from before.",
            )
            .retry_after(PASSWORD_END.window, &PASSWORD_END),
    }
}

/// The problem of a user, or of an address of theirs, with too many recent challenges.
pub fn too_many_challenges(until: Timestamp, limit: Limit, now: Timestamp) -> Problem {
    let policy = Policy {
        name: "challenges",
        quota: u32::try_from(limit.quota).unwrap_or(u32::MAX),
        window: limit.span,
    };
    Problem::new(Slug::TooManyAttempts)
        .detail("Too many sign-ins of this user were started recently. A sign-in that was already started can still be completed.")
        .retry_after(until.until(now), &policy)
}

/// The problem of a challenge, or of a contact that waits for its code, that was sent one a moment
/// ago.
pub fn resend_too_soon(at: Timestamp, now: Timestamp) -> Problem {
    let policy = Policy {
        name: "resend",
        quota: 1,
        window: code::COOLDOWN,
    };
    Problem::new(Slug::ResendTooSoon)
        .with("resend_in", at.until(now).as_secs())
        .retry_after(at.until(now), &policy)
}

/// The problem of a user who has changed the own phone, or mail address, often enough.
pub fn too_many_changes(until: Timestamp, limit: Limit, now: Timestamp) -> Problem {
    let policy = Policy {
        name: "changes",
        quota: u32::try_from(limit.quota).unwrap_or(u32::MAX),
        window: limit.span,
    };
    Problem::new(Slug::TooManyChanges).retry_after(until.until(now), &policy)
}

impl From<password::HashingFailed> for Problem {
    fn from(_: password::HashingFailed) -> Self {
        Self::internal("hashing a password", "argon2 failed")
    }
}
