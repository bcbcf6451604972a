//! The real handlers on the embedded engine, held against a reference of the rules: any sequence of passwords, links, sends, codes,
//! clock jumps, key rotations, settings and help-desk actions is answered as the reference says.

mod reference;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use reference::{Channel, Expected, Person as Model, Reference, STEP, Typed};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Span;
use shared::entropy::Entropy;
use shared::keyring::{self, Keyring};
use shared::secret::Secret;
use tests::{Answer, Authenticator, PASSWORD, Person, World, token_of};

/// Rotations are at least so far apart: `operate` refuses a faster one.
const ROTATION_GAP: i64 = 4 * 3_600;
/// Beyond a day the clean-up forgets wrong passwords, which the reference does not.
const LONGEST: i64 = 20 * 3_600;

/// A recovery code that nobody was given.
const NO_RECOVERY_CODE: &str = "0000-0000-0000-0000-0000-0000";

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Login(Index, bool),
    Send(Index, Channel),
    Verify(Index, Channel, Typed),
    Link(Index),
    Redeem(Index),
    Wait(i64),
    Unlock(Index),
    Disable(Index, bool),
    Set(&'static str, bool),
    Rotate,
    CleanUp,
}

fn any_step() -> impl Strategy<Value = Step> {
    let channel = || prop::sample::select(vec![Channel::Sms, Channel::Sms, Channel::Email]);
    let sent = prop::sample::select(vec![Typed::Last, Typed::Last, Typed::Before, Typed::Wrong, Typed::Wrong]);
    let shown = prop::sample::select(vec![-2, -1, 0, 0, 1, 2]).prop_map(Typed::Shown);
    let noted = prop_oneof![3 => (0..10_usize).prop_map(Typed::Noted), 1 => Just(Typed::Wrong)];
    let wait = prop::sample::select(vec![1, 2, 30, 60, 61, 119, 120, 299, 300, 599, 600, 900, 3_600, 4 * 3_600]);
    prop_oneof![
        5 => (any::<Index>(), prop::bool::weighted(0.7)).prop_map(|(who, right)| Step::Login(who, right)),
        6 => (any::<Index>(), channel()).prop_map(|(which, channel)| Step::Send(which, channel)),
        8 => (any::<Index>(), channel(), sent).prop_map(|(which, channel, typed)| Step::Verify(which, channel, typed)),
        3 => (any::<Index>(), shown).prop_map(|(which, typed)| Step::Verify(which, Channel::App, typed)),
        2 => (any::<Index>(), noted).prop_map(|(which, typed)| Step::Verify(which, Channel::Recovery, typed)),
        1 => any::<Index>().prop_map(Step::Link),
        2 => any::<Index>().prop_map(Step::Redeem),
        5 => wait.prop_map(Step::Wait),
        1 => any::<Index>().prop_map(Step::Unlock),
        1 => (any::<Index>(), prop::bool::weighted(0.3)).prop_map(|(who, disabled)| Step::Disable(who, disabled)),
        2 => (prop::sample::select(vec!["sms", "email", "totp", "internal_required"]), prop::bool::weighted(0.7))
            .prop_map(|(name, on)| Step::Set(name, on)),
        1 => Just(Step::Rotate),
        1 => Just(Step::CleanUp),
    ]
}

/// The service, and what the reference says of it.
struct Trial {
    world: World,
    people: Vec<Person>,
    app: Authenticator,
    recovery_codes: Vec<String>,
    challenges: Vec<String>,
    links: Vec<String>,
    reference: Reference,
    ring: Secret<String>,
    rotated_at: i64,
    messages: usize,
}

