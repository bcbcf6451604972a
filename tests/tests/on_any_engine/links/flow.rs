//! One-time links: what they open, what spends them, and where they lead.

use reqwest::Method;
use serde_json::{Value, json};
use shared::kernel::secret::Secret;
use tests::path;
use tests::{Answer, Authenticator, PASSWORD, Person, World, claims, token_of};

const PORTAL: &str = "https://portal.example/in?tenant=7";

/// Has a link made; answers with what was answered.
async fn create(world: &World, body: Value) -> Answer {
    world.backend(Method::POST, "/v1/links", Some(body)).await
}

/// Has a link mailed to somebody; answers with its token.
async fn link(world: &World, person: &Person) -> String {
    let _ = create(world, json!({"user": person.id})).await.expect(202);
    token_of(&world.outbox().await.pop().unwrap())
}

async fn redeem(world: &World, token: &str) -> Answer {
    world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
}

/// Opens a challenge with a link and has a code sent by SMS.
async fn challenge_and_code(world: &World, token: &str) -> (String, String) {
    let challenge = redeem(world, token).await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    (challenge, world.last_code().await)
}

#[tokio::test]
async fn a_link_and_a_code_make_a_token() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": "+12025550123"})).await;
    let made = create(&world, json!({"user": ann.id})).await.expect(202);
    assert_eq!(
        (&made.body["destination"], &made.body["expires_in"]),
        (&json!("a••••••••@example.com"), &json!(3600))
    );
    assert!(made.text("id").starts_with("link_"));
    let mail = world.outbox().await.pop().unwrap();
    assert_eq!(
        (mail["channel"].as_str(), mail["to"].as_str()),
        (Some("email"), Some("ann@example.com"))
    );
    let token = token_of(&mail);
    let text = mail["text"].as_str().unwrap();
    let last = text.split_whitespace().next_back().unwrap();
    assert_eq!(last, format!("{}/link#{token}", world.stack.base_url()));
    assert!(mail["html"].as_str().unwrap().contains(last) && text.contains("Alder & Pine"));
    assert!(
        !made.body.to_string().contains(&token),
        "the token is in the mail alone"
    );

    let opened = redeem(&world, &token).await.expect(200);
    assert_eq!(opened.body["status"], "second_factor_required");
    assert_eq!(
        opened.body["methods"],
        json!([{"method": "sms", "destination": "+1••••••••23"}])
    );
    let challenge = opened.text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let done = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(
        (&done.body["acr"], &done.body["amr"]),
        (&json!("two-factor"), &json!(["otp", "sms", "mfa"]))
    );
    assert_eq!(claims(&done.text("access_token"))["sub"], ann.id);

    let _ = redeem(&world, &token).await.refused(410, "link-used");
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions,
        [
            "user-created",
            "link-created",
            "link-opened",
            "code-sent",
            "code-verified"
        ]
    );
    let told = json!(world.audit(&ann.id).await).to_string();
    assert!(
        told.contains(&made.text("id"))
            && !told.contains(&token)
            && !told.contains("ann@example.com"),
        "{told}"
    );
}

#[tokio::test]
async fn redeeming_uses_nothing_up_and_the_second_factor_spends_the_link_for_all_its_challenges() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    for _ in 0..3 {
        let _ = redeem(&world, &token).await.expect(200);
    }
    let (here, old) = challenge_and_code(&world, &token).await;
    world.advance(60);
    let (there, code) = challenge_and_code(&world, &token).await;
    let _ = world.verify(&there, "sms", &code).await.expect(200);
    let _ = world
        .verify(&here, "sms", &old)
        .await
        .refused(410, "challenge-used");
    let _ = world
        .verify(&here, "sms", "000000")
        .await
        .refused(410, "challenge-used");
    let _ = world
        .issue(&here, "sms")
        .await
        .refused(410, "challenge-used");
    let _ = redeem(&world, &token).await.refused(410, "link-used");
    // A day later it is still known as what it was.
    world.advance(86_400);
    let _ = redeem(&world, &token).await.refused(410, "link-used");
}

