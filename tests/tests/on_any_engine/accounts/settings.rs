//! The settings of an account: their defaults, what a merge patch makes of them, and the rules it
//! is held to as a whole.

use std::collections::BTreeSet;
use std::fmt::Write;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};
use tests::{Answer, PASSWORD, World};

/// As the contract has them.
fn defaults() -> Value {
    json!({
        "second_factor": {"internal_required": true, "methods": {"sms": true, "totp": true, "email": false}},
        "ip_allowlist": [],
        "sso": null,
        "kba": {
            "enabled": false, "max_attempts": 3, "require_recipient_name": false, "on_view_after_signing": false,
            "difficulty": "default",
        },
        "origins": [],
        "links": {"redirect_uris": []},
        "quota": {"low_balance": 10},
        "contacts": [],
        "locale": "en",
    })
}

async fn shown(world: &World) -> Answer {
    world
        .backend(Method::GET, "/v1/settings", None)
        .await
        .expect(200)
}

async fn patch(world: &World, body: Value) -> Answer {
    world
        .backend(Method::PATCH, "/v1/settings", Some(body))
        .await
}

async fn patch_if(world: &World, if_match: &str, body: Value) -> Answer {
    world
        .send(
            world
                .request(Method::PATCH, "/v1/settings")
                .bearer_auth(&world.key)
                .header("if-match", if_match)
                .json(&body),
        )
        .await
}

async fn change_plan(world: &World, plan: &str) {
    let path = format!("/v1/accounts/{}", world.account);
    let _ = world
        .operator(Method::PATCH, &path, Some(json!({"plan": plan})))
        .await
        .expect(200);
}

async fn preflight(world: &World, origin: &str) -> Answer {
    let request = world
        .request(Method::OPTIONS, "/v1/codes")
        .header("origin", origin);
    world
        .send(request.header("access-control-request-method", "POST"))
        .await
        .expect(204)
}

async fn is_claimed(world: &World, origin: &str) -> bool {
    preflight(world, origin)
        .await
        .header("access-control-allow-origin")
        == Some(origin)
}

/// The JSON Pointers of every value that is no object.
fn leaves(value: &Value, pointer: &str, pointers: &mut BTreeSet<String>) {
    let Value::Object(members) = value else {
        pointers.insert(pointer.to_owned());
        return;
    };
    for (name, member) in members {
        leaves(member, &format!("{pointer}/{name}"), pointers);
    }
}

#[tokio::test]
async fn nothing_set_is_the_defaults() {
    let world = World::new().await;
    let settings = shown(&world).await;
    assert_eq!(settings.body, defaults());
    assert_eq!(
        (settings.header("etag"), settings.header("cache-control")),
        (Some("\"1\""), Some("no-store"))
    );
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let world = World::new().await;
    let mut expected = defaults();
    let changed = patch(
        &world,
        json!({"second_factor": {"methods": {"email": true}}, "kba": {"difficulty": "hard"}}),
    )
    .await
    .expect(200);
    expected["second_factor"]["methods"]["email"] = json!(true);
    expected["kba"]["difficulty"] = json!("hard");
    assert_eq!(changed.body, expected);
    let sso = json!({"issuer": "https://id.example", "audience": "portal", "jwks_uri": "https://id.example/keys"});
    let changed = patch(
        &world,
        json!({"sso": sso, "ip_allowlist": ["203.0.113.0/24", "2001:db8::/32"]}),
    )
    .await
    .expect(200);
    expected["sso"] = sso;
    expected["ip_allowlist"] = json!(["203.0.113.0/24", "2001:db8::/32"]);
    assert_eq!(changed.body, expected);
    // Within an object a patch goes on merging; a list is replaced as a whole.
    let changed = patch(
        &world,
        json!({"sso": {"audience": "desk"}, "ip_allowlist": ["198.51.100.7/32"]}),
    )
    .await
    .expect(200);
    expected["sso"]["audience"] = json!("desk");
    expected["ip_allowlist"] = json!(["198.51.100.7/32"]);
    assert_eq!(changed.body, expected);
    assert_eq!(shown(&world).await.body, expected);
}

