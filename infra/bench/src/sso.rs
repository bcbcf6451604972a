//! Proof of an ID token: of an issuer that the account had not when the user was given a subject,
//! and good once. By [`crate::inside`], because a deployed function asks issuers by https alone.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use login::{State, handle};
use serde_json::{Value, json};
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::kernel::outbound::Outbound;
use shared::kernel::secret::encode;
use shared::signin::sso::IssuerKeys;
use tokio::net::TcpListener;

use crate::event::Event;
use crate::world::Way;
use crate::{Fault, inside};

const SUBJECT: &str = "00u5f6g7h8";
const AUDIENCE: &str = "countersign";

/// Signs somebody in by an ID token, and attempts the same token again.
pub(crate) async fn signed_in(way: &mut Way<'_>) -> Result<(), Fault> {
    let world = way.world();
    let person = world.person().await?;
    let subject = Event::patch(
        format!("/v1/users/{}", person.id),
        json!({ "sso_subject": SUBJECT }),
    );
    way.ask("users", &subject.bearer(&world.key))
        .await?
        .expect(200)?;
    let issuer = Issuer::start().await?;
    let sso = json!({ "issuer": issuer.origin, "audience": AUDIENCE, "jwks_uri": format!("{}/keys", issuer.origin) });
    world
        .ask(&Event::patch("/v1/settings", json!({ "sso": sso })).bearer(&world.key))
        .await?
        .expect(200)?;
    let app = inside::app(world, "login").await?;
    let issuers = IssuerKeys::new(Outbound::new(&app.config));
    let state = Arc::new(State { app, issuers });
    let event = Event::post(
        "/v1/login",
        json!({ "account": world.account, "id_token": issuer.token()? }),
    );
    for expected in [200, 401] {
        let state = Arc::clone(&state);
        let (status, body) = inside::ask(&event, |call| handle(state, call)).await?;
        if status != expected {
            return Err(format!("{expected} was expected: {status} {body}").into());
        }
    }
    world
        .ask(&Event::patch("/v1/settings", json!({ "sso": null })).bearer(&world.key))
        .await?
        .expect(200)
        .map(drop)
}

/// An issuer of ID tokens on this machine. Its key is made as one of ours is.
struct Issuer {
    origin: String,
    keys: Keyring,
}

impl Issuer {
    async fn start() -> Result<Self, Fault> {
        let keys =
            Keyring::parse(keyring::make(Clock::system().now(), &Entropy::system())?.expose())?;
        let published: Vec<Value> = keys
            .public_keys()
            .map(|key| json!({ "kty": "RSA", "kid": key.id, "use": "sig", "n": key.n, "e": key.e }))
            .collect();
        let published = json!({ "keys": published }).to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let answer = move || async move { ([("content-type", "application/json")], published) };
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { origin, keys })
    }

    fn token(&self) -> Result<String, Fault> {
        let now = Clock::system().now();
        let at = now.as_secs();
        let claims = json!({ "iss": self.origin, "sub": SUBJECT, "aud": AUDIENCE, "iat": at, "exp": at + 300 });
        let claims = encode(claims.to_string());
        let signed = |kid: &str| {
            format!(
                "{}.{claims}",
                encode(json!({ "alg": "RS256", "kid": kid }).to_string())
            )
        };
        let (signed, signature) = self.keys.sign(signed, now)?;
        Ok(format!("{signed}.{signature}"))
    }
}
