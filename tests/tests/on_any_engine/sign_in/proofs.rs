//! Which proofs count, and for how long: what was right when it was compared, what was signed
//! before a change, and how to prove more.

use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use tests::contacts::prove;
use tests::{Answer, PASSWORD, Person, World, claims, token_of};

async fn me(world: &World, token: &str) -> Answer {
    world.as_user(token, Method::GET, "/v1/me", None).await
}

async fn patch_me(world: &World, token: &str, body: Value) -> Answer {
    world
        .as_user(token, Method::PATCH, "/v1/me", Some(body))
        .await
}

async fn patch(world: &World, person: &Person, body: Value) -> Answer {
    world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", person.id),
            Some(body),
        )
        .await
        .expect(200)
}

/// The token of an internal user who needs no second factor, or whoever is answered so.
async fn office_token(world: &World, username: &str) -> String {
    let answer = world.opened(username).await;
    assert_eq!(answer.body["acr"], "allowlisted-network", "{}", answer.body);
    answer.text("access_token")
}

/// Signs in as `username` with the table's answer number `held` kept back until `meanwhile` was
/// done.
async fn overtaken(
    world: &World,
    username: &str,
    held: u32,
    meanwhile: impl AsyncFnOnce(),
) -> Answer {
    let gate = world.stack.faults().hold(Service::Dynamodb, held);
    let change = async {
        gate.arrived().await;
        meanwhile().await;
        gate.let_go();
    };
    tokio::join!(world.login(username, PASSWORD), change).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_replaced_while_it_is_compared_lets_nobody_in() {
    // The credential is read; the attempt is counted, and beside it the user is read.
    for held in 0..3 {
        for kind in ["external", "internal"] {
            let world = World::new().await;
            let ann = world.user("ann", json!({"kind": kind})).await;
            let _ = world
                .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
                .await;
            let body = json!({"password": "another horse battery"});
            let answer = overtaken(&world, "ann", held, async || {
                drop(patch(&world, &ann, body).await);
            })
            .await;
            let _ = answer.refused(401, "invalid-credentials");
            assert_eq!(
                world.actions(&ann.id).await,
                ["user-created", "user-changed", "sign-in: wrong-password"],
                "{held}"
            );
            let _ = world
                .login("ann", "another horse battery")
                .await
                .expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_moves_while_its_password_is_compared_lets_nobody_in_and_the_new_one_does() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let answer = overtaken(&world, "ann", 0, async || {
        drop(patch(&world, &ann, json!({"username": "anna"})).await);
    })
    .await;
    let _ = answer.refused(401, "invalid-credentials");
    let _ = world.login("anna", PASSWORD).await.expect(200);
    // The password moved with the name: replaced once more, it is the new one's.
    let _ = patch(
        &world,
        &ann,
        json!({"password": "another horse battery", "username": "ann"}),
    )
    .await;
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world
        .login("ann", "another horse battery")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_changes_meanwhile_stands_in_nobodys_way() {
    for held in 0..3 {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let answer = overtaken(&world, "ann", held, async || {
            drop(patch(&world, &ann, json!({"locale": "fr"})).await);
        })
        .await;
        let _ = answer.expect(200);
    }
}

#[tokio::test]
async fn who_changes_a_password_is_alone_with_the_token_that_it_was_changed_with() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let earlier = world.token(&ann).await;
    world.advance(60);
    let own = world.token(&ann).await;
    // The very second, and later: whoever else has signed in.
    let of_that_second = world.token(&ann).await;
    world.advance(60);
    let later = world.token(&ann).await;
    let _ = patch_me(
        &world,
        &own,
        json!({"password": "another horse battery", "current_password": PASSWORD}),
    )
    .await
    .expect(200);
    for ended in [&earlier, &of_that_second, &later] {
        let _ = me(&world, ended).await.refused(401, "unauthorized");
        let _ = patch_me(&world, ended, json!({"locale": "fr"}))
            .await
            .refused(401, "unauthorized");
        let _ = world
            .as_user(ended, Method::POST, "/v1/factors/totp", None)
            .await
            .refused(401, "unauthorized");
    }
    // The one that was spared goes on, from change to change, with everything that a token is for.
    let _ = prove(&world, &own, "sms", "+12025550177").await;
    let _ = world.enrol(&own).await;
    let _ = me(&world, &own).await.expect(200);
    assert_eq!(claims(&own)["generation"], 0);
    // A new sign-in, of the same second as the change, is let in; and its change ends what was
    // spared before.
    let challenge = world
        .login("ann", "another horse battery")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let new = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(claims(&new)["generation"], 2);
    let _ = prove(&world, &new, "sms", "+12025550178").await;
    let _ = me(&world, &own).await.refused(401, "unauthorized");
    let _ = me(&world, &new).await.expect(200);
    // An administrator's change spares nobody, not in the same second either.
    let _ = patch(&world, &ann, json!({"phone": "+12025550179"})).await;
    let _ = me(&world, &new).await.refused(401, "unauthorized");
}

/// Does one of the acts that make an app, or what stands in for it, another: with the token of
/// whoever does it.
async fn change_the_app(world: &World, act: &str, own: &str) {
    match act {
        "remove" => drop(
            world
                .as_user(own, Method::DELETE, "/v1/factors/totp", None)
                .await
                .expect(204),
        ),
        "replace" => drop(world.enrol(own).await),
        _ => drop(
            world
                .as_user(own, Method::POST, "/v1/factors/recovery-codes", None)
                .await
                .expect(201),
        ),
    }
}

#[tokio::test]
async fn who_changes_an_app_or_its_recovery_codes_is_alone_with_the_token_that_it_was_done_with() {
    for act in ["remove", "replace", "recovery-codes"] {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let beside = world.token(&ann).await;
        let own = world.token(&ann).await;
        // A first app takes nothing from anybody.
        let _ = world.enrol(&own).await;
        let _ = me(&world, &beside).await.expect(200);
        world.advance(60);
        let (open, code) = world.challenge_and_code(&ann).await;
        let later = world.token(&ann).await;
        change_the_app(&world, act, &own).await;
        for ended in [&beside, &later] {
            let _ = me(&world, ended).await.refused(401, "unauthorized");
            let _ = patch_me(&world, ended, json!({"locale": "fr"}))
                .await
                .refused(401, "unauthorized");
            for (method, path) in [
                (Method::POST, "/v1/factors/totp"),
                (Method::DELETE, "/v1/factors/totp"),
                (Method::POST, "/v1/factors/recovery-codes"),
            ] {
                let _ = world
                    .as_user(ended, method, path, None)
                    .await
                    .refused(401, "unauthorized");
            }
        }
        let _ = world
            .issue(&open, "sms")
            .await
            .refused(410, "challenge-expired");
        let _ = world
            .verify(&open, "sms", &code)
            .await
            .refused(410, "challenge-expired");
        // The one that it was done with goes on, and spares itself once more; a new sign-in is let
        // in until then.
        world.advance(120);
        let _ = patch_me(&world, &own, json!({"locale": "fr"}))
            .await
            .expect(200);
        world.advance(500);
        let new = world.token(&ann).await;
        let _ = me(&world, &new).await.expect(200);
        let _ = world.enrol(&new).await;
        let ended = act != "remove";
        assert_eq!(
            me(&world, &own).await.status,
            if ended { 401 } else { 200 },
            "{act}"
        );
    }
}

#[tokio::test]
async fn a_token_of_the_very_second_of_a_reset_is_ended_and_one_that_follows_is_not() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let before = world.token(&ann).await;
    let _ = world
        .backend(
            Method::DELETE,
            &format!("/v1/users/{}/factors/totp", ann.id),
            None,
        )
        .await
        .expect(204);
    let _ = me(&world, &before).await.refused(401, "unauthorized");
    world.advance(60);
    let after = world.token(&ann).await;
    let _ = me(&world, &after).await.expect(200);
}

#[tokio::test]
async fn a_portals_code_of_the_very_second_of_a_new_password_is_ended() {
    const PORTAL: &str = "https://portal.example/in";
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let code = async || {
        let link = json!({"user": ann.id, "redirect_uri": PORTAL});
        let _ = world
            .backend(Method::POST, "/v1/links", Some(link))
            .await
            .expect(202);
        let token = token_of(&world.outbox().await.pop().unwrap());
        let challenge = world
            .post("/v1/links/redeem", json!({"token": token}))
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200)
            .text("code")
    };
    let redeem = async |code: String| {
        world
            .backend(Method::POST, "/v1/tokens", Some(json!({"code": code})))
            .await
    };
    let ended = code().await;
    let _ = patch(&world, &ann, json!({"password": "another horse battery"})).await;
    let _ = redeem(ended).await.refused(410, "code-expired");
    let token = redeem(code().await).await.expect(200).text("access_token");
    let _ = me(&world, &token).await.expect(200);
}

#[tokio::test]
async fn staff_who_become_a_counterparty_keep_nothing_of_one_factor() {
    let world = World::new().await;
    let ben = world.user("ben", json!({"kind": "internal"})).await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    let open = world
        .post("/v1/login", login_body(&world, true))
        .await
        .expect(200)
        .text("challenge");
    let office = office_token(&world, "ben").await;
    let _ = me(&world, &office).await.expect(200);
    let _ = patch(&world, &ben, json!({"kind": "external"})).await;
    let _ = me(&world, &office).await.refused(401, "unauthorized");
    let _ = world
        .as_user(&office, Method::GET, "/v1/factors", None)
        .await
        .refused(401, "unauthorized");
    let _ = world
        .issue(&open, "sms")
        .await
        .refused(410, "challenge-expired");
    // From the same network, with the same password.
    let token = world.token(&ben).await;
    let shown = me(&world, &token).await.expect(200);
    assert_eq!(
        (&shown.body["kind"], &shown.body["acr"]),
        (&json!("external"), &json!("two-factor"))
    );
}

fn login_body(world: &World, second_factor: bool) -> Value {
    json!({"account": world.account, "username": "ben", "password": PASSWORD, "second_factor": second_factor})
}

#[tokio::test]
async fn staff_who_need_no_second_factor_prove_one_where_they_ask_to() {
    let office = json!({"ip_allowlist": ["127.0.0.1/32"]});
    let anywhere = json!({"second_factor": {"internal_required": false}});
    for (settings, acr) in [(office, "allowlisted-network"), (anywhere, "single-factor")] {
        let world = World::new().await;
        let ben = world.user("ben", json!({"kind": "internal"})).await;
        let _ = world.settings(settings).await;
        let waived = world
            .post("/v1/login", login_body(&world, false))
            .await
            .expect(200);
        assert_eq!(waived.body["acr"], acr);
        let one = waived.text("access_token");
        let _ = patch_me(&world, &one, json!({"locale": "fr"}))
            .await
            .refused(403, "fresh-second-factor-required");
        let _ = world
            .as_user(&one, Method::POST, "/v1/factors/totp", None)
            .await
            .refused(403, "fresh-second-factor-required");
        let asked = world
            .post("/v1/login", login_body(&world, true))
            .await
            .expect(200);
        assert_eq!(asked.body["status"], "second_factor_required");
        let challenge = asked.text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let two = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        assert_eq!(two.body["acr"], "two-factor");
        let _ = patch_me(&world, &two.text("access_token"), json!({"locale": "fr"}))
            .await
            .expect(200);
        let _ = world.enrol(&two.text("access_token")).await;
        // To ask for more is no way to less: whoever has no factor is told to set one up, or that
        // there is none.
        let path = format!("/v1/users/{}", ben.id);
        let _ = world
            .backend(Method::PATCH, &path, Some(json!({"phone": null})))
            .await
            .expect(200);
        let _ = world
            .backend(Method::DELETE, &format!("{path}/factors/totp"), None)
            .await
            .expect(204);
        let _ = world
            .post("/v1/login", login_body(&world, true))
            .await
            .refused(403, "no-usable-factor");
        let _ = world
            .post("/v1/login", login_body(&world, false))
            .await
            .expect(200);
        let _ = world
            .user("new", json!({"kind": "internal", "phone": null}))
            .await;
        let body = json!({"account": world.account, "username": "new", "password": PASSWORD, "second_factor": true});
        assert_eq!(
            world.post("/v1/login", body).await.expect(200).body["status"],
            "enrolment_required"
        );
    }
    let world = World::new().await;
    for wrong in [Value::Null, json!("yes"), json!(1)] {
        let mut body = login_body(&world, true);
        body["second_factor"] = wrong;
        assert_eq!(
            world
                .post("/v1/login", body)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            ["/second_factor"]
        );
    }
}

#[tokio::test]
async fn a_reset_that_nobody_made_use_of_is_over_after_a_week() {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let _ = world.opened("ann").await;
    let reset = async || {
        let path = format!("/v1/users/{}/factors/totp", ann.id);
        let _ = world.backend(Method::DELETE, &path, None).await.expect(204);
    };
    // Somebody who had a factor once.
    let _ = patch(&world, &ann, json!({"phone": "+12025550177"})).await;
    let _ = patch(&world, &ann, json!({"phone": null})).await;
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    reset().await;
    world.advance(7 * 86_400 - 1);
    let open = world.opened("ann").await;
    assert_eq!(open.body["status"], "enrolment_required");
    world.advance(1);
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    let begin = json!({"challenge": open.text("challenge")});
    let _ = world
        .post("/v1/factors/totp", begin)
        .await
        .refused(403, "fresh-second-factor-required");
    reset().await;
    assert_eq!(
        world.opened("ann").await.body["status"],
        "enrolment_required"
    );
}

#[tokio::test]
async fn who_was_given_no_password_sets_none() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"password": null})).await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": ann.id})))
        .await
        .expect(202);
    let link = token_of(&world.outbox().await.pop().unwrap());
    let challenge = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let token = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200)
        .text("access_token");
    let entries = world.audit(&ann.id).await.len();
    let _ = patch_me(
        &world,
        &token,
        json!({"password": PASSWORD, "current_password": PASSWORD, "locale": "fr"}),
    )
    .await
    .refused(403, "forbidden");
    assert_eq!(
        (
            world.audit(&ann.id).await.len(),
            me(&world, &token).await.text("locale")
        ),
        (entries, "en".to_owned())
    );
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    // Everything else is the user's own; and a first password is the organisation's to give.
    let _ = prove(&world, &token, "sms", "+12025550177").await;
    let _ = patch(&world, &ann, json!({"password": PASSWORD})).await;
    let token = world.token(&ann).await;
    let _ = patch_me(
        &world,
        &token,
        json!({"password": "another horse battery", "current_password": PASSWORD}),
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn who_is_in_the_allowlist_is_told_so_where_no_second_factor_is_required_anyway() {
    let world = World::new().await;
    let _ = world.user("ben", json!({"kind": "internal"})).await;
    let both =
        json!({"ip_allowlist": ["127.0.0.1/32"], "second_factor": {"internal_required": false}});
    let _ = world.settings(both).await;
    assert_eq!(world.opened("ben").await.body["acr"], "allowlisted-network");
    let _ = world
        .settings(json!({"ip_allowlist": ["203.0.113.0/24"]}))
        .await;
    assert_eq!(world.opened("ben").await.body["acr"], "single-factor");
}

#[tokio::test]
async fn a_token_that_was_spared_is_ended_by_what_spares_none() {
    for end in ["reset", "forgotten"] {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        let own = world.token(&ann).await;
        let _ = world.enrol(&own).await;
        let _ = world
            .as_user(&own, Method::POST, "/v1/factors/recovery-codes", None)
            .await
            .expect(201);
        let _ = me(&world, &own).await.expect(200);
        if end == "reset" {
            let path = format!("/v1/users/{}/factors/totp", ann.id);
            let _ = world.backend(Method::DELETE, &path, None).await.expect(204);
        } else {
            let _ = world
                .send(world.request(Method::DELETE, "/_local/outbox"))
                .await;
            let body = json!({"account": world.account, "username": "ann"});
            let _ = world.post("/v1/password/forgotten", body).await.expect(202);
            let link = token_of(&world.outbox().await.pop().unwrap());
            let challenge = world
                .post("/v1/links/redeem", json!({"token": link}))
                .await
                .expect(200)
                .text("challenge");
            let _ = world.issue(&challenge, "sms").await.expect(202);
            let _ = world
                .verify(&challenge, "sms", &world.last_code().await)
                .await
                .expect(200);
            let body = json!({"challenge": challenge, "password": "another horse battery"});
            let _ = world.post("/v1/password", body).await.expect(204);
        }
        let _ = me(&world, &own).await.refused(401, "unauthorized");
    }
}
