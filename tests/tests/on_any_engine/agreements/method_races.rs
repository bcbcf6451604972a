//! A recipient's method is changed, or a link sent again, at the moment in which something else
//! becomes of that recipient; and the recipient and the agreement are read at two moments, as
//! DynamoDB reads them.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::account::Account;
use shared::agreement::reconcile;
use shared::agreement::{Agreement, Recipient, RecipientStatus, Standing};
use shared::kernel::ids::{AgreementId, RecipientId};
use shared::ledger::{EntryId, plan};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, keys, read};
use tests::agreements::{
    agreement, clean, complete, links, open, open_last, person, quota, recipient_path, send_with,
    with_kba,
};
use tests::path;
use tests::strain::rounds;
use tests::{Answer, World};

/// Every balance is what its entries make of it, and every recipient holds what they have left.
async fn agrees(world: &World) {
    let app = world.stack.app();
    let account = app
        .table
        .get(keys::account(world.account.parse().unwrap()))
        .await
        .unwrap();
    let account: Account = read(account.unwrap()).unwrap();
    let finding = reconcile::account(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
}

/// From now on no read of several items is a snapshot.
fn tear(world: &World) {
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Torn, 0, u32::MAX);
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

fn ids(sent: &Answer, place: usize) -> (AgreementId, RecipientId) {
    let recipient = sent.body["recipients"][place]["id"].as_str().unwrap();
    (sent.text("id").parse().unwrap(), recipient.parse().unwrap())
}

async fn stands(world: &World, sent: &Answer, place: usize) -> (Agreement, Recipient) {
    let (agreement, recipient) = ids(sent, place);
    let item = |key| async move { world.stack.table().get(key).await.unwrap().unwrap() };
    (
        read(item(keys::agreement(agreement)).await).unwrap(),
        read(item(keys::recipient(agreement, recipient)).await).unwrap(),
    )
}

async fn change(world: &World, sent: &Answer, place: usize, to: &str) -> Answer {
    world
        .backend(
            Method::PATCH,
            &recipient_path(sent, place),
            Some(json!({"authentication": to})),
        )
        .await
}

/// Asks a recipient the questions: the session.
async fn asked(world: &World, number: usize) -> String {
    let challenge = open_last(world, &format!("r{number}@example.com"))
        .await
        .expect(200)
        .text("challenge");
    world.session(&challenge).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_method_beside_a_failure_gives_nothing_away() {
    let world = with_kba(1_000).await;
    let (mut consumed, mut released) = (0, 0);
    for (number, round) in rounds().enumerate() {
        let body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
        let sent = send_with(&world, &format!("k{number}"), &body)
            .await
            .expect(201);
        let session = asked(&world, 1).await;
        let failed =
            world.send(world.signed(&format!("msg_{number}"), &message(&session, "failed")));
        let both = async { tokio::join!(failed, change(&world, &sent, 0, "none")) };
        let (failed, changed) = round.race(&world, both).await;
        assert_eq!(
            (failed.status, changed.status),
            (204, 200),
            "{round:?}: {} {}",
            failed.body,
            changed.body
        );
        let (_, one) = stands(&world, &sent, 0).await;
        assert_eq!(
            one.reserved(),
            None,
            "either it was consumed, or it was given back"
        );
        if one.kba.consumed {
            consumed += 1;
        } else {
            released += 1;
        }
        let (_, reserved, used) = quota(&world).await;
        assert_eq!(
            (reserved, used),
            (1, consumed),
            "the other recipient's is there still"
        );
        // And so the sender can cancel, which gives the other's back.
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        let _ = world
            .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
            .await
            .expect(200);
        assert_eq!(quota(&world).await, (1_000 - consumed, 0, consumed));
    }
    println!("{consumed} were consumed first, and {released} given back first");
    assert!(
        consumed > 0 && released > 0,
        "{consumed} {released}: the two raced"
    );
    agrees(&world).await;
}

#[tokio::test]
async fn what_is_decided_over_an_older_recipient_is_not_written() {
    for is_new in [false, true] {
        let world = with_kba(10).await;
        let sent = send_with(
            &world,
            "k",
            &agreement(&json!([person(1, "kba"), person(2, "kba")])),
        )
        .await
        .expect(201);
        let (_, new) = stands(&world, &sent, 0).await;
        let session = asked(&world, 1).await;
        let before = if is_new {
            new
        } else {
            stands(&world, &sent, 0).await.1
        };
        assert_eq!(before.version == 0, is_new);
        let _ = world
            .send(world.signed("msg_1", &message(&session, "failed")))
            .await
            .expect(204);
        let (agreement, now) = (stands(&world, &sent, 0).await.0, world.stack.clock().now());
        // A release, as a change of method writes it, of a transaction that was consumed between
        // the two reads. The status is the same.
        let event = Event::new(Action::RecipientChanged, Actor::System);
        let torn = Standing::of(agreement.clone(), before.clone());
        let mut writes = torn
            .step(torn.update().remove(path("kba.hold")), [event], now)
            .unwrap();
        let about = agreement.about(Some(before.id));
        let id = EntryId::release(before.id, agreement.head.sequence + 1);
        writes.extend(
            plan::release(
                agreement.account,
                id,
                &about,
                &[before.reserved().unwrap()],
                now,
            )
            .writes()
            .unwrap(),
        );
        let refused = world.stack.table().transact(writes).await;
        assert!(matches!(refused, Err(Failure::Condition(_))), "{refused:?}");
        assert_eq!(quota(&world).await, (8, 1, 1));
        agrees(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quota_follows_every_change_that_races_with_every_answer() {
    for outcome in [
        "passed",
        "failed",
        "timed_out",
        "not_locatable",
        "provider_error",
    ] {
        let world = with_kba(10_000).await;
        for (number, round) in rounds().enumerate() {
            let body = agreement(&json!([
                person(1, "kba"),
                person(2, "kba"),
                person(3, "none")
            ]));
            let sent = send_with(&world, &format!("k{number}"), &body)
                .await
                .expect(201);
            let session = asked(&world, 1).await;
            let answered =
                world.send(world.signed(&format!("msg_{number}"), &message(&session, outcome)));
            let (away, other) = (
                change(&world, &sent, 0, "sms"),
                change(&world, &sent, 2, "kba"),
            );
            let (answered, away, other) = round
                .race(&world, async { tokio::join!(answered, away, other) })
                .await;
            assert_eq!(
                (answered.status, away.status, other.status),
                (204, 200, 200),
                "{outcome} in {round:?}"
            );
            let _ = change(&world, &sent, 0, "kba").await.expect(200);
            agrees(&world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_that_was_mailed_is_lost_when_several_are_sent_at_once() {
    let world = World::new().await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let path = format!("{}/resend", recipient_path(&sent, 0));
    let resend = || world.backend(Method::POST, &path, None);
    tear(&world);
    let answers = futures_util::future::join_all((0..4).map(|_| resend())).await;
    let _ = open(&world, &links(&world, "r1@example.com").await[0])
        .await
        .expect(200);
    let (completed, again) = tokio::join!(complete(&world, &sent, 0), resend());
    world.stack.faults().clear();
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    assert_eq!((completed.status, again.status), (200, 202));
    world.advance(3600);
    let _: Value = clean(&world).await;
    for link in links(&world, "r1@example.com").await {
        let _ = open(&world, &link).await.expect(200);
    }
}

#[tokio::test]
async fn a_change_that_was_still_under_way_is_no_other_change() {
    let world = with_kba(5).await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    for (to, expected) in [("kba", (4, 1, 0)), ("sms", (5, 0, 0)), ("kba", (4, 1, 0))] {
        let version = stands(&world, &sent, 0).await.0.head.sequence;
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Unsettled, 0, 3);
        let request = world
            .request(Method::PATCH, &recipient_path(&sent, 0))
            .bearer_auth(&world.key);
        let request = request
            .header("if-match", format!("\"{version}\""))
            .json(&json!({"authentication": to}));
        let changed = world.send(request).await.expect(200);
        assert_eq!(
            (
                world.stack.faults().struck(),
                &changed.body["authentication"]
            ),
            (3, &json!(to))
        );
        assert_eq!(
            changed.header("etag"),
            Some(format!("\"{}\"", version + 1).as_str())
        );
        assert_eq!(
            (
                stands(&world, &sent, 0).await.0.head.sequence,
                quota(&world).await
            ),
            (version + 1, expected)
        );
    }
    agrees(&world).await;
}

#[tokio::test]
async fn a_session_of_before_a_change_of_method_answers_for_nothing_when_the_method_is_back() {
    for (outcome, consumed) in [("passed", 0), ("failed", 1)] {
        let world = with_kba(5).await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
            .await
            .expect(201);
        let session = asked(&world, 1).await;
        for to in ["email", "kba"] {
            let _ = change(&world, &sent, 0, to).await.expect(200);
        }
        let _ = world
            .send(world.signed("msg_1", &message(&session, outcome)))
            .await
            .expect(204);
        let _ = complete(&world, &sent, 0)
            .await
            .refused(409, "recipient-not-verified");
        // Nobody walks away from hard questions for free; but nobody is let in by questions of
        // before.
        assert_eq!(
            quota(&world).await,
            (4, 1 - consumed, consumed),
            "{outcome}"
        );
        let session = asked(&world, 1).await;
        let _ = world
            .send(world.signed("msg_2", &message(&session, "passed")))
            .await
            .expect(204);
        let _ = complete(&world, &sent, 0).await.expect(200);
        assert_eq!(quota(&world).await, (4, 0, 1), "{outcome}");
        agrees(&world).await;
    }
}

#[tokio::test]
async fn a_session_answers_for_nothing_that_is_asked_no_more() {
    for outcome in ["passed", "failed", "timed_out", "not_locatable"] {
        let world = with_kba(5).await;
        let sent = send_with(
            &world,
            "k",
            &agreement(&json!([person(1, "kba"), person(2, "none")])),
        )
        .await
        .expect(201);
        let session = asked(&world, 1).await;
        let _ = change(&world, &sent, 0, "email").await.expect(200);
        let _ = open_last(&world, "r1@example.com").await.expect(200);
        let _ = world
            .send(world.signed("msg_1", &message(&session, outcome)))
            .await
            .expect(204);
        let (_, recipient) = stands(&world, &sent, 0).await;
        assert_eq!(
            (recipient.status, recipient.kba.attempts),
            (RecipientStatus::Verified, 0),
            "{outcome}"
        );
        let _ = complete(&world, &sent, 0).await.expect(200);
        assert_eq!(quota(&world).await, (5, 0, 0), "{outcome}");
        agrees(&world).await;
    }
}
