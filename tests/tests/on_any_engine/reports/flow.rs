//! The audit report of an agreement: in its three forms, to whom it is shown, and what is found of
//! one that was tampered with.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::report::finding::Finding;
use shared::agreement::report::verify::{Verified, verify};
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::store::audit::{Entry, canonical_hash};
use tests::agreements::{agreement, complete, open_last, person, send_with, with_kba};
use tests::{Answer, World};

/// What a report of this text comes to.
fn judge(report: &str, keys: &str) -> Result<Verified, Vec<Finding>> {
    verify(report.as_bytes(), keys.as_bytes())
}

/// What was said on the way, and must not be found in a report.
struct Story {
    world: World,
    path: String,
    token: String,
    secrets: Vec<String>,
}

/// An agreement whose recipients prove themselves each in their own way, the provider's questions
/// at the second attempt.
async fn story() -> Story {
    let world = with_kba(5).await;
    let mut body = agreement(&json!([
        person(1, "sms"),
        person(2, "kba"),
        person(3, "none")
    ]));
    body["title"] = json!("=Lease <b>\"A\"</b>, 12 Alder Street");
    let sent = send_with(&world, "k", &body).await.expect(201);
    let by_phone = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&by_phone, "sms").await.expect(202);
    let code = world.last_code().await;
    let _ = world.verify(&by_phone, "sms", "000000").await;
    let proved = world
        .verify(&by_phone, "sms", &code)
        .await
        .expect(200)
        .text("access_token");
    let asked = open_last(&world, "r2@example.com")
        .await
        .expect(200)
        .text("challenge");
    let session = world.session(&asked).await;
    world.provider_says(&session, "failed").await;
    let session = world.session(&asked).await;
    let token = world.provider_says(&session, "passed").await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let _ = open_last(&world, "r3@example.com").await.expect(200);
    for place in 0..3 {
        let _ = complete(&world, &sent, place).await.expect(200);
    }
    let mailed = tests::agreements::links(&world, "r1@example.com").await;
    let secrets = [
        vec![by_phone, code, proved, asked],
        mailed,
        vec!["+12025550001".into(), world.key.clone()],
    ]
    .concat();
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    Story {
        world,
        path,
        token,
        secrets,
    }
}

impl Story {
    async fn as_form(&self, accept: &str) -> (reqwest::header::HeaderMap, String) {
        let request = self
            .world
            .request(Method::GET, &self.path)
            .bearer_auth(&self.world.key)
            .header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            answer.headers()["vary"]
                .to_str()
                .unwrap()
                .starts_with("accept")
                && answer.headers()["cache-control"] == "no-store"
        );
        (answer.headers().clone(), answer.text().await.unwrap())
    }

    async fn json(&self) -> Answer {
        self.world
            .backend(Method::GET, &self.path, None)
            .await
            .expect(200)
    }

    async fn keys(&self) -> String {
        self.world
            .get("/.well-known/jwks.json")
            .await
            .expect(200)
            .body
            .to_string()
    }
}

#[tokio::test]
async fn the_report_tells_the_whole_story_and_no_secret_of_it() {
    let story = story().await;
    let report = story.json().await.body;
    assert_eq!(report["agreement"]["status"], "completed");
    assert!(
        report["agreement"]["completed_at"].is_string()
            && report["agreement"]["sent_at"].is_string()
    );
    assert_eq!(report["recipients"][1]["authentication"], "kba");
    let entries: Vec<Entry> = serde_json::from_value(report["entries"].clone()).unwrap();
    assert_eq!(shared::store::audit::first_broken(&entries), None);
    let actions: Vec<String> = report["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        [
            "agreement-sent",
            "link-opened",
            "code-sent",
            "code-verified",
            "recipient-verified",
            "link-opened",
            "kba-session-opened",
            "kba-session-answered",
            "kba-session-opened",
            "recipient-verified",
            "link-opened",
            "recipient-verified",
            "recipient-completed",
            "recipient-completed",
            "recipient-completed",
            "agreement-completed"
        ]
    );
    assert_eq!(
        (&report["count"], &report["head"]),
        (&json!(16), &report["entries"][15]["hash"])
    );
    assert_eq!(report["entries"][9]["details"]["token"], story.token);
    assert!(report["entries"][1]["source"].is_string());
    let statement = judge(&report.to_string(), &story.keys().await)
        .unwrap()
        .statement;
    assert_eq!(
        (statement.count, json!(statement.head)),
        (16, report["head"].clone())
    );
    for accept in ["application/json", "text/csv", "text/html"] {
        let (_, text) = story.as_form(accept).await;
        assert!(text.contains(&story.token), "{accept}");
        for secret in &story.secrets {
            assert!(!text.contains(secret.as_str()), "{accept} tells {secret}");
        }
    }
}

