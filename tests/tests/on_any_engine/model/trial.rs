//! The service, and what the reference says of it: each step is taken of both, and the answers are
//! compared.

mod contacts;
pub mod stories;

use std::collections::BTreeMap;

use proptest::sample::Index;
use reqwest::Method;
use serde_json::{Value, json};
use shared::kernel::clock::Span;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::kernel::secret::Secret;
use shared::store::dynamo::{Put, keys};
use tests::elsewhere::At;
use tests::{Answer, Authenticator, PASSWORD, Person, World, token_of};

use crate::model::reference::{Channel, PLACES, Person as Model, Reference, Typed};
use crate::model::rules::{Expected, Notices, STEP};
use crate::model::{Seen, Step};

/// Rotations are at least so far apart: `operate` refuses a faster one.
const ROTATION_GAP: i64 = 4 * 3_600;
/// How long a sequence may last.
const LONGEST: i64 = 20 * 3_600;
/// The hour that every world begins in.
const HOUR: i64 = 500_000;

/// A recovery code that nobody was given.
const NO_RECOVERY_CODE: &str = "0000-0000-0000-0000-0000-0000";

/// The addresses of the places.
const ADDRESSES: [&str; PLACES] = ["203.0.113.7", "198.51.100.9", "2001:db8::1", "192.0.2.33"];
/// What is listed where the network is.
const ALLOWLISTED: &str = "203.0.113.0/28";

const GROUP: &str = "/v1/groups/escrow/settings";

pub struct Trial {
    world: World,
    people: Vec<Person>,
    apps: BTreeMap<usize, (Authenticator, Vec<String>)>,
    challenges: Vec<String>,
    links: Vec<String>,
    tokens: Vec<String>,
    reference: Reference,
    seen: Seen,
    ring: Secret<String>,
    rotated_at: i64,
    messages: usize,
    /// The notices, by where they go.
    notices: BTreeMap<String, Notices>,
    /// The phones that people have.
    phones: BTreeMap<usize, String>,
    /// How many numbers were made up.
    numbers: usize,
}

impl Trial {
    /// Ann has a phone; Ben is of the staff and has no mailbox; Cid has neither phone nor app yet;
    /// Eve has not even a mailbox. Ben and Cid are of a group.
    pub async fn begin() -> Self {
        let world = World::of_many_places().await;
        let now = world.stack.app().clock.now();
        let ring = keyring::make(now, &Entropy::system()).unwrap();
        world
            .stack
            .app()
            .keyrings
            .replace(Keyring::parse(ring.expose()).unwrap());
        let people = vec![
            world.user("ann", json!({})).await,
            world
                .user(
                    "ben",
                    json!({"kind": "internal", "email": null, "group": "escrow"}),
                )
                .await,
            world
                .user("cid", json!({"phone": null, "group": "escrow"}))
                .await,
            world
                .user("eve", json!({"phone": null, "email": null}))
                .await,
        ];
        let models = vec![
            Model {
                has_email: true,
                has_phone: true,
                ..Model::default()
            },
            Model {
                internal: true,
                has_phone: true,
                in_group: true,
                ..Model::default()
            },
            Model {
                has_email: true,
                in_group: true,
                ..Model::default()
            },
            Model::default(),
        ];
        let mut trial = Self {
            world,
            people,
            apps: BTreeMap::new(),
            challenges: Vec::new(),
            links: Vec::new(),
            tokens: Vec::new(),
            reference: Reference::new(models),
            seen: Seen::new(),
            ring,
            rotated_at: 0,
            messages: 0,
            notices: BTreeMap::new(),
            phones: BTreeMap::from([(0, "ann's".to_owned()), (1, "ben's".to_owned())]),
            numbers: 0,
        };
        // Cid begins with an app, so that one is seen in every sequence.
        trial.login(2, true, false).await;
        trial.enrol(0).await;
        trial
    }

