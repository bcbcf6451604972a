//! Every audit event stands in the places that the walkthrough of one goes through.

use shared::store::audit::Action;

use super::page::section;
use super::tree::{Source, code, has_word, text, under};

const ACTIONS: &str = "shared/src/store/audit.rs";
const SENTENCES: &str = "functions/report/src/told.rs";
const PUBLISHED: &str = "functions/documents/openapi.json";

/// What happens to a user or an account, and stands in no agreement's chain: the report of one has
/// no sentence for it.
const OF_NO_AGREEMENT: [&str; 24] = [
    "AccountCreated",
    "AccountChanged",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "SettingsChanged",
    "QuotaToppedUp",
    "QuotaCorrected",
    "UserCreated",
    "UserChanged",
    "UserDeleted",
    "UserUnlocked",
    "SignIn",
    "LinkCreated",
    "TokenRedeemed",
    "PasswordForgotten",
    "PasswordChanged",
    "EnrolmentBegun",
    "FactorEnrolled",
    "FactorRemoved",
    "FactorReset",
    "RecoveryCodesMade",
    "PasswordDelayed",
    "PasswordDisabled",
    "PasswordRefused",
];

/// The variants of [`Action`], as their source lists them, each with its name in the chain.
fn actions() -> Vec<(String, String)> {
    let source = text(ACTIONS);
    let (_, list) = source.split_once("pub enum Action {\n").unwrap();
    let (list, _) = list.split_once("\n}\n").unwrap();
    let variants = list
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|line| line.chars().all(char::is_alphanumeric));
    variants
        .map(|variant| (variant.to_owned(), in_the_chain(variant)))
        .collect()
}

/// `ViewingReopened` as `viewing-reopened`, by the type's own reading.
fn in_the_chain(variant: &str) -> String {
    let mut text = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    let action: Action = serde_json::from_value(text.clone().into()).unwrap();
    assert_eq!(format!("{action:?}"), variant);
    text
}

/// What may write an entry: the code, but for the list of actions and for what tells them.
fn writers() -> Vec<Source> {
    code()
        .into_iter()
        .filter(|source| source.path != ACTIONS && !source.path.starts_with("functions/report/"))
        .collect()
}

#[test]
fn every_audit_event_is_written_told_published_and_tried() {
    let walkthrough = section("An audit event");
    for path in [ACTIONS, SENTENCES, PUBLISHED] {
        assert!(has_word(walkthrough, path), "the page does not name {path}");
    }
    let (writers, mut tests) = (writers(), under("tests/tests"));
    tests.retain(|test| !test.path.contains("/workspace/"));
    let (sentences, document) = (text(SENTENCES), text(PUBLISHED));
    let actions = actions();
    assert!(actions.len() > 40, "{actions:?}");
    for (variant, name) in actions {
        let action = format!("Action::{variant}");
        let writes = |source: &&Source| has_word(source.code(), &action);
        assert!(writers.iter().any(|it| writes(&it)), "nobody writes {name}");
        let quoted = format!("\"{name}\"");
        assert!(document.contains(&quoted), "{name} is not published");
        let tries = |source: &Source| source.text.contains(&quoted);
        assert!(tests.iter().any(tries), "no test looks for {name}");
        assert_ne!(
            has_word(&sentences, &action),
            OF_NO_AGREEMENT.contains(&variant.as_str()),
            "{name} has a sentence in the report of an agreement, or can stand in none"
        );
    }
}
