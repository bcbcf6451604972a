//! Good and forged files that every verifier is tried with, whatever it is written in:
//! `tests/reports`.
//!
//! `index.json` says of each case its files, in order, and what is found of them: nothing, where
//! they are good. `REPORTS=write` makes the set anew, signed by a key that is thrown away.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shared::agreement::report::join::join;
use shared::agreement::report::verify::verify;

use crate::forgeries::node::Node;
use crate::forgeries::{Good, good};

/// A case: a name, the files' texts, and whether the files are good.
struct ForgeryCase {
    name: &'static str,
    files: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports")
}

/// A file, after `edit`.
fn edited(file: &Value, edit: impl FnOnce(&mut Value)) -> String {
    let mut file = file.clone();
    edit(&mut file);
    file.to_string()
}

/// A file with `text` put in before its first member, or before the first of the object that `path`
/// leads to.
fn with(file: &Value, path: &[usize], name: &str, text: &str) -> String {
    let mut node = Node::of(file);
    match node.at(path) {
        Node::Object(members) => members.insert(0, (name.into(), Node::Leaf(text.into()))),
        other => panic!("{other:?} is no object"),
    }
    node.text()
}

/// The place of a member among an object's.
fn place(file: &Value, name: &str) -> usize {
    file.as_object()
        .unwrap()
        .keys()
        .position(|known| known == name)
        .unwrap()
}

fn cases(good: &Good) -> Vec<ForgeryCase> {
    let (whole, parts) = (&good.whole, &good.parts);
    let text = |file: &Value| file.to_string();
    let one = |name, text| ForgeryCase {
        name,
        files: vec![text],
    };
    let within = |name: &str| vec![place(whole, name)];
    let first_entry = vec![place(whole, "entries"), 0];
    let first_details = vec![
        place(whole, "entries"),
        0,
        place(&whole["entries"][0], "details"),
    ];
    vec![
        one("good-whole", text(whole)),
        one(
            "good-indented",
            serde_json::to_string_pretty(whole).unwrap(),
        ),
        one("good-other-order", Node::of(whole).reversed().text()),
        one("good-part-2", text(&parts[1])),
        ForgeryCase {
            name: "good-parts",
            files: parts.iter().rev().map(text).collect(),
        },
        one(
            "forged-agreement-twice",
            with(whole, &[], "agreement", "{}"),
        ),
        one("forged-entries-twice", with(whole, &[], "entries", "[]")),
        one("forged-count-twice", with(whole, &[], "count", "1")),
        one(
            "forged-action-twice",
            with(whole, &first_entry, "action", "\"agreement-completed\""),
        ),
        one(
            "forged-detail-twice",
            with(whole, &first_details, "title", "\"Sale\""),
        ),
        one(
            "forged-title-twice",
            with(whole, &within("agreement"), "title", "\"Sale\""),
        ),
        one("forged-verdict", with(whole, &[], "verdict", "\"genuine\"")),
        one(
            "forged-note-in-an-entry",
            with(whole, &first_entry, "note", "\"checked\""),
        ),
        one(
            "forged-note-in-a-detail",
            with(whole, &first_details, "note", "\"checked\""),
        ),
        one(
            "forged-note-in-the-part",
            with(whole, &within("part"), "note", "\"checked\""),
        ),
        one(
            "forged-head",
            edited(whole, |file| {
                file["head"] = file["entries"][0]["hash"].clone();
            }),
        ),
        one(
            "forged-count",
            edited(whole, |file| file["count"] = json!(6)),
        ),
        one(
            "forged-count-as-a-fraction",
            text(whole).replacen("\"count\":7", "\"count\":7.0", 1),
        ),
        one(
            "forged-time",
            edited(whole, |file| {
                file["issued_at"] = json!("2027-01-15T08:00:01Z");
            }),
        ),
        one(
            "forged-id",
            edited(whole, |file| {
                file["agreement"]["id"] = json!("agr_00000000000000000000000001");
            }),
        ),
        one(
            "forged-title",
            edited(whole, |file| file["agreement"]["title"] = json!("Sale")),
        ),
        one(
            "forged-recipient",
            edited(whole, |file| {
                file["recipients"][1]["status"] = json!("completed");
            }),
        ),
        one(
            "forged-part",
            edited(&parts[1], |file| file["part"]["number"] = json!(1)),
        ),
        one(
            "forged-source",
            edited(whole, |file| {
                file["entries"][1]["source"] = json!("192.0.2.1");
            }),
        ),
        one(
            "forged-dropped",
            edited(whole, |file| {
                drop(file["entries"].as_array_mut().unwrap().remove(2));
            }),
        ),
        one(
            "forged-cut-off",
            edited(whole, |file| {
                file["entries"].as_array_mut().unwrap().truncate(5);
            }),
        ),
        one(
            "forged-moved",
            edited(whole, |file| {
                file["entries"].as_array_mut().unwrap().swap(2, 3);
            }),
        ),
        one(
            "forged-signature",
            edited(whole, |file| {
                file["signature"] = parts[0]["signature"].clone();
            }),
        ),
        one(
            "forged-two-texts",
            format!("{}{}", text(whole), text(whole)),
        ),
        one("forged-byte-order-mark", format!("\u{feff}{}", text(whole))),
        ForgeryCase {
            name: "forged-parts-one-missing",
            files: vec![text(&parts[0]), text(&parts[2])],
        },
        ForgeryCase {
            name: "forged-parts-end-missing",
            files: vec![text(&parts[0]), text(&parts[1])],
        },
    ]
}

