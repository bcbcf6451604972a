//! Signing in, from the password to the token.

use std::time::Instant;
use tests::path;

use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::{PASSWORD, World, another};

fn claims(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(payload)
            .unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn a_code_is_sent_in_the_language_of_the_user_then_of_the_account() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    for (locale, text, subject) in [
        ("en", "sign-in code", "Your sign-in code for"),
        ("fr", "code de connexion", "Votre code de connexion"),
        ("de", "Anmeldecode", "Ihr Anmeldecode"),
        ("es", "clave de acceso", "Su código de acceso"),
        ("it", "codice di accesso", "Il suo codice di accesso"),
    ] {
        // The account's is another, and then the only one.
        let other = if locale == "en" { "de" } else { "en" };
        for (account, own) in [(other, json!(locale)), (locale, Value::Null)] {
            let _ = world.settings(json!({"locale": account})).await;
            let username = format!("{locale}-{account}");
            let person = world.user(&username, json!({"locale": own})).await;
            let challenge = world.challenge(&person).await;
            let _ = world.issue(&challenge, "sms").await.expect(202);
            world.advance(300);
            let _ = world.issue(&challenge, "email").await.expect(202);
            let sent = world.outbox().await;
            let [sms, mail] = sent.last_chunk().unwrap();
            assert!(
                sms["text"].as_str().unwrap().contains(text),
                "{locale}: {sms}"
            );
            assert!(
                mail["subject"].as_str().unwrap().starts_with(subject),
                "{locale}: {mail}"
            );
            assert!(
                mail["html"]
                    .as_str()
                    .unwrap()
                    .contains(&format!("lang=\"{locale}\"")),
                "{locale}: {mail}"
            );
            // What is compared on the page, and typed there, stands in each.
            let reference = mail["subject"]
                .as_str()
                .unwrap()
                .rsplit(['(', ')'])
                .nth(1)
                .unwrap()
                .to_owned();
            assert!(
                mail["text"].as_str().unwrap().contains(&reference),
                "{locale}: {mail}"
            );
            let _ = world
                .verify(&challenge, "email", &world.last_code().await)
                .await
                .expect(200);
        }
    }
}

#[tokio::test]
async fn a_password_and_a_code_by_sms_make_a_token() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": "+12025550123"})).await;

    let login = world.login("ann", PASSWORD).await.expect(200);
    assert_eq!(login.body["status"], "second_factor_required");
    assert_eq!(
        login.body["methods"],
        json!([{"method": "sms", "destination": "+1••••••••23"}])
    );
    assert_eq!(login.body["expires_in"], 600);
    assert_eq!(login.header("cache-control"), Some("no-store"));

    let challenge = login.text("challenge");
    let sent = world.issue(&challenge, "sms").await.expect(202);
    assert_eq!(sent.body["destination"], "+1••••••••23");
    assert_eq!(
        (
            &sent.body["expires_in"],
            &sent.body["resend_in"],
            &sent.body["code_length"]
        ),
        (&json!(300), &json!(30), &json!(6))
    );

    let outbox = world.outbox().await;
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        (outbox[0]["channel"].as_str(), outbox[0]["to"].as_str()),
        (Some("sms"), Some("+12025550123"))
    );
    let text = outbox[0]["text"].as_str().unwrap();
    assert!(
        text.contains(&sent.text("reference")) && text.contains("Alder & Pine"),
        "{text}"
    );
    let code = world.last_code().await;
    assert_eq!(
        text.lines().last(),
        Some(format!("@127.0.0.1 #{code}").as_str())
    );

    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(done.body["status"], "authenticated");
    assert_eq!(
        (
            &done.body["token_type"],
            &done.body["expires_in"],
            &done.body["acr"]
        ),
        (&json!("Bearer"), &json!(900), &json!("two-factor"))
    );
    let claims = claims(&done.text("access_token"));
    assert_eq!(
        (claims["sub"].as_str(), claims["kind"].as_str()),
        (Some(ann.id.as_str()), Some("external"))
    );
    assert_eq!(
        (claims["aud"].as_str(), claims["acct"].as_str()),
        (Some(world.account.as_str()), Some(world.account.as_str()))
    );
    assert_eq!(claims["iss"], world.stack.base_url());
    assert_eq!(claims["amr"], json!(["pwd", "otp", "sms", "mfa"]));
    let now = world.stack.clock().now().as_secs();
    assert_eq!(
        (&claims["iat"], &claims["auth_time"], &claims["exp"]),
        (&json!(now), &json!(now), &json!(now + 900))
    );
    assert!(claims["jti"].as_str().unwrap().len() >= 22);

    let me = world
        .send(
            world
                .request(Method::GET, "/v1/me")
                .bearer_auth(done.text("access_token")),
        )
        .await
        .expect(200);
    assert_eq!(
        (me.body["id"].as_str(), me.body["username"].as_str()),
        (Some(ann.id.as_str()), Some("ann"))
    );
}

