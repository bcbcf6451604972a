//! The service, and what the reference says of it.

use std::collections::BTreeMap;

use local::{Mode, Service};
use reqwest::{Method as Verb, RequestBuilder};
use serde_json::{Value, json};
use shared::account::Shards;
use shared::agreement::{Agreement, Recipient};
use shared::kernel::ids::{AgreementId, RecipientId};
use shared::ledger::upkeep::Tools;
use shared::store::dynamo::{keys, read};
use tests::agreements::{clean, links};
use tests::{Answer, OPERATOR, World};

use crate::kba_machine::books::{CONTACT, THRESHOLD};
use crate::kba_machine::nouns::{Expected, Method, Outcome, Request, Settings};
use crate::kba_machine::reference::{Reference, email, sender};
use crate::kba_machine::{Luck, reached};

/// An agreement that was sent: its id, and its recipients'.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: AgreementId,
    pub recipients: Vec<RecipientId>,
}

/// What became of a request that was not answered, if one was not.
#[derive(Debug, Default)]
struct Unheard {
    /// Whether it took effect.
    moved: bool,
    /// The recipient's latest session after it.
    session: Option<String>,
}

pub struct Trial {
    pub world: World,
    pub reference: Reference,
    pub sent: BTreeMap<u8, Sent>,
    challenges: Vec<String>,
    pub sessions: Vec<String>,
    /// The provider's messages: of which session, and what they say.
    messages: Vec<(usize, Outcome)>,
}

impl Trial {
    /// The account's balance is kept in so many shards. Which of them a sending takes from is not
    /// the reference's to know, and with it the moment when the threshold is passed: where there
    /// are several, nobody asked to be told.
    pub async fn begin(shards: u8) -> Self {
        let world = World::new().await;
        let settings = Settings {
            enabled: true,
            name_required: false,
            max_attempts: Some(3),
            on_view: true,
        };
        let threshold = if shards == 1 { THRESHOLD } else { 0 };
        let _ = world
            .settings(json!({"contacts": [CONTACT], "quota": {"low_balance": threshold}}))
            .await;
        let app = world.stack.app();
        let tools = Tools {
            table: &app.table,
            entropy: &app.entropy,
            clock: &app.clock,
        };
        tools
            .grow(world.account.parse().unwrap(), Shards::new(shards).unwrap())
            .await
            .unwrap();
        let trial = Self {
            world,
            reference: Reference::new(settings, threshold),
            sent: BTreeMap::new(),
            challenges: Vec::new(),
            sessions: Vec::new(),
            messages: Vec::new(),
        };
        let _ = trial.world.settings(of_settings(settings)).await;
        trial
    }

    /// All recipients there are.
    pub fn recipients(&self) -> Vec<(u8, usize)> {
        let of = |(key, sent): (&u8, &Sent)| {
            (0..sent.recipients.len())
                .map(|place| (*key, place))
                .collect::<Vec<_>>()
        };
        self.sent.iter().flat_map(of).collect()
    }

    pub const fn challenges(&self) -> usize {
        self.challenges.len()
    }

    /// The challenge that a session was opened with.
    pub fn challenge_of(&self, session: usize) -> &str {
        &self.challenges[self.reference.sessions[session].challenge]
    }

    pub const fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The request, and again where nobody heard what became of it.
    async fn ask(
        &self,
        of: Option<(u8, usize)>,
        luck: Luck,
        request: impl Fn() -> RequestBuilder,
    ) -> (Answer, Unheard) {
        let before = self.head(of).await;
        let faults = self.world.stack.faults();
        match luck {
            Luck::Good => {}
            Luck::Struck(mode, after, count) => faults.set(Service::Dynamodb, mode, after, count),
        }
        let answer = self.world.send(request()).await;
        self.calm();
        if !matches!(answer.slug(), "service-unavailable" | "conflict") {
            return (answer, Unheard::default());
        }
        assert!(luck != Luck::Good, "{}", answer.body);
        let mut unheard = Unheard {
            moved: self.head(of).await != before,
            session: None,
        };
        reached(format!(
            "unheard: {}",
            if unheard.moved {
                "took effect"
            } else {
                "nothing seen"
            }
        ));
        if let Some((key, place)) = of.filter(|_| unheard.moved) {
            let id = keys::recipient(self.sent[&key].id, self.sent[&key].recipients[place]);
            let recipient: Recipient =
                read(self.world.stack.table().get(id).await.unwrap().unwrap()).unwrap();
            unheard.session = recipient.kba.session.map(|session| session.to_string());
        }
        (self.world.send(request()).await, unheard)
    }

    /// No fault strikes any more, unless SES is down.
    fn calm(&self) {
        let faults = self.world.stack.faults();
        faults.clear();
        if self.reference.mails.down {
            faults.set(Service::Ses, Mode::Refused, 0, u32::MAX);
        }
    }

