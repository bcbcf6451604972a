//! What is refused of agreements, their recipients, their quota and their report.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::web::http::routes::Function;
use shared::web::http::{Operation, Slug};
use tests::World;
use tests::agreements::{agreement, open_last, person, recipient_path, send_with};
use tests::path;

use tests::chains::{lengthen, resent};

use crate::problems::back_end::NO_ACCOUNT;
use crate::problems::walk::{Walk, snapshot, with};

#[tokio::test]
async fn the_errors_of_the_report() {
    let mut walk = Walk::new().await;
    let sent = send_with(&walk.world, "k", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    let (report, path) = (
        Operation::ReportAgreement,
        format!("/v1/agreements/{}/audit", sent.text("id")),
    );
    walk.refuses_keys(report, &path, None).await;
    walk.refuses(
        report,
        Slug::InvalidRequest,
        walk.ask(report, &path).header("accept", "application/pdf"),
    )
    .await;
    for id in ["agr_00000000000000000000000001", "lease"] {
        walk.refuses(
            report,
            Slug::NotFound,
            walk.ask(report, &format!("/v1/agreements/{id}/audit")),
        )
        .await;
    }
    lengthen(
        &walk.world,
        &sent.text("id"),
        2_501,
        resent("rcp_00000000000000000000000001"),
    )
    .await;
    walk.refuses(report, Slug::ReportInParts, walk.ask(report, &path))
        .await;
    walk.refuses(
        report,
        Slug::InvalidRequest,
        walk.ask(report, &format!("{path}?part=3")),
    )
    .await;
    let link = walk
        .world
        .backend(Method::POST, &format!("{path}/links"), None)
        .await
        .expect(201)
        .text("url");
    let (_, token) = link.split_once('#').unwrap();
    let elsewhere = "/v1/agreements/agr_00000000000000000000000001/audit";
    walk.refuses(
        report,
        Slug::Forbidden,
        walk.world
            .request(Method::GET, elsewhere)
            .bearer_auth(token),
    )
    .await;
    walk.world.advance(300);
    walk.refuses(
        report,
        Slug::Unauthorized,
        walk.world.request(Method::GET, &path).bearer_auth(token),
    )
    .await;
    snapshot(walk, Function::Report);
}

#[tokio::test]
async fn the_errors_of_topups() {
    let mut walk = Walk::new().await;
    let (topup, path) = (Operation::TopUpQuota, "/v1/quota/topups");
    let body = json!({"account": walk.world.account, "transactions": 5});
    walk.refuses(
        topup,
        Slug::Unauthorized,
        with(walk.anonymous(topup, path), Some(&body)),
    )
    .await;
    let key = walk.world.key.clone();
    walk.refuses(
        topup,
        Slug::Forbidden,
        with(walk.anonymous(topup, path).bearer_auth(key), Some(&body)),
    )
    .await;
    walk.refuses(
        topup,
        Slug::InvalidRequest,
        with(walk.ask(topup, &format!("{path}?colour=red")), Some(&body)),
    )
    .await;
    walk.refuses(
        topup,
        Slug::IdempotencyKeyRequired,
        with(walk.ask(topup, path), Some(&body)),
    )
    .await;
    walk.refuses(
        topup,
        Slug::InvalidRequest,
        with(
            walk.ask(topup, path).header("idempotency-key", "a b"),
            Some(&body),
        ),
    )
    .await;
    let ask = |walk: &Walk| walk.ask(topup, path).header("idempotency-key", "\"one\"");
    let large = format!("{{\"account\":\"{}\"}}", "x".repeat(64 * 1024));
    for (slug, content_type, body) in [
        (Slug::PayloadTooLarge, "application/json", large.as_str()),
        (Slug::UnsupportedMediaType, "text/plain", "{}"),
        (Slug::InvalidRequest, "application/json", "{\"account\":"),
        (Slug::InvalidRequest, "application/json", "[]"),
    ] {
        walk.refuses(
            topup,
            slug,
            ask(&walk)
                .header("content-type", content_type)
                .body(body.to_owned()),
        )
        .await;
    }
    let account = walk.world.account.clone();
    for transactions in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(10_000_000_000_000_000_000_u64),
        json!(1_000_001),
    ] {
        let body = json!({"account": account, "transactions": transactions});
        walk.refuses(topup, Slug::InvalidRequest, ask(&walk).json(&body))
            .await;
    }
    let no_account = json!({"account": NO_ACCOUNT, "transactions": 5});
    walk.refuses(topup, Slug::NotFound, ask(&walk).json(&no_account))
        .await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(topup, Slug::ServiceUnavailable, ask(&walk).json(&body))
        .await;
    walk.mend();
    let _ = walk.world.send(ask(&walk).json(&body)).await.expect(201);
    let other = json!({"account": account, "transactions": 6});
    walk.refuses(topup, Slug::IdempotencyKeyReused, ask(&walk).json(&other))
        .await;
    snapshot(walk, Function::QuotaTopup);
}

