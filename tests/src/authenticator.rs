//! An authenticator app, as a person has one.

use serde_json::{Value, json};
use shared::kernel::clock::Timestamp;

use crate::{Answer, PASSWORD, Person, World};

/// An app that has read its secret.
#[derive(Clone, Debug)]
pub struct Authenticator {
    secret: String,
}

impl Authenticator {
    /// An app that read the answer of an enrolment.
    pub fn reading(begun: &Answer) -> Self {
        let uri = begun.text("otpauth_uri");
        let secret = uri
            .split("secret=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        assert_eq!(secret, begun.text("secret"));
        Self {
            secret: secret.to_owned(),
        }
    }

    /// What it shows at a moment.
    pub fn code_at(&self, moment: Timestamp) -> String {
        let secret = totp_rs::Secret::try_from_base32(&self.secret).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        totp.generate(u64::try_from(moment.as_secs()).unwrap())
            .to_string()
    }

    /// What it shows now.
    pub fn code(&self, world: &World) -> String {
        self.code_at(world.stack.clock().now())
    }
}

impl World {
    /// Signs somebody in by SMS; answers with the access token.
    pub async fn token(&self, person: &Person) -> String {
        let (challenge, code) = self.challenge_and_code(person).await;
        self.verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .text("access_token")
    }

    /// A request with an access token.
    pub async fn as_user(
        &self,
        token: &str,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = self.request(method, path).bearer_auth(token);
        self.send(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
        .await
    }

    /// Sets up an app with an access token; answers with the app and the recovery codes.
    pub async fn enrol(&self, token: &str) -> (Authenticator, Vec<String>) {
        let begun = self
            .as_user(token, reqwest::Method::POST, "/v1/factors/totp", None)
            .await
            .expect(201);
        let app = Authenticator::reading(&begun);
        let body = json!({"factor": begun.text("factor"), "code": app.code(self)});
        let done = self
            .as_user(
                token,
                reqwest::Method::POST,
                "/v1/factors/totp/confirm",
                Some(body),
            )
            .await
            .expect(200);
        (app, codes(&done))
    }

    /// Opens a challenge of somebody who may have any factor.
    pub async fn opened(&self, username: &str) -> Answer {
        self.login(username, PASSWORD).await.expect(200)
    }
}

/// The recovery codes of an answer.
pub fn codes(answer: &Answer) -> Vec<String> {
    let codes = answer.body["recovery_codes"].as_array().unwrap();
    codes
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}