#[tokio::test]
async fn a_link_ends_and_is_told_from_what_nobody_was_sent() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = create(&world, json!({"user": ann.id, "expires_in": 90}))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    world.advance(89);
    let challenge = redeem(&world, &token).await.expect(200).text("challenge");
    world.advance(1);
    let _ = redeem(&world, &token).await.refused(410, "link-expired");
    // What was opened in time is completed in time.
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    let unknown = format!("lnk_{}", "A".repeat(43));
    let _ = redeem(&world, &unknown).await.refused(404, "link-unknown");

    let _ = world.stack.meter().take();
    for odd in [
        "",
        "lnk_",
        &token[..46],
        &token.replace("lnk_", "chl_"),
        &format!("{token}A"),
        "lnk_é",
        &"lnk_".repeat(2_000),
    ] {
        let _ = redeem(&world, odd).await.refused(404, "link-unknown");
    }
    assert_eq!(
        world.stack.meter().take().requests,
        0,
        "what has not the form of a link is told without a look at the table"
    );

    // A week after its end it is taken away; then it is nobody's.
    world.advance(8 * 86_400);
    let cleaned = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    assert_eq!(cleaned.body["links"], 1, "{}", cleaned.body);
    let _ = redeem(&world, &token).await.refused(404, "link-unknown");
}

#[tokio::test]
async fn disabling_and_another_mailbox_or_password_end_links_for_good() {
    let endings = [
        (json!({"disabled": true}), Some(json!({"disabled": false}))),
        (
            json!({"email": "other@example.com"}),
            Some(json!({"email": "ann@example.com"})),
        ),
        (json!({"password": "another horse battery"}), None),
    ];
    for (ending, back) in endings {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let token = link(&world, &ann).await;
        let (challenge, code) = challenge_and_code(&world, &token).await;
        let path = format!("/v1/users/{}", ann.id);
        for patch in [Some(ending.clone()), back].into_iter().flatten() {
            let _ = world
                .backend(Method::PATCH, &path, Some(patch))
                .await
                .expect(200);
            let _ = redeem(&world, &token).await.refused(410, "link-expired");
            let _ = world
                .verify(&challenge, "sms", &code)
                .await
                .refused(410, "challenge-expired");
        }
        let _ = redeem(&world, &link(&world, &ann).await).await.expect(200);
    }
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    let _ = world
        .backend(Method::DELETE, &format!("/v1/users/{}", ann.id), None)
        .await
        .expect(204);
    let _ = redeem(&world, &token).await.refused(410, "link-expired");
}

#[tokio::test]
async fn a_link_is_followed_by_a_second_factor_for_everybody_from_everywhere() {
    let world = World::new().await;
    let _ = world.settings(json!({"ip_allowlist": ["127.0.0.0/16"], "second_factor": {"internal_required": false}})).await;
    let staff = world.user("staff", json!({"kind": "internal"})).await;
    assert_eq!(
        world.login("staff", PASSWORD).await.expect(200).body["status"],
        "authenticated"
    );
    let opened = redeem(&world, &link(&world, &staff).await)
        .await
        .expect(200);
    assert_eq!(opened.body["status"], "second_factor_required");
}

#[tokio::test]
async fn a_code_by_mail_after_a_mailed_link_is_one_mailbox_proved_twice() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    let opened = redeem(&world, &token).await.expect(200);
    assert!(
        !opened.body["methods"].to_string().contains("email"),
        "off by default"
    );
    let _ = world
        .issue(&opened.text("challenge"), "email")
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let opened = redeem(&world, &token).await.expect(200);
    assert!(opened.body["methods"].to_string().contains("email"));
    let challenge = opened.text("challenge");
    let _ = world.issue(&challenge, "email").await.expect(202);
    let done = world
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(
        (&done.body["acr"], &done.body["amr"]),
        (&json!("single-factor"), &json!(["otp"]))
    );
}

#[tokio::test]
async fn who_never_had_a_factor_enrols_and_who_has_none_enabled_is_told_so() {
    let world = World::new().await;
    let new = world.user("new", json!({"phone": null})).await;
    let opened = redeem(&world, &link(&world, &new).await).await.expect(200);
    assert_eq!(opened.body["status"], "enrolment_required");
    assert_eq!(
        opened.body["methods"],
        json!([{"method": "totp"}, {"method": "sms"}])
    );
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = redeem(&world, &token)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn an_app_that_is_set_up_by_a_link_spends_it() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let new = world.user("new", json!({"phone": null})).await;
    let _ = create(&world, json!({"user": new.id, "redirect_uri": PORTAL}))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let other = redeem(&world, &token).await.expect(200).text("challenge");
    let challenge = redeem(&world, &token).await.expect(200).text("challenge");
    let done = set_up(&world, &challenge).await;
    assert_eq!(
        done["status"], "redirect",
        "the portal's back end gets the token, and nobody else"
    );
    let code = json!({"code": done["code"]});
    let got = world
        .backend(Method::POST, "/v1/tokens", Some(code))
        .await
        .expect(200);
    assert_eq!(
        (&got.body["acr"], &got.body["amr"]),
        (&json!("two-factor"), &json!(["otp", "mfa"]))
    );
    let _ = redeem(&world, &token).await.refused(410, "link-used");
    let _ = world
        .post("/v1/factors/totp", json!({"challenge": other}))
        .await
        .refused(410, "challenge-used");
}

