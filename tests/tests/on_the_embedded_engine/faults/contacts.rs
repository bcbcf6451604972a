//! A phone or a mail address that is to be one's own: one code for each key, one change for each
//! code, one notice to each whom it tells.

use reqwest::Method;
use serde_json::json;
use tests::contacts::{begin, confirm, remove};
use tests::{Person, World, another};

use crate::faults::harness::{
    Fault, OF_THE_TABLE, THAT_MAIL, each_of_the_table, empty_the_inbox, fresh, mailed_once,
    side_by_side, times,
};

const NEW: [(&str, &str); 2] = [("sms", "+12025550177"), ("email", "new@example.com")];

/// Somebody of their own for a fault, and a fresh token of theirs.
async fn somebody(world: &World, fault: Fault) -> (Person, String) {
    // Limits by client IP and by destination are not what is tried here.
    world.advance(3_600);
    let person = world
        .user(
            &fresh(fault, "ann").to_lowercase(),
            json!({"email": "ann@example.com"}),
        )
        .await;
    let token = world.token(&person).await;
    let _ = world.enrol(&token).await;
    empty_the_inbox(world).await;
    (person, token)
}

async fn told(world: &World, person: &Person, action: &str) -> usize {
    times(&world.actions(&person.id).await, action)
}

#[tokio::test]
async fn a_contact_is_sent_one_code_for_each_key_which_counts_once_and_is_good() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (method, contact) = NEW[(fault.after % 2) as usize];
        let (person, token) = somebody(world, fault).await;
        let field = if method == "sms" { "phone" } else { "email" };
        let (path, body) = (format!("/v1/factors/{method}"), json!({ field: contact }));
        let ask = || {
            let request = world.request(Method::POST, &path).bearer_auth(&token);
            world.send(request.header("idempotency-key", "k").json(&body))
        };
        let (struck, first) = fault.strikes(world, ask()).await;
        let again = ask().await;
        // A record that could not be completed holds its key until its code is over: rather none
        // than two.
        let held = again.slug() == "idempotency-conflict" && first.status == 202;
        assert!(again.status == 202 || held, "{fault:?}: {}", again.body);
        assert!(
            first.status != 202 || held || first.body == again.body,
            "{fault:?}"
        );
        assert_eq!(world.outbox().await.len(), 1, "{fault:?}");
        let shown = if held { &first } else { &again };
        assert_eq!(
            shown.body["resend_in"], 30,
            "{fault:?}: a send that failed does not count"
        );
        let actions = world.actions(&person.id).await;
        assert_eq!(
            times(&actions, "enrolment-begun") - times(&actions, "code-not-sent"),
            2,
            "{fault:?}: {actions:?}"
        );
        let _ = confirm(
            world,
            &token,
            method,
            &shown.text("factor"),
            &world.last_code().await,
        )
        .await
        .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_confirmed_once_and_who_was_there_before_is_told_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        let (method, contact) = NEW[(fault.after % 2) as usize];
        let (person, token) = somebody(world, fault).await;
        let begun = begin(world, &token, method, contact)
            .await
            .expect(202)
            .text("factor");
        let code = world.last_code().await;
        empty_the_inbox(world).await;
        let ask = || confirm(world, &token, method, &begun, &code);
        let (struck, first) = fault.strikes(world, ask()).await;
        let again = ask().await;
        let done = [&first, &again]
            .into_iter()
            .filter(|answer| answer.status == 200)
            .count();
        assert!(
            done == 1 || (done == 0 && again.slug() == "not-found"),
            "{fault:?}: {}",
            again.body
        );
        assert_eq!(
            told(world, &person, "factor-enrolled").await,
            2,
            "{fault:?}: the app, and the contact"
        );
        mailed_once(world, fault, &["ann@example.com"]).await;
        let me = world
            .as_user(&token, Method::GET, "/v1/me", None)
            .await
            .expect(200)
            .body;
        assert_eq!(
            me[if method == "sms" {
                "phone_verified"
            } else {
                "email_verified"
            }],
            true,
            "{fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_wrong_code_of_a_contact_is_counted_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (person, token) = somebody(&world, fault).await;
        let begun = begin(&world, &token, "sms", "+12025550177")
            .await
            .expect(202)
            .text("factor");
        let wrong = another(&world.last_code().await);
        let ask = || confirm(&world, &token, "sms", &begun, &wrong);
        let (struck, first) = fault.strikes_a_refusal(&world, ask(), "code-invalid").await;
        let again = ask().await.refused(401, "code-invalid");
        let counted = if first.status == 401 {
            3
        } else {
            again.body["attempts_left"].as_u64().unwrap()
        };
        assert!([3, 4].contains(&counted), "{fault:?}: {}", again.body);
        assert_eq!(again.body["attempts_left"], counted, "{fault:?}");
        let wrong = told(&world, &person, "factor-enrolled").await - 1;
        assert!((1..=2).contains(&wrong), "{fault:?}: {wrong}");
        struck
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_removed_once_and_who_was_there_is_told_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        let method = NEW[(fault.after % 2) as usize].0;
        let (person, token) = somebody(world, fault).await;
        let (struck, first) = fault.strikes(world, remove(world, &token, method)).await;
        let again = remove(world, &token, method).await;
        assert!(
            again.status == 204 || again.slug() == "not-found",
            "{fault:?}: {}",
            again.body
        );
        assert!(first.status == 204 || first.status == 503, "{fault:?}");
        assert_eq!(told(world, &person, "factor-removed").await, 1, "{fault:?}");
        mailed_once(world, fault, &["ann@example.com"]).await;
        struck
    })
    .await;
}