#[tokio::test]
async fn the_errors_of_the_quota() {
    let mut walk = Walk::new().await;
    for (operation, path) in [
        (Operation::GetQuota, "/v1/quota"),
        (Operation::ListQuotaEntries, "/v1/quota/entries"),
    ] {
        let weak = json!({"name": "weak", "scopes": ["audit:read"]});
        let keys = format!("/v1/accounts/{}/api-keys", walk.world.account);
        let weak = walk
            .world
            .operator(Method::POST, &keys, Some(weak))
            .await
            .expect(201)
            .text("key");
        walk.refuses(
            operation,
            Slug::Unauthorized,
            walk.anonymous(operation, path),
        )
        .await;
        walk.refuses(
            operation,
            Slug::Forbidden,
            walk.anonymous(operation, path).bearer_auth(weak),
        )
        .await;
        walk.refuses(
            operation,
            Slug::InvalidRequest,
            walk.ask(operation, &format!("{path}?colour=red")),
        )
        .await;
        let elsewhere = walk.ask(operation, &format!("{path}?account={NO_ACCOUNT}"));
        walk.refuses(operation, Slug::NotFound, elsewhere).await;
        walk.refuses_without_a_table(operation, path, None).await;
        walk.refuses_what_is_sent(operation, path).await;
    }
    let entries = Operation::ListQuotaEntries;
    walk.refuses(
        entries,
        Slug::InvalidRequest,
        walk.ask(entries, "/v1/quota/entries?cursor=*"),
    )
    .await;
    snapshot(walk, Function::Quota);
}

#[tokio::test]
async fn the_errors_of_kba_sessions() {
    let mut walk = Walk::new().await;
    let (open, show, path) = (
        Operation::OpenKbaSession,
        Operation::GetKbaSession,
        "/v1/kba/sessions",
    );
    let asked = walk
        .world
        .asked(1, |kba| {
            (kba.max_attempts, kba.on_view_after_signing) = (Some(1), true);
        })
        .await;
    let challenge = asked.challenges[0].clone();
    let body = json!({"challenge": challenge});
    walk.refuses_bodies(open, path).await;
    walk.refuses_body(
        open,
        Slug::ChallengeUnknown,
        path,
        json!({"challenge": "chl_nobody"}),
    )
    .await;
    walk.refuses_without_a_table(open, path, Some(&body)).await;
    walk.fail(Service::Provider, Mode::Refused, 0);
    walk.refuses_body(open, Slug::ProviderUnavailable, path, body.clone())
        .await;
    walk.mend();
    let session = walk.world.session(&challenge).await;

    let shown = format!("{path}/{session}");
    let look =
        |walk: &Walk, path: &str, challenge: &str| walk.ask(show, path).bearer_auth(challenge);
    walk.refuses(show, Slug::Unauthorized, walk.ask(show, &shown))
        .await;
    walk.refuses(
        show,
        Slug::ChallengeUnknown,
        look(&walk, &shown, "chl_nobody"),
    )
    .await;
    walk.refuses(
        show,
        Slug::InvalidRequest,
        look(&walk, &format!("{shown}?wait=1"), &challenge),
    )
    .await;
    walk.refuses(
        show,
        Slug::NotFound,
        look(
            &walk,
            &format!("{path}/kba_00000000000000000000000001"),
            &challenge,
        ),
    )
    .await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(
        show,
        Slug::ServiceUnavailable,
        look(&walk, &shown, &challenge),
    )
    .await;
    walk.mend();

    walk.world.provider_says(&session, "passed").await;
    walk.refuses_body(open, Slug::ChallengeUsed, path, body.clone())
        .await;
    walk.world.completed(&asked, 0).await;
    let viewing = walk.world.another_challenge(&asked, 0).await;
    let session = walk.world.session(&viewing).await;
    walk.world.provider_says(&session, "failed").await;
    walk.refuses_body(
        open,
        Slug::ViewingLocked,
        path,
        json!({"challenge": viewing}),
    )
    .await;

    let asked = walk.world.asked(1, |kba| kba.max_attempts = Some(1)).await;
    let body = json!({"challenge": asked.challenges[0]});
    for _ in 0..10 {
        let _ = walk.world.session(&asked.challenges[0]).await;
    }
    walk.refuses_body(open, Slug::TooManySessions, path, body.clone())
        .await;
    let another = walk.world.asked(1, |kba| kba.max_attempts = Some(1)).await;
    let session = walk.world.session(&another.challenges[0]).await;
    walk.world.provider_says(&session, "failed").await;
    walk.refuses_body(
        open,
        Slug::AgreementClosed,
        path,
        json!({"challenge": another.challenges[0]}),
    )
    .await;
    let viewed = walk.world.asked(1, |_| {}).await;
    walk.world.completed(&viewed, 0).await;
    walk.refuses_body(
        open,
        Slug::MethodNotEnabled,
        path,
        json!({"challenge": viewed.challenges[0]}),
    )
    .await;
    walk.world.advance(3600);
    walk.refuses_body(open, Slug::ChallengeExpired, path, body)
        .await;
    snapshot(walk, Function::KbaSession);
}

