//! Signing in by ID tokens, from an issuer that runs as a process of its own.

use futures_util::future::join_all;
use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use tests::issuer::{AUDIENCE, Issuer, NOW};
use tests::{PASSWORD, Person, World};

const ISSUER: &str = env!("CARGO_BIN_EXE_issuer");

/// A world whose account has an issuer.
async fn world() -> (World, Issuer) {
    let world = World::new().await;
    let issuer = Issuer::of(&world, ISSUER).await;
    (world, issuer)
}

async fn person(world: &World, username: &str, subject: &str) -> Person {
    world.user(username, json!({"sso_subject": subject})).await
}

#[tokio::test]
async fn an_id_token_takes_the_place_of_the_password_and_not_of_the_second_factor() {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "subject-1").await;
    let answer = world
        .login_by(&issuer.token("subject-1").await)
        .await
        .expect(200);
    assert_eq!(answer.body["status"], "second_factor_required");
    let challenge = answer.text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let done = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(
        (&done.body["acr"], &done.body["amr"]),
        (&json!("two-factor"), &json!(["otp", "sms", "mfa"]))
    );
    assert_eq!(
        world.actions(&ann.id).await,
        ["user-created", "sign-in", "code-sent", "code-verified"]
    );
    assert_eq!(world.audit(&ann.id).await[1]["details"]["method"], "sso");
}

#[tokio::test]
async fn an_internal_user_needs_no_more_where_the_account_says_so() {
    let (world, issuer) = world().await;
    let _ = world
        .user(
            "ben",
            json!({"kind": "internal", "sso_subject": "b", "password": null}),
        )
        .await;
    let _ = world
        .user(
            "eve",
            json!({"kind": "external", "sso_subject": "e", "password": null}),
        )
        .await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let done = world.login_by(&issuer.token("b").await).await.expect(200);
    assert_eq!(
        (&done.body["status"], &done.body["acr"], &done.body["amr"]),
        (
            &json!("authenticated"),
            &json!("allowlisted-network"),
            &json!([])
        )
    );
    let outside = world.login_by(&issuer.token("e").await).await.expect(200);
    assert_eq!(outside.body["status"], "second_factor_required");
    let _ = world
        .settings(json!({"ip_allowlist": [], "second_factor": {"internal_required": false}}))
        .await;
    assert_eq!(
        world
            .login_by(&issuer.token("b").await)
            .await
            .expect(200)
            .body["acr"],
        "single-factor"
    );
}

#[tokio::test]
async fn each_algorithm_that_is_taken_is_checked_with_its_own_kind_of_key() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    for algorithm in ["RS256", "PS256", "ES256"] {
        let token = issuer
            .sign(json!({"alg": algorithm}), issuer.claims("s"))
            .await;
        let _ = world.login_by(&token).await.expect(200);
    }
    // Without a name, the only key of the kind.
    let _ = world
        .login_by(&issuer.sign(json!({"kid": null}), issuer.claims("s")).await)
        .await
        .expect(200);
    for header in [
        json!({"alg": "none", "kid": "rsa-1"}),
        json!({"alg": "NONE", "kid": "rsa-1"}),
        json!({"alg": "HS256", "kid": "rsa-1"}),
        json!({"alg": "RS384", "kid": "rsa-1"}),
        json!({"alg": "ES256", "kid": "rsa-1"}),
        json!({"alg": "RS256", "kid": "ec-1"}),
        json!({"alg": "RS256", "kid": "other"}),
        json!({"alg": "RS256", "kid": "nobody's"}),
        json!({"alg": "RS256", "typ": "at+jwt"}),
        json!({"alg": "RS256", "crit": ["exp"]}),
        json!({"alg": null, "kid": "rsa-1"}),
    ] {
        let token = issuer.sign(header.clone(), issuer.claims("s")).await;
        let refused = world.login_by(&token).await;
        assert_eq!(
            (refused.status, refused.slug()),
            (401, "invalid-credentials"),
            "{header}: {}",
            refused.body
        );
    }
}