/// What is found of these files: of each by itself, and then of all together.
fn findings(files: &[String], keys: &str) -> Vec<String> {
    let judged = files
        .iter()
        .map(|file| verify(file.as_bytes(), keys.as_bytes()));
    let (good, forged): (Vec<_>, Vec<_>) = judged.partition(Result::is_ok);
    let found: Vec<String> = forged
        .into_iter()
        .filter_map(Result::err)
        .flatten()
        .map(|one| one.to_string())
        .collect();
    if !found.is_empty() || files.len() == 1 {
        return found;
    }
    let parts: Vec<_> = good.into_iter().filter_map(Result::ok).collect();
    join(&parts)
        .err()
        .into_iter()
        .flatten()
        .map(|one| one.to_string())
        .collect()
}

fn write(good: &Good) {
    let _ = fs::remove_dir_all(folder());
    fs::create_dir_all(folder()).unwrap();
    let keys = good.keys.to_string();
    let mut index = Vec::new();
    for case in cases(good) {
        let names: Vec<String> = match case.files.len() {
            1 => vec![format!("{}.json", case.name)],
            count => (1..=count)
                .map(|number| format!("{}-{number}.json", case.name))
                .collect(),
        };
        names
            .iter()
            .zip(&case.files)
            .for_each(|(name, text)| fs::write(folder().join(name), text).unwrap());
        index.push(
            json!({"name": case.name, "files": names, "findings": findings(&case.files, &keys)}),
        );
    }
    fs::write(folder().join("keys.json"), keys).unwrap();
    fs::write(
        folder().join("index.json"),
        serde_json::to_string_pretty(&index).unwrap() + "\n",
    )
    .unwrap();
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

#[tokio::test]
async fn the_set_of_files_is_judged_as_its_index_says() {
    let good = good().await;
    if shared::kernel::config::env("REPORTS").is_some_and(|wanted| wanted == "write") {
        write(&good);
    }
    let keys = read("keys.json");
    let index: Vec<Value> = serde_json::from_str(&read("index.json")).unwrap();
    for case in &index {
        let files: Vec<String> = case["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| read(name.as_str().unwrap()))
            .collect();
        let found = findings(&files, &keys);
        assert_eq!(json!(found), case["findings"], "{}", case["name"]);
        assert_eq!(
            found.is_empty(),
            case["name"].as_str().unwrap().starts_with("good-"),
            "{}",
            case["name"]
        );
    }
    let names: Vec<&str> = index
        .iter()
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    let made: Vec<&str> = cases(&good).iter().map(|case| case.name).collect();
    assert_eq!(
        names, made,
        "the set is not the one that would be written: REPORTS=write"
    );
}