#[tokio::test]
async fn the_errors_of_kba_callbacks() {
    let mut walk = Walk::new().await;
    let (take, path) = (Operation::TakeKbaCallback, "/v1/kba/callback");
    let asked = walk.world.asked(1, |_| {}).await;
    let session = walk.world.session(&asked.challenges[0]).await;
    let message = json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z",
        "data": {"session": session, "outcome": "failed"}});
    let signed =
        |walk: &Walk, body: &Value| walk.world.signed("msg_1", body.to_string().as_bytes());
    walk.refuses_body(take, Slug::SignatureInvalid, path, message.clone())
        .await;
    walk.refuses(
        take,
        Slug::PayloadTooLarge,
        walk.world.signed("msg_1", &vec![b' '; 65_537]),
    )
    .await;
    walk.refuses(
        take,
        Slug::UnsupportedMediaType,
        walk.ask(take, path)
            .header("content-type", "text/plain")
            .body("{}"),
    )
    .await;
    walk.refuses(
        take,
        Slug::InvalidRequest,
        walk.world.signed("msg_1", b"{\"type\":"),
    )
    .await;
    for (pointer, value) in [
        ("/type", json!("kba.session.begun")),
        ("/timestamp", json!("today")),
        ("/data/outcome", json!("maybe")),
        ("/data/outcome", json!("passed")),
        ("/data/session", json!("usr_00000000000000000000000001")),
    ] {
        let mut changed = message.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        walk.refuses(take, Slug::InvalidRequest, signed(&walk, &changed))
            .await;
    }
    let mut personal = message.clone();
    personal["data"]["address"] = json!("1 Main Street");
    walk.refuses(take, Slug::UnexpectedField, signed(&walk, &personal))
        .await;
    let mut unknown = message.clone();
    // As young as one that is there: whether there was an older one nobody knows any more.
    let other = if session.ends_with('0') { '1' } else { '0' };
    unknown["data"]["session"] = json!(format!("{}{other}", &session[..session.len() - 1]));
    walk.refuses(take, Slug::NotFound, signed(&walk, &unknown))
        .await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(take, Slug::ServiceUnavailable, signed(&walk, &message))
        .await;
    walk.mend();
    // None of them was carried out.
    let _ = walk.world.send(signed(&walk, &message)).await.expect(204);
    snapshot(walk, Function::KbaCallback);
}

pub async fn cancel(world: &World, sent: &tests::Answer) {
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    let _ = world
        .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
        .await
        .expect(200);
}

/// A recipient's challenge whose agreement was cancelled since.
pub async fn closed_challenge(world: &World) -> String {
    let sent = send_with(world, "closed", &agreement(&json!([person(1, "sms")])))
        .await
        .expect(201);
    let challenge = open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    cancel(world, &sent).await;
    challenge
}

/// The token of a recipient of an agreement.
pub async fn recipients_token(world: &World) -> String {
    let _ = send_with(world, "token", &agreement(&json!([person(1, "none")])))
        .await
        .expect(201);
    open_last(world, "r1@example.com")
        .await
        .expect(200)
        .text("access_token")
}

