//! What a phone or mail address of one's own ends once it is confirmed or taken away, asked for
//! where it would matter later.

use reqwest::Method;
use serde_json::json;
use tests::contacts::{begin, confirm, prove, remove};
use tests::{PASSWORD, Person, World, another};

const NEW: &str = "+12025550177";

/// Wrong codes of the phone, five to a challenge.
async fn guess(world: &World, person: &Person, count: usize) {
    for some in [count.min(5), count.saturating_sub(5)] {
        let challenge = world.challenge(person).await;
        for _ in 0..some {
            let _ = world
                .verify(&challenge, "sms", "000000")
                .await
                .refused(401, "code-invalid");
        }
    }
}

#[tokio::test]
async fn a_reset_is_over_with_the_phone_that_is_confirmed_after_it() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let _ = world
        .backend(
            Method::DELETE,
            &format!("/v1/users/{}/factors/totp", ann.id),
            None,
        )
        .await
        .expect(204);
    let challenge = world.opened("ann").await.text("challenge");
    let begun = world
        .post(
            "/v1/factors/sms",
            json!({"challenge": challenge, "phone": NEW}),
        )
        .await
        .expect(202)
        .text("factor");
    let body = json!({"challenge": challenge, "factor": begun, "code": world.last_code().await});
    let _ = world
        .post("/v1/factors/sms/confirm", body)
        .await
        .expect(200);
    // No code goes to the phone any more: the password alone sets up nothing in its place.
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn wrong_codes_of_a_phone_are_not_those_of_the_one_that_takes_its_place() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    // One more brings a delay on.
    guess(&world, &ann, 9).await;
    let _ = prove(&world, &token, "sms", NEW).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn what_waits_for_its_code_goes_with_the_contact_that_is_taken_away() {
    for (method, contact) in [("sms", NEW), ("email", "new@example.org")] {
        let world = World::new().await;
        // Of the staff, who may take a last factor away.
        let ann = world.user("ann", json!({"kind": "internal"})).await;
        let token = world.token(&ann).await;
        let begun = begin(&world, &token, method, contact)
            .await
            .expect(202)
            .text("factor");
        let code = world.last_code().await;
        let _ = remove(&world, &token, method).await.expect(204);
        let _ = confirm(&world, &token, method, &begun, &code)
            .await
            .refused(404, "not-found");
    }
}

#[tokio::test]
async fn a_link_that_was_mailed_to_an_address_opens_nothing_once_that_is_taken_away() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let _ = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200);
    let _ = remove(&world, &token, "email").await.expect(204);
    let _ = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .refused(410, "link-expired");
}

#[tokio::test]
async fn the_codes_to_a_contact_are_of_the_ten_an_hour_that_a_user_is_sent() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    for wait in [0, 30, 60, 120] {
        world.advance(wait);
        let _ = begin(&world, &token, "sms", NEW).await.expect(202);
        let _ = begin(&world, &token, "email", "new@example.org")
            .await
            .expect(202);
    }
    // With the one that she signed in by they are nine.
    let _ = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .expect(202);
    let refused = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .refused(429, "too-many-sends");
    let until = 3_600 - (30 + 60 + 120);
    assert_eq!(
        refused.header("retry-after"),
        Some(until.to_string().as_str())
    );
    let _ = begin(&world, &token, "email", "other@example.org")
        .await
        .refused(429, "resend-too-soon");
}