#[tokio::test]
async fn null_takes_a_setting_back_to_its_default() {
    let world = World::new().await;
    let everything = json!({
        "second_factor": {"internal_required": false, "methods": {"sms": false, "email": true}},
        "sso": {"issuer": "https://id.example", "audience": "portal", "jwks_uri": "https://id.example/keys"},
        "kba": {"enabled": true, "max_attempts": 7, "difficulty": "hard"},
        "origins": ["https://portal.example"], "quota": {"low_balance": 0}, "contacts": ["desk@example.com"], "locale": "de",
    });
    let _ = patch(&world, everything).await.expect(200);
    let patched = patch(
        &world,
        json!({"second_factor": {"methods": {"sms": null}}, "kba": {"difficulty": null}, "locale": null}),
    );
    let patched = patched.await.expect(200).body;
    assert_eq!(
        patched["second_factor"],
        json!({"internal_required": false, "methods": {"sms": true, "totp": true, "email": true}})
    );
    assert_eq!(
        (
            &patched["kba"]["difficulty"],
            &patched["kba"]["max_attempts"],
            &patched["locale"]
        ),
        (&json!("default"), &json!(7), &json!("en"))
    );
    let null = json!({"second_factor": null, "sso": null, "kba": null, "origins": null, "quota": null, "contacts": null, "links": null});
    assert_eq!(patch(&world, null).await.expect(200).body, defaults());
    let effective = world
        .backend(Method::GET, "/v1/settings?effective=true", None)
        .await
        .expect(200);
    assert!(
        effective.body["source"]
            .as_object()
            .unwrap()
            .values()
            .all(|source| source == "default"),
        "{}",
        effective.body
    );
}

#[tokio::test]
async fn no_limit_of_attempts_is_a_value_and_stays_one() {
    let world = World::new().await;
    let patched = patch(&world, json!({"kba": {"max_attempts": null}}))
        .await
        .expect(200);
    assert_eq!(patched.body["kba"]["max_attempts"], Value::Null);
    // A later patch of its neighbour leaves it alone.
    let patched = patch(&world, json!({"kba": {"difficulty": "hard"}}))
        .await
        .expect(200);
    assert_eq!(patched.body["kba"]["max_attempts"], Value::Null);
    let effective = world
        .backend(Method::GET, "/v1/settings?effective=true", None)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            &effective["value"]["kba"]["max_attempts"],
            &effective["source"]["/kba/max_attempts"]
        ),
        (&Value::Null, &json!("account"))
    );
    assert_eq!(
        patch(&world, json!({"kba": null})).await.expect(200).body["kba"],
        defaults()["kba"]
    );
}

#[tokio::test]
async fn each_value_in_force_tells_where_it_comes_from() {
    let world = World::new().await;
    let _ = patch(
        &world,
        json!({"kba": {"max_attempts": 3}, "origins": ["https://portal.example"], "locale": "fr"}),
    )
    .await
    .expect(200);
    let effective = world
        .backend(Method::GET, "/v1/settings?effective=true", None)
        .await
        .expect(200);
    assert_eq!(
        (&effective.body["value"], effective.header("etag")),
        (&shown(&world).await.body, Some("\"2\""))
    );
    let source = effective.body["source"].as_object().unwrap();
    let mut pointers = BTreeSet::new();
    leaves(&effective.body["value"], "", &mut pointers);
    assert_eq!(
        source.keys().cloned().collect::<BTreeSet<_>>(),
        pointers,
        "every value has a source, and nothing else"
    );
    let set: Vec<&str> = source
        .iter()
        .filter(|(_, source)| *source == "account")
        .map(|(pointer, _)| pointer.as_str())
        .collect();
    // What was set to its default is set.
    assert_eq!(set, ["/kba/max_attempts", "/locale", "/origins"]);
    assert!(
        source
            .values()
            .all(|source| source == "account" || source == "default")
    );
    assert_eq!(
        world
            .backend(Method::GET, "/v1/settings?effective=false", None)
            .await
            .expect(200)
            .body,
        shown(&world).await.body
    );
}