#[tokio::test]
async fn an_app_that_comes_after_its_link_was_spent_is_told_so() {
    let world = World::new().await;
    let new = world.user("new", json!({"phone": null})).await;
    let token = link(&world, &new).await;
    let challenge = redeem(&world, &token).await.expect(200).text("challenge");
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    // Spent by a challenge that the user's item has no room for any more.
    let key = shared::signin::link::Token::read(&Secret::new(token))
        .unwrap()
        .key();
    let spent =
        shared::store::dynamo::Update::of(key).set(path("used_at"), world.stack.clock().now());
    world
        .stack
        .table()
        .transact(vec![spent.into()])
        .await
        .unwrap();
    let code = Authenticator::reading(&begun).code(&world);
    let confirm = json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    let _ = world
        .post("/v1/factors/totp/confirm", confirm)
        .await
        .refused(410, "challenge-used");
}

/// Sets up an app with a challenge; answers with what the sign-in came to.
async fn set_up(world: &World, challenge: &str) -> Value {
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    let code = Authenticator::reading(&begun).code(world);
    let confirm = json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    world
        .post("/v1/factors/totp/confirm", confirm)
        .await
        .expect(200)
        .body["authenticated"]
        .clone()
}

#[tokio::test]
async fn after_a_reset_a_link_lets_an_app_be_set_up_and_the_password_does_not() {
    let world = World::new().await;
    let new = world.user("new", json!({"phone": null})).await;
    let challenge = world
        .login("new", PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    let _ = set_up(&world, &challenge).await;
    let before = link(&world, &new).await;
    assert_eq!(
        redeem(&world, &before).await.expect(200).body["status"],
        "second_factor_required"
    );
    let _ = world
        .backend(
            Method::DELETE,
            &format!("/v1/users/{}/factors/totp", new.id),
            None,
        )
        .await
        .expect(204);
    let _ = world
        .login("new", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let opened = redeem(&world, &link(&world, &new).await).await.expect(200);
    assert_eq!(opened.body["status"], "enrolment_required");
    let done = set_up(&world, &opened.text("challenge")).await;
    assert_eq!(
        (&done["status"], &done["acr"]),
        (&json!("authenticated"), &json!("two-factor"))
    );
}

#[tokio::test]
async fn after_a_reset_a_phone_that_no_code_goes_to_stands_in_nobodys_way() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.enrol(&world.token(&ann).await).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let path = format!("/v1/users/{}/factors/totp", ann.id);
    let _ = world.backend(Method::DELETE, &path, None).await.expect(204);
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let token = link(&world, &ann).await;
    let opened = redeem(&world, &token).await.expect(200);
    assert_eq!(opened.body["status"], "enrolment_required");
    // Where codes go to the phone, it is the factor.
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": true}}}))
        .await;
    assert_eq!(
        redeem(&world, &token).await.expect(200).body["status"],
        "second_factor_required"
    );
}

#[tokio::test]
async fn a_portal_is_given_a_code_and_its_back_end_the_token() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let _ = create(&world, json!({"user": ann.id, "redirect_uri": PORTAL}))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let (challenge, code) = challenge_and_code(&world, &token).await;
    let proved_at = world.stack.clock().now().as_secs();
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(
        (&done.body["status"], &done.body["expires_in"]),
        (&json!("redirect"), &json!(60))
    );
    assert!(done.body.get("access_token").is_none());
    let handed = done.text("code");
    assert_eq!(done.text("redirect_uri"), format!("{PORTAL}&code={handed}"));
    world.advance(59);

    // Another account's back end finds nothing there.
    let (_, other) = world.open_account("starter").await;
    let exchange = |key: &str, code: &str| {
        world.send(
            world
                .request(Method::POST, "/v1/tokens")
                .bearer_auth(key)
                .json(&json!({"code": code})),
        )
    };
    let _ = exchange(&other, &handed).await.refused(404, "not-found");
    let got = exchange(&world.key, &handed).await.expect(200);
    assert_eq!(
        (&got.body["status"], &got.body["acr"]),
        (&json!("authenticated"), &json!("two-factor"))
    );
    let claims = claims(&got.text("access_token"));
    assert_eq!(
        (claims["sub"].as_str(), claims["auth_time"].as_i64()),
        (Some(ann.id.as_str()), Some(proved_at))
    );
    let me = world
        .send(
            world
                .request(Method::GET, "/v1/me")
                .bearer_auth(got.text("access_token")),
        )
        .await
        .expect(200);
    assert_eq!(me.body["username"], "ann");
    let _ = exchange(&world.key, &handed)
        .await
        .refused(410, "code-used");
    for odd in ["", "otc_", "otc_x", "048213", &"otc_".repeat(100)] {
        let _ = exchange(&world.key, odd).await.refused(404, "not-found");
    }
    let actions = world.actions(&ann.id).await;
    assert_eq!(actions.last().unwrap(), "token-redeemed");
    let told = json!(world.audit(&ann.id).await).to_string();
    assert!(!told.contains(&handed) && !told.contains(&token));
}

