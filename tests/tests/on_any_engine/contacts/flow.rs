//! A new phone or mail address of one's own counts once the code that was sent there was typed.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::contacts::{begin, confirm, messages, prove, recipients, remove};
use tests::{Answer, Authenticator, PASSWORD, Person, World, another, claims};

const OLD: &str = "+12025550123";
const NEW: &str = "+12025550177";

/// Somebody with a phone and a mailbox, and a token by SMS.
async fn ann(world: &World) -> (Person, String) {
    let ann = world.user("ann", json!({"phone": OLD})).await;
    let token = world.token(&ann).await;
    let _ = messages(world).await;
    (ann, token)
}

async fn me(world: &World, token: &str) -> Value {
    world
        .as_user(token, Method::GET, "/v1/me", None)
        .await
        .expect(200)
        .body
}

fn retry_after(answer: &Answer) -> i64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_new_phone_counts_once_its_code_is_typed_and_what_was_there_before_is_told() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let open = world.challenge(&ann).await;
    let begun = begin(&world, &token, "sms", NEW).await.expect(202);
    assert!(begun.text("factor").starts_with("fac_"));
    let shown = [
        &begun.body["destination"],
        &begun.body["expires_in"],
        &begun.body["resend_in"],
        &begun.body["code_length"],
    ];
    assert_eq!(
        shown,
        [&json!("+1••••••••77"), &json!(300), &json!(30), &json!(6)]
    );
    // The code goes to the new number, and nothing else goes anywhere; nothing has changed.
    let code = world.last_code().await;
    let sent = messages(&world).await;
    assert_eq!(recipients(&sent), [NEW]);
    assert!(
        sent[0].1.contains(&begun.text("reference")) && sent[0].1.contains("confirmation code"),
        "{sent:?}"
    );
    assert_eq!(me(&world, &token).await["phone"], "+1••••••••23");

    let done = confirm(&world, &token, "sms", &begun.text("factor"), &code)
        .await
        .expect(200);
    assert_eq!(
        done.body,
        json!({"method": "sms", "destination": "+1••••••••77"})
    );
    let shown = me(&world, &token).await;
    assert_eq!(
        (&shown["phone"], &shown["phone_verified"]),
        (&json!("+1••••••••77"), &json!(true))
    );
    let told = messages(&world).await;
    assert_eq!(
        recipients(&told),
        [OLD, "ann@example.com"],
        "the number before, and the mailbox"
    );
    assert!(
        told.iter().all(|(_, text)| text.contains("Alder & Pine")
            && text.contains("77")
            && !text.contains(NEW)),
        "{told:?}"
    );
    // It took the place of another: what was open is over, and a code goes to the new number.
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(410, "challenge-expired");
    assert_eq!(
        world.login("ann", PASSWORD).await.expect(200).body["methods"][0]["destination"],
        "+1••••••••77"
    );
    let entries = world.audit(&ann.id).await;
    let entry = entries
        .iter()
        .rfind(|entry| entry["action"] == "factor-enrolled")
        .unwrap();
    assert_eq!(
        (
            &entry["details"]["method"],
            &entry["details"]["destination"]
        ),
        (&json!("sms"), &json!("+1••••••••77"))
    );
    assert!(!serde_json::to_string(&entries).unwrap().contains("5550177"));
    // The code was used.
    let _ = confirm(&world, &token, "sms", &begun.text("factor"), &code)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_new_mail_address_is_proved_and_ends_what_was_mailed_to_the_one_before() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let link = json!({"user": ann.id});
    let _ = world
        .backend(Method::POST, "/v1/links", Some(link))
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let _ = messages(&world).await;
    let begun = begin(&world, &token, "email", "new@example.org")
        .await
        .expect(202);
    assert_eq!(
        (
            begun.text("destination"),
            begun.body["code_length"].as_u64()
        ),
        ("n••••••••@example.org".into(), Some(8))
    );
    let code = world.last_code().await;
    assert_eq!(recipients(&messages(&world).await), ["new@example.org"]);
    let _ = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200);
    let done = confirm(&world, &token, "email", &begun.text("factor"), &code)
        .await
        .expect(200);
    assert_eq!(
        done.body,
        json!({"method": "email", "destination": "n••••••••@example.org"})
    );
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    assert!(told[0].1.contains("n••••••••@example.org"), "{told:?}");
    let shown = me(&world, &token).await;
    assert_eq!(
        (&shown["email"], &shown["email_verified"]),
        (&json!("n••••••••@example.org"), &json!(true))
    );
    let _ = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .refused(410, "link-expired");
}

