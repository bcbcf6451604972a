//! What somebody is refused who signs in, and who is signed in.

use local::{Mode, Service};
use serde_json::{Value, json};
use shared::web::http::routes::Function;
use shared::web::http::{Operation, Slug};
use tests::{PASSWORD, Person, World, another};

use crate::problems::back_end::NO_ACCOUNT;
use crate::problems::contacts::errors_of_contacts;
use crate::problems::kba::closed_challenge;
use crate::problems::kba::recipients_token;
use crate::problems::walk::{Walk, snapshot, with};

#[tokio::test]
async fn the_errors_of_login() {
    let mut walk = Walk::new().await;
    let (login, path) = (Operation::Login, "/v1/login");
    let _ = walk.world.user("ann", json!({})).await;
    let account = walk.world.account.clone();
    let body = |username: &str, password: &str| json!({"account": account, "username": username, "password": password});
    walk.refuses_without_a_table(login, path, Some(&body("ann", PASSWORD)))
        .await;
    walk.refuses_bodies(login, path).await;
    for wrong in [
        body("", PASSWORD),
        body("ann", ""),
        json!({"account": "acme", "username": "ann", "password": PASSWORD}),
    ] {
        walk.refuses_body(login, Slug::InvalidRequest, path, wrong)
            .await;
    }
    walk.refuses(
        login,
        Slug::InvalidRequest,
        walk.ask(login, "/v1/login?next=/")
            .json(&body("ann", PASSWORD)),
    )
    .await;
    walk.refuses_body(
        login,
        Slug::InvalidCredentials,
        path,
        body("ann", "wrong password"),
    )
    .await;
    let elsewhere = json!({"account": NO_ACCOUNT, "username": "ann", "password": PASSWORD});
    walk.refuses_body(login, Slug::InvalidCredentials, path, elsewhere)
        .await;

    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    walk.refuses_body(login, Slug::NoUsableFactor, path, body("ann", PASSWORD))
        .await;
    for _ in 0..6 {
        let _ = walk.world.login("ann", "wrong password").await;
    }
    walk.refuses_body(login, Slug::TooManyAttempts, path, body("ann", PASSWORD))
        .await;
    // The client IP has failed nine times by now, one of them refused: it has 91 left.
    for number in 0..91 {
        let _ = walk
            .world
            .login(&format!("nobody{number}"), "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    walk.refuses_body(login, Slug::TooManyAttempts, path, body("nobody", PASSWORD))
        .await;
    snapshot(walk, Function::Login);
}

/// Seconds after which neither a cooldown nor a share of sends stands in the way.
pub const LATER: i64 = 3_600;

#[tokio::test]
async fn the_errors_of_sending_a_code() {
    let mut walk = Walk::new().await;
    let (issue, path) = (Operation::IssueCode, "/v1/codes");
    let ann = walk
        .world
        .user("ann", json!({"phone": "+12025550123"}))
        .await;
    let body = |challenge: &str| json!({"challenge": challenge, "method": "sms"});
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_without_a_table(issue, path, Some(&body(&challenge)))
        .await;
    walk.refuses_bodies(issue, path).await;
    walk.refuses_body(
        issue,
        Slug::InvalidRequest,
        path,
        json!({"challenge": challenge, "method": "totp"}),
    )
    .await;
    walk.refuses(
        issue,
        Slug::InvalidRequest,
        walk.ask(issue, path)
            .header("idempotency-key", "\"\"")
            .json(&body(&challenge)),
    )
    .await;
    walk.refuses_body(issue, Slug::ChallengeUnknown, path, body("chl_x.y.z"))
        .await;
    walk.refuses_body(
        issue,
        Slug::MethodNotEnabled,
        path,
        json!({"challenge": challenge, "method": "email"}),
    )
    .await;
    walk.fail(Service::Sns, Mode::Refused, 0);
    walk.refuses_body(issue, Slug::SenderUnavailable, path, body(&challenge))
        .await;
    walk.mend();

    // A request whose end is not yet written down is still running, as far as anybody can tell.
    let with_key = |walk: &Walk, body: Value| {
        walk.ask(issue, path)
            .header("idempotency-key", "\"k1\"")
            .json(&body)
    };
    walk.fail(Service::Dynamodb, Mode::Refused, 2);
    let _ = walk
        .world
        .send(with_key(&walk, body(&challenge)))
        .await
        .expect(202);
    walk.mend();
    walk.refuses(
        issue,
        Slug::IdempotencyConflict,
        with_key(&walk, body(&challenge)),
    )
    .await;
    let other = json!({"method": "email", "challenge": challenge});
    walk.refuses(issue, Slug::IdempotencyKeyReused, with_key(&walk, other))
        .await;
    walk.refuses_body(issue, Slug::ResendTooSoon, path, body(&challenge))
        .await;

    let code = walk.world.last_code().await;
    let _ = walk
        .world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
    walk.refuses_body(issue, Slug::ChallengeUsed, path, body(&challenge))
        .await;
    let challenge = walk.world.challenge(&ann).await;
    walk.world.advance(LATER);
    walk.refuses_body(issue, Slug::ChallengeExpired, path, body(&challenge))
        .await;

    let abroad = walk
        .world
        .user("abroad", json!({"phone": "+33612345678"}))
        .await;
    let challenge = walk.world.challenge(&abroad).await;
    walk.refuses_body(issue, Slug::DestinationNotAllowed, path, body(&challenge))
        .await;
    for _ in 0..5 {
        let _ = walk.world.challenge_and_code(&ann).await;
    }
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(issue, Slug::TooManySends, path, body(&challenge))
        .await;
    for _ in 0..5 {
        let _ = walk
            .world
            .verify(&challenge, "sms", "000000")
            .await
            .refused(401, "code-invalid");
    }
    walk.refuses_body(issue, Slug::TooManyAttempts, path, body(&challenge))
        .await;
    let challenge = walk.world.challenge(&ann).await;
    for _ in 0..5 {
        let _ = walk
            .world
            .verify(&challenge, "sms", "000000")
            .await
            .refused(401, "code-invalid");
    }
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(issue, Slug::TooManyAttempts, path, body(&challenge))
        .await;
    let closed = closed_challenge(&walk.world).await;
    walk.refuses_body(issue, Slug::AgreementClosed, path, body(&closed))
        .await;
    snapshot(walk, Function::CodeIssue);
}

#[tokio::test]
async fn the_errors_of_a_code() {
    let mut walk = Walk::new().await;
    let (verify, path) = (Operation::VerifyCode, "/v1/codes/verify");
    let ann = walk.world.user("ann", json!({})).await;
    let body = |challenge: &str, code: &str| json!({"challenge": challenge, "method": "sms", "code": code});
    let (challenge, old) = walk.world.challenge_and_code(&ann).await;
    walk.refuses_without_a_table(verify, path, Some(&body(&challenge, &old)))
        .await;
    walk.refuses_bodies(verify, path).await;
    walk.refuses_body(
        verify,
        Slug::InvalidRequest,
        path,
        body(&challenge, "12a34"),
    )
    .await;
    walk.refuses_body(
        verify,
        Slug::InvalidRequest,
        path,
        json!({"challenge": challenge, "method": "fax", "code": "1"}),
    )
    .await;
    walk.refuses_body(
        verify,
        Slug::ChallengeUnknown,
        path,
        body("chl_x.y.z", "123456"),
    )
    .await;
    let by_mail = json!({"challenge": challenge, "method": "email", "code": "12345678"});
    walk.refuses_body(verify, Slug::MethodNotEnabled, path, by_mail)
        .await;
    walk.refuses_body(
        verify,
        Slug::CodeInvalid,
        path,
        body(&challenge, &another(&old)),
    )
    .await;
    walk.world.advance(60);
    let _ = walk.world.issue(&challenge, "sms").await.expect(202);
    walk.refuses_body(verify, Slug::CodeSuperseded, path, body(&challenge, &old))
        .await;
    let code = walk.world.last_code().await;
    walk.world.advance(300);
    walk.refuses_body(verify, Slug::CodeExpired, path, body(&challenge, &code))
        .await;
    walk.world.advance(300);
    walk.refuses_body(
        verify,
        Slug::ChallengeExpired,
        path,
        body(&challenge, &code),
    )
    .await;

    let (challenge, code) = walk.world.challenge_and_code(&ann).await;
    let _ = walk
        .world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200);
    walk.refuses_body(verify, Slug::ChallengeUsed, path, body(&challenge, &code))
        .await;
    let mut challenge = String::new();
    for _ in 0..2 {
        challenge = walk.world.challenge(&ann).await;
        for _ in 0..5 {
            let _ = walk
                .world
                .verify(&challenge, "sms", "000000")
                .await
                .refused(401, "code-invalid");
        }
    }
    walk.refuses_body(
        verify,
        Slug::TooManyAttempts,
        path,
        body(&challenge, "000000"),
    )
    .await;
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(
        verify,
        Slug::TooManyAttempts,
        path,
        body(&challenge, "000000"),
    )
    .await;
    let closed = closed_challenge(&walk.world).await;
    walk.refuses_body(verify, Slug::AgreementClosed, path, body(&closed, "123456"))
        .await;
    snapshot(walk, Function::CodeVerify);
}

pub async fn sign_in(world: &World, person: &Person) -> String {
    let (challenge, code) = world.challenge_and_code(person).await;
    world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token")
}

#[tokio::test]
async fn the_errors_of_who_is_signed_in() {
    let mut walk = Walk::new().await;
    let (me, path) = (Operation::GetMe, "/v1/me");
    let ann = walk.world.user("ann", json!({})).await;
    walk.token = sign_in(&walk.world, &ann).await;
    walk.refuses_without_a_table(me, path, None).await;
    walk.refuses(me, Slug::InvalidRequest, walk.ask(me, "/v1/me?colour=red"))
        .await;
    walk.refuses(me, Slug::Unauthorized, walk.anonymous(me, path))
        .await;
    walk.refuses(
        me,
        Slug::Unauthorized,
        walk.anonymous(me, path).bearer_auth(&walk.world.key),
    )
    .await;
    let recipients = recipients_token(&walk.world).await;
    walk.refuses(
        me,
        Slug::Forbidden,
        walk.anonymous(me, path).bearer_auth(recipients),
    )
    .await;
    walk.refuses_what_is_sent(me, path).await;
    walk.world.advance(900);
    walk.refuses(me, Slug::Unauthorized, walk.ask(me, path))
        .await;
    snapshot(walk, Function::Me);
}

#[tokio::test]
async fn the_errors_of_factors() {
    let mut walk = Walk::new().await;
    let (enrol, confirm) = (Operation::EnrolApp, Operation::ConfirmApp);
    let (begin, end) = ("/v1/factors/totp", "/v1/factors/totp/confirm");
    let ann = walk.world.user("ann", json!({})).await;
    let _ = walk.world.user("new", json!({"phone": null})).await;
    walk.token = sign_in(&walk.world, &ann).await;
    let none = json!({"factor": "fac_00000000000000000000000000", "code": "123456"});
    let recipients = recipients_token(&walk.world).await;
    for (operation, path, body) in [
        (enrol, begin, Some(json!({}))),
        (confirm, end, Some(none.clone())),
        (Operation::ListFactors, "/v1/factors", None),
        (Operation::RemoveApp, begin, None),
        (
            Operation::MakeRecoveryCodes,
            "/v1/factors/recovery-codes",
            None,
        ),
    ] {
        let body = body.as_ref();
        walk.refuses_without_a_table(operation, path, body).await;
        walk.refuses(
            operation,
            Slug::Unauthorized,
            with(walk.anonymous(operation, path), body),
        )
        .await;
        let by_recipient = walk.anonymous(operation, path).bearer_auth(&recipients);
        walk.refuses(operation, Slug::Forbidden, with(by_recipient, body))
            .await;
        let odd = format!("{path}?colour=red");
        walk.refuses(
            operation,
            Slug::InvalidRequest,
            with(walk.ask(operation, &odd), body),
        )
        .await;
        walk.refuses_what_is_sent(operation, path).await;
    }
    walk.refuses_body(confirm, Slug::NotFound, end, none.clone())
        .await;
    walk.refuses_body(
        confirm,
        Slug::InvalidRequest,
        end,
        json!({"factor": "app", "code": "123456"}),
    )
    .await;
    walk.refuses(
        Operation::RemoveApp,
        Slug::NotFound,
        walk.ask(Operation::RemoveApp, begin),
    )
    .await;
    let codes = "/v1/factors/recovery-codes";
    let make = Operation::MakeRecoveryCodes;
    walk.refuses(make, Slug::MethodNotEnabled, walk.ask(make, codes))
        .await;

    let (patch, me) = (Operation::PatchMe, "/v1/me");
    let body = json!({"locale": "fr"});
    walk.refuses_without_a_table(patch, me, Some(&body)).await;
    walk.refuses(
        patch,
        Slug::Unauthorized,
        walk.anonymous(patch, me).json(&body),
    )
    .await;
    walk.refuses(
        patch,
        Slug::InvalidRequest,
        walk.ask(patch, "/v1/me?colour=red").json(&body),
    )
    .await;
    walk.refuses_bodies(patch, me).await;
    let bad = json!({"locale": "xx", "password": "short", "current_password": PASSWORD});
    walk.refuses_body(patch, Slug::InvalidRequest, me, bad)
        .await;
    walk.refuses(
        patch,
        Slug::PreconditionFailed,
        walk.ask(patch, me).header("if-match", "\"7\"").json(&body),
    )
    .await;
    walk.refuses_contention(patch, me, Some(body.clone())).await;
    let new = json!({"password": "another horse battery", "current_password": "wrong password"});
    walk.refuses_body(patch, Slug::InvalidCredentials, me, new.clone())
        .await;
    for _ in 0..4 {
        let _ = walk
            .world
            .send(walk.ask(patch, me).json(&new))
            .await
            .refused(401, "invalid-credentials");
    }
    walk.refuses_body(patch, Slug::TooManyAttempts, me, new)
        .await;

    // A first sign-in.
    let challenge = walk
        .world
        .login("new", PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    let begun = walk
        .world
        .post(begin, json!({"challenge": challenge}))
        .await
        .expect(201);
    let with_challenge = |challenge: &str, code: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    walk.refuses_body(
        enrol,
        Slug::ChallengeUnknown,
        begin,
        json!({"challenge": "chl_x.y.z"}),
    )
    .await;
    walk.refuses_body(
        confirm,
        Slug::ChallengeUnknown,
        end,
        with_challenge("chl_x.y.z", "123456"),
    )
    .await;
    for _ in 0..5 {
        walk.refuses_body(
            confirm,
            Slug::CodeInvalid,
            end,
            with_challenge(&challenge, "0000000"),
        )
        .await;
    }
    walk.refuses_body(
        confirm,
        Slug::TooManyAttempts,
        end,
        with_challenge(&challenge, "0000000"),
    )
    .await;
    let off = json!({"second_factor": {"methods": {"totp": false}}});
    let _ = walk.world.settings(off.clone()).await;
    walk.refuses_body(
        enrol,
        Slug::MethodNotEnabled,
        begin,
        json!({"challenge": challenge}),
    )
    .await;
    walk.refuses_body(
        confirm,
        Slug::MethodNotEnabled,
        end,
        with_challenge(&challenge, "123456"),
    )
    .await;
    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"totp": true}}}))
        .await;
    walk.world.advance(600);
    walk.refuses_body(
        enrol,
        Slug::ChallengeExpired,
        begin,
        json!({"challenge": challenge}),
    )
    .await;
    walk.refuses_body(
        confirm,
        Slug::ChallengeExpired,
        end,
        with_challenge(&challenge, "123456"),
    )
    .await;
    let (used, code) = walk.world.challenge_and_code(&ann).await;
    let _ = walk.world.verify(&used, "sms", &code).await.expect(200);
    walk.refuses_body(
        enrol,
        Slug::ChallengeUsed,
        begin,
        json!({"challenge": used}),
    )
    .await;
    walk.refuses_body(
        confirm,
        Slug::ChallengeUsed,
        end,
        with_challenge(&used, "123456"),
    )
    .await;

    // Ten minutes have passed since the token's second factor.
    let stale = Slug::FreshSecondFactorRequired;
    walk.refuses_body(enrol, stale, begin, json!({})).await;
    walk.refuses_body(confirm, stale, end, none).await;
    walk.refuses(
        Operation::RemoveApp,
        stale,
        walk.ask(Operation::RemoveApp, begin),
    )
    .await;
    walk.refuses(make, stale, walk.ask(make, codes)).await;
    walk.refuses_body(patch, stale, me, body).await;
    errors_of_contacts(&mut walk).await;
    snapshot(walk, Function::Factors);
}