#[tokio::test]
async fn what_a_token_says_has_to_be_so() {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "s").await;
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims("s");
        claims[name] = value;
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        claims
    };
    for (claims, reason) in [
        (with("iss", json!("https://other.example")), None),
        (with("iss", json!(format!("{}/", issuer.address))), None),
        (with("aud", json!("another")), Some("token-audience")),
        (with("aud", json!(["another"])), Some("token-audience")),
        (
            with("aud", json!([AUDIENCE, "another"])),
            Some("token-audience"),
        ),
        (with("azp", json!("another")), Some("token-audience")),
        (with("exp", json!(NOW)), Some("token-expired")),
        (with("exp", json!(NOW - 3600)), Some("token-expired")),
        (with("exp", json!(-1e300)), Some("token-expired")),
        (
            with("exp", json!(NOW + 86_401)),
            Some("token-lives-too-long"),
        ),
        (with("exp", json!(1e300)), Some("token-lives-too-long")),
        (with("iat", json!(NOW + 61)), Some("token-not-yet-valid")),
        (with("nbf", json!(NOW + 61)), Some("token-not-yet-valid")),
        (with("iat", Value::Null), None),
        (with("exp", Value::Null), None),
        (with("aud", Value::Null), None),
        (with("exp", json!("soon")), None),
        (with("sub", json!("")), None),
        (with("sub", json!(7)), None),
        (with("sub", json!("x".repeat(256))), None),
        (with("sub", json!("somebody else")), None),
    ] {
        let before = world.audit(&ann.id).await.len();
        let refused = world
            .login_by(&issuer.sign(json!({}), claims.clone()).await)
            .await;
        assert_eq!(
            (refused.status, refused.slug()),
            (401, "invalid-credentials"),
            "{claims}: {}",
            refused.body
        );
        let entries = world.audit(&ann.id).await;
        let told = entries
            .get(before)
            .map(|entry| entry["details"]["reason"].as_str().unwrap().to_owned());
        assert_eq!(told.as_deref(), reason, "{claims}");
    }
    for claims in [
        with("aud", json!([AUDIENCE])),
        with("iat", json!(NOW + 59)),
        with("iat", json!(1_799_999_999.5_f64)),
        with("exp", json!(NOW + 86_399)),
        with("auth_time", json!(NOW - 50)),
    ] {
        let _ = world
            .login_by(&issuer.sign(json!({}), claims).await)
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_what_is_malformed_is_named() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    let good = issuer.token("s").await;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let other = issuer.token("t").await;
    let other_claims = other.split('.').nth(1).unwrap().to_owned();
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.AAAA"),
        format!("{header}.{other_claims}.{signature}"),
        format!("{good}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        "é".repeat(50),
        format!("{signed}.{}", "A".repeat(10_000)),
    ] {
        let refused = world.login_by(&token).await;
        assert_eq!(
            (refused.status, refused.slug()),
            (401, "invalid-credentials"),
            "{token}: {}",
            refused.body
        );
    }
    let body = |more: Value| {
        let mut body = json!({"account": world.account});
        more.as_object()
            .unwrap()
            .iter()
            .for_each(|(name, value)| body[name] = value.clone());
        body
    };
    for (more, pointer) in [
        (json!({"id_token": ""}), "/id_token"),
        (json!({"id_token": "x".repeat(16_385)}), "/id_token"),
        (json!({"id_token": 7}), "/id_token"),
        (json!({"id_token": good, "username": "ann"}), "/username"),
        (json!({"id_token": good, "password": PASSWORD}), "/password"),
        (json!({"id_token": good, "nonce": ""}), "/nonce"),
        (
            json!({"id_token": good, "nonce": "n".repeat(256)}),
            "/nonce",
        ),
        (
            json!({"nonce": "n", "username": "ann", "password": PASSWORD}),
            "/nonce",
        ),
        (json!({"username": "ann"}), "/password"),
        (json!({}), "/username"),
    ] {
        let refused = world
            .post("/v1/login", body(more.clone()))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{more}");
    }
    // None of that has used the token up.
    let _ = world.login_by(&good).await.expect(200);
}

