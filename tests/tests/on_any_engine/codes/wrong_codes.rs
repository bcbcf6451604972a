//! A factor's wrong codes are counted apart by where they come from: what strangers type wrong
//! refuses nobody at a known address.

use futures_util::future::join_all;
use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::path;
use tests::{Answer, PASSWORD, Person, World, another};
use tokio::sync::Notify;

const HOME: &str = "203.0.113.7";
const OFFICE: &str = "203.0.113.8";
const AWAY: &str = "198.51.100.9";

fn retry_after(answer: &Answer) -> i64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// Makes it that so many wrong codes were typed, so long ago that no delay of theirs is left.
async fn has_failed(world: &World, person: &Person, counts: &[(&str, u32)]) {
    for (count, times) in counts {
        let factor = path("factors.sms");
        let update = Update::of(keys::user(person.id.parse().unwrap()))
            .set(factor.clone().member(*count), *times)
            .set(factor.member(count.replace("failures", "failed_at")), 0_u32);
        let _ = world.stack.table().update(update).await.unwrap();
    }
}

async fn locks(world: &World, person: &Person) -> Value {
    world
        .backend(Method::GET, &format!("/v1/users/{}", person.id), None)
        .await
        .expect(200)
        .body["locks"]
        .clone()
}

/// Who is known at home, and has a code there.
async fn ann_at_home() -> (World, Person, String, String) {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(3_600);
    let challenge = world.at(HOME).challenge(&ann).await;
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    (world, ann, challenge, code)
}

#[tokio::test]
async fn what_strangers_type_wrong_refuses_nobody_at_a_known_address() {
    let (world, ann, challenge, code) = ann_at_home().await;
    has_failed(&world, &ann, &[("failures", 49)]).await;
    let theirs = world.at(AWAY).challenge(&ann).await;
    let _ = world
        .at(AWAY)
        .verify(&theirs, "sms", "000000")
        .await
        .refused(401, "code-invalid");
    // Fifty: strangers are offered nothing, and refused whatever they type; an hour changes
    // nothing.
    let _ = world
        .at(AWAY)
        .verify(&theirs, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .at(AWAY)
        .issue(&theirs, "sms")
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .at(AWAY)
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let until: Option<String> = None;
    assert_eq!(
        locks(&world, &ann).await,
        json!([{"method": "sms", "addresses": "unknown", "failures": 50, "until": until}])
    );
    // At home nothing has happened; and the sign-in from there lets strangers try again.
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
    assert_eq!(locks(&world, &ann).await, json!([]));
    let theirs = world.at(AWAY).challenge(&ann).await;
    let _ = world
        .at(AWAY)
        .verify(&theirs, "sms", "000000")
        .await
        .refused(401, "code-invalid");
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "factor-disabled")
            .count(),
        1
    );
}

#[tokio::test]
async fn each_origin_has_a_delay_of_its_own() {
    let (world, ann, challenge, code) = ann_at_home().await;
    has_failed(&world, &ann, &[("failures", 9), ("known_failures", 11)]).await;
    let theirs = world.at(AWAY).challenge(&ann).await;
    let _ = world
        .at(AWAY)
        .verify(&theirs, "sms", "000000")
        .await
        .refused(401, "code-invalid");
    assert_eq!(
        retry_after(
            &world
                .at(AWAY)
                .verify(&theirs, "sms", "000000")
                .await
                .refused(429, "too-many-attempts")
        ),
        30
    );
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    assert_eq!(
        retry_after(
            &world
                .at(HOME)
                .verify(&challenge, "sms", &code)
                .await
                .refused(429, "too-many-attempts")
        ),
        120
    );
    let told = world
        .audit(&ann.id)
        .await
        .into_iter()
        .filter(|entry| entry["action"] == "factor-delayed");
    let told: Vec<_> = told
        .map(|entry| {
            (
                entry["details"]["addresses"].clone(),
                entry["details"]["failures"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(json!("unknown"), json!(10)), (json!("known"), json!(12))]
    );
    world.advance(120);
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_success_elsewhere_clears_the_strangers_count_alone() {
    let (world, ann, _, _) = ann_at_home().await;
    world.advance(600);
    has_failed(&world, &ann, &[("failures", 9), ("known_failures", 9)]).await;
    let _ = world.at(AWAY).sign_in(&ann).await;
    let factor = world.stored(&ann).await.factors["sms"].clone();
    assert_eq!((factor.failures, factor.known_failures), (0, Some(9)));
    // One from where the user is known clears both.
    let _ = world.at(HOME).sign_in(&ann).await;
    let factor = world.stored(&ann).await.factors["sms"].clone();
    assert_eq!((factor.failures, factor.known_failures), (0, None));
}

#[tokio::test]
async fn a_code_that_is_no_guess_takes_its_count_back_from_its_own_origin() {
    let (world, ann, challenge, old) = ann_at_home().await;
    has_failed(&world, &ann, &[("failures", 3), ("known_failures", 2)]).await;
    world.advance(60);
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &old)
        .await
        .refused(401, "code-superseded");
    world.advance(300);
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &old)
        .await
        .refused(410, "code-expired");
    let factor = world.stored(&ann).await.factors["sms"].clone();
    assert_eq!((factor.failures, factor.known_failures), (3, Some(2)));
}

#[tokio::test]
async fn fifty_at_known_addresses_are_for_an_administrator_and_strangers_are_as_they_were() {
    let (world, ann, challenge, code) = ann_at_home().await;
    has_failed(&world, &ann, &[("known_failures", 49)]).await;
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &code)
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let theirs = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
    assert_eq!(theirs.body["methods"].as_array().unwrap().len(), 1);
    let _ = world
        .backend(Method::POST, &format!("/v1/users/{}/unlock", ann.id), None)
        .await
        .expect(200);
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
}

