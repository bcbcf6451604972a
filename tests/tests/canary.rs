//! What a person types into the provider's frame never gets here: not in a request, a callback, a
//! log at its most talkative, a mail or the table. And where a callback carries it all the same, it
//! is refused, and stands nowhere either.
//!
//! Alone in this file: the subscriber is the process's.

use local::{Mode, Service};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::agreements::{agreement, complete, open_last, person, send_with, with_kba};
use tests::{Memory, World};

/// Words that occur nowhere else: a street, a town, and the digits.
const STREET: &str = "Zanzibar Parkway";
const TOWN: &str = "Quillfeather Falls";
const DIGITS: &str = "7731";
/// The name that somebody types whose sender gave none.
const NAME: &str = "Wilhelmina Oxenstierna";

/// Whether `canary` stands in `text`: as a word of its own, because four digits stand in many a
/// time and hash.
fn stands(text: &str, canary: &str) -> bool {
    let apart = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric());
    text.match_indices(canary).any(|(at, _)| {
        let (before, after) = (
            text[..at].chars().next_back(),
            text[at + canary.len()..].chars().next(),
        );
        apart(before) && apart(after)
    })
}

/// Lets a recipient go through the frame: who they are, and the answers, of which so many are
/// right.
async fn through_the_frame(world: &World, challenge: &str, name: &str, right: bool) -> String {
    let opened = world.open_session(challenge).await.expect(201);
    let (page, session) = (opened.text("iframe_url"), opened.text("session"));
    let client = Client::new();
    let person = json!({"name": name, "address": format!("1 {STREET}, {TOWN}"), "ssn4": DIGITS});
    let asks: Value = client
        .post(format!("{page}/person"))
        .json(&person)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let places: Vec<u64> = asks["simulation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| place.as_u64().unwrap())
        .collect();
    let answers: Vec<u64> = places
        .iter()
        .map(|place| if right { *place } else { (place + 1) % 3 })
        .collect();
    let body = json!({"answers": answers});
    let over: Value = client
        .post(format!("{page}/answers"))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        over["outcome"],
        if right { "passed" } else { "failed" },
        "{over}"
    );
    // The callback is on its way while the page goes on.
    while world.session_status(challenge, &session).await == "pending" {
        tokio::task::yield_now().await;
    }
    session
}

/// Whatever there is to be read of the service once the story is over.
async fn everything(world: &World, memory: &Memory, audit: &str) -> String {
    let provider = world.stack.provider();
    let callbacks: Vec<String> = provider
        .sent()
        .iter()
        .map(|sent| format!("{} {}", sent.id, sent.body))
        .collect();
    let callbacks = callbacks.join("\n");
    let report = world
        .request(Method::GET, audit)
        .bearer_auth(&world.key)
        .header("accept", "application/json");
    let report = world.send(report).await.expect(200).body.to_string();
    let logged = memory.text();
    assert!(
        logged.contains("/v1/kba/callback") && logged.contains("/v1/kba/sessions"),
        "the requests were logged"
    );
    assert!(
        callbacks.contains("tok_") && report.contains("recipient-verified"),
        "{callbacks}"
    );
    format!(
        "{callbacks}\n{report}\n{logged}\n{:?}\n{:?}",
        world.content().await,
        world.outbox().await
    )
}

#[tokio::test]
async fn address_digits_and_a_name_that_the_sender_did_not_give_stand_nowhere() {
    let memory = Memory::listen();

    let world = with_kba(5).await;
    let mut nameless = person(2, "kba");
    nameless.as_object_mut().unwrap().remove("name");
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "kba"), nameless])),
    )
    .await
    .expect(201);
    let others = open_last(&world, "r2@example.com")
        .await
        .expect(200)
        .text("challenge");
    for right in [false, true] {
        let _ = through_the_frame(&world, &others, NAME, right).await;
    }
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let first = through_the_frame(&world, &challenge, "Person 1", false).await;
    // Failures are the most talkative.
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Lost, 2, 3);
    let _ = through_the_frame(&world, &challenge, "Person 1", true).await;
    world.stack.faults().clear();
    let _ = complete(&world, &sent, 0).await.expect(200);

    // A provider that tells more than it may is refused. Neither the names nor the values of what
    // it tells are repeated or kept.
    let before = world.content().await;
    for (place, name, value) in [
        ("/data", "address", json!(format!("1 {STREET}"))),
        ("/data", "ssn4", json!(DIGITS)),
        ("/data", DIGITS, json!(true)),
        ("", "person", json!({"town": TOWN, "street": STREET})),
    ] {
        let data = json!({"session": first, "outcome": "failed"});
        let mut message = json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z", "data": data});
        message.pointer_mut(place).unwrap()[name] = value;
        let refused = world
            .send(world.signed("msg_personal", message.to_string().as_bytes()))
            .await;
        let refused = refused.refused(422, "unexpected-field");
        assert_eq!(refused.pointers(), [place]);
        let text = refused.body.to_string();
        assert!(
            [STREET, TOWN, DIGITS]
                .iter()
                .all(|canary| !stands(&text, canary)),
            "{text}"
        );
    }
    // In the place of what is read, too: an outcome, a token, a session that are none.
    for (pointer, value) in [
        ("/data/outcome", STREET),
        ("/data/token", TOWN),
        ("/data/session", DIGITS),
        ("/type", STREET),
    ] {
        let data = json!({"session": first, "outcome": "passed", "token": "tok_1"});
        let mut message = json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z", "data": data});
        *message.pointer_mut(pointer).unwrap() = json!(value);
        let refused = world
            .send(world.signed("msg_personal", message.to_string().as_bytes()))
            .await;
        let text = refused.refused(400, "invalid-request").body.to_string();
        assert!(!stands(&text, value), "{text}");
    }
    assert_eq!(world.content().await, before, "nothing was written");

    let audit = format!("/v1/agreements/{}/audit", sent.text("id"));
    let everything = everything(&world, &memory, &audit).await;
    for canary in [STREET, TOWN, DIGITS, NAME] {
        let line = everything.lines().find(|line| stands(line, canary));
        assert!(line.is_none(), "{canary}: {line:?}");
    }
}
