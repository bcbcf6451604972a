//! The settings of groups: what they override, what they inherit, and that a change holds at the
//! next request.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};
use tests::agreements::{agreement, buy, person, quota, recipient_path, send_with};
use tests::{Answer, World};

async fn group(world: &World, name: &str, body: Value) -> Answer {
    world
        .backend(
            Method::PATCH,
            &format!("/v1/groups/{name}/settings"),
            Some(body),
        )
        .await
}

async fn shown(world: &World, path: &str) -> Answer {
    world.backend(Method::GET, path, None).await
}

fn offered(answer: &Answer) -> Vec<String> {
    let methods = answer.body["methods"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.body));
    methods
        .iter()
        .map(|offer| offer["method"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_group_that_set_nothing_inherits_everything() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"locale": "de", "kba": {"max_attempts": 5}}))
        .await;
    let own = shown(&world, "/v1/groups/escrow/settings")
        .await
        .expect(200);
    assert_eq!((&own.body, own.header("etag")), (&json!({}), Some("\"0\"")));
    let account = shown(&world, "/v1/settings").await.body;
    let effective = shown(&world, "/v1/groups/escrow/settings?effective=true")
        .await
        .expect(200)
        .body;
    assert_eq!(effective["value"], account);
    assert_eq!(effective["source"]["/locale"], "account");
    assert_eq!(effective["source"]["/kba/enabled"], "default");
}

#[tokio::test]
async fn each_value_of_a_group_tells_where_it_comes_from() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"locale": "de", "kba": {"max_attempts": 5, "enabled": true}}))
        .await;
    let set = group(
        &world,
        "escrow",
        json!({"kba": {"max_attempts": null}, "second_factor": {"methods": {"email": true}}}),
    )
    .await;
    let set = set.expect(200);
    let overrides =
        json!({"kba": {"max_attempts": null}, "second_factor": {"methods": {"email": true}}});
    assert_eq!((&set.body, set.header("etag")), (&overrides, Some("\"1\"")));
    let effective = shown(&world, "/v1/groups/escrow/settings?effective=true")
        .await
        .expect(200)
        .body;
    let (value, source) = (&effective["value"], &effective["source"]);
    assert_eq!(
        (&value["kba"]["max_attempts"], &source["/kba/max_attempts"]),
        (&Value::Null, &json!("group"))
    );
    assert_eq!(
        (&value["kba"]["enabled"], &source["/kba/enabled"]),
        (&json!(true), &json!("account"))
    );
    assert_eq!(
        (&value["locale"], &source["/locale"]),
        (&json!("de"), &json!("account"))
    );
    assert_eq!(
        (
            &value["second_factor"]["methods"]["email"],
            &source["/second_factor/methods/email"]
        ),
        (&json!(true), &json!("group"))
    );
    assert_eq!(source["/second_factor/methods/sms"], "default");
    // The account itself and other groups are as they were.
    assert_eq!(
        shown(&world, "/v1/settings").await.body["kba"]["max_attempts"],
        5
    );
    assert_eq!(
        shown(&world, "/v1/groups/sales/settings").await.body,
        json!({})
    );
    // Null takes a part back to the account's.
    let back = group(&world, "escrow", json!({"kba": null}))
        .await
        .expect(200);
    assert_eq!(
        back.body,
        json!({"second_factor": {"methods": {"email": true}}})
    );
    let effective = shown(&world, "/v1/groups/escrow/settings?effective=true")
        .await
        .expect(200)
        .body;
    assert_eq!(effective["value"]["kba"]["max_attempts"], 5);
    let entries = world.audit(&world.account).await;
    let last = entries.last().unwrap();
    assert_eq!(
        (&last["action"], &last["details"]),
        (
            &json!("settings-changed"),
            &json!({"group": "escrow", "changed": ["/kba/max_attempts"]})
        )
    );
}

#[tokio::test]
async fn what_is_the_accounts_alone_no_group_sets() {
    let world = World::new().await;
    for (body, pointer) in [
        (
            json!({"second_factor": {"internal_required": false}}),
            "/second_factor/internal_required",
        ),
        (json!({"ip_allowlist": []}), "/ip_allowlist"),
        (json!({"sso": null}), "/sso"),
        (json!({"origins": ["https://a.example"]}), "/origins"),
        (json!({"links": {"redirect_uris": []}}), "/links"),
        (json!({"quota": {"low_balance": 1}}), "/quota"),
        (json!({"contacts": []}), "/contacts"),
        (json!({"colour": 1}), "/colour"),
        (json!({"kba": {"max_attempts": 0}}), "/kba/max_attempts"),
        (json!({"kba": {"max_attempts": "3"}}), "/kba/max_attempts"),
        (json!({"locale": "pt"}), "/locale"),
        (
            json!({"second_factor": {"methods": {"sms": false, "totp": false}}}),
            "/second_factor/methods",
        ),
        (json!([]), ""),
    ] {
        let refused = group(&world, "escrow", body.clone())
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{body}");
    }
    let many: serde_json::Map<String, Value> = (0..5000)
        .map(|number| (format!("k{number}"), json!(1)))
        .collect();
    let refused = group(&world, "escrow", Value::Object(many))
        .await
        .refused(400, "invalid-request");
    assert!(refused.pointers().len() <= 20);
    assert_eq!(
        shown(&world, "/v1/groups/escrow/settings")
            .await
            .header("etag"),
        Some("\"0\"")
    );
}