#[tokio::test]
async fn a_change_to_other_settings_than_those_that_were_read_is_refused() {
    let world = World::new().await;
    let changed = patch_if(&world, "\"1\"", json!({"locale": "fr"}))
        .await
        .expect(200);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    for if_match in ["\"1\"", "\"3\"", "W/\"2\"", "2", "x"] {
        let _ = patch_if(&world, if_match, json!({"locale": "de"}))
            .await
            .refused(412, "precondition-failed");
        let _ = patch_if(&world, if_match, json!({"locale": "fr"}))
            .await
            .refused(412, "precondition-failed");
    }
    assert_eq!(shown(&world).await.body["locale"], "fr");
    let same = patch_if(&world, "\"2\"", json!({"locale": "fr"}))
        .await
        .expect(200);
    assert_eq!(
        same.header("etag"),
        Some("\"2\""),
        "what changes nothing makes no version"
    );
    assert_eq!(
        patch_if(&world, "*", json!({"locale": "it"}))
            .await
            .expect(200)
            .header("etag"),
        Some("\"3\"")
    );
    assert_eq!(shown(&world).await.header("etag"), Some("\"3\""));
    // Name and plan have a version of their own.
    change_plan(&world, "enterprise").await;
    assert_eq!(shown(&world).await.header("etag"), Some("\"3\""));
}

#[tokio::test]
async fn of_a_patch_that_is_wrong_in_part_nothing_is_written() {
    let world = World::new().await;
    let before = world.actions(&world.account).await;
    let good = json!({"locale": "fr", "origins": ["https://portal.example"], "second_factor": {"methods": {"email": true}}});
    let bad = [
        (json!({"contacts": ["nobody"]}), "/contacts/0"),
        (json!({"quota": {"low_balance": -1}}), "/quota/low_balance"),
        (json!({"kba": {"max_attempts": 0}}), "/kba/max_attempts"),
        (json!({"colour": null}), "/colour"),
        (
            json!({"links": {"redirect_uris": ["https://a.example/", "javascript:alert(1)"]}}),
            "/links/redirect_uris/1",
        ),
        (
            json!({"ip_allowlist": ["10.0.0.0/16", "10.1.0.0/15"]}),
            "/ip_allowlist/1",
        ),
        (
            json!({"second_factor": {"methods": {"email": true, "fax": true}}}),
            "/second_factor/methods/fax",
        ),
    ];
    for (bad, pointer) in bad {
        let mut mixed = good.clone();
        mixed
            .as_object_mut()
            .unwrap()
            .extend(bad.as_object().unwrap().clone());
        let refused = patch(&world, mixed).await;
        assert!(
            matches!(
                (refused.status, refused.slug()),
                (400, "invalid-request") | (422, "allowlist-too-wide")
            ),
            "{}",
            refused.body
        );
        assert_eq!(refused.pointers(), [pointer]);
    }
    let settings = shown(&world).await;
    assert_eq!(
        (&settings.body, settings.header("etag")),
        (&defaults(), Some("\"1\""))
    );
    assert!(!is_claimed(&world, "https://portal.example").await);
    assert_eq!(world.actions(&world.account).await, before);
    assert_eq!(patch(&world, good).await.expect(200).body["locale"], "fr");
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_refused_and_named() {
    let world = World::new().await;
    let sso = |name: &str, value: Value| {
        let mut sso = json!({"issuer": "https://id.example", "audience": "portal", "jwks_uri": "https://id.example/keys"});
        sso[name] = value;
        json!({ "sso": sso })
    };
    let cases = [
        (json!([]), ""),
        (json!("x"), ""),
        (json!(null), ""),
        (json!({"kba": []}), "/kba"),
        (
            json!({"second_factor": {"methods": true}}),
            "/second_factor/methods",
        ),
        (
            json!({"second_factor": {"methods": {"sms": "yes"}}}),
            "/second_factor/methods/sms",
        ),
        (
            json!({"second_factor": {"internal_required": 1}}),
            "/second_factor/internal_required",
        ),
        (
            json!({"second_factor": {"methods": {"sms": false, "totp": false}}}),
            "/second_factor/methods",
        ),
        (json!({"kba": {"max_attempts": 11}}), "/kba/max_attempts"),
        (json!({"kba": {"max_attempts": 300}}), "/kba/max_attempts"),
        (json!({"kba": {"max_attempts": "3"}}), "/kba/max_attempts"),
        (json!({"kba": {"difficulty": "harder"}}), "/kba/difficulty"),
        (json!({"quota": {"low_balance": 1.5}}), "/quota/low_balance"),
        (
            json!({"quota": {"low_balance": 1_000_001}}),
            "/quota/low_balance",
        ),
        (json!({"origins": "https://a.example"}), "/origins"),
        (json!({"origins": ["https://a.example/"]}), "/origins/0"),
        (json!({"origins": ["https://a.example", "*"]}), "/origins/1"),
        (json!({"origins": ["http://a.example"]}), "/origins/0"),
        (
            json!({"origins": ["http://localhost", "http://localhost.a.example"]}),
            "/origins/1",
        ),
        (json!({"origins": ["http://10.0.0.1:8080"]}), "/origins/0"),
        (json!({"origins": ["null"]}), "/origins/0"),
        (json!({"origins": ["https://A.example"]}), "/origins/0"),
        (json!({"origins": ["https://a.example:443"]}), "/origins/0"),
        (
            json!({"links": {"redirect_uris": ["http://portal.example/"]}}),
            "/links/redirect_uris/0",
        ),
        (
            json!({"links": {"redirect_uris": ["/relative"]}}),
            "/links/redirect_uris/0",
        ),
        (
            json!({"links": {"redirect_uris": ["https://a.example/#x"]}}),
            "/links/redirect_uris/0",
        ),
        (
            json!({"contacts": ["a@example.com", "a@example.com"]}),
            "/contacts/1",
        ),
        (
            json!({"contacts": ["a@example.com\r\nBcc: b@example.com"]}),
            "/contacts/0",
        ),
        (json!({"locale": "xx"}), "/locale"),
        (json!({"locale": 1}), "/locale"),
        (sso("issuer", json!("ftp://id.example")), "/sso/issuer"),
        (sso("jwks_uri", json!("ftp://id.example")), "/sso/jwks_uri"),
        (sso("audience", json!("")), "/sso/audience"),
        (sso("audience", json!(7)), "/sso/audience"),
        (sso("secret", json!("x")), "/sso/secret"),
        (sso("audience", Value::Null), "/sso/audience"),
        (
            json!({"sso": {"issuer": "https://id.example", "audience": "portal"}}),
            "/sso/jwks_uri",
        ),
    ];
    for (body, pointer) in cases {
        let refused = patch(&world, body.clone())
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), [pointer], "{body}: {}", refused.body);
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(
            !detail.contains('`') && !detail.contains("u8") && !detail.contains("u32"),
            "for people: {detail}"
        );
    }
    assert_eq!(shown(&world).await.body, defaults());
}