impl Trial {
    async fn begin() -> Self {
        let world = World::new().await;
        let now = world.stack.app().clock.now();
        let ring = keyring::make(now, &Entropy::system()).unwrap();
        world.stack.app().keyrings.replace(Keyring::parse(ring.expose()).unwrap());
        let external = world.user("ann", json!({})).await;
        let internal = world.user("ben", json!({"kind": "internal", "email": null})).await;
        let with_app = world.user("cid", json!({"phone": null})).await;
        let begun = world.login("cid", PASSWORD).await.expect(200).text("challenge");
        let (app, recovery_codes) = enrol(&world, &begun).await;
        // That an app was set up is told by mail.
        let messages = world.outbox().await.len();
        let mut people = vec![Model::new(false, true), Model::new(true, false), Model::new(false, true)];
        people[0].has_phone = true;
        people[1].has_phone = true;
        people[2].app = Some(0);
        Self {
            world,
            people: vec![external, internal, with_app],
            app,
            recovery_codes,
            challenges: Vec::new(),
            links: Vec::new(),
            reference: Reference::new(people),
            ring,
            rotated_at: 0,
            messages,
        }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Login(who, right) => self.login(who.index(self.people.len()), right).await,
            Step::Send(which, channel) if !self.challenges.is_empty() => {
                self.send(which.index(self.challenges.len()), channel).await;
            }
            Step::Verify(which, channel, typed) if !self.challenges.is_empty() => {
                self.verify(which.index(self.challenges.len()), channel, typed).await;
            }
            Step::Link(who) => self.link(who.index(self.people.len())).await,
            Step::Redeem(which) if !self.links.is_empty() => self.redeem(which.index(self.links.len())).await,
            Step::Wait(seconds) if self.reference.now + seconds <= LONGEST => {
                self.world.advance(seconds);
                self.reference.now += seconds;
            }
            Step::Send(..) | Step::Verify(..) | Step::Redeem(_) | Step::Wait(_) => {}
            Step::Unlock(who) => {
                let who = who.index(self.people.len());
                let path = format!("/v1/users/{}/unlock", self.people[who].id);
                let _ = self.world.backend(Method::POST, &path, None).await.expect(200);
                self.reference.unlock(who);
            }
            Step::Disable(who, disabled) => {
                let who = who.index(self.people.len());
                let path = format!("/v1/users/{}", self.people[who].id);
                let _ = self.world.backend(Method::PATCH, &path, Some(json!({"disabled": disabled}))).await.expect(200);
                self.reference.disable(who, disabled);
            }
            Step::Set(name, on) => self.set(name, on).await,
            Step::Rotate => self.rotate(),
            Step::CleanUp => {
                let _ = self.world.send(self.world.request(Method::POST, "/_local/cleanup")).await.expect(200);
            }
        }
    }

    async fn login(&mut self, who: usize, right: bool) {
        let expected = self.reference.login(who, right);
        let password = if right { PASSWORD } else { "a wrong password" };
        let answer = self.world.login(&self.people[who].username, password).await;
        hold(&answer, &expected);
        if expected.status != 200 {
            return;
        }
        if self.reference.needs_no_second(who) {
            assert_eq!((&answer.body["status"], &answer.body["acr"]), (&json!("authenticated"), &json!("single-factor")));
        } else {
            assert_eq!(answer.body["status"], "second_factor_required");
            self.challenges.push(answer.text("challenge"));
            self.reference.opened(who, None);
        }
    }

    async fn link(&mut self, who: usize) {
        if !self.reference.can_be_mailed(who) {
            return;
        }
        let body = json!({"user": self.people[who].id});
        let _ = self.world.backend(Method::POST, "/v1/links", Some(body)).await.expect(202);
        self.messages += 1;
        self.links.push(token_of(&self.world.outbox().await.pop().unwrap()));
        self.reference.linked(who);
    }

    async fn redeem(&mut self, which: usize) {
        let expected = self.reference.redeem(which);
        let answer = self.world.post("/v1/links/redeem", json!({"token": self.links[which]})).await;
        hold(&answer, &expected);
        if expected.status == 200 {
            assert_eq!(answer.body["status"], "second_factor_required");
            self.challenges.push(answer.text("challenge"));
            self.reference.opened_by(which);
        }
    }

    async fn send(&mut self, which: usize, channel: Channel) {
        let expected = self.reference.send(which, channel);
        let answer = self.world.issue(&self.challenges[which], channel.name()).await;
        hold(&answer, &expected);
        if expected.status == 202 {
            self.reference.sent(which, channel, self.world.last_code().await);
            self.messages += 1;
        }
    }

    async fn verify(&mut self, which: usize, channel: Channel, typed: Typed) {
        let sent = self.reference.challenges[which].codes.get(&channel).cloned().unwrap_or_default();
        let code = match typed {
            Typed::Last => sent.last().cloned(),
            Typed::Before => sent.len().checked_sub(2).and_then(|at| sent.get(at).cloned()),
            Typed::Shown(away) => Some(self.app.code_at(self.world.stack.app().clock.now().plus(Span::seconds(away * STEP)))),
            Typed::Noted(number) => self.recovery_codes.get(number).cloned(),
            Typed::Wrong => None,
        };
        // Two codes of one challenge may be alike, once in a million.
        let typed =
            if matches!(typed, Typed::Before) && code.is_some() && code.as_ref() == sent.last() { Typed::Last } else { typed };
        let expected = self.reference.verify(which, channel, typed);
        let wrong = || if channel == Channel::Recovery { NO_RECOVERY_CODE.to_owned() } else { wrong(&sent) };
        let code = code.unwrap_or_else(wrong);
        let answer = self.world.verify(&self.challenges[which], channel.name(), &code).await;
        hold(&answer, &expected);
        if expected.status == 200 {
            let acr = match (channel, self.reference.challenges[which].link) {
                // One mailbox, proved twice.
                (Channel::Email, Some(_)) => "single-factor",
                (Channel::Email, None) => "two-factor-email",
                _ => "two-factor",
            };
            assert_eq!((&answer.body["status"], &answer.body["acr"]), (&json!("authenticated"), &json!(acr)));
        }
    }

    /// Methods and the rule for internal users. The last method stays on, whatever is asked.
    async fn set(&mut self, name: &'static str, on: bool) {
        let patch = match name {
            "internal_required" => json!({"second_factor": {"internal_required": on}}),
            _ => json!({"second_factor": {"methods": BTreeMap::from([(name, on)])}}),
        };
        let answer = self.world.backend(Method::PATCH, "/v1/settings", Some(patch)).await;
        let before = self.reference.methods;
        match name {
            "sms" => self.reference.methods.sms = on,
            "email" => self.reference.methods.email = on,
            "totp" => self.reference.methods.totp = on,
            _ => self.reference.internal_required = on,
        }
        if self.reference.methods.any() {
            let _ = answer.expect(200);
        } else {
            let _ = answer.refused(400, "invalid-request");
            self.reference.methods = before;
        }
    }

    fn rotate(&mut self) {
        if self.reference.now < self.rotated_at + ROTATION_GAP {
            return;
        }
        let app = self.world.stack.app();
        self.ring = keyring::rotate(self.ring.expose(), app.clock.now(), &Entropy::system()).unwrap();
        app.keyrings.replace(Keyring::parse(self.ring.expose()).unwrap());
        self.rotated_at = self.reference.now;
    }
}