#[tokio::test]
async fn a_nonce_that_is_given_has_to_be_in_the_token() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    let ask = async |token: String, nonce: &str| {
        world
            .post(
                "/v1/login",
                json!({"account": world.account, "id_token": token, "nonce": nonce}),
            )
            .await
    };
    let mut claims = issuer.claims("s");
    claims["nonce"] = json!("n-1");
    let token = issuer.sign(json!({}), claims).await;
    let _ = ask(token.clone(), "n-2")
        .await
        .refused(401, "invalid-credentials");
    let _ = ask(issuer.token("s").await, "n-1")
        .await
        .refused(401, "invalid-credentials");
    let _ = ask(token, "n-1").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_once_whoever_comes_first() {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "s").await;
    let token = issuer.token("s").await;
    let answers = join_all((0..50).map(|_| world.login_by(&token))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{answers:?}"
    );
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(
            matches!(answer.slug(), "invalid-credentials" | "service-unavailable"),
            "{}",
            answer.body
        );
    }
    let actions = world.actions(&ann.id).await;
    assert_eq!(
        actions.iter().filter(|action| *action == "sign-in").count(),
        1,
        "{actions:?}"
    );
    assert!(
        actions.contains(&"sign-in: token-used".to_owned()),
        "{actions:?}"
    );
    // Another of the same person is another.
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    // The record goes when the token is over by itself.
    world.advance(300 + 61);
    let report = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    assert_eq!(report.body["failed"], 0);
    let _ = world
        .login_by(&token)
        .await
        .refused(401, "invalid-credentials");
}

#[tokio::test]
async fn an_issuer_that_changes_its_keys_is_followed_and_not_asked_all_the_time() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    let old = issuer.token("s").await;
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    assert_eq!(issuer.asked().await, 1);
    issuer.rotate().await;
    // Asked a moment ago: the new key is not looked for yet.
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    assert_eq!(issuer.asked().await, 1);
    world.advance(60);
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    assert_eq!(issuer.asked().await, 2);
    // The old key is gone, and names that nobody has cost the issuer one look a minute.
    let _ = world
        .login_by(&old)
        .await
        .refused(401, "invalid-credentials");
    for number in 0..20 {
        let token = issuer
            .sign(json!({"kid": format!("k{number}")}), issuer.claims("s"))
            .await;
        let _ = world
            .login_by(&token)
            .await
            .refused(401, "invalid-credentials");
    }
    assert_eq!(issuer.asked().await, 2);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_as_it_should_lets_nobody_in() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    for mode in ["huge", "redirect", "garbage", "error", "silent"] {
        issuer.mode(mode).await;
        world.advance(60);
        let token = issuer
            .sign(
                json!({}),
                json!({
                    "iss": issuer.address, "aud": AUDIENCE, "sub": "s", "iat": NOW, "exp": NOW + 3600,
                }),
            )
            .await;
        let refused = world
            .login_by(&token)
            .await
            .refused(503, "service-unavailable");
        assert!(refused.header("retry-after").is_some(), "{mode}");
        let text = refused.body.to_string();
        assert!(
            !text.contains("127.0.0.1") && !text.contains("keys"),
            "{mode}: {text}"
        );
    }
    issuer.mode("good").await;
    world.advance(5);
    let claims =
        json!({"iss": issuer.address, "aud": AUDIENCE, "sub": "s", "iat": NOW, "exp": NOW + 3600});
    let _ = world
        .login_by(&issuer.sign(json!({}), claims).await)
        .await
        .expect(200);
}

