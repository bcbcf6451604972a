//! The accounts' issuer of ID tokens, on this machine. It signs for whoever says that they are
//! somebody: it is the storm's own.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use shared::kernel::clock::Timestamp;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::kernel::secret::encode;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::Stranded;

/// What the accounts are to it.
const AUDIENCE: &str = "countersign-storm";
/// For how many seconds a token is good.
const LIFETIME: i64 = 300;

/// The issuer. Its key is made as one of the service's own is; it is gone once this is dropped.
#[derive(Debug)]
pub(crate) struct Issuer {
    origin: String,
    keys: Keyring,
    serving: AbortHandle,
}

impl Issuer {
    /// Starts it.
    pub async fn start(now: Timestamp, entropy: &Entropy) -> Result<Self, Stranded> {
        let stranded =
            |error: &dyn std::fmt::Display| Stranded::new(format!("the issuer: {error}"));
        let document = keyring::make(now, entropy).map_err(|error| stranded(&error))?;
        let keys = Keyring::parse(document.expose()).map_err(|error| stranded(&error))?;
        let published: Vec<Value> = keys
            .public_keys()
            .map(|key| json!({"kty": "RSA", "kid": key.id, "use": "sig", "n": key.n, "e": key.e}))
            .collect();
        let published = json!({"keys": published}).to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|error| stranded(&error))?;
        let origin = format!(
            "http://{}",
            listener.local_addr().map_err(|error| stranded(&error))?
        );
        let router = Router::new().route(
            "/keys",
            get(async move || ([("content-type", "application/json")], published)),
        );
        let serving =
            tokio::spawn(async move { drop(axum::serve(listener, router).await) }).abort_handle();
        Ok(Self {
            origin,
            keys,
            serving,
        })
    }

    /// What an account's settings name it by.
    pub fn settings(&self) -> Value {
        json!({"issuer": self.origin, "audience": AUDIENCE, "jwks_uri": format!("{}/keys", self.origin)})
    }

    /// A token for whom it knows by `subject`: no two are the same.
    pub fn token(&self, subject: &str, entropy: &Entropy, now: Timestamp) -> Option<String> {
        let (at, unique) = (now.as_secs(), encode(entropy.bytes::<9>()));
        let claims = json!({"iss": self.origin, "aud": AUDIENCE, "sub": subject, "iat": at, "exp": at + LIFETIME, "jti": unique});
        let claims = encode(claims.to_string());
        let signed = |kid: &str| {
            format!(
                "{}.{claims}",
                encode(json!({"alg": "RS256", "kid": kid}).to_string())
            )
        };
        let (signed, signature) = self.keys.sign(signed, now).ok()?;
        Some(format!("{signed}.{signature}"))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