#[tokio::test]
async fn an_allowlist_has_at_most_a_hundred_and_fifty_networks() {
    let world = World::new().await;
    let networks = |count: usize| {
        (0..count)
            .map(|number| format!("10.{}.{}.0/24", number / 100, number % 100))
            .collect::<Vec<_>>()
    };
    let full = patch(&world, json!({"ip_allowlist": networks(150)}))
        .await
        .expect(200);
    assert_eq!(full.body["ip_allowlist"], json!(networks(150)));
    let refused = patch(&world, json!({"ip_allowlist": networks(151)}))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/ip_allowlist"]);
    assert!(refused.body.to_string().contains("150"), "{}", refused.body);
    assert_eq!(
        shown(&world).await.body["ip_allowlist"],
        json!(networks(150))
    );
    let explained = world
        .backend(Method::GET, "/v1/ip-allowlist/explain?ip=10.1.49.255", None)
        .await
        .expect(200);
    assert_eq!(
        explained.body["matched"], "10.1.49.0/24",
        "the last of them counts"
    );
}

#[tokio::test]
async fn an_origin_is_https_or_on_this_machine() {
    let world = World::new().await;
    let good = json!([
        "https://a.example",
        "http://localhost:3000",
        "http://127.0.0.1:9000",
        "http://[::1]:9000"
    ]);
    assert_eq!(
        patch(&world, json!({"origins": good}))
            .await
            .expect(200)
            .body["origins"],
        good
    );
}

