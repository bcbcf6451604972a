//! The sources as text.

use std::fs;
use std::path::Path;

use crate::workspace::root;

/// What is built, and what is decided: neither has places where something is added.
const LEFT_OUT: [&str; 4] = ["target", "artifacts", "corpus", "decisions"];

/// A file of the workspace.
pub struct Source {
    /// Its path from the workspace's root.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

impl Source {
    /// Whether it has this word.
    pub fn has(&self, word: &str) -> bool {
        has_word(&self.text, word)
    }

    /// The file without its own tests.
    pub fn code(&self) -> &str {
        self.text
            .split("#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default()
    }
}

/// The text of a file of the workspace.
pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files of text at or under a path of the workspace.
pub fn under(path: &str) -> Vec<Source> {
    let whole = root().join(path);
    if whole.is_file() {
        let text = fs::read_to_string(&whole);
        let path = path.to_owned();
        return text.map_or_else(|_| Vec::new(), |text| vec![Source { path, text }]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&whole).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !LEFT_OUT.contains(&name.as_str()) {
            found.extend(under(&format!("{path}/{name}")));
        }
    }
    found
}

/// The sources of the functions and of what they have in common.
pub fn code() -> Vec<Source> {
    let sources = ["shared/src", "functions"].into_iter().flat_map(under);
    let is_code = |source: &Source| {
        Path::new(&source.path)
            .extension()
            .is_some_and(|kind| kind == "rs")
    };
    sources.filter(is_code).collect()
}

/// Whether `word` stands in `text` and is no part of a longer one.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let begins = word.starts_with(is_letter);
    let ends = word.ends_with(is_letter);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().filter(|_| begins);
        let after = text[at + word.len()..].chars().next().filter(|_| ends);
        !before.into_iter().chain(after).any(is_letter)
    })
}

#[test]
fn a_word_is_no_part_of_a_longer_one() {
    assert!(has_word("O::ReopenViewing,", "ReopenViewing"));
    assert!(has_word("[\"EXCHANGE#*\"]", "EXCHANGE#*"));
    assert!(!has_word("ReopenViewings", "ReopenViewing"));
    assert!(!has_word("reopen_viewing", "viewing"));
}
