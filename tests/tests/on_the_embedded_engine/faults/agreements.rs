//! What a sender does: send, change a method, complete, cancel, resend, reopen.

use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::agreements::{
    agreement, clean, complete, open_last, person, quota, recipient_path, send_with, steps,
    with_kba,
};
use tests::path;
use tests::{Answer, World};

use crate::faults::harness::{
    Fault, each_of_the_table, each_that_mails, empty_the_inbox, fresh, mailed_once, sums_are_right,
};

/// An agreement with these recipients, that nobody is owed a mail of any more.
async fn sent(world: &World, key: &str, recipients: Value) -> Answer {
    let sent = send_with(world, key, &agreement(&recipients))
        .await
        .expect(201);
    empty_the_inbox(world).await;
    sent
}

async fn cancel(world: &World, sent: &Answer) -> Answer {
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    world
        .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
        .await
}

/// The first answer where there was one, and that of whoever asks again.
fn agree(fault: Fault, first: &Answer, again: &Answer) {
    assert!(
        first.status >= 400 || (first.status, &first.body) == (again.status, &again.body),
        "{fault:?}"
    );
}

#[tokio::test]
async fn an_agreement_is_sent_whole_and_once() {
    let world = with_kba(2_000).await;
    each_that_mails(async |fault| {
        empty_the_inbox(&world).await;
        let body = agreement(&json!([
            person(1, "kba"),
            person(2, "kba"),
            person(3, "none")
        ]));
        let (key, before) = (fresh(fault, "send"), quota(&world).await);
        let (struck, first) = fault.strikes(&world, send_with(&world, &key, &body)).await;
        let again = send_with(&world, &key, &body).await.expect(201);
        agree(fault, &first, &again);
        assert!(
            first.status != 201 || again.header("idempotency-replayed") == Some("true"),
            "{fault:?}"
        );
        assert_eq!(
            quota(&world).await,
            (before.0 - 2, before.1 + 2, before.2),
            "{fault:?}"
        );
        assert_eq!(steps(&world, &again).await, ["agreement-sent"], "{fault:?}");
        mailed_once(
            &world,
            fault,
            &["r1@example.com", "r2@example.com", "r3@example.com"],
        )
        .await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn a_sending_that_gets_the_balance_low_tells_each_contact_once() {
    let world = with_kba(10).await;
    let _ = world
        .settings(json!({"contacts": ["one@alder.example", "two@alder.example"]}))
        .await;
    each_that_mails(async |fault| {
        empty_the_inbox(&world).await;
        let (key, body) = (fresh(fault, "low"), agreement(&json!([person(1, "kba")])));
        assert_eq!(quota(&world).await, (10, 0, 0));
        let (struck, _) = fault.strikes(&world, send_with(&world, &key, &body)).await;
        let sent = send_with(&world, &key, &body).await.expect(201);
        assert_eq!(quota(&world).await, (9, 1, 0), "{fault:?}");
        mailed_once(
            &world,
            fault,
            &["one@alder.example", "r1@example.com", "two@alder.example"],
        )
        .await;
        // Back at the threshold, so that the next one crosses it again.
        let _ = cancel(&world, &sent).await.expect(200);
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn a_method_is_changed_once_and_the_quota_follows_once() {
    for (from, to, change) in [("sms", "kba", 1), ("kba", "none", -1)] {
        let world = with_kba(1_000).await;
        each_of_the_table(async |fault| {
            let sent = sent(&world, &fresh(fault, "patch"), json!([person(1, from)])).await;
            let path = recipient_path(&sent, 0);
            let patch = || world.backend(Method::PATCH, &path, Some(json!({"authentication": to})));
            let before = quota(&world).await;
            let (struck, first) = fault.strikes(&world, patch()).await;
            let again = patch().await.expect(200);
            agree(fault, &first, &again);
            assert_eq!(again.body["authentication"], to);
            assert_eq!(
                quota(&world).await,
                (before.0 - change, before.1 + change, before.2),
                "{fault:?}"
            );
            assert_eq!(
                steps(&world, &sent).await,
                ["agreement-sent", "recipient-changed"],
                "{fault:?}"
            );
            mailed_once(&world, fault, &[]).await;
            struck
        })
        .await;
        sums_are_right(&world).await;
    }
}

#[tokio::test]
async fn a_recipient_completes_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let body = agreement(&json!([person(1, "none"), person(2, "none")]));
        let sent = send_with(&world, &fresh(fault, "one"), &body)
            .await
            .expect(201);
        let _ = open_last(&world, "r1@example.com").await.expect(200);
        empty_the_inbox(&world).await;
        let (struck, first) = fault.strikes(&world, complete(&world, &sent, 0)).await;
        let again = complete(&world, &sent, 0).await.expect(200);
        agree(fault, &first, &again);
        assert_eq!(again.body["status"], "completed");
        let told = [
            "agreement-sent",
            "link-opened",
            "recipient-verified",
            "recipient-completed",
        ];
        assert_eq!(steps(&world, &sent).await, told, "{fault:?}");
        mailed_once(&world, fault, &[]).await;
        struck
    })
    .await;
}

#[tokio::test]
async fn the_last_to_complete_completes_the_agreement_once_and_each_is_mailed_once() {
    let world = with_kba(1_000).await;
    each_that_mails(async |fault| {
        let body = agreement(&json!([person(1, "none"), person(2, "email")]));
        let sent = send_with(&world, &fresh(fault, "last"), &body)
            .await
            .expect(201);
        for (place, email) in ["r1@example.com", "r2@example.com"].into_iter().enumerate() {
            let _ = open_last(&world, email).await.expect(200);
            if place == 0 {
                let _ = complete(&world, &sent, place).await.expect(200);
            }
        }
        empty_the_inbox(&world).await;
        let (struck, first) = fault.strikes(&world, complete(&world, &sent, 1)).await;
        let again = complete(&world, &sent, 1).await.expect(200);
        agree(fault, &first, &again);
        let path = format!("/v1/agreements/{}", sent.text("id"));
        assert_eq!(
            world
                .backend(Method::GET, &path, None)
                .await
                .expect(200)
                .body["status"],
            "completed"
        );
        let steps = steps(&world, &sent).await;
        assert_eq!(steps.len(), 8, "{fault:?}: {steps:?}");
        assert_eq!(
            &steps[6..],
            ["recipient-completed", "agreement-completed"],
            "{fault:?}"
        );
        mailed_once(&world, fault, &["r1@example.com", "r2@example.com"]).await;
        struck
    })
    .await;
}

#[tokio::test]
async fn an_agreement_is_cancelled_once_and_gives_back_once() {
    let world = with_kba(1_000).await;
    each_of_the_table(async |fault| {
        let before = quota(&world).await;
        let sent = sent(
            &world,
            &fresh(fault, "cancel"),
            json!([person(1, "kba"), person(2, "kba")]),
        )
        .await;
        let (struck, first) = fault.strikes(&world, cancel(&world, &sent)).await;
        let again = cancel(&world, &sent).await;
        let done = [&first, &again]
            .iter()
            .filter(|answer| answer.status == 200)
            .count();
        assert!(done == 1 || first.status == 503, "{fault:?}");
        assert!(
            again.status == 200 || again.slug() == "agreement-not-open",
            "{fault:?}: {}",
            again.body
        );
        assert_eq!(quota(&world).await, before, "{fault:?}");
        assert_eq!(
            steps(&world, &sent).await,
            ["agreement-sent", "agreement-cancelled"],
            "{fault:?}"
        );
        mailed_once(&world, fault, &[]).await;
        struck
    })
    .await;
    sums_are_right(&world).await;
}

#[tokio::test]
async fn a_link_is_mailed_again_once() {
    let world = World::new().await;
    each_that_mails(async |fault| {
        let sent = sent(&world, &fresh(fault, "resend"), json!([person(1, "none")])).await;
        let path = format!("{}/resend", recipient_path(&sent, 0));
        let resend = || {
            let request = world.request(Method::POST, &path).bearer_auth(&world.key);
            world.send(request.header("idempotency-key", fresh(fault, "again")))
        };
        let (struck, first) = fault.strikes(&world, resend()).await;
        let again = resend().await.expect(202);
        agree(fault, &first, &again);
        assert_eq!(
            steps(&world, &sent).await,
            ["agreement-sent", "link-resent"],
            "{fault:?}"
        );
        mailed_once(&world, fault, &["r1@example.com"]).await;
        let _ = open_last(&world, "r1@example.com").await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn viewing_is_reopened_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let sent = sent(&world, &fresh(fault, "reopen"), json!([person(1, "none")])).await;
        let (id, recipient) = (
            sent.text("id"),
            sent.body["recipients"][0]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        let key = keys::recipient(id.parse().unwrap(), recipient.parse().unwrap());
        let lock = Update::of(key).set(path("viewing_locked_at"), world.stack.clock().now());
        let _ = world.stack.table().update(lock).await.unwrap();
        let reopen = || async {
            let path = format!("{}/reopen", recipient_path(&sent, 0));
            world.backend(Method::POST, &path, None).await
        };
        let (struck, first) = fault.strikes(&world, reopen()).await;
        let again = reopen().await.expect(200);
        agree(fault, &first, &again);
        assert_eq!(again.body["viewing_locked"], false);
        assert_eq!(
            steps(&world, &sent).await,
            ["agreement-sent", "viewing-reopened"],
            "{fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn a_link_to_a_report_is_told_of_once_for_each_that_is_made() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let sent = sent(&world, &fresh(fault, "link"), json!([person(1, "none")])).await;
        let path = format!("/v1/agreements/{}/audit/links", sent.text("id"));
        let make = || world.backend(Method::POST, &path, None);
        let (struck, first) = fault.strikes(&world, make()).await;
        let _ = make().await.expect(201);
        let told = steps(&world, &sent)
            .await
            .iter()
            .filter(|step| *step == "report-link-created")
            .count();
        // One whose answer never came may be told of all the same.
        assert!(
            told == 2 || (first.status != 201 && told == 1),
            "{fault:?}: {told} told of"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn an_agreement_expires_once_and_gives_back_once() {
    let world = with_kba(1_000).await;
    each_of_the_table(async |fault| {
        let before = quota(&world).await;
        let mut body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
        body["expires_in"] = json!(60);
        let sent = send_with(&world, &fresh(fault, "expire"), &body)
            .await
            .expect(201);
        world.advance(60);
        world
            .stack
            .faults()
            .set(fault.service, fault.mode, fault.after, fault.count);
        let _ = world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await;
        let struck = world.stack.faults().struck() > 0;
        world.stack.faults().clear();
        let _ = clean(&world).await;
        assert_eq!(quota(&world).await, before, "{fault:?}");
        assert_eq!(
            steps(&world, &sent).await,
            ["agreement-sent", "agreement-expired"],
            "{fault:?}"
        );
        struck
    })
    .await;
    sums_are_right(&world).await;
}