    /// Whether as many messages were sent as were promised; answers with the rules that were met.
    pub async fn end(self) -> Seen {
        let sent = self.world.outbox().await;
        assert_eq!(
            sent.len(),
            self.messages,
            "one message for each that was promised"
        );
        self.world.stack.stop().await;
        self.seen
    }

    pub async fn take(&mut self, step: &Step) {
        // Mostly one of the last two: of what is older most is over.
        let place = |index: &Index, of: usize| {
            let older = index.index(10) == 0;
            of.checked_sub(1).map(|last| {
                if older {
                    index.index(of)
                } else {
                    last.saturating_sub(index.index(10) % 2)
                }
            })
        };
        match step {
            Step::Login(who, right, more) => drop(self.login(*who, *right, *more).await),
            Step::WrongPasswords(who, times) => {
                for _ in 0..*times {
                    let _ = self.login(*who, false, false).await;
                }
            }
            Step::Guess(who, channel, times) => self.guess(*who, *channel, *times).await,
            Step::SignIn(who, channel) => self.sign_in(*who, *channel).await,
            Step::Send(which, channel) => {
                if let Some(which) = place(which, self.challenges.len()) {
                    self.send(which, *channel).await;
                }
            }
            Step::Verify(which, channel, typed) => {
                if let Some(which) = place(which, self.challenges.len()) {
                    self.verify(which, *channel, *typed).await;
                }
            }
            Step::Enrol(which) => {
                if let Some(which) = place(which, self.challenges.len()) {
                    self.enrol(which).await;
                }
            }
            Step::Link(who) => self.link(*who).await,
            Step::Redeem(which) => {
                if let Some(which) = place(which, self.links.len()) {
                    self.redeem(which).await;
                }
            }
            Step::Me(which) => {
                if let Some(which) = place(which, self.tokens.len()) {
                    self.me(which).await;
                }
            }
            Step::NewPassword(which, right) => {
                if let Some(which) = place(which, self.tokens.len()) {
                    self.new_password(which, *right).await;
                }
            }
            Step::EnrolPhone(which) => {
                if let Some(which) = place(which, self.challenges.len()) {
                    self.enrol_phone(which).await;
                }
            }
            Step::NewPhone(which) => {
                if let Some(which) = place(which, self.tokens.len()) {
                    self.new_phone(which).await;
                }
            }
            other => self.arrange(other).await,
        }
    }

    /// What happens around those who sign in.
    async fn arrange(&mut self, step: &Step) {
        match *step {
            Step::Wait(seconds) if self.reference.now + seconds <= LONGEST => {
                self.world.advance(seconds);
                self.reference.now += seconds;
            }
            Step::Unlock(who) => {
                let path = format!("/v1/users/{}/unlock", self.people[who].id);
                let _ = self
                    .world
                    .backend(Method::POST, &path, None)
                    .await
                    .expect(200);
                self.reference.unlock(who);
            }
            Step::Disable(who, disabled) => {
                let path = format!("/v1/users/{}", self.people[who].id);
                let _ = self
                    .world
                    .backend(Method::PATCH, &path, Some(json!({"disabled": disabled})))
                    .await
                    .expect(200);
                self.reference.disable(who, disabled);
            }
            Step::Reset(who) => {
                let path = format!("/v1/users/{}/factors/totp", self.people[who].id);
                let _ = self
                    .world
                    .backend(Method::DELETE, &path, None)
                    .await
                    .expect(204);
                self.reference.reset(who);
                self.told(who);
            }
            Step::Set(name, on) => self.set(name, on).await,
            Step::SetGroup(name, on) => self.set_group(name, on).await,
            Step::Allowlist(on) => {
                let networks = if on { json!([ALLOWLISTED]) } else { json!([]) };
                let _ = self.world.settings(json!({"ip_allowlist": networks})).await;
                self.reference.allowlisted = on;
            }
            Step::Pump(left) => {
                let hour = HOUR + self.reference.now / 3_600;
                let key = keys::send_budget(self.world.account.parse().unwrap(), "US", hour);
                self.world
                    .stack
                    .table()
                    .transact(vec![
                        Put::replace(key, &json!({"left": left})).unwrap().into(),
                    ])
                    .await
                    .unwrap();
                *self.reference.budget.left(self.reference.now) = left;
            }
            Step::Move(place) => self.reference.here = place,
            Step::Rotate => self.rotate(),
            Step::CleanUp => {
                let _ = self
                    .world
                    .send(self.world.request(Method::POST, "/_local/cleanup"))
                    .await
                    .expect(200);
                let now = self.reference.now;
                self.messages += self
                    .notices
                    .values_mut()
                    .filter_map(|notices| notices.release(now).then_some(()))
                    .count();
            }
            _ => {}
        }
    }

