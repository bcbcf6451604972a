//! Every stored noun stands in the places that the walkthrough of one goes through.

use std::collections::BTreeSet;

use super::page::section;
use super::tree::{code, has_word, text};

const KEYS: &str = "shared/src/store/dynamo/keys.rs";
const TABLE: &str = "infra/table.md";
const TEMPLATE: &str = "infra/template.yaml";

/// What a key begins with and no item stands under: what a cold start asks for to have a connection.
const NO_NOUN: &str = "WARM";
/// The index of what is due has partitions, and no items of its own.
const OF_AN_INDEX: &str = "DUE";

/// The words in capitals that keys are made of, as their source writes them.
fn words_of_keys() -> BTreeSet<String> {
    let source = text(KEYS);
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let quoted: Vec<String> = code
        .flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned))
        .collect();
    let parts = quoted.iter().flat_map(|text| text.split('#'));
    let is_word = |part: &&str| {
        part.len() > 2
            && part
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '-' || c.is_ascii_digit())
    };
    parts.filter(is_word).map(str::to_owned).collect()
}

/// A row of the table of items.
struct Item {
    /// The nouns of its partition keys.
    nouns: BTreeSet<String>,
    /// What it is entered in, and when it ends.
    end: String,
}

/// The table of items, and its text.
fn items() -> (Vec<Item>, String) {
    let document = text(TABLE);
    let (_, section) = document.split_once("### Now\n").unwrap();
    let (section, _) = section.split_once("\n\n").unwrap();
    let mut nouns = BTreeSet::new();
    let mut items = Vec::new();
    for line in section.lines().filter(|line| line.contains('`')) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let names = cells[1].split('`').skip(1).step_by(2);
        let named: BTreeSet<String> = names
            .filter_map(|key| key.split('#').next())
            .filter(|noun| !noun.is_empty())
            .map(str::to_owned)
            .collect();
        // `same` is the partition of the row before.
        if !named.is_empty() {
            nouns = named;
        }
        let end = cells.last().unwrap().to_string();
        let nouns = nouns.clone();
        items.push(Item { nouns, end });
    }
    (items, section.to_owned())
}

/// The nouns whose items policies grant.
fn granted(policies: &str) -> BTreeSet<String> {
    let keys = policies
        .split("\"dynamodb:LeadingKeys\": [")
        .skip(1)
        .filter_map(|rest| rest.split(']').next());
    keys.flat_map(|keys| keys.split('"').skip(1).step_by(2))
        .filter_map(|key| key.split('#').next())
        .map(str::to_owned)
        .collect()
}

/// The resource of the clean-up, as the template has it.
fn clean_up(template: &str) -> String {
    let (_, rest) = template
        .split_once("CodeUri: ../functions/expiry-cleanup")
        .unwrap();
    let lines = rest.lines().skip(1);
    let resource = lines.take_while(|line| line.is_empty() || line.starts_with("   "));
    resource.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_word_that_a_key_is_made_of_is_in_the_table_of_items() {
    let (_, section) = items();
    let words = words_of_keys();
    let lost: Vec<_> = words
        .iter()
        .filter(|word| *word != OF_AN_INDEX && !has_word(&section, word))
        .collect();
    assert!(lost.is_empty(), "{TABLE} has no row with {lost:?}");
    assert!(words.len() > 30, "{words:?}");
}

#[test]
fn every_noun_of_the_table_is_granted_and_every_grant_is_of_a_noun() {
    let (items, _) = items();
    let mut nouns: BTreeSet<String> = items.into_iter().flat_map(|item| item.nouns).collect();
    let (words, granted) = (words_of_keys(), granted(&text(TEMPLATE)));
    assert!(nouns.is_subset(&words), "{nouns:?} and {words:?}");
    nouns.extend([NO_NOUN, OF_AN_INDEX].map(str::to_owned));
    assert_eq!(nouns, granted);
}

#[test]
fn the_clean_up_may_touch_whatever_is_due() {
    let granted = granted(&clean_up(&text(TEMPLATE)));
    let (items, _) = items();
    let due: Vec<Item> = items
        .into_iter()
        .filter(|item| item.end.contains("`due`"))
        .collect();
    assert!(due.len() > 15, "{}", due.len());
    for item in due {
        assert!(item.nouns.is_subset(&granted), "{:?}", item.nouns);
    }
}

#[test]
fn nothing_but_the_list_of_keys_makes_one() {
    for path in [KEYS, TABLE, TEMPLATE] {
        assert!(has_word(section("A stored noun"), path), "{path}");
    }
    // A page of a list begins at a key that was read, and a connection is warmed by one of nothing.
    // `Key::new` is the list's own.
    let table = "shared/src/store/dynamo/table.rs";
    let makes = ["sk: \"", "pk: \"", "sk: format!(", "pk: format!("];
    let found: Vec<String> = code()
        .into_iter()
        .filter(|source| ![KEYS, table].contains(&source.path.as_str()))
        .filter(|source| makes.iter().any(|made| has_word(source.code(), made)))
        .map(|source| source.path)
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
