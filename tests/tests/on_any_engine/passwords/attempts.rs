//! The wrong passwords of a username, counted apart by where they come from: what strangers try
//! never delays who is at a known address, what is refused counts where it comes from and is told,
//! and nobody's names are treated alike.

use futures_util::future::join_all;
use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Delete, Key, Update, keys};
use tests::issuer::Issuer;
use tests::path;
use tests::{Answer, PASSWORD, Person, World, token_of};

/// Its program: only suites know where it was built.
const ISSUER: &str = env!("CARGO_BIN_EXE_issuer");

const HOME: &str = "203.0.113.7";
const AWAY: &str = "198.51.100.9";
const WRONG: &str = "a wrong password";

fn retry_after(answer: &Answer) -> i64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

fn policy(answer: &Answer) -> &str {
    answer.header("ratelimit-policy").unwrap()
}

/// A world with somebody who is known at home.
async fn ann_at_home() -> (World, Person) {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(3_600);
    (world, ann)
}

fn counter(world: &World, username: &str, known: bool) -> Key {
    let account = world.account.parse().unwrap();
    if known {
        keys::name_known_failures(account, username)
    } else {
        keys::name_failures(account, username)
    }
}

/// Makes it that so many wrong passwords were tried, so long ago that no delay of theirs is left.
async fn has_failed(world: &World, username: &str, known: bool, times: u32) {
    let now = world.stack.clock().now();
    let write = Update::of(counter(world, username, known))
        .set(path("failures"), times)
        .set(path("failed_at"), 0_u32)
        .set_expiry(now.plus(shared::kernel::clock::Span::days(30)));
    let _ = world.stack.table().update(write).await.unwrap();
}

/// A count as it stands; nothing, where there is none.
async fn stands(world: &World, username: &str, known: bool) -> Option<Value> {
    let item = world
        .stack
        .table()
        .get(counter(world, username, known))
        .await
        .unwrap();
    item.map(|item| shared::store::dynamo::read(item).unwrap())
}

async fn wrong(world: &World, address: &str, username: &str, times: usize) {
    for _ in 0..times {
        let _ = world
            .at(address)
            .login(username, WRONG)
            .await
            .refused(401, "invalid-credentials");
    }
}

/// The passwords that were refused, as the audit tells of them: the first of a series, or a number.
async fn told(world: &World, subject: &str) -> Vec<Value> {
    let entries = world
        .audit(subject)
        .await
        .into_iter()
        .filter(|entry| entry["action"] == "password-refused");
    entries
        .map(|entry| {
            entry["details"]
                .get("refused")
                .cloned()
                .unwrap_or(Value::Null)
        })
        .collect()
}

#[tokio::test]
async fn who_floods_a_name_keeps_nobody_out_who_is_at_a_known_address() {
    let (world, ann) = ann_at_home().await;
    let mut answered = [0; 3];
    for round in 0..12 {
        for _ in 0..30 {
            let answer = world.at(AWAY).login("ann", WRONG).await;
            let place = match (answer.status, policy_of(&answer)) {
                (401, _) => 0,
                (429, Some("\"password\";q=5;w=900" | "\"password\";q=50;w=86400")) => 1,
                (429, Some("\"source\";q=100;w=300")) => 2,
                other => panic!("{other:?}"),
            };
            answered[place] += 1;
        }
        // In the middle of it, and as often as codes are sent.
        let _ = world.at(HOME).challenge(&ann).await;
        if round % 3 == 2 {
            let _ = world.at(HOME).sign_in(&ann).await;
        }
        world.advance(60);
    }
    assert!(
        answered[0] + answered[1] <= 3 * 100,
        "what is refused counts for the address that asks: {answered:?}"
    );
    assert!(answered[2] > 0, "{answered:?}");
}

fn policy_of(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit-policy")
}