#[tokio::test]
async fn a_name_that_no_group_may_have_is_not_found() {
    let world = World::new().await;
    for name in [
        "A",
        "-a",
        "a_b",
        "a%20b",
        "%C3%A4",
        "a%23b",
        &"a".repeat(65),
    ] {
        let path = format!("/v1/groups/{name}/settings");
        let _ = shown(&world, &path).await.refused(404, "not-found");
        let _ = world
            .backend(Method::PATCH, &path, Some(json!({"locale": "fr"})))
            .await
            .refused(404, "not-found");
        let _ = world
            .backend(
                Method::POST,
                "/v1/users",
                Some(json!({"username": "ann", "kind": "internal", "group": name})),
            )
            .await
            .refused(400, "invalid-request");
    }
    let _ = group(&world, &"a".repeat(64), json!({"locale": "fr"}))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_plan_and_the_methods_hold_for_groups_too() {
    let world = World::new().await;
    let plan = format!("/v1/accounts/{}", world.account);
    let _ = world
        .operator(Method::PATCH, &plan, Some(json!({"plan": "starter"})))
        .await
        .expect(200);
    let _ = group(&world, "escrow", json!({"kba": {"enabled": true}}))
        .await
        .refused(403, "plan-required");
    let _ = group(
        &world,
        "escrow",
        json!({"second_factor": {"methods": {"sms": false}}}),
    )
    .await
    .expect(200);
    // The account would leave the group without a method.
    let off = json!({"second_factor": {"methods": {"totp": false}}});
    let refused = world
        .backend(Method::PATCH, "/v1/settings", Some(off.clone()))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/second_factor/methods"]);
    assert!(refused.body.to_string().contains("escrow"));
    let _ = group(&world, "escrow", json!({"second_factor": null}))
        .await
        .expect(200);
    let _ = world.settings(off).await;
}

#[tokio::test]
async fn what_a_group_sets_is_in_force_for_its_users_at_the_next_request() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let ben = world.user("ben", json!({"group": "sales"})).await;
    let _ = group(
        &world,
        "escrow",
        json!({"second_factor": {"methods": {"email": true, "sms": false}}, "locale": "it"}),
    )
    .await
    .expect(200);
    let login = world.login("ann", tests::PASSWORD).await.expect(200);
    assert_eq!(offered(&login), ["email"]);
    assert_eq!(
        offered(&world.login("ben", tests::PASSWORD).await.expect(200)),
        ["sms"]
    );
    let challenge = login.text("challenge");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(403, "method-not-enabled");
    let _ = world.issue(&challenge, "email").await.expect(202);
    let code = world.last_code().await;
    // Switched off in between: neither sent nor taken.
    let _ = group(
        &world,
        "escrow",
        json!({"second_factor": {"methods": {"email": false, "sms": true}}}),
    )
    .await
    .expect(200);
    let _ = world
        .verify(&challenge, "email", &code)
        .await
        .refused(403, "method-not-enabled");
    let _ = world
        .issue(&challenge, "email")
        .await
        .refused(403, "method-not-enabled");
    // The user moves to another group while the challenge is open.
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"group": "mail"})))
        .await
        .expect(200);
    let _ = group(
        &world,
        "mail",
        json!({"second_factor": {"methods": {"email": true}}, "locale": "es"}),
    )
    .await
    .expect(200);
    let done = world.verify(&challenge, "email", &code).await.expect(200);
    assert_eq!(done.body["acr"], "two-factor-email");
    let me = world
        .send(
            world
                .request(Method::GET, "/v1/me")
                .bearer_auth(done.text("access_token")),
        )
        .await
        .expect(200);
    assert_eq!(
        (&me.body["group"], &me.body["locale"]),
        (&json!("mail"), &json!("es"))
    );
    assert_eq!(
        offered(&world.login("ann", tests::PASSWORD).await.expect(200)),
        ["sms", "email"]
    );
    // And out of any.
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"group": null})))
        .await
        .expect(200);
    assert_eq!(
        offered(&world.login("ann", tests::PASSWORD).await.expect(200)),
        ["sms"]
    );
    assert_eq!(
        world
            .backend(Method::GET, &format!("/v1/users/{}", ben.id), None)
            .await
            .body["group"],
        "sales"
    );
}

