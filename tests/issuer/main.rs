//! An issuer of ID tokens, as a process of its own: it makes keys, publishes them over HTTP,
//! changes them when told to, and signs what it is given. What it is told to do wrong, it does
//! wrong.
//!
//! It prints its address, and ends when its standard input does.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Keys of both kinds, and their names.
struct Keys {
    number: u32,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
}

struct Issuer {
    keys: Keys,
    /// `good`, `huge`, `redirect`, `garbage`, `error`, `silent`
    mode: String,
    /// How often the keys were asked for.
    asked: u32,
}

type Shared = Arc<Mutex<Issuer>>;

impl Keys {
    fn new(number: u32) -> Self {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            number,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec,
        }
    }

    fn published(&self) -> Value {
        let public = self.rsa.public_key();
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "other", "x": "AA"},
            {"kty": "RSA", "use": "sig", "kid": format!("rsa-{}", self.number),
             "n": encode(public.modulus().big_endian_without_leading_zero()), "e": encode(public.exponent().big_endian_without_leading_zero())},
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": format!("ec-{}", self.number),
             "x": encode(&point[1..33]), "y": encode(&point[33..])},
        ]})
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        match algorithm {
            "RS256" => self
                .rsa
                .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                .unwrap(),
            "PS256" => self
                .rsa
                .sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                .unwrap(),
            "ES256" => return self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            // The oldest trick: the public key, which everybody has, as the secret of an HMAC.
            "HS256" => {
                let public = self.rsa.public_key().as_der().unwrap();
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_ref());
                return aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec();
            }
            _ => return Vec::new(),
        }
        signature
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn keys(State(issuer): State<Shared>) -> Response {
    let (mode, published) = {
        let mut issuer = issuer.lock().unwrap();
        issuer.asked += 1;
        (issuer.mode.clone(), issuer.keys.published())
    };
    match mode.as_str() {
        "huge" => Json(json!({"keys": [], "padding": "x".repeat(1 << 20)})).into_response(),
        "redirect" => (StatusCode::FOUND, [(LOCATION, "/elsewhere")], "").into_response(),
        "garbage" => "keys? what keys?".into_response(),
        "error" => (StatusCode::INTERNAL_SERVER_ERROR, Json(published)).into_response(),
        "silent" => std::future::pending().await,
        _ => Json(published).into_response(),
    }
}

/// Where a redirect would lead: to the right keys, so that following it would show.
async fn elsewhere(State(issuer): State<Shared>) -> Json<Value> {
    Json(issuer.lock().unwrap().keys.published())
}

/// Signs `{header, claims}`; the header's `alg` says how.
async fn sign(State(issuer): State<Shared>, Json(wish): Json<Value>) -> String {
    let issuer = issuer.lock().unwrap();
    let algorithm = wish["header"]["alg"].as_str().unwrap_or("RS256").to_owned();
    let kind = if algorithm == "ES256" { "ec" } else { "rsa" };
    let mut header =
        json!({"alg": algorithm, "typ": "JWT", "kid": format!("{kind}-{}", issuer.keys.number)});
    for (name, value) in wish["header"].as_object().into_iter().flatten() {
        header[name] = value.clone();
    }
    header
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let message = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(wish["claims"].to_string())
    );
    let signature = encode(issuer.keys.sign(&algorithm, message.as_bytes()));
    format!("{message}.{signature}")
}

/// New keys in the place of the old.
async fn rotate(State(issuer): State<Shared>) {
    let mut issuer = issuer.lock().unwrap();
    issuer.keys = Keys::new(issuer.keys.number + 1);
}

async fn mode(State(issuer): State<Shared>, headers: HeaderMap) {
    let mode = headers["mode"].to_str().unwrap().to_owned();
    issuer.lock().unwrap().mode = mode;
}

async fn asked(State(issuer): State<Shared>) -> String {
    issuer.lock().unwrap().asked.to_string()
}

#[tokio::main]
async fn main() {
    let issuer: Shared = Arc::new(Mutex::new(Issuer {
        keys: Keys::new(1),
        mode: "good".into(),
        asked: 0,
    }));
    let router = Router::new()
        .route("/keys", get(keys))
        .route("/elsewhere", get(elsewhere))
        .route("/sign", post(sign))
        .route("/rotate", post(rotate))
        .route("/mode", post(mode))
        .route("/asked", get(asked))
        .with_state(issuer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let ended =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        served = axum::serve(listener, router) => served.unwrap(),
        _ = ended => {}
    }
}