    /// How far the chain of an agreement has gone: every change moves it.
    async fn head(&self, of: Option<(u8, usize)>) -> u64 {
        let Some((key, _)) = of else { return 0 };
        let item = self
            .world
            .stack
            .table()
            .get(keys::agreement(self.sent[&key].id))
            .await
            .unwrap();
        read::<Agreement>(item.unwrap()).unwrap().head.sequence
    }

    fn backend(&self, verb: Verb, path: &str, body: Option<&Value>) -> RequestBuilder {
        let request = self.world.request(verb, path).bearer_auth(&self.world.key);
        body.into_iter().fold(request, RequestBuilder::json)
    }

    /// A request for an agreement, or one of its recipients.
    async fn step(
        &self,
        of: (u8, usize),
        luck: Luck,
        verb: Verb,
        rest: &str,
        body: Option<Value>,
    ) -> (Answer, Unheard) {
        let path = format!("/v1/agreements/{}{rest}", self.sent[&of.0].id);
        self.ask(Some(of), luck, || {
            self.backend(verb.clone(), &path, body.as_ref())
        })
        .await
    }

    fn path(&self, (key, place): (u8, usize)) -> String {
        format!("/recipients/{}", self.sent[&key].recipients[place])
    }

    pub async fn topup(&mut self, id: u8, transactions: u32, luck: Luck) {
        let body = json!({"account": self.world.account, "transactions": transactions});
        let request = || {
            let request = self
                .world
                .request(Verb::POST, "/v1/quota/topups")
                .bearer_auth(OPERATOR);
            request
                .header("idempotency-key", format!("order-{id}"))
                .json(&body)
        };
        let (answer, _) = self.ask(None, luck, request).await;
        if self.reference.ledger.topup(id, transactions) {
            let _ = answer.expect(201);
        } else {
            let _ = answer.refused(422, "idempotency-key-reused");
        }
    }

    pub async fn send(&mut self, key: u8, request: &Request, luck: Luck) {
        let body = of_request(key, request);
        let make = || {
            self.backend(Verb::POST, "/v1/agreements", Some(&body))
                .header("idempotency-key", format!("agreement-{key}"))
        };
        let (answer, _) = self.ask(None, luck, make).await;
        let available = self.reference.ledger.available;
        let expected = self.reference.send(key, request);
        hold("send", &answer, &expected);
        if expected.status == 402 {
            assert_eq!(answer.body["available"], available);
        }
        if expected.status == 201 {
            let id = |value: &Value| value["id"].as_str().unwrap().parse().unwrap();
            let recipients = answer.body["recipients"]
                .as_array()
                .unwrap()
                .iter()
                .map(id)
                .collect();
            let sent = Sent {
                id: answer.text("id").parse().unwrap(),
                recipients,
            };
            let before = self.sent.entry(key).or_insert_with(|| sent.clone());
            assert_eq!(
                (before.id, &before.recipients),
                (sent.id, &sent.recipients),
                "the same answer again"
            );
        }
    }

    /// Opens one of the links that were mailed to a recipient, if one was: the last, unless another
    /// is meant.
    pub async fn redeem(
        &mut self,
        of: (u8, usize),
        which: Option<&proptest::sample::Index>,
        luck: Luck,
    ) {
        let links = links(&self.world, &email(of.0, of.1)).await;
        let Some(last) = links.last() else { return };
        let link = which.map_or(last, |which| which.get(&links));
        let request = || {
            self.world
                .request(Verb::POST, "/v1/links/redeem")
                .json(&json!({"token": link}))
        };
        let (answer, unheard) = self.ask(Some(of), luck, request).await;
        if unheard.moved {
            self.reference.redeem(of);
        }
        let (expected, status) = self.reference.redeem(of);
        hold("redeem", &answer, &expected);
        if expected.status == 200 {
            assert_eq!(answer.body["status"], status);
        }
        if status == "identity_verification_required" {
            self.challenges.push(answer.text("challenge"));
            self.reference.challenged(of);
        }
    }

    /// Asks for a session.
    pub async fn open(&mut self, challenge: usize, luck: Luck) {
        let body = json!({"challenge": self.challenges[challenge]});
        let of = self.reference.challenges[challenge].of;
        let request = || {
            self.world
                .request(Verb::POST, "/v1/kba/sessions")
                .json(&body)
        };
        let (answer, unheard) = self.ask(Some(of), luck, request).await;
        if unheard.moved {
            self.reference.begin(challenge);
            self.sessions.extend(unheard.session);
        }
        let expected = self.reference.begin(challenge);
        hold("open", &answer, &expected);
        if expected.status == 201 {
            self.sessions.push(answer.text("session"));
            assert_eq!(
                answer.body["attempts_left"],
                json!(self.reference.attempts_left(of))
            );
        }
    }

    /// The provider says how a session went, in a message of its own.
    pub async fn answer(&mut self, session: usize, outcome: Outcome, luck: Luck) {
        self.messages.push((session, outcome));
        self.tell(self.messages.len() - 1, luck).await;
    }