#[tokio::test]
async fn one_subject_is_one_user() {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "s").await;
    let create = |username: &str, subject: &str| {
        let body = json!({"username": username, "kind": "internal", "sso_subject": subject});
        world.backend(Method::POST, "/v1/users", Some(body))
    };
    let taken = create("ben", "s").await.refused(409, "sso-subject-taken");
    assert_eq!(taken.pointers(), ["/sso_subject"]);
    let ben = create("ben", "b").await.expect(201).text("id");
    let patch = |id: &str, body: Value| {
        let path = format!("/v1/users/{id}");
        let world = &world;
        async move { world.backend(Method::PATCH, &path, Some(body)).await }
    };
    let _ = patch(&ben, json!({"sso_subject": "s"}))
        .await
        .refused(409, "sso-subject-taken");
    // What was refused changed nothing.
    assert_eq!(
        world
            .backend(Method::GET, &format!("/v1/users/{ben}"), None)
            .await
            .body["sso_subject"],
        "b"
    );
    let _ = patch(
        &ann.id,
        json!({"sso_subject": "a", "group": "escrow", "username": "anna"}),
    )
    .await
    .expect(200);
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    let _ = world.login_by(&issuer.token("a").await).await.expect(200);
    let _ = patch(&ben, json!({"sso_subject": "s"})).await.expect(200);
    let _ = patch(&ann.id, json!({"sso_subject": null}))
        .await
        .expect(200);
    let _ = world
        .login_by(&issuer.token("a").await)
        .await
        .refused(401, "invalid-credentials");
    // Whoever is deleted leaves the subject free; whoever is disabled is not let in.
    let _ = world
        .backend(Method::DELETE, &format!("/v1/users/{ben}"), None)
        .await
        .expect(204);
    let cat = create("cat", "s").await.expect(201).text("id");
    let _ = patch(&cat, json!({"disabled": true})).await.expect(200);
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    assert_eq!(
        world.actions(&cat).await.last().unwrap(),
        "sign-in: disabled"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_users_with_one_subject_one_is_made() {
    let (world, _issuer) = world().await;
    let create = |number: u32| {
        let body =
            json!({"username": format!("user{number}"), "kind": "internal", "sso_subject": "s"});
        world.backend(Method::POST, "/v1/users", Some(body))
    };
    let answers = join_all((0..20).map(create)).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1,
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_subject_given_before_there_was_an_issuer_is_bound_to_the_first() {
    let (world, issuer) = (World::new().await, Issuer::start(ISSUER));
    let ann = person(&world, "ann", "s").await;
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    issuer.vouches_in(&world).await;
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    let _ = world.login_by(&issuer.token("s").await).await.expect(200);
    // Another issuer's person of the same name is another person, until somebody says otherwise.
    let other = Issuer::start(ISSUER);
    other.vouches_in(&world).await;
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .login_by(&other.token("s").await)
        .await
        .refused(401, "invalid-credentials");
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"sso_subject": "s"})))
        .await
        .expect(200);
    let _ = world.login_by(&other.token("s").await).await.expect(200);
    let _ = world.settings(json!({"sso": null})).await;
    let _ = world
        .login_by(&other.token("s").await)
        .await
        .refused(401, "invalid-credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_is_taken_away_or_given_to_another_meanwhile_lets_nobody_in() {
    for held in 0..2 {
        for given in [false, true] {
            let (world, issuer) = world().await;
            let ann = world
                .user("ann", json!({"sso_subject": "s", "kind": "internal"}))
                .await;
            let ben = world.user("ben", json!({"kind": "internal"})).await;
            let _ = world
                .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
                .await;
            // The issuer's keys are known.
            let _ = world.login_by(&issuer.token("s").await).await.expect(200);
            let token = issuer.token("s").await;
            let gate = world.stack.faults().hold(Service::Dynamodb, held);
            let meanwhile = async {
                gate.arrived().await;
                let patch = |person: &Person, subject: Value| {
                    let path = format!("/v1/users/{}", person.id);
                    let world = &world;
                    async move {
                        world
                            .backend(Method::PATCH, &path, Some(json!({"sso_subject": subject})))
                            .await
                            .expect(200)
                    }
                };
                let _ = patch(&ann, Value::Null).await;
                if given {
                    let _ = patch(&ben, json!("s")).await;
                }
                gate.let_go();
            };
            let (answer, ()) = tokio::join!(world.login_by(&token), meanwhile);
            let _ = answer.refused(401, "invalid-credentials");
            assert_eq!(
                world.actions(&ann.id).await.last().unwrap(),
                "sign-in: unknown-subject"
            );
            assert_eq!(
                world
                    .actions(&ben.id)
                    .await
                    .iter()
                    .filter(|action| *action == "sign-in")
                    .count(),
                0
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_another_issuer_binds_meanwhile_is_its_own() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"sso_subject": "s", "kind": "internal"}))
        .await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let (first, second) = (Issuer::start(ISSUER), Issuer::start(ISSUER));
    for issuer in [&first, &second] {
        // Its keys are known.
        issuer.vouches_in(&world).await;
        let _ = world
            .login_by(&issuer.token("nobody").await)
            .await
            .refused(401, "invalid-credentials");
    }
    let (by_first, by_second) = (first.token("s").await, second.token("s").await);
    let gate = world.stack.faults().hold(Service::Dynamodb, 0);
    let meanwhile = async {
        gate.arrived().await;
        first.vouches_in(&world).await;
        let _ = world.login_by(&by_first).await.expect(200);
        gate.let_go();
    };
    let (answer, ()) = tokio::join!(world.login_by(&by_second), meanwhile);
    let _ = answer.refused(401, "invalid-credentials");
    assert_eq!(
        world.actions(&ann.id).await.last().unwrap(),
        "sign-in: unknown-subject"
    );
}

