//! Buying, and following the volume: top-ups that count once for ever, figures that add up, and the
//! list of what became of them.

use futures_util::future::join_all;
use local::{Mode, Service, Weather};
use reqwest::Method;
use serde_json::{Value, json};
use shared::account::Account;
use shared::account::Shards;
use shared::agreement::reconcile;
use shared::ledger::Entry;
use shared::ledger::upkeep::Tools;
use shared::store::dynamo::{keys, read};
use tests::agreements::{agreement, person, send_with};
use tests::{Answer, OPERATOR, World};

async fn topup(world: &World, key: &str, body: &Value) -> Answer {
    let request = world
        .request(Method::POST, "/v1/quota/topups")
        .bearer_auth(OPERATOR)
        .header("idempotency-key", key);
    world.send(request.json(body)).await
}

async fn buy(world: &World, key: &str, transactions: u32) -> Answer {
    topup(
        world,
        key,
        &json!({"account": world.account, "transactions": transactions}),
    )
    .await
}

async fn quota(world: &World) -> Value {
    world
        .backend(Method::GET, "/v1/quota", None)
        .await
        .expect(200)
        .body
}

async fn account(world: &World) -> Account {
    let id = world.account.parse().unwrap();
    read(
        world
            .stack
            .table()
            .get(keys::account(id))
            .await
            .unwrap()
            .unwrap(),
    )
    .unwrap()
}

/// Sends an agreement to so many who are to be verified.
async fn send(world: &World, key: &str, count: usize, group: Option<&str>) -> Answer {
    let recipients: Vec<Value> = (0..count).map(|number| person(number, "kba")).collect();
    let mut body = agreement(&json!(recipients));
    body["group"] = json!(group);
    send_with(world, key, &body).await
}

async fn with_kba() -> World {
    let world = World::new().await;
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    world
}

/// Every balance is what its entries make of it, and every recipient holds what they have left.
async fn agrees(world: &World) {
    let app = world.stack.app();
    let finding = reconcile::account(&app.table, &app.entropy, &account(world).await)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
}

#[tokio::test]
async fn what_was_bought_is_there() {
    let world = World::new().await;
    assert_eq!(
        quota(&world).await,
        json!({"available": 0, "reserved": 0, "consumed": 0, "purchased": 0, "groups": []})
    );
    let body =
        json!({"account": world.account, "transactions": 500, "reference": "order 2026-1138"});
    let bought = topup(&world, "\"order-1\"", &body).await.expect(201);
    assert!(bought.text("id").starts_with("top_"));
    assert_eq!(
        bought.body["quota"],
        json!({"available": 500, "reserved": 0, "consumed": 0, "purchased": 500})
    );
    assert_eq!(
        (&bought.body["account"], &bought.body["transactions"]),
        (&json!(world.account), &json!(500))
    );
    let more = buy(&world, "order-2", 1).await.expect(201);
    assert_eq!(more.body["quota"]["purchased"], 501);
    assert_eq!(quota(&world).await["available"], 501);
    assert_eq!(
        world
            .actions(&world.account)
            .await
            .iter()
            .filter(|action| *action == "quota-topped-up")
            .count(),
        2
    );
    agrees(&world).await;
}

#[tokio::test]
async fn a_key_is_any_string_of_structured_fields_or_a_bare_token() {
    let world = World::new().await;
    let long = |length: usize| format!("\"{}\"", " x".repeat(length / 2));
    let keys = [
        "\"order 17\"",
        r#""a \"b\" \\ c""#,
        "order:17/a,b;c",
        "\" \"",
        &long(254),
    ];
    for (number, key) in (1..).zip(keys) {
        let first = buy(&world, key, number).await.expect(201);
        let again = buy(&world, key, number).await.expect(201);
        assert_eq!(
            (&again.body, again.header("idempotency-replayed")),
            (&first.body, Some("true")),
            "{key}"
        );
    }
    let before = quota(&world).await["purchased"].clone();
    let bad = [
        "",
        "\"\"",
        "\"order",
        "order\"",
        "\"a\" b",
        "a b",
        r#""a\x""#,
        "\"a\"b\"",
        "a\\b",
        &long(256),
        "\"\u{e9}\"",
        "\u{e9}",
    ];
    for key in bad {
        let refused = buy(&world, key, 1).await.refused(400, "invalid-request");
        assert_eq!(
            refused.body["errors"][0]["parameter"], "Idempotency-Key",
            "{key}"
        );
    }
    assert_eq!(quota(&world).await["purchased"], before);
}