#[tokio::test]
async fn a_code_is_good_for_its_user_its_enrolment_and_its_kind_alone() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let ben = world.user("ben", json!({})).await;
    let bens = world.token(&ben).await;
    let begun = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    // Another's, under either name; another kind; and after another contact has taken its place.
    let _ = confirm(&world, &bens, "sms", &begun, &code)
        .await
        .refused(404, "not-found");
    let _ = confirm(&world, &token, "email", &begun, &code)
        .await
        .refused(404, "not-found");
    let same = begin(&world, &bens, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let _ = confirm(&world, &bens, "sms", &same, &code)
        .await
        .refused(401, "code-invalid");
    world.advance(30);
    let other = begin(&world, &token, "sms", "+12025550178")
        .await
        .expect(202)
        .text("factor");
    assert_ne!(begun, other);
    let _ = confirm(&world, &token, "sms", &begun, &code)
        .await
        .refused(404, "not-found");
    let _ = confirm(&world, &token, "sms", &other, &code)
        .await
        .refused(401, "code-invalid");
    assert_eq!(me(&world, &token).await["phone"], "+1••••••••23");
}

#[tokio::test]
async fn five_wrong_codes_end_it_and_another_begins_anew() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let factor = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    for left in [4, 3, 2, 1, 0] {
        let wrong = confirm(&world, &token, "sms", &factor, &another(&code))
            .await
            .refused(401, "code-invalid");
        assert_eq!(wrong.body["attempts_left"], left);
    }
    let _ = confirm(&world, &token, "sms", &factor, &code)
        .await
        .refused(429, "too-many-attempts");
    // What the code was guessed at for goes on waiting for another, and is another enrolment.
    let _ = begin(&world, &token, "sms", NEW)
        .await
        .refused(429, "resend-too-soon");
    world.advance(30);
    let again = begin(&world, &token, "sms", NEW).await.expect(202);
    assert_ne!(again.text("factor"), factor);
    assert_eq!(again.body["resend_in"], 60);
    let _ = confirm(
        &world,
        &token,
        "sms",
        &again.text("factor"),
        &world.last_code().await,
    )
    .await
    .expect(200);
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "factor-enrolled: wrong-code")
            .count(),
        5
    );
    for body in [
        json!({"factor": factor, "code": "12a"}),
        json!({"factor": "fac_x", "code": "123456"}),
        json!({"code": "123456"}),
    ] {
        let _ = world
            .as_user(&token, Method::POST, "/v1/factors/sms/confirm", Some(body))
            .await
            .refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn another_code_to_the_same_contact_has_to_wait_and_supersedes_the_one_before() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let first = begin(&world, &token, "sms", NEW).await.expect(202);
    let old = world.last_code().await;
    let refused = begin(&world, &token, "sms", NEW)
        .await
        .refused(429, "resend-too-soon");
    assert_eq!(
        (retry_after(&refused), refused.body["resend_in"].as_i64()),
        (30, Some(30))
    );
    world.advance(30);
    let second = begin(&world, &token, "sms", NEW).await.expect(202);
    assert_eq!(
        (second.text("factor"), second.body["resend_in"].as_i64()),
        (first.text("factor"), Some(60))
    );
    let code = world.last_code().await;
    let superseded = confirm(&world, &token, "sms", &first.text("factor"), &old)
        .await
        .refused(401, "code-superseded");
    assert_eq!(superseded.body["attempts_left"], 4);
    let _ = confirm(&world, &token, "sms", &first.text("factor"), &code)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_code_that_nobody_typed_ends_and_so_does_what_waits_for_it() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let factor = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    world.advance(299);
    let wrong = confirm(&world, &token, "sms", &factor, &another(&code))
        .await
        .refused(401, "code-invalid");
    assert_eq!(wrong.body["attempts_left"], 4);
    world.advance(1);
    let _ = confirm(&world, &token, "sms", &factor, &code)
        .await
        .refused(410, "code-expired");
    world.advance(300);
    let later = world.token(&ann).await;
    let _ = confirm(&world, &later, "sms", &factor, &code)
        .await
        .refused(404, "not-found");
    let report = tests::agreements::clean(&world).await;
    assert_eq!(report["enrolments"], 1, "{report}");
    let user = &world.content().await;
    assert!(
        !serde_json::to_string(user).unwrap().contains("5550177"),
        "nothing of it is kept"
    );
}

