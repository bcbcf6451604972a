//! Reports of any length: had in parts, each of which Lambda can answer with, and which together
//! are one chain.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use shared::agreement::report::finding::Finding;
use shared::agreement::report::join::{JoinError, join};
use shared::agreement::report::part::ENTRIES_MAX;
use shared::agreement::report::verify::{Verified, verify};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Delete, Update, keys};
use tests::agreements::{agreement, person, send_with};
use tests::chains::{lengthen, resent, stored};
use tests::path;
use tests::{Answer, World};

/// What Lambda answers with at most: the function's answer as JSON, in which the body is a text.
const LAMBDA_MAX: usize = 6 * 1024 * 1024;

struct Story {
    world: World,
    id: String,
    recipient: String,
    keys: String,
}

impl Story {
    /// An agreement whose chain has so many entries.
    async fn of(count: u64) -> Self {
        let world = World::new().await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
            .await
            .expect(201);
        let keys = world
            .get("/.well-known/jwks.json")
            .await
            .expect(200)
            .body
            .to_string();
        let recipient = sent.body["recipients"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let story = Self {
            world,
            id: sent.text("id"),
            recipient,
            keys,
        };
        story.grow(count).await;
        story
    }

    async fn grow(&self, count: u64) {
        lengthen(&self.world, &self.id, count, resent(&self.recipient)).await;
    }

    async fn ask(&self, query: &str) -> Answer {
        self.world
            .backend(
                Method::GET,
                &format!("/v1/agreements/{}/audit{query}", self.id),
                None,
            )
            .await
    }

    async fn part(&self, number: u64) -> Value {
        self.ask(&format!("?part={number}")).await.expect(200).body
    }

    async fn form(&self, number: u64, accept: &str) -> (HeaderMap, String) {
        let path = format!("/v1/agreements/{}/audit?part={number}", self.id);
        let request = self
            .world
            .request(Method::GET, &path)
            .bearer_auth(&self.world.key)
            .header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.headers().clone(), answer.text().await.unwrap())
    }

    fn judge(&self, part: &Value) -> Result<Verified, Vec<Finding>> {
        verify(part.to_string().as_bytes(), self.keys.as_bytes())
    }

    async fn verified(&self, number: u64) -> Verified {
        self.judge(&self.part(number).await).unwrap()
    }
}