#[tokio::test]
async fn an_entry_names_people_by_their_ids() {
    let story = story().await;
    let content = story.world.content().await;
    let entries: Vec<&Value> = content
        .iter()
        .filter(|(key, _)| key.starts_with("AUDIT#"))
        .map(|(_, entry)| entry)
        .collect();
    assert!(entries.len() > 16);
    for said in [
        "Person ",
        "Robin Alder",
        "r1@",
        "r2@",
        "r3@",
        "sales@",
        "2025550001",
    ] {
        assert!(
            content.values().any(|item| item.to_string().contains(said)),
            "{said} stands on the agreement and its recipients"
        );
        let entry = entries
            .iter()
            .find(|entry| entry.to_string().contains(said));
        assert!(entry.is_none(), "{said}: {entry:?}");
    }
}

/// The rows of a table, as RFC 4180 has them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(
        !quoted && cell.is_empty() && row.is_empty(),
        "the last row ends"
    );
    rows
}

#[tokio::test]
async fn the_table_has_a_row_for_each_entry_and_no_formula() {
    let story = story().await;
    let report = story.json().await.body;
    let (headers, text) = story.as_form("text/csv").await;
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let document: Value =
        serde_json::from_str(include_str!("../../../../functions/documents/openapi.json")).unwrap();
    let forms =
        &document["paths"]["/v1/agreements/{id}/audit"]["get"]["responses"]["200"]["content"];
    let example = forms["text/csv"]["example"].as_str().unwrap();
    assert_eq!(
        text.lines().next(),
        example.lines().next(),
        "the columns are those of the documents' example"
    );
    let rows = rows(&text);
    assert_eq!(rows.len(), 1 + 1 + 3 + 1 + 16 + 1);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let of = |kind: &str| rows.iter().filter(|row| row[0] == kind).collect::<Vec<_>>();
    assert!(of("agreement")[0][9].contains("=Lease"));
    for (row, entry) in of("entry")
        .iter()
        .zip(report["entries"].as_array().unwrap())
    {
        assert_eq!(
            (&row[1], &json!(row[3])),
            (&entry["sequence"].to_string(), &entry["action"])
        );
        assert_eq!(json!(row[11].trim_start_matches('\'')), entry["hash"]);
        let details: Value = serde_json::from_str(&row[9]).unwrap();
        assert_eq!(details, entry["details"]);
        let acted = entry["actor"]
            .as_str()
            .filter(|actor| actor.starts_with("rcp_"));
        assert_eq!(
            row[12],
            entry["details"]["recipient"]
                .as_str()
                .or(acted)
                .unwrap_or_default()
        );
    }
    assert_eq!(of("entry")[9][8].trim_start_matches('\''), story.token);
    let formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert_eq!(rows.iter().flatten().find(formula), None);
}

