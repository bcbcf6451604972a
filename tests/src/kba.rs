//! Agreements whose recipients are asked by the provider, as they stand once their links were
//! opened: put into the table by hand, so that what is tried here is the sessions alone.

use crate::path;
use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use shared::account::{Kba, Locale, Settings};
use shared::agreement::{
    Agreement, Authentication, Frozen, KbaState, LIFETIME, Recipient, RecipientStatus, Sender,
    Status, Ticket, Viewings,
};
use shared::kernel::ids::{AccountId, AgreementId, RecipientId};
use shared::ledger::Balance;
use shared::signin::challenge::{Challenge, Place};
use shared::store::audit::Head;
use shared::store::dynamo::{Put, Update, keys, read};

use crate::{Answer, World};

/// An agreement that is out for signature, and a challenge of each of its recipients.
pub struct Asked {
    /// The agreement.
    pub agreement: AgreementId,
    /// Its account.
    pub account: AccountId,
    /// Its recipients.
    pub recipients: Vec<RecipientId>,
    /// Their challenges.
    pub challenges: Vec<String>,
}

impl World {
    /// An agreement with so many recipients, each with a transaction reserved and a challenge open.
    pub async fn asked(&self, recipients: u32, kba: impl FnOnce(&mut Kba)) -> Asked {
        let app = self.stack.app();
        let (now, entropy) = (app.clock.now(), &app.entropy);
        let account: AccountId = self.account.parse().unwrap();
        let mut settings = Settings::default().kba;
        kba(&mut settings);
        let id = AgreementId::new(now, entropy);
        let agreement = Agreement {
            id,
            account,
            organisation: "Alder & Pine".into(),
            locale: Locale::En,
            title: "Lease".into(),
            group: None,
            sender: Sender {
                email: "sales@alder.example".into(),
                name: None,
            },
            status: Status::OutForSignature,
            created_at: now,
            expires_at: now.plus(LIFETIME),
            kba: Frozen::from(&settings),
            recipients,
            completed: 0,
            closure: None,
            head: Head::default(),
        };
        let mut writes = vec![
            Put::create(keys::agreement(id), &agreement)
                .unwrap()
                .look_at(agreement.expires_at)
                .into(),
        ];
        let mut asked = Asked {
            agreement: id,
            account,
            recipients: Vec::new(),
            challenges: Vec::new(),
        };
        let ring = app.keyrings.current(now).await;
        for place in 0..recipients {
            let recipient = RecipientId::new(now, entropy);
            let (ticket, token) =
                Ticket::issue(account, id, recipient, &ring, entropy, now).unwrap();
            let state = KbaState {
                hold: serde_json::from_value(json!(0)).unwrap(),
                ..KbaState::default()
            };
            let item = Recipient {
                id: recipient,
                agreement: id,
                place,
                email: format!("recipient{place}@example.com"),
                name: Some(format!("Recipient {place}")),
                country: Some("US".into()),
                phone: None,
                phone_country: None,
                authentication: Authentication::Kba,
                status: RecipientStatus::Pending,
                kba: state,
                viewing_locked_at: None,
                links: Vec::new(),
                resends: Vec::new(),
                openings: Vec::new(),
                viewings: Viewings::default(),
                factors: BTreeMap::new(),
                challenges: BTreeMap::from([(ticket.name.clone(), Challenge::open(now))]),
                version: 0,
            };
            writes.push(
                Put::create(keys::recipient(id, recipient), &item)
                    .unwrap()
                    .into(),
            );
            asked.recipients.push(recipient);
            asked.challenges.push(token.expose().clone());
        }
        let before = self.balance().await;
        let balance = Balance {
            reserved: before.reserved + i64::from(recipients),
            ..before
        };
        writes.push(
            Put::replace(keys::balance(account, 0), &balance)
                .unwrap()
                .into(),
        );
        self.stack.table().transact(writes).await.unwrap();
        asked
    }

    /// The account's balance, on its one shard.
    pub async fn balance(&self) -> Balance {
        let account: AccountId = self.account.parse().unwrap();
        let item = self
            .stack
            .table()
            .get(keys::balance(account, 0))
            .await
            .unwrap();
        item.map(|item| read(item).unwrap()).unwrap_or_default()
    }