#[tokio::test]
async fn the_token_is_one_that_any_jwt_authorizer_would_take() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let token = world
        .verify(&challenge, "sms", &code)
        .await
        .expect(200)
        .text("access_token");

    let discovery = world
        .get("/.well-known/openid-configuration")
        .await
        .expect(200);
    assert_eq!(discovery.body["issuer"], world.stack.base_url());
    let jwks_uri = discovery.text("jwks_uri");
    let path = jwks_uri.strip_prefix(world.stack.base_url()).unwrap();
    let keys: JwkSet = serde_json::from_value(world.get(path).await.expect(200).body).unwrap();
    let header = decode_header(&token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[&world.account]);
    validation.set_issuer(&[discovery.text("issuer")]);
    // The world's clock stands in the future of this machine's; the token's time is looked at
    // elsewhere.
    validation.validate_exp = false;
    decode::<Value>(&token, &key, &validation).unwrap();
}

#[tokio::test]
async fn a_code_by_mail_is_offered_and_taken_only_where_the_account_has_it_on() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let _ = world
        .issue(&challenge, "email")
        .await
        .refused(403, "method-not-enabled");
    assert!(world.outbox().await.is_empty());

    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let login = world.login("ann", PASSWORD).await.expect(200);
    assert_eq!(
        login.body["methods"][1],
        json!({"method": "email", "destination": "a••••••••@example.com"})
    );
    let challenge = login.text("challenge");
    let sent = world.issue(&challenge, "email").await.expect(202);
    assert_eq!(sent.body["code_length"], 8);
    let mail = world.outbox().await.pop().unwrap();
    assert_eq!(
        (mail["channel"].as_str(), mail["to"].as_str()),
        (Some("email"), Some("ann@example.com"))
    );
    let code = world.last_code().await;
    assert!(mail["html"].as_str().unwrap().contains(&code));

    // Switched off meanwhile: not taken, and not counted; switched on again: taken.
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": false}}}))
        .await;
    let _ = world
        .verify(&challenge, "email", &code)
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let wrong = world
        .verify(&challenge, "email", &another(&code))
        .await
        .refused(401, "code-invalid");
    assert_eq!(wrong.body["attempts_left"], 4);
    let done = world.verify(&challenge, "email", &code).await.expect(200);
    assert_eq!(
        (&done.body["acr"], &done.body["amr"]),
        (&json!("two-factor-email"), &json!(["pwd", "otp", "mfa"]))
    );
}

#[tokio::test]
async fn a_code_cannot_be_used_twice() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-used");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(410, "challenge-used");
}

#[tokio::test]
async fn a_resend_makes_a_new_code_and_supersedes_the_old() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let first = world.issue(&challenge, "sms").await.expect(202);
    let old = world.last_code().await;
    world.advance(30);
    let second = world.issue(&challenge, "sms").await.expect(202);
    assert_ne!(first.text("reference"), second.text("reference"));
    assert_eq!(second.body["resend_in"], 60);
    let refused = world
        .verify(&challenge, "sms", &old)
        .await
        .refused(401, "code-superseded");
    assert_eq!(refused.body["attempts_left"], 4);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn codes_and_challenges_end() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(300);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "code-expired");
    world.advance(300);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(410, "challenge-expired");

    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(601);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
}