#[tokio::test]
async fn what_an_issuer_vouched_for_counts_while_it_is_the_accounts_and_the_subject_the_users() {
    for account in [false, true] {
        let (world, issuer) = world().await;
        let ann = person(&world, "ann", "s").await;
        let (open, other) = (
            world
                .login_by(&issuer.token("s").await)
                .await
                .expect(200)
                .text("challenge"),
            world.challenge(&ann).await,
        );
        let _ = world.issue(&open, "sms").await.expect(202);
        let code = world.last_code().await;
        let _ = world
            .send(world.request(Method::DELETE, "/_local/outbox"))
            .await;
        if account {
            let _ = world.settings(json!({"sso": null})).await;
        } else {
            let path = format!("/v1/users/{}", ann.id);
            let _ = world
                .backend(Method::PATCH, &path, Some(json!({"sso_subject": null})))
                .await
                .expect(200);
            let told = world.outbox().await;
            assert!(
                told[0]["text"]
                    .as_str()
                    .unwrap()
                    .contains("sign-in service was switched off"),
                "{told:?}"
            );
        }
        let _ = world
            .verify(&open, "sms", &code)
            .await
            .refused(410, "challenge-expired");
        let _ = world
            .issue(&open, "sms")
            .await
            .refused(410, "challenge-expired");
        // The password's challenge goes on where only the account's issuer went.
        world.advance(60);
        let answer = world.issue(&other, "sms").await;
        assert_eq!(answer.status, if account { 202 } else { 410 });
    }
}

#[tokio::test]
async fn a_session_at_the_issuer_that_is_older_than_a_change_is_a_sign_in_all_the_same() {
    let (world, issuer) = world().await;
    let ben = world
        .user("ben", json!({"kind": "internal", "sso_subject": "b"}))
        .await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let path = format!("/v1/users/{}", ben.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"phone": "+12025550177"})))
        .await
        .expect(200);
    let mut said = issuer.claims("b");
    said["auth_time"] = json!(NOW - 3600);
    let token = world
        .login_by(&issuer.sign(json!({}), said).await)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(tests::claims(&token)["auth_time"], NOW - 3600);
    let _ = world
        .as_user(&token, Method::GET, "/v1/me", None)
        .await
        .expect(200);
    // Whoever asks for a second factor proves one after an ID token as well.
    let body = json!({"account": world.account, "id_token": issuer.token("b").await, "second_factor": true});
    assert_eq!(
        world.post("/v1/login", body).await.expect(200).body["status"],
        "second_factor_required"
    );
}