    /// Whoever asks, where everybody is.
    fn at(&self) -> At<'_> {
        self.world.at(ADDRESSES[self.reference.here])
    }

    /// A change that somebody is told of: at the mailbox, or, without one, by text.
    fn told(&mut self, who: usize) {
        let mailbox = self.reference.people[who]
            .has_email
            .then(|| format!("mailbox of {who}"));
        let to = mailbox.or_else(|| self.phones.get(&who).cloned());
        self.owe(to);
    }

    fn owe(&mut self, to: impl IntoIterator<Item = String>) {
        let now = self.reference.now;
        for destination in to {
            self.messages += usize::from(self.notices.entry(destination).or_default().tell(now));
        }
    }

    fn hold(&mut self, answer: &Answer, expected: &Expected) {
        assert!(
            answer.status == expected.status && expected.slugs.contains(&answer.slug()),
            "{expected:?} was expected, and {} {} was answered",
            answer.status,
            answer.body
        );
        if let Some(left) = expected.attempts_left {
            assert_eq!(answer.body["attempts_left"], Value::from(left));
        }
        *self.seen.entry(expected.rule).or_default() += 1;
    }

    /// Tries a password; answers with the challenge that it opens.
    async fn login(&mut self, who: usize, right: bool, more: bool) -> Option<usize> {
        let password = if right {
            password(self.reference.people[who].password)
        } else {
            "a wrong password".to_owned()
        };
        let username = &self.people[who].username;
        let body = json!({"account": self.world.account, "username": username, "password": password, "second_factor": more});
        let expected = self.reference.login(who, right, more);
        let answer = self.at().post("/v1/login", body).await;
        self.hold(&answer, &expected);
        if expected.status != 200 {
            return None;
        }
        let acr = match expected.rule {
            "login: nothing more is asked" => "single-factor",
            "login: nothing more is asked on the allowlist" => "allowlisted-network",
            _ => return Some(self.open(&answer, who, None)),
        };
        self.signed(&answer.body, who, acr);
        None
    }

    /// Enters the challenge of an answer.
    fn open(&mut self, answer: &Answer, who: usize, link: Option<usize>) -> usize {
        assert_eq!(
            answer.body["status"],
            self.reference.status(who),
            "{}",
            answer.body
        );
        self.challenges.push(answer.text("challenge"));
        self.reference.opened(who, link);
        self.challenges.len() - 1
    }

    /// Enters the token of an answer.
    fn signed(&mut self, answer: &Value, who: usize, acr: &str) {
        assert_eq!(
            (&answer["status"], &answer["acr"]),
            (&json!("authenticated"), &json!(acr))
        );
        self.tokens
            .push(answer["access_token"].as_str().unwrap().to_owned());
        self.reference
            .signed(who, !matches!(acr, "single-factor" | "allowlisted-network"));
    }

    async fn guess(&mut self, who: usize, channel: Channel, times: usize) {
        let mut open = None;
        for _ in 0..times {
            if open.is_none_or(|which: usize| self.reference.challenges[which].attempts >= 5) {
                open = self.login(who, true, true).await;
            }
            let Some(which) = open else { return };
            self.verify(which, channel, Typed::Wrong).await;
        }
    }

    async fn sign_in(&mut self, who: usize, channel: Channel) {
        let Some(which) = self.login(who, true, true).await else {
            return;
        };
        match channel {
            Channel::Sms | Channel::Email => {
                self.send(which, channel).await;
                self.verify(which, channel, Typed::Last).await;
            }
            Channel::App => self.verify(which, channel, Typed::Shown(0)).await,
            Channel::Recovery => {
                let used = self.reference.people[who].recovery_used.unwrap_or_default();
                let next = used.iter().position(|used| !used).unwrap_or_default();
                self.verify(which, channel, Typed::Noted(next)).await;
            }
        }
    }

    async fn link(&mut self, who: usize) {
        if !self.reference.can_be_mailed(who) {
            return;
        }
        let body = json!({"user": self.people[who].id});
        let _ = self
            .world
            .backend(Method::POST, "/v1/links", Some(body))
            .await
            .expect(202);
        self.messages += 1;
        self.links
            .push(token_of(&self.world.outbox().await.pop().unwrap()));
        self.reference.linked(who);
    }

    async fn redeem(&mut self, which: usize) {
        let who = self.reference.owner(which);
        let expected = self.reference.redeem(which);
        let answer = self
            .at()
            .post("/v1/links/redeem", json!({"token": self.links[which]}))
            .await;
        self.hold(&answer, &expected);
        if expected.status == 200 {
            let _ = self.open(&answer, who, Some(which));
        }
    }

    async fn send(&mut self, which: usize, channel: Channel) {
        let expected = self.reference.send(which, channel);
        let answer = self
            .at()
            .issue(&self.challenges[which], channel.name())
            .await;
        self.hold(&answer, &expected);
        if expected.status == 202 {
            self.reference
                .sent(which, channel, self.world.last_code().await);
            self.messages += 1;
        }
    }

    async fn verify(&mut self, which: usize, channel: Channel, typed: Typed) {
        let challenge = &self.reference.challenges[which];
        let (who, by_link) = (challenge.person, challenge.link.is_some());
        let sent = challenge.codes.get(&channel).cloned().unwrap_or_default();
        let app = self.apps.get(&who);
        let moment = |away: i64| {
            self.world
                .stack
                .app()
                .clock
                .now()
                .plus(Span::seconds(away * STEP))
        };
        let code = match typed {
            Typed::Last => sent.last().cloned(),
            Typed::Before => sent
                .len()
                .checked_sub(2)
                .and_then(|at| sent.get(at).cloned()),
            Typed::Shown(away) => app.map(|(app, _)| app.code_at(moment(away))),
            Typed::Noted(number) => app.map(|(_, recovery)| recovery[number].clone()),
            Typed::Wrong => None,
        };
        // Two codes of one challenge may be alike, once in a million.
        let alike =
            matches!(typed, Typed::Before) && code.is_some() && code.as_ref() == sent.last();
        let typed = if alike { Typed::Last } else { typed };
        let expected = self.reference.verify(which, channel, typed);
        let wrong = || {
            if channel == Channel::Recovery {
                NO_RECOVERY_CODE.to_owned()
            } else {
                wrong(&sent)
            }
        };
        let code = code.unwrap_or_else(wrong);
        let answer = self
            .at()
            .verify(&self.challenges[which], channel.name(), &code)
            .await;
        self.hold(&answer, &expected);
        if expected.status == 200 {
            // One mailbox, proved twice, is one factor.
            let acr = match (channel, by_link) {
                (Channel::Email, true) => "single-factor",
                (Channel::Email, false) => "two-factor-email",
                _ => "two-factor",
            };
            self.signed(&answer.body, who, acr);
        }
    }

    /// Sets up an app with a challenge.
    async fn enrol(&mut self, which: usize) {
        let challenge = self.challenges[which].clone();
        let who = self.reference.challenges[which].person;
        let expected = self.reference.enrol(which);
        let begun = self
            .at()
            .post("/v1/factors/totp", json!({"challenge": challenge}))
            .await;
        self.hold(&begun, &expected);
        if expected.status != 201 {
            return;
        }
        let app = Authenticator::reading(&begun);
        let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": app.code(&self.world)});
        let confirmed = self
            .at()
            .post("/v1/factors/totp/confirm", body)
            .await
            .expect(200);
        self.apps.insert(who, (app, tests::codes(&confirmed)));
        self.signed(&confirmed.body["authenticated"], who, "two-factor");
        self.told(who);
    }

    async fn me(&mut self, which: usize) {
        let expected = self.reference.me(which);
        let answer = self
            .at()
            .send(Method::GET, "/v1/me", Some(&self.tokens[which]), None)
            .await;
        self.hold(&answer, &expected);
        if expected.status == 200 {
            assert_eq!(
                answer.body["username"],
                self.people[self.reference.holder(which)].username
            );
        }
    }

    async fn new_password(&mut self, which: usize, right: bool) {
        let who = self.reference.holder(which);
        let number = self.reference.people[who].password;
        let current = if right {
            password(number)
        } else {
            "a wrong password".to_owned()
        };
        let body = json!({"password": password(number + 1), "current_password": current});
        let expected = self.reference.new_password(which, right);
        let answer = self
            .at()
            .send(
                Method::PATCH,
                "/v1/me",
                Some(&self.tokens[which]),
                Some(body),
            )
            .await;
        self.hold(&answer, &expected);
        if expected.status == 200 {
            self.told(who);
        }
    }

    /// Methods and the rule for internal users. The last method stays on, in the account and in the
    /// group, whatever is asked.
    async fn set(&mut self, name: &'static str, on: bool) {
        let mut methods = self.reference.methods;
        let patch = match name {
            "internal_required" => json!({"second_factor": {"internal_required": on}}),
            _ => json!({"second_factor": {"methods": BTreeMap::from([(name, on)])}}),
        };
        let answer = self
            .world
            .backend(Method::PATCH, "/v1/settings", Some(patch))
            .await;
        match name {
            "sms" => methods.sms = on,
            "email" => methods.email = on,
            "totp" => methods.totp = on,
            _ => self.reference.internal_required = on,
        }
        if methods.any() && methods.with(&self.reference.group).any() {
            let _ = answer.expect(200);
            self.reference.methods = methods;
        } else {
            let _ = answer.refused(400, "invalid-request");
        }
    }

    async fn set_group(&mut self, name: &'static str, on: Option<bool>) {
        let patch = json!({"second_factor": {"methods": BTreeMap::from([(name, on)])}});
        let answer = self.world.backend(Method::PATCH, GROUP, Some(patch)).await;
        let mut group = self.reference.group.clone();
        match on {
            Some(on) => group.insert(name, on),
            None => group.remove(name),
        };
        if self.reference.methods.with(&group).any() {
            let _ = answer.expect(200);
            self.reference.group = group;
        } else {
            let _ = answer.refused(400, "invalid-request");
        }
    }

    fn rotate(&mut self) {
        if self.reference.now < self.rotated_at + ROTATION_GAP {
            return;
        }
        let app = self.world.stack.app();
        self.ring =
            keyring::rotate(self.ring.expose(), app.clock.now(), &Entropy::system()).unwrap();
        app.keyrings
            .replace(Keyring::parse(self.ring.expose()).unwrap());
        self.rotated_at = self.reference.now;
    }
}

/// The password of this number.
fn password(number: u32) -> String {
    if number == 0 {
        PASSWORD.to_owned()
    } else {
        format!("password number {number}")
    }
}

/// A code that none of these is.
fn wrong(sent: &[String]) -> String {
    let candidates = (0..).map(|n| format!("{n:06}"));
    candidates
        .into_iter()
        .find(|code| !sent.contains(code))
        .unwrap()
}
