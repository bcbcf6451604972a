//! How often somebody who signs in waits for the table, as `infra/table.md` says it: what goes out
//! together is one wait.

use local::Service;
use serde_json::json;
use tests::{Answer, PASSWORD, World, another, token_of};

/// Makes a request whose calls to the table are held: all of a wave arrive before any of it is
/// answered, and none of the next does.
async fn waits(world: &World, ask: impl Future<Output = Answer>, waves: &[&[&str]]) -> Answer {
    let faults = world.stack.faults();
    faults.clear();
    let mut places = 0..;
    let mut hold = || faults.hold(Service::Dynamodb, places.next().unwrap());
    let held: Vec<Vec<_>> = waves
        .iter()
        .map(|wave| wave.iter().map(|_| hold()).collect())
        .collect();
    let let_go = async {
        for (place, wave) in held.iter().enumerate() {
            for call in wave {
                call.arrived().await;
            }
            let mut together: Vec<_> = wave.iter().map(|call| call.operation().unwrap()).collect();
            together.sort_unstable();
            // Somebody who asks one after the other is asked again by the SDK for the first: that
            // is another operation than expected.
            assert_eq!(together, waves[place], "wave {place}");
            for later in held.iter().skip(place + 1).flatten() {
                assert_eq!(later.operation(), None, "wave {place} is not waited for");
            }
            wave.iter().for_each(local::Held::let_go);
        }
    };
    let (answer, ()) = tokio::join!(ask, let_go);
    assert_eq!(
        faults.calls(Service::Dynamodb),
        0,
        "calls that nobody expected"
    );
    answer
}

const COUNT_AND_READ: &[&str] = &["BatchGetItem", "UpdateItem"];
const READ: &[&str] = &["BatchGetItem"];
const CONCLUDE: &[&str] = &["TransactWriteItems"];

#[tokio::test]
async fn a_password_is_three_waits_whether_it_is_right_or_wrong_or_nobodys() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    for (username, password, status) in [
        ("ann", PASSWORD, 200),
        ("ann", "a wrong password", 401),
        ("nobody", PASSWORD, 401),
    ] {
        let answer = waits(
            &world,
            world.login(username, password),
            &[READ, COUNT_AND_READ, CONCLUDE],
        )
        .await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_code_is_two_waits_to_ask_for_and_two_to_verify() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let _ = waits(&world, world.issue(&challenge, "sms"), &[READ, CONCLUDE])
        .await
        .expect(202);
    let code = world.last_code().await;
    let wrong = waits(
        &world,
        world.verify(&challenge, "sms", &another(&code)),
        &[COUNT_AND_READ, CONCLUDE],
    )
    .await;
    let _ = wrong.refused(401, "code-invalid");
    let token = waits(
        &world,
        world.verify(&challenge, "sms", &code),
        &[COUNT_AND_READ, CONCLUDE],
    )
    .await
    .expect(200);
    let token = token.text("access_token");

    let (app, recovery) = world.enrol(&token).await;
    world.advance(60);
    for (method, code) in [("totp", &app.code(&world)), ("recovery_code", &recovery[0])] {
        let challenge = world.challenge(&ann).await;
        let _ = waits(
            &world,
            world.verify(&challenge, method, code),
            &[COUNT_AND_READ, CONCLUDE],
        )
        .await
        .expect(200);
    }
    let me = world.send(
        world
            .request(reqwest::Method::GET, "/v1/me")
            .bearer_auth(&token),
    );
    let _ = waits(&world, me, &[READ]).await;
}

#[tokio::test]
async fn a_link_is_three_waits_to_open() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .backend(
            reqwest::Method::POST,
            "/v1/links",
            Some(json!({"user": ann.id})),
        )
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let redeem = world.post("/v1/links/redeem", json!({"token": token}));
    let _ = waits(&world, redeem, &[&["GetItem"], READ, CONCLUDE])
        .await
        .expect(200);
}
