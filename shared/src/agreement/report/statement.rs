//! What the service signs of a report, so that a tail that was cut off shows, and a chain that was
//! computed anew.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::part::Part;
use crate::kernel::clock::Timestamp;
use crate::kernel::json;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret;

/// The type of the statement's JWS: no access token is taken for one, and it for no access token.
pub const TYPE: &str = "audit-report+jwt";

/// What the service signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The agreement.
    pub agreement: String,
    /// Its account.
    pub account: String,
    /// Which part of the report the file is.
    pub part: Part,
    /// How many entries the chain has.
    pub count: u64,
    /// The hash of the last.
    pub head: String,
    /// When it was signed.
    pub issued_at: String,
    /// The hash of what the report says of the agreement and its recipients.
    pub summary: String,
}

/// The public keys, as `/.well-known/jwks.json` gives them. What else a JWK says is nothing to us,
/// and neither is a key of another kind (RFC 7517, sections 4 and 5).
#[derive(Debug, Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Jwk {
    kid: String,
    n: String,
    e: String,
}

impl Statement {
    pub(super) fn sign(&self, keyring: &Keyring, now: Timestamp) -> Result<String, KeyringError> {
        let unsigned = |kid: &str| {
            let header = json!({"alg": "RS256", "typ": TYPE, "kid": kid});
            // Strings and numbers always serialise.
            let claims = serde_json::to_vec(self).unwrap_or_default();
            format!(
                "{}.{}",
                secret::encode(header.to_string()),
                secret::encode(claims)
            )
        };
        let (message, signature) = keyring.sign(unsigned, now)?;
        Ok(format!("{message}.{signature}"))
    }

    /// What a signature is over, if one of the keys in the text of a JWKS made it; otherwise why
    /// not.
    pub(super) fn signed(signature: &str, jwks: &[u8]) -> Result<Self, &'static str> {
        let keys = json::read(jwks)
            .ok()
            .and_then(|jwks| serde_json::from_value::<Jwks>(jwks).ok());
        let keys = keys.ok_or("the file of keys is no JWKS of ours")?.keys;
        let header = jsonwebtoken::decode_header(signature).map_err(|_| "it is no JWS")?;
        if header.alg != Algorithm::RS256 || header.typ.as_deref() != Some(TYPE) {
            return Err("it is not a report's");
        }
        let mut keys = keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let key = keys.find(|key| header.kid.as_deref() == Some(key.kid.as_str()));
        let key = key.ok_or("none of the keys has the id that it names")?;
        let key = DecodingKey::from_rsa_components(&key.n, &key.e)
            .map_err(|_| "the key that it names is no RSA key")?;
        let decoded = jsonwebtoken::decode::<Value>(signature, &key, &without_end());
        let claims = decoded
            .map_err(|_| "the key that it names did not make it")?
            .claims;
        serde_json::from_value(claims).map_err(|_| "it is over something else than a report")
    }
}

/// A report is as good in ten years as today: it has no expiry, and no audience.
fn without_end() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}
