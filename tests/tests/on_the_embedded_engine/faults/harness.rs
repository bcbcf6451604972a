//! Goes through every request of a route, and looks afterwards.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use local::{Mode, Service};
use serde_json::Value;
use shared::account::Account;
use shared::agreement::reconcile;
use shared::store::dynamo::{keys, read};
use tests::agreements::clean;
use tests::{Answer, World};

/// How a request to the table goes wrong.
pub const TABLE: [Mode; 5] = [
    Mode::Refused,
    Mode::Throttled,
    Mode::Conflict,
    Mode::Lost,
    Mode::Unsettled,
];
/// How a request to anything else does.
pub const OTHERS: [Mode; 3] = [Mode::Refused, Mode::Throttled, Mode::Lost];
/// Once, and as often as the SDK tries. A conflict it hands on, and whoever meets three in a row
/// has met one. That a transaction is still under way it asks about three times, and the table goes
/// on: twice here.
const fn counts(mode: Mode) -> &'static [u32] {
    match mode {
        Mode::Conflict => &[3],
        Mode::Unsettled => &[8],
        _ => &[1, 3],
    }
}

/// More requests than any route makes.
const REQUESTS_MAX: u32 = 60;
/// So many ways of going wrong are walked at once: more would have the SDK wait for the processor,
/// and take that for a lost answer.
const SIDE_BY_SIDE: usize = 3;
/// Requests to the table.
pub const OF_THE_TABLE: &[(Service, &[Mode])] = &[(Service::Dynamodb, &TABLE)];
/// Requests to the table and to SES.
pub const THAT_MAIL: &[(Service, &[Mode])] =
    &[(Service::Dynamodb, &TABLE), (Service::Ses, &OTHERS)];
/// Beyond the lease of a mail that was attempted once, and the wait of one that nobody answered
/// for.
const LEASE_OVER: i64 = 601;

/// One request that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub service: Service,
    pub mode: Mode,
    pub after: u32,
    pub count: u32,
}

impl Fault {
    /// Whether a mail that SES has taken may not be known to be sent: then it goes again, because
    /// zero times would be worse.
    fn may_repeat_a_mail(self) -> bool {
        match self.service {
            Service::Ses => self.mode == Mode::Lost,
            Service::Dynamodb => {
                self.count > 1 && matches!(self.mode, Mode::Refused | Mode::Throttled)
            }
            _ => false,
        }
    }

    /// Whether the SDK gets over it, or the table does, so that nobody notices.
    pub fn is_got_over(self) -> bool {
        self.service == Service::Dynamodb
            && (self.count == 1 || matches!(self.mode, Mode::Conflict | Mode::Unsettled))
    }

    /// Whether what took effect may be told of by a refusal: no other answer arrived, however often
    /// the SDK asked.
    pub fn may_hide_an_effect(self) -> bool {
        self.mode == Mode::Lost && !self.is_got_over()
    }

    /// Asks while it stands. Whether it struck, and what was answered.
    pub async fn strikes(self, world: &World, ask: impl Future<Output = Answer>) -> (bool, Answer) {
        self.strikes_so(world, ask, |answer| answer.status < 400)
            .await
    }

    /// The same, where what is asked is to be refused.
    pub async fn strikes_a_refusal(
        self,
        world: &World,
        ask: impl Future<Output = Answer>,
        slug: &str,
    ) -> (bool, Answer) {
        self.strikes_so(world, ask, |answer| answer.slug() == slug)
            .await
    }

    async fn strikes_so(
        self,
        world: &World,
        ask: impl Future<Output = Answer>,
        is_right: impl Fn(&Answer) -> bool,
    ) -> (bool, Answer) {
        world
            .stack
            .faults()
            .set(self.service, self.mode, self.after, self.count);
        let answer = ask.await;
        let struck = world.stack.faults().struck() > 0;
        world.stack.faults().clear();
        if !is_right(&answer) {
            assert!(
                struck && !self.is_got_over(),
                "{self:?}: {} {}",
                answer.status,
                answer.body
            );
            is_clean(&answer);
        }
        (struck, answer)
    }
}

/// A refusal for a reason of ours says nothing of the inside.
pub fn is_clean(answer: &Answer) {
    let slugs = [
        "service-unavailable",
        "sender-unavailable",
        "provider-unavailable",
    ];
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(slugs.contains(&answer.slug()), "{}", answer.body);
    let mut shown = answer.body.clone();
    shown["instance"] = Value::Null;
    let text = shown.to_string().to_lowercase();
    for word in [
        "dynamo",
        "aws",
        "sns",
        "127.0.0.1",
        "connector",
        "dispatch",
        "panic",
    ] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(answer.header("retry-after").is_some());
}

