//! Reading the audit: pages, subjects, and who may.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::audit::{Entry, first_broken};
use tests::{Answer, OPERATOR, PASSWORD, World};

const PAGE: usize = 100;

async fn page(world: &World, query: &str) -> Answer {
    world
        .backend(Method::GET, &format!("/v1/audit?{query}"), None)
        .await
}

fn read(entries: &Value) -> Vec<Entry> {
    serde_json::from_value(entries.clone()).unwrap()
}

#[tokio::test]
async fn a_long_chain_is_read_in_pages_and_is_whole_across_them() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    for number in 0..2 * PAGE {
        world.advance(1);
        let patch = json!({"group": format!("group-{number}")});
        let _ = world
            .backend(Method::PATCH, &path, Some(patch))
            .await
            .expect(200);
    }
    let mut pages = Vec::new();
    let mut query = format!("subject={}", ann.id);
    loop {
        let answer = page(&world, &query).await.expect(200);
        pages.push(read(&answer.body["entries"]));
        match answer.body["next_cursor"].as_str() {
            Some(cursor) => query = format!("subject={}&cursor={cursor}", ann.id),
            None => break,
        }
    }
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [PAGE, PAGE, 1]
    );
    let chain = pages.concat();
    assert_eq!(first_broken(&chain), None);
    assert!(
        chain
            .iter()
            .zip(1..)
            .all(|(entry, place)| entry.sequence == place)
    );
    assert!(
        chain.windows(2).all(|pair| pair[0].at < pair[1].at),
        "the oldest first"
    );
    // A page by itself does not pretend to be a chain from its start.
    assert_eq!(first_broken(&pages[1]), Some(0));
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was_given_out_whatever_was_written_since() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    let change = |number: usize| {
        world.backend(
            Method::PATCH,
            &path,
            Some(json!({"group": format!("group-{number}")})),
        )
    };
    for number in 0..PAGE {
        let _ = change(number).await.expect(200);
    }
    let first = page(&world, &format!("subject={}", ann.id))
        .await
        .expect(200);
    let cursor = first.text("next_cursor");
    let _ = change(PAGE).await.expect(200);
    let second = page(&world, &format!("cursor={cursor}&subject={}", ann.id))
        .await
        .expect(200);
    let sequences: Vec<u64> = read(&second.body["entries"])
        .iter()
        .map(|entry| entry.sequence)
        .collect();
    assert_eq!(sequences, [101, 102]);
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_is_refused() {
    let world = World::new().await;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let too_large = encode("18446744073709551616");
    for cursor in [
        "",
        "%00",
        "!",
        "100",
        &encode("-1"),
        &encode("1.5"),
        &encode("x"),
        &encode(" 1"),
        &too_large,
        &encode("usr_1"),
    ] {
        let refused = page(
            &world,
            &format!("subject={}&cursor={cursor}", world.account),
        )
        .await
        .refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["?cursor"], "{cursor}");
    }
    // One beyond the end is as good as the end.
    for end in ["1000", "18446744073709551615"] {
        let beyond = page(
            &world,
            &format!("subject={}&cursor={}", world.account, encode(end)),
        )
        .await
        .expect(200);
        assert_eq!(beyond.body, json!({"entries": []}), "{end}");
    }
}

