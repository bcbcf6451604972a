//! A recipient of an agreement: opens the mailed link, proves what is asked, and the provider says
//! how it went.

use std::net::IpAddr;

use serde_json::json;

use super::proof::Prover;
use super::provider;
use crate::desk::{Ask, Desk};
use crate::ground::Account;

/// How a session goes.
const OUTCOMES: [&str; 8] = [
    "passed",
    "passed",
    "passed",
    "failed",
    "failed",
    "timed_out",
    "not_locatable",
    "provider_error",
];

/// A recipient.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub id: String,
    pub email: String,
    pub source: IpAddr,
    /// What they were asked last, as far as the sender knows.
    pub method: String,
    pub challenge: Option<String>,
    /// The sessions that were opened, the oldest first.
    pub sessions: Vec<String>,
}

/// What a recipient and the sender of their agreement act with.
pub(crate) struct Booth<'a> {
    pub desk: &'a Desk,
    pub account: &'a Account,
    pub agreement: &'a str,
}

impl Booth<'_> {
    /// Opens the mailed link; what is asked then is in the answer.
    pub async fn open(&self, signer: &mut Signer) {
        let Some(token) = self.desk.link(&signer.email).await else {
            return;
        };
        let ask = Ask::new("POST /v1/links/redeem")
            .with(json!({"token": token}))
            .about(&signer.id)
            .from(signer.source);
        let told = self.desk.ask(ask).await;
        signer.challenge = told.good("/challenge");
    }

    /// Opens a session of questions.
    pub async fn begin(&self, signer: &mut Signer) {
        let Some(challenge) = signer.challenge.clone() else {
            return;
        };
        let ask = Ask::new("POST /v1/kba/sessions")
            .with(json!({"challenge": challenge}))
            .about(&signer.id)
            .from(signer.source);
        match self.desk.ask(ask).await.good("/session") {
            Some(session) => signer.sessions.push(session),
            None => signer.challenge = None,
        }
    }

    /// The provider says how a session went: mostly of the newest, now and then twice, or of an
    /// older one.
    pub async fn answered(&self, signer: &Signer, outcome: Option<&str>) {
        let back = usize::from(self.desk.happens(18));
        let Some(session) = signer.sessions.iter().rev().nth(back) else {
            return;
        };
        let drawn = self.desk.one_of(&OUTCOMES).copied().unwrap_or("failed");
        let outcome = outcome.unwrap_or(drawn);
        let Some(id) = provider::tell(self.desk, session, outcome, None).await else {
            return;
        };
        if self.desk.happens(10) {
            provider::tell(self.desk, session, outcome, Some(id)).await;
        }
        self.poll(signer, session).await;
    }

    /// The page asks how it went.
    async fn poll(&self, signer: &Signer, session: &str) {
        let Some(challenge) = &signer.challenge else {
            return;
        };
        let ask =
            Ask::new("GET /v1/kba/sessions/{session}").at(format!("/v1/kba/sessions/{session}"));
        self.desk
            .ask(ask.by(challenge).about(&signer.id).from(signer.source))
            .await;
    }

    /// Proves what is asked, from the link on.
    pub async fn prove(&self, signer: &mut Signer) {
        self.open(signer).await;
        let Some(challenge) = signer.challenge.clone() else {
            return;
        };
        match signer.method.as_str() {
            "sms" => {
                let prover = Prover {
                    desk: self.desk,
                    about: &signer.id,
                    source: signer.source,
                };
                prover.by_sent_code(&challenge, "sms").await;
            }
            "kba" => {
                self.begin(signer).await;
                self.answered(signer, Some("passed")).await;
            }
            _ => {}
        }
    }

    /// The sender says that they have signed.
    pub async fn complete(&self, signer: &Signer) {
        let ask = self.of_recipient(
            "POST /v1/agreements/{id}/recipients/{recipient}/complete",
            signer,
            "/complete",
        );
        if self.desk.happens(10) {
            self.desk.twice(ask).await;
        } else {
            self.desk.ask(ask).await;
        }
    }

    /// The sender asks something else of them.
    pub async fn change(&self, signer: &mut Signer, to: &str) {
        let ask = self.of_recipient(
            "PATCH /v1/agreements/{id}/recipients/{recipient}",
            signer,
            "",
        );
        let told = self.desk.ask(ask.with(json!({"authentication": to}))).await;
        if told.status() == 200 {
            to.clone_into(&mut signer.method);
        }
    }

    /// A request of the sender about one of the recipients.
    pub fn of_recipient(&self, route: &'static str, signer: &Signer, rest: &str) -> Ask {
        let path = format!(
            "/v1/agreements/{}/recipients/{}{rest}",
            self.agreement, signer.id
        );
        Ask::new(route)
            .at(path)
            .by(&self.account.key)
            .about(&signer.id)
    }
}
