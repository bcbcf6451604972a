//! The moment at which a request arrived is the one that it is judged by, however long the service
//! then waits for something; and a session's time begins when the browser can use it.

use local::Service;
use serde_json::{Value, json};
use shared::agreement::RecipientStatus;
use shared::agreement::kba::{LIFETIME, Session};
use shared::kernel::clock::{Clock, Span, Timestamp};
use tests::agreements::challenge_of;
use tests::{Answer, Asked, World};

/// A message about a session that was over at `ended_at`, signed as of now.
fn passed(world: &World, session: &str, ended_at: Timestamp) -> reqwest::RequestBuilder {
    let data = json!({"session": session, "outcome": "passed", "token": "tok_1"});
    let body =
        json!({"type": "kba.session.completed", "timestamp": ended_at.to_rfc3339(), "data": data});
    world.signed("msg_1", body.to_string().as_bytes())
}

/// Sends `request`, and moves the clock while its `after`th request to `service` waits for the
/// answer.
async fn delayed(
    world: &World,
    service: Service,
    after: u32,
    seconds: i64,
    request: impl Future<Output = Answer>,
) -> Answer {
    let held = world.stack.faults().hold(service, after);
    let wait = async {
        held.arrived().await;
        world.advance(seconds);
        held.let_go();
    };
    tokio::join!(request, wait).0
}

async fn stored(world: &World, session: &str) -> Session {
    let item = world
        .stack
        .table()
        .get(shared::store::dynamo::keys::session(
            session.parse().unwrap(),
        ))
        .await
        .unwrap();
    shared::store::dynamo::read(item.unwrap()).unwrap()
}

async fn opened(seconds_before_its_end: i64) -> (World, Asked, String) {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    world.advance(LIFETIME.as_secs() - seconds_before_its_end);
    (world, asked, session)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_came_in_time_counts_however_long_it_is_read_beside() {
    for after in 0..3 {
        let (world, asked, session) = opened(5).await;
        let request = world.send(passed(&world, &session, world.stack.clock().now()));
        let _ = delayed(&world, Service::Dynamodb, after, 10, request)
            .await
            .expect(204);
        assert_eq!(
            world.recipient(&asked, 0).await.status,
            RecipientStatus::Verified,
            "held at request {after}"
        );
        assert_eq!(
            world.session_status(&asked.challenges[0], &session).await,
            "passed"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_came_too_late_counts_for_nothing() {
    let (world, asked, session) = opened(0).await;
    let request = world.send(passed(&world, &session, world.stack.clock().now()));
    let _ = delayed(&world, Service::Dynamodb, 0, 10, request)
        .await
        .expect(204);
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
    assert_eq!(
        world.session_status(&asked.challenges[0], &session).await,
        "expired"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lives_from_when_the_provider_has_answered() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let request = world.open_session(&asked.challenges[0]);
    let answer = delayed(&world, Service::Provider, 0, 9, request)
        .await
        .expect(201);
    let (session, now) = (
        stored(&world, &answer.text("session")).await,
        world.stack.clock().now(),
    );
    assert_eq!(
        (session.opened_at, session.expires_at),
        (now, now.plus(LIFETIME))
    );
    assert_eq!(answer.body["expires_in"], LIFETIME.as_secs());
    let recipient = world.recipient(&asked, 0).await;
    assert!(
        recipient
            .challenges
            .values()
            .all(|challenge| challenge.expires_at == session.expires_at),
        "the challenge as long"
    );
    // Whoever passes with the last second that was told has passed in time.
    world.advance(LIFETIME.as_secs() - 1);
    let ended_at = world.stack.clock().now();
    let _ = world
        .send(passed(&world, &answer.text("session"), ended_at))
        .await
        .expect(204);
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Verified
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_to_be_left_of_a_session_is_left_when_its_writing_took_long() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let request = world.open_session(&asked.challenges[0]);
    // The first request to the table reads, the second writes.
    let answer = delayed(&world, Service::Dynamodb, 1, 4, request)
        .await
        .expect(201);
    let session = stored(&world, &answer.text("session")).await;
    let left = session.expires_at.until(world.stack.clock().now());
    assert_eq!(
        (answer.body["expires_in"].as_i64(), left),
        (Some(left.as_secs()), Span::seconds(596))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_slow_takes_no_second_of_the_questions() {
    let world = World::with(|options| options.clock = Clock::system()).await;
    let asked = world.asked(1, |_| {}).await;
    world
        .stack
        .faults()
        .set(Service::Provider, local::Mode::Slow, 0, 1);
    let answer = world.open_session(&asked.challenges[0]).await.expect(201);
    let session = stored(&world, &answer.text("session")).await;
    let left = session
        .expires_at
        .until(world.stack.clock().now())
        .as_secs();
    let told = answer.body["expires_in"].as_i64().unwrap();
    assert_eq!(
        world.stack.faults().struck(),
        1,
        "the answer came three seconds late"
    );
    assert!(
        (told - 1..=told).contains(&left) && told >= LIFETIME.as_secs() - 1,
        "{told} told, {left} left"
    );
}

/// Asks for a code, and types it in at the last second of its life or of the challenge's.
async fn typed_at_the_last_second(is_recipient: bool, after: u32) -> Answer {
    let world = World::new().await;
    let challenge = challenge_of(&world, is_recipient).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    world.advance(299);
    delayed(
        &world,
        Service::Dynamodb,
        after,
        5,
        world.verify(&challenge, "sms", &code),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_was_typed_in_time_is_good_however_long_it_is_looked_at() {
    for is_recipient in [false, true] {
        for after in 0..3 {
            let answer = typed_at_the_last_second(is_recipient, after)
                .await
                .expect(200);
            assert_eq!(
                answer.body["status"],
                Value::from("authenticated"),
                "held at request {after}"
            );
        }
    }
}