#[tokio::test]
async fn a_user_changes_each_contact_three_times_a_day() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let phone = |number: u32| format!("+120255502{number:02}");
    for number in 0..3 {
        let _ = prove(&world, &token, "sms", &phone(number)).await;
    }
    let refused = begin(&world, &token, "sms", &phone(3))
        .await
        .refused(429, "too-many-changes");
    assert_eq!(retry_after(&refused), 86_400);
    // The mail address has its own three, of which taking it away is one.
    let _ = prove(&world, &token, "email", "one@example.org").await;
    let _ = remove(&world, &token, "email").await.expect(204);
    let _ = prove(&world, &token, "email", "two@example.org").await;
    let _ = begin(&world, &token, "email", "three@example.org")
        .await
        .refused(429, "too-many-changes");
    let _ = remove(&world, &token, "email")
        .await
        .refused(429, "too-many-changes");
    // An administrator changes it all the same.
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", ann.id),
            Some(json!({"phone": OLD})),
        )
        .await
        .expect(200);
    world.advance(86_399);
    let token = world.token(&ann).await;
    let _ = begin(&world, &token, "sms", &phone(3))
        .await
        .refused(429, "too-many-changes");
    world.advance(1);
    let _ = prove(&world, &token, "sms", &phone(3)).await;
}

#[tokio::test]
async fn a_contact_takes_a_fresh_second_factor_which_is_judged_when_it_was_begun() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    world.advance(300);
    let factor = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let app = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    world.advance(60);
    for method in ["sms", "email"] {
        let _ = begin(
            &world,
            &token,
            method,
            if method == "sms" {
                OLD
            } else {
                "a@example.org"
            },
        )
        .await
        .refused(403, "fresh-second-factor-required");
        let _ = remove(&world, &token, method)
            .await
            .refused(403, "fresh-second-factor-required");
    }
    // What was begun in time is confirmed; another token, which was not fresh then, confirms
    // nothing.
    let body =
        json!({"factor": app.text("factor"), "code": Authenticator::reading(&app).code(&world)});
    let _ = world
        .as_user(&token, Method::POST, "/v1/factors/totp/confirm", Some(body))
        .await
        .expect(200);
    let _ = confirm(&world, &token, "sms", &factor, &code)
        .await
        .expect(200);

    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.0/16"]}))
        .await;
    let staff = world.user("staff", json!({"kind": "internal"})).await;
    let office = world.opened("staff").await.text("access_token");
    let _ = begin(&world, &office, "sms", NEW)
        .await
        .refused(403, "fresh-second-factor-required");
    let body = json!({"account": world.account, "username": "staff", "password": PASSWORD, "second_factor": true});
    let challenge = world
        .post("/v1/login", body)
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let fresh = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200)
        .text("access_token");
    let factor = begin(&world, &fresh, "sms", "+12025550179")
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let _ = confirm(&world, &office, "sms", &factor, &code)
        .await
        .refused(403, "fresh-second-factor-required");
    let _ = confirm(&world, &fresh, "sms", &factor, &code)
        .await
        .expect(200);
    assert!(
        world
            .actions(&staff.id)
            .await
            .contains(&"factor-enrolled".to_owned())
    );
    let _ = world.actions(&ann.id).await;
}