#[tokio::test]
async fn a_code_for_a_portal_ends_with_its_minute_and_with_its_user() {
    for disabled in [false, true] {
        let world = World::new().await;
        let _ = world
            .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
            .await;
        let ann = world.user("ann", json!({})).await;
        let _ = create(&world, json!({"user": ann.id, "redirect_uri": PORTAL}))
            .await
            .expect(202);
        let (challenge, code) =
            challenge_and_code(&world, &token_of(&world.outbox().await.pop().unwrap())).await;
        let handed = world
            .verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .text("code");
        if disabled {
            let path = format!("/v1/users/{}", ann.id);
            let _ = world
                .backend(Method::PATCH, &path, Some(json!({"disabled": true})))
                .await
                .expect(200);
        } else {
            world.advance(60);
        }
        let _ = world
            .backend(Method::POST, "/v1/tokens", Some(json!({"code": handed})))
            .await
            .refused(410, "code-expired");
    }
}

#[tokio::test]
async fn a_link_leads_only_to_what_is_registered_and_still_is() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL, "http://127.0.0.1:8080/cb"]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    for odd in [
        "https://portal.example/in",
        "https://portal.example/in?tenant=7#",
        "https://portal.example/in?tenant=7&next=x",
        "https://portal.example/in/../in?tenant=7",
        "https://PORTAL.example/in?tenant=7",
        "https://portal.example:443/in?tenant=7",
        "https://portal.example@evil.example/in?tenant=7",
        "https://portal.example.evil.example/in?tenant=7",
        "https://portal.example\\@evil.example/in?tenant=7",
        "https://portal.example%2eevil.example/in?tenant=7",
        "//portal.example/in?tenant=7",
        "javascript:alert(1)",
        "http://portal.example/in?tenant=7",
        " https://portal.example/in?tenant=7",
        "https://portal.example/in?tenant=7\n",
        "https://portal.example/in\t?tenant=7",
        "http://127.0.0.1:8081/cb",
        "",
        &format!("https://portal.example/{}", "a".repeat(10_000)),
    ] {
        let refused = create(&world, json!({"user": ann.id, "redirect_uri": odd}))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["/redirect_uri"], "{odd}");
    }
    assert!(world.outbox().await.is_empty());

    let _ = create(&world, json!({"user": ann.id, "redirect_uri": PORTAL}))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let (challenge, code) = challenge_and_code(&world, &token).await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": []}}))
        .await;
    let _ = redeem(&world, &token).await.refused(410, "link-expired");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
    // Registered again, it leads there again: nothing was counted, nothing was spent.
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_link_is_refused_where_it_could_not_be_mailed_or_lasts_too_long() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let mute = world.user("mute", json!({"email": null})).await;
    let _ = create(&world, json!({"user": mute.id}))
        .await
        .refused(422, "link-not-possible");
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", mute.id),
            Some(json!({"disabled": true})),
        )
        .await
        .expect(200);
    let _ = create(&world, json!({"user": mute.id}))
        .await
        .refused(422, "link-not-possible");
    for (field, odd) in [
        ("expires_in", json!(0)),
        ("expires_in", json!(86_401)),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1.5)),
        ("expires_in", json!("1h")),
        ("user", json!("ann")),
        ("user", json!(7)),
        ("colour", json!("red")),
    ] {
        let mut body = json!({"user": ann.id});
        body[field] = odd;
        let refused = create(&world, body).await.refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [format!("/{field}")]);
    }
    let _ = create(&world, json!({"user": "usr_00000000000000000000000001"}))
        .await
        .refused(404, "not-found");
    let (_, other) = world.open_account("starter").await;
    let elsewhere = world
        .request(Method::POST, "/v1/links")
        .bearer_auth(other)
        .json(&json!({"user": ann.id}));
    let _ = world.send(elsewhere).await.refused(404, "not-found");
    assert!(world.outbox().await.is_empty());
    assert_eq!(world.actions(&ann.id).await, ["user-created"]);
    let longest = create(&world, json!({"user": ann.id, "expires_in": 86_400}))
        .await
        .expect(202);
    assert_eq!(longest.body["expires_in"], 86_400);
}

