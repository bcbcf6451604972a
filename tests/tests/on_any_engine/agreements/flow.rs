//! Agreements: sent, followed, ended.

use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{
    agreement, buy, clean, person, quota, recipient_path, send_with, with_kba,
};
use tests::{Answer, World};

#[tokio::test]
async fn forty_recipients_are_sent_a_link_each_and_reserved_a_transaction_each() {
    let world = with_kba(100).await;
    let recipients: Vec<Value> = (0..40).map(|number| person(number, "kba")).collect();
    let sent = send_with(&world, "one", &agreement(&json!(recipients)))
        .await
        .expect(201);
    assert_eq!(sent.body["status"], "out_for_signature");
    assert_eq!(
        sent.body["quota"],
        json!({"available": 60, "reserved": 40, "consumed": 0, "purchased": 100})
    );
    assert_eq!(quota(&world).await, (60, 40, 0));
    let outbox = world.outbox().await;
    assert_eq!(outbox.len(), 40);
    for mail in &outbox {
        assert!(
            mail["text"].as_str().unwrap().contains("/link#agl_"),
            "{mail}"
        );
        assert!(
            mail["subject"]
                .as_str()
                .unwrap()
                .contains("Robin Alder asks you to sign Lease"),
            "{mail}"
        );
    }
    let shown = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", sent.text("id")),
            None,
        )
        .await
        .expect(200);
    assert_eq!(shown.body["recipients"].as_array().unwrap().len(), 40);
    assert_eq!(shown.body["recipients"][7]["email"], "r7@example.com");
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_it_was_however_much_later() {
    let world = with_kba(10).await;
    let body = agreement(&json!([person(1, "kba")]));
    let first = send_with(&world, "one", &body).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    world.advance(20 * 86_400);
    let _ = clean(&world).await;
    let again = send_with(&world, "one", &body).await.expect(201);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.body),
        (Some("true"), &first.body)
    );
    let other = agreement(&json!([person(2, "kba")]));
    let _ = send_with(&world, "one", &other)
        .await
        .refused(422, "idempotency-key-reused");
    let _ = world
        .backend(Method::POST, "/v1/agreements", Some(body))
        .await
        .refused(400, "idempotency-key-required");
    assert_eq!(quota(&world).await, (9, 1, 0));
    assert_eq!(world.outbox().await.len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_refused_in_order_and_leaves_nothing() {
    let world = World::new().await;
    let mut of_starter = World::new().await;
    (of_starter.account, of_starter.key) = of_starter.open_account("starter").await;
    let nobody = agreement(&json!([{"email": "a@example.com", "authentication": "kba"}]));
    let _ = send_with(&of_starter, "k", &nobody)
        .await
        .refused(403, "plan-required");
    let _ = send_with(&world, "k", &nobody)
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .settings(json!({"kba": {"enabled": true, "require_recipient_name": true}}))
        .await;
    let named = send_with(&world, "k", &nobody)
        .await
        .refused(422, "recipient-name-required");
    assert_eq!(named.pointers(), ["/recipients/0/name"]);
    let canadian = agreement(
        &json!([{"email": "a@example.com", "name": "A", "country": "CA", "authentication": "kba"}]),
    );
    let _ = send_with(&world, "k", &canadian)
        .await
        .refused(422, "recipient-not-in-us");
    buy(&world, 2).await;
    let three = agreement(&json!([
        person(1, "kba"),
        person(2, "kba"),
        person(3, "kba")
    ]));
    let refused = send_with(&world, "k", &three)
        .await
        .refused(402, "quota-exhausted");
    assert_eq!(
        (&refused.body["requested"], &refused.body["available"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(quota(&world).await, (2, 0, 0));
    assert!(world.outbox().await.is_empty());
    let listed = world
        .backend(Method::GET, "/v1/agreements", None)
        .await
        .expect(200);
    assert_eq!(listed.body["agreements"], json!([]));
    // The key is free: what was refused was not kept.
    let _ = send_with(&world, "k", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_wrong_body_is_refused_by_the_pointers_of_its_fields() {
    let world = World::new().await;
    let refused = |body: Value| {
        let world = &world;
        async move {
            send_with(world, "k", &body)
                .await
                .refused(400, "invalid-request")
                .pointers()
        }
    };
    assert_eq!(refused(agreement(&json!([]))).await, ["/recipients"]);
    let many = |count: usize| {
        json!(
            (0..count)
                .map(|n| json!({"email": format!("r{n}@e.com"), "authentication": "none"}))
                .collect::<Vec<_>>()
        )
    };
    assert_eq!(refused(agreement(&many(41))).await, ["/recipients"]);
    assert_eq!(
        refused(agreement(&json!([person(1, "none"), person(1, "sms")]))).await,
        ["/recipients/1/email"]
    );
    assert_eq!(
        refused(agreement(
            &json!([{"email": "a@e.com", "authentication": "none", "pin": 1}])
        ))
        .await,
        ["/recipients/0/pin"]
    );
    assert_eq!(
        refused(agreement(
            &json!([{"email": "a@e.com", "authentication": "voice"}])
        ))
        .await,
        ["/recipients/0/authentication"]
    );
    assert_eq!(
        refused(agreement(
            &json!([{"email": "a@e.com", "authentication": "sms"}])
        ))
        .await,
        ["/recipients/0/phone"]
    );
    let _ = send_with(&world, "k", &agreement(&many(10_000)))
        .await
        .refused(413, "payload-too-large");
    let listed = world
        .backend(Method::GET, "/v1/agreements", None)
        .await
        .expect(200);
    assert_eq!(listed.body["agreements"], json!([]));
}

#[tokio::test]
async fn the_quota_follows_a_change_of_method() {
    let world = with_kba(3).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "sms"), person(2, "kba")])),
    )
    .await
    .expect(201);
    assert_eq!(quota(&world).await, (2, 1, 0));
    let patch = |place: usize, to: &str| {
        let (path, body, world) = (
            recipient_path(&sent, place),
            json!({"authentication": to}),
            &world,
        );
        async move { world.backend(Method::PATCH, &path, Some(body)).await }
    };
    let _ = patch(0, "kba").await.expect(200);
    assert_eq!(quota(&world).await, (1, 2, 0));
    let _ = patch(0, "kba").await.expect(200);
    assert_eq!(
        quota(&world).await,
        (1, 2, 0),
        "the same method again changes nothing"
    );
    for _ in 0..2 {
        let _ = patch(1, "none").await.expect(200);
        assert_eq!(quota(&world).await, (2, 1, 0));
        let _ = patch(1, "kba").await.expect(200);
        assert_eq!(quota(&world).await, (1, 2, 0));
    }
    // What was given back with the method is not given back again with the end.
    let _ = patch(1, "none").await.expect(200);
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    let cancelled = world
        .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
        .await
        .expect(200);
    assert_eq!(
        (&cancelled.body["status"], &cancelled.body["reason"]),
        (&json!("cancelled"), &json!("changed"))
    );
    assert_eq!(quota(&world).await, (3, 0, 0));
    let _ = world
        .backend(Method::POST, &path, Some(json!({"reason": "again"})))
        .await
        .refused(409, "agreement-not-open");
    let _ = patch(0, "sms").await.refused(409, "agreement-not-open");
}

#[tokio::test]
async fn the_contacts_are_mailed_at_once_when_the_balance_gets_low_and_not_by_what_reserves_nothing()
 {
    let world = with_kba(12).await;
    let contacts = ["one@alder.example", "two@alder.example"];
    let _ = world.settings(json!({"contacts": contacts})).await;
    let told = || async {
        let mails = world.outbox().await;
        let low = mails
            .iter()
            .filter(|mail| contacts.iter().any(|contact| mail["to"] == *contact));
        low.map(|mail| mail["to"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = send_with(
        &world,
        "k1",
        &agreement(&json!([
            person(1, "kba"),
            person(2, "kba"),
            person(3, "sms")
        ])),
    )
    .await
    .expect(201);
    assert_eq!(
        (quota(&world).await.0, told().await.len()),
        (10, 0),
        "at the threshold is not below it"
    );
    // A change of method gets it below the threshold, which is told before it is answered.
    let change = json!({"authentication": "kba"});
    let _ = world
        .backend(Method::PATCH, &recipient_path(&first, 2), Some(change))
        .await
        .expect(200);
    let mut mailed = told().await;
    mailed.sort_unstable();
    assert_eq!(
        (quota(&world).await.0, mailed),
        (9, contacts.map(str::to_owned).to_vec())
    );
    let _ = send_with(&world, "k2", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let _ = send_with(&world, "k3", &agreement(&json!([person(1, "kba")])))
        .await
        .expect(201);
    assert_eq!(told().await.len(), 2, "it is told once for each crossing");
    // Back at the threshold, and below it by a sending.
    let _ = world
        .backend(
            Method::POST,
            &format!("/v1/agreements/{}/cancel", first.text("id")),
            Some(json!({"reason": "x"})),
        )
        .await;
    buy(&world, 1).await;
    let _ = send_with(
        &world,
        "k4",
        &agreement(&json!([
            person(1, "kba"),
            person(2, "kba"),
            person(3, "kba")
        ])),
    )
    .await
    .expect(201);
    assert_eq!((quota(&world).await.0, told().await.len()), (9, 4));
    world.advance(3600);
    assert_eq!(
        clean(&world).await["mails_sent"],
        0,
        "nothing was left to the clean-up"
    );
}

#[tokio::test]
async fn an_agreement_expires_and_gives_back_what_it_reserved_once() {
    let world = with_kba(5).await;
    let mut body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
    body["expires_in"] = json!(3600);
    let sent = send_with(&world, "k", &body).await.expect(201);
    world.advance(3600);
    let path = format!("/v1/agreements/{}", sent.text("id"));
    let shown = world.backend(Method::GET, &path, None).await.expect(200);
    assert_eq!(shown.body["status"], "expired", "before any clean-up");
    let run = || world.send(world.request(Method::POST, "/_local/cleanup"));
    let reports = futures_util::future::join_all([run(), run(), run()]).await;
    let ended: u64 = reports
        .iter()
        .map(|report| report.body["agreements"].as_u64().unwrap())
        .sum();
    assert_eq!(ended, 1, "{reports:?}");
    assert_eq!(quota(&world).await, (5, 0, 0));
    assert_eq!(clean(&world).await["agreements"], 0);
    let _ = world
        .backend(
            Method::POST,
            &format!("{path}/cancel"),
            Some(json!({"reason": "late"})),
        )
        .await
        .refused(409, "agreement-not-open");
}

#[tokio::test]
async fn agreements_are_listed_by_age_in_pages_and_to_their_account_alone() {
    let mut world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..53 {
        let sent = send_with(
            &world,
            &format!("k{number}"),
            &agreement(&json!([person(1, "none")])),
        )
        .await
        .expect(201);
        ids.push(sent.text("id"));
        world.advance(1);
    }
    let page = world
        .backend(Method::GET, "/v1/agreements", None)
        .await
        .expect(200);
    let listed = |page: &Answer| -> Vec<String> {
        page.body["agreements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(listed(&page), ids[..50]);
    let next = format!("/v1/agreements?cursor={}", page.text("next_cursor"));
    assert_eq!(
        listed(&world.backend(Method::GET, &next, None).await.expect(200)),
        ids[50..]
    );
    (world.account, world.key) = world.open_account("business").await;
    assert_eq!(
        listed(
            &world
                .backend(Method::GET, "/v1/agreements", None)
                .await
                .expect(200)
        ),
        Vec::<String>::new()
    );
    let _ = world
        .backend(Method::GET, &format!("/v1/agreements/{}", ids[0]), None)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_sender_is_offered_what_is_enabled() {
    let world = World::new().await;
    let offered = |body: &Value| -> Vec<String> {
        body["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["method"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = world
        .backend(Method::GET, "/v1/authentication-methods", None)
        .await
        .expect(200);
    assert_eq!(offered(&before.body), ["none", "email", "sms"]);
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    let after = world
        .backend(
            Method::GET,
            "/v1/authentication-methods?group=mortgages",
            None,
        )
        .await
        .expect(200);
    assert_eq!(offered(&after.body), ["none", "email", "sms", "kba"]);
    assert_eq!(after.body["methods"][3]["premium"], true);
    // A group's are its own.
    let off = json!({"kba": {"enabled": false}, "second_factor": {"methods": {"sms": false}}});
    let _ = world
        .backend(Method::PATCH, "/v1/groups/mortgages/settings", Some(off))
        .await
        .expect(200);
    let group = world
        .backend(
            Method::GET,
            "/v1/authentication-methods?group=mortgages",
            None,
        )
        .await
        .expect(200);
    assert_eq!(offered(&group.body), ["none", "email"]);
    let others = world
        .backend(Method::GET, "/v1/authentication-methods?group=sales", None)
        .await
        .expect(200);
    assert_eq!(offered(&others.body), offered(&after.body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_with_one_key_send_one_agreement() {
    let world = with_kba(10).await;
    let body = agreement(&json!([person(1, "kba"), person(2, "kba")]));
    let answers =
        futures_util::future::join_all((0..50).map(|_| send_with(&world, "k", &body))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 201),
        "{answers:?}"
    );
    let ids: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| answer.text("id")).collect();
    assert_eq!((ids.len(), world.outbox().await.len()), (1, 2));
    assert_eq!(quota(&world).await, (8, 2, 0));
}
