//! Every setting stands in the places that the walkthrough of one goes through.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::account::Settings;

use super::page::section;
use super::tree::{Source, code, has_word, text};

/// The names of an issuer's members, which the defaults do not show: there is none unless it is set.
const OF_AN_ISSUER: [&str; 3] = ["issuer", "audience", "jwks_uri"];

/// The name of each setting.
fn settings() -> BTreeSet<String> {
    fn collect(name: &str, value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => members
                .iter()
                .for_each(|(name, member)| collect(name, member, names)),
            _ => drop(names.insert(name.to_owned())),
        }
    }
    let mut names: BTreeSet<String> = OF_AN_ISSUER.map(str::to_owned).into();
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    collect("", &defaults, &mut names);
    names
}

/// The code that may read a setting: all but what defines, checks and shows them.
fn readers() -> Vec<Source> {
    code()
        .into_iter()
        .filter(|source| !source.path.starts_with("shared/src/account/"))
        .filter(|source| !source.path.starts_with("functions/settings/src/patch"))
        .collect()
}

#[test]
fn every_setting_is_defined_published_read_and_tried() {
    let (defined, published) = (
        "shared/src/account/settings.rs",
        "functions/documents/openapi.json",
    );
    let tried = "tests/tests/on_any_engine/accounts/settings.rs";
    let walkthrough = section("A setting");
    for path in [defined, published, tried] {
        assert!(has_word(walkthrough, path), "the page does not name {path}");
    }
    let (definitions, document, suite) = (text(defined), text(published), text(tried));
    let readers = readers();
    for name in settings() {
        assert!(has_word(&definitions, &format!("pub {name}:")), "{name}");
        assert!(document.contains(&format!("\"{name}\":")), "{name}");
        assert!(
            suite.contains(&format!("\"{name}\"")),
            "{name} is not tried"
        );
        let read = format!(".{name}");
        assert!(
            readers.iter().any(|source| has_word(source.code(), &read)),
            "nobody reads {name}"
        );
    }
}

#[test]
fn the_settings_are_found_with_those_of_an_issuer() {
    let names = settings();
    assert!(names.contains("require_recipient_name") && names.contains("jwks_uri"));
    assert!(names.len() > 15, "{names:?}");
}
