//! What limits a contact that is to be one's own: the wait between two codes, the attempts, the
//! lock of the factor, and the windows it counts in.

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::contacts::{begin, confirm, messages, recipients};
use tests::path;
use tests::{Answer, PASSWORD, Person, World, another};
use tokio::sync::Notify;

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";
const PHONE: &str = "+12025550123";
const NEW: &str = "+12025550177";
const OTHER: &str = "+12025550178";

/// A world of many places, and somebody who has just proved this phone at home.
async fn ann() -> (World, Person, String) {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({"phone": PHONE})).await;
    let token = world.at(HOME).sign_in(&ann).await;
    let _ = messages(&world).await;
    (world, ann, token)
}

/// A code is asked for to a phone, from somewhere.
async fn begin_at(world: &World, from: &str, token: &str, phone: &str) -> Answer {
    world
        .at(from)
        .send(
            Method::POST,
            "/v1/factors/sms",
            Some(token),
            Some(json!({"phone": phone})),
        )
        .await
}

async fn confirm_at(world: &World, from: &str, token: &str, factor: &str, code: &str) -> Answer {
    let body = json!({"factor": factor, "code": code});
    world
        .at(from)
        .send(
            Method::POST,
            "/v1/factors/sms/confirm",
            Some(token),
            Some(body),
        )
        .await
}

/// Makes it that so many wrong codes of the phone were typed at known addresses, the last of them
/// `ago` seconds ago.
async fn has_failed(world: &World, person: &Person, times: u32, ago: i64) {
    let at = world.stack.clock().now().as_millis() - ago * 1000;
    let update = Update::of(keys::user(person.id.parse().unwrap()))
        .set(path("factors.sms.known_failures"), times)
        .set(path("factors.sms.known_failed_at"), at);
    let _ = world.stack.table().update(update).await.unwrap();
}

async fn known_failures(world: &World, person: &Person) -> Option<u32> {
    world.stored(person).await.factors["sms"].known_failures
}

fn wait(answer: &Answer) -> (u16, &str, Option<i64>) {
    (
        answer.status,
        answer.slug(),
        answer.body["resend_in"].as_i64(),
    )
}

