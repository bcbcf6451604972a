//! How many challenges may be opened: so many from an address, so many of a user, half of these for
//! addresses that the user is known at; and none that is live makes room for another.

use futures_util::future::join_all;
use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{keys, read};
use tests::issuer::Issuer;
use tests::{Answer, PASSWORD, Person, World};

const HOME: &str = "203.0.113.7";
const AWAY: &str = "198.51.100.9";

fn retry_after(answer: &Answer) -> i64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// Logs in until that is refused; answers with how often it was not.
async fn opened_from(world: &World, person: &Person, address: &str) -> usize {
    for opened in 0..100 {
        let answer = world.at(address).login(&person.username, PASSWORD).await;
        if answer.status == 429 {
            let _ = answer.refused(429, "too-many-attempts");
            return opened;
        }
        let _ = answer.expect(200);
    }
    panic!("no limit says anything");
}

#[tokio::test]
async fn who_knows_the_password_ends_no_sign_in_that_is_under_way() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.at(HOME).challenge(&ann).await;
    let _ = world.at(HOME).issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    let strangers: Vec<String> = (0..5)
        .map(|number| format!("198.51.100.{number}"))
        .collect();
    let mut opened = 0;
    for address in &strangers {
        // Hers is older than each of theirs.
        world.advance(1);
        opened += opened_from(&world, &ann, address).await;
    }
    assert_eq!(
        opened, 59,
        "of sixty, as long as no address of the user's is known"
    );
    let _ = world
        .at(HOME)
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
}