    /// An agreement as it stands.
    pub async fn agreement(&self, asked: &Asked) -> Agreement {
        read(
            self.stack
                .table()
                .get(keys::agreement(asked.agreement))
                .await
                .unwrap()
                .unwrap(),
        )
        .unwrap()
    }

    /// A recipient as it stands.
    pub async fn recipient(&self, asked: &Asked, place: usize) -> Recipient {
        let key = keys::recipient(asked.agreement, asked.recipients[place]);
        read(self.stack.table().get(key).await.unwrap().unwrap()).unwrap()
    }

    /// Makes a recipient one who has completed.
    pub async fn completed(&self, asked: &Asked, place: usize) {
        let key = keys::recipient(asked.agreement, asked.recipients[place]);
        let done = Update::of(key).set(path("status"), "completed");
        self.stack
            .table()
            .transact(vec![done.into()])
            .await
            .unwrap();
    }

    /// Another challenge of a recipient, as opening the link again makes one.
    pub async fn another_challenge(&self, asked: &Asked, place: usize) -> String {
        let app = self.stack.app();
        let now = app.clock.now();
        let ring = app.keyrings.current(now).await;
        let ticket = Ticket::issue(
            asked.account,
            asked.agreement,
            asked.recipients[place],
            &ring,
            &app.entropy,
            now,
        )
        .unwrap();
        let (ticket, token) = ticket;
        let challenge = shared::store::dynamo::document(&Challenge::open(now)).unwrap();
        let place = path("challenges").member(ticket.name.as_str());
        let opened = Update::of(ticket.key()).set(place, challenge);
        self.stack
            .table()
            .transact(vec![opened.into()])
            .await
            .unwrap();
        token.expose().clone()
    }

    /// Asks for a session.
    pub async fn open_session(&self, challenge: &str) -> Answer {
        self.post("/v1/kba/sessions", json!({"challenge": challenge}))
            .await
    }

    /// Opens a session; answers with its id.
    pub async fn session(&self, challenge: &str) -> String {
        self.open_session(challenge)
            .await
            .expect(201)
            .text("session")
    }

    /// Looks how a session went.
    pub async fn look(&self, challenge: &str, session: &str) -> Answer {
        self.send(
            self.request(Method::GET, &format!("/v1/kba/sessions/{session}"))
                .bearer_auth(challenge),
        )
        .await
    }

    /// Where a session stands.
    pub async fn session_status(&self, challenge: &str, session: &str) -> String {
        self.look(challenge, session)
            .await
            .expect(200)
            .text("status")
    }

    /// The audit chain of an agreement, the oldest entry first.
    pub async fn chain(&self, asked: &Asked) -> Vec<Value> {
        let pk = keys::audit_chain(asked.account, &asked.agreement.to_string());
        let page = self.stack.table().query(pk, None, 1000).await.unwrap();
        let entries: Vec<shared::store::audit::Entry> = page
            .items
            .into_iter()
            .map(|item| read(item).unwrap())
            .collect();
        assert_eq!(shared::store::audit::first_broken(&entries), None);
        entries
            .iter()
            .map(|entry| serde_json::to_value(entry).unwrap())
            .collect()
    }

    /// A message to the callback, signed as the provider would: `id` and the time of now.
    pub fn signed(&self, id: &str, body: &[u8]) -> reqwest::RequestBuilder {
        self.signed_at(id, self.stack.clock().now().as_secs(), body)
    }

    /// The same, at another time. Bytes that are no text are signed as they are.
    pub fn signed_at(&self, id: &str, at: i64, body: &[u8]) -> reqwest::RequestBuilder {
        let secret = self.stack.provider().webhook_secret().expose();
        let key = STANDARD
            .decode(secret.trim_start_matches("whsec_"))
            .unwrap();
        let message = [format!("{id}.{at}.").as_bytes(), body].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
        let request = self
            .request(Method::POST, "/v1/kba/callback")
            .header("content-type", "application/json");
        let request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", at);
        request
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
            .body(body.to_vec())
    }

    /// Lets the provider answer; the callback has to be taken.
    pub async fn provider_says(&self, session: &str, outcome: &str) -> Value {
        let said = self
            .post(
                &format!("/_local/kba/{session}"),
                json!({"outcome": outcome}),
            )
            .await
            .expect(200)
            .body;
        assert_eq!(said["status"], 204, "{said}");
        said
    }
}
