//! How a second factor is proved: a code is asked for, read and typed, now and then wrong first,
//! now and then twice at once.

use std::net::IpAddr;

use local::Channel;
use serde_json::{Value, json};

use crate::desk::{Ask, Desk, Told};

/// Who proves something, and where from.
pub(crate) struct Prover<'a> {
    pub desk: &'a Desk,
    /// The user's or recipient's id.
    pub about: &'a str,
    pub source: IpAddr,
}

/// The methods that an answer offers.
pub(crate) fn offered(told: &Told) -> Vec<String> {
    let methods = told
        .value("/methods")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    methods
        .filter_map(|offer| offer.pointer("/method")?.as_str().map(str::to_owned))
        .collect()
}

/// A code of the same length that is not `code`.
pub(crate) fn another(code: &str) -> String {
    code.chars()
        .map(|digit| {
            if digit == '9' {
                '0'
            } else {
                char::from_u32(u32::from(digit) + 1).unwrap_or('0')
            }
        })
        .collect()
}

impl Prover<'_> {
    /// Asks for a code, once or, where the answer is not known, again.
    pub async fn issue(&self, challenge: &str, method: &str) -> Option<String> {
        let ask =
            Ask::new("POST /v1/codes").with(json!({"challenge": challenge, "method": method}));
        let ask = ask.about(self.about).from(self.source);
        let ask = if self.desk.happens(30) {
            ask.keyed(self.desk.place.ground.next())
        } else {
            ask
        };
        let told = if self.desk.happens(8) {
            self.desk.twice(ask).await.0
        } else {
            self.desk.ask(ask).await
        };
        let channel = if method == "sms" {
            Channel::Sms
        } else {
            Channel::Email
        };
        if told.status() == 202 || told.is_uncertain() {
            self.desk.code(&told, channel).await
        } else {
            None
        }
    }

    /// Types a code.
    pub async fn verify(&self, challenge: &str, method: &str, code: &str) -> Told {
        self.desk.ask(self.typed(challenge, method, code)).await
    }

    fn typed(&self, challenge: &str, method: &str, code: &str) -> Ask {
        let body = json!({"challenge": challenge, "method": method, "code": code});
        Ask::new("POST /v1/codes/verify")
            .with(body)
            .about(self.about)
            .from(self.source)
    }

    /// Proves `method` with a code that is sent.
    pub async fn by_sent_code(&self, challenge: &str, method: &str) -> Option<Told> {
        let desk = self.desk;
        let mut code = self.issue(challenge, method).await?;
        if desk.happens(60) {
            desk.place.ground.wait(self.about, true);
            desk.linger(desk.below(if desk.happens(30) { 200 } else { 60 }))
                .await;
            desk.place.ground.wait(self.about, false);
        }
        if desk.happens(10) {
            let newer = self.issue(challenge, method).await;
            if let Some(newer) = newer {
                let superseded = std::mem::replace(&mut code, newer);
                self.verify(challenge, method, &superseded).await;
            }
        }
        if desk.happens(12) {
            self.verify(challenge, method, &another(&code)).await;
        }
        Some(self.by_code(challenge, method, &code).await)
    }

    /// Proves `method` with a code that is known.
    pub async fn by_code(&self, challenge: &str, method: &str, code: &str) -> Told {
        if !self.desk.happens(15) {
            return self.verify(challenge, method, code).await;
        }
        let (one, other) = self.desk.twice(self.typed(challenge, method, code)).await;
        if one.status() == 200 { one } else { other }
    }
}
