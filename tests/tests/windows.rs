//! Logs of moments under two writers: what each was decided from is what it is written over.

use local::Service;
use shared::clock::{Span, Timestamp};
use shared::dynamo::{Failure, Key, keys};
use shared::throttle::{Limit, Window};
use tests::World;

/// At most two in a minute: a log of up to five is kept before it is trimmed to what is looked at.
const TWO: Window = Window { limits: &[Limit { quota: 2, span: Span::minutes(1) }] };

fn key() -> Key {
    keys::source_sends("198.51.100.7")
}

async fn log(world: &World) -> Vec<Timestamp> {
    world.stack.table().get(key()).await.unwrap().as_ref().map(Window::moments).unwrap_or_default()
}

/// Enters a moment, a minute after the one before: no limit stands in its way.
async fn enter(world: &World, trim: Option<&[Timestamp]>) -> Result<(), Failure> {
    world.advance(60);
    let now = world.stack.clock().now();
    world.stack.table().transact(vec![TWO.enter(key(), now, trim)]).await
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
    assert_eq!((grown.len(), &trimmed[1..]), (5, &grown[..2]), "the new one, and what a limit looks at");
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
    assert!(is_refused(&enter(&world, Some(&seen)).await), "it would drop what the other has entered");
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
        world.stack.table().transact(vec![Window::withdraw(key(), moment, seen).unwrap()]).await
    };
    assert!(is_refused(&withdraw(&seen, seen[0]).await));
    let stands = log(&world).await;
    withdraw(&stands, seen[0]).await.unwrap();
    assert_eq!(log(&world).await, [stands[0], stands[2]]);
    assert!(Window::withdraw(key(), seen[0], &log(&world).await).is_none(), "it is not in it any more");
    assert_eq!(world.stack.faults().calls(Service::Sns), 0);
}
