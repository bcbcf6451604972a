//! The low balance is told once for each crossing, and never not at all: through the routes, in
//! races, and by corrections. And what the ledger is asked for by a sending.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::account::Account;
use shared::account::Shards;
use shared::kernel::clock::Timestamp;
use shared::ledger::upkeep::{Done, Tools};
use shared::ledger::{
    About, EntryId, Purchase, ReservationRequest, Snapshot, StaleRead, TopupTarget, Watch, balance,
    plan, watch,
};
use shared::store::dynamo::{Failure, Write, keys, read};
use tests::agreements::{
    agreement, buy, clean, person, quota, recipient_path, send_with, with_kba,
};
use tests::strain::rounds;
use tests::{Answer, World};

const CONTACTS: [&str; 2] = ["one@alder.example", "two@alder.example"];

/// An account with so many transactions whose contacts are told below ten.
async fn watched(transactions: u32) -> World {
    let world = with_kba(transactions).await;
    let _ = world.settings(json!({"contacts": CONTACTS})).await;
    world
}

async fn send(world: &World, key: &str, count: usize) -> Answer {
    let recipients: Vec<Value> = (0..count).map(|number| person(number, "kba")).collect();
    send_with(world, key, &agreement(&json!(recipients))).await
}

/// How many mails about the balance were sent.
async fn told(world: &World) -> usize {
    world
        .outbox()
        .await
        .iter()
        .filter(|mail| CONTACTS.iter().any(|contact| mail["to"] == *contact))
        .count()
}

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

