//! The clean-up where others are at what is due: in the transaction that it meets, in the item that
//! it read, or in every one of its attempts.
//!
//! What a run says is held against the index: a run that says that nothing is left has left nothing
//! that was due, and whatever it says, the sums are those of what stands.

use std::time::Duration;
use tests::path;

use expiry_cleanup::{Batch, Report, run, sweep};
use futures_util::future::join_all;
use local::{Mode, Service, Weather};
use reqwest::Method;
use serde_json::json;
use shared::account::Account;
use shared::agreement::reconcile;
use shared::signin::challenge::Challenge;
use shared::signin::user::User;
use shared::store::dynamo::keys::{DUE_SHARDS, due_shard};
use shared::store::dynamo::{Key, document, keys, read};
use tests::agreements::{agreement, open_last, person, quota, send_with, with_kba};
use tests::{Answer, World};

/// Longer than an agreement is out, and than anything else is kept that is removed.
const MUCH_LATER: i64 = 32 * 86_400;

/// A world of which `count` agreements are out, each with one transaction of the account's one
/// balance.
async fn reserved(count: u32) -> World {
    let world = with_kba(count).await;
    for number in 0..count {
        let _ = send_with(
            &world,
            &format!("k{number}"),
            &agreement(&json!([person(1, "kba")])),
        )
        .await
        .expect(201);
    }
    world.advance(MUCH_LATER);
    world
}

/// The keys of what is due.
async fn due(world: &World) -> Vec<Key> {
    let now = world.stack.clock().now().as_millis();
    let shards =
        (0..DUE_SHARDS).map(|shard| world.stack.table().due(due_shard(shard), now, None, 1_000));
    join_all(shards)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .filter_map(|item| Key::of(&item))
        .collect()
}

async fn cleaned(world: &World) -> Report {
    run(world.stack.app(), world.stack.courier(), Batch::default()).await
}

/// What stands is what the entries make of it, and what the recipients hold.
async fn sums_hold(world: &World) {
    let app = world.stack.app();
    let account = keys::account(world.account.parse().unwrap());
    let account: Account = read(app.table.get(account).await.unwrap().unwrap()).unwrap();
    let finding = reconcile::account(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
}

#[tokio::test]
async fn what_conflicts_is_tried_again_in_the_same_run() {
    let world = reserved(20).await;
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, 15);
    let report = cleaned(&world).await;
    assert_eq!(
        (report.agreements, report.left, report.more),
        (20, 0, false)
    );
    assert_eq!(
        (quota(&world).await, due(&world).await),
        ((20, 0, 0), vec![])
    );
    sums_hold(&world).await;
}

#[tokio::test]
async fn transactions_that_hold_the_balance_keep_nothing_reserved() {
    let world = reserved(20).await;
    world.stack.faults().hold_items(Duration::from_millis(20));
    let report = cleaned(&world).await;
    assert!(world.stack.faults().let_items_go() > 20, "they met");
    assert_eq!(
        (report.agreements, report.left, report.more),
        (20, 0, false)
    );
    assert_eq!(quota(&world).await, (20, 0, 0));
    sums_hold(&world).await;
}

#[tokio::test]
async fn what_conflicts_every_time_is_said_to_be_left() {
    let world = reserved(3).await;
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, u32::MAX);
    let report = cleaned(&world).await;
    assert_eq!((report.agreements, report.left, report.more), (0, 3, true));
    assert!(
        !report.is_a_failure(),
        "contention is no failure: the next run goes on"
    );
    world.stack.faults().clear();
    assert_eq!(
        (quota(&world).await, due(&world).await.len()),
        ((0, 3, 0), 3)
    );
    assert_eq!(
        (cleaned(&world).await.agreements, quota(&world).await),
        (3, (3, 0, 0))
    );
}

/// How many requests a sweep makes before it reads an item that is due alone: each shard is read,
/// from that of the minute on, until there is one.
fn reads_before(world: &World, key: &Key) -> u32 {
    let minute = world.stack.clock().now().as_secs().div_euclid(60);
    let shards = i64::from(DUE_SHARDS);
    let place = (0..shards).position(|number| {
        key.due_shard() == format!("DUE#{}", (minute + number).rem_euclid(shards))
    });
    u32::try_from(place.unwrap()).unwrap() + 1
}

#[tokio::test]
async fn what_was_changed_since_it_was_read_is_read_anew() {
    // Someone else writes to the agreement between the run's read and its write.
    let world = reserved(1).await;
    let [ref key] = due(&world).await[..] else {
        panic!("one is due")
    };
    let gate = world
        .stack
        .faults()
        .hold(Service::Dynamodb, reads_before(&world, key));
    let swept = async { sweep(world.stack.app(), world.stack.courier(), Batch::default()).await };
    let meddled = async {
        gate.arrived().await;
        let item = world.stack.table().get(key.clone()).await.unwrap().unwrap();
        let agreement: shared::agreement::Agreement = read(item).unwrap();
        let event = shared::store::audit::Event::new(
            shared::store::audit::Action::LinkOpened,
            shared::store::audit::Actor::System,
        );
        let writes = agreement.tell([event], world.stack.clock().now()).unwrap();
        world.stack.table().transact(writes).await.unwrap();
        gate.let_go();
    };
    let (report, ()) = tokio::join!(swept, meddled);
    assert_eq!((report.agreements, report.left, report.more), (1, 0, false));
    assert_eq!(quota(&world).await, (1, 0, 0));
}