#[tokio::test]
async fn a_repeated_request_for_a_link_is_answered_as_before_and_mails_nothing() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let ask = |key: &str, seconds: u32| {
        let body = json!({"user": ann.id, "expires_in": seconds});
        let request = world
            .request(Method::POST, "/v1/links")
            .bearer_auth(&world.key);
        world.send(
            request
                .header("idempotency-key", key.to_owned())
                .json(&body),
        )
    };
    let first = ask("\"k1\"", 600).await.expect(202);
    let again = ask("k1", 600).await.expect(202);
    assert_eq!(first.body, again.body);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(world.outbox().await.len(), 1);
    let _ = ask("k1", 601).await.refused(422, "idempotency-key-reused");
    let _ = ask("\"\"", 600).await.refused(400, "invalid-request");
    assert_ne!(
        ask("k2", 600).await.expect(202).text("id"),
        first.text("id")
    );
    // A refusal frees the key.
    let _ = ask("k3", 0).await.refused(400, "invalid-request");
    let _ = ask("k3", 600).await.expect(202);
}

#[tokio::test]
async fn a_guess_counts_for_the_factor_whatever_opened_the_challenge() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    for opened_by_link in [true, false] {
        let challenge = if opened_by_link {
            redeem(&world, &token).await.expect(200).text("challenge")
        } else {
            world.challenge(&ann).await
        };
        for _ in 0..5 {
            let _ = world
                .verify(&challenge, "sms", "000000")
                .await
                .refused(401, "code-invalid");
        }
    }
    let challenge = redeem(&world, &token).await.expect(200).text("challenge");
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
}

#[tokio::test]
async fn what_another_challenge_has_spent_is_told_for_as_long_as_any_of_the_link_lives() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = link(&world, &ann).await;
    let (early, _) = challenge_and_code(&world, &token).await;
    world.advance(500);
    let late = redeem(&world, &token).await.expect(200).text("challenge");
    world.advance(99);
    let _ = world.issue(&early, "sms").await.expect(202);
    let _ = world
        .verify(&early, "sms", &world.last_code().await)
        .await
        .expect(200);
    // The time of the one that was completed is over; whoever holds the other is told why it leads
    // nowhere.
    for seconds in [1, 400] {
        world.advance(seconds);
        let cleaned = world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await
            .expect(200);
        assert_eq!(cleaned.body["failed"], 0);
        let _ = world
            .verify(&late, "sms", "000000")
            .await
            .refused(410, "challenge-used");
        let _ = world
            .issue(&late, "sms")
            .await
            .refused(410, "challenge-used");
    }
}

#[tokio::test]
async fn a_link_and_a_portals_code_that_are_over_are_told_from_what_there_never_was_after_a_clean_up_too()
 {
    let world = World::new().await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let _ = create(
        &world,
        json!({"user": ann.id, "redirect_uri": PORTAL, "expires_in": 90}),
    )
    .await
    .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let (challenge, code) = challenge_and_code(&world, &token).await;
    let handed = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("code");
    let _ = create(&world, json!({"user": ann.id, "expires_in": 90}))
        .await
        .expect(202);
    let unused = token_of(&world.outbox().await.pop().unwrap());
    let exchange = async || {
        world
            .backend(Method::POST, "/v1/tokens", Some(json!({"code": handed})))
            .await
    };
    let clean = async || {
        world
            .send(world.request(Method::POST, "/_local/cleanup"))
            .await
            .expect(200)
    };
    world.advance(3_600);
    let _ = clean().await;
    let _ = exchange().await.refused(410, "code-expired");
    let _ = redeem(&world, &token).await.refused(410, "link-used");
    let _ = redeem(&world, &unused).await.refused(410, "link-expired");
    world.advance(6 * 86_400);
    let _ = clean().await;
    let _ = redeem(&world, &token).await.refused(410, "link-used");
    let _ = redeem(&world, &unused).await.refused(410, "link-expired");
}
