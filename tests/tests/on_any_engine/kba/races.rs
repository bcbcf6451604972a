//! Answers of the provider that race, that are forged, that are sent twice, and that meet a fault;
//! and what never gets here.

use futures_util::future::join_all;
use local::{Mode, Outcome, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::{LIFETIME, RecipientStatus, Status};
use tests::World;
use tests::strain::rounds;

fn figures(balance: shared::ledger::Balance) -> (i64, i64, i64) {
    (balance.available, balance.reserved, balance.consumed)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_recipients_pass_at_once() {
    let world = World::new().await;
    let asked = world.asked(40, |_| {}).await;
    let mut sessions = Vec::new();
    for challenge in &asked.challenges {
        sessions.push(world.session(challenge).await);
    }
    let provider = world.stack.provider();
    let said = join_all(
        sessions
            .iter()
            .map(|session| provider.answer(session.parse().unwrap(), Outcome::Passed)),
    )
    .await;
    assert!(said.iter().all(|said| said.status == 204), "{said:?}");
    for place in 0..40 {
        assert_eq!(
            world.recipient(&asked, place).await.status,
            RecipientStatus::Verified
        );
    }
    assert_eq!(figures(world.balance().await), (0, 0, 40));
    let chain = world.chain(&asked).await;
    assert_eq!(
        chain
            .iter()
            .filter(|entry| entry["action"] == "recipient-verified")
            .count(),
        40
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_fifty_times_at_once_counts_once() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let body = message(&session, "failed");
    let answers = join_all((0..50).map(|_| world.send(world.signed("msg_one", &body)))).await;
    assert!(answers.iter().all(|answer| answer.status == 204));
    assert_eq!(world.recipient(&asked, 0).await.kba.attempts, 1);
    assert_eq!(figures(world.balance().await), (0, 0, 1));
    assert_eq!(
        world
            .chain(&asked)
            .await
            .iter()
            .filter(|entry| entry["action"] == "kba-session-answered")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_failure_and_a_pass_at_once_leave_one_of_the_two_and_sound_sums() {
    for round in rounds() {
        let world = World::new().await;
        let asked = world.asked(3, |kba| kba.max_attempts = Some(1)).await;
        let old = world.session(&asked.challenges[0]).await;
        let new = world.session(&asked.challenges[0]).await;
        let (failed, passed) = (message(&old, "failed"), message(&new, "passed"));
        let answers = [
            world.signed("msg_a", &failed),
            world.signed("msg_b", &passed),
            world.signed("msg_c", &failed),
        ];
        let answers = round
            .race(
                &world,
                join_all(answers.into_iter().map(|request| world.send(request))),
            )
            .await;
        assert!(
            answers.iter().all(|answer| answer.status == 204),
            "{round:?}: {answers:?}"
        );
        let (agreement, recipient) = (
            world.agreement(&asked).await,
            world.recipient(&asked, 0).await,
        );
        let mails = world.outbox().await.len();
        match (agreement.status, recipient.status) {
            (Status::Cancelled, RecipientStatus::Failed) => {
                assert_eq!((figures(world.balance().await), mails), ((2, 0, 1), 1));
            }
            (Status::OutForSignature, RecipientStatus::Verified) => {
                assert_eq!((figures(world.balance().await), mails), ((0, 2, 1), 0));
            }
            other => panic!("{round:?}: {other:?}"),
        }
        let _ = world.chain(&asked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_failure_and_a_cancel_at_once_end_an_agreement_once() {
    for round in rounds() {
        let world = World::new().await;
        let asked = world.asked(3, |kba| kba.max_attempts = Some(1)).await;
        let session = world.session(&asked.challenges[0]).await;
        let failed = world.send(world.signed("msg_a", &message(&session, "failed")));
        let path = format!("/v1/agreements/{}/cancel", asked.agreement);
        let cancel = world.backend(
            Method::POST,
            &path,
            Some(json!({"reason": "the terms have changed"})),
        );
        let (failed, cancelled) = round
            .race(&world, async { tokio::join!(failed, cancel) })
            .await;
        assert_eq!(failed.status, 204, "{round:?}: {}", failed.body);
        let agreement = world.agreement(&asked).await;
        assert_eq!(agreement.status, Status::Cancelled);
        let by_sender = agreement.closure.unwrap().recipient.is_none();
        assert_eq!(
            cancelled.status,
            if by_sender { 200 } else { 409 },
            "{}",
            cancelled.body
        );
        // What the sender cancels costs nothing and is told to nobody; a failure costs one, and the
        // sender hears of it.
        let (sums, mails) = if by_sender {
            ((3, 0, 0), 0)
        } else {
            ((2, 0, 1), 1)
        };
        assert_eq!(
            (figures(world.balance().await), world.outbox().await.len()),
            (sums, mails)
        );
        let ends = world
            .chain(&asked)
            .await
            .iter()
            .filter(|entry| entry["action"] == "agreement-cancelled")
            .count();
        assert_eq!(ends, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_failure_and_the_clean_up_at_once_count_once() {
    for (round, expired) in rounds().flat_map(|round| [(round, false), (round, true)]) {
        let world = World::new().await;
        let asked = world.asked(3, |kba| kba.max_attempts = Some(1)).await;
        if expired {
            // The session is opened just before the agreement ends, and is answered just after.
            world.advance(LIFETIME.as_secs() - 60);
        }
        let challenge = if expired {
            world.another_challenge(&asked, 0).await
        } else {
            asked.challenges[0].clone()
        };
        let session = world.session(&challenge).await;
        world.advance(601);
        let clean = || world.send(world.request(Method::POST, "/_local/cleanup"));
        let failed = world.send(world.signed("msg_a", &message(&session, "failed")));
        let (failed, first, second) = round
            .race(&world, async { tokio::join!(failed, clean(), clean()) })
            .await;
        assert_eq!(
            (failed.status, first.status, second.status),
            (204, 200, 200),
            "{round:?}"
        );
        let _ = clean().await.expect(200);
        let agreement = world.agreement(&asked).await;
        // Beginning late gets nobody away from the questions; but nothing comes of an agreement
        // whose time is over.
        let (status, sums, mails) = if expired {
            (Status::Expired, (3, 0, 0), 0)
        } else {
            (Status::Cancelled, (2, 0, 1), 1)
        };
        assert_eq!(agreement.status, status);
        assert_eq!(
            (figures(world.balance().await), world.outbox().await.len()),
            (sums, mails)
        );
        let _ = world.chain(&asked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_last_failures_race_one_mail_is_owed_and_it_is_sent_when_it_can_be() {
    let world = World::new().await;
    let asked = world.asked(5, |kba| kba.max_attempts = Some(1)).await;
    let mut requests = Vec::new();
    for (place, challenge) in asked.challenges.iter().enumerate() {
        let session = world.session(challenge).await;
        requests.push(world.signed(&format!("msg_{place}"), &message(&session, "failed")));
    }
    world
        .stack
        .faults()
        .set(Service::Ses, Mode::Refused, 0, 1000);
    let answers = join_all(requests.into_iter().map(|request| world.send(request))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 204),
        "a mail that cannot be sent fails nothing"
    );
    assert!(world.outbox().await.is_empty());
    world.stack.faults().clear();
    world.advance(3600);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    assert_eq!(world.outbox().await.len(), 1);
    let balance = world.balance().await;
    assert_eq!(
        (balance.available + balance.consumed, balance.reserved),
        (5, 0)
    );
}

#[tokio::test]
async fn a_message_id_that_is_used_for_two_sessions_swallows_neither_answer() {
    let world = World::new().await;
    let asked = world.asked(2, |_| {}).await;
    let first = world.session(&asked.challenges[0]).await;
    let second = world.session(&asked.challenges[1]).await;
    for session in [&first, &second, &first, &second] {
        let _ = world
            .send(world.signed("msg_1", &message(session, "failed")))
            .await
            .expect(204);
    }
    // A session's first answer counts, and the same message again is the same.
    let _ = world
        .send(world.signed("msg_1", &message(&second, "passed")))
        .await
        .expect(204);
    for place in 0..2 {
        assert_eq!(
            world.recipient(&asked, place).await.kba.attempts,
            1,
            "recipient {place}"
        );
    }
    assert_eq!(figures(world.balance().await), (0, 0, 2));
    assert_eq!(
        world
            .chain(&asked)
            .await
            .iter()
            .filter(|entry| entry["action"] == "kba-session-answered")
            .count(),
        2
    );
}

#[tokio::test]
async fn what_is_forged_stale_replayed_or_truncated_changes_nothing() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let (body, now) = (
        message(&session, "passed"),
        world.stack.clock().now().as_secs(),
    );
    let _ = world
        .send(world.signed_at("msg_1", now - 301, &body))
        .await
        .refused(401, "signature-invalid");
    let _ = world
        .send(world.signed_at("msg_1", now + 301, &body))
        .await
        .refused(401, "signature-invalid");
    let truncated = world
        .signed("msg_1", &body)
        .body(body[..body.len() - 1].to_vec());
    let _ = world
        .send(truncated)
        .await
        .refused(401, "signature-invalid");
    let _ = world
        .send(world.signed("msg_1", &[0xff, 0xfe, 0x7b]))
        .await
        .refused(400, "invalid-request");
    let _ = world
        .send(world.signed("msg_1", &body[..body.len() - 1]))
        .await
        .refused(400, "invalid-request");
    assert_eq!(
        world.recipient(&asked, 0).await.status,
        RecipientStatus::Pending
    );
    // A body whose type does not say that it is text comes as base 64: it is verified all the same.
    let _ = world
        .send(world.signed_at("msg_1", now - 300, &body))
        .await
        .expect(204);
    let before = world.chain(&asked).await.len();
    let _ = world.send(world.signed("msg_1", &body)).await.expect(204);
    assert_eq!(
        world.chain(&asked).await.len(),
        before,
        "a message is taken once"
    );
    let _ = world
        .send(world.signed("msg_2", &message(&session, "failed")))
        .await
        .expect(204);
    assert_eq!(
        world.recipient(&asked, 0).await.kba.attempts,
        0,
        "and a session has one answer"
    );
}

#[tokio::test]
async fn an_answer_is_carried_out_once_whatever_is_lost() {
    for mode in [Mode::Refused, Mode::Throttled, Mode::Lost, Mode::Conflict] {
        for (after, count) in [(0, 1), (1, 1), (2, 1), (0, 3), (1, 3), (2, 3)] {
            let world = World::new().await;
            let asked = world.asked(2, |_| {}).await;
            let session = world.session(&asked.challenges[0]).await;
            world
                .stack
                .faults()
                .set(Service::Dynamodb, mode, after, count);
            // The provider sends it again until it is taken.
            world.provider_says(&session, "failed").await;
            world.stack.faults().clear();
            assert_eq!(
                world.recipient(&asked, 0).await.kba.attempts,
                1,
                "{mode:?} after {after}"
            );
            assert_eq!(
                figures(world.balance().await),
                (0, 1, 1),
                "{mode:?} after {after}"
            );
        }
    }
}

#[tokio::test]
async fn a_provider_that_fails_burns_nothing_and_one_whose_answer_is_lost_is_asked_again() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    for mode in [Mode::Refused, Mode::Throttled, Mode::Lost] {
        world.stack.faults().set(Service::Provider, mode, 0, 3);
        let refused = world
            .open_session(&asked.challenges[0])
            .await
            .refused(503, "provider-unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(world.recipient(&asked, 0).await.kba.opened, 0);
    world
        .stack
        .faults()
        .set(Service::Provider, Mode::Lost, 0, 2);
    let before = world.stack.provider().opened();
    let _ = world.session(&asked.challenges[0]).await;
    assert_eq!(
        world.stack.provider().opened(),
        before + 1,
        "the same session, known by its id"
    );
}

#[tokio::test]
async fn an_abandoned_session_expires_once_and_is_removed_later() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    world.advance(601);
    for examined in [1, 0] {
        let report = world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await
            .expect(200);
        assert_eq!(report.body["examined"], examined, "{}", report.body);
    }
    assert_eq!(
        world
            .chain(&asked)
            .await
            .iter()
            .filter(|entry| entry["action"] == "kba-session-expired")
            .count(),
        1
    );
    assert_eq!(
        world.session_status(&asked.challenges[0], &session).await,
        "expired"
    );
    assert_eq!(figures(world.balance().await), (0, 1, 0));
    world.provider_says(&session, "timed_out").await;
    assert_eq!(
        world.recipient(&asked, 0).await.kba.attempts,
        1,
        "nobody walks away from the questions by beginning late"
    );
    world.advance(31 * 86_400);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    let _ = world
        .look(&asked.challenges[0], &session)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn what_is_typed_in_the_frame_never_gets_here() {
    const CANARIES: [&str; 2] = ["Zanzibar Parkway", "7731"];
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let opened = world.open_session(&asked.challenges[0]).await.expect(201);
    let page = opened.text("iframe_url");
    let client = reqwest::Client::new();
    let person = json!({"name": "Recipient 0", "address": "1 Zanzibar Parkway", "ssn4": "7731"});
    let asks: Value = client
        .post(format!("{page}/person"))
        .json(&person)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(asks["questions"].as_array().unwrap().len(), 3);
    let answers = json!({"answers": asks["simulation"]});
    let over: Value = client
        .post(format!("{page}/answers"))
        .json(&answers)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(over["outcome"], "passed");
    // The callback is on its way while the page goes on.
    while world
        .session_status(&asked.challenges[0], &opened.text("session"))
        .await
        == "pending"
    {
        tokio::task::yield_now().await;
    }
    let provider = world.stack.provider();
    let callbacks: String = provider
        .sent()
        .iter()
        .map(|sent| sent.body.clone())
        .collect();
    let told = provider
        .opening(&opened.text("session"))
        .unwrap()
        .to_string();
    let client = world.stack.table().client();
    let table = client
        .scan()
        .table_name(world.stack.table().name())
        .send()
        .await
        .unwrap();
    let everything = format!(
        "{callbacks}{told}{:?}{:?}",
        table.items(),
        world.outbox().await
    );
    assert!(everything.contains("tok_") && everything.len() > 5_000);
    for canary in CANARIES {
        assert!(!everything.contains(canary), "{canary}");
    }
}

#[tokio::test]
async fn a_session_whose_transaction_was_still_under_way_is_answered_for() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    // The tenth is the last of the day: what this very request has counted is not held against it.
    for opened in 1..=10 {
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Unsettled, 0, 3);
        let session = world.session(&asked.challenges[0]).await;
        assert_eq!(world.stack.faults().struck(), 3);
        let kba = world.recipient(&asked, 0).await.kba;
        assert_eq!(
            (kba.opened, kba.session.map(|id| id.to_string())),
            (opened, Some(session))
        );
    }
    let _ = world
        .open_session(&asked.challenges[0])
        .await
        .refused(429, "too-many-sessions");
}

#[tokio::test]
async fn a_message_that_was_taken_is_remembered_through_every_clean_up_for_as_long_as_it_can_come_again()
 {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let (sent_at, body) = (
        world.stack.clock().now().as_secs(),
        message(&session, "failed"),
    );
    let _ = world
        .send(world.signed_at("msg_1", sent_at, &body))
        .await
        .expect(204);
    let told = world.chain(&asked).await;
    for seconds in [0, 150, 150] {
        world.advance(seconds);
        let _ = world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await
            .expect(200);
        let _ = world
            .send(world.signed_at("msg_1", sent_at, &body))
            .await
            .expect(204);
        assert_eq!(world.chain(&asked).await, told);
    }
    // A provider that had no answer signs it anew, for days.
    world.advance(6 * 86_400);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    let _ = world.send(world.signed("msg_1", &body)).await.expect(204);
    assert_eq!(world.chain(&asked).await, told);
}
