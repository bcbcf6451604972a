//! A user's own factors: setting up an app, proving with it and with recovery codes, and changing
//! them.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::kernel::clock::Span;
use tests::{Answer, Authenticator, PASSWORD, Person, World, codes};

/// Somebody who never had a factor signs in for the first time and sets up an app.
async fn first_sign_in(world: &World, username: &str) -> (Authenticator, Answer) {
    let login = world.opened(username).await;
    assert_eq!(login.body["status"], "enrolment_required", "{}", login.body);
    let challenge = login.text("challenge");
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    let app = Authenticator::reading(&begun);
    let body =
        json!({"challenge": challenge, "factor": begun.text("factor"), "code": app.code(world)});
    (
        app,
        world
            .post("/v1/factors/totp/confirm", body)
            .await
            .expect(200),
    )
}

async fn confirm(world: &World, token: &str, factor: &str, code: &str) -> Answer {
    let body = json!({"factor": factor, "code": code});
    world
        .as_user(token, Method::POST, "/v1/factors/totp/confirm", Some(body))
        .await
}

async fn listed(world: &World, token: &str) -> Value {
    world
        .as_user(token, Method::GET, "/v1/factors", None)
        .await
        .expect(200)
        .body["factors"]
        .clone()
}

fn methods(answer: &Answer) -> Vec<&str> {
    answer.body["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["method"].as_str().unwrap())
        .collect()
}

async fn reset(world: &World, person: &Person) -> Answer {
    world
        .backend(
            Method::DELETE,
            &format!("/v1/users/{}/factors/totp", person.id),
            None,
        )
        .await
}

#[tokio::test]
async fn who_never_had_a_factor_sets_up_an_app_at_the_first_sign_in() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": null})).await;
    let challenge = world.opened("ann").await.text("challenge");
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    assert_eq!(begun.body["expires_in"], 600);
    assert!(begun.text("factor").starts_with("fac_"));
    assert_eq!(begun.text("secret").len(), 32);
    let uri = format!(
        "otpauth://totp/Alder%20%26%20Pine:ann?secret={}&issuer=Alder%20%26%20Pine&algorithm=SHA1&digits=6&period=30",
        begun.text("secret")
    );
    assert_eq!(begun.text("otpauth_uri"), uri);
    let svg = begun.text("qr_svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    assert_eq!(begun.header("cache-control"), Some("no-store"));

    let app = Authenticator::reading(&begun);
    let body =
        |code: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    let wrong = world
        .post("/v1/factors/totp/confirm", body("0000000"))
        .await
        .refused(401, "code-invalid");
    assert_eq!(wrong.body["attempts_left"], 4);
    let done = world
        .post("/v1/factors/totp/confirm", body(&app.code(&world)))
        .await
        .expect(200);
    assert_eq!(codes(&done).len(), 10);
    let authenticated = &done.body["authenticated"];
    assert_eq!(
        (
            &authenticated["status"],
            &authenticated["acr"],
            &authenticated["amr"]
        ),
        (
            &json!("authenticated"),
            &json!("two-factor"),
            &json!(["pwd", "otp", "mfa"])
        )
    );
    let token = authenticated["access_token"].as_str().unwrap();
    let at = "2027-01-15T08:00:00Z";
    assert_eq!(
        listed(&world, token).await,
        json!([{"method": "totp", "enrolled_at": at}, {"method": "recovery_code", "enrolled_at": at, "remaining": 10}])
    );
    assert_eq!(
        world.actions(&ann.id).await,
        [
            "user-created",
            "sign-in",
            "enrolment-begun",
            "factor-enrolled: wrong-code",
            "factor-enrolled"
        ]
    );
    // The challenge is used up.
    let _ = world
        .post("/v1/factors/totp/confirm", body(&app.code(&world)))
        .await
        .refused(410, "challenge-used");
    let _ = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .refused(410, "challenge-used");
}

#[tokio::test]
async fn the_app_is_a_second_factor_and_the_code_that_confirmed_it_is_used() {
    let world = World::new().await;
    let _ = world.user("ann", json!({"phone": null})).await;
    let (app, _) = first_sign_in(&world, "ann").await;

    let login = world.opened("ann").await;
    assert_eq!(methods(&login), ["totp", "recovery_code"]);
    let challenge = login.text("challenge");
    let used = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .refused(401, "code-invalid");
    assert_eq!(used.body["attempts_left"], 4);
    let now = world.stack.clock().now();
    let _ = world
        .verify(
            &challenge,
            "totp",
            &app.code_at(now.minus(Span::seconds(30))),
        )
        .await
        .refused(401, "code-invalid");
    let next = app.code_at(now.plus(Span::seconds(30)));
    let done = world.verify(&challenge, "totp", &next).await.expect(200);
    assert_eq!(
        (&done.body["acr"], &done.body["amr"]),
        (&json!("two-factor"), &json!(["pwd", "otp", "mfa"]))
    );

    // One step early was taken: neither that step's nor the one before is taken any more, the one
    // after is.
    let challenge = world.opened("ann").await.text("challenge");
    let _ = world
        .verify(&challenge, "totp", &next)
        .await
        .refused(401, "code-invalid");
    world.advance(60);
    let _ = world
        .verify(&challenge, "totp", &next)
        .await
        .refused(401, "code-invalid");
    let _ = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .expect(200);
    // Codes that were right and used are no guesses: the factor counted none of them.
    let challenge = world.opened("ann").await.text("challenge");
    for _ in 0..5 {
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .refused(401, "code-invalid");
    }
    let challenge = world.opened("ann").await.text("challenge");
    for _ in 0..5 {
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .refused(401, "code-invalid");
    }
    let next = app.code_at(world.stack.clock().now().plus(Span::seconds(30)));
    let challenge = world.opened("ann").await.text("challenge");
    let _ = world.verify(&challenge, "totp", &next).await.expect(200);
}

#[tokio::test]
async fn codes_of_an_app_are_no_guesses_while_the_account_has_apps_off() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (app, _) = world.enrol(&world.token(&ann).await).await;
    let off = async |totp: bool| {
        drop(
            world
                .settings(json!({"second_factor": {"methods": {"totp": totp}}}))
                .await,
        );
    };
    off(false).await;
    let challenge = world.challenge(&ann).await;
    for _ in 0..10 {
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .refused(403, "method-not-enabled");
    }
    off(true).await;
    let next = app.code_at(world.stack.clock().now().plus(Span::seconds(30)));
    let _ = world.verify(&challenge, "totp", &next).await.expect(200);
}