    /// A message of the provider, for the first time or again.
    pub async fn tell(&mut self, message: usize, luck: Luck) {
        let (session, outcome) = self.messages[message];
        let mut data = json!({"session": self.sessions[session], "outcome": outcome.name()});
        if outcome == Outcome::Passed {
            data["token"] = json!(format!("tok_{message}"));
        }
        let at = self.world.stack.clock().now().to_rfc3339();
        let body =
            json!({"type": "kba.session.completed", "timestamp": at, "data": data}).to_string();
        let request = || {
            self.world
                .signed(&format!("msg_{message}"), body.as_bytes())
        };
        let (answer, _) = self.ask(None, luck, request).await;
        let expected = self.reference.answer(message, session, outcome);
        hold("tell", &answer, &expected);
    }

    pub async fn complete(&mut self, of: (u8, usize), luck: Luck) {
        let (answer, _) = self
            .step(
                of,
                luck,
                Verb::POST,
                &format!("{}/complete", self.path(of)),
                None,
            )
            .await;
        hold("complete", &answer, &self.reference.complete(of));
    }

    pub async fn cancel(&mut self, key: u8, luck: Luck) {
        let (answer, unheard) = self
            .step(
                (key, 0),
                luck,
                Verb::POST,
                "/cancel",
                Some(json!({"reason": "changed"})),
            )
            .await;
        if unheard.moved {
            self.reference.cancel(key);
        }
        hold("cancel", &answer, &self.reference.cancel(key));
    }

    pub async fn reopen(&mut self, of: (u8, usize), luck: Luck) {
        let (answer, _) = self
            .step(
                of,
                luck,
                Verb::POST,
                &format!("{}/reopen", self.path(of)),
                None,
            )
            .await;
        hold("reopen", &answer, &self.reference.reopen(of));
    }

    pub async fn resend(&mut self, of: (u8, usize), luck: Luck) {
        let (answer, unheard) = self
            .step(
                of,
                luck,
                Verb::POST,
                &format!("{}/resend", self.path(of)),
                None,
            )
            .await;
        if unheard.moved {
            self.reference.resend(of);
        }
        hold("resend", &answer, &self.reference.resend(of));
    }

    pub async fn change(&mut self, of: (u8, usize), to: Method, luck: Luck) {
        let body = json!({"authentication": to.name()});
        let (answer, _) = self
            .step(of, luck, Verb::PATCH, &self.path(of), Some(body))
            .await;
        hold("change", &answer, &self.reference.change(of, to));
    }

    pub async fn set(&mut self, settings: Settings) {
        let _ = self.world.settings(of_settings(settings)).await;
        self.reference.settings = settings;
    }

    pub fn post(&mut self, down: bool) {
        self.reference.mails.down = down;
        self.calm();
    }

    pub fn wait(&mut self, seconds: i64) {
        self.world.advance(seconds);
        self.reference.now += seconds;
    }

    /// A clean-up that may be cut short, and then others until nothing is left to be ended: what
    /// two of them want at the same moment, the second has another time.
    pub async fn clean(&mut self, luck: Luck) {
        if let Luck::Struck(mode, after, count) = luck {
            self.world
                .stack
                .faults()
                .set(Service::Dynamodb, mode, after, count);
            let _ = self
                .world
                .send(self.world.request(Verb::POST, "/_local/cleanup"))
                .await;
            self.calm();
        }
        for _ in 0..6 {
            let report = clean(&self.world).await;
            assert_eq!(report["failed"], 0, "{report}");
            if ["agreements", "kba_sessions", "kba_sessions_expired"]
                .iter()
                .all(|name| report[name] == 0)
            {
                break;
            }
        }
        self.reference.clean();
    }
}

fn hold(step: &str, answer: &Answer, expected: &Expected) {
    reached(
        format!("{step}: {} {}", answer.status, answer.slug())
            .trim_end()
            .to_owned(),
    );
    let slugs = if expected.slugs.is_empty() {
        vec![""]
    } else {
        expected.slugs.clone()
    };
    assert!(
        answer.status == expected.status && slugs.contains(&answer.slug()),
        "{expected:?} was expected, and {} {} was answered",
        answer.status,
        answer.body
    );
}

fn of_settings(settings: Settings) -> Value {
    json!({"kba": {
        "enabled": settings.enabled, "require_recipient_name": settings.name_required,
        "max_attempts": settings.max_attempts, "on_view_after_signing": settings.on_view,
    }})
}

fn of_request(key: u8, request: &Request) -> Value {
    let recipient = |(place, method): (usize, &Method)| {
        let mut recipient = json!({
            "email": email(key, place), "country": if request.in_us { "US" } else { "CA" }, "phone": "+12025550100",
            "authentication": method.name(),
        });
        if request.named {
            recipient["name"] = json!(format!("Person {place}"));
        }
        recipient
    };
    let mut body = json!({
        "title": format!("Lease {key}"), "sender": {"email": sender(key), "name": "Robin Alder"}, "expires_in": request.life,
        "recipients": request.methods.iter().enumerate().map(recipient).collect::<Vec<_>>(),
    });
    if let Some(group) = request.group {
        body["group"] = json!(group);
    }
    body
}
