//! The stack's own promises: faults strike under the SDK's retries as they would in AWS, and what
//! is kept outlives a restart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::time::Duration;

use local::{Channel, Mode, Options, Plan, Service, Stack};
use serde_json::{Value, json};
use shared::kernel::clock::{Clock, Span, Timestamp};
use shared::kernel::ids::AccountId;
use shared::messaging::courier::{Mail, NotSent};
use shared::store::dynamo::{Delete, Failure, Key, Path, Put, Update};

/// How often the SDK tries.
const TRIES: u32 = 3;

async fn stack() -> Stack {
    Stack::start(Options {
        metered: true,
        ..Options::ephemeral()
    })
    .await
    .unwrap()
}

fn key(name: &str) -> Key {
    Key {
        pk: name.into(),
        sk: name.into(),
    }
}

const N: Path = Path::new("n");

async fn create(stack: &Stack, name: &str) -> Result<(), Failure> {
    stack
        .table()
        .transact(vec![Put::create(key(name), &json!({})).unwrap().into()])
        .await
}

async fn count(stack: &Stack, name: &str) -> Result<(), Failure> {
    let write = Update::of(key(name)).count(N, 0_i64, 1_i64);
    stack.table().update(write).await.map(|_| ())
}

async fn counted(stack: &Stack, name: &str) -> i64 {
    let item = stack
        .table()
        .get(key(name))
        .await
        .unwrap()
        .unwrap_or_default();
    item.get("n")
        .and_then(|n| n.as_n().ok()?.parse().ok())
        .unwrap_or_default()
}

fn mail() -> Mail {
    Mail {
        subject: "Hello".into(),
        text: "Hello".into(),
        html: "<p>Hello".into(),
    }
}

