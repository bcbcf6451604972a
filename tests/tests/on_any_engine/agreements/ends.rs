//! How agreements end when everybody is at them at once, and when a clean-up does not come to its
//! end: one of them wins, and the sums are what the entries make of them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::account::Account;
use shared::agreement::reconcile;
use shared::kernel::ids::SessionId;
use shared::store::dynamo::{keys, read};
use tests::agreements::{
    agreement, clean, complete, open_last, person, quota, send_with, with_kba,
};
use tests::{Answer, OPERATOR, World};

fn message(session: &str, outcome: &str) -> Vec<u8> {
    let mut data = json!({"session": session, "outcome": outcome});
    if outcome == "passed" {
        data["token"] = json!("tok_1");
    }
    json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z", "data": data})
        .to_string()
        .into_bytes()
}

/// Every balance is what its entries make of it.
async fn agrees(world: &World) {
    let (app, id) = (world.stack.app(), world.account.parse().unwrap());
    let account: Account = read(app.table.get(keys::account(id)).await.unwrap().unwrap()).unwrap();
    let finding = reconcile::account(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
}

/// Whoever was told to come again comes again.
async fn persist(mut answers: Vec<Answer>, again: impl AsyncFn(usize) -> Answer) -> Vec<Answer> {
    for (place, answer) in answers.iter_mut().enumerate() {
        for _ in 0..50 {
            if !matches!(answer.slug(), "service-unavailable" | "conflict") {
                break;
            }
            *answer = again(place).await;
        }
    }
    answers
}

/// How many mails there are, to whom and of what. What could not go in the rush goes with a
/// clean-up.
async fn mailed(world: &World) -> usize {
    world.advance(3_600);
    let _ = clean(world).await;
    let told = |mail: &Value| (mail["to"].to_string(), mail["subject"].to_string());
    world
        .outbox()
        .await
        .iter()
        .map(told)
        .collect::<BTreeSet<_>>()
        .len()
}

async fn send_one(world: &World, number: usize) -> Answer {
    send_with(
        world,
        &format!("k{number}"),
        &agreement(&json!([person(number % 1000, "kba")])),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_sendings_on_a_hundred_a_hundred_are_sent() {
    let world = with_kba(100).await;
    let answers = join_all((0..200).map(|number| send_one(&world, number))).await;
    let answers = persist(answers, async |number| send_one(&world, number).await).await;
    let sent = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.slug() == "quota-exhausted")
        .count();
    assert_eq!((sent, refused), (100, 100));
    assert!(
        answers
            .iter()
            .filter(|answer| answer.status == 402)
            .all(|answer| answer.body["available"] == 0)
    );
    assert_eq!(quota(&world).await, (0, 100, 0));
    assert_eq!(
        mailed(&world).await,
        100,
        "who was refused was not written to"
    );
    agrees(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_failures_passes_and_cancels_fifty_at_once_end_an_agreement_once() {
    let world = with_kba(10).await;
    let _ = world.settings(json!({"kba": {"max_attempts": 1}})).await;
    for round in 0..2 {
        let before = quota(&world).await;
        let body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
        let sent = send_with(&world, &format!("k{round}"), &body)
            .await
            .expect(201);
        let mails = world.outbox().await.len();
        let challenge = open_last(&world, "r1@example.com")
            .await
            .expect(200)
            .text("challenge");
        let (old, new) = (
            world.session(&challenge).await,
            world.session(&challenge).await,
        );
        let (failed, passed) = (message(&old, "failed"), message(&new, "passed"));
        let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
        let ask = async |place: usize| match place % 3 {
            0 => {
                world
                    .send(world.signed(&format!("msg_{round}_{place}"), &failed))
                    .await
            }
            1 => {
                world
                    .send(world.signed(&format!("msg_{round}_{place}"), &passed))
                    .await
            }
            _ => {
                world
                    .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
                    .await
            }
        };
        let answers = persist(join_all((0..51).map(&ask)).await, &ask).await;
        let cancelled = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(
            answers
                .iter()
                .all(|answer| [200, 204, 409].contains(&answer.status)),
            "{answers:?}"
        );
        // One of the two ends it; the sender hears of it where it was the failure.
        let told = world.outbox().await.len() - mails;
        assert_eq!((cancelled + told, told <= 1), (1, true));
        let used = usize::try_from(quota(&world).await.2 - before.2).unwrap();
        assert!(
            used <= 1 && used >= told,
            "the recipient costs one transaction at most, and one where it was the last failure"
        );
        assert_eq!(quota(&world).await.1, 0, "and the other's went back");
        agrees(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_recipients_who_were_sent_a_link_pass_and_sign_at_once() {
    let world = with_kba(40).await;
    let recipients: Vec<Value> = (0..40).map(|number| person(number, "kba")).collect();
    let sent = send_with(&world, "k", &agreement(&json!(recipients)))
        .await
        .expect(201);
    let mut passes = Vec::new();
    for number in 0..40 {
        let challenge = open_last(&world, &format!("r{number}@example.com"))
            .await
            .expect(200)
            .text("challenge");
        passes.push(message(&world.session(&challenge).await, "passed"));
    }
    let tell = async |place: usize| {
        world
            .send(world.signed(&format!("msg_{place}"), &passes[place]))
            .await
    };
    let told = persist(join_all((0..40).map(&tell)).await, &tell).await;
    assert!(told.iter().all(|answer| answer.status == 204), "{told:?}");
    assert_eq!(quota(&world).await, (0, 0, 40));
    let sign = async |place: usize| complete(&world, &sent, place).await;
    let signed = persist(join_all((0..40).map(&sign)).await, &sign).await;
    assert!(
        signed.iter().all(|answer| answer.status == 200),
        "{signed:?}"
    );
    let shown = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", sent.text("id")),
            None,
        )
        .await
        .expect(200);
    assert_eq!(shown.body["status"], "completed");
    assert_eq!(
        (quota(&world).await, mailed(&world).await),
        ((0, 0, 40), 80)
    );
    agrees(&world).await;
}

/// An agreement whose time is over with a session that nobody answered, and one of each that goes
/// on.
async fn something_to_clean(world: &World) -> Vec<u8> {
    for (key, life) in [("over", 700), ("open", 86_400)] {
        let mut body = agreement(&json!([
            person(1, "kba"),
            person(2, "kba"),
            person(3, "none")
        ]));
        body["expires_in"] = json!(life);
        let _ = send_with(world, key, &body).await.expect(201);
    }
    // The last links are those of the one that goes on: its session is over as well.
    let challenge = open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let session = world.session(&challenge).await;
    world.advance(701);
    message(&session, "failed")
}

#[tokio::test]
async fn a_clean_up_that_breaks_off_anywhere_is_gone_on_with_and_changes_no_sum() {
    for (mode, apart) in [(Mode::Lost, 1), (Mode::Refused, 3), (Mode::Conflict, 1)] {
        // As many calls as a clean-up of this makes, and more.
        for after in (0..14).step_by(apart) {
            let world = with_kba(10).await;
            let failed = something_to_clean(&world).await;
            world.stack.faults().set(Service::Dynamodb, mode, after, 9);
            let _ = world
                .send(world.request(Method::POST, "/_local/cleanup"))
                .await;
            let struck = world.stack.faults().struck();
            world.stack.faults().clear();
            // However far it came, a failure that is told now counts.
            let _ = world.send(world.signed("msg_1", &failed)).await.expect(204);
            world.advance(120);
            for _ in 0..3 {
                assert_eq!(clean(&world).await["failed"], 0);
            }
            assert_eq!(quota(&world).await, (8, 1, 1), "{mode:?} after {after}");
            agrees(&world).await;
            if struck == 0 {
                assert!(after >= 2, "nothing was struck after {after}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clean_ups_and_an_answer_in_the_same_instant_change_the_sums_once() {
    for round in 0..3 {
        let world = with_kba(10).await;
        let failed = something_to_clean(&world).await;
        let run = || world.send(world.request(Method::POST, "/_local/cleanup"));
        let tell = || world.send(world.signed("msg_1", &failed));
        let (first, second, told, again) = tokio::join!(run(), run(), tell(), tell());
        assert_eq!((told.status, again.status), (204, 204));
        let count = |answer: &Answer| {
            answer.clone().expect(200).body["agreements"]
                .as_u64()
                .unwrap()
        };
        let third = clean(&world).await["agreements"].as_u64().unwrap();
        assert_eq!(
            count(&first) + count(&second) + third,
            1,
            "{round}: one of them ended it"
        );
        for report in [&first, &second] {
            assert_eq!(
                report.body["failed"], 0,
                "who was slower has not failed: {}",
                report.body
            );
        }
        assert_eq!(quota(&world).await, (8, 1, 1), "{round}");
        agrees(&world).await;
        // Two of them a month later: the session is removed once, and neither calls it a failure.
        world.advance(31 * 86_400);
        let (first, second) = tokio::join!(run(), run());
        assert_eq!(
            (&first.body["failed"], &second.body["failed"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(
            quota(&world).await,
            (9, 0, 1),
            "the other agreement's time is over as well"
        );
        agrees(&world).await;
    }
}

#[tokio::test]
async fn what_is_no_agreement_no_top_up_and_no_message_leaves_the_table_as_it_was() {
    let world = with_kba(10).await;
    let sent = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    let challenge = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let session = world.session(&challenge).await;
    let before = world.content().await;

    let many = |count: usize| {
        json!(
            (0..count)
                .map(|n| json!({"email": format!("r{n}@e.com"), "authentication": "none"}))
                .collect::<Vec<_>>()
        )
    };
    for (recipients, status, slug) in [
        (json!([]), 400, "invalid-request"),
        (many(41), 400, "invalid-request"),
        (many(10_000), 413, "payload-too-large"),
        (
            json!([person(1, "none"), person(1, "kba")]),
            400,
            "invalid-request",
        ),
        (
            json!([{"email": "a@e.com", "name": "A", "country": "CA", "authentication": "kba"}]),
            422,
            "recipient-not-in-us",
        ),
        (
            json!((0..11).map(|n| person(n, "kba")).collect::<Vec<_>>()),
            402,
            "quota-exhausted",
        ),
    ] {
        let _ = send_with(&world, "bad", &agreement(&recipients))
            .await
            .refused(status, slug);
    }

    for transactions in [
        "0",
        "-1",
        "1.5",
        "10000000000000000000",
        "1e19",
        "1000001",
        "\"5\"",
        "null",
        "[]",
        "NaN",
    ] {
        let body = format!(
            "{{\"account\":\"{}\",\"transactions\":{transactions}}}",
            world.account
        );
        let request = world
            .request(Method::POST, "/v1/quota/topups")
            .bearer_auth(OPERATOR)
            .header("idempotency-key", "bad");
        let _ = world
            .send(
                request
                    .header("content-type", "application/json")
                    .body(body),
            )
            .await
            .refused(400, "invalid-request");
    }

    let (body, now) = (
        message(&session, "passed"),
        world.stack.clock().now().as_secs(),
    );
    let elsewhere = World::new().await;
    let forged = elsewhere.signed("msg_1", &body).build().unwrap();
    let signature = forged.headers().get("webhook-signature").unwrap().clone();
    let unsigned = || {
        world
            .request(Method::POST, "/v1/kba/callback")
            .header("content-type", "application/json")
            .body(body.clone())
    };
    let headers = |request: reqwest::RequestBuilder| {
        request
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", now)
    };
    for request in [
        unsigned(),
        headers(unsigned()),
        headers(unsigned()).header("webhook-signature", signature),
        headers(unsigned()).header("webhook-signature", "v1,"),
        world.signed_at("msg_1", now - 301, &body),
        world.signed_at("msg_1", now + 301, &body),
        world
            .signed("msg_1", &body)
            .body(body[..body.len() - 1].to_vec()),
        world
            .signed("msg_1", &body)
            .body(message(&session, "failed")),
    ] {
        let _ = world.send(request).await.refused(401, "signature-invalid");
    }
    for bytes in [
        &body[..body.len() - 1],
        &[0xff, 0xfe, 0x7b],
        b"",
        b"[]",
        b"null",
        &message(&session, "maybe"),
    ] {
        let _ = world
            .send(world.signed("msg_1", bytes))
            .await
            .refused(400, "invalid-request");
    }
    let mut personal: Value = serde_json::from_slice(&body).unwrap();
    personal["data"]["ssn"] = json!("078-05-1120");
    let _ = world
        .send(world.signed("msg_1", personal.to_string().as_bytes()))
        .await
        .refused(422, "unexpected-field");
    let app = world.stack.app();
    let nobodys = message(
        &SessionId::new(app.clock.now(), &app.entropy).to_string(),
        "passed",
    );
    let _ = world
        .send(world.signed("msg_1", &nobodys))
        .await
        .refused(404, "not-found");

    assert_eq!(world.content().await, before, "nothing was written");

    // What is another account's: its agreement, its recipient, its session.
    let (_, key) = world.open_account("business").await;
    let other = world.asked(1, |_| {}).await;
    let before = world.content().await;
    let path = format!("/v1/agreements/{}", sent.text("id"));
    let recipient = format!(
        "{path}/recipients/{}",
        sent.body["recipients"][0]["id"].as_str().unwrap()
    );
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (
            Method::POST,
            format!("{path}/cancel"),
            Some(json!({"reason": "x"})),
        ),
        (
            Method::PATCH,
            recipient.clone(),
            Some(json!({"authentication": "none"})),
        ),
        (Method::POST, format!("{recipient}/complete"), None),
        (Method::POST, format!("{recipient}/resend"), None),
        (Method::POST, format!("{recipient}/reopen"), None),
    ] {
        let request = world.request(method, &path).bearer_auth(&key);
        let _ = world
            .send(body.iter().fold(request, RequestBuilder::json))
            .await
            .refused(404, "not-found");
    }
    let _ = world
        .look(&other.challenges[0], &session)
        .await
        .refused(404, "not-found");
    assert_eq!(world.content().await, before, "nothing was written");

    // What was genuine is taken once, and replayed it changes nothing.
    let _ = world.send(world.signed("msg_1", &body)).await.expect(204);
    let after = world.content().await;
    let _ = world.send(world.signed("msg_1", &body)).await.expect(204);
    let _ = world
        .send(world.signed("msg_1", &message(&session, "failed")))
        .await
        .expect(204);
    assert_eq!(world.content().await, after);
}

#[tokio::test]
async fn an_agreement_ended_when_its_time_was_over_whenever_the_clean_up_came() {
    let world = with_kba(10).await;
    let mut body = agreement(&json!([person(1, "kba")]));
    body["expires_in"] = json!(60);
    let path = format!(
        "/v1/agreements/{}",
        send_with(&world, "k", &body).await.expect(201).text("id")
    );
    world.advance(400);
    let shown = async || {
        world
            .backend(Method::GET, &path, None)
            .await
            .expect(200)
            .body
    };
    let before = shown().await;
    assert_eq!(
        (&before["status"], &before["ended_at"]),
        (&json!("expired"), &before["expires_at"])
    );
    assert_eq!(clean(&world).await["agreements"], 1);
    assert_eq!(shown().await, before);
    let report = world
        .backend(Method::GET, &format!("{path}/audit"), None)
        .await
        .expect(200)
        .body;
    let entry = &report["entries"].as_array().unwrap()[1];
    assert_eq!(
        (&entry["action"], entry["at"] == before["expires_at"]),
        (&json!("agreement-expired"), false),
        "{entry}"
    );
}
