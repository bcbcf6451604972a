//! Fifty at once with one code of an app, one recovery code, one app to be confirmed, one profile
//! as it was read; and each request to DynamoDB refused, throttled or lost in turn.

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Authenticator, Person, World};

const MANY: usize = 50;
const MODES: [Mode; 3] = [Mode::Refused, Mode::Throttled, Mode::Lost];
/// The SDK tries three times.
const ALL_TRIES: u32 = 3;

fn count(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

async fn times(world: &World, person: &Person, action: &str) -> usize {
    world
        .actions(&person.id)
        .await
        .iter()
        .filter(|told| *told == action)
        .count()
}

async fn enrolled(world: &World) -> (Person, Authenticator, Vec<String>) {
    let ann = world.user("ann", json!({"email": null})).await;
    let (app, recovery) = world.enrol(&world.token(&ann).await).await;
    world.advance(600);
    (ann, app, recovery)
}

/// A fault of ours says so, and nothing of the inside.
fn is_clean(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.slug()),
        (503, "service-unavailable"),
        "{}",
        answer.body
    );
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_of_an_app_on_fifty_devices_is_one_sign_in() {
    let world = World::of_many_places().await;
    let (ann, app, _) = enrolled(&world).await;
    let challenges = world.challenges(&ann, MANY).await;
    let (before, code) = (times(&world, &ann, "code-verified").await, app.code(&world));
    let answers = join_all(
        challenges
            .iter()
            .map(|challenge| world.verify(challenge, "totp", &code)),
    )
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401, 429].contains(&answer.status)),
        "{answers:?}"
    );
    assert_eq!(times(&world, &ann, "code-verified").await, before + 1);
    // Those that lost had a right code, and are no guesses: the app takes the next at once.
    world.advance(600);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_recovery_code_on_fifty_devices_is_one_sign_in() {
    let world = World::of_many_places().await;
    let (ann, _, recovery) = enrolled(&world).await;
    let challenges = world.challenges(&ann, MANY).await;
    let answers = join_all(
        challenges
            .iter()
            .map(|challenge| world.verify(challenge, "recovery_code", &recovery[0])),
    )
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401, 429].contains(&answer.status)),
        "{answers:?}"
    );
    let token = answers
        .iter()
        .find(|answer| answer.status == 200)
        .unwrap()
        .text("access_token");
    let factors = world
        .as_user(&token, Method::GET, "/v1/factors", None)
        .await
        .expect(200);
    assert_eq!(factors.body["factors"][2]["remaining"], 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_codes_of_an_app_are_ten_guesses() {
    let world = World::of_many_places().await;
    let (ann, _, _) = enrolled(&world).await;
    let challenges = world.challenges(&ann, MANY).await;
    let answers = join_all(
        challenges
            .iter()
            .map(|challenge| world.verify(challenge, "totp", "0000000")),
    )
    .await;
    assert_eq!(
        (count(&answers, 401), count(&answers, 429)),
        (10, MANY - 10),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_confirmed_fifty_times_at_once_is_confirmed_once() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let challenge = world.opened("ann").await.text("challenge");
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    let app = Authenticator::reading(&begun);
    let body =
        json!({"challenge": challenge, "factor": begun.text("factor"), "code": app.code(&world)});
    let answers =
        join_all((0..MANY).map(|_| world.post("/v1/factors/totp/confirm", body.clone()))).await;
    assert_eq!(count(&answers, 200), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 404, 410, 429].contains(&answer.status)),
        "{answers:?}"
    );
    assert_eq!(times(&world, &ann, "factor-enrolled").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_sign_ins_at_once_set_up_one_app() {
    let world = World::new().await;
    let _ = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let mut confirmations = Vec::new();
    let challenges = [
        world.opened("ann").await.text("challenge"),
        world.opened("ann").await.text("challenge"),
    ];
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenges[0]}))
        .await
        .expect(201);
    let code = Authenticator::reading(&begun).code(&world);
    for challenge in &challenges {
        let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
        confirmations.push(world.post("/v1/factors/totp/confirm", body));
    }
    let answers = join_all(confirmations).await;
    assert_eq!(count(&answers, 200), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_changes_of_a_profile_as_it_was_read_are_one() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let etag = world
        .as_user(&token, Method::GET, "/v1/me", None)
        .await
        .expect(200)
        .header("etag")
        .unwrap()
        .to_owned();
    let _ = world
        .send(world.request(Method::DELETE, "/_local/outbox"))
        .await;
    let change = |number: usize| {
        let locale = ["de", "es", "fr", "it"][number % 4];
        let body = json!({"locale": locale});
        world.send(
            world
                .request(Method::PATCH, "/v1/me")
                .bearer_auth(&token)
                .header("if-match", etag.clone())
                .json(&body),
        )
    };
    let answers = join_all((100..100 + MANY).map(change)).await;
    assert_eq!(
        (count(&answers, 200), count(&answers, 412)),
        (1, MANY - 1),
        "{answers:?}"
    );
}