#[tokio::test]
async fn a_challenge_that_nobody_issued_is_unknown() {
    let world = World::new().await;
    for challenge in ["", "chl_", "chl_x.y.z", "Bearer", &"A".repeat(5_000)] {
        let _ = world
            .verify(challenge, "sms", "123456")
            .await
            .refused(401, "challenge-unknown");
        let _ = world
            .issue(challenge, "sms")
            .await
            .refused(401, "challenge-unknown");
    }
    assert!(
        world.stack.meter().take().write_units > 0.0,
        "opening the account was metered"
    );
    let _ = world.verify("chl_x.y.z", "sms", "123456").await;
    assert_eq!(
        world.stack.meter().take().requests,
        0,
        "it is told without a look at the table"
    );
}

#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_are_alike() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let ben = world.user("ben", json!({})).await;
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", ben.id),
            Some(json!({"disabled": true})),
        )
        .await
        .expect(200);

    let mut seen = Vec::new();
    for (username, password) in [
        ("nobody", PASSWORD),
        ("ann", "wrong password"),
        ("ben", PASSWORD),
    ] {
        let _ = world.stack.meter().take();
        let mut answer = world
            .login(username, password)
            .await
            .refused(401, "invalid-credentials");
        let cost = world.stack.meter().take();
        answer.body["instance"] = Value::Null;
        let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        seen.push((answer.body, names, cost.requests));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
    let actions = world.actions(&ann.id).await;
    assert_eq!(actions.last().unwrap(), "sign-in: wrong-password");
    assert_eq!(
        world.actions(&ben.id).await.last().unwrap(),
        "sign-in: disabled"
    );
}

/// A hash takes fifty times as long as all else: who is told without one is told apart. The three
/// take turns, so that whatever slows the machine slows them all.
#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_take_the_same_time() {
    const ROUNDS: usize = 7;
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..ROUNDS {
        let ann = format!("ann{number}");
        let _ = world.user(&ann, json!({})).await;
        let ben = format!("ben{number}");
        let id = world.user(&ben, json!({})).await.id;
        let _ = world
            .backend(
                Method::PATCH,
                &format!("/v1/users/{id}"),
                Some(json!({"disabled": true})),
            )
            .await
            .expect(200);
        people.push([
            (format!("nobody{number}"), PASSWORD),
            (ann, "wrong password"),
            (ben, PASSWORD),
        ]);
    }
    let mut times = [const { Vec::new() }; 3];
    for round in &people {
        for ((username, password), times) in round.iter().zip(&mut times) {
            #[expect(
                clippy::disallowed_methods,
                reason = "how long it takes, and not what time it is"
            )]
            let began = Instant::now();
            let _ = world
                .login(username, password)
                .await
                .refused(401, "invalid-credentials");
            times.push(began.elapsed());
        }
    }
    let medians = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    let (fastest, slowest) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*slowest < *fastest * 3, "{medians:?}");
}

#[tokio::test]
async fn staff_in_the_allowlist_need_the_password_alone_and_counterparties_never() {
    let world = World::new().await;
    let _ = world.user("staff", json!({"kind": "internal"})).await;
    let _ = world.user("guest", json!({})).await;
    assert_eq!(
        world.login("staff", PASSWORD).await.expect(200).body["status"],
        "second_factor_required"
    );

    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.0/16"]}))
        .await;
    let staff = world.login("staff", PASSWORD).await.expect(200);
    assert_eq!(
        (
            &staff.body["status"],
            &staff.body["acr"],
            &staff.body["amr"]
        ),
        (
            &json!("authenticated"),
            &json!("allowlisted-network"),
            &json!(["pwd"])
        )
    );
    assert_eq!(
        world.login("guest", PASSWORD).await.expect(200).body["status"],
        "second_factor_required"
    );

    // The connection's address counts, whatever a header says.
    let _ = world
        .settings(json!({"ip_allowlist": ["203.0.113.0/24"]}))
        .await;
    let body = json!({"account": world.account, "username": "staff", "password": PASSWORD});
    let forged = world
        .request(Method::POST, "/v1/login")
        .header("x-forwarded-for", "203.0.113.7")
        .json(&body);
    assert_eq!(
        world.send(forged).await.expect(200).body["status"],
        "second_factor_required"
    );

    let _ = world
        .settings(json!({"second_factor": {"internal_required": false}}))
        .await;
    assert_eq!(
        world.login("staff", PASSWORD).await.expect(200).body["acr"],
        "single-factor"
    );
    assert_eq!(
        world.login("guest", PASSWORD).await.expect(200).body["status"],
        "second_factor_required"
    );
}