#[tokio::test]
async fn two_contacts_in_turn_wait_as_one_does() {
    let (world, _, token) = ann().await;
    let ben = world.user("ben", json!({"phone": null})).await;
    let challenge = world
        .login(&ben.username, PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    for body in [json!({}), json!({"challenge": challenge})] {
        let bearer = body.get("challenge").is_none().then_some(token.as_str());
        let ask = async |phone: &str| {
            let mut body = body.clone();
            body["phone"] = json!(phone);
            world
                .at(HOME)
                .send(Method::POST, "/v1/factors/sms", bearer, Some(body))
                .await
        };
        assert_eq!(wait(&ask(NEW).await), (202, "", Some(30)));
        assert_eq!(wait(&ask(OTHER).await), (429, "resend-too-soon", Some(30)));
        world.advance(30);
        assert_eq!(wait(&ask(OTHER).await), (202, "", Some(60)));
        assert_eq!(wait(&ask(NEW).await), (429, "resend-too-soon", Some(60)));
        world.advance(60);
        assert_eq!(wait(&ask(NEW).await), (202, "", Some(120)));
    }
    // A mailbox waits for itself.
    let _ = begin(&world, &token, "email", "new@example.org")
        .await
        .expect(202);
    let _ = begin(&world, &token, "email", "other@example.org")
        .await
        .refused(429, "resend-too-soon");
}

/// Wrong codes until no more are taken: how many were compared.
async fn guesses(world: &World, token: &str, factor: &str, wrong: &str) -> usize {
    for count in 0..20 {
        let answer = confirm(world, token, "sms", factor, wrong).await;
        if answer.status != 401 {
            let _ = answer.refused(429, "too-many-attempts");
            return count;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_that_is_counted_while_another_contact_is_begun_is_not_forgotten() {
    let (world, _, token) = ann().await;
    let factor = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let wrong = another(&world.last_code().await);
    world.advance(30);
    let faults = world.stack.faults();
    faults.set(Service::Sns, Mode::Refused, 0, 3);
    let read = faults.hold(Service::Dynamodb, 0);
    let answered = Notify::new();
    let other = async {
        let answer = begin(&world, &token, "sms", OTHER).await;
        answered.notify_one();
        answer
    };
    // The other contact is begun from what was read before the wrong code was counted, and written
    // before its entry is.
    let meanwhile = async {
        read.arrived().await;
        assert!(read.is_a_read());
        let counted = faults.hold(Service::Dynamodb, 1);
        let between = async {
            counted.arrived().await;
            assert!(
                !counted.is_a_read(),
                "it is counted before anything is compared"
            );
            read.let_go();
            answered.notified().await;
            counted.let_go();
        };
        tokio::join!(confirm(&world, &token, "sms", &factor, &wrong), between).0
    };
    let (other, counted) = tokio::join!(other, meanwhile);
    let _ = other.refused(503, "sender-unavailable");
    assert_eq!(
        counted.refused(401, "code-invalid").body["attempts_left"],
        4
    );
    assert_eq!(
        guesses(&world, &token, &factor, &wrong).await,
        4,
        "and one before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_guesses_are_five_whatever_else_is_begun_meanwhile() {
    let world = World::new().await;
    for round in 0..12 {
        let person = world.user(&format!("user{round}"), json!({})).await;
        let token = world.token(&person).await;
        let factor = begin(&world, &token, "sms", NEW)
            .await
            .expect(202)
            .text("factor");
        let wrong = another(&world.last_code().await);
        world.advance(30);
        world
            .stack
            .faults()
            .set(Service::Sns, Mode::Refused, 0, 1_000);
        let attempts = || join_all((0..5).map(|_| confirm(&world, &token, "sms", &factor, &wrong)));
        let (_, answers) = tokio::join!(begin(&world, &token, "sms", OTHER), attempts());
        world.stack.faults().clear();
        let judged = answers
            .iter()
            .filter(|answer| answer.slug() == "code-invalid")
            .count();
        let more = guesses(&world, &token, &factor, &wrong).await;
        assert!(judged + more <= 5, "round {round}: {judged} and {more}");
        world.advance(600);
    }
}

#[tokio::test]
async fn a_locked_phone_is_sent_nothing_and_nothing_but_an_administrator_unlocks_it() {
    let (world, ann, token) = ann().await;
    has_failed(&world, &ann, 50, 86_400).await;
    for phone in [PHONE, NEW] {
        let _ = begin_at(&world, HOME, &token, phone)
            .await
            .refused(429, "too-many-attempts");
    }
    assert_eq!(messages(&world).await, []);
    // What is locked for known addresses is not for others, as at a sign-in; and a code from there
    // ends the strangers' count alone.
    let begun = begin_at(&world, ELSEWHERE, &token, PHONE)
        .await
        .expect(202)
        .text("factor");
    let _ = confirm_at(&world, ELSEWHERE, &token, &begun, &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(known_failures(&world, &ann).await, Some(50));
    let _ = world
        .backend(Method::POST, &format!("/v1/users/{}/unlock", ann.id), None)
        .await
        .expect(200);
    let token = world.at(HOME).sign_in(&ann).await;
    let _ = begin_at(&world, HOME, &token, PHONE).await.expect(202);
}

#[tokio::test]
async fn a_phone_that_has_to_wait_is_sent_nothing_and_another_is() {
    let (world, ann, token) = ann().await;
    has_failed(&world, &ann, 10, 0).await;
    let refused = begin_at(&world, HOME, &token, PHONE)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(refused.header("retry-after"), Some("30"));
    let _ = begin_at(&world, HOME, &token, NEW).await.expect(202);
    assert_eq!(recipients(&messages(&world).await), [NEW]);
}

/// One's own phone is to be proved again, and is locked before the code is typed, or while it is
/// compared.
async fn locked_meanwhile(is_compared: bool) -> (Answer, Option<u32>) {
    let (world, ann, token) = ann().await;
    let factor = begin_at(&world, HOME, &token, PHONE)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let held = world.stack.faults().hold(Service::Dynamodb, 1);
    let lock = async {
        if is_compared {
            held.arrived().await;
            assert!(
                !held.is_a_read(),
                "the attempt is counted, and the code is right"
            );
        }
        has_failed(&world, &ann, 50, 86_400).await;
        held.let_go();
    };
    let typed = async {
        let answer = confirm_at(&world, HOME, &token, &factor, &code).await;
        held.let_go();
        answer
    };
    let answer = if is_compared {
        tokio::join!(typed, lock).0
    } else {
        lock.await;
        typed.await
    };
    (answer, known_failures(&world, &ann).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_code_ends_no_lock_that_came_while_it_was_on_its_way() {
    for is_compared in [false, true] {
        let (answer, failures) = locked_meanwhile(is_compared).await;
        let _ = answer.refused(429, "too-many-attempts");
        assert_eq!(failures, Some(50), "{is_compared}");
    }
}

/// How many codes a phone is sent in the name of the account, in ten minutes, at the wish of a user
/// who signs in.
async fn codes(world: &World, person: &Person, from: &str) -> usize {
    for count in 0..20 {
        let challenge = world.at(from).challenge(person).await;
        if world.at(from).issue(&challenge, "sms").await.status == 429 {
            return count;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn ones_own_phone_counts_as_it_does_at_a_sign_in_and_a_new_one_apart() {
    // Of five in ten minutes one went to sign in.
    for (phone, left) in [(PHONE, 3), (NEW, 4)] {
        let (world, ann, token) = ann().await;
        let _ = begin_at(&world, HOME, &token, phone).await.expect(202);
        assert_eq!(codes(&world, &ann, HOME).await, left, "{phone}");
    }
}

#[tokio::test]
async fn who_says_that_a_phone_is_theirs_takes_nothing_from_whose_it_is() {
    let (world, ann, _) = ann().await;
    let ben = world.user("ben", json!({})).await;
    let token = world.at(ELSEWHERE).sign_in(&ben).await;
    let _ = begin_at(&world, ELSEWHERE, &token, PHONE).await.expect(202);
    // Of five in ten minutes one went to sign in.
    assert_eq!(codes(&world, &ann, HOME).await, 4);
}

#[tokio::test]
async fn a_verified_phone_of_ones_own_is_refused_by_no_other_accounts_codes() {
    let (world, ann, token) = ann().await;
    let window = keys::destination_sends(PHONE);
    let moments: Vec<_> = (0..20).map(|_| world.stack.clock().now()).collect();
    let full = Update::of(window).set(path("moments"), moments);
    let _ = world.stack.table().update(full).await.unwrap();
    let _ = begin_at(&world, ELSEWHERE, &token, PHONE)
        .await
        .refused(429, "too-many-sends");
    let begun = begin_at(&world, HOME, &token, PHONE)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let _ = messages(&world).await;
    let _ = confirm_at(&world, HOME, &token, &begun, &code)
        .await
        .expect(200);
    assert_eq!(
        messages(&world).await,
        [],
        "nothing was changed, and nobody is told"
    );
    assert_eq!(world.stored(&ann).await.phone_changes, []);
}

#[tokio::test]
async fn nothing_is_kept_for_anybody_of_the_window_of_a_contact_that_nobody_has_proved() {
    let world = World::of_many_places().await;
    let mut people = Vec::new();
    for number in 0..6 {
        let home = format!("203.0.113.{}", 10 + number);
        let person = world.user(&format!("user{number}"), json!({})).await;
        people.push((world.at(&home).sign_in(&person).await, home));
    }
    let _ = messages(&world).await;
    let mut answers: Vec<Value> = Vec::new();
    for (number, (token, home)) in people.iter().enumerate() {
        // Those before are where they are strangers, and the last is at home.
        let from = if number < 5 { ELSEWHERE } else { home };
        let answer = begin_at(&world, from, token, NEW).await;
        answers.push(json!([answer.status, answer.slug()]));
    }
    let mut expected = vec![json!([202, ""]); 5];
    expected.push(json!([429, "too-many-sends"]));
    assert_eq!(answers, expected);
    assert_eq!(
        messages(&world).await.len(),
        5,
        "five in ten minutes, whoever asks"
    );
}
