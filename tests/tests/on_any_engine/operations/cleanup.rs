//! The scheduled clean-up.

use expiry_cleanup::{Batch, Report, run, sweep};
use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use shared::kernel::clock::{Span, Timestamp};
use shared::store::dynamo::{Key, Put, Update, keys};
use tests::agreements::{
    agreement, clean, complete, open_last, person, quota, send_with, with_kba,
};
use tests::{PASSWORD, Person, World};

/// Ten items of each of the eight shards.
const TEN_EACH: Batch = Batch {
    items_max: 80,
    page: 50,
    until: Timestamp::from_millis(i64::MAX),
};

#[tokio::test]
async fn what_is_over_is_removed_and_told_of_once() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let body = json!({"challenge": challenge, "method": "sms"});
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
    assert_eq!(clean(&world).await["challenges"], 0);

    world.advance(31 * 86_400);
    let report = clean(&world).await;
    assert_eq!(report["challenges"], 1);
    assert_eq!(report["idempotency_records"], 1);
    // Sends of the source, and of the destination by the account and by all; the budget, failures
    // of the source, wrong passwords of the name.
    assert_eq!(report["counters"], 6);
    // The entry, and the head of its chain.
    assert_eq!(report["passing_entries"], 2);
    assert_eq!(clean(&world).await["examined"], 0);
    assert_eq!(
        world.actions(&ann.id).await.len(),
        3,
        "the audit of a user stays"
    );
}

#[tokio::test]
async fn what_is_still_of_use_stays() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (_, _) = world.challenge_and_code(&ann).await;
    world.advance(10);
    let challenge = world.challenge(&ann).await;
    world.advance(390);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    world.advance(201);
    // The first challenge is over, the second is not; the counters were written to since they were
    // entered.
    let report = clean(&world).await;
    assert_eq!(report["challenges"], 1);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    world.advance(600);
    assert_eq!(clean(&world).await["challenges"], 1);
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

/// Sixty sessions that nobody can read, due before a counter that is over, all in one shard of the
/// index: more than a page and a batch.
#[tokio::test]
async fn items_that_cannot_be_dealt_with_keep_no_others_from_it_and_alone_are_a_failure() {
    let world = World::new().await;
    let (app, courier) = (world.stack.app(), world.stack.courier());
    let past = app.clock.now().minus(Span::hours(1));
    let counter = keys::client_ip_sends("198.18.255.1");
    let unreadable = (0..).map(|number| Key {
        pk: format!("SESSION#{number}"),
        sk: "SESSION".into(),
    });
    let unreadable = unreadable
        .filter(|key| key.due_shard() == counter.due_shard())
        .take(60);
    let due = |key, at| Put::replace(key, &json!({})).unwrap().due(at).into();
    let writes = unreadable
        .map(|key| due(key, past.minus(Span::hours(1))))
        .chain([due(counter.clone(), past)]);
    world
        .stack
        .table()
        .transact(writes.collect())
        .await
        .unwrap();

    let small = Batch {
        items_max: 20,
        ..Batch::default()
    };
    let report = sweep(app, courier, small).await;
    assert_eq!((report.failed, report.counters, report.more), (60, 1, true));
    assert!(!report.is_a_failure());
    let report = sweep(app, courier, small).await;
    assert_eq!((report.failed, report.removed()), (60, 0));
    assert!(
        report.is_a_failure(),
        "nothing but failures: the run has failed, which the alarm sees"
    );
}