#[tokio::test]
async fn an_address_opens_twenty_in_ten_minutes_and_strangers_leave_half_of_a_users_sixty() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(600);
    let strangers: Vec<String> = (0..3)
        .map(|number| format!("198.51.100.{number}"))
        .collect();
    let mut opened = Vec::new();
    for address in &strangers {
        opened.push(opened_from(&world, &ann, address).await);
    }
    assert_eq!(opened, [20, 10, 0]);
    world.advance(100);
    // At the known address nobody notices, up to its own twenty.
    for _ in 0..19 {
        let _ = world.at(HOME).challenge(&ann).await;
    }
    let _ = world.at(HOME).sign_in(&ann).await;
    let refused = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(
        (retry_after(&refused), refused.header("ratelimit-policy")),
        (600, Some("\"challenges\";q=20;w=600"))
    );
    let refused = world
        .at(AWAY)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(
        (retry_after(&refused), refused.header("ratelimit-policy")),
        (500, Some("\"challenges\";q=60;w=600"))
    );
    world.advance(500);
    let _ = world.at(AWAY).login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn every_way_of_opening_counts() {
    let world = World::of_many_places().await;
    let issuer = Issuer::of(&world, env!("CARGO_BIN_EXE_issuer")).await;
    let ann = world.user("ann", json!({"sso_subject": "subject"})).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let forgotten = json!({"account": world.account, "username": "ann"});
    let _ = world
        .at(HOME)
        .post("/v1/password/forgotten", forgotten)
        .await
        .expect(202);
    let password_link = tests::token_of(&world.outbox().await.pop().unwrap());
    let redeem = |token: &str| {
        world
            .at(HOME)
            .post("/v1/links/redeem", json!({"token": token}))
    };
    let mut last_token = Value::Null;
    for _ in 0..5 {
        let _ = world.at(HOME).challenge(&ann).await;
        last_token = json!({"account": world.account, "id_token": issuer.token("subject").await});
        let _ = world
            .at(HOME)
            .post("/v1/login", last_token.clone())
            .await
            .expect(200);
        let _ = redeem(&link).await.expect(200);
        let _ = redeem(&password_link).await.expect(200);
    }
    let _ = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    let _ = redeem(&link).await.refused(429, "too-many-attempts");
    let _ = redeem(&password_link)
        .await
        .refused(429, "too-many-attempts");
    let refused = json!({"account": world.account, "id_token": issuer.token("subject").await});
    let _ = world
        .at(HOME)
        .post("/v1/login", refused.clone())
        .await
        .refused(429, "too-many-attempts");
    // From elsewhere it goes on. What was refused is not used up: neither the links, nor the token.
    let _ = world.at(AWAY).post("/v1/login", refused).await.expect(200);
    let _ = world
        .at(AWAY)
        .post("/v1/login", last_token)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .at(AWAY)
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_right_password_that_opens_nothing_is_no_wrong_one_and_leaves_no_entry() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    assert_eq!(opened_from(&world, &ann, HOME).await, 20);
    let entries = world.audit(&ann.id).await.len();
    for _ in 0..10 {
        let _ = world
            .at(HOME)
            .login("ann", PASSWORD)
            .await
            .refused(429, "too-many-attempts");
    }
    assert_eq!(world.audit(&ann.id).await.len(), entries);
    for _ in 0..5 {
        let _ = world
            .at(AWAY)
            .login("ann", "a wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    assert_eq!(
        retry_after(
            &world
                .at(AWAY)
                .login("ann", PASSWORD)
                .await
                .refused(429, "too-many-attempts")
        ),
        1
    );
}

#[tokio::test]
async fn a_right_password_that_opens_nothing_and_ends_wrong_ones_is_told() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    assert_eq!(opened_from(&world, &ann, HOME).await, 20);
    for _ in 0..2 {
        let _ = world
            .at(AWAY)
            .login("ann", "a wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = world
        .at(HOME)
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    let last = world.audit(&ann.id).await.pop().unwrap();
    assert_eq!(
        (
            &last["action"],
            &last["outcome"],
            &last["details"]["reason"]
        ),
        (
            &json!("sign-in"),
            &json!("failure"),
            &json!("too-many-challenges")
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_replaced_meanwhile_ends_no_wrong_ones_where_nothing_is_opened() {
    for after in 0..8 {
        let world = World::of_many_places().await;
        let ann = world.user("ann", json!({})).await;
        assert_eq!(opened_from(&world, &ann, HOME).await, 20);
        let held = world.stack.faults().hold(Service::Dynamodb, after);
        let replaced = async {
            held.arrived().await;
            let path = format!("/v1/users/{}", ann.id);
            let _ = world
                .backend(
                    Method::PATCH,
                    &path,
                    Some(json!({"password": "another password"})),
                )
                .await
                .expect(200);
            for _ in 0..3 {
                let _ = world
                    .at(AWAY)
                    .login("ann", PASSWORD)
                    .await
                    .refused(401, "invalid-credentials");
            }
            held.let_go();
        };
        let at_home = world.at(HOME);
        let (answer, ()) = tokio::join!(at_home.login("ann", PASSWORD), replaced);
        if !held.is_a_read() && held.operation() != Some("UpdateItem") {
            assert!(after > 1, "a user is read before anything ends");
            break;
        }
        let _ = answer.refused(401, "invalid-credentials");
        let count = keys::name_failures(world.account.parse().unwrap(), "ann");
        let count: Value = read(world.stack.table().get(count).await.unwrap().unwrap()).unwrap();
        assert!(
            count["failures"].as_u64() >= Some(3),
            "held after {after}: {count}"
        );
    }
}

#[tokio::test]
async fn the_addresses_of_a_network_of_ipv6_are_one() {
    let world = World::of_many_places().await;
    let _ = world.user("ann", json!({})).await;
    let addresses: Vec<String> = (1..=25)
        .map(|number| format!("2001:db8::{number:x}"))
        .collect();
    let answers = addresses
        .iter()
        .map(|address| world.at(address).login("ann", PASSWORD));
    let mut opened = 0;
    for answer in answers {
        opened += usize::from(answer.await.status == 200);
    }
    assert_eq!(opened, 20);
}

/// Fifty at the same instant, each of which would be the last but few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_links_opened_at_once_open_twenty_challenges() {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let mut opened = 0;
    // In waves: who loses too many races against the others is told to come again, and is no
    // refusal.
    for _ in 0..10 {
        let wave = (0..5).map(|_| {
            world
                .at(HOME)
                .post("/v1/links/redeem", json!({"token": link}))
        });
        let answers = join_all(wave).await;
        opened += answers.iter().filter(|answer| answer.status == 200).count();
    }
    let now = world.stack.clock().now();
    let live = world
        .stored(&ann)
        .await
        .challenges
        .values()
        .filter(|challenge| challenge.expires_at > now)
        .count();
    assert_eq!((opened, live), (20, 20));
}