#[tokio::test]
async fn a_network_that_is_too_wide_is_named() {
    let world = World::new().await;
    let narrow = json!({"ip_allowlist": ["10.0.0.0/16", "2001:db8::/32", "127.0.0.1/32", "::1/128", "192.0.2.7"]});
    let _ = patch(&world, narrow.clone()).await.expect(200);
    for (list, wide) in [
        (json!(["10.0.0.0/15"]), vec!["/ip_allowlist/0"]),
        (json!(["10.1.2.3/8"]), vec!["/ip_allowlist/0"]),
        (json!(["0.0.0.0/0"]), vec!["/ip_allowlist/0"]),
        (json!(["::/0"]), vec!["/ip_allowlist/0"]),
        (
            json!(["127.0.0.1/32", "2001:db8::/31"]),
            vec!["/ip_allowlist/1"],
        ),
        (
            json!(["10.0.0.0/8", "127.0.0.1/32", "::ffff:0.0.0.0/96"]),
            vec!["/ip_allowlist/0", "/ip_allowlist/2"],
        ),
        (
            json!(["2001:db8::/32", "::ffff:10.0.0.0/111"]),
            vec!["/ip_allowlist/1"],
        ),
    ] {
        let refused = patch(&world, json!({"ip_allowlist": list}))
            .await
            .refused(422, "allowlist-too-wide");
        assert_eq!(refused.pointers(), wide, "{list}");
    }
    for list in [
        json!(["10.0.0.1/24"]),
        json!(["10.0.0.0/33"]),
        json!(["office"]),
        json!([7]),
        json!(["10.0.0.0/-1"]),
        json!([""]),
    ] {
        let refused = patch(&world, json!({"ip_allowlist": list}))
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["/ip_allowlist/0"], "{list}");
    }
    assert_eq!(
        shown(&world).await.body["ip_allowlist"],
        narrow["ip_allowlist"]
    );
}

#[tokio::test]
async fn an_address_is_explained() {
    let world = World::new().await;
    let explain = |ip: &'static str| {
        world.send(
            world
                .request(Method::GET, &format!("/v1/ip-allowlist/explain{ip}"))
                .bearer_auth(&world.key),
        )
    };
    let empty = explain("?ip=127.0.0.1").await.expect(200).body;
    assert_eq!(
        (&empty["allowed"], &empty["matched"], &empty["address"]),
        (&json!(false), &Value::Null, &json!("127.0.0.1"))
    );
    assert!(!empty["reason"].as_str().unwrap().is_empty());
    let _ = patch(
        &world,
        json!({"ip_allowlist": ["203.0.113.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120"]}),
    )
    .await
    .expect(200);
    for (asked, address, matched) in [
        ("?ip=203.0.113.7", "203.0.113.7", Some("203.0.113.0/24")),
        ("?ip=203.0.114.7", "203.0.114.7", None),
        (
            "?ip=::ffff:203.0.113.7",
            "203.0.113.7",
            Some("203.0.113.0/24"),
        ),
        (
            "?ip=::ffff:cb00:7107",
            "203.0.113.7",
            Some("203.0.113.0/24"),
        ),
        ("?ip=::203.0.113.7", "::cb00:7107", None),
        (
            "?ip=198.51.100.200",
            "198.51.100.200",
            Some("::ffff:198.51.100.0/120"),
        ),
        (
            "?ip=2001:0DB8:0::0001",
            "2001:db8::1",
            Some("2001:db8::/32"),
        ),
        ("?ip=2001:db9::1", "2001:db9::1", None),
        ("?ip=%3A%3A1", "::1", None),
    ] {
        let explained = explain(asked).await.expect(200).body;
        assert_eq!(
            (&explained["allowed"], &explained["address"]),
            (&json!(matched.is_some()), &json!(address)),
            "{asked}"
        );
        assert_eq!(explained["matched"], json!(matched), "{asked}");
        let reason = explained["reason"].as_str().unwrap();
        assert!(
            reason.contains(address) && matched.is_none_or(|matched| reason.contains(matched)),
            "{reason}"
        );
    }
    for asked in [
        "",
        "?ip=",
        "?ip=office",
        "?ip=203.0.113",
        "?ip=203.0.113.0/24",
        "?ip=010.0.0.1",
        "?ip=fe80::1%25eth0",
        "?ip=1.1.1.1&ip=1.1.1.1",
    ] {
        assert_eq!(
            explain(asked)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            ["?ip"],
            "{asked}"
        );
    }
}

