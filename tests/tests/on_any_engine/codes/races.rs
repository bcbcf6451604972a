//! Fifty at once, and the sum.

use futures_util::future::join_all;
use local::{Mode, Service};
use serde_json::json;
use tests::agreements::challenge_of;
use tests::{Answer, PASSWORD, World, another};

const MANY: usize = 50;

fn count(answers: &[Answer], status: u16, slug: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status && answer.slug() == slug)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_right_codes_make_one_token() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let answers = join_all((0..MANY).map(|_| world.verify(&challenge, "sms", &code))).await;
    assert_eq!(count(&answers, 200, ""), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401, 410, 429].contains(&answer.status)),
        "{answers:?}"
    );
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "code-verified")
            .count(),
        1
    );

    // The attempts that lost took their count back from the factor: nine wrong codes do not yet
    // delay it.
    for _ in 0..2 {
        let (challenge, code) = world.challenge_and_code(&ann).await;
        for _ in 0..4 {
            let _ = world
                .verify(&challenge, "sms", &another(&code))
                .await
                .refused(401, "code-invalid");
        }
    }
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_codes_are_five_tries_and_the_right_one_comes_too_late() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let wrong = another(&code);
    let answers = join_all((0..MANY).map(|_| world.verify(&challenge, "sms", &wrong))).await;
    assert_eq!(
        (
            count(&answers, 401, "code-invalid"),
            count(&answers, 429, "too-many-attempts")
        ),
        (5, 45),
        "{answers:?}"
    );
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| action.ends_with("wrong-code"))
            .count(),
        5
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_challenges_of_one_user_give_ten_guesses_and_not_two_hundred_and_fifty() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let challenges = world.challenges(&ann, MANY).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.extend(
            join_all(
                challenges
                    .iter()
                    .map(|challenge| world.verify(challenge, "sms", "000000")),
            )
            .await,
        );
    }
    assert_eq!(count(&answers, 401, "code-invalid"), 10);
    assert_eq!(count(&answers, 429, "too-many-attempts"), 5 * MANY - 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_resends_are_one_message_per_cooldown() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    for sent in 1..=2 {
        let answers = join_all((0..MANY).map(|_| world.issue(&challenge, "sms"))).await;
        assert_eq!(
            (
                count(&answers, 202, ""),
                count(&answers, 429, "resend-too-soon")
            ),
            (1, MANY - 1),
            "{answers:?}"
        );
        assert_eq!(world.outbox().await.len(), sent);
        world.advance(60);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_with_one_idempotency_key_send_one_message() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let body = json!({"challenge": challenge, "method": "sms"});
    let ask = || {
        world.send(
            world
                .request(reqwest::Method::POST, "/v1/codes")
                .header("idempotency-key", "k")
                .json(&body),
        )
    };
    let answers = join_all((0..MANY).map(|_| ask())).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 202 || answer.slug() == "idempotency-conflict"),
        "{answers:?}"
    );
    assert!(count(&answers, 202, "") >= 1);
    assert_eq!(world.outbox().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_sees_half_of_the_same_one_is_not_told_to_wait_for_a_code() {
    for is_recipient in [false, true] {
        // Each time the first writes while the second reads: nearly always between its two looks.
        for _ in 0..5 {
            let world = World::new().await;
            let body =
                json!({"challenge": challenge_of(&world, is_recipient).await, "method": "sms"});
            let ask = || {
                world.send(
                    world
                        .request(reqwest::Method::POST, "/v1/codes")
                        .header("idempotency-key", "k")
                        .json(&body),
                )
            };
            let (faults, sent) = (world.stack.faults(), world.outbox().await.len());
            let gate = faults.hold(Service::Dynamodb, 0);
            let second = async {
                gate.arrived().await;
                faults.set(Service::Dynamodb, Mode::Torn, 0, 1);
                let reads = async {
                    while faults.struck() == 0 {
                        tokio::task::yield_now().await;
                    }
                    gate.let_go();
                };
                tokio::join!(ask(), reads).0
            };
            let (first, second) = tokio::join!(ask(), second);
            for answer in [&first, &second] {
                assert!(
                    answer.status == 202 || answer.slug() == "idempotency-conflict",
                    "{is_recipient}: {}",
                    answer.body
                );
            }
            assert!(first.status == 202 || second.status == 202);
            assert_eq!(world.outbox().await.len(), sent + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_passwords_are_five_attempts() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    let answers = join_all((0..MANY).map(|_| world.login("ann", "wrong password"))).await;
    assert_eq!(
        (
            count(&answers, 401, "invalid-credentials"),
            count(&answers, 429, "too-many-attempts")
        ),
        (5, 45),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_is_sent_five_codes_however_many_ask_at_once() {
    let world = World::new().await;
    let mut challenges = Vec::new();
    for number in 0..20 {
        let person = world
            .user(&format!("user{number}"), json!({"phone": "+12025550123"}))
            .await;
        challenges.push(world.challenge(&person).await);
    }
    let answers = join_all(
        challenges
            .iter()
            .map(|challenge| world.issue(challenge, "sms")),
    )
    .await;
    assert_eq!(
        (
            count(&answers, 202, ""),
            count(&answers, 429, "too-many-sends")
        ),
        (5, 15),
        "{answers:?}"
    );
    assert_eq!(world.outbox().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_users_sign_in_at_once_from_one_address() {
    let world = World::new().await;
    for number in 0..8 {
        let _ = world.user(&format!("user{number}"), json!({})).await;
    }
    let names: Vec<String> = (0..8).map(|number| format!("user{number}")).collect();
    let answers = join_all(names.iter().map(|name| world.login(name, PASSWORD))).await;
    assert_eq!(count(&answers, 200, ""), 8, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_users_of_one_name_are_one() {
    let world = World::new().await;
    let body = json!({"username": "ann", "kind": "external"});
    let create = || world.backend(reqwest::Method::POST, "/v1/users", Some(body.clone()));
    let answers = join_all((0..MANY).map(|_| create())).await;
    assert_eq!(
        (
            count(&answers, 201, ""),
            count(&answers, 409, "username-taken")
        ),
        (1, MANY - 1),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cleanups_at_once_remove_each_thing_once() {
    let world = World::new().await;
    for number in 0..10 {
        let person = world
            .user(
                &format!("user{number}"),
                json!({"phone": format!("+12025550{number:03}")}),
            )
            .await;
        let _ = world.challenge(&person).await;
    }
    world.advance(601);
    let run = || world.send(world.request(reqwest::Method::POST, "/_local/cleanup"));
    let reports = join_all([run(), run()]).await;
    let removed: u64 = reports
        .iter()
        .map(|report| report.body["challenges"].as_u64().unwrap())
        .sum();
    assert_eq!(removed, 10, "{reports:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_address_is_sent_twenty_five_codes_however_many_ask_at_once() {
    let world = World::new().await;
    let mut challenges = Vec::new();
    for number in 0..30 {
        let person = world
            .user(
                &format!("user{number}"),
                json!({"phone": format!("+12025550{:03}", 100 + number)}),
            )
            .await;
        challenges.push(world.challenge(&person).await);
    }
    let answers = join_all(
        challenges
            .iter()
            .map(|challenge| world.issue(challenge, "sms")),
    )
    .await;
    assert_eq!(
        (
            count(&answers, 202, ""),
            count(&answers, 429, "too-many-sends")
        ),
        (25, 5),
        "{answers:?}"
    );
    assert_eq!(world.outbox().await.len(), 25);
}
