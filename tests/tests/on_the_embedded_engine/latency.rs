//! Latency as a dimension. Whoever hands a message over has a sender who takes a tenth of a second,
//! one, three, five or seven, and whose answer then comes or is lost; what is counted is what
//! arrived, over the hour that follows, with the clean-up at its usual times.
//!
//! Slow is not down: what the sender answers for within six seconds arrives once. What it does not
//! answer for may have arrived. A code of which that is so is told as sent, counts as sent and is
//! never sent again by itself; a mail that is owed goes again, once in the hour.

use std::time::Duration;

use aws_sdk_secretsmanager::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
};
use futures_util::future::join_all;
use local::{Mode, Plan, Service};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::kernel::clock::Timestamp;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::Keyrings;
use shared::kernel::sdk::{SdkConfig, https_client, retries, secrets_manager, timeouts};
use shared::kernel::secret::Secret;
use tests::World;
use tests::agreements::{agreement, challenge_of, clean, person};
use tests::issuer::Issuer;
use tokio::sync::{Barrier, Mutex};

/// How long a sender takes, in milliseconds.
const LATENCIES: [u64; 5] = [100, 1_000, 3_000, 5_000, 7_000];
/// Each of them answered and lost.
const SENDERS: usize = 2 * LATENCIES.len();
/// API Gateway answers for a function that takes longer.
const GATEWAY: Duration = Duration::from_secs(28);
/// What a sender may take while somebody waits.
const WAITED_FOR: u64 = 6_000;

/// How a sender is.
#[derive(Clone, Copy, Debug)]
struct Sender {
    latency: u64,
    answers: bool,
}

impl Sender {
    fn each() -> impl Iterator<Item = Self> {
        LATENCIES
            .into_iter()
            .flat_map(|latency| [true, false].map(|answers| Self { latency, answers }))
    }

    fn plan(self) -> Plan {
        slow(
            self.latency,
            if self.answers { Mode::Slow } else { Mode::Lost },
        )
    }
}

fn slow(latency: u64, mode: Mode) -> Plan {
    Plan::new(mode, 0, u32::MAX).lasting(Duration::from_millis(latency))
}

/// Where the rows of a group wait for each other: they are prepared one after the other, and go on
/// together, so that none is slowed by the work of another.
struct Start {
    turn: Mutex<()>,
    all: Barrier,
}

impl Start {
    fn of(rows: usize) -> Self {
        Self {
            turn: Mutex::default(),
            all: Barrier::new(rows),
        }
    }

    /// What was prepared, once every row is.
    async fn when_all_are<T>(&self, prepared: impl Future<Output = T>) -> T {
        let turn = self.turn.lock().await;
        let prepared = prepared.await;
        drop(turn);
        self.all.wait().await;
        prepared
    }
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    status: u16,
    /// How many messages had arrived when it was answered.
    at_once: usize,
    /// And an hour later.
    in_all: usize,
}