#[tokio::test]
async fn a_topup_counts_once_for_ever() {
    let world = World::new().await;
    let first = buy(&world, "\"order-1\"", 500).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let _ = buy(&world, "\"order-2\"", 7).await.expect(201);
    // Long after an idempotency record would be gone, and whether the key is quoted or not.
    world.advance(400 * 86_400);
    for key in ["\"order-1\"", "order-1"] {
        let again = buy(&world, key, 500).await.expect(201);
        assert_eq!(
            (&again.body, again.header("idempotency-replayed")),
            (&first.body, Some("true"))
        );
    }
    let _ = buy(&world, "\"order-1\"", 501)
        .await
        .refused(422, "idempotency-key-reused");
    let named = json!({"account": world.account, "transactions": 500, "reference": "another"});
    let _ = topup(&world, "\"order-1\"", &named)
        .await
        .refused(422, "idempotency-key-reused");
    let (other, _) = world.open_account("business").await;
    let elsewhere = json!({"account": other, "transactions": 500});
    let _ = topup(&world, "\"order-1\"", &elsewhere)
        .await
        .refused(422, "idempotency-key-reused");
    assert_eq!(quota(&world).await["purchased"], 507);
    agrees(&world).await;
}

#[tokio::test]
async fn what_is_no_number_of_transactions_is_refused_and_nothing_is_written() {
    let world = World::new().await;
    let numbers = [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(10_000_000_000_000_000_000_u64),
        json!(1_000_001),
        json!("5"),
        json!(null),
    ];
    let _ = world.stack.meter().take();
    for transactions in numbers {
        let body = json!({"account": world.account, "transactions": transactions});
        let refused = topup(&world, "k", &body)
            .await
            .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["/transactions"], "{transactions}");
    }
    for (field, body) in [
        ("/transactions", json!({"account": world.account})),
        ("/account", json!({"transactions": 5})),
        ("/account", json!({"account": "acc_1", "transactions": 5})),
        (
            "/reference",
            json!({"account": world.account, "transactions": 5, "reference": ""}),
        ),
        (
            "/reference",
            json!({"account": world.account, "transactions": 5, "reference": "a\nb"}),
        ),
        (
            "/reference",
            json!({"account": world.account, "transactions": 5, "reference": "x".repeat(101)}),
        ),
        (
            "/reference",
            json!({"account": world.account, "transactions": 5, "reference": null}),
        ),
        (
            "/quota",
            json!({"account": world.account, "transactions": 5, "quota": 5}),
        ),
    ] {
        assert_eq!(
            topup(&world, "k", &body)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            [field]
        );
    }
    assert!(
        world.stack.meter().take().write_units < f64::EPSILON,
        "nothing was written"
    );
    // None of these used up the key.
    let _ = buy(&world, "k", 1_000_000).await.expect(201);
}

#[tokio::test]
async fn figures_and_shares_add_up_and_the_list_is_newest_first() {
    let world = with_kba().await;
    let _ = buy(&world, "order-1", 10).await.expect(201);
    let mut sent = Vec::new();
    for (key, count, group) in [
        ("k1", 3, Some("legal")),
        ("k2", 1, Some("sales")),
        ("k3", 2, None),
    ] {
        world.advance(1);
        sent.push(send(&world, key, count, group).await.expect(201));
    }
    assert_eq!(
        sent[2].body["quota"],
        json!({"available": 4, "reserved": 6, "consumed": 0, "purchased": 10})
    );
    let figures = quota(&world).await;
    let groups = json!([{"group": "legal", "reserved": 3, "consumed": 0}, {"group": "sales", "reserved": 1, "consumed": 0}]);
    assert_eq!(
        figures,
        json!({"available": 4, "reserved": 6, "consumed": 0, "purchased": 10, "groups": groups})
    );
    let entries = world
        .backend(Method::GET, "/v1/quota/entries", None)
        .await
        .expect(200)
        .body["entries"]
        .clone();
    let told = |entry: &Value| {
        (
            entry["kind"].as_str().unwrap().to_owned(),
            entry["transactions"].as_i64().unwrap(),
        )
    };
    let told: Vec<_> = entries.as_array().unwrap().iter().map(told).collect();
    let expected = [
        ("reserve", 2),
        ("reserve", 1),
        ("reserve", 3),
        ("topup", 10),
    ];
    assert_eq!(told, expected.map(|(kind, count)| (kind.to_owned(), count)));
    assert_eq!(
        (&entries[2]["agreement"], &entries[2]["group"]),
        (&json!(sent[0].text("id")), &json!("legal"))
    );
    assert_eq!(entries[3]["at"], "2027-01-15T08:00:00Z");
    agrees(&world).await;
}