/// Sets up an app as the first factor.
async fn enrol(world: &World, challenge: &str) -> (Authenticator, Vec<String>) {
    let begun = world.post("/v1/factors/totp", json!({"challenge": challenge})).await.expect(201);
    let app = Authenticator::reading(&begun);
    let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": app.code(world)});
    let confirmed = world.post("/v1/factors/totp/confirm", body).await.expect(200);
    (app, tests::codes(&confirmed))
}

/// A code that none of these is.
fn wrong(sent: &[String]) -> String {
    let candidates = (0..).map(|n| format!("{n:06}"));
    candidates.into_iter().find(|code| !sent.contains(code)).unwrap()
}

fn hold(answer: &Answer, expected: &Expected) {
    let slugs = if expected.slugs.is_empty() { vec![""] } else { expected.slugs.clone() };
    assert!(
        answer.status == expected.status && slugs.contains(&answer.slug()),
        "{expected:?} was expected, and {} {} was answered",
        answer.status,
        answer.body
    );
    if let Some(left) = expected.attempts_left {
        assert_eq!(answer.body["attempts_left"], Value::from(left));
    }
}

proptest! {
    #![proptest_config(Config { cases: 12, max_shrink_iters: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_service_answers_as_the_rules_say(steps in prop::collection::vec(any_step(), 10..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut trial = Trial::begin().await;
            for step in &steps {
                trial.take(step).await;
            }
            let sent = trial.world.outbox().await;
            assert_eq!(sent.len(), trial.messages, "one message for each code that was promised");
            trial.world.stack.stop().await;
        });
    }
}
