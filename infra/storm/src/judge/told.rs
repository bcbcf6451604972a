//! Histories by hand, for the tests of the judge.

use std::net::IpAddr;

use local::Channel;
use serde_json::{Value, json};
use shared::kernel::clock::{Span, Timestamp};

use super::{Promise, judge};
use crate::history::{Answer, Call, History, Mail, Moment};

/// Home, and a stranger's address.
pub(super) const HOME: &str = "10.0.0.1";
pub(super) const ELSEWHERE: &str = "203.0.113.9";

/// A history that is being told.
pub(super) struct Story {
    pub history: History,
    tick: u64,
    now: Timestamp,
}

impl Story {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            history: History::default(),
            tick: 0,
            now: Timestamp::from_millis(1_800_000_000_000),
        }
    }

    /// Time passes.
    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus(Span::seconds(seconds));
    }

    fn moment(&mut self) -> Moment {
        self.tick += 1;
        Moment {
            tick: self.tick,
            at: self.now,
        }
    }

    /// A request that is not answered yet.
    pub fn ask(&mut self, route: &'static str, about: &str, source: &str, body: Value) -> usize {
        let number = self.history.calls.len();
        let path = route
            .split_once(' ')
            .map_or(route, |(_, path)| path)
            .to_owned();
        let (about, source) = (Some(about.to_owned()), source.parse::<IpAddr>().unwrap());
        let asked = self.moment();
        let (answered, answer, died, struck, key) = (None, None, false, Vec::new(), None);
        self.history.calls.push(Call {
            number,
            who: "test",
            source,
            about,
            route,
            path,
            key,
            body,
            asked,
            answered,
            answer,
            died,
            struck,
        });
        number
    }

    /// Its answer; without a status there is none.
    pub fn answer(&mut self, number: usize, status: u16, body: Value) {
        let moment = self.moment();
        let call = &mut self.history.calls[number];
        call.answered = Some(moment);
        call.answer = (status > 0).then_some(Answer { status, body });
    }

    /// A request and its answer.
    pub fn call(
        &mut self,
        route: &'static str,
        about: &str,
        source: &str,
        body: Value,
        status: u16,
        answer: Value,
    ) -> usize {
        let number = self.ask(route, about, source, body);
        self.answer(number, status, answer);
        number
    }

    /// A message that a call sent.
    pub fn mail(&mut self, call: usize, to: &str, text: &str) {
        let at = self.moment();
        let channel = if to.contains('@') {
            Channel::Email
        } else {
            Channel::Sms
        };
        self.history.mails.push(Mail {
            channel,
            to: to.into(),
            subject: None,
            text: text.into(),
            at,
            call: Some(call),
        });
    }

    /// A right password of `usr_ann`, which opens a challenge.
    pub fn login(&mut self, source: &str, challenge: &str) -> usize {
        let body = json!({"account": "acc_1", "username": "ann", "password": "right"});
        let answer = json!({"status": "second_factor_required", "challenge": challenge, "methods": [{"method": "sms"}]});
        self.call("POST /v1/login", "usr_ann", source, body, 200, answer)
    }

    /// A code that is sent for a challenge.
    pub fn send(&mut self, source: &str, challenge: &str, code: &str) -> usize {
        let body = json!({"challenge": challenge, "method": "sms"});
        let number = self.ask("POST /v1/codes", "usr_ann", source, body);
        self.mail(
            number,
            "+12025550100",
            &format!("{code} is your code.\n@sign.example #{code}"),
        );
        self.answer(number, 202, json!({"method": "sms"}));
        number
    }

    /// A code that is typed.
    pub fn verify(
        &mut self,
        source: &str,
        challenge: &str,
        code: &str,
        status: u16,
        answer: Value,
    ) -> usize {
        let body = json!({"challenge": challenge, "method": "sms", "code": code});
        self.call(
            "POST /v1/codes/verify",
            "usr_ann",
            source,
            body,
            status,
            answer,
        )
    }

    /// A whole sign-in at home.
    pub fn sign_in(&mut self, challenge: &str, code: &str) {
        self.login(HOME, challenge);
        self.send(HOME, challenge, code);
        self.verify(HOME, challenge, code, 200, let_in());
    }

    /// The report of an agreement with one recipient who is asked by `method`, and these steps of
    /// theirs after it was sent.
    pub fn report(&mut self, method: &str, steps: Vec<Value>) {
        let sent = json!({"action": "agreement-sent", "details": {"recipients": [{"id": "rcp_1", "authentication": method}]}});
        let entries: Vec<Value> = std::iter::once(sent)
            .chain(steps)
            .enumerate()
            .map(|(place, mut entry)| {
                entry["sequence"] = json!(place + 1);
                entry
            })
            .collect();
        let body = json!({"agreement": {"id": "agr_1", "expires_at": "2027-01-15T08:15:00Z"}, "entries": entries});
        self.call(
            "GET /v1/agreements/{id}/audit",
            "agr_1",
            HOME,
            Value::Null,
            200,
            body,
        );
    }

    /// How often a promise is broken.
    pub fn breaks(&self, promise: Promise) -> Vec<String> {
        judge(&self.history)
            .into_iter()
            .filter(|finding| finding.promise == promise)
            .map(|finding| finding.what)
            .collect()
    }
}

/// An answer that lets somebody in.
pub(super) fn let_in() -> Value {
    json!({"status": "authenticated", "access_token": "t"})
}

/// An answer that refuses.
pub(super) fn refusal(slug: &str) -> Value {
    json!({"type": format!("/problems/{slug}")})
}
