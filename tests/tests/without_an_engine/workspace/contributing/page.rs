//! The page itself: what it names, and the examples that it follows.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use shared::web::http::routes::{ROUTES, Route};

use super::tree::{Source, has_word, text, under};
use crate::workspace::{name, packages, root};

/// The page.
static PAGE: LazyLock<String> = LazyLock::new(|| text("infra/contributing.md"));

/// The headings of the walkthroughs, and what each follows, as it is written in the sources.
const EXAMPLES: [(&str, &[&str]); 4] = [
    ("A route", &["ReopenViewing", "/reopen", "reopen_viewing"]),
    ("A setting", &["require_recipient_name"]),
    ("A stored noun", &["EXCHANGE", "exchange::"]),
    ("An audit event", &["ViewingReopened", "viewing-reopened"]),
];

/// What stands between two backticks.
#[derive(Debug, PartialEq)]
enum Named<'a> {
    File(&'a str),
    Route(&'a str),
    Package(&'a str),
    /// It stands in one of the files that its step names.
    Word(&'a str),
}

impl<'a> Named<'a> {
    fn of(text: &'a str) -> Self {
        let is_route = text
            .split_once(' ')
            .is_some_and(|(method, path)| path.starts_with('/') && method == method.to_uppercase());
        match text.strip_prefix("cargo run -p ") {
            Some(package) => Self::Package(package),
            None if is_route => Self::Route(text),
            None if !text.contains(' ') && text.contains('/') => Self::File(text),
            None if root().join(text).is_file() => Self::File(text),
            None => Self::Word(text),
        }
    }

    /// Whether it is there; a word, in one of these files.
    fn is_in(&self, files: &[Source]) -> bool {
        match self {
            Self::File(path) => root().join(path).exists(),
            Self::Route(key) => ROUTES.iter().map(Route::key).any(|known| known == *key),
            Self::Package(package) => packages("infra").iter().any(|path| name(path) == *package),
            Self::Word(word) => files.iter().any(|file| file.has(word)),
        }
    }
}

/// The heading of each section, and what stands under it.
fn sections() -> Vec<(&'static str, &'static str)> {
    PAGE.split("\n## ")
        .map(|section| section.split_once('\n').unwrap())
        .collect()
}

/// What stands under a heading.
pub fn section(title: &str) -> &'static str {
    let found = sections()
        .into_iter()
        .find(|(heading, _)| *heading == title);
    found.unwrap_or_else(|| panic!("there is no {title}")).1
}

/// The paragraphs and numbered steps of a section, without what is drawn.
fn steps(section: &str) -> Vec<String> {
    let written = section.split("```").step_by(2);
    let mut steps = Vec::new();
    for paragraph in written.flat_map(|text| text.split("\n\n")) {
        for line in paragraph.lines() {
            let begins = line.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            match steps.last_mut() {
                Some(step) if !begins && !String::is_empty(step) => step.extend([" ", line]),
                _ => steps.push(line.to_owned()),
            }
        }
        steps.push(String::new());
    }
    steps
}

fn named(step: &str) -> Vec<Named<'_>> {
    step.split('`').skip(1).step_by(2).map(Named::of).collect()
}

/// The files that a text names, folders aside.
fn files_named_in(text: &str) -> Vec<Source> {
    let paths: BTreeSet<&str> = named(text)
        .into_iter()
        .filter_map(|named| match named {
            Named::File(path) if root().join(path).is_file() => Some(path),
            _ => None,
        })
        .collect();
    paths.into_iter().flat_map(under).collect()
}

#[test]
fn whatever_the_page_names_is_there() {
    let (mut count, mut missing) = (0, Vec::new());
    for (title, section) in sections() {
        let steps = steps(section);
        let of_section = files_named_in(&steps.join(" "));
        for step in &steps {
            let of_step = files_named_in(step);
            let files = if of_step.is_empty() {
                &of_section
            } else {
                &of_step
            };
            let named = named(step);
            count += named.len();
            let lost = named.into_iter().filter(|named| !named.is_in(files));
            missing.extend(lost.map(|lost| format!("{title}: {lost:?}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(count > 100, "the page is read as it is written: {count}");
}

#[test]
fn whatever_is_drawn_names_files_that_are_there() {
    let folders = ["infra/", "functions/", "shared/", "tests/"];
    let drawn = PAGE.split("```").skip(1).step_by(2);
    let words = drawn.flat_map(str::split_whitespace);
    let paths: Vec<_> = words
        .map(|word| word.trim_matches(['(', ')', ':', ',', ';']))
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .collect();
    let lost: Vec<_> = paths
        .iter()
        .filter(|path| !root().join(path).exists())
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(paths.len() > 12, "{paths:?}");
}

/// A test may show an example once more, and need not be named for that.
#[test]
fn each_example_is_followed_to_every_file_that_has_it() {
    let sources: Vec<Source> = ["functions", "infra", "shared", "README.md"]
        .into_iter()
        .flat_map(under)
        .filter(|source| source.path != "infra/contributing.md")
        .collect();
    for (title, marks) in EXAMPLES {
        let followed: BTreeSet<String> = files_named_in(section(title))
            .into_iter()
            .map(|source| source.path)
            .collect();
        let is_forgotten = |source: &&Source| {
            marks.iter().any(|mark| source.has(mark)) && !followed.contains(&source.path)
        };
        let forgotten: Vec<&str> = sources
            .iter()
            .filter(is_forgotten)
            .map(|source| source.path.as_str())
            .collect();
        assert!(forgotten.is_empty(), "{title} leaves out {forgotten:?}");
        for mark in marks {
            assert!(sources.iter().any(|source| source.has(mark)), "{mark}");
        }
    }
}

#[test]
fn who_looks_for_the_page_finds_it() {
    let readme = text("README.md");
    let (_, code) = readme.split_once("\n## The code\n").unwrap();
    assert!(has_word(code, "infra/contributing.md"));
}