/// What failing too often after having signed does.
pub async fn lock_viewing(world: &World, sent: &tests::Answer) {
    let (id, recipient) = (
        sent.text("id"),
        sent.body["recipients"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    let key =
        shared::store::dynamo::keys::recipient(id.parse().unwrap(), recipient.parse().unwrap());
    let update = shared::store::dynamo::Update::of(key)
        .set(path("viewing_locked_at"), world.stack.clock().now());
    let _ = world.stack.table().update(update).await.unwrap();
}

#[tokio::test]
async fn the_errors_of_agreements() {
    let mut walk = Walk::new().await;
    let _ = walk
        .world
        .settings(json!({"kba": {"enabled": true, "require_recipient_name": true}}))
        .await;
    let (send, all) = (Operation::SendAgreement, "/v1/agreements");
    let sent = send_with(
        &walk.world,
        "k",
        &agreement(&json!([person(1, "sms"), person(2, "none")])),
    )
    .await
    .expect(201);
    let one = format!("/v1/agreements/{}", sent.text("id"));
    let (first, second) = (recipient_path(&sent, 0), recipient_path(&sent, 1));
    let reason = json!({"reason": "changed"});
    let method = json!({"authentication": "none"});
    for (operation, path, body) in [
        (
            send,
            all.to_owned(),
            Some(agreement(&json!([person(1, "sms"), person(2, "none")]))),
        ),
        (Operation::ListAgreements, all.to_owned(), None),
        (Operation::GetAgreement, one.clone(), None),
        (
            Operation::PatchRecipient,
            first.clone(),
            Some(method.clone()),
        ),
        (
            Operation::CompleteRecipient,
            format!("{first}/complete"),
            None,
        ),
        (Operation::ResendLink, format!("{first}/resend"), None),
        (Operation::ReopenViewing, format!("{first}/reopen"), None),
        (
            Operation::CancelAgreement,
            format!("{one}/cancel"),
            Some(reason.clone()),
        ),
        (Operation::LinkReport, format!("{one}/audit/links"), None),
        (
            Operation::ListAuthenticationMethods,
            "/v1/authentication-methods".to_owned(),
            None,
        ),
    ] {
        walk.key = (operation == send).then_some("k");
        walk.refuses_keys(operation, &path, body.clone()).await;
        let elsewhere = if path.contains("agr_") {
            path.replace(&sent.text("id"), "agr_00000000000000000000000001")
        } else {
            format!("{path}?account={NO_ACCOUNT}")
        };
        let request = walk.ask(operation, &elsewhere);
        walk.refuses(operation, Slug::NotFound, with(request, body.as_ref()))
            .await;
    }
    walk.key = None;
    let sending = agreement(&json!([person(1, "none")]));
    walk.refuses_body(send, Slug::IdempotencyKeyRequired, all, sending.clone())
        .await;
    walk.key = Some("k");
    walk.refuses_body(send, Slug::IdempotencyKeyReused, all, sending.clone())
        .await;
    walk.refuses_body(send, Slug::InvalidRequest, all, agreement(&json!([])))
        .await;
    walk.refuses_body(
        send,
        Slug::InvalidRequest,
        all,
        agreement(&json!([person(1, "none"), person(1, "none")])),
    )
    .await;
    let kba = |more: Value| {
        let mut recipient = json!({"email": "a@example.com", "authentication": "kba"});
        recipient
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        agreement(&json!([recipient]))
    };
    walk.key = Some("another");
    walk.refuses_body(send, Slug::RecipientNameRequired, all, kba(json!({})))
        .await;
    walk.refuses_body(
        send,
        Slug::RecipientNotInUs,
        all,
        kba(json!({"name": "Ann", "country": "CA"})),
    )
    .await;
    walk.refuses_body(
        send,
        Slug::QuotaExhausted,
        all,
        kba(json!({"name": "Ann", "country": "US"})),
    )
    .await;
    let patch = Operation::PatchRecipient;
    walk.refuses_body(
        patch,
        Slug::QuotaExhausted,
        &first,
        json!({"authentication": "kba"}),
    )
    .await;
    let _ = walk
        .world
        .settings(json!({"kba": {"enabled": false}, "second_factor": {"methods": {"sms": false}}}))
        .await;
    walk.refuses_body(send, Slug::MethodNotEnabled, all, kba(json!({})))
        .await;
    walk.refuses_body(
        patch,
        Slug::MethodNotEnabled,
        &second,
        json!({"authentication": "sms"}),
    )
    .await;
    let _ = walk
        .world
        .settings(json!({"kba": {"enabled": true}, "second_factor": {"methods": {"sms": true}}}))
        .await;
    let bare = json!([{"email": "a@example.com", "authentication": "none"}, {"email": "b@example.com", "name": "B", "authentication": "none"}]);
    let bare = send_with(&walk.world, "bare", &agreement(&bare))
        .await
        .expect(201);
    walk.refuses_body(
        patch,
        Slug::RecipientNameRequired,
        &recipient_path(&bare, 0),
        json!({"authentication": "kba"}),
    )
    .await;
    walk.refuses_body(
        patch,
        Slug::RecipientNotInUs,
        &recipient_path(&bare, 1),
        json!({"authentication": "kba"}),
    )
    .await;
    walk.refuses_body(
        patch,
        Slug::InvalidRequest,
        &recipient_path(&bare, 0),
        json!({"authentication": "sms"}),
    )
    .await;
    let account = format!("/v1/accounts/{}", walk.world.account);
    let _ = walk
        .world
        .operator(Method::PATCH, &account, Some(json!({"plan": "starter"})))
        .await
        .expect(200);
    walk.refuses_body(send, Slug::PlanRequired, all, kba(json!({})))
        .await;
    walk.refuses_body(
        patch,
        Slug::PlanRequired,
        &first,
        json!({"authentication": "kba"}),
    )
    .await;

    let stale = walk
        .ask(patch, &first)
        .header("if-match", "\"999\"")
        .json(&method);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    let complete = Operation::CompleteRecipient;
    walk.refuses(
        complete,
        Slug::RecipientNotVerified,
        walk.ask(complete, &format!("{first}/complete")),
    )
    .await;
    let _ = open_last(&walk.world, "r2@example.com").await.expect(200);
    walk.refuses_contention(complete, &format!("{second}/complete"), None)
        .await;
    let _ = tests::agreements::complete(&walk.world, &sent, 1)
        .await
        .expect(200);
    walk.refuses_body(
        patch,
        Slug::RecipientCompleted,
        &second,
        json!({"authentication": "sms"}),
    )
    .await;
    walk.refuses_contention(patch, &first, Some(method.clone()))
        .await;
    let (resend, reopen) = (Operation::ResendLink, Operation::ReopenViewing);
    walk.refuses_contention(resend, &format!("{first}/resend"), None)
        .await;
    let with_key = |walk: &Walk, path: &str| {
        walk.ask(resend, &format!("{path}/resend"))
            .header("idempotency-key", "\"r\"")
    };
    walk.key = None;
    for _ in 0..5 {
        let _ = walk.world.send(with_key(&walk, &first)).await.expect(202);
    }
    walk.refuses(resend, Slug::IdempotencyKeyReused, with_key(&walk, &second))
        .await;
    for _ in 0..4 {
        let _ = walk
            .world
            .send(walk.ask(resend, &format!("{first}/resend")))
            .await
            .expect(202);
    }
    walk.refuses(
        resend,
        Slug::TooManySends,
        walk.ask(resend, &format!("{first}/resend")),
    )
    .await;
    walk.key = Some("another");
    lock_viewing(&walk.world, &sent).await;
    walk.refuses_contention(reopen, &format!("{first}/reopen"), None)
        .await;
    walk.refuses_contention(Operation::LinkReport, &format!("{one}/audit/links"), None)
        .await;
    walk.refuses_contention(
        Operation::CancelAgreement,
        &format!("{one}/cancel"),
        Some(reason.clone()),
    )
    .await;
    walk.key = Some("cancel");
    let _ = walk
        .world
        .send(
            walk.ask(Operation::CancelAgreement, &format!("{one}/cancel"))
                .json(&reason),
        )
        .await
        .expect(200);
    let other = json!({"reason": "another reason"});
    walk.refuses_body(
        Operation::CancelAgreement,
        Slug::IdempotencyKeyReused,
        &format!("{one}/cancel"),
        other,
    )
    .await;
    walk.key = Some("another");
    walk.refuses_body(
        Operation::CancelAgreement,
        Slug::AgreementNotOpen,
        &format!("{one}/cancel"),
        reason,
    )
    .await;
    walk.refuses_body(patch, Slug::AgreementNotOpen, &first, method)
        .await;
    for (operation, step) in [
        (complete, "complete"),
        (resend, "resend"),
        (reopen, "reopen"),
    ] {
        walk.refuses(
            operation,
            Slug::AgreementNotOpen,
            walk.ask(operation, &format!("{first}/{step}")),
        )
        .await;
    }
    snapshot(walk, Function::Agreements);
}