#[tokio::test]
async fn more_challenges_than_one_write_removes_are_removed_all_the_same() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.challenge(&ann).await;
    let now = world.stack.clock().now();
    let key = keys::user(ann.id.parse().unwrap());
    for number in 0..120 {
        let place = path("challenges").member(format!("c{number}"));
        let challenge = document(&Challenge::open(now)).unwrap();
        let opened = shared::store::dynamo::Update::of(key.clone()).set(place, challenge);
        world
            .stack
            .table()
            .transact(vec![opened.into()])
            .await
            .unwrap();
    }
    world.advance(86_400);
    let report = cleaned(&world).await;
    let user: User = read(world.stack.table().get(key).await.unwrap().unwrap()).unwrap();
    assert_eq!(
        (report.challenges, user.challenges.len(), report.more),
        (121, 0, false)
    );
}

/// Something of each kind that the clean-up works off, and a mail that is owed in each of the two
/// places.
async fn something_of_each_kind() -> World {
    let world = with_kba(10).await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    world.advance(61);
    let body = json!({"challenge": world.challenge(&ann).await, "method": "sms"});
    let _ = world
        .send(
            world
                .request(Method::POST, "/v1/codes")
                .header("idempotency-key", "k")
                .json(&body),
        )
        .await
        .expect(202);
    let _ = world
        .login("nobody", "wrong password")
        .await
        .refused(401, "invalid-credentials");
    for number in 0..3 {
        let _ = send_with(
            &world,
            &format!("k{number}"),
            &agreement(&json!([person(number, "kba")])),
        )
        .await
        .expect(201);
    }
    for number in 0..2 {
        let challenge = open_last(&world, &format!("r{number}@example.com"))
            .await
            .expect(200)
            .text("challenge");
        let _ = world.session(&challenge).await;
    }
    world
        .stack
        .faults()
        .set(Service::Ses, Mode::Refused, 0, u32::MAX);
    let _ = send_with(&world, "unsent", &agreement(&json!([person(7, "sms")])))
        .await
        .expect(201);
    let _ = link(&world, &ann.id).await.expect(202);
    world.stack.faults().clear();
    world
}

async fn link(world: &World, user: &str) -> Answer {
    world
        .backend(Method::POST, "/v1/links", Some(json!({"user": user})))
        .await
}

/// At each of these moments something else is due: mails that are owed; enrolments, challenges and
/// sessions; counters and records; agreements and what is left of everything.
const MOMENTS: [i64; 4] = [120, 1_200, 90_000, MUCH_LATER];

/// Whatever kind it is of, whatever conflicts, and however often: what the run says of the rest is
/// so.
#[tokio::test]
async fn a_run_that_says_that_nothing_is_left_has_left_nothing_of_any_kind() {
    // What conflicts is waited for: the seeds wait at once.
    let conflicts: u32 = join_all([(1, 300), (2, 700), (3, 950)].map(says_what_is_left))
        .await
        .iter()
        .sum();
    assert!(conflicts > 200, "{conflicts}");
}

/// How many conflicts there were.
async fn says_what_is_left((seed, per_mille): (u64, u32)) -> u32 {
    let world = something_of_each_kind().await;
    let mut conflicts = 0;
    for moment in MOMENTS {
        world.advance(moment);
        world
            .stack
            .faults()
            .blow(seed, Weather::contention(per_mille));
        let report = cleaned(&world).await;
        conflicts += world.stack.faults().calm().values().sum::<u32>();
        let left = due(&world).await;
        assert_eq!(
            report.more,
            !left.is_empty(),
            "seed {seed}, after {moment}: {report:?} {left:?}"
        );
        assert_eq!(
            (report.failed, report.left == 0),
            (0, left.is_empty()),
            "seed {seed}, after {moment}: {left:?}"
        );
        // Without conflicts a run deals with all that there is.
        let report = cleaned(&world).await;
        assert_eq!(
            (report.left, report.more, due(&world).await),
            (0, false, vec![]),
            "seed {seed}, after {moment}"
        );
    }
    assert_eq!(quota(&world).await, (10, 0, 0));
    sums_hold(&world).await;
    conflicts
}

/// Users, recipients and senders are at the same items as the run, and every transaction holds what
/// it writes.
#[tokio::test]
async fn a_run_among_others_gives_everything_back() {
    for round in 0..20 {
        let world = reserved(8).await;
        world
            .stack
            .faults()
            .hold_items(Duration::from_millis(5 + round));
        let others = join_all((0..8).map(async |number| {
            let sent = send_with(
                &world,
                &format!("new{number}"),
                &agreement(&json!([person(1, "kba")])),
            )
            .await;
            // What is given back meanwhile may be sent again, or may not be there yet.
            assert!(
                [201, 402, 503].contains(&sent.status),
                "{} {}",
                sent.status,
                sent.body
            );
            sent.status
        }));
        let (report, sent) = tokio::join!(cleaned(&world), others);
        world.stack.faults().let_items_go();
        let sent = i64::try_from(sent.iter().filter(|status| **status == 201).count()).unwrap();
        let expected = if report.more {
            cleaned(&world).await.agreements + report.agreements
        } else {
            report.agreements
        };
        assert_eq!(
            (expected, quota(&world).await),
            (8, (8 - sent, sent, 0)),
            "round {round}: {report:?}"
        );
        sums_hold(&world).await;
    }
}
