//! An ID token, and what is asked of it.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::SKEW;
use super::keys::{IssuerKeys, KeysUnavailable, PublicJwk};
use crate::account::Sso;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::secret::{self, Fingerprint};

/// The longest token that is looked at.
pub const TOKEN_MAX: usize = 16 * 1024;
/// The longest `sub` (OpenID Connect Core, section 2).
const SUBJECT_MAX: usize = 255;
/// The longest that a token may still be good for: it is remembered for as long.
const LIFE_MAX: Span = Span::hours(24);

/// Why a token is refused. The caller is told none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says it")]
pub enum IdTokenRefusal {
    NotConfigured,
    Malformed,
    Algorithm,
    UnknownKey,
    Signature,
    Issuer,
    Audience,
    Expired,
    NotYet,
    LivesTooLong,
    Nonce,
    Used,
}

impl IdTokenRefusal {
    /// The reason, as the audit has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotConfigured => "sso-not-configured",
            Self::Malformed => "token-malformed",
            Self::Algorithm => "token-algorithm",
            Self::UnknownKey => "token-key-unknown",
            Self::Signature => "token-signature",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet-valid",
            Self::LivesTooLong => "token-lives-too-long",
            Self::Nonce => "token-nonce",
            Self::Used => "token-used",
        }
    }
}

/// A token that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedIdToken {
    /// Why.
    pub reason: IdTokenRefusal,
    /// Whether the issuer signed it: only then is it told of whom it names. What anybody could have
    /// written names nobody.
    pub is_signed: bool,
}

impl From<IdTokenRefusal> for RejectedIdToken {
    /// One of which nobody knows who signed it.
    fn from(reason: IdTokenRefusal) -> Self {
        Self {
            reason,
            is_signed: false,
        }
    }
}

/// What a token proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches for it.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// When the person last proved something to the issuer, as far as it says so.
    pub auth_time: Timestamp,
    /// When the token is over.
    pub expires_at: Timestamp,
    /// What the token is remembered by: the bytes that were signed. A signature can be written in
    /// more than one way.
    pub fingerprint: String,
}

/// What a token says, unproved.
#[derive(Clone, Debug, PartialEq)]
pub struct UnverifiedIdToken {
    header: Header,
    claims: Claims,
    fingerprint: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    auth_time: Option<f64>,
    nonce: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl UnverifiedIdToken {
    /// Reads a token without believing it.
    pub fn read(token: &str) -> Option<Self> {
        let (signed, _) = token
            .rsplit_once('.')
            .filter(|_| token.len() <= TOKEN_MAX)?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&secret::decode(header)?).ok()?;
        let claims: Claims = serde_json::from_slice(&secret::decode(claims)?).ok()?;
        let named = (1..=SUBJECT_MAX).contains(&claims.sub.chars().count())
            && !claims.sub.chars().any(char::is_control);
        named.then(|| Self {
            header,
            claims,
            fingerprint: Fingerprint::of(signed.as_bytes()).encode(),
        })
    }

    /// `iss`
    pub fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// `sub`
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// The algorithm, if it is one of those that are taken, and the token is of the kind that is.
    fn algorithm(&self) -> Result<Algorithm, IdTokenRefusal> {
        // An access token of the same issuer is not for us; and what a header calls critical, we do
        // not know.
        let kind = self
            .header
            .typ
            .as_ref()
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if !kind || self.header.crit.is_some() {
            return Err(IdTokenRefusal::Malformed);
        }
        match self.header.alg.as_str() {
            "RS256" => Ok(Algorithm::RS256),
            "PS256" => Ok(Algorithm::PS256),
            "ES256" => Ok(Algorithm::ES256),
            _ => Err(IdTokenRefusal::Algorithm),
        }
    }

    /// Holds what is said against what has to be.
    fn check(&self, sso: &Sso, nonce: Option<&str>, now: Timestamp) -> Result<(), IdTokenRefusal> {
        let claims = &self.claims;
        let audience = match &claims.aud {
            Audience::One(one) => *one == sso.audience,
            // A token for several names the one it was given to.
            Audience::Many(many) => {
                many.contains(&sso.audience) && (many.len() == 1 || claims.azp.is_some())
            }
        };
        let party = claims.azp.as_ref().is_none_or(|azp| *azp == sso.audience);
        let (expires, skewed) = (moment(claims.exp), now.plus(SKEW));
        let begun = [Some(claims.iat), claims.nbf]
            .into_iter()
            .flatten()
            .all(|begin| moment(begin) <= skewed);
        let nonce = nonce.is_none_or(|nonce| {
            claims
                .nonce
                .as_deref()
                .is_some_and(|said| secret::equal(said.as_bytes(), nonce.as_bytes()))
        });
        let verdicts = [
            (audience && party, IdTokenRefusal::Audience),
            (expires > now, IdTokenRefusal::Expired),
            (begun, IdTokenRefusal::NotYet),
            (expires <= now.plus(LIFE_MAX), IdTokenRefusal::LivesTooLong),
            (nonce, IdTokenRefusal::Nonce),
        ];
        verdicts
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, refused)| Err(refused))
    }

    fn identity(self, now: Timestamp) -> Identity {
        let proved = moment(self.claims.auth_time.unwrap_or(self.claims.iat));
        Identity {
            issuer: self.claims.iss,
            subject: self.claims.sub,
            auth_time: proved.min(now),
            expires_at: moment(self.claims.exp),
            fingerprint: self.fingerprint,
        }
    }
}

/// A NumericDate. What lies beyond all times is cut, and then compares as it should.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float is cut to the range of what it is cast to"
)]
fn moment(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0) as i64)
}

/// Proves a token: whose it is first, and then what it says.
pub async fn verify(
    token: &str,
    said: UnverifiedIdToken,
    sso: &Sso,
    nonce: Option<&str>,
    keys: &IssuerKeys,
    now: Timestamp,
) -> Result<Result<Identity, RejectedIdToken>, KeysUnavailable> {
    let algorithm = match said.algorithm() {
        Ok(algorithm) => algorithm,
        Err(refused) => return Ok(Err(refused.into())),
    };
    // What another issuer says costs no look at the keys.
    if said.claims.iss != sso.issuer {
        return Ok(Err(IdTokenRefusal::Issuer.into()));
    }
    let Some(key) = keys
        .find(&sso.jwks_uri, said.header.kid.as_deref(), algorithm, now)
        .await?
    else {
        return Ok(Err(IdTokenRefusal::UnknownKey.into()));
    };
    if !is_signed(token, &key, algorithm) {
        return Ok(Err(IdTokenRefusal::Signature.into()));
    }
    Ok(match said.check(sso, nonce, now) {
        Ok(()) => Ok(said.identity(now)),
        Err(reason) => Err(RejectedIdToken {
            reason,
            is_signed: true,
        }),
    })
}

fn is_signed(token: &str, key: &PublicJwk, algorithm: Algorithm) -> bool {
    let Some(key): Option<DecodingKey> = key.decoding() else {
        return false;
    };
    // The algorithm is pinned by the key's kind; what else there is to check was checked by our
    // clock.
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims::<&str>(&[]);
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<serde::de::IgnoredAny>(token, &key, &validation).is_ok()
}