/// What failed is due still: the run does not say that nothing is.
#[tokio::test]
async fn what_could_not_be_dealt_with_is_told_as_more_to_do() {
    let world = World::new().await;
    let past = world.stack.clock().now().minus(Span::hours(1));
    let unreadable = Put::replace(
        Key {
            pk: "SESSION#0".into(),
            sk: "SESSION".into(),
        },
        &json!({}),
    )
    .unwrap()
    .due(past);
    world
        .stack
        .table()
        .transact(vec![unreadable.into()])
        .await
        .unwrap();
    let report = sweep(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!((report.failed, report.more), (1, true));
    let report = run(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!(
        (report.failed, report.more),
        (1, true),
        "and meets it once, as there is nothing else to do"
    );
}

/// So many counters that are over, in one shard of the index.
async fn counters_in(world: &World, shard: &str, count: usize) {
    let past = world.stack.clock().now().minus(Span::hours(1));
    let all = (0..)
        .map(|number| keys::client_ip_sends(&format!("198.18.{}.{}", number / 256, number % 256)));
    let some = all.filter(|key| key.due_shard() == shard).take(count);
    let writes = some
        .map(|key| Put::replace(key, &json!({})).unwrap().due(past).into())
        .collect();
    world.stack.table().transact(writes).await.unwrap();
}

async fn swept(world: &World) -> Report {
    sweep(world.stack.app(), world.stack.courier(), TEN_EACH).await
}

#[tokio::test]
async fn a_batch_ends_at_its_cap_and_the_next_goes_on_from_there() {
    let world = World::new().await;
    counters_in(&world, "DUE#3", 25).await;
    for (removed, more) in [(10, true), (10, true), (5, false), (0, false)] {
        let report = swept(&world).await;
        assert_eq!(
            (report.counters, report.examined, report.more),
            (removed, removed, more)
        );
    }
    counters_in(&world, "DUE#3", 25).await;
    let report = run(world.stack.app(), world.stack.courier(), TEN_EACH).await;
    assert_eq!(
        (report.counters, report.more),
        (25, false),
        "a run is as many batches as it takes"
    );
}

#[tokio::test]
async fn what_piles_up_in_one_shard_keeps_no_other_waiting() {
    let world = World::new().await;
    counters_in(&world, "DUE#0", 40).await;
    counters_in(&world, "DUE#7", 1).await;
    // Whichever shard is the first this minute.
    let report = swept(&world).await;
    assert_eq!((report.counters, report.more), (11, true));
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_is_told_of_and_keeps_no_other_waiting() {
    let world = World::new().await;
    for shard in 0..8 {
        counters_in(&world, &format!("DUE#{shard}"), 1).await;
    }
    // As often as the SDK tries the first of them.
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Refused, 0, 3);
    let report = run(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!(
        (
            report.counters,
            report.failed,
            report.more,
            report.is_a_failure()
        ),
        (8, 1, false, false)
    );
    // Nothing can be read at all.
    counters_in(&world, "DUE#0", 1).await;
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Refused, 0, 1_000);
    let report = run(world.stack.app(), world.stack.courier(), Batch::default()).await;
    assert_eq!((report.examined, report.failed, report.more), (0, 8, true));
    assert!(report.is_a_failure());
}

#[tokio::test]
async fn a_window_that_was_written_to_since_it_was_entered_holds_after_the_clean_up() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let send = async || world.issue(&world.challenge(&ann).await, "sms").await;
    let _ = send().await.expect(202);
    world.advance(3_500);
    for _ in 0..5 {
        let _ = send().await.expect(202);
    }
    let _ = send().await.refused(429, "too-many-sends");
    // An hour after the first: that is when the index says to look.
    world.advance(101);
    assert!(clean(&world).await["rescheduled"].as_u64().unwrap() >= 1);
    assert_eq!(
        clean(&world).await["examined"],
        0,
        "it is looked at again when it is over, and no sooner"
    );
    let _ = send().await.refused(429, "too-many-sends");
    world.advance(500);
    let _ = send().await.expect(202);
}

#[tokio::test]
async fn an_address_that_goes_on_asking_is_not_forgotten_with_the_first_of_its_requests() {
    let world = World::new().await;
    let ask = async |number: u32| {
        let person = world
            .user(
                &format!("user{number}"),
                json!({"phone": format!("+1202555{:04}", 100 + number)}),
            )
            .await;
        world.issue(&world.challenge(&person).await, "sms").await
    };
    let _ = ask(0).await.expect(202);
    world.advance(200);
    for number in 1..25 {
        let _ = ask(number).await.expect(202);
    }
    // Five minutes after the first, which makes room for one.
    world.advance(101);
    let _ = clean(&world).await;
    let _ = ask(25).await.expect(202);
    let _ = ask(26).await.refused(429, "too-many-sends");
}

#[tokio::test]
async fn an_app_that_is_to_be_confirmed_for_longer_than_a_challenge_lives_is_looked_at_again() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    world.advance(200);
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    for (seconds, challenges, enrolments) in [(400, 1, 0), (200, 0, 1), (0, 0, 0)] {
        world.advance(seconds);
        let report = clean(&world).await;
        assert_eq!(
            (&report["challenges"], &report["enrolments"]),
            (&json!(challenges), &json!(enrolments)),
            "{report}"
        );
    }
}