#[tokio::test]
async fn a_subject_is_a_user_or_the_account_itself() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    for subject in [&ann.id, &world.account] {
        let entries = read(
            &page(&world, &format!("subject={subject}"))
                .await
                .expect(200)
                .body["entries"],
        );
        assert!(
            !entries.is_empty()
                && entries.iter().all(|entry| entry.subject == **subject
                    && entry.account.to_string() == world.account)
        );
    }
    for query in [
        "",
        "subject=",
        "subject=ann",
        "subject=usr_",
        "subject=everybody",
        "subject=key_00000000000000000000000001",
    ] {
        let refused = page(&world, query).await.refused(400, "invalid-request");
        assert_eq!(refused.pointers(), ["?subject"], "{query}");
    }
    let twice = page(
        &world,
        &format!("subject={}&subject={}", ann.id, world.account),
    )
    .await
    .refused(400, "invalid-request");
    assert_eq!(twice.pointers(), ["?subject"]);
    let _ = page(&world, "subject=usr_00000000000000000000000001")
        .await
        .refused(404, "not-found");
    let _ = page(&world, "subject=acc_00000000000000000000000001")
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn what_happened_in_another_account_is_not_told() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (other, key) = world.open_account("starter").await;
    let read_as = |key: &str, query: String| {
        world.send(
            world
                .request(Method::GET, &format!("/v1/audit?{query}"))
                .bearer_auth(key),
        )
    };
    let _ = read_as(&key, format!("subject={}", ann.id))
        .await
        .refused(404, "not-found");
    let _ = read_as(&key, format!("subject={}", world.account))
        .await
        .refused(404, "not-found");
    let _ = read_as(
        &key,
        format!("subject={}&account={}", ann.id, world.account),
    )
    .await
    .refused(404, "not-found");
    let cursor = URL_SAFE_NO_PAD.encode("0");
    let told = read_as(&key, format!("subject={}&cursor={cursor}", ann.id)).await;
    assert!(
        told.status == 404 || told.body == json!({"entries": []}),
        "{}",
        told.body
    );
    // The operator names the account; without, nobody knows whose is meant.
    let _ = read_as(
        OPERATOR,
        format!("subject={}&account={}", ann.id, world.account),
    )
    .await
    .expect(200);
    let _ = read_as(OPERATOR, format!("subject={}&account={other}", ann.id))
        .await
        .refused(404, "not-found");
    let _ = read_as(OPERATOR, format!("subject={}&account=x", ann.id))
        .await
        .refused(404, "not-found");
    let refused = read_as(OPERATOR, format!("subject={}", ann.id))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["?account"]);
}

#[tokio::test]
async fn an_entry_says_who_did_what_whence_and_when() {
    let world = World::new().await;
    let keys = world
        .operator(
            Method::GET,
            &format!("/v1/accounts/{}/api-keys", world.account),
            None,
        )
        .await
        .expect(200);
    let ann = world.user("ann", json!({"kind": "internal"})).await;
    world.advance(90);
    let _ = world
        .login("ann", "wrong password")
        .await
        .refused(401, "invalid-credentials");
    let entries = world.audit(&ann.id).await;
    let (made, tried) = (&entries[0], &entries[1]);
    assert_eq!(
        *made,
        json!({
            "account": world.account, "subject": ann.id, "sequence": 1, "at": "2027-01-15T08:00:00Z", "action": "user-created",
            "outcome": "success", "actor": keys.body["api_keys"][0]["id"], "source": "127.0.0.1",
            "details": {"kind": "internal"}, "previous": "", "hash": made["hash"],
        })
    );
    assert_eq!(
        *tried,
        json!({
            "account": world.account, "subject": ann.id, "sequence": 2, "at": "2027-01-15T08:01:30Z", "action": "sign-in",
            "outcome": "failure", "actor": ann.id, "source": "127.0.0.1",
            "details": {"method": "password", "reason": "wrong-password"}, "previous": made["hash"], "hash": tried["hash"],
        })
    );
    assert_eq!(
        made["hash"].as_str().unwrap().len(),
        43,
        "SHA-256, base64url"
    );
    assert!(
        !json!(entries).to_string().contains(PASSWORD)
            && !json!(entries).to_string().contains("wrong password")
    );
}

#[tokio::test]
async fn reading_the_audit_writes_nothing() {
    let world = World::new().await;
    let _ = world.stack.meter().take();
    let first = page(&world, &format!("subject={}", world.account))
        .await
        .expect(200);
    let second = page(&world, &format!("subject={}", world.account))
        .await
        .expect(200);
    assert_eq!(first.body, second.body);
    assert!(world.stack.meter().take().write_units < f64::EPSILON);
}