#[tokio::test]
async fn knowledge_based_authentication_needs_the_plan_and_a_downgrade_locks_nothing_else() {
    let world = World::new().await;
    let kba = |enabled: bool| json!({"kba": {"enabled": enabled}});
    change_plan(&world, "starter").await;
    let refused = patch(&world, json!({"kba": {"enabled": true}, "locale": "fr"}))
        .await
        .refused(403, "plan-required");
    assert_eq!(refused.pointers(), ["/kba/enabled"]);
    assert_eq!(shown(&world).await.body, defaults());
    // What does not switch it on is no matter of the plan.
    let _ = patch(
        &world,
        json!({"kba": {"enabled": false, "max_attempts": 5, "difficulty": "hard"}}),
    )
    .await
    .expect(200);
    for plan in ["business", "enterprise"] {
        change_plan(&world, plan).await;
        let _ = patch(&world, kba(false)).await.expect(200);
        assert_eq!(
            patch(&world, kba(true)).await.expect(200).body["kba"]["enabled"],
            true
        );
    }
    change_plan(&world, "starter").await;
    let patched = patch(&world, json!({"locale": "de", "kba": {"max_attempts": 2}}))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&patched["locale"], &patched["kba"]["max_attempts"]),
        (&json!("de"), &json!(2))
    );
    let _ = patch(&world, kba(false)).await.expect(200);
    let _ = patch(&world, kba(true)).await.refused(403, "plan-required");
}