#[tokio::test]
async fn who_never_had_a_factor_enrols_and_who_has_none_enabled_is_told_so() {
    let world = World::new().await;
    let _ = world.user("new", json!({"phone": null})).await;
    let _ = world.user("ann", json!({})).await;
    let enrol = world.login("new", PASSWORD).await.expect(200);
    assert_eq!(
        (&enrol.body["status"], &enrol.body["methods"]),
        (
            &json!("enrolment_required"),
            &json!([{"method": "totp"}, {"method": "sms"}])
        )
    );
    let _ = world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let _ = world
        .settings(json!({"second_factor": {"methods": {"totp": false, "email": true}}}))
        .await;
    let _ = world.login("new", PASSWORD).await.expect(200);
    let _ = world
        .user("bare", json!({"phone": null, "email": null}))
        .await;
    let _ = world
        .login("bare", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn whose_only_factor_is_a_mailbox_that_takes_no_more_codes_sets_nothing_up_by_the_password() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({"phone": null})).await;
    let _ = world.challenge(&ann).await;
    let update =
        Update::of(keys::user(ann.id.parse().unwrap())).set(path("factors.email.failures"), 50_u32);
    let _ = world.stack.table().update(update).await.unwrap();
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
}

#[tokio::test]
async fn disabling_a_user_ends_open_challenges_at_once() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": true})))
        .await
        .expect(200);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": false})))
        .await
        .expect(200);
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(410, "challenge-expired");
}

#[tokio::test]
async fn nothing_is_sent_to_a_country_that_is_not_on_the_list() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": "+33612345678"})).await;
    let challenge = world.challenge(&ann).await;
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(422, "destination-not-allowed");
    assert!(world.outbox().await.is_empty());
}

#[tokio::test]
async fn a_sign_in_is_told_in_the_audit_without_a_code_or_a_full_destination() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": "+12025550123"})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(
        world.actions(&ann.id).await,
        [
            "user-created",
            "sign-in",
            "code-sent",
            "code-verified: wrong-code",
            "code-verified"
        ]
    );
    let entries = world.audit(&ann.id).await;
    let told = serde_json::to_string(&entries).unwrap();
    assert!(
        told.contains("+1••••••••23") && !told.contains("2025550123") && !told.contains(&code),
        "{told}"
    );
    let entries: Vec<shared::store::audit::Entry> = entries
        .into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect();
    assert_eq!(shared::store::audit::first_broken(&entries), None);
    assert_eq!(entries[1].source.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_repeated_request_for_a_code_is_answered_as_before_and_sends_nothing() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let ask = |key: &str, method: &str| {
        let body = json!({"challenge": challenge, "method": method});
        world
            .request(Method::POST, "/v1/codes")
            .header("idempotency-key", key.to_owned())
            .json(&body)
    };
    let first = world.send(ask("\"k1\"", "sms")).await.expect(202);
    let again = world.send(ask("k1", "sms")).await.expect(202);
    assert_eq!(first.body, again.body);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(world.outbox().await.len(), 1);
    let _ = world
        .send(ask("k1", "email"))
        .await
        .refused(422, "idempotency-key-reused");
    let _ = world
        .send(ask("k2", "sms"))
        .await
        .refused(429, "resend-too-soon");
    world.advance(60);
    let _ = world.send(ask("k2", "sms")).await.expect(202);
    let _ = world
        .send(ask("", "sms"))
        .await
        .refused(400, "invalid-request");
}

#[tokio::test]
async fn a_text_is_bound_to_the_host_of_the_accounts_first_origin() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"origins": ["https://portal.example:8443", "https://other.example"]}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let (_, code) = world.challenge_and_code(&ann).await;
    let text = world.outbox().await.pop().unwrap()["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        text.lines().last(),
        Some(format!("@portal.example #{code}").as_str())
    );
}