/// Tries every request to `service` that goes wrong so, one after the other. `go` says whether
/// there was one.
pub async fn each(service: Service, modes: &[Mode], mut go: impl AsyncFnMut(Fault) -> bool) {
    for mode in modes {
        for count in counts(*mode) {
            walk(service, *mode, *count, &mut go).await;
        }
    }
}

/// Tries each request in turn that goes wrong in one way.
async fn walk(service: Service, mode: Mode, count: u32, mut go: impl AsyncFnMut(Fault) -> bool) {
    for after in 0.. {
        assert!(after < REQUESTS_MAX, "there is no end of requests");
        if !go(Fault {
            service,
            mode,
            after,
            count,
        })
        .await
        {
            // A route that only reads, or makes one write, has no transaction that could be under
            // way.
            let has_none = after == 0 && mode != Mode::Unsettled;
            assert!(
                !has_none,
                "no request was made to {service:?} that could be {mode:?}"
            );
            return;
        }
    }
}

/// The same as [`each`], with a world of its own for each way of going wrong, and several at once:
/// for what waits more than it works.
pub async fn side_by_side(ways: &[(Service, &[Mode])], go: impl AsyncFn(&World, Fault) -> bool) {
    let ways = ways
        .iter()
        .flat_map(|(service, modes)| modes.iter().map(move |mode| (*service, *mode)));
    let ways: Vec<_> = ways
        .flat_map(|(service, mode)| {
            counts(mode)
                .iter()
                .map(move |count| (service, mode, *count))
        })
        .collect();
    let walks = ways.into_iter().map(async |(service, mode, count)| {
        let world = World::new().await;
        walk(service, mode, count, async |fault| go(&world, fault).await).await;
        world.stack.stop().await;
    });
    stream::iter(walks)
        .for_each_concurrent(SIDE_BY_SIDE, |walk| walk)
        .await;
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
    let _ = world
        .send(world.request(reqwest::Method::DELETE, "/_local/outbox"))
        .await;
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
    for mail in world
        .outbox()
        .await
        .iter()
        .filter(|message| message["channel"] == "email")
    {
        *mails
            .entry(mail["to"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let most = if fault.may_repeat_a_mail() { 2 } else { 1 };
    assert!(
        mails.values().all(|count| *count <= most),
        "{fault:?}: {mails:?}"
    );
    let repeated = mails.values().filter(|count| **count > 1).count();
    // The SDK's three attempts at one request to the table; mails go ten at once, and none is tried
    // twice.
    let struck = if fault.service == Service::Ses {
        fault.count as usize
    } else {
        1
    };
    assert!(repeated <= struck, "{fault:?}: {mails:?}");
    let mut wanted = expected.to_vec();
    wanted.sort_unstable();
    assert_eq!(
        mails.keys().map(String::as_str).collect::<Vec<_>>(),
        wanted,
        "{fault:?}"
    );
}

/// Every balance is what its entries make of it.
pub async fn sums_are_right(world: &World) {
    let app = world.stack.app();
    let item = app
        .table
        .get(keys::account(world.account.parse().unwrap()))
        .await
        .unwrap()
        .unwrap();
    let account: Account = read(item).unwrap();
    let finding = reconcile::account(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
    assert!(finding.stands.is_sound());
}

/// How often an action stands in a subject's chain.
pub fn times(actions: &[String], action: &str) -> usize {
    actions
        .iter()
        .filter(|told| told.split(':').next() == Some(action))
        .count()
}

/// Which items were made, changed and taken away since, each by its nouns: `+ AUDIT 000000000001`.
pub async fn written_since(world: &World, before: &BTreeMap<String, Value>) -> Vec<String> {
    let now = world.content().await;
    let mut written = Vec::new();
    for key in before
        .keys()
        .chain(now.keys().filter(|key| !before.contains_key(*key)))
    {
        let what = match (before.get(key), now.get(key)) {
            (Some(_), None) => '-',
            (None, Some(_)) => '+',
            (was, is) if was != is => '~',
            _ => continue,
        };
        written.push(format!("{what} {}", nouns(key)));
    }
    written.sort_unstable();
    written
}

/// A key without the ids in it.
fn nouns(key: &str) -> String {
    let is_noun = |part: &&str| {
        part.contains(|c: char| c.is_ascii_uppercase())
            && !part.contains(|c: char| c.is_ascii_lowercase())
    };
    key.split(['#', ' '])
        .filter(is_noun)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A key that no request has had.
pub fn fresh(fault: Fault, name: &str) -> String {
    format!(
        "{name}-{:?}-{:?}-{}-{}",
        fault.service, fault.mode, fault.count, fault.after
    )
}