#[tokio::test]
async fn the_sdk_gets_over_one_fault_and_not_over_three() {
    let stack = stack().await;
    for mode in [Mode::Refused, Mode::Throttled] {
        let name = format!("{mode:?}");
        stack.faults().set(Service::Dynamodb, mode, 0, 1);
        count(&stack, &name).await.unwrap();
        assert_eq!(
            (
                stack.faults().struck(),
                stack.faults().calls(Service::Dynamodb)
            ),
            (1, 2),
            "{mode:?}"
        );
        stack.faults().set(Service::Dynamodb, mode, 0, TRIES);
        assert!(
            matches!(count(&stack, &name).await, Err(Failure::Unavailable(_))),
            "{mode:?}"
        );
        assert_eq!(
            (
                stack.faults().struck(),
                stack.faults().calls(Service::Dynamodb)
            ),
            (TRIES, TRIES),
            "{mode:?}"
        );
        assert_eq!(counted(&stack, &name).await, 1, "{mode:?} has no effect");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_lost_write_took_effect_and_the_sdk_makes_it_again() {
    let stack = stack().await;
    stack.faults().set(Service::Dynamodb, Mode::Lost, 0, 1);
    count(&stack, "twice").await.unwrap();
    assert_eq!(counted(&stack, "twice").await, 2);
    // A transaction carries a token by which DynamoDB knows it again.
    stack.faults().set(Service::Dynamodb, Mode::Lost, 0, 1);
    create(&stack, "once").await.unwrap();
    stack.faults().set(Service::Dynamodb, Mode::Lost, 0, TRIES);
    assert!(matches!(
        create(&stack, "unheard").await,
        Err(Failure::Unavailable(_))
    ));
    assert!(
        matches!(create(&stack, "unheard").await, Err(Failure::Condition(_))),
        "it had taken effect"
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_slow_answer_is_given_up_and_asked_for_again() {
    let stack = stack().await;
    stack.faults().set(Service::Dynamodb, Mode::Slow, 0, 1);
    count(&stack, "slow").await.unwrap();
    assert_eq!(stack.faults().calls(Service::Dynamodb), 2);
    assert_eq!(counted(&stack, "slow").await, 2);
    stack.stop().await;
}

#[tokio::test]
async fn a_conflict_is_told_apart() {
    let stack = stack().await;
    stack.faults().set(Service::Dynamodb, Mode::Conflict, 0, 1);
    assert!(matches!(
        create(&stack, "held").await,
        Err(Failure::Conflict)
    ));
    stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, TRIES);
    assert!(matches!(
        count(&stack, "held").await,
        Err(Failure::Conflict)
    ));
    stack.faults().clear();
    create(&stack, "held").await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn a_transaction_holds_its_items_and_who_wants_one_of_them_conflicts() {
    let stack = stack().await;
    let both = |first: &str, second: &str| {
        let add = |name: &str| Update::of(key(name)).add(N, 1).into();
        stack.table().transact(vec![add(first), add(second)])
    };
    let plan = Plan::new(Mode::Hold, 0, 1).lasting(Duration::from_millis(300));
    stack.faults().follow(Service::Dynamodb, plan);
    let others = async {
        while stack.faults().struck() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(
            matches!(both("z", "b").await, Err(Failure::Conflict)),
            "a transaction"
        );
        assert!(
            matches!(
                stack.table().get_snapshot(vec![key("a")]).await,
                Err(Failure::Conflict)
            ),
            "a read at one instant"
        );
        assert!(
            matches!(count(&stack, "a").await, Err(Failure::Conflict)),
            "a single write"
        );
        assert_eq!(
            (counted(&stack, "a").await, counted(&stack, "z").await),
            (0, 0),
            "reads pass, and what conflicts does nothing"
        );
        count(&stack, "z").await.unwrap();
    };
    let (held, ()) = tokio::join!(both("a", "b"), others);
    held.unwrap();
    both("a", "z").await.unwrap();
    assert_eq!(
        [
            counted(&stack, "a").await,
            counted(&stack, "b").await,
            counted(&stack, "z").await
        ],
        [2, 1, 2]
    );
    assert_eq!(
        stack.faults().report().conflicts,
        3,
        "the SDK repeats none of them"
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_transaction_that_takes_longer_than_anybody_waits_takes_effect_once() {
    let stack = stack().await;
    stack.faults().hold_items(Duration::from_millis(2_600));
    // Whoever asks again is told that it is under way, and then what came of it.
    create(&stack, "long").await.unwrap();
    stack.faults().let_items_go();
    assert!(matches!(
        create(&stack, "long").await,
        Err(Failure::Condition(_))
    ));
    stack.stop().await;
}

#[tokio::test]
async fn a_fault_that_is_none_is_refused_by_its_field() {
    let stack = stack().await;
    let ask = async |body: Value| {
        let answer = reqwest::Client::new()
            .post(format!("{}/_local/faults", stack.base_url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let (status, answer) = ask(json!({"service": "sns", "mode": "hold"})).await;
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (400, &json!("/mode")),
        "{answer}"
    );
    let (status, answer) = ask(json!({"service": "dynamodb", "mode": "slower"})).await;
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (400, &json!("/mode")),
        "{answer}"
    );
    let order =
        json!({"service": "dynamodb", "mode": "hold", "after": 1, "count": 2, "milliseconds": 15});
    let (status, answer) = ask(order).await;
    let planned = json!({"mode": "hold", "after": 1, "count": 2, "milliseconds": 15});
    assert_eq!((status, &answer["plans"]["dynamodb"]), (200, &planned));
    stack.stop().await;
}

#[tokio::test]
async fn a_message_arrives_unless_its_sender_fails() {
    let stack = stack().await;
    let (courier, account) = (stack.courier(), AccountId::from_bytes([1; 16]));
    for (service, mode) in [
        (Service::Sns, Mode::Throttled),
        (Service::Sns, Mode::Refused),
    ] {
        stack.faults().set(service, mode, 0, TRIES);
        assert_eq!(
            courier.sms("+12025550123", "Hello").await,
            Err(NotSent::Refused),
            "{mode:?}"
        );
        assert_eq!(stack.faults().struck(), TRIES, "{mode:?} is tried again");
        stack.faults().set(Service::Ses, mode, 0, TRIES);
        assert_eq!(
            courier.mail(account, "ann@example.com", &mail()).await,
            Err(NotSent::Refused),
            "{mode:?}"
        );
        assert_eq!(stack.faults().struck(), TRIES, "{mode:?} is tried again");
    }
    assert_eq!(stack.outbox().messages(), []);
    courier
        .sms("+12025550123", "Hello & good-bye = 1 + 1")
        .await
        .unwrap();
    courier
        .mail(account, "ann@example.com", &mail())
        .await
        .unwrap();
    let text = stack.outbox().latest_to("+12025550123").unwrap();
    assert_eq!(
        (text.channel, text.text.as_str()),
        (Channel::Sms, "Hello & good-bye = 1 + 1")
    );
    assert_eq!(text.sms_type.as_deref(), Some("Transactional"));
    let mail = stack.outbox().latest_to("ann@example.com").unwrap();
    assert_eq!(
        (mail.channel, mail.html.as_deref()),
        (Channel::Email, Some("<p>Hello"))
    );
    assert_eq!(
        mail.tags,
        [("account".to_owned(), account.to_string())].into(),
        "a bounce tells whose it is"
    );
    stack.outbox().clear();
    stack.faults().set(Service::Ses, Mode::Lost, 0, TRIES);
    assert_eq!(
        courier
            .mail(account, "ann@example.com", &self::mail())
            .await,
        Err(NotSent::Unknown)
    );
    assert_eq!(
        stack.outbox().messages().len(),
        1,
        "what may have arrived is not sent again"
    );
    stack.stop().await;
}

#[tokio::test]
async fn table_indexes_keys_and_clock_outlive_a_restart() {
    let path: PathBuf =
        std::env::temp_dir().join(format!("countersign-stack-{}", std::process::id()));
    let start = || {
        Stack::start(Options {
            data: Some(path.clone()),
            clock: clock(),
            ..Options::ephemeral()
        })
    };
    let stack = start().await.unwrap();
    let write = Put::create(key("kept"), &json!({}))
        .unwrap()
        .listed("LIST".into(), "1".into())
        .due(stack.clock().now());
    stack.table().transact(vec![write.into()]).await.unwrap();
    let (operator, public) = (stack.operator_key().clone(), public_key(&stack).await);
    stack.stop().await;

    let stack = start().await.unwrap();
    assert!(stack.table().get(key("kept")).await.unwrap().is_some());
    let listed = stack
        .table()
        .list("LIST".into(), None, 10)
        .await
        .unwrap()
        .items;
    assert_eq!(
        listed.iter().filter_map(Key::of).collect::<Vec<_>>(),
        [key("kept")]
    );
    let due = stack
        .table()
        .due(key("kept").due_shard(), clock().now().as_millis(), None, 10)
        .await
        .unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (stack.operator_key(), public_key(&stack).await),
        (&operator, public)
    );
    // The index still follows the table.
    stack
        .table()
        .transact(vec![Delete::of(key("kept")).into()])
        .await
        .unwrap();
    assert_eq!(
        stack
            .table()
            .list("LIST".into(), None, 10)
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    stack.stop().await;
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn two_stacks_do_not_share_a_data_directory_or_a_port() {
    let path: PathBuf =
        std::env::temp_dir().join(format!("countersign-shared-{}", std::process::id()));
    let options = || Options {
        data: Some(path.clone()),
        ..Options::ephemeral()
    };
    let stack = Stack::start(options()).await.unwrap();
    let refused = Stack::start(options()).await.unwrap_err().to_string();
    assert!(
        refused.contains("is in use by another running stack"),
        "{refused}"
    );
    let port = stack
        .base_url()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let refused = Stack::start(Options {
        port,
        ..Options::ephemeral()
    })
    .await
    .unwrap_err()
    .to_string();
    assert!(refused.contains("is in use already"), "{refused}");
    stack.stop().await;
    std::fs::remove_dir_all(path).unwrap();
}

fn clock() -> Clock {
    Clock::fixed_at(Timestamp::from_millis(1_800_000_000_000).plus(Span::hours(1)))
}

async fn public_key(stack: &Stack) -> Option<String> {
    let app = stack.app();
    app.keyrings
        .current(app.clock.now())
        .await
        .public_keys()
        .next()
        .map(|key| key.id.clone())
}
