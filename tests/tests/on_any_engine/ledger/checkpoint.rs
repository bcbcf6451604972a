//! A ledger that never stands still is held against its entries at a point in time, whatever
//! happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::path;

use expiry_cleanup::{Batch, sweep};
use futures_util::future::join_all;
use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::account::Account;
use shared::account::SHARDS_MAX;
use shared::agreement::reconcile::checkpoint::{Checkpoint, Progress};
use shared::agreement::reconcile::{self, Difference, Finding};
use shared::kernel::clock::Timestamp;
use shared::ledger::{Balance, Entry, EntryKind};
use shared::store::dynamo::{Update, keys, read};
use tests::agreements::{agreement, person, recipient_path, send_with, with_kba};
use tests::{Answer, World};
use tokio::sync::{Notify, RwLock};

/// How many senders there are.
const SENDERS: usize = 4;

async fn account(world: &World) -> Account {
    read(
        world
            .stack
            .table()
            .get(keys::account(world.account.parse().unwrap()))
            .await
            .unwrap()
            .unwrap(),
    )
    .unwrap()
}

/// Every entry of the account's ledger.
async fn entries(world: &World) -> Vec<Entry> {
    let mut entries = Vec::new();
    for partition in 0..keys::LEDGER_PARTITIONS {
        let page = world
            .stack
            .table()
            .query(
                keys::ledger(world.account.parse().unwrap(), partition),
                None,
                10_000,
            )
            .await
            .unwrap();
        entries.extend(
            page.items
                .into_iter()
                .map(|item| read::<Entry>(item).unwrap()),
        );
    }
    entries
}