/// As many bytes as Lambda counts.
fn as_lambda_counts(headers: &HeaderMap, body: &str) -> usize {
    let headers: Value = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let answer = json!({"statusCode": 200, "headers": headers, "multiValueHeaders": {}, "body": body, "isBase64Encoded": false, "cookies": []});
    answer.to_string().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_any_length_is_had_in_parts_which_together_are_one_chain() {
    let story = Story::of(30_000).await;
    let refused = story.ask("").await.refused(422, "report-in-parts");
    assert_eq!(
        (&refused.body["count"], &refused.body["parts"]),
        (&json!(30_000), &json!(12))
    );

    let mut parts = Vec::new();
    for number in 1..=12 {
        let _ = story.world.stack.meter().take();
        let (headers, text) = story.form(number, "application/json").await;
        let spent = story.world.stack.meter().take();
        assert!(
            spent.requests <= 7 && spent.read_units < 500.0,
            "part {number} takes {spent:?}"
        );
        assert!(as_lambda_counts(&headers, &text) < LAMBDA_MAX / 3);
        let verified = verify(text.as_bytes(), story.keys.as_bytes()).unwrap();
        let (part, statement) = (&verified.statement.part, &verified.statement);
        assert_eq!(
            (part.number, part.of, statement.count),
            (number, 12, 30_000)
        );
        assert_eq!(
            (part.first, part.last),
            ((number - 1) * ENTRIES_MAX + 1, number * ENTRIES_MAX)
        );
        let link = headers.get("link").unwrap().to_str().unwrap();
        assert_eq!(
            (link.contains("rel=\"prev\""), link.contains("rel=\"next\"")),
            (number > 1, number < 12),
            "{link}"
        );
        parts.push(verified);
    }
    // In whatever order they come.
    parts.swap(0, 11);
    parts.swap(3, 7);
    let joined = join(&parts).unwrap();
    assert_eq!((joined.end.count, joined.since), (30_000, None));
    assert_eq!(
        joined.end.head,
        stored(&story.world, &story.id).await.head.hash
    );
    let dropped = parts.remove(5).statement.part;
    assert_eq!(
        join(&parts).unwrap_err(),
        [JoinError::NotThere(dropped.first, dropped.last)]
    );
}

#[tokio::test]
async fn a_short_report_is_one_part_however_it_is_asked_for() {
    let story = Story::of(20).await;
    let (whole, first) = (
        story.ask("").await.expect(200),
        story.ask("?part=1").await.expect(200),
    );
    assert_eq!(whole.body, first.body);
    assert_eq!(
        (whole.header("link"), &whole.body["part"]["of"]),
        (None, &json!(1))
    );
    for query in [
        "?part=0",
        "?part=2",
        "?part=",
        "?part=x",
        "?part=-1",
        "?part=1&part=1",
        "?part=99999999999999999999",
    ] {
        assert_eq!(
            story
                .ask(query)
                .await
                .refused(400, "invalid-request")
                .pointers(),
            ["?part"],
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_page_and_the_table_say_which_part_they_are() {
    let story = Story::of(ENTRIES_MAX + 7).await;
    let (_, page) = story.form(2, "text/html").await;
    assert!(
        page.contains("Part 2 of 2: entries 2501 to 2507 of 2507"),
        "{page}"
    );
    let (headers, table) = story.form(2, "text/csv").await;
    assert!(
        headers["content-disposition"]
            .to_str()
            .unwrap()
            .contains(&format!("{}-audit-2-of-2.csv", story.id))
    );
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows.iter().filter(|row| row.starts_with("entry,")).count(),
        7
    );
    assert!(
        rows.iter()
            .any(|row| row.starts_with("part,") && row.contains("\"\"number\"\":2")),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_were_fetched_while_the_chain_grew_fit_together() {
    let story = Story::of(ENTRIES_MAX - 100).await;
    let young = story.verified(1).await;
    story.grow(ENTRIES_MAX + 100).await;
    let (first, second) = (story.verified(1).await, story.verified(2).await);
    // The first part had an end of its own when it was made: what came between is in neither.
    let gap = [JoinError::NotThere(ENTRIES_MAX - 99, ENTRIES_MAX)];
    assert_eq!(join(&[young.clone(), second.clone()]).unwrap_err(), gap);
    // Both together with it are more than is needed.
    assert_eq!(
        join(&[second.clone(), young, first.clone()])
            .unwrap()
            .end
            .count,
        ENTRIES_MAX + 100
    );
    assert_eq!(
        join(std::slice::from_ref(&first)).unwrap_err(),
        [JoinError::NotThere(ENTRIES_MAX + 1, ENTRIES_MAX + 100)]
    );

    story.grow(ENTRIES_MAX + 300).await;
    let later = story.verified(1).await;
    let joined = join(&[later, second]).unwrap();
    assert_eq!(
        (joined.end.count, joined.since.map(|since| since.count)),
        (ENTRIES_MAX + 100, Some(ENTRIES_MAX + 300))
    );
}

#[tokio::test]
async fn parts_of_two_agreements_are_no_report() {
    let (one, other) = (Story::of(5).await, Story::of(5).await);
    let parts = [one.verified(1).await, other.verified(1).await];
    assert_eq!(join(&parts).unwrap_err(), [JoinError::OtherAgreement(2)]);
}

/// What somebody does who can write the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_gone_or_altered_in_the_table_is_missed_in_its_part() {
    let story = Story::of(ENTRIES_MAX + 50).await;
    let agreement = stored(&story.world, &story.id).await;
    let key = |sequence| keys::audit_entry(agreement.account, &story.id, sequence);
    let found = async |number| story.judge(&story.part(number).await).unwrap_err();
    let gone = Delete::of(key(ENTRIES_MAX + 20));
    story.world.stack.table().remove(gone).await.unwrap();
    assert_eq!(found(2).await, [Finding::Dropped(ENTRIES_MAX + 20)]);
    let _ = story.verified(1).await;
    // The one after the first part says how that ends. Without it the part says so itself.
    story
        .world
        .stack
        .table()
        .remove(Delete::of(key(ENTRIES_MAX + 1)))
        .await
        .unwrap();
    let _ = story.verified(1).await;
    story
        .world
        .stack
        .table()
        .remove(Delete::of(key(ENTRIES_MAX)))
        .await
        .unwrap();
    assert_eq!(found(1).await, [Finding::CutOff(ENTRIES_MAX, ENTRIES_MAX)]);
    let altered = Update::of(key(30)).set(path("source"), "192.0.2.1");
    story
        .world
        .stack
        .table()
        .transact(vec![altered.into()])
        .await
        .unwrap();
    assert!(found(1).await.contains(&Finding::Altered(30)));
}

/// A part whose every entry was computed anew ends with another hash than the entry after it
/// follows from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_part_that_was_computed_anew_is_not_what_the_next_one_follows_from() {
    let story = Story::of(ENTRIES_MAX + 50).await;
    let after = story.part(2).await["entries"][0].clone();
    let agreement = stored(&story.world, &story.id).await;
    let other = Story::of(ENTRIES_MAX + 50).await;
    let mut forged = shared::store::audit::Chain::of(
        agreement.account,
        &story.id,
        &shared::store::audit::Head::default(),
    );
    for _ in 0..ENTRIES_MAX {
        forged
            .append(
                Event::new(Action::LinkResent, Actor::System),
                story.world.stack.clock().now(),
            )
            .unwrap();
    }
    for writes in forged.writes().unwrap().chunks(100) {
        let replaced = writes
            .iter()
            .map(|write| Delete::of(write.key().clone()).into())
            .collect();
        story.world.stack.table().transact(replaced).await.unwrap();
        story
            .world
            .stack
            .table()
            .transact(writes.to_vec())
            .await
            .unwrap();
    }
    assert_ne!(forged.head().hash, after["previous"].as_str().unwrap());
    assert_eq!(
        story.judge(&story.part(1).await).unwrap_err(),
        [Finding::MadeAnew(ENTRIES_MAX)]
    );
    let _ = other.verified(1).await;
}

/// A recipient whose name is as long as names are, of letters that HTML writes with the most bytes.
fn longest(number: usize) -> Value {
    let mut person = person(number, "kba");
    person["name"] = json!("&".repeat(100));
    person["authentication"] = json!("none");
    person
}

/// What tells the most of people, and of what people and the provider wrote.
fn wordiest(sequence: u64, recipient: &str) -> Value {
    let session = "kba_01jd3va1f7q4w9e2r6t8y5v3bn";
    let (action, actor, details) = match sequence % 4 {
        0 => (
            "kba-session-answered",
            "provider",
            json!({"outcome": "failed", "attempts": 10, "verified_before": true, "session": session}),
        ),
        1 => (
            "recipient-verified",
            "provider",
            json!({"token": "\"".repeat(200), "session": session}),
        ),
        2 => (
            "link-opened",
            recipient,
            json!({"purpose": "view", "viewings_since": 1_000_000}),
        ),
        _ => (
            "agreement-cancelled",
            "system",
            json!({"reason": "&".repeat(500)}),
        ),
    };
    let mut details = details;
    (details["recipient"], details["method"]) = (json!(recipient), json!("kba"));
    let source = "2001:db8:1234:5678:9abc:def0:1234:5678";
    json!({"action": action, "outcome": "failure", "actor": actor, "source": source, "details": details})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wordiest_part_is_no_more_than_lambda_answers_with() {
    let world = World::new().await;
    let people: Vec<Value> = (0..40).map(longest).collect();
    let mut body = agreement(&json!(people));
    body["title"] = json!("&".repeat(200));
    let sent = send_with(&world, "k", &body).await.expect(201);
    let recipient = sent.body["recipients"][39]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    lengthen(&world, &sent.text("id"), ENTRIES_MAX, |sequence| {
        wordiest(sequence, &recipient)
    })
    .await;
    let story = Story {
        world,
        id: sent.text("id"),
        recipient,
        keys: String::new(),
    };
    for accept in ["application/json", "text/csv", "text/html"] {
        let (headers, text) = story.form(1, accept).await;
        let size = as_lambda_counts(&headers, &text);
        assert!(size < LAMBDA_MAX, "{accept}: {size}");
    }
}