#[tokio::test]
async fn a_password_that_is_refused_counts_in_the_hundred_of_its_address() {
    let world = World::of_many_places().await;
    for username in ["ann", "nobody"] {
        let address = if username == "ann" { HOME } else { AWAY };
        if username == "ann" {
            let _ = world.user("ann", json!({})).await;
        }
        wrong(&world, address, username, 5).await;
        for _ in 0..95 {
            let refused = world
                .at(address)
                .login(username, PASSWORD)
                .await
                .refused(429, "too-many-attempts");
            assert_eq!(policy(&refused), "\"password\";q=5;w=900");
        }
        let refused = world
            .at(address)
            .login("somebody-else", PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        assert_eq!(
            (policy(&refused), retry_after(&refused)),
            ("\"source\";q=100;w=300", 300),
            "{username}"
        );
    }
}

#[tokio::test]
async fn each_origin_has_a_delay_of_its_own_and_a_right_password_ends_it() {
    let (world, ann) = ann_at_home().await;
    wrong(&world, AWAY, "ann", 5).await;
    wrong(&world, HOME, "ann", 4).await;
    let _ = world.at(HOME).challenge(&ann).await;
    // From a known address it has ended both.
    assert_eq!(
        (
            stands(&world, "ann", false).await,
            stands(&world, "ann", true).await
        ),
        (None, None)
    );
    wrong(&world, HOME, "ann", 5).await;
    assert_eq!(
        retry_after(
            &world
                .at(HOME)
                .login("ann", PASSWORD)
                .await
                .refused(429, "too-many-attempts")
        ),
        1
    );
    let _ = world.at(AWAY).challenge(&ann).await;
    // From elsewhere only the strangers'.
    assert_eq!(
        retry_after(
            &world
                .at(HOME)
                .login("ann", PASSWORD)
                .await
                .refused(429, "too-many-attempts")
        ),
        1
    );
    let told = world
        .audit(&ann.id)
        .await
        .into_iter()
        .filter(|entry| entry["action"] == "password-delayed");
    let told: Vec<_> = told
        .map(|entry| entry["details"]["addresses"].clone())
        .collect();
    assert_eq!(told, ["unknown", "known"]);
}

/// The copy on the credential is written once a day, and is older than the list by then.
#[tokio::test]
async fn on_the_last_day_of_an_address_a_password_is_looked_at_for_as_long_as_the_users_own_list_has_it()
 {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    let copy = world.credential("ann").await.known;
    world.advance(15 * 3_600);
    let _ = world.at(HOME).sign_in(&ann).await;
    assert_eq!(
        world.credential("ann").await.known,
        copy,
        "it is the same day"
    );
    world.advance(90 * 86_400 - 1);
    has_failed(&world, "ann", false, 50).await;
    let _ = world
        .at(AWAY)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    let _ = world.at(HOME).login("ann", PASSWORD).await.expect(200);
    has_failed(&world, "ann", false, 50).await;
    world.advance(1);
    let _ = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
}

#[tokio::test]
async fn after_fifty_wrong_ones_strangers_passwords_are_refused_until_somebody_lifts_it() {
    for lift in ["home", "link", "unlock", "patch", "forgotten"] {
        let (world, ann) = ann_at_home().await;
        has_failed(&world, "ann", false, 49).await;
        wrong(&world, AWAY, "ann", 1).await;
        assert_eq!(
            world.actions(&ann.id).await.last().unwrap(),
            "password-disabled"
        );
        for wait in [0, 900, 40 * 86_400] {
            world.advance(wait);
            let _ = tests::agreements::clean(&world).await;
            let refused = world
                .at(AWAY)
                .login("ann", PASSWORD)
                .await
                .refused(429, "too-many-attempts");
            assert_eq!(
                (retry_after(&refused), policy(&refused)),
                (86_400, "\"password\";q=50;w=86400"),
                "{lift}"
            );
        }
        let path = format!("/v1/users/{}", ann.id);
        let mut password = PASSWORD;
        match lift {
            "home" => drop(world.at(HOME).challenge(&ann).await),
            "unlock" => drop(
                world
                    .backend(Method::POST, &format!("{path}/unlock"), None)
                    .await
                    .expect(200),
            ),
            "patch" => {
                password = "another horse battery";
                let _ = world
                    .backend(Method::PATCH, &path, Some(json!({"password": password})))
                    .await
                    .expect(200);
            }
            "link" => {
                let _ = world
                    .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
                    .await
                    .expect(202);
                let challenge = world
                    .at(HOME)
                    .open_last_link()
                    .await
                    .expect(200)
                    .text("challenge");
                let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
                let _ = world
                    .at(HOME)
                    .verify(&challenge, "sms", &world.last_code().await)
                    .await
                    .expect(200);
            }
            _ => {
                password = "another horse battery";
                new_password_after_a_link(&world, password).await;
            }
        }
        let _ = world.at(AWAY).login("ann", password).await.expect(200);
    }
}

/// Sets a password by the link of a forgotten one, from an address that nobody knows.
async fn new_password_after_a_link(world: &World, password: &str) {
    let body = json!({"account": world.account, "username": "ann"});
    let _ = world
        .at("192.0.2.1")
        .post("/v1/password/forgotten", body)
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let opened = world
        .at("192.0.2.1")
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world
        .at("192.0.2.1")
        .issue(&opened, "sms")
        .await
        .expect(202);
    let proved = world
        .at("192.0.2.1")
        .verify(&opened, "sms", &world.last_code().await)
        .await
        .expect(200);
    let body = json!({"challenge": proved.text("challenge"), "password": password});
    let _ = world
        .at("192.0.2.1")
        .post("/v1/password", body)
        .await
        .expect(204);
}

#[tokio::test]
async fn after_fifty_wrong_ones_at_known_addresses_an_administrator_or_a_new_password_helps() {
    const NEW: &str = "another horse battery";
    for (lift, password) in [("unlock", PASSWORD), ("patch", NEW), ("forgotten", NEW)] {
        let (world, ann) = ann_at_home().await;
        has_failed(&world, "ann", true, 49).await;
        wrong(&world, HOME, "ann", 1).await;
        world.advance(40 * 86_400);
        let _ = tests::agreements::clean(&world).await;
        let refused = world
            .at(HOME)
            .login("ann", PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        assert_eq!(retry_after(&refused), 86_400);
        let _ = world.at(AWAY).sign_in(&ann).await;
        let _ = world
            .at(HOME)
            .login("ann", PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        let path = format!("/v1/users/{}", ann.id);
        match lift {
            "unlock" => drop(
                world
                    .backend(Method::POST, &format!("{path}/unlock"), None)
                    .await
                    .expect(200),
            ),
            "patch" => drop(
                world
                    .backend(Method::PATCH, &path, Some(json!({"password": password})))
                    .await
                    .expect(200),
            ),
            _ => new_password_after_a_link(&world, password).await,
        }
        let _ = world.at(HOME).login("ann", password).await.expect(200);
    }
}

#[tokio::test]
async fn names_that_nobody_has_are_refused_alike_and_for_as_long() {
    let world = World::of_many_places().await;
    let _ = world.user("ann", json!({})).await;
    for username in ["ann", "nobody"] {
        wrong(&world, AWAY, username, 4).await;
    }
    world.advance(29 * 86_400);
    let _ = tests::agreements::clean(&world).await;
    for username in ["ann", "nobody"] {
        // The fifth, a month later: the count has lived on. It goes a month after that.
        wrong(&world, AWAY, username, 1).await;
        let refused = world
            .at(AWAY)
            .login(username, PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        assert_eq!(retry_after(&refused), 1, "{username}");
    }
    world.advance(30 * 86_400 + 2);
    let _ = tests::agreements::clean(&world).await;
    for username in ["ann", "nobody"] {
        assert_eq!(stands(&world, username, false).await, None, "{username}");
        has_failed(&world, username, false, 49).await;
        wrong(&world, AWAY, username, 1).await;
        let stands = stands(&world, username, false).await.unwrap();
        assert_eq!(
            (&stands["failures"], stands.get("ttl"), stands.get("due_at")),
            (&json!(50), None, None),
            "{username}"
        );
    }
    world.advance(400 * 86_400);
    let _ = tests::agreements::clean(&world).await;
    let mut answers = Vec::new();
    for username in ["ann", "nobody"] {
        let refused = world
            .at(AWAY)
            .login(username, PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        answers.push((
            refused.body["detail"].clone(),
            retry_after(&refused),
            policy(&refused).to_owned(),
        ));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn who_is_given_a_name_that_was_tried_before_can_sign_in() {
    let world = World::of_many_places().await;
    for username in ["ann", "anna"] {
        has_failed(&world, username, false, 50).await;
        let _ = world
            .at(AWAY)
            .login(username, PASSWORD)
            .await
            .refused(429, "too-many-attempts");
    }
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", ann.id),
            Some(json!({"username": "anna"})),
        )
        .await
        .expect(200);
    let _ = world.at(AWAY).login("anna", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_audit_tells_the_first_that_is_refused_and_their_number_at_the_next_sign_in() {
    let (world, ann) = ann_at_home().await;
    wrong(&world, AWAY, "ann", 5).await;
    assert!(told(&world, &ann.id).await.is_empty());
    for _ in 0..7 {
        let _ = world
            .at(AWAY)
            .login("ann", WRONG)
            .await
            .refused(429, "too-many-attempts");
    }
    assert_eq!(told(&world, &ann.id).await, [Value::Null]);
    let first = world
        .audit(&ann.id)
        .await
        .into_iter()
        .find(|entry| entry["action"] == "password-refused")
        .unwrap();
    assert_eq!(
        (&first["source"], &first["details"]["addresses"]),
        (&json!(AWAY), &json!("unknown"))
    );
    let _ = world.at(HOME).challenge(&ann).await;
    assert_eq!(told(&world, &ann.id).await, [Value::Null, json!(7)]);
    let _ = world.at(HOME).challenge(&ann).await;
    assert_eq!(told(&world, &ann.id).await.len(), 2, "told once");
}

/// Strangers type five wrong passwords, and so many more that are refused unseen.
async fn flood(world: &World, username: &str, refused: usize) {
    wrong(world, AWAY, username, 5).await;
    for _ in 0..refused {
        let _ = world
            .at(AWAY)
            .login(username, WRONG)
            .await
            .refused(429, "too-many-attempts");
    }
}

/// A sign-in from home by the link that is mailed to somebody.
async fn sign_in_by_link(world: &World, person: &Person) -> Answer {
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": person.id})))
        .await
        .expect(202);
    let challenge = world
        .at(HOME)
        .open_last_link()
        .await
        .expect(200)
        .text("challenge");
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    world
        .at(HOME)
        .verify(&challenge, "sms", &world.last_code().await)
        .await
}

/// A sign-in from home by an ID token, with the second factor where one is asked for.
async fn sign_in_by_token(world: &World, issuer: &Issuer, subject: &str) -> Answer {
    let claims = issuer.claims_at(subject, world.stack.clock().now().as_secs());
    let body = json!({"account": world.account, "id_token": issuer.sign(json!({}), claims).await});
    let answer = world.at(HOME).post("/v1/login", body).await.expect(200);
    if answer.body["status"] == "authenticated" {
        return answer;
    }
    let challenge = answer.text("challenge");
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    world
        .at(HOME)
        .verify(&challenge, "sms", &world.last_code().await)
        .await
}

#[tokio::test]
async fn a_sign_in_tells_the_number_and_ends_the_series_by_whichever_way_it_is() {
    let world = World::of_many_places().await;
    let issuer = Issuer::of(&world, ISSUER).await;
    let ann = world.user("ann", json!({"sso_subject": "a"})).await;
    let ben = world
        .user("ben", json!({"sso_subject": "b", "kind": "internal"}))
        .await;
    for person in [&ann, &ben] {
        let _ = world.at(HOME).sign_in(person).await;
    }
    // One of them needs no second factor beside a token.
    let _ = world
        .settings(json!({"second_factor": {"internal_required": false}}))
        .await;
    for (person, subject) in [(&ann, "a"), (&ben, "b")] {
        let mut expected = Vec::new();
        for (refused, by_token) in [(7, false), (3, true), (2, false), (4, true)] {
            flood(&world, &person.username, refused).await;
            expected.push(Value::Null);
            assert_eq!(
                told(&world, &person.id).await,
                expected,
                "the first of a series"
            );
            let done = if by_token {
                sign_in_by_token(&world, &issuer, subject).await
            } else {
                sign_in_by_link(&world, person).await
            };
            assert_eq!(done.expect(200).body["status"], "authenticated");
            expected.push(json!(refused));
            assert_eq!(
                told(&world, &person.id).await,
                expected,
                "by a token: {by_token}"
            );
        }
    }
}

/// Strangers' passwords are refused for a month and more, one a day: the count beside the name
/// lives on, and the series' first is long ago.
async fn siege(world: &World, username: &str) {
    has_failed(world, username, false, 49).await;
    wrong(world, AWAY, username, 1).await;
    for day in 0..32 {
        if day > 0 {
            world.advance(86_400);
        }
        let _ = world
            .at(AWAY)
            .login(username, WRONG)
            .await
            .refused(429, "too-many-attempts");
    }
    let _ = tests::agreements::clean(world).await;
}

#[tokio::test]
async fn a_series_that_goes_on_for_longer_than_a_month_is_told_and_ended_by_whichever_way_the_sign_in_is()
 {
    let world = World::of_many_places().await;
    let issuer = Issuer::of(&world, ISSUER).await;
    let ann = world.user("ann", json!({"sso_subject": "a"})).await;
    let ben = world
        .user("ben", json!({"sso_subject": "b", "kind": "internal"}))
        .await;
    // One of them needs no second factor beside a token.
    let _ = world
        .settings(json!({"second_factor": {"internal_required": false}}))
        .await;
    for (person, subject) in [(&ann, "a"), (&ben, "b")] {
        let mut expected = Vec::new();
        for by_token in [false, true, false, true] {
            siege(&world, &person.username).await;
            expected.push(Value::Null);
            assert_eq!(
                told(&world, &person.id).await,
                expected,
                "the first of a series"
            );
            let done = if by_token {
                sign_in_by_token(&world, &issuer, subject).await
            } else {
                sign_in_by_link(&world, person).await
            };
            assert_eq!(done.expect(200).body["status"], "authenticated");
            expected.push(json!(32));
            assert_eq!(
                told(&world, &person.id).await,
                expected,
                "by a token: {by_token}"
            );
        }
    }
}

/// Nobody signed in for as long as the count stood: nothing is left to be told, and no sign-in
/// looks for it again.
#[tokio::test]
async fn a_series_whose_count_has_gone_is_ended_by_the_next_sign_in() {
    let (world, ann) = ann_at_home().await;
    let refusals = async || {
        let item = world
            .stack
            .table()
            .get(keys::user(ann.id.parse().unwrap()))
            .await
            .unwrap()
            .unwrap();
        shared::store::dynamo::read::<Value>(item).unwrap()["refusals"].clone()
    };
    flood(&world, "ann", 3).await;
    assert_eq!(refusals().await["is_open"], true);
    // In the last hour of it a first that was told just now could be unseen.
    for (wait, is_open) in [(30 * 86_400 + 3_599, true), (1, false)] {
        world.advance(wait);
        let _ = tests::agreements::clean(&world).await;
        let _ = sign_in_by_link(&world, &ann).await.expect(200);
        assert_eq!(refusals().await.get("is_open").is_some(), is_open);
    }
    assert_eq!(told(&world, &ann.id).await, [Value::Null]);
    flood(&world, "ann", 2).await;
    let _ = sign_in_by_link(&world, &ann).await.expect(200);
    assert_eq!(
        told(&world, &ann.id).await,
        [Value::Null, Value::Null, json!(2)]
    );
}

#[tokio::test]
async fn what_is_refused_between_the_password_and_the_code_is_told_with_the_code() {
    let (world, ann) = ann_at_home().await;
    let challenge = world.at(HOME).challenge(&ann).await;
    flood(&world, "ann", 3).await;
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(told(&world, &ann.id).await, [Value::Null, json!(3)]);
    // A first factor that is set up completes a sign-in, too.
    let new = world.user("new", json!({"phone": null})).await;
    let challenge = world
        .at(HOME)
        .login("new", PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    flood(&world, "new", 2).await;
    let begun = world
        .at(HOME)
        .post(
            "/v1/factors/sms",
            json!({"challenge": challenge, "phone": "+12025550177"}),
        )
        .await
        .expect(202);
    let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": world.last_code().await});
    let _ = world
        .at(HOME)
        .post("/v1/factors/sms/confirm", body)
        .await
        .expect(200);
    assert_eq!(told(&world, &new.id).await, [Value::Null, json!(2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_that_are_refused_while_their_user_signs_in_are_told_once_each() {
    let (world, ann) = ann_at_home().await;
    flood(&world, "ann", 1).await;
    let flood = join_all((0..50).map(|_| world.at(AWAY).login("ann", WRONG)));
    let (done, answers) = tokio::join!(sign_in_by_link(&world, &ann), flood);
    let _ = done.expect(200);
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    let _ = sign_in_by_link(&world, &ann).await.expect(200);
    let numbers: i64 = told(&world, &ann.id)
        .await
        .iter()
        .filter_map(Value::as_i64)
        .sum();
    let item = world
        .stack
        .table()
        .get(keys::name_refused(world.account.parse().unwrap(), "ann"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        item["refused"].as_n().unwrap().parse::<i64>().unwrap(),
        numbers
    );
    assert!(
        usize::try_from(numbers).unwrap() > refused,
        "{numbers} of {refused} and one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_while_a_number_is_told_is_told_at_the_next_sign_in_and_the_next_series_begins_with_its_first()
 {
    // Once the count is read: before the attempt is counted, and before the sign-in is written.
    for held in [1, 2] {
        let (world, ann) = ann_at_home().await;
        flood(&world, "ann", 1).await;
        let gate = world.stack.faults().hold(Service::Dynamodb, held);
        let meanwhile = async {
            gate.arrived().await;
            for _ in 0..3 {
                let _ = world
                    .at(AWAY)
                    .login("ann", WRONG)
                    .await
                    .refused(429, "too-many-attempts");
            }
            gate.let_go();
        };
        let (signed_in, ()) = tokio::join!(world.at(HOME).login("ann", PASSWORD), meanwhile);
        let _ = signed_in.expect(200);
        assert_eq!(
            told(&world, &ann.id).await,
            [Value::Null, json!(1)],
            "{held}"
        );
        let _ = sign_in_by_link(&world, &ann).await.expect(200);
        assert_eq!(
            told(&world, &ann.id).await,
            [Value::Null, json!(1), json!(3)],
            "{held}"
        );
        flood(&world, "ann", 2).await;
        let _ = sign_in_by_link(&world, &ann).await.expect(200);
        assert_eq!(
            told(&world, &ann.id).await,
            [Value::Null, json!(1), json!(3), Value::Null, json!(2)],
            "{held}"
        );
    }
}

#[tokio::test]
async fn the_audit_tells_of_refused_passwords_twenty_times_an_hour_and_loses_none() {
    let (world, ann) = ann_at_home().await;
    // Her count of known addresses goes on growing beside: she signs in from an address that is not
    // known yet.
    let mut refused = 0;
    for round in 0..12 {
        has_failed(&world, "ann", true, 5).await;
        wrong(&world, HOME, "ann", 1).await;
        for _ in 0..2 {
            let _ = world
                .at(HOME)
                .login("ann", PASSWORD)
                .await
                .refused(429, "too-many-attempts");
            refused += 1;
        }
        let _ = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
        assert_eq!(told(&world, &ann.id).await.len(), (2 * (round + 1)).min(20));
    }
    world.advance(3_600);
    let _ = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
    let told = told(&world, &ann.id).await;
    assert_eq!(told.iter().filter_map(Value::as_i64).sum::<i64>(), refused);
}

/// Fifty at once, of which one would be the last: of each origin five are compared, as if they came
/// one after the other, and of fifty at the end one. Each is counted once, on its own count or
/// among those that were refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_passwords_at_once_are_five_guesses_of_each_origin_and_one_at_the_end() {
    for (before, known, most) in [(0, false, 5), (0, true, 5), (49, false, 1), (49, true, 1)] {
        let (world, ann) = ann_at_home().await;
        if before > 0 {
            has_failed(&world, "ann", known, before).await;
        }
        let address = if known { HOME } else { AWAY };
        let answers = join_all((0..50).map(|_| world.at(address).login("ann", WRONG))).await;
        let compared = answers.iter().filter(|answer| answer.status == 401).count();
        let refused = answers.iter().filter(|answer| answer.status == 429).count();
        assert!(compared <= most, "{compared} were compared");
        let failures = stands(&world, "ann", known).await.unwrap()["failures"]
            .as_u64()
            .unwrap();
        assert_eq!(failures, u64::from(before) + most as u64);
        assert_eq!(stands(&world, "ann", !known).await, None);
        let item = world
            .stack
            .table()
            .get(keys::name_refused(world.account.parse().unwrap(), "ann"))
            .await
            .unwrap()
            .unwrap();
        let counted: Value = shared::store::dynamo::read(item).unwrap();
        let counted = usize::try_from(counted["refused"].as_u64().unwrap()).unwrap();
        // Who had no answer in time may have been counted all the same.
        assert!(
            (refused..=50 - compared).contains(&counted),
            "{refused} were refused, and {counted} counted"
        );
        assert_eq!(
            told(&world, &ann.id).await,
            [Value::Null],
            "one entry, whoever was the first"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_that_was_compared_is_told_though_its_address_is_blocked_in_that_instant()
{
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    for username in ["ann", "nobody"] {
        // What is read first shows an address that may try; it has its hundred before the attempt
        // is counted.
        let gate = world.stack.faults().hold(local::Service::Dynamodb, 0);
        let others = async {
            gate.arrived().await;
            let moments = vec![world.stack.clock().now(); 100];
            let log = Update::of(keys::client_ip_failures(AWAY)).set(path("moments"), moments);
            // Past the device: its own request would be counted.
            world.stack.table().clone().update(log).await.unwrap();
            gate.let_go();
        };
        let (answer, ()) = tokio::join!(world.at(AWAY).login(username, WRONG), others);
        assert_eq!(
            policy(&answer.refused(429, "too-many-attempts")),
            "\"source\";q=100;w=300"
        );
        world.stack.faults().clear();
        let log = keys::client_ip_failures(AWAY);
        world
            .stack
            .table()
            .transact(vec![Delete::of(log).into()])
            .await
            .unwrap();
    }
    assert_eq!(
        world.actions(&ann.id).await.last().unwrap(),
        "sign-in: wrong-password"
    );
    let nobody = world
        .content()
        .await
        .into_values()
        .filter(|item| item["details"]["reason"] == "unknown-user")
        .count();
    assert_eq!(nobody, 1, "and of nobody likewise");
}

#[tokio::test]
async fn a_wrong_current_password_counts_like_one_that_is_typed_to_sign_in() {
    let (world, ann) = ann_at_home().await;
    let token = world.at(HOME).sign_in(&ann).await;
    let patch = |password: &'static str, current: &'static str| {
        let body = json!({"password": password, "current_password": current});
        world
            .at(HOME)
            .send(Method::PATCH, "/v1/me", Some(&token), Some(body))
    };
    for _ in 0..5 {
        let _ = patch("another horse battery", WRONG)
            .await
            .refused(401, "invalid-credentials");
    }
    // The right one is refused as well now, and so is the sign-in; elsewhere nothing has happened.
    assert_eq!(
        retry_after(
            &patch("another horse battery", PASSWORD)
                .await
                .refused(429, "too-many-attempts")
        ),
        1
    );
    let _ = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    let _ = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "password-changed: wrong-password")
            .count(),
        5
    );
    assert!(actions.contains(&"password-delayed".to_owned()));
    world.advance(1);
    let _ = patch("another horse battery", PASSWORD).await.expect(200);
    assert_eq!(stands(&world, "ann", true).await, None);
    let _ = world
        .at(HOME)
        .login("ann", "another horse battery")
        .await
        .expect(200);

    for (body, pointer) in [
        (
            json!({"password": "another horse battery"}),
            "/current_password",
        ),
        (json!({"current_password": PASSWORD}), "/password"),
    ] {
        let refused = world
            .at(HOME)
            .send(Method::PATCH, "/v1/me", Some(&token), Some(body))
            .await;
        assert_eq!(
            refused.refused(400, "invalid-request").pointers(),
            [pointer]
        );
    }
}

#[tokio::test]
async fn who_is_given_a_name_is_not_told_what_was_refused_before_anybody_had_it() {
    for renamed in [false, true] {
        let world = World::of_many_places().await;
        wrong(&world, AWAY, "ann", 5).await;
        for _ in 0..7 {
            let _ = world
                .at(AWAY)
                .login("ann", WRONG)
                .await
                .refused(429, "too-many-attempts");
        }
        let person = world
            .user(if renamed { "ben" } else { "ann" }, json!({}))
            .await;
        if renamed {
            let path = format!("/v1/users/{}", person.id);
            let _ = world
                .backend(Method::PATCH, &path, Some(json!({"username": "ann"})))
                .await
                .expect(200);
        }
        let _ = world.at(HOME).login("ann", PASSWORD).await.expect(200);
        assert_eq!(
            told(&world, &person.id).await,
            Vec::<Value>::new(),
            "{renamed}"
        );
        assert!(
            !world
                .content()
                .await
                .keys()
                .any(|key| key.ends_with("REFUSED")),
            "{renamed}"
        );
    }
}
