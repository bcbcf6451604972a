//! Logs of moments under two writers: what each was decided from is what it is written over.

use local::Service;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared::kernel::clock::{Span, Timestamp};
use shared::signin::reserved::{Log, Requester, ReservedWindow, Share};
use shared::store::dynamo::{Failure, Key, keys};
use shared::store::rate_limit::{Limit, Window};
use tests::World;

/// At most two in a minute: a log of up to five is kept before it is trimmed to what is looked at.
const TWO: Window = Window {
    limits: &[Limit {
        quota: 2,
        span: Span::minutes(1),
    }],
};

fn key() -> Key {
    keys::client_ip_sends("198.51.100.7")
}

async fn log(world: &World) -> Vec<Timestamp> {
    world
        .stack
        .table()
        .get(key())
        .await
        .unwrap()
        .as_ref()
        .map(Window::moments)
        .unwrap_or_default()
}

/// Enters a moment, a minute after the one before: no limit stands in its way.
async fn enter(world: &World, trim: Option<&[Timestamp]>) -> Result<(), Failure> {
    world.advance(60);
    let now = world.stack.clock().now();
    world
        .stack
        .table()
        .transact(vec![TWO.enter(key(), now, trim).into()])
        .await
}

fn is_refused(written: &Result<(), Failure>) -> bool {
    matches!(written, Err(Failure::Condition(_)))
}

#[tokio::test]
async fn a_log_does_not_grow_beyond_twice_what_is_looked_at() {
    let world = World::new().await;
    for _ in 0..5 {
        enter(&world, None).await.unwrap();
    }
    assert!(is_refused(&enter(&world, None).await));
    let grown = log(&world).await;
    enter(&world, Some(&grown)).await.unwrap();
    let trimmed = log(&world).await;
    assert_eq!(
        (grown.len(), &trimmed[1..]),
        (5, &grown[..2]),
        "the new one, and what a limit looks at"
    );
}

#[tokio::test]
async fn of_two_who_trim_a_log_at_once_one_reads_it_again() {
    let world = World::new().await;
    for _ in 0..5 {
        enter(&world, None).await.unwrap();
    }
    let seen = log(&world).await;
    enter(&world, Some(&seen)).await.unwrap();
    let first = log(&world).await;
    assert!(
        is_refused(&enter(&world, Some(&seen)).await),
        "it would drop what the other has entered"
    );
    assert_eq!(log(&world).await, first);
}

#[tokio::test]
async fn what_is_taken_out_of_a_log_is_the_entry_itself() {
    let world = World::new().await;
    for _ in 0..2 {
        enter(&world, None).await.unwrap();
    }
    let seen = log(&world).await;
    // Another is entered in front of it: it stands elsewhere by then.
    enter(&world, None).await.unwrap();
    let withdraw = async |seen: &[Timestamp], moment| {
        world
            .stack
            .table()
            .transact(vec![Window::withdraw(key(), moment, seen).unwrap().into()])
            .await
    };
    assert!(is_refused(&withdraw(&seen, seen[0]).await));
    let stands = log(&world).await;
    withdraw(&stands, seen[0]).await.unwrap();
    assert_eq!(log(&world).await, [stands[0], stands[2]]);
    assert!(
        Window::withdraw(key(), seen[0], &log(&world).await).is_none(),
        "it is not in it any more"
    );
    assert_eq!(world.stack.faults().calls(Service::Sns), 0);
}

/// Of two in a minute one is kept, and of four in five minutes two: a log of up to nine is kept
/// before it is trimmed.
const SHARED: ReservedWindow = ReservedWindow {
    shares: &[
        Share {
            quota: 2,
            span: Span::minutes(1),
        },
        Share {
            quota: 4,
            span: Span::minutes(5),
        },
    ],
};

async fn shared_log(world: &World, key: Key) -> Log {
    Log::of(world.stack.table().get(key).await.unwrap().as_ref())
}

/// Enters a moment, so long after the one before that no limit stands in its way.
async fn enter_shared(
    world: &World,
    requester: Requester,
    trim: Option<&Log>,
) -> Result<(), Failure> {
    world.advance(100);
    world
        .stack
        .table()
        .transact(vec![
            SHARED
                .enter(key(), requester, world.stack.clock().now(), trim)
                .into(),
        ])
        .await
}

/// A log that has grown as far as one does: a stranger's moment is its last.
async fn grown(world: &World) -> Log {
    for number in 0..9 {
        let requester = if number % 2 == 0 {
            Requester::Stranger
        } else {
            Requester::Known
        };
        enter_shared(world, requester, None).await.unwrap();
    }
    shared_log(world, key()).await
}