#[tokio::test]
async fn wrong_codes_of_the_app_count_for_the_app_alone() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (app, recovery) = world.enrol(&world.token(&ann).await).await;
    for _ in 0..2 {
        let challenge = world.challenge(&ann).await;
        for _ in 0..5 {
            let _ = world
                .verify(&challenge, "totp", "0000000")
                .await
                .refused(401, "code-invalid");
        }
    }
    world.advance(29);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .verify(&challenge, "recovery_code", &recovery[0])
        .await
        .expect(200);
    world.advance(1);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .expect(200);
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "factor-delayed")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_recovery_code_signs_in_once_however_it_is_typed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (_, recovery) = world.enrol(&world.token(&ann).await).await;
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", "0000-0000-0000-0000-0000-0000")
        .await
        .refused(401, "code-invalid");
    let typed = recovery[3].to_uppercase().replace('-', " ");
    let done = world
        .verify(&challenge, "recovery_code", &typed)
        .await
        .expect(200);
    assert_eq!(done.body["acr"], "two-factor");
    let token = done.text("access_token");
    assert_eq!(listed(&world, &token).await[2]["remaining"], 9);

    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", &recovery[3])
        .await
        .refused(401, "code-invalid");
    assert_eq!(
        world.actions(&ann.id).await.last().unwrap(),
        "code-verified: used"
    );
    let _ = world
        .verify(&challenge, "recovery_code", &recovery[4])
        .await
        .expect(200);

    let made = world
        .as_user(&token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .expect(201);
    let made = codes(&made);
    assert_eq!(
        (
            made.len(),
            listed(&world, &token).await[2]["remaining"].as_u64()
        ),
        (10, Some(10))
    );
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", &recovery[5])
        .await
        .refused(401, "code-invalid");
    let _ = world
        .verify(&challenge, "recovery_code", &made[0])
        .await
        .expect(200);
    // Ben's codes are not Ann's.
    let ben = world.user("ben", json!({})).await;
    let (_, bens) = world.enrol(&world.token(&ben).await).await;
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", &bens[0])
        .await
        .refused(401, "code-invalid");
    // Once all are used, none is offered.
    for code in &made[1..] {
        let challenge = world.challenge(&ann).await;
        let _ = world
            .verify(&challenge, "recovery_code", code)
            .await
            .expect(200);
    }
    assert_eq!(methods(&world.opened("ann").await), ["sms", "totp"]);
}