/// How many requests a sweep makes before the one that reads the only item that is due, which is in
/// this shard.
fn before_the_read(world: &World, shard: &str) -> u32 {
    let first = world
        .stack
        .clock()
        .now()
        .as_secs()
        .div_euclid(60)
        .rem_euclid(8);
    let own: i64 = shard.trim_start_matches("DUE#").parse().unwrap();
    u32::try_from((own - first).rem_euclid(8)).unwrap() + 1
}

/// A sweep that is about to read the only item that is due, a user, when `meanwhile` happens.
async fn swept_while(world: &World, user: &Person, meanwhile: impl Future<Output = ()>) -> Report {
    let shard = keys::user(user.id.parse().unwrap()).due_shard();
    let gate = world
        .stack
        .faults()
        .hold(Service::Dynamodb, before_the_read(world, &shard));
    let held = async {
        gate.arrived().await;
        meanwhile.await;
        gate.let_go();
    };
    let (report, ()) = tokio::join!(swept(world), held);
    assert_eq!(gate.operation(), Some("GetItem"));
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_that_is_opened_while_another_is_removed_is_removed_in_its_turn() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.challenge(&ann).await;
    world.advance(601);
    let first = swept_while(&world, &ann, async { drop(world.challenge(&ann).await) }).await;
    // What was read has changed, and is read anew: the sign-in has removed the one that was over.
    assert_eq!(
        (
            first.challenges,
            first.rescheduled,
            first.left,
            first.failed
        ),
        (0, 1, 0, 0)
    );
    world.advance(600);
    assert_eq!(swept(&world).await.challenges, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_that_is_opened_while_an_app_is_given_up_is_removed_in_its_turn() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"kind": "internal", "phone": null}))
        .await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let token = world.opened("ann").await.text("access_token");
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    world.advance(601);
    let meanwhile = async {
        let body = json!({"account": world.account, "username": "ann", "password": PASSWORD, "second_factor": true});
        let _ = world
            .post("/v1/login", body)
            .await
            .expect(200)
            .text("challenge");
    };
    let first = swept_while(&world, &ann, meanwhile).await;
    // What was read has changed, and is read anew.
    assert_eq!(
        (first.enrolments, first.challenges, first.left, first.failed),
        (1, 0, 0, 0)
    );
    world.advance(600);
    assert_eq!(swept(&world).await.challenges, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_was_cancelled_before_it_is_read_has_not_expired_as_well() {
    let world = with_kba(2).await;
    let mut body = agreement(&json!([person(1, "kba")]));
    body["expires_in"] = json!(3_600);
    let sent = send_with(&world, "k", &body).await.expect(201);
    // Another, whose transaction would be the one that is given back twice.
    let _ = send_with(&world, "other", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    let key = keys::agreement(sent.text("id").parse().unwrap());
    let stands = async || {
        world.stack.table().get(key.clone()).await.unwrap().unwrap()["status"]
            .as_s()
            .unwrap()
            .clone()
    };
    world.advance(3_500);
    let early = Update::of(key.clone()).look_at(world.stack.clock().now());
    world
        .stack
        .table()
        .transact(vec![early.into()])
        .await
        .unwrap();
    // What the index says is held; then the agreement is read.
    let gate = world.stack.faults().hold(
        Service::Dynamodb,
        before_the_read(&world, &key.due_shard()) - 1,
    );
    let meanwhile = async {
        gate.arrived().await;
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        let _ = world
            .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
            .await
            .expect(200);
        world.advance(101);
        gate.let_go();
    };
    let (swept, ()) = tokio::join!(swept(&world), meanwhile);
    assert_eq!(gate.operation(), Some("Query"));
    assert_eq!(
        (
            swept.agreements,
            swept.left,
            swept.failed,
            stands().await.as_str()
        ),
        (0, 0, 0, "cancelled")
    );
    assert_eq!(quota(&world).await, (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clean_ups_that_read_the_same_user_remove_what_is_over_once() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"kind": "internal", "phone": null}))
        .await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let token = world.opened("ann").await.text("access_token");
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    world.advance(601);
    let shard = keys::user(ann.id.parse().unwrap()).due_shard();
    let gate = world
        .stack
        .faults()
        .hold(Service::Dynamodb, before_the_read(&world, &shard));
    let meanwhile = async {
        gate.arrived().await;
        let faster = swept(&world).await;
        gate.let_go();
        faster
    };
    let (slower, faster) = tokio::join!(swept(&world), meanwhile);
    assert_eq!(gate.operation(), Some("GetItem"));
    assert_eq!(
        (slower.enrolments, slower.failed, faster.enrolments),
        (0, 0, 1)
    );
    // The same of a challenge.
    let _ = world.settings(json!({"ip_allowlist": []})).await;
    let _ = world.opened("ann").await.text("challenge");
    world.advance(601);
    let gate = world
        .stack
        .faults()
        .hold(Service::Dynamodb, before_the_read(&world, &shard));
    let meanwhile = async {
        gate.arrived().await;
        let faster = swept(&world).await;
        gate.let_go();
        faster
    };
    let (slower, faster) = tokio::join!(swept(&world), meanwhile);
    assert_eq!(
        (slower.challenges, slower.failed, faster.challenges),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn an_agreement_that_is_looked_at_too_early_goes_on_and_is_looked_at_again() {
    let world = with_kba(1).await;
    let mut body = agreement(&json!([person(1, "kba")]));
    body["expires_in"] = json!(3_600);
    let sent = send_with(&world, "k", &body).await.expect(201);
    let status = async || {
        let item = world
            .stack
            .table()
            .get(keys::agreement(sent.text("id").parse().unwrap()))
            .await
            .unwrap()
            .unwrap();
        item["status"].as_s().unwrap().clone()
    };
    let early = Update::of(keys::agreement(sent.text("id").parse().unwrap()))
        .look_at(world.stack.clock().now());
    world
        .stack
        .table()
        .transact(vec![early.into()])
        .await
        .unwrap();
    let report = clean(&world).await;
    assert_eq!(
        (
            &report["agreements"],
            &report["rescheduled"],
            status().await.as_str()
        ),
        (&json!(0), &json!(1), "out_for_signature")
    );
    assert_eq!(clean(&world).await["examined"], 0);
    world.advance(3_600);
    let report = clean(&world).await;
    assert_eq!(
        (&report["agreements"], status().await.as_str()),
        (&json!(1), "expired")
    );
    assert_eq!(
        (clean(&world).await["examined"].clone(), quota(&world).await),
        (json!(0), (1, 0, 0))
    );
}

#[tokio::test]
async fn an_agreement_that_ended_before_its_time_is_not_looked_at_any_more() {
    for end in ["cancel", "complete"] {
        let world = World::new().await;
        let mut body = agreement(&json!([person(1, "none")]));
        body["expires_in"] = json!(3_600);
        let sent = send_with(&world, "k", &body).await.expect(201);
        if end == "cancel" {
            let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
            let _ = world
                .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
                .await
                .expect(200);
        } else {
            let _ = open_last(&world, "r1@example.com").await.expect(200);
            let _ = complete(&world, &sent, 0).await.expect(200);
        }
        world.advance(3_600);
        assert_eq!(clean(&world).await["examined"], 0, "{end}");
    }
}

#[tokio::test]
async fn a_session_that_another_took_the_place_of_is_told_of_by_nobody_and_kept_a_month() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let challenge = &asked.challenges[0];
    let sessions = [
        world.session(challenge).await,
        world.session(challenge).await,
    ];
    world.provider_says(&sessions[1], "not_locatable").await;
    let told = world.chain(&asked).await.len();
    world.advance(601);
    for examined in [1, 0] {
        assert_eq!(clean(&world).await["examined"], examined);
        assert_eq!(world.chain(&asked).await.len(), told);
        for (session, status) in sessions.iter().zip(["superseded", "not_locatable"]) {
            assert_eq!(world.session_status(challenge, session).await, status);
        }
    }
    world.advance(30 * 86_400);
    assert_eq!(clean(&world).await["kba_sessions"], 2);
}

#[tokio::test]
async fn what_is_told_of_a_name_that_nobody_has_goes_on_where_its_first_entries_are_gone() {
    let world = World::new().await;
    let wrong = async || {
        drop(
            world
                .login("nobody", "wrong password")
                .await
                .refused(401, "invalid-credentials"),
        );
    };
    for days in [0, 29] {
        world.advance(days * 86_400);
        wrong().await;
    }
    // The first entry is over; the second, and where the chain stands, are not.
    world.advance(3 * 86_400);
    assert_eq!(clean(&world).await["passing_entries"], 1);
    for _ in 0..2 {
        wrong().await;
    }
    world.advance(33 * 86_400);
    assert_eq!(clean(&world).await["passing_entries"], 4);
}
