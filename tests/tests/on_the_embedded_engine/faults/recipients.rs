//! What a recipient does: opens the link, has a code sent, proves it.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use tests::agreements::{agreement, links, open, open_last, person, send_with, steps};
use tests::{Answer, World, another};

use crate::faults::harness::{
    Fault, OTHERS, each, each_of_the_table, empty_the_inbox, fresh, times,
};

/// An agreement of its own for a fault, and the challenge of its one recipient.
async fn opened(world: &World, fault: Fault) -> (Answer, String) {
    // Limits by destination and by source are not what is tried here.
    world.advance(3_600);
    empty_the_inbox(world).await;
    let sent = send_with(
        world,
        &fresh(fault, "code"),
        &agreement(&json!([person(1, "sms")])),
    )
    .await
    .expect(201);
    let challenge = open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    empty_the_inbox(world).await;
    (sent, challenge)
}

async fn issue(world: &World, challenge: &str) -> Answer {
    let request = world
        .request(Method::POST, "/v1/codes")
        .header("idempotency-key", "k");
    world
        .send(request.json(&json!({"challenge": challenge, "method": "sms"})))
        .await
}

#[tokio::test]
async fn a_link_is_opened_and_told_of() {
    for authentication in ["none", "sms"] {
        let world = World::new().await;
        each_of_the_table(async |fault| {
            empty_the_inbox(&world).await;
            let body = agreement(&json!([person(1, authentication)]));
            let sent = send_with(&world, &fresh(fault, "open"), &body)
                .await
                .expect(201);
            let link = links(&world, "r1@example.com").await.remove(0);
            let (struck, first) = fault.strikes(&world, open(&world, &link)).await;
            let _ = open(&world, &link).await.expect(200);
            let opened = times(&steps(&world, &sent).await, "link-opened");
            // Opening twice is twice; what was lost after it took effect is told of all the same.
            assert!(
                opened == 2 || (first.status == 503 && opened == 1),
                "{fault:?}"
            );
            struck
        })
        .await;
    }
}

#[tokio::test]
async fn a_code_is_sent_once_for_each_key_and_counts_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (sent, challenge) = opened(&world, fault).await;
        let (struck, first) = fault.strikes(&world, issue(&world, &challenge)).await;
        let again = issue(&world, &challenge).await;
        // A record that could not be completed holds its key until its code is over: rather none
        // than two.
        let held = again.slug() == "idempotency-conflict" && first.status == 202;
        assert!(again.status == 202 || held, "{fault:?}: {}", again.body);
        assert!(
            first.status != 202 || held || first.body == again.body,
            "{fault:?}"
        );
        assert_eq!(world.outbox().await.len(), 1, "{fault:?}");
        if !held {
            assert_eq!(
                again.body["resend_in"], 30,
                "{fault:?}: a send that failed does not count"
            );
        }
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        let told = steps(&world, &sent).await;
        assert_eq!(
            times(&told, "code-sent") - times(&told, "code-not-sent"),
            1,
            "{fault:?}: {told:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_fails_burns_nothing_of_a_recipient_either() {
    let world = World::new().await;
    each(Service::Sns, &OTHERS, async |fault| {
        let (sent, challenge) = opened(&world, fault).await;
        let (struck, first) = fault.strikes(&world, issue(&world, &challenge)).await;
        let again = issue(&world, &challenge).await.expect(202);
        assert_eq!(
            (&again.body["resend_in"], again.body == first.body),
            (&json!(30), first.status == 202),
            "{fault:?}"
        );
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        let told = steps(&world, &sent).await;
        assert_eq!(
            times(&told, "code-sent") - times(&told, "code-not-sent"),
            1,
            "{fault:?}: {told:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_text_to_a_recipient_whose_answer_is_lost_is_not_sent_twice_and_its_code_is_good() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    empty_the_inbox(&world).await;
    world.stack.faults().set(Service::Sns, Mode::Lost, 0, 1);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    world.stack.faults().clear();
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "resend-too-soon");
    assert_eq!(world.outbox().await.len(), 1);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_recipients_code_is_taken_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (sent, challenge) = opened(&world, fault).await;
        let _ = issue(&world, &challenge).await.expect(202);
        let code = world.last_code().await;
        let (struck, first) = fault
            .strikes(&world, world.verify(&challenge, "sms", &code))
            .await;
        let again = world.verify(&challenge, "sms", &code).await;
        let tokens = [&first, &again]
            .iter()
            .filter(|answer| answer.status == 200)
            .count();
        // Only where the answer of the last write was lost is a code spent without a token: the
        // link is opened again.
        assert!(
            tokens == 1 || (tokens == 0 && first.status == 503),
            "{fault:?}: {} {}",
            first.body,
            again.body
        );
        assert_eq!(
            times(&steps(&world, &sent).await, "recipient-verified"),
            1,
            "{fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_recipients_wrong_code_is_counted_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (sent, challenge) = opened(&world, fault).await;
        let _ = issue(&world, &challenge).await.expect(202);
        let code = world.last_code().await;
        world
            .stack
            .faults()
            .set(fault.service, fault.mode, fault.after, fault.count);
        let first = world.verify(&challenge, "sms", &another(&code)).await;
        let struck = world.stack.faults().struck() > 0;
        world.stack.faults().clear();
        assert!(
            first.slug() == "code-invalid"
                || (struck && !fault.is_got_over() && first.status == 503),
            "{}",
            first.body
        );
        let again = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
        let left = again.body["attempts_left"].as_i64().unwrap();
        assert!(
            left == 3 || (left == 4 && first.status == 503),
            "{fault:?}: {} {}",
            first.body,
            again.body
        );
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
        let wrong = times(&steps(&world, &sent).await, "code-verified");
        assert!(
            wrong == 2 || (wrong == 1 && first.status == 503),
            "{fault:?}: {wrong}"
        );
        struck
    })
    .await;
}

/// SMS are refused, as often as the service asks.
fn refuse_texts(world: &World) {
    world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
}

#[tokio::test]
async fn a_resend_to_a_recipient_that_fails_leaves_the_code_before_good() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    world.advance(61);
    refuse_texts(&world);
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(503, "sender-unavailable");
    world.stack.faults().clear();
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_failed_send_to_a_recipient_frees_its_idempotency_key() {
    let world = World::new().await;
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    refuse_texts(&world);
    let _ = issue(&world, &challenge)
        .await
        .refused(503, "sender-unavailable");
    world.stack.faults().clear();
    let sent = issue(&world, &challenge).await.expect(202);
    assert_eq!(sent.header("idempotency-replayed"), None);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}
