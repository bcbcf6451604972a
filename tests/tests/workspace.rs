//! What the workspace says of its packages in more than one place agrees with what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders in a folder of the workspace that are packages.
fn packages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("Cargo.toml").is_file()).collect()
}

fn name(package: &Path) -> String {
    package.file_name().unwrap().to_string_lossy().into_owned()
}

/// A target of a manifest that is not built for tests: where its sources stand. What is in there is tested by nothing.
#[derive(Debug, Default)]
struct Target {
    section: String,
    path: Option<String>,
    is_untested: bool,
}

/// The `[lib]` and `[[bin]]` of a manifest.
fn targets(manifest: &str) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            targets.push(Target { section: line.trim_matches(['[', ']']).to_owned(), ..Target::default() });
        } else if let Some((name, value)) = line.split_once('=') {
            let Some(target) = targets.last_mut() else { continue };
            match name.trim() {
                "path" => target.path = Some(value.trim().trim_matches('"').to_owned()),
                "test" => target.is_untested = value.trim() == "false",
                _ => {}
            }
        }
    }
    targets.retain(|target| ["lib", "bin"].contains(&target.section.as_str()));
    targets
}

/// The source files that are a target's: its root, and the modules that are declared from there on.
fn sources(file: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(source) = fs::read_to_string(file) else { return };
    if !found.insert(file.to_owned()) {
        return;
    }
    let is_root = ["lib.rs", "main.rs", "mod.rs"].iter().any(|root| file.ends_with(root));
    let beside = if is_root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    for line in source.lines().map(str::trim) {
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
        let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) else { continue };
        sources(&beside.join(format!("{module}.rs")), found);
        sources(&beside.join(module).join("mod.rs"), found);
    }
}

fn holds_a_test(source: &str) -> bool {
    let marks = ["#[test]", "#[tokio::test", "proptest!"];
    source.lines().any(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark)))
}

#[test]
fn a_target_that_is_not_built_for_tests_has_none() {
    let folders = ["functions", "infra", "."];
    let mut untested = 0;
    for package in folders.iter().flat_map(|folder| packages(folder)) {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        for target in targets(&manifest).into_iter().filter(|target| target.is_untested) {
            untested += 1;
            let default = if target.section == "lib" { "src/lib.rs" } else { "src/main.rs" };
            let path = target.path.clone().unwrap_or_else(|| default.to_owned());
            let mut files = BTreeSet::new();
            sources(&package.join(&path), &mut files);
            assert!(!files.is_empty(), "{} has no {path}", package.display());
            for file in files {
                assert!(!holds_a_test(&fs::read_to_string(&file).unwrap()), "{} is never run", file.display());
            }
        }
    }
    assert!(untested > 20, "the manifests are read as they are written");
}

#[test]
fn the_walk_over_a_targets_sources_finds_its_modules_and_their_tests() {
    let mut files = BTreeSet::new();
    sources(&root().join("shared/src/lib.rs"), &mut files);
    let on_disk = fs::read_dir(root().join("shared/src/http")).unwrap().count();
    let found: Vec<_> = files.iter().filter(|file| file.parent().unwrap().ends_with("http")).collect();
    assert_eq!(found.len(), on_disk, "{found:?}");
    let with_tests = files.iter().filter(|file| holds_a_test(&fs::read_to_string(file).unwrap())).count();
    assert!(with_tests > 20, "{with_tests}");
}

#[test]
fn every_function_logs_at_the_level_that_is_set_and_nobody_else_does() {
    let filter = shared::start::filter("trace");
    let listed: BTreeSet<String> =
        filter.iter().filter(|(_, level)| level.to_string() == "trace").map(|(target, _)| target.to_owned()).collect();
    let functions = packages("functions").into_iter().map(|package| name(&package).replace('-', "_"));
    // The local stack serves them, and is theirs on this machine.
    let expected: BTreeSet<String> = functions.chain(["shared".to_owned(), "local".to_owned()]).collect();
    assert_eq!(listed, expected);
}

#[test]
fn every_function_is_a_member_of_the_workspace_with_a_binary_of_its_name() {
    let template = fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    for package in packages("functions") {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"{}\"", name(&package))), "{}", package.display());
        assert!(template.contains(&format!("functions/{}", name(&package))), "{} is deployed by nothing", package.display());
    }
}