#[tokio::test]
async fn a_new_app_takes_the_place_of_the_one_before() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let (old, old_codes) = world.enrol(&token).await;
    world.advance(60);
    let (new, _) = world.enrol(&token).await;
    world.advance(60);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "totp", &old.code(&world))
        .await
        .refused(401, "code-invalid");
    let _ = world
        .verify(&challenge, "recovery_code", &old_codes[0])
        .await
        .refused(401, "code-invalid");
    let _ = world
        .verify(&challenge, "totp", &new.code(&world))
        .await
        .expect(200);
}

#[tokio::test]
async fn until_it_is_confirmed_an_app_is_none_and_after_ten_minutes_it_is_gone() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let mut token = world.token(&ann).await;
    let first = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    assert_eq!(methods(&world.opened("ann").await), ["sms"]);
    // Another one takes its place.
    let second = world
        .as_user(&token, Method::POST, "/v1/factors/totp", Some(json!({})))
        .await
        .expect(201);
    assert_ne!(first.text("secret"), second.text("secret"));
    let app = Authenticator::reading(&first);
    let _ = confirm(&world, &token, &first.text("factor"), &app.code(&world))
        .await
        .refused(404, "not-found");
    let _ = confirm(&world, &token, "fac_00000000000000000000000000", "000000")
        .await
        .refused(404, "not-found");
    world.advance(600);
    token = world.token(&ann).await;
    let app = Authenticator::reading(&second);
    let _ = confirm(&world, &token, &second.text("factor"), &app.code(&world))
        .await
        .refused(404, "not-found");
    let report = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    assert_eq!(report.body["enrolments"], 1, "{}", report.body);
    let _ = world.enrol(&token).await;
}

#[tokio::test]
async fn an_app_has_five_tries_to_be_confirmed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let factor = begun.text("factor");
    for left in [4, 3, 2, 1, 0] {
        let refused = confirm(&world, &token, &factor, "0000000")
            .await
            .refused(401, "code-invalid");
        assert_eq!(refused.body["attempts_left"], left);
    }
    let app = Authenticator::reading(&begun);
    let _ = confirm(&world, &token, &factor, &app.code(&world))
        .await
        .refused(429, "too-many-attempts");
    let _ = world.enrol(&token).await;
    // None of them counted for the factor.
    world.advance(60);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "totp", "0000000")
        .await
        .refused(401, "code-invalid");
}

#[tokio::test]
async fn enrolling_is_no_way_round_a_factor_that_exists() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let fresh = "fresh-second-factor-required";
    let begin = |challenge: &str| {
        let body = json!({"challenge": challenge});
        async { world.post("/v1/factors/totp", body).await }
    };
    let _ = begin(&challenge).await.refused(403, fresh);

    // Nor where the factor came after the first password.
    let _ = world
        .user("new", json!({"phone": null, "email": null}))
        .await;
    let login = world.opened("new").await;
    assert_eq!(login.body["status"], "enrolment_required");
    let challenge = login.text("challenge");
    let begun = begin(&challenge).await.expect(201);
    let new = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200)
        .body["users"]
        .clone();
    let new = new
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["username"] == "new")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = world.opened("new").await.text("challenge");
    let path = format!("/v1/users/{new}");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"group": "escrow"})))
        .await
        .expect(200);
    let app = Authenticator::reading(&begun);
    let body =
        json!({"challenge": challenge, "factor": begun.text("factor"), "code": app.code(&world)});
    let _ = world
        .post("/v1/factors/totp/confirm", body)
        .await
        .expect(200);
    let _ = begin(&other).await.refused(403, fresh);

    // A mail address that codes go to is a factor, and being locked does not make it none.
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let _ = world.user("mail", json!({"phone": null})).await;
    let login = world.opened("mail").await;
    assert_eq!(methods(&login), ["email"]);
    let _ = begin(&login.text("challenge")).await.refused(403, fresh);
    let _ = begin("chl_x.y.z").await.refused(401, "challenge-unknown");
    let _ = begin(&world.opened("ann").await.text("challenge"))
        .await
        .refused(403, fresh);
}