#[tokio::test]
async fn the_list_goes_on_where_it_stopped() {
    let world = with_kba().await;
    let _ = buy(&world, "order-1", 1_000).await.expect(201);
    for number in 0..205 {
        world
            .stack
            .clock()
            .advance(shared::kernel::clock::Span::seconds(i64::from(
                number % 3 == 0,
            )));
        let _ = send(&world, &format!("k{number}"), 1, None)
            .await
            .expect(201);
    }
    let (mut seen, mut cursor, mut pages) = (Vec::<String>::new(), String::new(), 0);
    loop {
        let page = world
            .backend(Method::GET, &format!("/v1/quota/entries{cursor}"), None)
            .await
            .expect(200)
            .body;
        seen.extend(
            page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => break,
        }
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((pages, seen.len(), distinct.len()), (3, 206, 206));
    assert!(seen.last().unwrap().starts_with("top_"));
}

#[tokio::test]
async fn one_account_knows_nothing_of_another() {
    let world = World::new().await;
    let _ = buy(&world, "order-1", 10).await.expect(201);
    let (other, key) = world.open_account("business").await;
    for path in ["/v1/quota", "/v1/quota/entries"] {
        let theirs = world
            .send(world.request(Method::GET, path).bearer_auth(&key))
            .await
            .expect(200)
            .body;
        assert!(
            theirs["purchased"] == 0 || theirs["entries"] == json!([]),
            "{theirs}"
        );
        let across = format!("{path}?account={}", world.account);
        let _ = world
            .send(world.request(Method::GET, &across).bearer_auth(&key))
            .await
            .refused(404, "not-found");
        let operators = world
            .send(world.request(Method::GET, &across).bearer_auth(OPERATOR))
            .await
            .expect(200)
            .body;
        assert!(
            operators["purchased"] == 10 || operators["entries"].as_array().unwrap().len() == 1,
            "{operators}"
        );
    }
    assert_ne!(other, world.account);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_topups_with_one_id_are_one() {
    let world = World::new().await;
    let answers = join_all((0..50).map(|_| buy(&world, "order-1", 100))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 201),
        "{answers:?}"
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.header("idempotency-replayed").is_none())
            .count(),
        1
    );
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(quota(&world).await["purchased"], 100);
    agrees(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_topups_at_once_are_fifty_or_are_refused_cleanly() {
    let world = World::new().await;
    let answers = join_all((0..50).map(|number| {
        let world = &world;
        async move { buy(world, &format!("order-{number}"), 100).await }
    }))
    .await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.slug() == "service-unavailable")
        .count();
    assert_eq!(made + refused, 50, "{answers:?}");
    assert_eq!(quota(&world).await["purchased"], made * 100);
    // Whoever was refused asks again with the same key.
    for number in 0..50 {
        let _ = buy(&world, &format!("order-{number}"), 100)
            .await
            .expect(201);
    }
    assert_eq!(quota(&world).await["purchased"], 5_000);
    agrees(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sends_on_a_hundred_take_a_hundred() {
    let world = with_kba().await;
    let _ = buy(&world, "order-1", 100).await.expect(201);
    let answers = join_all((0..200).map(|number| {
        let world = &world;
        async move {
            // Whoever found no place among so many asks again, as a client does.
            loop {
                let answer = send(world, &format!("k{number}"), 1, Some("legal")).await;
                if answer.status != 503 {
                    break answer;
                }
                assert!(answer.header("retry-after").is_some());
            }
        }
    }))
    .await;
    let refused = |answer: &&Answer| {
        answer.slug() == "quota-exhausted"
            && answer.body["requested"] == 1
            && answer.body["available"] == 0
    };
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, answers.iter().filter(refused).count()), (100, 100));
    let figures = quota(&world).await;
    assert_eq!(
        (
            &figures["available"],
            &figures["reserved"],
            &figures["groups"][0]["reserved"]
        ),
        (&json!(0), &json!(100), &json!(100))
    );
    agrees(&world).await;
}

/// Gives the account so many shards.
async fn grow(world: &World, shards: u8) {
    let app = world.stack.app();
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    tools
        .grow(world.account.parse().unwrap(), Shards::new(shards).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_quota_is_shown_where_somebody_always_writes_on_it() {
    let world = with_kba().await;
    grow(&world, 8).await;
    let _ = buy(&world, "order-1", 100).await.expect(201);
    let _ = send(&world, "k", 3, Some("legal")).await.expect(201);
    let before = quota(&world).await;
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, u32::MAX);
    assert_eq!(quota(&world).await, before);
    assert_eq!(
        (&before["available"], &before["reserved"]),
        (&json!(97), &json!(3))
    );
}

#[tokio::test]
async fn what_is_bought_goes_to_one_shard_where_all_of_them_are_not_to_be_had() {
    let world = with_kba().await;
    grow(&world, 8).await;
    let parts = async |bought: &Answer| {
        let key = keys::ledger_entry(world.account.parse().unwrap(), &bought.text("id"));
        let entry: Entry = read(world.stack.table().get(key).await.unwrap().unwrap()).unwrap();
        entry
            .parts
            .iter()
            .map(|part| part.count)
            .collect::<Vec<_>>()
    };
    for (conflicts, expected) in [
        (0, vec![10; 8]),
        (1, vec![10; 8]),
        (2, vec![80]),
        (9, vec![80]),
    ] {
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Conflict, 0, conflicts);
        let key = format!("order-{conflicts}");
        let bought = buy(&world, &key, 80).await.expect(201);
        assert_eq!(
            (world.stack.faults().struck(), parts(&bought).await),
            (conflicts, expected)
        );
        assert_eq!(
            buy(&world, &key, 80).await.expect(201).body,
            bought.body,
            "once, for ever"
        );
    }
    assert_eq!(quota(&world).await["available"], 320);
    // It is to be had from wherever it is.
    let _ = send(&world, "k", 40, None).await.expect(201);
    agrees(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_account_buys_and_is_shown_its_quota_while_it_sends() {
    const SENDERS: usize = 16;
    let world = with_kba().await;
    grow(&world, 8).await;
    let _ = buy(&world, "order-first", 24).await.expect(201);
    world.stack.faults().blow(11, Weather::contention(300));
    let sending = join_all((0..SENDERS).map(|sender| {
        let world = &world;
        async move {
            let mut sent = 0;
            for round in 0..4 {
                sent += usize::from(
                    asked_again(async || send(world, &format!("k{sender}-{round}"), 1, None).await)
                        .await
                        == 201,
                );
            }
            sent
        }
    }));
    let buying = async {
        for order in 0..5 {
            let key = format!("order-{order}");
            let _ = buy(&world, &key, 10).await.expect(201);
            let _ = buy(&world, &key, 10).await.expect(201);
        }
    };
    let looking = async {
        for _ in 0..10 {
            let _ = tests::agreements::quota(&world).await;
        }
    };
    let (sent, (), ()) = tokio::join!(sending, buying, looking);
    let struck = world.stack.faults().calm();
    assert!(
        struck[&(Service::Dynamodb, Mode::Conflict)] > 50,
        "{struck:?}"
    );
    let sent = i64::try_from(sent.into_iter().sum::<usize>()).unwrap();
    let (available, reserved, consumed) = tests::agreements::quota(&world).await;
    assert_eq!((available + reserved, reserved, consumed), (74, sent, 0));
    assert!(sent > 24, "what was bought meanwhile was sent for");
    agrees(&world).await;
}

/// The status of what is asked for, again and again while it is to be asked for again.
async fn asked_again(ask: impl AsyncFn() -> Answer) -> u16 {
    for _ in 0..50 {
        let answer = ask().await;
        if !matches!(answer.slug(), "service-unavailable" | "conflict") {
            return answer.status;
        }
    }
    panic!("nobody came through")
}