/// Sends the request that `prepare` makes, under each kind of sender, and lets an hour go by; holds
/// what came of it against what `is_right`.
async fn under_each(
    service: Service,
    start: &Start,
    prepare: impl AsyncFn(&World) -> RequestBuilder,
    is_right: impl Fn(Sender, &Came) -> bool,
) {
    let came = join_all(Sender::each().map(async |sender| {
        let prepared = Box::pin(async {
            let world = World::new().await;
            let request = prepare(&world).await;
            let before = world.outbox().await.len();
            world.stack.faults().follow(service, sender.plan());
            (world, request, before)
        });
        let (world, request, before) = start.when_all_are(prepared).await;
        let answer = tokio::time::timeout(GATEWAY, world.send(request))
            .await
            .unwrap_or_else(|_| panic!("{sender:?}: too late"));
        let at_once = world.outbox().await.len() - before;
        for _ in 0..12 {
            world.advance(300);
            let _ = clean(&world).await;
        }
        let in_all = world.outbox().await.len() - before;
        (
            sender,
            Came {
                status: answer.status,
                at_once,
                in_all,
            },
        )
    }));
    let wrong: Vec<_> = came
        .await
        .into_iter()
        .filter(|(sender, came)| !is_right(*sender, came))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Told as sent, sent once, and never again by itself.
fn one_code(_: Sender, came: &Came) -> bool {
    *came
        == Came {
            status: 202,
            at_once: 1,
            in_all: 1,
        }
}

/// A mail that nobody answered for goes once more in the hour. Where none was begun in the request,
/// the clean-up waits for longer.
const fn owed(sender: Sender, came: &Came) -> bool {
    let answered = sender.answers && (sender.latency < WAITED_FOR || came.at_once == 0);
    came.status < 300 && came.at_once <= 1 && came.in_all == if answered { 1 } else { 2 }
}

/// The same of a link, which is good for an hour or less: where nobody ever answers it goes more
/// often, so that it is not given up while it is good.
const fn owed_link(sender: Sender, came: &Came) -> bool {
    if sender.answers {
        return owed(sender, came);
    }
    came.status < 300 && came.at_once <= 1 && came.in_all >= 3 && came.in_all <= 5
}

// What waits, waits at once: a group takes as long as its slowest row.
#[tokio::test]
async fn codes_go_once_however_slow_the_sender_is() {
    let start = &Start::of(5 * SENDERS);
    tokio::join!(
        code_by_text(start),
        code_by_mail(start),
        code_to_a_recipient(start),
        code_to_a_new_phone(start),
        code_to_a_new_mailbox(start)
    );
}

#[tokio::test]
async fn mails_that_are_owed_go_once_unless_nobody_answers_for_them() {
    let start = &Start::of(4 * SENDERS + 1);
    tokio::join!(
        invitation(start),
        link(start),
        link_to_a_new_password(start),
        notice_of_a_change(start),
        forty_invitations(start)
    );
}

#[tokio::test]
async fn who_is_asked_and_slow_is_not_down() {
    let start = &Start::of(4 * LATENCIES.len());
    tokio::join!(provider(start), issuer(start), table(start), keyring(start));
}

async fn code_by_text(start: &Start) {
    let ask = async |world: &World| {
        let challenge = challenge_of(world, false).await;
        world
            .request(Method::POST, "/v1/codes")
            .json(&json!({"challenge": challenge, "method": "sms"}))
    };
    under_each(Service::Sns, start, ask, one_code).await;
}

async fn code_by_mail(start: &Start) {
    let ask = async |world: &World| {
        let _ = world
            .settings(json!({"second_factor": {"methods": {"email": true}}}))
            .await;
        let challenge = challenge_of(world, false).await;
        world
            .request(Method::POST, "/v1/codes")
            .json(&json!({"challenge": challenge, "method": "email"}))
    };
    under_each(Service::Ses, start, ask, one_code).await;
}

async fn code_to_a_recipient(start: &Start) {
    let ask = async |world: &World| {
        let challenge = challenge_of(world, true).await;
        world
            .request(Method::POST, "/v1/codes")
            .json(&json!({"challenge": challenge, "method": "sms"}))
    };
    under_each(Service::Sns, start, ask, one_code).await;
}

async fn code_to_a_new_phone(start: &Start) {
    under_each(
        Service::Sns,
        start,
        async |world| contact(world, "sms", json!({"phone": "+12025550177"})).await,
        one_code,
    )
    .await;
}

async fn code_to_a_new_mailbox(start: &Start) {
    under_each(
        Service::Ses,
        start,
        async |world| contact(world, "email", json!({"email": "new@example.org"})).await,
        one_code,
    )
    .await;
}

/// Somebody who has just signed in asks for a code to a contact that is to be their own.
async fn contact(world: &World, method: &str, body: Value) -> RequestBuilder {
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    world
        .request(Method::POST, &format!("/v1/factors/{method}"))
        .bearer_auth(token)
        .json(&body)
}

async fn invitation(start: &Start) {
    let ask = async |world: &World| {
        let request = world
            .request(Method::POST, "/v1/agreements")
            .bearer_auth(&world.key)
            .header("idempotency-key", "k");
        request.json(&agreement(&json!([person(1, "sms")])))
    };
    under_each(Service::Ses, start, ask, owed).await;
}

async fn link(start: &Start) {
    let ask = async |world: &World| {
        let ann = world.user("ann", json!({})).await;
        world
            .request(Method::POST, "/v1/links")
            .bearer_auth(&world.key)
            .json(&json!({"user": ann.id}))
    };
    under_each(Service::Ses, start, ask, owed_link).await;
}

async fn link_to_a_new_password(start: &Start) {
    let ask = async |world: &World| {
        let _ = world.user("ann", json!({})).await;
        world
            .request(Method::POST, "/v1/password/forgotten")
            .json(&json!({"account": world.account, "username": "ann"}))
    };
    under_each(Service::Ses, start, ask, owed_link).await;
}

async fn notice_of_a_change(start: &Start) {
    let ask = async |world: &World| {
        let ann = world.user("ann", json!({})).await;
        let path = format!("/v1/users/{}", ann.id);
        world
            .request(Method::PATCH, &path)
            .bearer_auth(&world.key)
            .json(&json!({"username": "anna"}))
    };
    under_each(Service::Ses, start, ask, owed).await;
}

/// Those that were begun within six seconds go at once, the others a little later.
async fn forty_invitations(start: &Start) {
    let prepared = Box::pin(async {
        let world = World::new().await;
        world
            .stack
            .faults()
            .follow(Service::Ses, slow(5_000, Mode::Slow));
        world
    });
    let world = start.when_all_are(prepared).await;
    let recipients: Vec<_> = (0..40).map(|number| person(number, "sms")).collect();
    let request = world
        .request(Method::POST, "/v1/agreements")
        .bearer_auth(&world.key)
        .header("idempotency-key", "k");
    let sent = tokio::time::timeout(
        GATEWAY,
        world.send(request.json(&agreement(&json!(recipients)))),
    )
    .await
    .unwrap();
    let _ = sent.expect(201);
    let at_once = world.outbox().await.len();
    assert!(
        (10..40).contains(&at_once),
        "{at_once}: those that were begun"
    );
    world.advance(300);
    let _ = clean(&world).await;
    let mut to: Vec<_> = world
        .outbox()
        .await
        .iter()
        .map(|mail| mail["to"].as_str().unwrap().to_owned())
        .collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!((world.outbox().await.len(), to.len()), (40, 40));
}

/// What somebody configured is asked for as long as a sender is.
async fn provider(start: &Start) {
    join_all(LATENCIES.map(async |latency| {
        let prepared = Box::pin(async {
            let world = World::new().await;
            let asked = world.asked(1, |_| {}).await;
            world
                .stack
                .faults()
                .follow(Service::Provider, slow(latency, Mode::Slow));
            (world, asked)
        });
        let (world, asked) = start.when_all_are(prepared).await;
        let answer = tokio::time::timeout(GATEWAY, world.open_session(&asked.challenges[0]))
            .await
            .unwrap();
        let expected = if latency < WAITED_FOR {
            (201, 1)
        } else {
            (503, 3)
        };
        assert_eq!(
            (answer.status, world.stack.faults().calls(Service::Provider)),
            expected,
            "{latency}: {}",
            answer.body
        );
        assert_eq!(
            world.stack.provider().opened(),
            1,
            "{latency}: it knows the session again"
        );
    }))
    .await;
}

async fn issuer(start: &Start) {
    join_all(LATENCIES.map(async |latency| {
        let prepared = Box::pin(async {
            let world = World::new().await;
            let issuer = Issuer::of(&world, env!("CARGO_BIN_EXE_issuer")).await;
            let _ = world.user("ann", json!({"sso_subject": "s"})).await;
            let token = issuer.token("s").await;
            world
                .stack
                .faults()
                .follow(Service::Issuer, slow(latency, Mode::Slow));
            (world, issuer, token)
        });
        let (world, _issuer, token) = start.when_all_are(prepared).await;
        let answer = tokio::time::timeout(GATEWAY, world.login_by(&token))
            .await
            .unwrap();
        assert_eq!(
            answer.status,
            if latency < WAITED_FOR { 200 } else { 503 },
            "{latency}: {}",
            answer.body
        );
    }))
    .await;
}

/// A table that is as slow is no use to anybody: it is asked again, and given up, and nothing is
/// done twice.
async fn table(start: &Start) {
    join_all(LATENCIES.map(async |latency| {
        let prepared = Box::pin(async {
            let world = World::new().await;
            let challenge = challenge_of(&world, false).await;
            world
                .stack
                .faults()
                .follow(Service::Dynamodb, slow(latency, Mode::Slow));
            (world, challenge)
        });
        let (world, challenge) = start.when_all_are(prepared).await;
        let ask = || {
            world.send(
                world
                    .request(Method::POST, "/v1/codes")
                    .json(&json!({"challenge": challenge, "method": "sms"})),
            )
        };
        let answer = tokio::time::timeout(GATEWAY, ask()).await.unwrap();
        world.stack.faults().clear();
        let sent = world.outbox().await.len();
        assert_eq!(
            (answer.status, sent),
            if latency < 2_000 { (202, 1) } else { (503, 0) },
            "{latency}: {}",
            answer.body
        );
        if sent == 0 {
            let _ = ask().await.expect(202);
        }
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
    }))
    .await;
}

/// A function without its keys answers nobody.
async fn keyring(start: &Start) {
    // An operation has five seconds in all.
    join_all(LATENCIES.map(async |latency| {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let keyring = shared::kernel::keyring::make(now, &Entropy::system()).unwrap();
        let secrets = secrets_manager(&start.when_all_are(secrets_after(latency, keyring)).await);
        let read = Keyrings::in_secret(secrets, "keyring".into(), now).await;
        assert_eq!(read.is_ok(), latency <= 3_000, "{latency}");
    }))
    .await;
}

/// A Secrets Manager that hands out `secret` so many milliseconds after it was asked, and the
/// configuration of who asks it.
async fn secrets_after(latency: u64, secret: Secret<String>) -> SdkConfig {
    let answer =
        json!({"ARN": "arn", "Name": "keyring", "SecretString": secret.expose()}).to_string();
    let router = axum::Router::new().fallback(async move || {
        tokio::time::sleep(Duration::from_millis(latency)).await;
        ([("content-type", "application/x-amz-json-1.1")], answer)
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "local",
        )))
        .timeout_config(timeouts())
        .retry_config(retries())
        .http_client(https_client())
        .endpoint_url(endpoint)
        .build()
}
