//! Goes through every request of a route, and looks afterwards.

use std::collections::BTreeMap;

use local::{Mode, Service};
use serde_json::Value;
use shared::account::Account;
use shared::dynamo::{keys, read};
use shared::quota::reconcile;
use tests::agreements::clean;
use tests::{Answer, World};

/// How a request to the table goes wrong.
pub const TABLE: [Mode; 4] = [Mode::Refused, Mode::Throttled, Mode::Conflict, Mode::Lost];
/// How a request to anything else does.
pub const OTHERS: [Mode; 3] = [Mode::Refused, Mode::Throttled, Mode::Lost];
/// Once, and as often as the SDK tries.
const COUNTS: [u32; 2] = [1, 3];
/// More requests than any route makes.
const REQUESTS_MAX: u32 = 60;
/// Beyond the lease of a mail that was tried once.
const LEASE_OVER: i64 = 61;

/// One request that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub service: Service,
    pub mode: Mode,
    pub after: u32,
    pub count: u32,
}

impl Fault {
    /// Whether a mail that SES has taken may not be known to be sent: then it goes again, because zero times would be worse.
    fn may_repeat_a_mail(self) -> bool {
        match self.service {
            Service::Ses => self.mode == Mode::Lost,
            Service::Dynamodb => self.count > 1 && matches!(self.mode, Mode::Refused | Mode::Throttled),
            _ => false,
        }
    }

    /// Whether the SDK gets over it, so that nobody notices.
    pub fn is_got_over(self) -> bool {
        self.service == Service::Dynamodb && (self.count == 1 || self.mode == Mode::Conflict)
    }

    /// Asks while it stands. Whether it struck, and what was answered.
    pub async fn strikes(self, world: &World, ask: impl Future<Output = Answer>) -> (bool, Answer) {
        world.stack.faults().set(self.service, self.mode, self.after, self.count);
        let answer = ask.await;
        let struck = world.stack.faults().struck() > 0;
        world.stack.faults().clear();
        assert!(answer.status < 400 || struck, "{self:?}: {}", answer.body);
        assert!(answer.status < 400 || !self.is_got_over(), "{self:?}: {}", answer.body);
        if answer.status >= 400 {
            is_clean(&answer);
        }
        (struck, answer)
    }
}

/// A refusal for a reason of ours says nothing of the inside.
pub fn is_clean(answer: &Answer) {
    let slugs = ["service-unavailable", "sender-unavailable", "provider-unavailable"];
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(slugs.contains(&answer.slug()), "{}", answer.body);
    let mut shown = answer.body.clone();
    shown["instance"] = Value::Null;
    let text = shown.to_string().to_lowercase();
    for word in ["dynamo", "aws", "sns", "127.0.0.1", "connector", "dispatch", "panic"] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(answer.header("retry-after").is_some());
}

/// Tries every request to `service` that goes wrong so, one after the other. `go` says whether there was one.
pub async fn each(service: Service, modes: &[Mode], mut go: impl AsyncFnMut(Fault) -> bool) {
    for mode in modes {
        for count in COUNTS {
            for after in 0.. {
                assert!(after < REQUESTS_MAX, "there is no end of requests");
                if !go(Fault { service, mode: *mode, after, count }).await {
                    assert!(after > 0, "no request was made to {service:?} that could be {mode:?}");
                    break;
                }
            }
        }
    }
}

/// The same, of the table.
pub async fn each_of_the_table(go: impl AsyncFnMut(Fault) -> bool) {
    each(Service::Dynamodb, &TABLE, go).await;
}

/// The same, of the table and then of SES.
pub async fn each_that_mails(mut go: impl AsyncFnMut(Fault) -> bool) {
    each(Service::Dynamodb, &TABLE, &mut go).await;
    each(Service::Ses, &OTHERS, &mut go).await;
}

/// Nothing was mailed so far.
pub async fn empty_the_inbox(world: &World) {
    let _ = world.send(world.request(reqwest::Method::DELETE, "/_local/outbox")).await;
}

/// What is owed still is mailed.
pub async fn mail_what_is_owed(world: &World) {
    world.advance(LEASE_OVER);
    let _ = clean(world).await;
}

/// What was mailed since, also by the clean-up: to each of these, once, and to nobody else.
pub async fn mailed_once(world: &World, fault: Fault, expected: &[&str]) {
    if !expected.is_empty() {
        mail_what_is_owed(world).await;
    }
    let mut mails = BTreeMap::<String, usize>::new();
    for mail in world.outbox().await.iter().filter(|message| message["channel"] == "email") {
        *mails.entry(mail["to"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let most = if fault.may_repeat_a_mail() { 2 } else { 1 };
    assert!(mails.values().all(|count| *count <= most), "{fault:?}: {mails:?}");
    let repeated = mails.values().filter(|count| **count > 1).count();
    // The SDK's three tries at one request to the table; mails go ten at once, and none is tried twice.
    let struck = if fault.service == Service::Ses { fault.count as usize } else { 1 };
    assert!(repeated <= struck, "{fault:?}: {mails:?}");
    let mut wanted = expected.to_vec();
    wanted.sort_unstable();
    assert_eq!(mails.keys().map(String::as_str).collect::<Vec<_>>(), wanted, "{fault:?}");
}

/// Every balance is what its entries make of it.
pub async fn sums_are_right(world: &World) {
    let app = world.stack.app();
    let item = app.table.get(keys::account(world.account.parse().unwrap())).await.unwrap().unwrap();
    let account: Account = read(item).unwrap();
    let finding = reconcile::account(&app.table, &app.entropy, &account).await.unwrap().unwrap();
    assert_eq!(finding.differences, []);
    assert!(finding.stands.is_sound());
}

/// How often an action stands in a subject's chain.
pub fn times(actions: &[String], action: &str) -> usize {
    actions.iter().filter(|told| told.split(':').next() == Some(action)).count()
}

/// A key that no request has had.
pub fn fresh(fault: Fault, name: &str) -> String {
    format!("{name}-{:?}-{:?}-{}-{}", fault.service, fault.mode, fault.count, fault.after)
}