#[tokio::test]
async fn a_group_costs_a_sign_in_no_request_more() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"group": "escrow"})).await;
    let _ = group(&world, "escrow", json!({"locale": "fr"}))
        .await
        .expect(200);
    let _ = world.stack.meter().take();
    let challenge = world.challenge(&ann).await;
    assert_eq!(world.stack.meter().take().requests, 4);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    assert_eq!(world.stack.meter().take().requests, 2);
    let code = world.last_code().await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(world.stack.meter().take().requests, 3);
}

#[tokio::test]
async fn a_stale_change_of_a_group_is_refused() {
    let world = World::new().await;
    let send = |etag: &str, body: Value| {
        let request = world
            .request(Method::PATCH, "/v1/groups/escrow/settings")
            .bearer_auth(&world.key);
        world.send(request.header("if-match", etag).json(&body))
    };
    let _ = send("\"0\"", json!({"locale": "fr"})).await.expect(200);
    let _ = send("\"0\"", json!({"locale": "de"}))
        .await
        .refused(412, "precondition-failed");
    let _ = send("\"1\"", json!({"locale": "de"})).await.expect(200);
    // What changes nothing writes nothing.
    let same = send("\"2\"", json!({"locale": "de"})).await.expect(200);
    assert_eq!(same.header("etag"), Some("\"2\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_patches_of_two_administrators_at_once_lose_nothing() {
    let world = World::new().await;
    let bodies = [
        json!({"second_factor": {"methods": {"email": true}}}),
        json!({"locale": "it"}),
        json!({"kba": {"enabled": true}}),
        json!({"kba": {"difficulty": "hard"}}),
        json!({"kba": {"max_attempts": 7}}),
    ];
    let patches = (0..50).map(|number: usize| {
        let (name, body) = (
            ["escrow", "sales"][number % 2],
            bodies[number / 2 % bodies.len()].clone(),
        );
        let world = &world;
        async move {
            match number {
                // And the account itself changes meanwhile.
                40.. => {
                    world
                        .backend(
                            Method::PATCH,
                            "/v1/settings",
                            Some(json!({"quota": {"low_balance": number}})),
                        )
                        .await
                }
                _ => group(world, name, body).await,
            }
        }
    });
    let answers = join_all(patches).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    for name in ["escrow", "sales"] {
        let own = shown(&world, &format!("/v1/groups/{name}/settings"))
            .await
            .body;
        assert_eq!(own["locale"], "it", "{own}");
        assert_eq!(own["second_factor"]["methods"]["email"], true, "{own}");
        assert_eq!(
            (
                &own["kba"]["difficulty"],
                &own["kba"]["max_attempts"],
                &own["kba"]["enabled"]
            ),
            (&json!("hard"), &json!(7), &json!(true)),
            "{own}"
        );
    }
    let chain: Vec<Entry> = world
        .audit(&world.account)
        .await
        .into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect();
    assert_eq!(first_broken(&chain), None);
}

#[tokio::test]
async fn the_groups_of_another_account_are_not_there() {
    let world = World::new().await;
    let (other, _) = world.open_account("starter").await;
    let path = format!("/v1/groups/escrow/settings?account={other}");
    let _ = shown(&world, &path).await.refused(404, "not-found");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"locale": "fr"})))
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_group_of_a_downgraded_account_can_change_the_rest() {
    let world = World::new().await;
    let plan = format!("/v1/accounts/{}", world.account);
    let _ = group(&world, "escrow", json!({"kba": {"enabled": true}}))
        .await
        .expect(200);
    let _ = world
        .operator(Method::PATCH, &plan, Some(json!({"plan": "starter"})))
        .await
        .expect(200);
    let _ = group(&world, "escrow", json!({"locale": "it"}))
        .await
        .expect(200);
    let _ = group(&world, "escrow", json!({"kba": {"enabled": false}}))
        .await
        .expect(200);
    let _ = group(&world, "escrow", json!({"kba": {"enabled": true}}))
        .await
        .refused(403, "plan-required");
}

#[tokio::test]
async fn another_method_of_a_recipient_is_one_that_the_agreements_group_has() {
    let world = World::new().await;
    buy(&world, 5).await;
    let send = async |key: &str, group: &str| {
        let mut body = agreement(&json!([person(1, "none")]));
        body["group"] = json!(group);
        recipient_path(&send_with(&world, key, &body).await.expect(201), 0)
    };
    let to_kba = async |path: &str| {
        world
            .backend(Method::PATCH, path, Some(json!({"authentication": "kba"})))
            .await
    };
    let (on, off) = (send("k1", "escrow").await, send("k2", "sales").await);
    let _ = group(&world, "escrow", json!({"kba": {"enabled": true}}))
        .await
        .expect(200);
    let _ = to_kba(&on).await.expect(200);
    let _ = to_kba(&off).await.refused(403, "method-not-enabled");
    // And the other way round.
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    let _ = group(&world, "sales", json!({"kba": {"enabled": false}}))
        .await
        .expect(200);
    let _ = to_kba(&off).await.refused(403, "method-not-enabled");
    assert_eq!(quota(&world).await, (4, 1, 0));
}