#[tokio::test]
async fn a_first_sign_in_may_set_up_a_phone_and_is_completed_by_it() {
    let world = World::new().await;
    let eve = world
        .user("eve", json!({"phone": null, "email": null}))
        .await;
    let login = world.opened("eve").await;
    assert_eq!(login.body["status"], "enrolment_required");
    assert_eq!(
        login.body["methods"],
        json!([{"method": "totp"}, {"method": "sms"}])
    );
    let challenge = login.text("challenge");
    let begun = world
        .post(
            "/v1/factors/sms",
            json!({"challenge": challenge, "phone": NEW}),
        )
        .await
        .expect(202);
    let body =
        |code: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    let code = world.last_code().await;
    let wrong = world
        .post("/v1/factors/sms/confirm", body(&another(&code)))
        .await
        .refused(401, "code-invalid");
    assert_eq!(wrong.body["attempts_left"], 4);
    let done = world
        .post("/v1/factors/sms/confirm", body(&code))
        .await
        .expect(200);
    assert_eq!(
        (&done.body["method"], &done.body["destination"]),
        (&json!("sms"), &json!("+1••••••••77"))
    );
    let signed_in = &done.body["authenticated"];
    assert_eq!(
        (&signed_in["status"], &signed_in["acr"]),
        (&json!("authenticated"), &json!("two-factor"))
    );
    let token = signed_in["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["amr"], json!(["pwd", "otp", "sms", "mfa"]));
    let shown = me(&world, token).await;
    assert_eq!(
        (&shown["phone"], &shown["phone_verified"]),
        (&json!("+1••••••••77"), &json!(true))
    );
    // The challenge is used, and the next sign-in takes the phone.
    let _ = world
        .post(
            "/v1/factors/sms",
            json!({"challenge": challenge, "phone": NEW}),
        )
        .await
        .refused(410, "challenge-used");
    assert_eq!(
        world.opened("eve").await.body["status"],
        "second_factor_required"
    );
    assert_eq!(
        world.outbox().await.len(),
        1,
        "nobody else is told of a first one"
    );
    assert_eq!(
        world.actions(&eve.id).await,
        [
            "user-created",
            "sign-in",
            "enrolment-begun",
            "factor-enrolled: wrong-code",
            "factor-enrolled",
            "sign-in"
        ]
    );
}

#[tokio::test]
async fn a_phone_is_no_first_factor_where_it_is_off_or_another_factor_is_there() {
    let world = World::new().await;
    let _ = world
        .user("eve", json!({"phone": null, "email": null}))
        .await;
    let open = world.opened("eve").await.text("challenge");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    assert_eq!(
        world.opened("eve").await.body["methods"],
        json!([{"method": "totp"}])
    );
    let _ = world
        .post("/v1/factors/sms", json!({"challenge": open, "phone": NEW}))
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": true, "totp": false}}}))
        .await;
    assert_eq!(
        world.opened("eve").await.body["methods"],
        json!([{"method": "sms"}])
    );
    // A challenge that asks for a factor sets none up, and one that is no challenge is told so.
    let _ = world.user("ann", json!({})).await;
    let owed = world.opened("ann").await.text("challenge");
    let body = json!({"challenge": owed, "phone": NEW});
    let _ = world
        .post("/v1/factors/sms", body)
        .await
        .refused(403, "fresh-second-factor-required");
    let _ = world
        .post(
            "/v1/factors/sms",
            json!({"challenge": "chl_x", "phone": NEW}),
        )
        .await
        .refused(401, "challenge-unknown");
    // A mailbox is no first factor.
    let body = json!({"challenge": open, "email": "eve@example.org"});
    let _ = world
        .post("/v1/factors/email", body)
        .await
        .refused(401, "unauthorized");
    // Meanwhile somebody gave Eve a phone: the password alone sets up no other.
    let again = world.opened("eve").await.text("challenge");
    let begun = world
        .post("/v1/factors/sms", json!({"challenge": again, "phone": NEW}))
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let users = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200)
        .body;
    let eve = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["username"] == "eve")
        .unwrap()["id"]
        .clone();
    let path = format!("/v1/users/{}", eve.as_str().unwrap());
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"phone": OLD})))
        .await
        .expect(200);
    let body = json!({"challenge": again, "factor": begun, "code": code});
    let _ = world
        .post("/v1/factors/sms/confirm", body)
        .await
        .refused(410, "challenge-expired");
}

#[tokio::test]
async fn a_contact_is_set_up_whichever_methods_are_on() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let _ = world.enrol(&token).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = prove(&world, &token, "sms", NEW).await;
    let _ = prove(&world, &token, "email", "new@example.org").await;
    let shown = world
        .backend(Method::GET, &format!("/v1/users/{}", ann.id), None)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&shown["phone"], &shown["email"]),
        (&json!(NEW), &json!("new@example.org"))
    );
    assert_eq!(
        (&shown["phone_verified"], &shown["email_verified"]),
        (&json!(true), &json!(true))
    );
    let abroad = begin(&world, &token, "sms", "+447400123456")
        .await
        .refused(422, "destination-not-allowed");
    assert_eq!(abroad.header("retry-after"), None);
}