/// Sends, changes its mind, and cancels, over and over.
async fn keep_sending(world: &World, sender: usize, moving: &RwLock<()>, is_over: &AtomicBool) {
    for number in 0.. {
        let still = |answer: Answer| assert!(answer.status < 500, "{}", answer.body);
        let recipients = json!([person(1, "kba"), person(2, "kba"), person(3, "none")]);
        let body = if number % 2 == 0 {
            agreement(&recipients)
        } else {
            of_a_group(&recipients)
        };
        // A request is made while the clock stands: nobody's is a minute late.
        let in_time = moving.read().await;
        let sent = send_with(world, &format!("s{sender}-{number}"), &body)
            .await
            .expect(201);
        drop(in_time);
        let in_time = moving.read().await;
        still(
            world
                .backend(
                    Method::PATCH,
                    &recipient_path(&sent, 0),
                    Some(json!({"authentication": "none"})),
                )
                .await,
        );
        drop(in_time);
        let _in_time = moving.read().await;
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        still(
            world
                .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
                .await,
        );
        if is_over.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn of_a_group(recipients: &Value) -> Value {
    let mut body = agreement(recipients);
    body["group"] = json!("sales");
    body
}

/// Goes on until something is found, moving the clock to where there is something to see.
async fn found(world: &World, moving: &RwLock<()>) -> (Finding, u32) {
    let (app, account) = (world.stack.app(), account(world).await);
    let mut checkpoint = Checkpoint::of(&app.table, &app.entropy, &account);
    for looks in 1.. {
        match checkpoint.advance(app.clock.now()).await.unwrap() {
            Progress::Done(finding) => return (finding, looks),
            Progress::Wait(until) => {
                let _all_are_answered = moving.write().await;
                app.clock.advance(until.until(app.clock.now()));
            }
        }
    }
    unreachable!("a checkpoint ends")
}

/// What the entries that were made before then come to.
fn sum(entries: &[Entry], before: Timestamp) -> Balance {
    let effect = |entry: &Entry| {
        entry
            .parts
            .iter()
            .map(|part| entry.kind.effect(part.count))
            .sum()
    };
    entries
        .iter()
        .filter(|entry| entry.at < before)
        .map(effect)
        .sum()
}

/// The shards' halves are what the entries of odd minutes make of them.
async fn halves_are_exact(world: &World, entries: &[Entry]) {
    let account = world.account.parse().unwrap();
    let shards = join_all(
        (0..SHARDS_MAX).map(|shard| world.stack.table().get(keys::balance(account, shard))),
    )
    .await;
    let shards: Vec<Value> = shards
        .into_iter()
        .filter_map(|item| item.unwrap())
        .map(|item| read(item).unwrap())
        .collect();
    let odd: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.at.as_secs() / 60 % 2 == 1)
        .cloned()
        .collect();
    let Balance {
        available,
        reserved,
        consumed,
    } = sum(&odd, Timestamp::from_millis(i64::MAX));
    let of = |name: &str| -> i64 { shards.iter().filter_map(|shard| shard[name].as_i64()).sum() };
    assert_eq!(
        (of("odd_available"), of("odd_reserved"), of("odd_consumed")),
        (available, reserved, consumed)
    );
    assert_eq!(usize::try_from(of("odd_entries")).unwrap(), odd.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_never_still_is_reconciled_to_the_unit() {
    let world = Arc::new(with_kba(5_000).await);
    let (moving, is_over) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (world, moving, is_over) = (
                Arc::clone(&world),
                Arc::clone(&moving),
                Arc::clone(&is_over),
            );
            tokio::spawn(async move { keep_sending(&world, sender, &moving, &is_over).await })
        })
        .collect();
    for _ in 0..3 {
        let (finding, looks) = found(&world, &moving).await;
        let at = finding.at.unwrap();
        let made = entries(&world).await;
        assert_eq!(finding.differences, [], "while it is used");
        assert_eq!(
            (finding.stands, finding.entries),
            (
                sum(&made, at),
                made.iter().filter(|entry| entry.at < at).count() as u64
            )
        );
        assert!(looks <= 4, "two minutes are enough: {looks}");
        println!("{} entries by then, {} by now", finding.entries, made.len());
    }
    is_over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let made = entries(&world).await;
    halves_are_exact(&world, &made).await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let still = reconcile::account(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (still.at, still.differences, still.entries),
        (None, Vec::new(), made.len() as u64)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_agree_is_found_while_the_account_is_used() {
    let world = with_kba(100).await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    let account: shared::kernel::ids::AccountId = world.account.parse().unwrap();
    let wrong = Update::of(keys::balance(account, 0)).add(path("available"), 1);
    world
        .stack
        .table()
        .transact(vec![wrong.into()])
        .await
        .unwrap();
    let (finding, _) = found(&world, &RwLock::new(())).await;
    let stands = |available| Balance {
        available,
        reserved: 1,
        consumed: 0,
    };
    assert_eq!(
        finding.differences,
        [Difference::Shard {
            shard: 0,
            stands: stands(100),
            entries: stands(99)
        }]
    );
}

/// A run of the clean-up takes minutes, and entries are held against the minute in which they were
/// written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_the_clean_up_is_of_when_it_was_written() {
    let world = with_kba(1).await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    world.advance(32 * 86_400);
    let looked = world.stack.faults().hold(Service::Dynamodb, 0);
    let swept = async { sweep(world.stack.app(), world.stack.courier(), Batch::default()).await };
    let late = async {
        looked.arrived().await;
        world.advance(190);
        looked.let_go();
    };
    let (report, ()) = tokio::join!(swept, late);
    assert_eq!(report.agreements, 1);
    let made = entries(&world).await;
    let released: Vec<Timestamp> = made
        .iter()
        .filter(|entry| entry.kind == EntryKind::Release)
        .map(|entry| entry.at)
        .collect();
    assert_eq!(released, [world.stack.clock().now()]);
}

/// Moves the clock to where there is something to see.
fn advance(world: &World, progress: &Progress) {
    let Progress::Wait(until) = progress else {
        panic!("it was found too soon: {progress:?}")
    };
    let clock = world.stack.clock();
    clock.advance(until.until(clock.now()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_came_too_late_for_a_point_is_no_mistake_at_the_next() {
    let world = with_kba(100).await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let mut checkpoint = Checkpoint::of(&app.table, &app.entropy, &account);
    let (body, written) = (agreement(&json!([person(1, "kba")])), Notify::new());
    // It arrives in the first minute, and is written when all of the first two has been looked at
    // but the entries.
    let arrived = world.stack.faults().hold(Service::Dynamodb, 1);
    let late = async {
        let _ = send_with(&world, "k", &body).await.expect(201);
        written.notify_one();
    };
    let looks = async {
        arrived.arrived().await;
        for _ in 0..2 {
            advance(&world, &checkpoint.advance(app.clock.now()).await.unwrap());
        }
        // The shards in one request, and the groups of each in one.
        let looked = world
            .stack
            .faults()
            .hold(Service::Dynamodb, u32::from(SHARDS_MAX));
        let in_between = async {
            looked.arrived().await;
            arrived.let_go();
            written.notified().await;
            looked.let_go();
        };
        let (progress, ()) = tokio::join!(checkpoint.advance(app.clock.now()), in_between);
        advance(&world, &progress.unwrap());
    };
    tokio::join!(late, looks);
    // Two more minutes, which know of it.
    advance(&world, &checkpoint.advance(app.clock.now()).await.unwrap());
    let Progress::Done(finding) = checkpoint.advance(app.clock.now()).await.unwrap() else {
        panic!("it goes on for ever")
    };
    assert_eq!(
        (finding.differences, finding.stands),
        (
            vec![],
            Balance {
                available: 99,
                reserved: 1,
                consumed: 0
            }
        )
    );
}
