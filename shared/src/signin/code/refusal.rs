//! Why a code is not sent.

use super::PER_CLIENT_IP;
use super::counters::Full;
use crate::kernel::clock::Timestamp;
use crate::signin::challenge::ChallengeRefusal;

/// Why a code is not sent. Nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRefusal {
    /// The challenge can not be gone on with, or the factor is locked.
    Challenge(ChallengeRefusal),
    /// The account has the method off, or there is no address for it.
    MethodNotEnabled,
    /// The country is not on the deployment's list.
    DestinationNotAllowed,
    /// The challenge was sent a code a moment ago.
    TooSoon(Timestamp),
    /// The destination, the user or the client IP has reached its limit, or the account's SMS have.
    Full(Full),
}

impl From<ChallengeRefusal> for SendRefusal {
    fn from(refusal: ChallengeRefusal) -> Self {
        Self::Challenge(refusal)
    }
}

/// Whether an SMS may go to that country: whether it is one of the deployment's.
pub fn allow_country(country: Option<&String>, countries: &[String]) -> Result<(), SendRefusal> {
    if country.is_some_and(|country| countries.contains(country)) {
        Ok(())
    } else {
        Err(SendRefusal::DestinationNotAllowed)
    }
}

/// Whether the client IP that was sent codes at these moments is sent one more.
pub fn allow_client_ip(sends: &[Timestamp], now: Timestamp) -> Result<(), SendRefusal> {
    match PER_CLIENT_IP.full_until(sends, now) {
        Some((until, limit)) => Err(SendRefusal::Full(Full::Until(until, limit))),
        None => Ok(()),
    }
}