#[tokio::test]
async fn keys_that_are_known_go_on_while_the_issuer_is_down_for_as_long_as_they_are_fresh() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    let token = async || {
        let mut claims = issuer.claims("s");
        claims["exp"] = json!(NOW + 7_200);
        issuer.sign(json!({}), claims).await
    };
    let _ = world.login_by(&token().await).await.expect(200);
    issuer.mode("error").await;
    // A key that nobody knows makes the service look, in vain: what is known stays known.
    world.advance(60);
    let unknown = issuer
        .sign(json!({"kid": "other-1"}), issuer.claims("s"))
        .await;
    let _ = world
        .login_by(&unknown)
        .await
        .refused(503, "service-unavailable");
    let _ = world.login_by(&token().await).await.expect(200);
    world.advance(3_539);
    let _ = world.login_by(&token().await).await.expect(200);
    // After an hour they are asked for again, and nobody can say that they are still good.
    world.advance(1);
    let _ = world
        .login_by(&token().await)
        .await
        .refused(503, "service-unavailable");
    issuer.mode("good").await;
    world.advance(5);
    let _ = world.login_by(&token().await).await.expect(200);
}

#[tokio::test]
async fn tokens_that_fail_count_for_their_source() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    for _ in 0..100 {
        let _ = world
            .login_by("a.b.c")
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(429, "too-many-attempts");
}

#[tokio::test]
async fn an_id_token_costs_three_waits() {
    let (world, issuer) = world().await;
    let _ = person(&world, "ann", "s").await;
    let token = issuer.token("s").await;
    let _ = world.stack.meter().take();
    let _ = world.login_by(&token).await.expect(200);
    let cost = world.stack.meter().take();
    assert_eq!(cost.requests, 3);
    assert!(
        cost.read_units <= 6.0 && cost.write_units <= 16.0,
        "{cost:?}"
    );
}

#[tokio::test]
async fn what_another_issuer_says_of_a_subject_is_told_of_nobody() {
    let (world, issuer) = (World::new().await, Issuer::start(ISSUER));
    // Two who were given their subjects when the account had no issuer; one of them has signed in
    // since.
    let (ann, ben) = (
        person(&world, "ann", "a").await,
        person(&world, "ben", "b").await,
    );
    issuer.vouches_in(&world).await;
    let _ = world.login_by(&issuer.token("b").await).await.expect(200);
    let other = Issuer::start(ISSUER);
    for (subject, person) in [("a", &ann), ("b", &ben)] {
        let before = world.audit(&person.id).await;
        let _ = world
            .login_by(&other.token(subject).await)
            .await
            .refused(401, "invalid-credentials");
        assert_eq!(
            world.audit(&person.id).await,
            before,
            "{subject} of another issuer is another subject"
        );
        // And it has bound nothing.
        let _ = world
            .login_by(&issuer.token(subject).await)
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn what_an_issuer_vouched_for_ends_when_the_account_has_another_and_when_the_subject_is_anothers()
 {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "s").await;
    let challenge = async || {
        world
            .login_by(&issuer.token("s").await)
            .await
            .expect(200)
            .text("challenge")
    };
    let (first, second) = (challenge().await, challenge().await);
    let other = Issuer::start(ISSUER);
    other.vouches_in(&world).await;
    let _ = world
        .issue(&first, "sms")
        .await
        .refused(410, "challenge-expired");
    // The same name, given again: it is the other issuer's now, whatever the account says
    // afterwards.
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"sso_subject": "s"})))
        .await
        .expect(200);
    issuer.vouches_in(&world).await;
    let _ = world
        .issue(&second, "sms")
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .login_by(&issuer.token("s").await)
        .await
        .refused(401, "invalid-credentials");
}

#[tokio::test]
async fn a_token_that_was_used_is_remembered_through_every_clean_up_until_it_is_over() {
    let (world, issuer) = world().await;
    let ann = person(&world, "ann", "s").await;
    let token = issuer.token("s").await;
    let _ = world.login_by(&token).await.expect(200);
    // It is good for five minutes, and a minute more by a clock that is behind.
    for seconds in [0, 200, 99] {
        world.advance(seconds);
        let _ = tests::agreements::clean(&world).await;
        let _ = world
            .login_by(&token)
            .await
            .refused(401, "invalid-credentials");
        assert_eq!(
            world.actions(&ann.id).await.last().unwrap(),
            "sign-in: token-used"
        );
    }
}