#[tokio::test]
async fn a_log_of_which_a_part_is_kept_is_trimmed_to_what_is_looked_at() {
    for requester in [Requester::Known, Requester::Stranger, Requester::Anybody] {
        let world = World::new().await;
        let seen = grown(&world).await;
        let last = world.stack.clock().now();
        let (before, now) = (
            last.minus(Span::seconds(100)),
            last.plus(Span::seconds(100)),
        );
        assert!(is_refused(&enter_shared(&world, requester, None).await));
        world
            .stack
            .table()
            .transact(vec![
                SHARED.enter(key(), requester, now, Some(&seen)).into(),
            ])
            .await
            .unwrap();
        let (known, strangers) = match requester {
            Requester::Known => (vec![now, before], vec![last]),
            Requester::Stranger => (vec![before], vec![now, last]),
            Requester::Anybody => (vec![before], vec![last]),
        };
        let expected =
            json!({"moments": [now, last, before], "known": known, "strangers": strangers});
        let stands = shared_log(&world, key()).await;
        assert_eq!(
            stands,
            serde_json::from_value(expected).unwrap(),
            "{requester:?}"
        );
    }
}

#[tokio::test]
async fn of_two_who_trim_a_log_of_which_a_part_is_kept_one_reads_it_again() {
    let world = World::new().await;
    let seen = grown(&world).await;
    enter_shared(&world, Requester::Known, Some(&seen))
        .await
        .unwrap();
    let first = shared_log(&world, key()).await;
    assert!(
        is_refused(&enter_shared(&world, Requester::Stranger, Some(&seen)).await),
        "it would drop what the other has entered"
    );
    assert_eq!(shared_log(&world, key()).await, first);
}

/// Enters a moment as a send does: blindly, and over the log that the failure hands back where no
/// limit is in the way. Whether it was let in.
async fn is_let_in(world: &World, key: &Key, requester: Requester, now: Timestamp) -> bool {
    let mut trim = None;
    loop {
        let written = world
            .stack
            .table()
            .transact(vec![
                SHARED
                    .enter(key.clone(), requester, now, trim.as_ref())
                    .into(),
            ])
            .await;
        let Err(failure) = written else { return true };
        let log = Log::of(failure.stood());
        if SHARED.full_until(&log, requester, now).is_some() {
            return false;
        }
        assert_eq!(trim, None, "a log that was trimmed has room");
        trim = Some(log);
    }
}

/// The reference: count what lies in the stretch before `now`, by who asked.
fn is_allowed(entries: &[(Timestamp, Requester)], requester: Requester, now: Timestamp) -> bool {
    SHARED.shares.iter().all(|share| {
        let within = entries
            .iter()
            .filter(|(moment, _)| moment.plus(share.span) > now);
        let count = |of: Requester| within.clone().filter(|(_, by)| *by == of).count();
        let rest = within.clone().count() < share.quota;
        match requester {
            Requester::Known => rest || count(Requester::Known) < share.kept(),
            Requester::Stranger => rest && count(Requester::Stranger) < share.quota - share.kept(),
            Requester::Anybody => rest,
        }
    })
}

async fn are_let_in(world: &World, key: &Key, asked: &[(i64, Requester)]) {
    let mut entries = Vec::new();
    for (gap, requester) in asked {
        world.advance(*gap);
        let now = world.stack.clock().now();
        let allowed = is_allowed(&entries, *requester, now);
        assert_eq!(
            is_let_in(world, key, *requester, now).await,
            allowed,
            "{requester:?} after {} entries",
            entries.len()
        );
        entries.extend(allowed.then_some((now, *requester)));
    }
}

/// Long enough for a log to be trimmed several times.
#[test]
fn a_log_of_which_a_part_is_kept_lets_in_what_its_sentence_says_however_often_it_was_trimmed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new());
    let numbers = std::sync::atomic::AtomicU32::new(0);
    let requester = prop::sample::select(vec![
        Requester::Known,
        Requester::Stranger,
        Requester::Anybody,
    ]);
    let config = Config {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(
        &prop::collection::vec((0_i64..120, requester), 60..90),
        |asked| {
            let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let key = keys::client_ip_sends(&format!("log-{number}"));
            let ran =
                std::panic::AssertUnwindSafe(|| runtime.block_on(are_let_in(&world, &key, &asked)));
            std::panic::catch_unwind(ran)
                .map_err(|_| TestCaseError::fail("the log and its sentence differ"))
        },
    );
    ran.unwrap();
}
