//! Sessions at the provider, and what it answers.

use local::Service;
use serde_json::json;
use tests::agreements::{
    agreement, complete, open_last, person, quota, recipient_path, send_with, steps, with_kba,
};
use tests::{Answer, World};

use crate::faults::harness::{
    Fault, OTHERS, each, each_of_the_table, each_that_mails, empty_the_inbox, fresh, mailed_once,
};
use crate::faults::harness::{sums_are_right, times};

/// An agreement of its own for a fault, and the challenge of its first recipient, who is to answer
/// questions.
async fn asked(world: &World, fault: Fault) -> (Answer, String) {
    world.advance(3_600);
    empty_the_inbox(world).await;
    let body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
    let sent = send_with(world, &fresh(fault, "kba"), &body)
        .await
        .expect(201);
    let challenge = open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    empty_the_inbox(world).await;
    (sent, challenge)
}

fn message(session: &str, outcome: &str) -> Vec<u8> {
    let mut data = json!({"session": session, "outcome": outcome});
    if outcome == "passed" {
        data["token"] = json!("tok_1");
    }
    json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z", "data": data})
        .to_string()
        .into_bytes()
}

/// What a session leads to once it is passed: one transaction, whatever went before.
async fn passes(world: &World, challenge: &str, session: &str, fault: Fault) {
    let before = quota(world).await;
    world.provider_says(session, "passed").await;
    let told = world.look(challenge, session).await.expect(200).body;
    assert_eq!(
        (&told["status"], &told["attempts_left"]),
        (&json!("passed"), &json!(3)),
        "{fault:?}"
    );
    assert_eq!(
        quota(world).await,
        (before.0, before.1 - 1, before.2 + 1),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_session_is_opened_once_and_counted_once() {
    let world = with_kba(2_000).await;
    each_of_the_table(async |fault| {
        let (sent, challenge) = asked(&world, fault).await;
        let (before, provider) = (quota(&world).await, world.stack.provider().opened());
        let (struck, first) = fault.strikes(&world, world.open_session(&challenge)).await;
        let told = times(&steps(&world, &sent).await, "kba-session-opened");
        assert_eq!(
            told,
            usize::from(first.status == 201),
            "{fault:?}: what was refused counts for nothing"
        );
        assert!(world.stack.provider().opened() <= provider + 1, "{fault:?}");
        let session = if first.status == 201 {
            first.text("session")
        } else {
            world.session(&challenge).await
        };
        assert_eq!(quota(&world).await, before, "{fault:?}");
        passes(&world, &challenge, &session, fault).await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn a_provider_that_fails_costs_nothing_and_is_told_of_one_session() {
    let world = with_kba(2_000).await;
    each(Service::Provider, &OTHERS, async |fault| {
        let (sent, challenge) = asked(&world, fault).await;
        let provider = world.stack.provider().opened();
        let (struck, first) = fault.strikes(&world, world.open_session(&challenge)).await;
        assert!(
            first.status == 201 || first.slug() == "provider-unavailable",
            "{fault:?}: {}",
            first.body
        );
        assert!(
            first.status == 201 || fault.count > 1,
            "{fault:?}: once is got over"
        );
        // Known by our id: what was lost is the same session when it is asked for again.
        assert!(world.stack.provider().opened() <= provider + 1, "{fault:?}");
        let told = times(&steps(&world, &sent).await, "kba-session-opened");
        assert_eq!(told, usize::from(first.status == 201), "{fault:?}");
        let session = if first.status == 201 {
            first.text("session")
        } else {
            world.session(&challenge).await
        };
        passes(&world, &challenge, &session, fault).await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn an_answer_is_taken_once_whatever_it_is() {
    // What is answered, whether it consumes, how many attempts are left, and what the chain says of
    // it.
    let outcomes = [
        ("passed", 1, 3, "recipient-verified"),
        ("failed", 1, 2, "kba-session-answered"),
        ("timed_out", 1, 2, "kba-session-answered"),
        ("not_locatable", 0, 3, "kba-session-answered"),
        ("provider_error", 0, 3, "kba-session-answered"),
    ];
    for (outcome, consumed, left, action) in outcomes {
        let world = with_kba(2_000).await;
        each_of_the_table(async |fault| {
            let (sent, challenge) = asked(&world, fault).await;
            let session = world.session(&challenge).await;
            let (before, id) = (quota(&world).await, fresh(fault, "msg"));
            let body = message(&session, outcome);
            let (struck, _) = fault
                .strikes(&world, world.send(world.signed(&id, &body)))
                .await;
            for _ in 0..2 {
                let _ = world.send(world.signed(&id, &body)).await.expect(204);
            }
            assert_eq!(
                quota(&world).await,
                (before.0, before.1 - consumed, before.2 + consumed),
                "{outcome} {fault:?}"
            );
            let told = world.look(&challenge, &session).await.expect(200).body;
            assert_eq!(
                (&told["status"], &told["attempts_left"]),
                (&json!(outcome), &json!(left)),
                "{fault:?}"
            );
            assert_eq!(told["authenticated"].is_object(), outcome == "passed");
            assert_eq!(
                times(&steps(&world, &sent).await, action),
                1,
                "{outcome} {fault:?}"
            );
            mailed_once(&world, fault, &[]).await;
            struck
        })
        .await;
        sums_are_right(&world).await;
    }
}

#[tokio::test]
async fn the_last_failure_cancels_once_releases_once_and_mails_the_sender_once() {
    let world = with_kba(2_000).await;
    let _ = world.settings(json!({"kba": {"max_attempts": 1}})).await;
    each_that_mails(async |fault| {
        let (sent, challenge) = asked(&world, fault).await;
        let session = world.session(&challenge).await;
        let (before, id, body) = (
            quota(&world).await,
            fresh(fault, "msg"),
            message(&session, "failed"),
        );
        let (struck, _) = fault
            .strikes(&world, world.send(world.signed(&id, &body)))
            .await;
        for _ in 0..2 {
            let _ = world.send(world.signed(&id, &body)).await.expect(204);
        }
        // One is consumed, and the other recipient's is given back.
        assert_eq!(
            quota(&world).await,
            (before.0 + 1, before.1 - 2, before.2 + 1),
            "{fault:?}"
        );
        let told = steps(&world, &sent).await;
        let expected = [
            "agreement-sent",
            "link-opened",
            "kba-session-opened",
            "kba-session-answered",
            "agreement-cancelled",
        ];
        assert_eq!(told, expected, "{fault:?}");
        mailed_once(&world, fault, &["sales@alder.example"]).await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn viewing_is_locked_once_and_cancels_nothing() {
    let world = with_kba(2_000).await;
    let _ = world
        .settings(json!({"kba": {"max_attempts": 1, "on_view_after_signing": true}}))
        .await;
    each_of_the_table(async |fault| {
        let (sent, challenge) = asked(&world, fault).await;
        let session = world.session(&challenge).await;
        world.provider_says(&session, "passed").await;
        let _ = complete(&world, &sent, 0).await.expect(200);
        let resend = format!("{}/resend", recipient_path(&sent, 0));
        let _ = world
            .backend(reqwest::Method::POST, &resend, None)
            .await
            .expect(202);
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        empty_the_inbox(&world).await;
        let session = world.session(&challenge).await;
        let (before, id, body) = (
            quota(&world).await,
            fresh(fault, "msg"),
            message(&session, "timed_out"),
        );
        let (struck, _) = fault
            .strikes(&world, world.send(world.signed(&id, &body)))
            .await;
        let _ = world.send(world.signed(&id, &body)).await.expect(204);
        assert_eq!(quota(&world).await, before, "{fault:?}");
        let told = steps(&world, &sent).await;
        assert_eq!(
            (
                times(&told, "viewing-locked"),
                times(&told, "agreement-cancelled")
            ),
            (1, 0),
            "{fault:?}"
        );
        mailed_once(&world, fault, &[]).await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}