#[tokio::test]
async fn the_page_is_plain_runs_nothing_and_shows_what_was_said_as_text() {
    let story = story().await;
    let (headers, page) = story
        .as_form("text/html,application/xhtml+xml,*/*;q=0.8")
        .await;
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    let style = page
        .split("<style>")
        .nth(1)
        .unwrap()
        .split("</style>")
        .next()
        .unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains(&format!("'sha256-{hash}'")),
        "{policy}"
    );
    assert!(
        !page.contains("<script") && !page.contains("<b>") && !page.contains(" style="),
        "{page}"
    );
    for said in [
        "Person 1 opened the link that was mailed, to sign.",
        "A code was sent to the phone of Person 1.",
        "Person 1 was verified by a code sent to their phone.",
        "Person 2 did not pass the identity provider",
        "This was failed attempt 1.",
        "Person 2 was verified by questions asked by an identity provider.",
        "Person 3 completed the agreement.",
        "All recipients have completed: the agreement is complete.",
        " UTC",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn who_failed_and_why_it_was_cancelled_is_told() {
    let world = World::new().await;
    let asked = world.asked(2, |kba| kba.max_attempts = Some(1)).await;
    let session = world.session(&asked.challenges[1]).await;
    world.provider_says(&session, "failed").await;
    let path = format!("/v1/agreements/{}/audit", asked.agreement);
    let report = world
        .backend(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    let head = &report["agreement"];
    assert_eq!(
        (&head["status"], &head["failed_recipient"]),
        (&json!("cancelled"), &json!(asked.recipients[1]))
    );
    assert!(
        head["reason"].as_str().unwrap().contains("attempt") && head["cancelled_at"].is_string(),
        "{head}"
    );
    assert_eq!(report["recipients"][1]["status"], "failed");
    let request = world
        .request(Method::GET, &path)
        .bearer_auth(&world.key)
        .header("accept", "text/html");
    let page = request.send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("The agreement was cancelled on account of Recipient 1"),
        "{page}"
    );
}

#[tokio::test]
async fn another_accounts_agreement_is_not_there_and_a_key_needs_the_scope() {
    let story = story().await;
    let (world, path) = (&story.world, &story.path);
    let (_, other) = world.open_account("business").await;
    let _ = world
        .send(world.request(Method::GET, path).bearer_auth(other))
        .await
        .refused(404, "not-found");
    let keys = format!("/v1/accounts/{}/api-keys", world.account);
    let weak = json!({"name": "weak", "scopes": ["agreements:write"]});
    let weak = world
        .operator(Method::POST, &keys, Some(weak))
        .await
        .expect(201)
        .text("key");
    let _ = world
        .send(world.request(Method::GET, path).bearer_auth(weak))
        .await
        .refused(403, "forbidden");
    let unknown = world
        .request(Method::GET, path)
        .bearer_auth(&world.key)
        .header("accept", "image/png");
    assert_eq!(
        world
            .send(unknown)
            .await
            .refused(400, "invalid-request")
            .pointers(),
        ["?Accept"]
    );
}

/// Makes an entry's hash anew.
fn rehash(entry: &mut Value) {
    entry.as_object_mut().unwrap().remove("hash");
    entry["hash"] = json!(canonical_hash(entry).unwrap());
}

#[tokio::test]
async fn what_was_done_to_a_report_is_named() {
    let story = story().await;
    let (report, keys) = (story.json().await.body, story.keys().await);
    let found = |change: &dyn Fn(&mut Value, &mut Vec<Value>)| {
        let mut report = report.clone();
        let mut entries = report["entries"].as_array().unwrap().clone();
        change(&mut report, &mut entries);
        report["entries"] = json!(entries);
        judge(&report.to_string(), &keys).expect_err("it was tampered with")
    };
    assert_eq!(
        found(&|_, entries| entries[6]["source"] = json!("192.0.2.1")),
        [Finding::Altered(7)]
    );
    assert_eq!(
        found(&|_, entries| entries[6]["note"] = json!("kept")),
        [Finding::Unknown("/entries/6/note".into())]
    );
    let anew = |_: &mut Value, entries: &mut Vec<Value>| {
        entries[6]["source"] = json!("192.0.2.1");
        rehash(&mut entries[6]);
    };
    assert_eq!(found(&anew), [Finding::Altered(7)]);
    assert_eq!(
        found(&|_, entries| drop(entries.remove(3))),
        [Finding::Dropped(4)]
    );
    assert_eq!(
        found(&|_, entries| drop(entries.remove(0))),
        [Finding::Dropped(1)]
    );
    let moved = |_: &mut Value, entries: &mut Vec<Value>| {
        let last = entries.pop().unwrap();
        entries.insert(2, last);
    };
    assert_eq!(found(&moved), [Finding::Moved(16)]);
    assert_eq!(found(&|_, entries| entries.swap(4, 5)).len(), 1);
    assert_eq!(
        found(&|_, entries| entries.truncate(14)),
        [Finding::CutOff(15, 16)]
    );
    assert_eq!(
        found(&|_, entries| entries.truncate(15)),
        [Finding::CutOff(16, 16)]
    );
    assert_eq!(
        found(&|_, entries| entries.clear()),
        [Finding::CutOff(1, 16)]
    );
    assert_eq!(
        found(&|_, entries| entries.push(entries[15].clone())),
        [Finding::Added(16)]
    );
    let all_anew = |_: &mut Value, entries: &mut Vec<Value>| {
        entries[6]["source"] = json!("192.0.2.1");
        rehash(&mut entries[6]);
        for place in 7..entries.len() {
            entries[place]["previous"] = entries[place - 1]["hash"].clone();
            rehash(&mut entries[place]);
        }
    };
    assert_eq!(found(&all_anew), [Finding::MadeAnew(16)]);
    // A tail that was cut off, and a count and a head to fit: the signature says otherwise.
    let cut_to_fit = |report: &mut Value, entries: &mut Vec<Value>| {
        entries.truncate(14);
        (report["count"], report["head"]) = (json!(14), entries[13]["hash"].clone());
    };
    assert!(found(&cut_to_fit).contains(&Finding::CutOff(15, 16)));
    assert!(matches!(
        *found(&|report, _| report["agreement"]["title"] = json!("Sale")),
        [Finding::Restated(_)]
    ));
    assert!(matches!(
        *found(&|report, _| report["recipients"][0]["status"] = json!("failed")),
        [Finding::Restated(_)]
    ));
}

#[tokio::test]
async fn a_signature_of_anybody_else_does_not_hold() {
    let story = story().await;
    let (report, keys) = (story.json().await.body, story.keys().await);
    let forged = |signature: &str, keys: &str| {
        let mut report = report.clone();
        report["signature"] = json!(signature);
        matches!(judge(&report.to_string(), keys), Err(findings) if matches!(*findings, [Finding::Forged(_)]))
    };
    let signed = report["signature"].as_str().unwrap();
    // Another key of the same name.
    let ring = keyring::make(story.world.stack.clock().now(), &Entropy::seeded(7)).unwrap();
    let ring = Keyring::parse(ring.expose()).unwrap();
    let key = ring.public_keys().next().unwrap();
    let mut others: Value = serde_json::from_str(&keys).unwrap();
    for named in others["keys"].as_array_mut().unwrap() {
        (named["n"], named["e"]) = (json!(key.n), json!(key.e));
    }
    let others = others.to_string();
    let parts: Vec<&str> = signed.split('.').collect();
    let token = story.secrets[2].as_str();
    assert!(
        forged("", &keys)
            && forged(signed, &others)
            && forged(signed, "{}")
            && forged(token, &keys)
    );
    let encode = |text: &str| {
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text)
    };
    let less = encode(&json!({"count": 1}).to_string());
    assert!(forged(&format!("{}.{less}.{}", parts[0], parts[2]), &keys));
    let unsigned = encode(&json!({"alg": "none", "typ": "audit-report+jwt"}).to_string());
    assert!(forged(&format!("{unsigned}.{}.", parts[1]), &keys));
    // What the very key signed as something else, were it of the same claims.
    let (app, now) = (story.world.stack.app(), story.world.stack.clock().now());
    let ring = app.keyrings.current(now).await;
    for (typ, holds) in [("audit-report+jwt", true), ("at+jwt", false)] {
        let header =
            |kid: &str| encode(&json!({"alg": "RS256", "typ": typ, "kid": kid}).to_string());
        let (message, made) = ring
            .sign(|kid| format!("{}.{}", header(kid), parts[1]), now)
            .unwrap();
        assert_eq!(forged(&format!("{message}.{made}"), &keys), !holds, "{typ}");
    }
    assert_eq!(
        judge("[]", &keys).unwrap_err(),
        [Finding::Retyped(String::new(), "an object")]
    );
    // And it is no access token.
    let _ = story
        .world
        .send(
            story
                .world
                .request(Method::GET, "/v1/me")
                .bearer_auth(signed),
        )
        .await
        .refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_made_while_the_last_attempt_fails_is_of_before_or_of_after() {
    let mut cancelled = Vec::new();
    // Its reads are the caller's key, who the recipients are, all of that at one instant, and the
    // chain; each is torn in turn.
    for after in 0..4 {
        let world = World::new().await;
        let asked = world.asked(2, |kba| kba.max_attempts = Some(1)).await;
        let session = world.session(&asked.challenges[1]).await;
        let torn = world.stack.faults().tear(after);
        let path = format!("/v1/agreements/{}/audit", asked.agreement);
        let meanwhile = async {
            torn.arrived().await;
            world.provider_says(&session, "failed").await;
            torn.let_go();
        };
        let (report, ()) = tokio::join!(world.backend(Method::GET, &path, None), meanwhile);
        let report = report.expect(200).body;
        let told = report["entries"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["action"] == "agreement-cancelled");
        assert_eq!(
            (
                report["agreement"]["status"] == "cancelled",
                report["recipients"][1]["status"] == "failed"
            ),
            (told, told)
        );
        let keys = world
            .get("/.well-known/jwks.json")
            .await
            .expect(200)
            .body
            .to_string();
        assert_eq!(
            judge(&report.to_string(), &keys).unwrap().statement.count,
            if told { 3 } else { 1 }
        );
        cancelled.push(told);
    }
    assert_eq!(cancelled, [true, true, false, false]);
}

/// A set of keys may hold others' keys (RFC 7517, section 5): what is no key of ours is passed
/// over.
#[tokio::test]
async fn a_key_of_another_kind_in_the_set_is_no_reason_to_read_none() {
    let story = story().await;
    let (report, mut keys) = (story.json().await.body.to_string(), story.keys().await);
    for other in [
        json!({"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "oct"}),
        json!(7),
    ] {
        let mut set: Value = serde_json::from_str(&keys).unwrap();
        set["keys"].as_array_mut().unwrap().insert(0, other);
        keys = set.to_string();
        assert!(judge(&report, &keys).is_ok(), "{keys}");
    }
}

#[tokio::test]
async fn an_agreement_that_somebody_always_writes_on_has_no_report_for_now() {
    let world = World::new().await;
    let asked = world.asked(1, |_| {}).await;
    let path = format!("/v1/agreements/{}/audit", asked.agreement);
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, u32::MAX);
    let busy = world
        .backend(Method::GET, &path, None)
        .await
        .refused(503, "service-unavailable");
    assert!(busy.header("retry-after").is_some());
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 0, 5);
    let _ = world.backend(Method::GET, &path, None).await.expect(200);
}

#[tokio::test]
async fn whatever_a_report_says_beside_its_entries_is_held_against_what_was_signed_each_alone() {
    let story = story().await;
    let (report, keys) = (story.json().await.body, story.keys().await);
    assert!(judge(&report.to_string(), &keys).is_ok());
    let restated = |pointer: &str, value: Value| {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = value;
        judge(&report.to_string(), &keys).expect_err(pointer)
    };
    let (fewer, more) = (
        json!(report["count"].as_u64().unwrap() - 1),
        json!(report["count"].as_u64().unwrap() + 1),
    );
    let (another, before) = (
        json!(canonical_hash(&json!("x")).unwrap()),
        report["entries"][14]["hash"].clone(),
    );
    for (pointer, values) in [
        ("/count", [fewer, more]),
        ("/head", [another, before]),
        ("/issued_at", [json!("2027-01-15T08:00:01Z"), json!("")]),
    ] {
        for value in values {
            let found = restated(pointer, value);
            assert!(
                matches!(*found, [Finding::Restated(_)]),
                "{pointer}: {found:?}"
            );
        }
    }
    // The id is part of what is summed up as well.
    let found = restated("/agreement/id", json!("agr_00000000000000000000000000"));
    assert!(
        found.contains(&Finding::Restated("the agreement's id")),
        "{found:?}"
    );
    for pointer in [
        "/agreement/account",
        "/agreement/sent_at",
        "/agreement/sender/email",
        "/recipients/2/email",
        "/recipients/1/id",
    ] {
        let found = restated(pointer, json!("x"));
        assert!(
            matches!(*found, [Finding::Restated(_)]),
            "{pointer}: {found:?}"
        );
    }
}