#[tokio::test]
async fn whoever_goes_from_one_known_address_to_another_stays_known() {
    let (world, ann, _, _) = ann_at_home().await;
    let _ = world.at(OFFICE).sign_in(&ann).await;
    world.advance(3_600);
    has_failed(&world, &ann, &[("failures", 50)]).await;
    let challenge = world.at(HOME).challenge(&ann).await;
    let _ = world.at(OFFICE).issue(&challenge, "sms").await.expect(202);
    let _ = world
        .at(OFFICE)
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

/// Fifty at once from each origin, each at a challenge of its own: ten guesses for either, as if
/// they came one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_codes_of_either_origin_at_once_are_ten_guesses_of_each() {
    let (world, ann, _, _) = ann_at_home().await;
    let mut at_home = Vec::new();
    for _ in 0..10 {
        at_home.push(world.at(HOME).challenge(&ann).await);
    }
    let mut away = Vec::new();
    for _ in 0..10 {
        away.push(world.at(AWAY).challenge(&ann).await);
    }
    let of = |address: &'static str, challenges: &[String]| {
        let challenges: Vec<String> = challenges
            .iter()
            .flat_map(|challenge| vec![challenge.clone(); 5])
            .collect();
        let world = &world;
        async move {
            join_all(
                challenges
                    .iter()
                    .map(|challenge| world.at(address).verify(challenge, "sms", "000000")),
            )
            .await
        }
    };
    let (home, elsewhere) = tokio::join!(of(HOME, &at_home), of(AWAY, &away));
    let compared =
        |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 401).count();
    let factor = world.stored(&ann).await.factors["sms"].clone();
    // Who has no answer in time is told to come again, and was counted all the same.
    assert!(
        compared(&home) <= 10 && compared(&elsewhere) <= 10,
        "{} and {}",
        compared(&home),
        compared(&elsewhere)
    );
    assert_eq!((factor.known_failures, factor.failures), (Some(10), 10));
}

#[tokio::test]
async fn a_code_with_spaces_or_hyphens_is_the_code() {
    let (world, ann, challenge, code) = ann_at_home().await;
    let typed = format!(" {}-{} {}", &code[..2], &code[2..4], &code[4..]);
    let token = world
        .at(HOME)
        .verify(&challenge, "sms", &typed)
        .await
        .expect(200)
        .text("access_token");
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let app = tests::Authenticator::reading(&begun).code(&world);
    let body =
        json!({"factor": begun.text("factor"), "code": format!("{} {}", &app[..3], &app[3..])});
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp/confirm", Some(body))
        .await
        .expect(200);
    let challenge = world.at(HOME).challenge(&ann).await;
    for malformed in ["", " ", "12a456", "123.456", "12345678901", "１２３４５６"] {
        let refused = world
            .at(HOME)
            .verify(&challenge, "sms", malformed)
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["/code"]);
    }
    let (challenge, code) = tests::agreements::sent_a_code(&world, true).await;
    let _ = world
        .verify(&challenge, "sms", &format!("{}-{}", &code[..3], &code[3..]))
        .await
        .expect(200);
}

/// A code is asked for and its user read; then the wrong code is counted that uses up what there
/// was, and its own request waits before it moves anything else. `nearly` leaves one wrong code to
/// be tried.
async fn asked_for_while_the_last_one_is_counted(
    nearly: impl AsyncFn(&World, &str, &str, &str),
) -> (Answer, usize) {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    nearly(&world, &ann.id, &challenge, &another(&code)).await;
    world.advance(120);
    let before = world.outbox().await.len();
    let faults = world.stack.faults();
    let read = faults.hold(Service::Dynamodb, 0);
    let answered = Notify::new();
    let issue = async {
        let answer = world.issue(&challenge, "sms").await;
        answered.notify_one();
        answer
    };
    let meanwhile = async {
        read.arrived().await;
        assert!(read.is_a_read());
        let counted = faults.hold(Service::Dynamodb, 0);
        let wrong = another(&code);
        let between = async {
            counted.arrived().await;
            assert!(
                !counted.is_a_read(),
                "a code is counted before anything is read"
            );
            read.let_go();
            answered.notified().await;
            counted.let_go();
        };
        tokio::join!(world.verify(&challenge, "sms", &wrong), between)
    };
    let (issued, _) = tokio::join!(issue, meanwhile);
    (issued, world.outbox().await.len() - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_whose_factor_is_locked_meanwhile_is_sent_nothing() {
    let (issued, sent) = asked_for_while_the_last_one_is_counted(async |world, user, _, _| {
        let key = keys::user(user.parse().unwrap());
        let failed = Update::of(key).set(path("factors.sms.failures"), 49_u32);
        world
            .stack
            .table()
            .transact(vec![failed.into()])
            .await
            .unwrap();
    })
    .await;
    assert_eq!((issued.status, sent), (429, 0), "{}", issued.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_whose_tries_are_spent_meanwhile_is_sent_nothing() {
    let (issued, sent) =
        asked_for_while_the_last_one_is_counted(async |world, _, challenge, wrong| {
            for _ in 0..4 {
                let _ = world.verify(challenge, "sms", wrong).await;
            }
        })
        .await;
    assert_eq!((issued.status, sent), (429, 0), "{}", issued.body);
}