#[tokio::test]
async fn one_fault_in_any_request_of_an_enrolment_is_got_over() {
    for mode in MODES {
        for after in 0..6 {
            let world = World::new().await;
            let ann = world
                .user("ann", json!({"phone": null, "email": null}))
                .await;
            let challenge = world.opened("ann").await.text("challenge");
            world.stack.faults().set(Service::Dynamodb, mode, after, 1);
            let begun = world
                .post("/v1/factors/totp", json!({"challenge": challenge}))
                .await
                .expect(201);
            let app = Authenticator::reading(&begun);
            let body = |code: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
            let wrong = world
                .post("/v1/factors/totp/confirm", body("0000000"))
                .await
                .refused(401, "code-invalid");
            assert_eq!(wrong.body["attempts_left"], 4, "{mode:?} after {after}");
            let _ = world
                .post("/v1/factors/totp/confirm", body(&app.code(&world)))
                .await
                .expect(200);
            world.stack.faults().clear();
            assert_eq!(
                world.actions(&ann.id).await,
                [
                    "user-created",
                    "sign-in",
                    "enrolment-begun",
                    "factor-enrolled: wrong-code",
                    "factor-enrolled"
                ],
                "{mode:?} after {after}"
            );
        }
    }
}

#[tokio::test]
async fn an_app_is_confirmed_once_whatever_is_lost() {
    for mode in MODES {
        for after in 0..3 {
            let world = World::new().await;
            let ann = world.user("ann", json!({"email": null})).await;
            let token = world.token(&ann).await;
            let begun = world
                .as_user(&token, Method::POST, "/v1/factors/totp", None)
                .await
                .expect(201);
            let app = Authenticator::reading(&begun);
            let body = json!({"factor": begun.text("factor"), "code": app.code(&world)});
            let confirm = || {
                world.as_user(
                    &token,
                    Method::POST,
                    "/v1/factors/totp/confirm",
                    Some(body.clone()),
                )
            };
            world
                .stack
                .faults()
                .set(Service::Dynamodb, mode, after, ALL_TRIES);
            let first = confirm().await;
            world.stack.faults().clear();
            if first.status != 200 {
                is_clean(&first);
            }
            let second = confirm().await;
            assert!(
                second.status == 200 || second.slug() == "not-found",
                "{mode:?} after {after}: {}",
                second.body
            );
            assert_eq!(
                times(&world, &ann, "factor-enrolled").await,
                1,
                "{mode:?} after {after}"
            );
            world.advance(30);
            let challenge = world.challenge(&ann).await;
            let _ = world
                .verify(&challenge, "totp", &app.code(&world))
                .await
                .expect(200);
        }
    }
}

#[tokio::test]
async fn a_code_of_an_app_and_a_recovery_code_are_not_taken_twice_whatever_is_lost() {
    for mode in MODES {
        for after in 0..3 {
            for method in ["totp", "recovery_code"] {
                let world = World::new().await;
                let (ann, app, recovery) = enrolled(&world).await;
                let code = if method == "totp" {
                    app.code(&world)
                } else {
                    recovery[0].clone()
                };
                let challenges = [world.challenge(&ann).await, world.challenge(&ann).await];
                let before = times(&world, &ann, "code-verified").await;
                world
                    .stack
                    .faults()
                    .set(Service::Dynamodb, mode, after, ALL_TRIES);
                let first = world.verify(&challenges[0], method, &code).await;
                world.stack.faults().clear();
                if first.status != 200 {
                    is_clean(&first);
                }
                let second = world.verify(&challenges[1], method, &code).await;
                assert!([200, 401].contains(&second.status), "{}", second.body);
                assert!(
                    first.status != 200 || second.status == 401,
                    "{mode:?} after {after}: {}",
                    second.body
                );
                assert_eq!(
                    times(&world, &ann, "code-verified").await,
                    before + 1,
                    "{mode:?} after {after}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_changes_factors_or_the_profile_fails_cleanly_and_leaves_all_or_nothing() {
    let routes: [(Method, &str, Option<Value>, &str); 4] = [
        (
            Method::POST,
            "/v1/factors/recovery-codes",
            None,
            "recovery-codes-made",
        ),
        (Method::DELETE, "/v1/factors/totp", None, "factor-removed"),
        (
            Method::PATCH,
            "/v1/me",
            Some(json!({"locale": "fr"})),
            "user-changed",
        ),
        (Method::DELETE, "/v1/factors/sms", None, "factor-removed"),
    ];
    for (method, path, body, action) in routes {
        for mode in MODES {
            for after in 0..2 {
                let world = World::new().await;
                let (ann, _, recovery) = enrolled(&world).await;
                let challenge = world.challenge(&ann).await;
                let token = world
                    .verify(&challenge, "recovery_code", &recovery[9])
                    .await
                    .expect(200)
                    .text("access_token");
                world
                    .stack
                    .faults()
                    .set(Service::Dynamodb, mode, after, ALL_TRIES);
                let first = world
                    .as_user(&token, method.clone(), path, body.clone())
                    .await;
                world.stack.faults().clear();
                if first.status >= 300 {
                    is_clean(&first);
                }
                let done = times(&world, &ann, action).await;
                assert!(
                    done == 1 || (done == 0 && first.status == 503),
                    "{path} {mode:?} after {after}: {}",
                    first.body
                );
                let second = world
                    .as_user(&token, method.clone(), path, body.clone())
                    .await;
                assert!(
                    second.status < 300 || (done == 1 && second.slug() == "not-found"),
                    "{path}: {}",
                    second.body
                );
            }
        }
    }
}
