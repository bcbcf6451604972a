//! An issuer of ID tokens, which runs as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::world::{Answer, World};

/// Where the clock of every world begins.
pub const NOW: i64 = 1_800_000_000;
/// What the account is to its issuer.
pub const AUDIENCE: &str = "countersign-portal";

/// A running issuer. It ends with the test.
pub struct Issuer {
    process: Child,
    /// Its URL, which is its name too.
    pub address: String,
}

impl Issuer {
    /// Starts the program at `path`: only the suites themselves know where it was built.
    pub fn start(path: &str) -> Self {
        let mut process = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            process,
            address: address.trim().to_owned(),
        }
    }

    /// The same, as the issuer of a world's account.
    pub async fn of(world: &World, path: &str) -> Self {
        let issuer = Self::start(path);
        issuer.vouches_in(world).await;
        issuer
    }

    /// From now on the account takes its word.
    pub async fn vouches_in(&self, world: &World) {
        let keys = format!("{}/keys", self.address);
        let _ = world
            .settings(
                json!({"sso": {"issuer": self.address, "audience": AUDIENCE, "jwks_uri": keys}}),
            )
            .await;
    }

    async fn post(&self, path: &str, mode: &str, body: &Value) -> String {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.address))
            .header("mode", mode)
            .json(body);
        request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Signs whatever it is given.
    pub async fn sign(&self, header: Value, claims: Value) -> String {
        self.post("/sign", "", &json!({"header": header, "claims": claims}))
            .await
    }

    /// A token that is right.
    pub async fn token(&self, subject: &str) -> String {
        self.sign(json!({}), self.claims(subject)).await
    }

    /// A right token's claims.
    pub fn claims(&self, subject: &str) -> Value {
        self.claims_at(subject, NOW)
    }

    /// The same, of a token that is issued at a moment. Two of one second differ.
    pub fn claims_at(&self, subject: &str, now: i64) -> Value {
        let unique =
            shared::kernel::secret::encode(shared::kernel::entropy::Entropy::system().bytes::<9>());
        json!({"iss": self.address, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300, "jti": unique})
    }

    /// Signs with other keys from now on.
    pub async fn rotate(&self) {
        let _ = self.post("/rotate", "", &Value::Null).await;
    }

    /// Answers otherwise from now on: see the program.
    pub async fn mode(&self, mode: &str) {
        let _ = self.post("/mode", mode, &Value::Null).await;
    }

    /// How often it was asked for its keys.
    pub async fn asked(&self) -> u32 {
        reqwest::get(format!("{}/asked", self.address))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl World {
    /// Signs in by an ID token.
    pub async fn login_by(&self, token: &str) -> Answer {
        self.post(
            "/v1/login",
            json!({"account": self.account, "id_token": token}),
        )
        .await
    }
}