#[tokio::test]
async fn an_external_user_keeps_a_last_factor_and_staff_need_none() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let _ = remove(&world, &token, "sms")
        .await
        .refused(409, "last-factor");
    // The mailbox is none while codes do not go there, and goes.
    let _ = remove(&world, &token, "email").await.expect(204);
    let _ = remove(&world, &token, "email")
        .await
        .refused(404, "not-found");
    let _ = world.enrol(&token).await;
    let _ = remove(&world, &token, "sms").await.expect(204);
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .refused(409, "last-factor");
    let _ = prove(&world, &token, "sms", NEW).await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    // What is switched off is none.
    world.advance(60);
    let _ = world.enrol(&token).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .refused(409, "last-factor");
    assert!(
        world
            .actions(&ann.id)
            .await
            .contains(&"factor-removed".to_owned())
    );
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": true}}}))
        .await;
    let staff = world.user("staff", json!({"kind": "internal"})).await;
    let token = world.token(&staff).await;
    let _ = remove(&world, &token, "sms").await.expect(204);
    let _ = world
        .login("staff", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn what_is_taken_away_ends_what_was_proved_with_it_and_is_told() {
    let world = World::new().await;
    let (ann, earlier) = ann(&world).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    let open = world.challenge(&ann).await;
    let _ = messages(&world).await;
    let _ = remove(&world, &token, "sms").await.expect(204);
    assert_eq!(
        recipients(&messages(&world).await),
        [OLD, "ann@example.com"]
    );
    let _ = world
        .as_user(&earlier, Method::GET, "/v1/me", None)
        .await
        .refused(401, "unauthorized");
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(410, "challenge-expired");
    assert_eq!(me(&world, &token).await["phone"], Value::Null);
    let _ = remove(&world, &token, "email").await.expect(204);
    assert_eq!(recipients(&messages(&world).await), ["ann@example.com"]);
}

#[tokio::test]
async fn a_first_contact_ends_nothing() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": OLD, "email": null}))
        .await;
    let (earlier, token) = (world.token(&ann).await, world.token(&ann).await);
    let open = world.challenge(&ann).await;
    let _ = messages(&world).await;
    let _ = prove(&world, &token, "email", "new@example.org").await;
    let told = messages(&world).await;
    assert_eq!(
        recipients(&told),
        [OLD, "new@example.org"],
        "the code, and a text to who had no mailbox"
    );
    let _ = me(&world, &earlier).await;
    let _ = world.issue(&open, "sms").await.expect(202);
}

