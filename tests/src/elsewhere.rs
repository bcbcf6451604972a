//! Requests from addresses of their own: the world stands behind a proxy that it trusts, and each
//! of its people says where they are.

use reqwest::Method;
use serde_json::{Value, json};
use shared::kernel::client_ip::TrustedProxies;
use shared::signin::user::User;
use shared::signin::user::credential::Credential;
use shared::signin::user::known::{HashedIp, Known, Origin};
use shared::store::dynamo::{keys, read};

use crate::{Answer, PASSWORD, Person, World, reading::token_of};

/// Where somebody is.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The world.
    pub world: &'a World,
    address: &'a str,
}

impl World {
    /// A world whose people are at addresses of their own: see [`World::at`].
    pub async fn of_many_places() -> Self {
        Self::with(|options| options.config.trusted_proxies = TrustedProxies::read("127.0.0.1"))
            .await
    }

    /// Whoever asks from `address`.
    pub const fn at<'a>(&'a self, address: &'a str) -> At<'a> {
        At {
            world: self,
            address,
        }
    }

    /// Opens so many challenges of somebody, up to fifty: from this machine, and from addresses of
    /// its own for every twenty more.
    pub async fn challenges(&self, person: &Person, many: usize) -> Vec<String> {
        let mut challenges = Vec::new();
        for number in 0..many {
            let challenge = match number / 20 {
                0 => self.challenge(person).await,
                place => {
                    self.at(&format!("198.51.100.{place}"))
                        .challenge(person)
                        .await
                }
            };
            challenges.push(challenge);
        }
        challenges
    }

    /// The user's item, as it is stored.
    pub async fn stored(&self, person: &Person) -> User {
        let item = self
            .stack
            .table()
            .get(keys::user(person.id.parse().unwrap()))
            .await
            .unwrap();
        read(item.unwrap()).unwrap()
    }

    /// What stands for a username.
    pub async fn credential(&self, username: &str) -> Credential {
        let key = keys::name(self.account.parse().unwrap(), username);
        read(self.stack.table().get(key).await.unwrap().unwrap()).unwrap()
    }

    /// Whether a list has an address.
    pub async fn origin(&self, person: &Person, known: &Known, address: &str) -> Origin {
        let app = self.stack.app();
        let now = app.clock.now();
        let keyring = app.keyrings.current(now).await;
        known.origin(
            &HashedIp::of(
                person.id.parse().unwrap(),
                address.parse().unwrap(),
                &keyring,
                now,
            )
            .unwrap(),
        )
    }

    /// Where a request from `address` would come from, by the user's own list and by the
    /// credential's copy: the same.
    pub async fn origin_of(&self, person: &Person, address: &str) -> Origin {
        let user = self.stored(person).await;
        let copy = self.credential(&user.username).await.known;
        let by_both = [
            self.origin(person, &user.known, address).await,
            self.origin(person, &copy, address).await,
        ];
        assert_eq!(by_both[0], by_both[1], "the copy says what the list says");
        by_both[0]
    }
}

impl At<'_> {
    /// A request from here.
    pub async fn send(
        self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let request = self
            .world
            .request(method, path)
            .header("x-forwarded-for", self.address);
        let request = bearer
            .into_iter()
            .fold(request, reqwest::RequestBuilder::bearer_auth);
        self.world
            .send(
                body.into_iter()
                    .fold(request, |request, body| request.json(&body)),
            )
            .await
    }

    /// A request by anybody.
    pub async fn post(self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, Some(body)).await
    }

    /// Tries a password.
    pub async fn login(self, username: &str, password: &str) -> Answer {
        self.post(
            "/v1/login",
            json!({"account": self.world.account, "username": username, "password": password}),
        )
        .await
    }

    /// Opens a challenge with the password.
    pub async fn challenge(self, person: &Person) -> String {
        self.login(&person.username, PASSWORD)
            .await
            .expect(200)
            .text("challenge")
    }

    /// Asks for a code.
    pub async fn issue(self, challenge: &str, method: &str) -> Answer {
        self.post(
            "/v1/codes",
            json!({"challenge": challenge, "method": method}),
        )
        .await
    }

    /// Tries a code.
    pub async fn verify(self, challenge: &str, method: &str, code: &str) -> Answer {
        self.post(
            "/v1/codes/verify",
            json!({"challenge": challenge, "method": method, "code": code}),
        )
        .await
    }

    /// Signs in by SMS; answers with the token.
    pub async fn sign_in(self, person: &Person) -> String {
        let challenge = self.challenge(person).await;
        let _ = self.issue(&challenge, "sms").await.expect(202);
        let code = self.world.last_code().await;
        self.verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .text("access_token")
    }

    /// Opens the link that was mailed last.
    pub async fn open_last_link(self) -> Answer {
        let token = token_of(&self.world.outbox().await.pop().unwrap());
        self.post("/v1/links/redeem", json!({"token": token})).await
    }
}
