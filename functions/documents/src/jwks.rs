//! `GET /.well-known/jwks.json`

use serde::Serialize;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::PublicKey;
use shared::store::app::App;
use shared::web::http::Reply;
use utoipa::ToSchema;

use crate::json;

/// The public keys of the access tokens (RFC 7517), those to come included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Jwks)]
pub struct Response {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// `RSA`
    #[schema(example = "RSA")]
    pub kty: &'static str,
    /// `sig`
    #[schema(example = "sig")]
    pub r#use: &'static str,
    /// `RS256`
    #[schema(example = "RS256")]
    pub alg: &'static str,
    /// The key's id, as a token's header names it.
    #[schema(example = "s3q2Xw8Zt")]
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    #[schema(example = "AQAB")]
    pub e: String,
}

pub(crate) async fn handle(app: &App, now: Timestamp) -> Reply {
    let keyring = app.keyrings.current(now).await;
    json(&Response {
        keys: keyring.public_keys().map(Jwk::of).collect(),
    })
}

impl Jwk {
    fn of(key: &PublicKey) -> Self {
        Self {
            kty: "RSA",
            r#use: "sig",
            alg: "RS256",
            kid: key.id.clone(),
            n: key.n.clone(),
            e: key.e.clone(),
        }
    }
}
