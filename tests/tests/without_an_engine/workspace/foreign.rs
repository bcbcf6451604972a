//! Whatever reads bytes that strangers write has a fuzz target with seeds, and reads those.

use std::collections::BTreeSet;
use std::fs;

use readers::{ALL, Reader};

use crate::workspace::contributing::tree::{Source, code, text};
use crate::workspace::root;

/// How a text or bytes are taken apart.
const DECODES: [&str; 10] = [
    "serde_json::from_str(",
    "serde_json::from_slice",
    "Deserializer::from_",
    "FromStr for",
    "secret::decode(",
    ".decode(",
    "Url::parse(",
    "decode_header(",
    "Parser::new(",
    "PhoneNumber::parse(",
];

/// What decodes something, and nothing of a stranger's, with the reason.
const OUR_OWN: &[(&str, &str)] = &[
    (
        "shared/src/agreement/provider/secrets.rs",
        "a secret of the deployment's, read as a list of texts; each is the reader `webhook`'s",
    ),
    (
        "shared/src/kernel/secret.rs",
        "base64url alone, of which every token is made",
    ),
    (
        "functions/agreements/src/send.rs",
        "an answer that this function has written into the table",
    ),
    (
        "functions/agreements/src/list.rs",
        "a cursor's place, which the reader `event` takes to the same end",
    ),
];

/// The names in a folder of `infra/fuzz`, without endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("infra/fuzz").join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_reader_has_a_target_and_seeds_and_every_target_is_a_readers() {
    let readers: BTreeSet<String> = ALL.iter().map(|reader| reader.name.to_owned()).collect();
    assert_eq!(names("targets"), readers);
    assert_eq!(names("seeds"), readers);
    let manifest = text("infra/fuzz/Cargo.toml");
    for Reader { name, .. } in ALL {
        let target = text(&format!("infra/fuzz/targets/{name}.rs"));
        assert!(target.contains(&format!("readers::{name}(bytes)")));
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"targets/{name}.rs\"")));
        assert!(!seeds(name).is_empty(), "{name} begins with nothing");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), readers.len());
}

#[test]
fn whatever_decodes_something_is_a_readers_or_reads_our_own() {
    let decodes = |source: &Source| DECODES.iter().any(|mark| source.code().contains(mark));
    let found: BTreeSet<String> = code()
        .into_iter()
        .filter(|source| !is_for_tests(&source.path))
        .filter(decodes)
        .map(|source| source.path)
        .collect();
    let covered: BTreeSet<String> = ALL
        .iter()
        .flat_map(|reader| reader.files)
        .map(|file| (*file).to_owned())
        .collect();
    let own: BTreeSet<String> = OUR_OWN.iter().map(|(file, _)| (*file).to_owned()).collect();
    let forgotten: Vec<_> = found
        .iter()
        .filter(|file| !covered.contains(*file) && !own.contains(*file))
        .collect();
    assert!(
        forgotten.is_empty(),
        "no target reads what these do: {forgotten:?}"
    );
    assert!(
        own.is_subset(&found),
        "nothing is decoded there any more: {own:?}"
    );
    for file in &covered {
        assert!(root().join(file).is_file(), "{file}");
    }
}

/// Modules that are tests as a whole.
fn is_for_tests(path: &str) -> bool {
    path.ends_with("/properties.rs") || path.ends_with("/tests.rs")
}

/// What a reader begins with. The reports are kept for whoever writes a verifier, too.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut folders = vec![root().join("infra/fuzz/seeds").join(name)];
    if name == "report" {
        folders.push(root().join("tests/reports"));
    }
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

/// How many variants of a seed are read.
const VARIANTS: usize = 64;

/// A seed cut off, with a bit turned, or with a piece twice, at places spread over it.
fn variants(seed: &[u8]) -> Vec<Vec<u8>> {
    let step = seed.len().div_ceil(VARIANTS).max(1);
    let places = (0..seed.len()).step_by(step);
    let changed = places.enumerate().map(|(number, at)| {
        let (before, after) = seed.split_at(at);
        match number % 3 {
            0 => before.to_vec(),
            1 => [before, &[after[0] ^ (1 << (number % 8))], &after[1..]].concat(),
            _ => [before, &after[..after.len().min(7)], after].concat(),
        }
    });
    changed.collect()
}

#[test]
fn every_reader_ends_on_its_seeds_and_on_what_is_near_them() {
    for Reader { name, read, .. } in ALL {
        let seeds = seeds(name);
        println!("{name}: {} seeds", seeds.len());
        read(b"");
        for seed in seeds {
            read(&seed);
            for variant in variants(&seed) {
                read(&variant);
            }
        }
    }
}
