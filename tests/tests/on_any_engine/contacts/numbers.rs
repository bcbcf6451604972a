//! Which phone numbers are taken, wherever one is given: those that may be a mobile's. A number
//! that earns on SMS, or takes none, is refused at its field.

use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{agreement, send_with};
use tests::{Answer, PASSWORD, World};

/// A number of each kind that is sent nothing, and what it is.
const OTHERS: [(&str, &str); 8] = [
    ("+19002345678", "premium rate"),
    ("+449012345678", "premium rate"),
    ("+18002345678", "toll-free"),
    ("+448001234567", "toll-free"),
    ("+448431234567", "shared cost"),
    ("+33123456789", "a landline"),
    ("+445612345678", "VoIP"),
    ("+15002345678", "a personal number"),
];

/// Numbers that may be a mobile's; North America's do not say.
const MOBILES: [&str; 4] = [
    "+12025550123",
    "+14165550123",
    "+447400123456",
    "+33612345678",
];

async fn create(world: &World, username: &str, phone: &str) -> Answer {
    let body =
        json!({"username": username, "kind": "external", "password": PASSWORD, "phone": phone});
    world.backend(Method::POST, "/v1/users", Some(body)).await
}

async fn send(world: &World, key: &str, phone: &str) -> Answer {
    let recipient: Value =
        json!({"email": "r@example.com", "phone": phone, "authentication": "sms"});
    send_with(world, key, &agreement(&json!([recipient]))).await
}

#[tokio::test]
async fn a_number_that_is_no_mobiles_is_refused_wherever_it_is_given() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    for (number, kind) in OTHERS {
        let created = create(&world, "ben", number)
            .await
            .refused(400, "invalid-request");
        assert_eq!(created.pointers(), ["/phone"], "{kind}");
        let patched = world
            .backend(Method::PATCH, &path, Some(json!({"phone": number})))
            .await
            .refused(400, "invalid-request");
        assert_eq!(patched.pointers(), ["/phone"], "{kind}");
        let sent = send(&world, "k", number)
            .await
            .refused(400, "invalid-request");
        assert_eq!(sent.pointers(), ["/recipients/0/phone"], "{kind}");
    }
}

#[tokio::test]
async fn a_number_that_may_be_a_mobiles_is_taken() {
    let world = World::new().await;
    for (place, number) in MOBILES.into_iter().enumerate() {
        assert_eq!(
            create(&world, &format!("user{place}"), number)
                .await
                .expect(201)
                .text("phone"),
            number
        );
        let _ = send(&world, &format!("k{place}"), number).await.expect(201);
    }
}