#[tokio::test]
async fn at_least_one_second_factor_stays_on() {
    let world = World::new().await;
    let methods = |methods: Value| patch(&world, json!({"second_factor": {"methods": methods}}));
    for none in [
        json!({"sms": false, "totp": false}),
        json!({"sms": false, "totp": false, "email": false}),
    ] {
        let refused = methods(none).await.refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["/second_factor/methods"]);
    }
    for (one, last) in [("sms", "totp"), ("totp", "email"), ("email", "sms")] {
        let mut all = json!({"sms": false, "totp": false, "email": false});
        all[one] = json!(true);
        assert_eq!(
            methods(all.clone()).await.expect(200).body["second_factor"]["methods"],
            all
        );
        let _ = methods(json!({one: false}))
            .await
            .refused(400, "invalid-request");
        let _ = methods(json!({one: false, last: true})).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_of_ten_thousand_settings_is_refused_in_few_words() {
    let world = World::new().await;
    let body = |count: usize| {
        let mut body = String::new();
        for number in 0..count {
            let _ = write!(
                body,
                "{}\"{number:x}\":0",
                if number == 0 { '{' } else { ',' }
            );
        }
        body + "}"
    };
    let send = |body: String| {
        world.send(
            world
                .request(Method::PATCH, "/v1/settings")
                .bearer_auth(&world.key)
                .header("content-type", "application/json")
                .body(body),
        )
    };
    assert!(body(10_000).len() > 64 * 1024 && body(7_000).len() < 64 * 1024);
    let _ = send(body(10_000)).await.refused(413, "payload-too-large");
    let refused = send(body(7_000)).await.refused(400, "invalid-request");
    assert!(
        (1..=20).contains(&refused.pointers().len()) && refused.body.to_string().len() < 4_096,
        "{}",
        refused.body
    );
    // The same within an object, and a hundred thousand entries of a list.
    let _ = send(format!("{{\"kba\":{}}}", body(7_000)))
        .await
        .refused(400, "invalid-request");
    let refused = send(format!("{{\"contacts\":[{}0]}}", "0,".repeat(30_000)))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/contacts/0"]);
    assert_eq!(shown(&world).await.body, defaults());
}

#[tokio::test]
async fn a_change_is_in_force_at_the_next_request() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    let _ = world.user("staff", json!({"kind": "internal"})).await;
    for on in [true, false, true] {
        let _ = patch(
            &world,
            json!({"second_factor": {"methods": {"email": on}, "internal_required": !on}}),
        )
        .await
        .expect(200);
        let methods = world.login("ann", PASSWORD).await.expect(200).body["methods"].clone();
        assert_eq!(
            methods
                .as_array()
                .unwrap()
                .iter()
                .any(|offer| offer["method"] == "email"),
            on
        );
        assert_eq!(
            world.login("staff", PASSWORD).await.expect(200).body["status"] == "authenticated",
            on
        );
        let _ = patch(
            &world,
            json!({"ip_allowlist": if on { json!(["203.0.113.0/24"]) } else { json!([]) }}),
        )
        .await
        .expect(200);
        let explained = world
            .backend(Method::GET, "/v1/ip-allowlist/explain?ip=203.0.113.7", None)
            .await
            .expect(200);
        assert_eq!(explained.body["allowed"], on);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_administrators_at_once_lose_nothing_of_one_another() {
    let world = World::new().await;
    let sso = json!({"issuer": "https://id.example", "audience": "portal", "jwks_uri": "https://id.example/keys"});
    let _ = patch(&world, json!({ "sso": sso })).await.expect(200);
    let each = [
        json!({"second_factor": {"internal_required": false}}),
        json!({"second_factor": {"methods": {"totp": false}}}),
        json!({"second_factor": {"methods": {"email": true}}}),
        json!({"second_factor": {"methods": {"sms": true}}}),
        json!({"ip_allowlist": ["203.0.113.0/24"]}),
        json!({"sso": {"issuer": "https://sso.example"}}),
        json!({"sso": {"audience": "desk"}}),
        json!({"sso": {"jwks_uri": "https://sso.example/keys"}}),
        json!({"kba": {"enabled": true}}),
        json!({"kba": {"max_attempts": null}}),
        json!({"kba": {"require_recipient_name": true}}),
        json!({"kba": {"on_view_after_signing": true}}),
        json!({"kba": {"difficulty": "hard"}}),
        json!({"origins": ["https://portal.example"]}),
        json!({"links": {"redirect_uris": ["https://portal.example/back"]}}),
        json!({"quota": {"low_balance": 99}}),
        json!({"contacts": ["desk@example.com"]}),
        json!({"locale": "it"}),
    ];
    // Two more change the account itself, which stands on the same item.
    let account = format!("/v1/accounts/{}", world.account);
    let patches = join_all(each.iter().map(|body| patch(&world, body.clone())));
    let name = world.operator(Method::PATCH, &account, Some(json!({"name": "Alder"})));
    let plan = world.operator(Method::PATCH, &account, Some(json!({"plan": "enterprise"})));
    let (answers, name, plan) = futures_util::join!(patches, name, plan);
    assert!(
        answers
            .iter()
            .chain([&name, &plan])
            .all(|answer| answer.status == 200),
        "{answers:?} {name:?} {plan:?}"
    );
    let expected = json!({
        "second_factor": {"internal_required": false, "methods": {"sms": true, "totp": false, "email": true}},
        "ip_allowlist": ["203.0.113.0/24"],
        "sso": {"issuer": "https://sso.example", "audience": "desk", "jwks_uri": "https://sso.example/keys"},
        "kba": {
            "enabled": true, "max_attempts": null, "require_recipient_name": true, "on_view_after_signing": true, "difficulty": "hard",
        },
        "origins": ["https://portal.example"],
        "links": {"redirect_uris": ["https://portal.example/back"]},
        "quota": {"low_balance": 99},
        "contacts": ["desk@example.com"],
        "locale": "it",
    });
    let settings = shown(&world).await;
    assert_eq!(
        (&settings.body, settings.header("etag")),
        (&expected, Some(format!("\"{}\"", 2 + each.len()).as_str()))
    );
    let shown = world
        .operator(Method::GET, &account, None)
        .await
        .expect(200);
    assert_eq!(
        (
            &shown.body["name"],
            &shown.body["plan"],
            shown.header("etag")
        ),
        (&json!("Alder"), &json!("enterprise"), Some("\"3\""))
    );
    let chain: Vec<Entry> = world
        .audit(&world.account)
        .await
        .into_iter()
        .map(|entry| serde_json::from_value(entry).unwrap())
        .collect();
    assert_eq!(
        (first_broken(&chain), chain.len()),
        (None, 2 + 1 + each.len() + 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_administrators_with_one_version_one_has_their_way() {
    let world = World::new().await;
    let networks: Vec<String> = (0..20)
        .map(|number| format!("10.{number}.0.0/16"))
        .collect();
    let answers = join_all(
        networks
            .iter()
            .map(|network| patch_if(&world, "\"1\"", json!({"ip_allowlist": [network]}))),
    )
    .await;
    let won: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 || answer.slug() == "precondition-failed"),
        "{answers:?}"
    );
    assert_eq!(shown(&world).await.body, won[0].body);
}

#[tokio::test]
async fn an_origin_is_claimed_while_some_account_has_it() {
    let world = World::new().await;
    let (_, key) = world.open_account("starter").await;
    let other = |origins: Value| {
        world.send(
            world
                .request(Method::PATCH, "/v1/settings")
                .bearer_auth(&key)
                .json(&json!({ "origins": origins })),
        )
    };
    let (a, b) = ("https://a.example", "http://localhost:5173");
    assert!(!is_claimed(&world, a).await);
    let _ = patch(&world, json!({"origins": [a, b]})).await.expect(200);
    assert!(is_claimed(&world, a).await && is_claimed(&world, b).await);
    assert!(
        !is_claimed(&world, "https://a.example:8443").await
            && !is_claimed(&world, "http://a.example").await
    );
    let _ = other(json!([a])).await.expect(200);
    let _ = patch(&world, json!({"origins": [b]})).await.expect(200);
    assert!(
        is_claimed(&world, a).await,
        "the other account still has it"
    );
    let _ = other(json!(null)).await.expect(200);
    assert!(!is_claimed(&world, a).await);
    assert!(is_claimed(&world, b).await);
    let _ = patch(&world, json!({"origins": []})).await.expect(200);
    assert!(!is_claimed(&world, b).await);
    let most: Vec<String> = (0..20)
        .map(|number| format!("https://p{number}.example"))
        .collect();
    let _ = patch(&world, json!({"origins": most})).await.expect(200);
    let others: Vec<String> = (0..20)
        .map(|number| format!("https://q{number}.example"))
        .collect();
    let _ = patch(&world, json!({"origins": others})).await.expect(200);
    assert!(!is_claimed(&world, &most[19]).await && is_claimed(&world, &others[19]).await);
    let mut many = most;
    many.push(a.to_owned());
    assert_eq!(
        patch(&world, json!({ "origins": many }))
            .await
            .refused(400, "invalid-request")
            .pointers(),
        ["/origins"]
    );
}

#[tokio::test]
async fn the_settings_of_another_account_are_not_there() {
    let world = World::new().await;
    let (other, _) = world.open_account("starter").await;
    for path in [
        format!("/v1/settings?account={other}"),
        format!("/v1/ip-allowlist/explain?ip=127.0.0.1&account={other}"),
    ] {
        let _ = world
            .backend(Method::GET, &path, None)
            .await
            .refused(404, "not-found");
    }
    let path = format!("/v1/settings?account={other}");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"locale": "fr"})))
        .await
        .refused(404, "not-found");
    assert_eq!(
        world
            .operator(Method::GET, &path, None)
            .await
            .expect(200)
            .body,
        defaults()
    );
    let _ = world
        .operator(Method::PATCH, &path, Some(json!({"locale": "fr"})))
        .await
        .expect(200);
    assert_eq!(shown(&world).await.body, defaults());
    // Its own account may be named.
    let _ = world
        .backend(
            Method::GET,
            &format!("/v1/settings?account={}", world.account),
            None,
        )
        .await
        .expect(200);
}