#[tokio::test]
async fn what_an_administrator_entered_is_proved_by_its_user_without_being_changed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": OLD})).await;
    let token = world.token(&ann).await;
    let later = world.token(&ann).await;
    let path = format!("/v1/users/{}", ann.id);
    let shown = || async {
        world
            .backend(Method::GET, &path, None)
            .await
            .expect(200)
            .body["email_verified"]
            .clone()
    };
    assert_eq!(shown().await, false);
    let _ = messages(&world).await;
    for _ in 0..4 {
        let _ = prove(&world, &token, "email", "ann@example.com").await;
        world.advance(61);
    }
    assert_eq!(shown().await, true);
    assert_eq!(
        recipients(&messages(&world).await),
        ["ann@example.com"; 4],
        "codes, and no notices"
    );
    let _ = me(&world, &later).await;
    // An administrator's change ends what was begun.
    let begun = begin(&world, &token, "email", "new@example.org")
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let _ = world
        .backend(
            Method::PATCH,
            &path,
            Some(json!({"email": "other@example.org"})),
        )
        .await
        .expect(200);
    let _ = confirm(&world, &token, "email", &begun, &code)
        .await
        .refused(401, "unauthorized");
    let token = world.token(&ann).await;
    let _ = confirm(&world, &token, "email", &begun, &code)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn one_key_sends_one_code() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let ask = |body: Value| {
        let request = world
            .request(Method::POST, "/v1/factors/sms")
            .bearer_auth(&token)
            .header("idempotency-key", "\"k\"");
        world.send(request.json(&body))
    };
    let first = ask(json!({"phone": NEW})).await.expect(202);
    let again = ask(json!({"phone": NEW})).await.expect(202);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.body),
        (Some("true"), &first.body)
    );
    assert_eq!(world.outbox().await.len(), 1);
    let _ = ask(json!({"phone": OLD}))
        .await
        .refused(422, "idempotency-key-reused");
    let _ = confirm(
        &world,
        &token,
        "sms",
        &first.text("factor"),
        &world.last_code().await,
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn a_code_that_is_not_taken_by_its_sender_counts_nowhere_and_leaves_the_one_before_good() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let first = begin(&world, &token, "sms", NEW).await.expect(202);
    let code = world.last_code().await;
    world.advance(30);
    let (before, left) = (world.content().await, texts_left(&world).await);
    let sends = world.stored(&ann).await.sends;
    for contact in [NEW, "+12025550178"] {
        world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
        let _ = begin(&world, &token, "sms", contact)
            .await
            .refused(503, "sender-unavailable");
        world.stack.faults().clear();
    }
    let after = world.content().await;
    let counted = |content: &std::collections::BTreeMap<String, Value>| {
        let counters = content
            .iter()
            .filter(|(key, _)| key.starts_with("DESTINATION#") || key.starts_with("SOURCE#"));
        counters
            .map(|(_, item)| item["moments"].as_array().map_or(0, Vec::len))
            .sum::<usize>()
    };
    assert_eq!(counted(&before), counted(&after));
    assert_eq!(texts_left(&world).await, left);
    assert_eq!(
        world.stored(&ann).await.sends,
        sends,
        "nor among the user's own"
    );
    // The wait is as it was, too.
    let second = begin(&world, &token, "sms", NEW).await.expect(202);
    assert_eq!(
        (second.text("factor"), second.body["resend_in"].as_i64()),
        (first.text("factor"), Some(60))
    );
    let _ = confirm(&world, &token, "sms", &first.text("factor"), &code)
        .await
        .refused(401, "code-superseded");
    world.advance(60);
    // One that may have arrived is told as sent, counts as sent, and is good.
    world.stack.faults().set(Service::Sns, Mode::Lost, 0, 1);
    let third = begin(&world, &token, "sms", NEW).await.expect(202);
    world.stack.faults().clear();
    assert_eq!(third.body["resend_in"], 120);
    assert_eq!(
        counted(&world.content().await),
        counted(&after) + 2 * 3,
        "each in three windows"
    );
    let _ = confirm(
        &world,
        &token,
        "sms",
        &first.text("factor"),
        &world.last_code().await,
    )
    .await
    .expect(200);
}

/// The SMS that the account may still send in this hour.
async fn texts_left(world: &World) -> Option<Value> {
    let content = world.content().await;
    content
        .into_iter()
        .find(|(key, _)| key.starts_with("BUDGET#"))
        .map(|(_, item)| item["left"].clone())
}

#[tokio::test]
async fn ones_own_number_that_is_sent_nothing_takes_nothing_from_the_texts_of_the_account() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let before = texts_left(&world).await;
    assert!(before.is_some());
    for _ in 0..3 {
        world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
        let _ = begin(&world, &token, "sms", OLD)
            .await
            .refused(503, "sender-unavailable");
        world.stack.faults().clear();
    }
    assert_eq!(texts_left(&world).await, before);
}

#[tokio::test]
async fn phone_and_mail_address_are_no_part_of_a_patch_of_oneself() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    for (body, pointer) in [
        (json!({"phone": NEW}), "/phone"),
        (json!({"email": null}), "/email"),
        (json!({"name": "A"}), "/name"),
    ] {
        let refused = world
            .as_user(&token, Method::PATCH, "/v1/me", Some(body))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer]);
    }
    for (method, body, pointer) in [
        ("sms", json!({"phone": "12"}), "/phone"),
        ("sms", json!({"phone": "+18002345678"}), "/phone"),
        ("sms", json!({}), "/phone"),
        (
            "sms",
            json!({"phone": NEW, "email": "a@example.org"}),
            "/email",
        ),
        ("email", json!({"email": "nobody"}), "/email"),
        ("email", json!({"phone": NEW}), "/phone"),
    ] {
        let path = format!("/v1/factors/{method}");
        let refused = world
            .as_user(&token, Method::POST, &path, Some(body))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers().last().map(String::as_str), Some(pointer));
    }
}