#[tokio::test]
async fn a_change_of_factors_takes_a_second_factor_of_the_last_five_minutes() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    world.advance(301);
    let fresh = "fresh-second-factor-required";
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .refused(403, fresh);
    // What was begun in time can be confirmed still: how fresh the factor was is judged as of then.
    let _ = confirm(&world, &token, &begun.text("factor"), "000000")
        .await
        .refused(401, "code-invalid");
    let _ = confirm(&world, &token, "fac_00000000000000000000000000", "000000")
        .await
        .refused(403, fresh);
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .refused(403, fresh);
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .refused(403, fresh);
    assert_eq!(listed(&world, &token).await.as_array().unwrap().len(), 3);

    // Staff in the office: the password alone changes nothing, and sets up the first app.
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.0/16"]}))
        .await;
    let _ = world.user("staff", json!({"kind": "internal"})).await;
    let staff = world.opened("staff").await.text("access_token");
    let _ = world
        .as_user(&staff, Method::POST, "/v1/factors/totp", None)
        .await
        .refused(403, fresh);
    let _ = world
        .user("intern", json!({"kind": "internal", "phone": null}))
        .await;
    let intern = world.opened("intern").await;
    assert_eq!(intern.body["acr"], "allowlisted-network");
    let intern = intern.text("access_token");
    let _ = world
        .as_user(&intern, Method::DELETE, "/v1/factors/totp", None)
        .await
        .refused(403, fresh);
    let _ = world.enrol(&intern).await;
    let _ = world
        .as_user(&intern, Method::POST, "/v1/factors/totp", None)
        .await
        .refused(403, fresh);
    let _ = world
        .as_user(&intern, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .refused(403, fresh);
}

#[tokio::test]
async fn a_phone_that_comes_while_an_app_is_confirmed_ends_the_token_that_would_have_set_it_up() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.0/16"]}))
        .await;
    let intern = world
        .user("intern", json!({"kind": "internal", "phone": null}))
        .await;
    let token = world.opened("intern").await.text("access_token");
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let code = Authenticator::reading(&begun).code(&world);
    // The user is read; the answer to the count, which is the second call, is late, and the phone
    // comes first.
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Slow, 1, 1);
    let factor = begun.text("factor");
    let (confirmed, ()) = tokio::join!(confirm(&world, &token, &factor, &code), async {
        while world.stack.faults().struck() == 0 {
            tokio::task::yield_now().await;
        }
        let path = format!("/v1/users/{}", intern.id);
        let _ = world
            .backend(Method::PATCH, &path, Some(json!({"phone": "+12025550100"})))
            .await
            .expect(200);
    });
    let _ = confirmed.refused(401, "unauthorized");
    let shown = world
        .backend(Method::GET, &format!("/v1/users/{}", intern.id), None)
        .await
        .expect(200);
    assert_eq!(shown.body["factors"], json!(["sms", "email"]));
    // Nor with a new sign-in: there is a factor now.
    let token = world.opened("intern").await.text("access_token");
    let begin = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await;
    let _ = begin.refused(403, "fresh-second-factor-required");
}

#[tokio::test]
async fn who_removes_the_app_has_the_other_factors_left() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .refused(404, "not-found");
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .refused(403, "method-not-enabled");
    let (app, recovery) = world.enrol(&token).await;
    let open = world.challenge(&ann).await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    world.advance(30);
    let _ = world
        .verify(&open, "totp", &app.code(&world))
        .await
        .refused(410, "challenge-expired");
    let open = world.challenge(&ann).await;
    let _ = world
        .verify(&open, "totp", &app.code(&world))
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .verify(&open, "recovery_code", &recovery[0])
        .await
        .refused(403, "method-not-enabled");
    assert_eq!(methods(&world.opened("ann").await), ["sms"]);
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "factor-removed")
            .count(),
        1
    );
}