#[tokio::test]
async fn two_who_each_stay_above_the_mark_by_what_they_saw_do_not_pass_it_together() {
    let world = watched(22).await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let watch = Watch::of(&account, &account.settings().unwrap());
    let seen = balance::snapshot(&app.table, &app.entropy, &account)
        .await
        .unwrap();
    let plan = |id: &str| {
        let about = About {
            agreement: Some(id.into()),
            recipient: None,
            group: None,
            sequence: None,
        };
        let order = ReservationRequest {
            account: &account,
            id: EntryId::reserve(id),
            about,
            count: 11,
            watch: &watch,
            at: app.clock.now(),
        };
        plan::reserve(&order, Some(&seen)).unwrap()
    };
    let (first, second) = (plan("agr_1"), plan("agr_2"));
    assert!(first.crossing.is_none() && second.crossing.is_none());
    app.table.transact(first.writes).await.unwrap();
    let refused = app.table.transact(second.writes.clone()).await;
    assert!(
        matches!(&refused, Err(failure @ Failure::Condition(_)) if plan("agr_2").failed(failure)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_was_planned_below_the_mark_is_planned_anew_where_there_is_more_by_then() {
    let world = watched(9).await;
    let _ = send(&world, "k0", 1).await.expect(201);
    assert_eq!(told(&world).await, 2);
    let (app, account) = (world.stack.app(), account(&world).await);
    let watch = Watch::of(&account, &account.settings().unwrap());
    let seen = balance::snapshot(&app.table, &app.entropy, &account)
        .await
        .unwrap();
    let about = About {
        agreement: Some("agr_1".into()),
        recipient: None,
        group: None,
        sequence: None,
    };
    let order = ReservationRequest {
        account: &account,
        id: EntryId::reserve("agr_1"),
        about,
        count: 3,
        watch: &watch,
        at: app.clock.now(),
    };
    let planned = plan::reserve(&order, Some(&seen)).unwrap();
    assert!(planned.crossing.is_none(), "it was told of");
    // Above the threshold by a top-up, which says so: to get below it again is another crossing.
    buy(&world, 4).await;
    assert!(matches!(
        app.table.transact(planned.writes).await,
        Err(Failure::Condition(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sends_at_once_that_cross_the_mark_together_tell_of_it() {
    for round in rounds() {
        let world = watched(22).await;
        let both = async { tokio::join!(send(&world, "k1", 11), send(&world, "k2", 11)) };
        let (first, second) = round.race(&world, both).await;
        assert_eq!((first.status, second.status), (201, 201), "{round:?}");
        assert_eq!(
            (quota(&world).await, told(&world).await),
            ((0, 22, 0), 2),
            "{round:?}"
        );
    }
}

#[tokio::test]
async fn a_correction_knows_the_mark_from_both_sides() {
    let world = watched(12).await;
    let app = world.stack.app();
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    let correct = async |id: &str, change: i64| {
        let done = tools
            .correct(
                world.account.parse().unwrap(),
                &EntryId::named(id),
                change,
                "entered twice",
            )
            .await;
        let Ok(Some(Done::Now(plan))) = done else {
            panic!("{done:?}")
        };
        plan.crossing
            .map(|crossing| (crossing.number, crossing.available))
    };
    assert_eq!(
        correct("correction.1", -2).await,
        None,
        "at the threshold is not below it"
    );
    assert_eq!(correct("correction.2", -1).await, Some((1, 9)));
    assert_eq!(correct("correction.3", -1).await, None, "it was told");
    assert_eq!(clean(&world).await["mails_sent"], 2);
    assert_eq!(told(&world).await, 2);
    assert_eq!(correct("correction.4", 2).await, None);
    let _ = send(&world, "k", 1).await.expect(201);
    assert_eq!((quota(&world).await.0, told(&world).await), (9, 4));
}

#[tokio::test]
async fn who_is_refused_tells_of_a_crossing_that_nobody_told_of() {
    let world = watched(5).await;
    // Bought below the threshold: nobody has crossed it, and nobody was told.
    assert_eq!(told(&world).await, 0);
    let _ = send(&world, "k1", 6).await.refused(402, "quota-exhausted");
    assert_eq!(told(&world).await, 2);
    let _ = send(&world, "k2", 6).await.refused(402, "quota-exhausted");
    assert_eq!(
        (quota(&world).await, told(&world).await),
        ((5, 0, 0), 2),
        "once"
    );
    // A change of method that is refused tells just so: here, of a threshold that was set when all
    // was used.
    let other = watched(1).await;
    let _ = other.settings(json!({"quota": {"low_balance": 0}})).await;
    let sent = send_with(
        &other,
        "k1",
        &agreement(&json!([person(1, "kba"), person(2, "sms")])),
    )
    .await
    .expect(201);
    let _ = other.settings(json!({"quota": {"low_balance": 10}})).await;
    assert_eq!((quota(&other).await, told(&other).await), ((0, 1, 0), 0));
    let change = json!({"authentication": "kba"});
    let _ = other
        .backend(Method::PATCH, &recipient_path(&sent, 1), Some(change))
        .await
        .refused(402, "quota-exhausted");
    assert_eq!(told(&other).await, 2);
    // Who has never bought anything has nothing that gets low.
    let mut poor = watched(1).await;
    (poor.account, poor.key) = poor.open_account("business").await;
    let _ = poor
        .settings(json!({"contacts": CONTACTS, "kba": {"enabled": true}}))
        .await;
    let _ = send(&poor, "k1", 1).await.refused(402, "quota-exhausted");
    assert_eq!(told(&poor).await, 0);
}

#[tokio::test]
async fn a_crossing_is_told_whichever_answer_is_lost() {
    for after in 0..8 {
        let world = watched(10).await;
        let body = agreement(&json!([person(1, "kba")]));
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Lost, after, 3);
        let _ = send_with(&world, "k", &body).await;
        world.stack.faults().clear();
        let again = send_with(&world, "k", &body).await.expect(201);
        assert_eq!(
            (
                quota(&world).await,
                again.body["quota"]["available"].as_i64()
            ),
            ((9, 1, 0), Some(9))
        );
        world.advance(3600);
        let _ = clean(&world).await;
        let mails = world.outbox().await;
        for to in CONTACTS.into_iter().chain(["r1@example.com"]) {
            assert!(
                mails.iter().any(|mail| mail["to"] == to),
                "{to} was told, {after} calls before the fault"
            );
        }
    }
}

/// How many requests to the table it takes to send.
async fn calls(world: &World, key: &str, authentication: &str) -> u32 {
    let faults = world.stack.faults();
    faults.clear();
    let _ = send_with(world, key, &agreement(&json!([person(1, authentication)])))
        .await
        .expect(201);
    faults.calls(Service::Dynamodb)
}

#[tokio::test]
async fn well_above_the_mark_a_reservation_takes_no_request_more_than_none() {
    let world = watched(100).await;
    let account = account(&world).await;
    let app = world.stack.app();
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    tools
        .grow(account.id, Shards::new(4).unwrap())
        .await
        .unwrap();
    let (none, kba) = (
        calls(&world, "k1", "none").await,
        calls(&world, "k2", "kba").await,
    );
    assert_eq!(none, kba);
    // At a glance its own shard has too little: all of them are looked at, once, and nothing is
    // tried in vain.
    let low = watched(5).await;
    let _ = send(&low, "k0", 1).await.expect(201);
    assert_eq!(calls(&low, "k1", "kba").await, kba + 1);
    assert_eq!(calls(&low, "k2", "none").await, none);
}

#[tokio::test]
async fn what_reserves_nothing_meets_nobody_at_the_balance() {
    let world = watched(5).await;
    let entries = async || {
        world
            .backend(Method::GET, "/v1/quota/entries", None)
            .await
            .expect(200)
            .body["entries"]
            .clone()
    };
    let before = entries().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "sms")])),
    )
    .await
    .expect(201);
    assert_eq!(
        sent.body["quota"],
        json!({"available": 5, "reserved": 0, "consumed": 0, "purchased": 5})
    );
    assert_eq!((entries().await, told(&world).await), (before, 0));
}

/// A purchase of so many, over what is seen.
fn bought(
    account: &Account,
    watch: &Watch,
    seen: &Snapshot,
    (transactions, onto): (u32, TopupTarget),
) -> Vec<Write> {
    let id = EntryId::named("top_1");
    let purchase = Purchase {
        account: account.id,
        id,
        transactions,
        reference: None,
        watch,
        at: Timestamp::default(),
    };
    plan::topup(
        &purchase,
        onto,
        &StaleRead {
            shards: seen.shards.clone(),
        },
        seen.notice,
    )
    .unwrap()
    .writes
}

#[tokio::test]
async fn who_buys_too_little_by_then_does_not_say_that_the_balance_is_high_again() {
    for shards in [1, 2] {
        let world = watched(12).await;
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
        let _ = send(&world, "k1", 6).await.expect(201);
        assert_eq!(told(&world).await, 2);
        let account = account(&world).await;
        let watch = Watch::of(&account, &account.settings().unwrap());
        let seen = balance::snapshot(&app.table, &app.entropy, &account)
            .await
            .unwrap();
        // Six and five would be above the threshold of ten, on whichever shard; but three more are
        // gone by then.
        let one = bought(&account, &watch, &seen, (5, TopupTarget::One(seen.count)));
        let all = bought(&account, &watch, &seen, (5, TopupTarget::All(seen.count)));
        let _ = send(&world, "k2", 3).await.expect(201);
        for writes in [one, all] {
            let refused = app.table.transact(writes).await;
            assert!(matches!(refused, Err(Failure::Condition(_))), "{refused:?}");
        }
        buy(&world, 5).await;
        let _ = send(&world, "k3", 1).await.expect(201);
        assert_eq!(
            (quota(&world).await.0, told(&world).await),
            (7, 2),
            "it was below all the time"
        );
        buy(&world, 30).await;
        let _ = send(&world, "k4", 30).await.expect(201);
        assert_eq!(
            (quota(&world).await.0, told(&world).await),
            (7, 4),
            "and this is another crossing"
        );
    }
}

#[tokio::test]
async fn who_is_refused_does_not_tell_of_what_was_bought_meanwhile() {
    let world = watched(2).await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let watch = Watch::of(&account, &account.settings().unwrap());
    let seen = balance::snapshot(&app.table, &app.entropy, &account)
        .await
        .unwrap();
    let overdue = || watch::overdue(app, &watch, account.id, &seen, app.clock.now());
    buy(&world, 100).await;
    assert_eq!(
        (overdue().await, clean(&world).await["mails_sent"].as_u64()),
        (Vec::new(), Some(0))
    );
    let _ = send(&world, "k1", 40).await.expect(201);
    let _ = send(&world, "k2", 40).await.expect(201);
    let _ = send(&world, "k3", 20).await.expect(201);
    assert_eq!(
        (quota(&world).await.0, told(&world).await),
        (2, 2),
        "crossed once, and told once"
    );
}

#[tokio::test]
async fn a_crossing_is_not_told_of_once_there_is_more_on_another_shard() {
    let world = watched(12).await;
    let app = world.stack.app();
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    tools
        .grow(world.account.parse().unwrap(), Shards::new(2).unwrap())
        .await
        .unwrap();
    let account = account(&world).await;
    let watch = Watch::of(&account, &account.settings().unwrap());
    let seen = balance::snapshot(&app.table, &app.entropy, &account)
        .await
        .unwrap();
    let about = About {
        agreement: Some("agr_1".into()),
        recipient: None,
        group: None,
        sequence: None,
    };
    let order = ReservationRequest {
        account: &account,
        id: EntryId::reserve("agr_1"),
        about,
        count: 3,
        watch: &watch,
        at: app.clock.now(),
    };
    let crossing = plan::reserve(&order, Some(&seen)).unwrap();
    assert!(crossing.crossing.is_some());
    let own = crossing.entry.parts[0].shard;
    let other = (0..20)
        .map(|number| format!("top_{number}"))
        .find(|id| seen.count.of(id) != own)
        .unwrap();
    let purchase = Purchase {
        account: account.id,
        id: EntryId::named(other),
        transactions: 50,
        reference: None,
        watch: &watch,
        at: app.clock.now(),
    };
    let stale = StaleRead {
        shards: seen.shards.clone(),
    };
    let bought = plan::topup(&purchase, TopupTarget::One(seen.count), &stale, seen.notice).unwrap();
    app.table.transact(bought.writes).await.unwrap();
    let refused = app.table.transact(crossing.writes).await;
    assert!(matches!(refused, Err(Failure::Condition(_))), "{refused:?}");
}

#[tokio::test]
async fn two_crossings_are_told_of_twice() {
    let world = watched(11).await;
    for (key, count) in [("k1", 2), ("k2", 1), ("k3", 1)] {
        let _ = send(&world, key, count).await.expect(201);
    }
    buy(&world, 5).await;
    for (key, count) in [("k4", 3), ("k5", 1)] {
        let _ = send(&world, key, count).await.expect(201);
    }
    assert_eq!((quota(&world).await, told(&world).await), ((8, 8, 0), 4));
}

#[test]
fn the_metric_is_counted_once_for_each_crossing() {
    // What a function writes to its output is what CloudWatch reads: here, that of the test above
    // in a process of its own.
    let story = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ledger::low_balance::two_crossings_are_told_of_twice",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let written = String::from_utf8(story.stdout).unwrap();
    assert!(story.status.success(), "{written}");
    let lines = written
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
    let counted: Vec<_> = lines.filter(|line| line["LowBalance"] == 1).collect();
    let available: Vec<_> = counted
        .iter()
        .map(|line| line["available"].as_i64())
        .collect();
    assert_eq!(available, [Some(9), Some(9)], "{written}");
    assert!(
        counted
            .iter()
            .all(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == "LowBalance"),
        "{written}"
    );
}

#[tokio::test]
async fn a_crossing_that_two_have_seen_is_told_of_by_the_first() {
    for crossed_before in [false, true] {
        let world = watched(12).await;
        if crossed_before {
            let _ = send(&world, "k0", 3).await.expect(201);
            buy(&world, 3).await;
        }
        let before = told(&world).await;
        let (app, account) = (world.stack.app(), account(&world).await);
        let watch = Watch::of(&account, &account.settings().unwrap());
        let seen = balance::snapshot(&app.table, &app.entropy, &account)
            .await
            .unwrap();
        let plan = |id: &str| {
            let about = About {
                agreement: Some(id.into()),
                recipient: None,
                group: None,
                sequence: None,
            };
            let order = ReservationRequest {
                account: &account,
                id: EntryId::reserve(id),
                about,
                count: 3,
                watch: &watch,
                at: app.clock.now(),
            };
            plan::reserve(&order, Some(&seen)).unwrap()
        };
        let (first, second) = (plan("agr_1"), plan("agr_2"));
        assert!(first.crossing.is_some() && second.crossing.is_some());
        app.table.transact(first.writes).await.unwrap();
        // The mails are gone by the time that the other is written: that they are owed already
        // stands in nobody's way.
        assert_eq!(clean(&world).await["mails_sent"], 2);
        let refused = app.table.transact(second.writes).await;
        assert!(matches!(refused, Err(Failure::Condition(_))), "{refused:?}");
        assert_eq!(
            (
                told(&world).await - before,
                clean(&world).await["mails_sent"].as_u64()
            ),
            (2, Some(0))
        );
    }
}
