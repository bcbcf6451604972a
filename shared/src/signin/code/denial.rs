//! Why a code is not sent.

use super::PER_SOURCE;
use super::counters::Full;
use crate::kernel::clock::Timestamp;
use crate::signin::challenge::Refusal;

/// Why a code is not sent. Nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The challenge can not be gone on with, or the factor is locked.
    Challenge(Refusal),
    /// The account has the method off, or there is no address for it.
    MethodNotEnabled,
    /// The country is not on the deployment's list.
    DestinationNotAllowed,
    /// The challenge was sent a code a moment ago.
    TooSoon(Timestamp),
    /// The destination, the user or the client IP has had its share, or the account's texts have.
    Full(Full),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Challenge(refusal)
    }
}

/// Whether a text may go to that country: whether it is one of the deployment's.
pub fn allow_country(country: Option<&String>, countries: &[String]) -> Result<(), Denial> {
    if country.is_some_and(|country| countries.contains(country)) {
        Ok(())
    } else {
        Err(Denial::DestinationNotAllowed)
    }
}

/// Whether the client IP that was sent codes at these moments is sent one more.
pub fn allow_client_ip(sends: &[Timestamp], now: Timestamp) -> Result<(), Denial> {
    match PER_SOURCE.full_until(sends, now) {
        Some((until, limit)) => Err(Denial::Full(Full::Until(until, limit))),
        None => Ok(()),
    }
}