#[tokio::test]
async fn an_app_that_the_account_has_off_is_neither_offered_nor_set_up() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let (app, recovery) = world.enrol(&token).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let _ = world
        .settings(json!({"second_factor": {"methods": {"totp": false}}}))
        .await;
    let off = "method-not-enabled";
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .refused(403, off);
    let _ = confirm(&world, &token, &begun.text("factor"), "000000")
        .await
        .refused(403, off);
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .refused(403, off);
    let login = world.opened("ann").await;
    assert_eq!(methods(&login), ["sms"]);
    world.advance(30);
    let _ = world
        .verify(&login.text("challenge"), "totp", &app.code(&world))
        .await
        .refused(403, off);
    let _ = world
        .verify(&login.text("challenge"), "recovery_code", &recovery[0])
        .await
        .refused(403, off);
    assert_eq!(listed(&world, &token).await.as_array().unwrap().len(), 1);
    // What compared nothing was not counted either.
    let _ = world
        .settings(json!({"second_factor": {"methods": {"totp": true}}}))
        .await;
    let _ = world
        .verify(&login.text("challenge"), "totp", &app.code(&world))
        .await
        .expect(200);
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
}

#[tokio::test]
async fn an_administrators_reset_ends_the_tokens_that_were_given_before_it() {
    for email in [json!("ann@example.com"), json!(null)] {
        let world = World::new().await;
        let ann = world
            .user("ann", json!({"phone": null, "email": email}))
            .await;
        let (_, done) = first_sign_in(&world, "ann").await;
        let token = done.body["authenticated"]["access_token"].as_str().unwrap();
        let begun = world
            .as_user(token, Method::POST, "/v1/factors/totp", None)
            .await
            .expect(201);
        world.advance(1);
        let _ = reset(&world, &ann).await.expect(204);
        let _ = world
            .as_user(token, Method::POST, "/v1/factors/totp", None)
            .await
            .refused(401, "unauthorized");
        let code = Authenticator::reading(&begun).code(&world);
        let _ = confirm(&world, token, &begun.text("factor"), &code)
            .await
            .refused(401, "unauthorized");
        let _ = world
            .as_user(token, Method::GET, "/v1/me", None)
            .await
            .refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn after_an_administrators_reset_the_password_alone_enrols_only_who_has_no_mail_address() {
    let world = World::new().await;
    for (username, email) in [("ann", json!(null)), ("ben", json!("ben@example.com"))] {
        // Of the staff, who may take a last factor away.
        let person = world
            .user(
                username,
                json!({"kind": "internal", "phone": null, "email": email}),
            )
            .await;
        let (app, done) = first_sign_in(&world, username).await;
        let open = world.opened(username).await.text("challenge");
        let _ = reset(&world, &person).await.expect(204);
        world.advance(30);
        let _ = world
            .verify(&open, "totp", &app.code(&world))
            .await
            .refused(410, "challenge-expired");
        let begin = world
            .post("/v1/factors/totp", json!({"challenge": open}))
            .await;
        let _ = begin.refused(410, "challenge-expired");
        let token = done.body["authenticated"]["access_token"].as_str().unwrap();
        let _ = world
            .as_user(token, Method::GET, "/v1/factors", None)
            .await
            .refused(401, "unauthorized");
        if username == "ben" {
            let _ = world
                .login("ben", PASSWORD)
                .await
                .refused(403, "no-usable-factor");
        } else {
            let (app, _) = first_sign_in(&world, "ann").await;
            // The reset is over with it.
            let token = {
                world.advance(30);
                let challenge = world.opened("ann").await.text("challenge");
                world
                    .verify(&challenge, "totp", &app.code(&world))
                    .await
                    .expect(200)
                    .text("access_token")
            };
            let _ = world
                .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
                .await
                .expect(204);
            let _ = world
                .login("ann", PASSWORD)
                .await
                .refused(403, "no-usable-factor");
        }
        let entries = world.audit(&person.id).await;
        let told = entries
            .iter()
            .find(|entry| entry["action"] == "factor-reset")
            .unwrap();
        assert!(
            told["actor"].as_str().unwrap().starts_with("key_"),
            "{told}"
        );
    }
    let nobody = "/v1/users/usr_00000000000000000000000000/factors/totp";
    let _ = world
        .backend(Method::DELETE, nobody, None)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_secret_is_sealed_anew_with_its_next_use_after_a_rotation() {
    use shared::kernel::entropy::Entropy;
    use shared::kernel::keyring::{self, Keyring, MAC_LEAD};
    use shared::signin::user::User;
    use shared::store::dynamo::{keys, read};
    let world = World::new().await;
    let made = keyring::make(
        world.stack.clock().now().minus(Span::hours(1)),
        &Entropy::seeded(1),
    )
    .unwrap();
    world
        .stack
        .app()
        .keyrings
        .replace(Keyring::parse(made.expose()).unwrap());
    let ann = world.user("ann", json!({})).await;
    let (app, _) = world.enrol(&world.token(&ann).await).await;
    let sealed = async || {
        let item = world
            .stack
            .table()
            .get(keys::user(ann.id.parse().unwrap()))
            .await
            .unwrap()
            .unwrap();
        read::<User>(item).unwrap().app.unwrap().sealed
    };
    let before = sealed().await;
    assert!(!before.contains(&app.code(&world)));
    let rotated = keyring::rotate(
        made.expose(),
        world.stack.clock().now(),
        &Entropy::seeded(2),
    )
    .unwrap();
    world
        .stack
        .app()
        .keyrings
        .replace(Keyring::parse(rotated.expose()).unwrap());
    let key_of = |sealed: &str| sealed.split('.').next().unwrap().to_owned();
    for (wait, moved) in [(30, false), (MAC_LEAD.as_secs(), true), (30, true)] {
        world.advance(wait);
        let challenge = world.challenge(&ann).await;
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .expect(200);
        assert_eq!(
            key_of(&sealed().await) != key_of(&before),
            moved,
            "after {wait}"
        );
    }
}

#[tokio::test]
async fn what_is_no_code_and_no_factor_is_refused_by_name() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let factor = "fac_00000000000000000000000000";
    for (body, pointer) in [
        (json!({"code": "123456"}), "/factor"),
        (json!({"factor": factor}), "/code"),
        (json!({"factor": "x", "code": "123456"}), "/factor"),
        (json!({"factor": ann.id, "code": "123456"}), "/factor"),
        (json!({"factor": factor, "code": ""}), "/code"),
        (json!({"factor": factor, "code": "12345678901"}), "/code"),
        (json!({"factor": factor, "code": "１２３４５６"}), "/code"),
        (json!({"factor": factor, "code": 123_456}), "/code"),
        (
            json!({"factor": factor, "code": "123456", "challenge": 7}),
            "/challenge",
        ),
        (
            json!({"factor": factor, "code": "123456", "secret": "x"}),
            "/secret",
        ),
    ] {
        let answer = world
            .as_user(
                &token,
                Method::POST,
                "/v1/factors/totp/confirm",
                Some(body.clone()),
            )
            .await;
        assert_eq!(
            answer.refused(400, "invalid-request").pointers(),
            [pointer],
            "{body}"
        );
    }
    let challenge = world.challenge(&ann).await;
    for (method, code) in [
        ("totp", "12a34"),
        ("totp", ""),
        ("recovery_code", ""),
        ("recovery_code", "ä"),
        ("recovery_code", "a\u{0}"),
    ] {
        assert_eq!(
            world
                .verify(&challenge, method, code)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            ["/code"]
        );
    }
    let _ = world
        .verify(&challenge, "recovery_code", &"a".repeat(65))
        .await
        .refused(400, "invalid-request");
    let odd = world
        .as_user(&token, Method::POST, "/v1/factors/totp?secret=x", None)
        .await;
    assert_eq!(odd.refused(400, "invalid-request").pointers(), ["?secret"]);
    let odd = world
        .as_user(
            &token,
            Method::POST,
            "/v1/factors/totp",
            Some(json!({"secret": "GEZDGNBVGY3TQOJQ"})),
        )
        .await;
    assert_eq!(odd.refused(400, "invalid-request").pointers(), ["/secret"]);
    for path in ["/v1/factors/totp", "/v1/factors/recovery-codes"] {
        let _ = world
            .post(path, json!({}))
            .await
            .refused(401, "unauthorized");
    }
    assert_eq!(listed(&world, &token).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_of_an_app_or_a_recovery_code_is_told_in_the_audit() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let app = Authenticator::reading(&begun);
    let code = app.code(&world);
    let done = confirm(&world, &token, &begun.text("factor"), &code)
        .await
        .expect(200);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", &codes(&done)[0])
        .await
        .expect(200);
    let told = serde_json::to_string(&world.audit(&ann.id).await).unwrap();
    assert!(!told.contains(&begun.text("secret")) && !told.contains(&codes(&done)[0]));
    assert!(!told.contains(&format!("\"{code}\"")));
    let entries: Vec<shared::store::audit::Entry> = world
        .audit(&ann.id)
        .await
        .into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect();
    assert_eq!(shared::store::audit::first_broken(&entries), None);
}

#[tokio::test]
async fn a_reset_is_over_with_the_first_factor_that_is_proved_after_it() {
    let world = World::new().await;
    // A code by SMS; then that method is switched off: nobody enrols an app by the password alone.
    let ann = world.user("ann", json!({"email": null})).await;
    let _ = reset(&world, &ann).await.expect(204);
    let _ = world.token(&ann).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    // An app, which is removed with the token of its own confirmation.
    let ben = world
        .user(
            "ben",
            json!({"kind": "internal", "phone": null, "email": null}),
        )
        .await;
    let _ = first_sign_in(&world, "ben").await;
    let _ = reset(&world, &ben).await.expect(204);
    let (_, done) = first_sign_in(&world, "ben").await;
    let token = done.body["authenticated"]["access_token"].as_str().unwrap();
    let _ = world
        .as_user(token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    let _ = world
        .login("ben", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn an_app_that_is_to_be_confirmed_goes_with_the_one_that_is_removed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let version = async || {
        world
            .as_user(&token, Method::GET, "/v1/me", None)
            .await
            .header("etag")
            .unwrap()
            .to_owned()
    };
    let before = version().await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    assert_ne!(
        version().await,
        before,
        "who has read the user before does not write over this"
    );
    let code = Authenticator::reading(&begun).code(&world);
    let _ = confirm(&world, &token, &begun.text("factor"), &code)
        .await
        .refused(404, "not-found");
    assert_eq!(methods(&world.opened("ann").await), ["sms"]);
}

#[tokio::test]
async fn an_app_that_is_removed_leaves_no_lock() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    for (method, wrong) in [
        ("totp", "0000000"),
        ("recovery_code", "0000-0000-0000-0000-0000-0000"),
    ] {
        for _ in 0..2 {
            let challenge = world.challenge(&ann).await;
            for _ in 0..5 {
                let _ = world.verify(&challenge, method, wrong).await.expect(401);
            }
        }
    }
    let path = format!("/v1/users/{}", ann.id);
    let locks = async || {
        let read = world.backend(Method::GET, &path, None).await.expect(200);
        read.body["locks"].as_array().unwrap().len()
    };
    assert_eq!(locks().await, 2);
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    assert_eq!(locks().await, 0);
}

#[tokio::test]
async fn wrong_codes_of_an_app_are_not_those_of_the_one_that_takes_its_place() {
    for removed in [false, true] {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let token = world.token(&ann).await;
        let _ = world.enrol(&token).await;
        let guess = async |method: &str, wrong: &str, count: usize| {
            for some in [count.min(5), count.saturating_sub(5)] {
                let challenge = world.challenge(&ann).await;
                for _ in 0..some {
                    let _ = world
                        .verify(&challenge, method, wrong)
                        .await
                        .refused(401, "code-invalid");
                }
            }
        };
        // One more of each brings a delay on.
        guess("totp", "0000000", 9).await;
        guess("recovery_code", "0000-0000-0000-0000-0000-0000", 9).await;
        if removed {
            let _ = world
                .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
                .await
                .expect(204);
        }
        let (app, recovery) = world.enrol(&token).await;
        world.advance(30);
        guess("totp", "0000000", 1).await;
        let challenge = world.challenge(&ann).await;
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .expect(200);
        if removed {
            guess("recovery_code", "0000-0000-0000-0000-0000-0000", 1).await;
            let challenge = world.challenge(&ann).await;
            let _ = world
                .verify(&challenge, "recovery_code", &recovery[0])
                .await
                .expect(200);
        }
    }
}
