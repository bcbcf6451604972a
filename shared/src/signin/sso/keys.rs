//! The keys of issuers, remembered for an hour. A key that is not known is asked for, at most once
//! a minute: an issuer that changes its keys is followed at once, and tokens that name keys at
//! random cost it nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::outbound::{Limits, Outbound};

/// How long keys are believed without a look.
const FRESH: Span = Span::hours(1);
/// The wait after a look that was answered.
const PAUSE: Span = Span::minutes(1);
/// The wait after one that was not.
const PAUSE_AFTER_FAILURE: Span = Span::seconds(5);
/// The most issuers that are remembered; the one that was not asked for the longest makes room.
const ISSUERS_MAX: usize = 100;
/// The most keys of an issuer that are looked at.
const KEYS_MAX: usize = 64;

/// Nobody could say which keys an issuer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysUnavailable;

/// A public key, as an issuer publishes it (RFC 7517).
#[derive(Clone, Debug, Deserialize)]
pub struct PublicJwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicJwk {
    /// Whether it is one to check such signatures with.
    fn serves(&self, algorithm: Algorithm) -> bool {
        let (kty, name) = match algorithm {
            Algorithm::RS256 => ("RSA", "RS256"),
            Algorithm::PS256 => ("RSA", "PS256"),
            Algorithm::ES256 => ("EC", "ES256"),
            _ => return false,
        };
        let curve = kty != "EC" || self.crv.as_deref() == Some("P-256");
        let signs = self.r#use.as_deref().is_none_or(|r#use| r#use == "sig");
        self.kty == kty && curve && signs && self.alg.as_deref().is_none_or(|alg| alg == name)
    }

    /// The key as it is used; `None` where it is none, or of a kind that is not ours.
    pub fn decoding(&self) -> Option<DecodingKey> {
        match self.kty.as_str() {
            "RSA" => DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?).ok(),
            "EC" => DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?).ok(),
            _ => None,
        }
    }
}

/// The keys of an issuer's answer (RFC 7517, section 5). Keys of kinds that are not ours may stand
/// beside those that are; `None` where it is no set of keys.
pub fn read_keys(body: &[u8]) -> Option<Vec<PublicJwk>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let Set { keys } = serde_json::from_slice(body).ok()?;
    let readable = keys.into_iter().take(KEYS_MAX);
    Some(
        readable
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect(),
    )
}

/// The keys of the issuers of this process's accounts.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    outbound: Outbound,
    issuers: Arc<Mutex<BTreeMap<String, Remembered>>>,
}

#[derive(Debug)]
struct Remembered {
    used_at: Timestamp,
    /// Held while the issuer is asked: whoever comes meanwhile waits for that answer.
    slot: Arc<tokio::sync::Mutex<Slot>>,
}

/// What is known of an issuer's keys.
#[derive(Debug, Default)]
struct Slot {
    keys: Vec<PublicJwk>,
    fetched_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

/// What is to be done for a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Use,
    Ask,
    Refuse,
    Wait,
}

impl Slot {
    fn next(&self, known: bool, now: Timestamp) -> Step {
        let is_fresh = self.fetched_at.is_some_and(|at| at.plus(FRESH) > now);
        if known && is_fresh {
            return Step::Use;
        }
        let answered = self.fetched_at.is_some() && self.fetched_at == self.asked_at;
        let pause = if answered { PAUSE } else { PAUSE_AFTER_FAILURE };
        match self.asked_at {
            Some(asked) if asked.plus(pause) > now && answered => Step::Refuse,
            Some(asked) if asked.plus(pause) > now => Step::Wait,
            _ => Step::Ask,
        }
    }

    /// The key that a token names; where it names none, the only one that it can mean.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<PublicJwk> {
        let mut serving = self.keys.iter().filter(|key| key.serves(algorithm));
        match kid {
            Some(kid) => serving.find(|key| key.kid.as_deref() == Some(kid)).cloned(),
            None => serving.next().filter(|_| serving.next().is_none()).cloned(),
        }
    }
}

impl IssuerKeys {
    /// Fetched by this client.
    pub fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            issuers: Arc::default(),
        }
    }

    /// The key `kid` at `address`. `None`: the issuer has no such key.
    pub(super) async fn find(
        &self,
        address: &str,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<PublicJwk>, KeysUnavailable> {
        let slot = self.slot(address, now);
        let mut slot = slot.lock().await;
        let known = slot.find(kid, algorithm);
        match slot.next(known.is_some(), now) {
            Step::Use => return Ok(known),
            Step::Refuse => return Ok(None),
            Step::Wait => return Err(KeysUnavailable),
            Step::Ask => {}
        }
        slot.asked_at = Some(now);
        slot.keys = self.fetch(address).await?;
        slot.fetched_at = Some(now);
        Ok(slot.find(kid, algorithm))
    }

    fn slot(&self, address: &str, now: Timestamp) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if !issuers.contains_key(address) && issuers.len() >= ISSUERS_MAX {
            let oldest = issuers
                .iter()
                .min_by_key(|(_, issuer)| issuer.used_at)
                .map(|(address, _)| address.clone());
            oldest.and_then(|oldest| issuers.remove(&oldest));
        }
        let issuer = issuers
            .entry(address.to_owned())
            .or_insert_with(|| Remembered {
                used_at: now,
                slot: Arc::default(),
            });
        issuer.used_at = now;
        Arc::clone(&issuer.slot)
    }

    async fn fetch(&self, address: &str) -> Result<Vec<PublicJwk>, KeysUnavailable> {
        let answer = self
            .outbound
            .get(address, Limits::DEFAULT)
            .await
            .map_err(|no_answer| {
                tracing::warn!(?no_answer, "keys of an SSO issuer could not be fetched; its sign-ins are refused; check the issuer's jwks_uri");
                KeysUnavailable
            })?;
        let keys = read_keys(&answer.body).filter(|_| answer.status == 200);
        keys.ok_or_else(|| {
            tracing::warn!(http.status = answer.status, "jwks_uri of an SSO issuer did not return a key set; its sign-ins are refused; check the issuer's jwks_uri");
            KeysUnavailable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_asked_for_when_they_are_old_or_unknown_and_not_all_the_time() {
        let at = |seconds| Timestamp::from_millis(1_800_000_000_000).plus(Span::seconds(seconds));
        let slot = |fetched: Option<i64>, asked: Option<i64>| Slot {
            keys: Vec::new(),
            fetched_at: fetched.map(at),
            asked_at: asked.map(at),
        };
        assert_eq!(slot(None, None).next(false, at(0)), Step::Ask);
        let answered = slot(Some(0), Some(0));
        assert_eq!(answered.next(true, at(3599)), Step::Use);
        assert_eq!(answered.next(true, at(3600)), Step::Ask);
        assert_eq!(answered.next(false, at(59)), Step::Refuse);
        assert_eq!(answered.next(false, at(60)), Step::Ask);
        let failed = slot(None, Some(0));
        assert_eq!(
            (failed.next(false, at(4)), failed.next(false, at(5))),
            (Step::Wait, Step::Ask)
        );
        // A look that failed does not make what was known unknown.
        let failed_later = slot(Some(0), Some(100));
        assert_eq!(
            (
                failed_later.next(true, at(101)),
                failed_later.next(false, at(101))
            ),
            (Step::Use, Step::Wait)
        );
        assert_eq!(failed_later.next(false, at(105)), Step::Ask);
    }
}
