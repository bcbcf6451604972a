//! What is not what was signed is refused, whatever was done to it, and in words that name the
//! place.
//!
//! Not a list of forgeries that somebody thought of: every edit of every place of a good file, at
//! every depth, and every byte of it.

mod bytes;
mod edits;
mod node;
mod set;

use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::FullAgreement;
use shared::agreement::report::finding::Finding;
use shared::agreement::report::verify::{Verified, verify};
use shared::agreement::report::{Cut, Report, Section};
use shared::store::audit::Entry;
use tests::World;
use tests::agreements::{agreement, complete, open_last, person, send_with};

/// Good files, and the keys that they were signed with.
pub struct Good {
    /// The whole report of an agreement with something of everything.
    pub whole: Value,
    /// The same in parts.
    pub parts: Vec<Value>,
    /// As `/.well-known/jwks.json` gives them.
    pub keys: Value,
}

/// Two recipients, letters that need escaping, details within details, and seven entries.
pub async fn good() -> Good {
    let world = World::new().await;
    let mut body = agreement(&json!([person(1, "none"), person(2, "sms")]));
    (body["title"], body["group"]) = (json!("Lease \"A\" \\ <b>Straße 12</b> €"), json!("escrow"));
    let sent = send_with(&world, "k", &body).await.expect(201);
    let _ = open_last(&world, "r1@example.com").await.expect(200);
    let challenge = open_last(&world, "r2@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = complete(&world, &sent, 0).await.expect(200);
    let cancel = format!("/v1/agreements/{}/cancel", sent.text("id"));
    let _ = world
        .backend(
            Method::POST,
            &cancel,
            Some(json!({"reason": "the terms have changed"})),
        )
        .await
        .expect(200);
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    let whole = world
        .backend(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    let keys = world.get("/.well-known/jwks.json").await.expect(200).body;
    let parts = parts(&world, &whole).await;
    Good { whole, parts, keys }
}

/// The report in parts of three entries: the service's own are of 2,500, and nobody reads so long a
/// file.
async fn parts(world: &World, whole: &Value) -> Vec<Value> {
    let (app, now) = (world.stack.app(), world.stack.clock().now());
    let id = whole["agreement"]["id"].as_str().unwrap();
    let read = FullAgreement::read(&app.table, id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let entries: Vec<Entry> = serde_json::from_value(whole["entries"].clone()).unwrap();
    let (count, keyring) = (
        read.agreement.head.sequence,
        app.keyrings.current(now).await,
    );
    let section = |number| {
        let cut = Cut::sized(number, count, 3)?;
        let within = |entry: &&Entry| (cut.first..=cut.last).contains(&entry.sequence);
        let entries: Vec<Entry> = entries.iter().filter(within).cloned().collect();
        let hash = entries.last()?.hash.clone();
        Some(Section { cut, entries, hash })
    };
    let sections = (1..).map_while(section);
    sections
        .map(|section| json!(Report::of(&read, section, &keyring, now).unwrap()))
        .collect()
}

/// What a file of this text comes to.
///
/// # Errors
/// What is wrong with it.
pub fn judge(text: &str, keys: &Value) -> Result<Verified, Vec<Finding>> {
    verify(text.as_bytes(), keys.to_string().as_bytes())
}

#[tokio::test]
async fn what_was_signed_is_good_and_so_are_its_parts_together() {
    let good = good().await;
    let whole = judge(&good.whole.to_string(), &good.keys).unwrap();
    assert_eq!((whole.statement.count, good.parts.len()), (7, 3));
    let parts: Vec<Verified> = good
        .parts
        .iter()
        .rev()
        .map(|part| judge(&part.to_string(), &good.keys).unwrap())
        .collect();
    let joined = shared::agreement::report::join::join(&parts).unwrap();
    assert_eq!(
        (joined.end.count, &joined.end.head, joined.since),
        (7, &whole.statement.head, None)
    );
}

#[tokio::test]
async fn every_edit_of_every_place_is_refused_and_named() {
    let good = good().await;
    let mut tried = 0;
    for file in [&good.whole, &good.parts[1]] {
        for edit in edits::all(file) {
            let findings = judge(&edit.text, &good.keys).expect_err(&edit.what);
            let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert!(
                said.iter().any(|said| edit.is_named_by(said)),
                "{}: {said:?}",
                edit.what
            );
            tried += 1;
        }
    }
    assert!(tried > 2_000, "{tried}");
}

/// The members stand in another order, the text is indented, letters are written as escapes: it
/// says the same.
#[tokio::test]
async fn what_changes_nothing_of_what_is_said_is_good() {
    let good = good().await;
    let said = judge(&good.whole.to_string(), &good.keys)
        .unwrap()
        .statement;
    let same = |text: &str| assert_eq!(judge(text, &good.keys).unwrap().statement, said);
    same(&serde_json::to_string_pretty(&good.whole).unwrap());
    same(&node::Node::of(&good.whole).reversed().text());
    let escaped: String = good
        .whole
        .to_string()
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.into()
            } else {
                format!("\\u{:04x}", c as u32)
            }
        })
        .collect();
    assert!(escaped.contains("\\u00df") && escaped.contains("\\u20ac"));
    same(&escaped);
}

#[tokio::test]
async fn what_is_no_single_text_of_json_is_refused_for_what_it_is() {
    let good = good().await;
    let text = good.whole.to_string();
    let refused = |bytes: &[u8], words: &str| {
        let findings = verify(bytes, good.keys.to_string().as_bytes()).unwrap_err();
        let said = findings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(said.contains(words), "{words}: {said}");
    };
    refused(format!("\u{feff}{text}").as_bytes(), "byte order mark");
    refused(format!("{text}{text}").as_bytes(), "not JSON at line 1");
    refused(format!("{text} x").as_bytes(), "not JSON at line 1");
    refused(format!("{text}\0").as_bytes(), "not JSON at line 1");
    refused(&text.as_bytes()[..text.len() - 1], "ends too early");
    refused(b"", "ends too early");
    refused(
        text.replace("Straße", "Stra\u{fffd}e")
            .replace('\u{fffd}', "\u{0}")
            .as_bytes(),
        "not JSON at line 1",
    );
    refused(&[text.as_bytes(), b"\xff"].concat(), "not UTF-8");
    refused(&"[".repeat(1_000_000).into_bytes(), "nested too deeply");
    refused(&vec![b' '; 40 * 1024 * 1024], "larger than a report");
    refused(
        text.replacen("\"count\":7", "\"count\":7.0", 1).as_bytes(),
        "/count was altered: it is not a whole number",
    );
    refused(
        text.replacen("\"count\":7", "\"count\":70e-1", 1)
            .as_bytes(),
        "/count was altered",
    );
    refused(
        text.replacen("\"details\":{", "\"details\":{\"n\":9007199254740993,", 1)
            .as_bytes(),
        "/details/n was altered",
    );
}
