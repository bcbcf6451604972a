//! What the workspace says of its packages in more than one place agrees with what is there.

mod contributing;
mod foreign;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders in a folder of the workspace that are packages.
fn packages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect()
}

fn name(package: &Path) -> String {
    package.file_name().unwrap().to_string_lossy().into_owned()
}

/// A target of a manifest that is not built for tests: where its sources stand. What is in there is
/// tested by nothing.
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
            targets.push(Target {
                section: line.trim_matches(['[', ']']).to_owned(),
                ..Target::default()
            });
        } else if let Some((name, value)) = line.split_once('=') {
            let Some(target) = targets.last_mut() else {
                continue;
            };
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
    let Ok(source) = fs::read_to_string(file) else {
        return;
    };
    if !found.insert(file.to_owned()) {
        return;
    }
    let is_root = ["lib.rs", "main.rs", "mod.rs"]
        .iter()
        .any(|root| file.ends_with(root));
    let beside = if is_root {
        file.parent().unwrap().to_owned()
    } else {
        file.with_extension("")
    };
    for line in source.lines().map(str::trim) {
        let line = line
            .strip_prefix("pub(crate) ")
            .or_else(|| line.strip_prefix("pub "))
            .unwrap_or(line);
        let Some(module) = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        sources(&beside.join(format!("{module}.rs")), found);
        sources(&beside.join(module).join("mod.rs"), found);
    }
}

fn holds_a_test(source: &str) -> bool {
    let marks = ["#[test]", "#[tokio::test", "proptest!"];
    source
        .lines()
        .any(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark)))
}

#[test]
fn a_target_that_is_not_built_for_tests_has_none() {
    let folders = ["functions", "infra", "."];
    let mut untested = 0;
    for package in folders.iter().flat_map(|folder| packages(folder)) {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        for target in targets(&manifest)
            .into_iter()
            .filter(|target| target.is_untested)
        {
            untested += 1;
            let default = if target.section == "lib" {
                "src/lib.rs"
            } else {
                "src/main.rs"
            };
            let path = target.path.clone().unwrap_or_else(|| default.to_owned());
            let mut files = BTreeSet::new();
            sources(&package.join(&path), &mut files);
            assert!(!files.is_empty(), "{} has no {path}", package.display());
            for file in files {
                assert!(
                    !holds_a_test(&fs::read_to_string(&file).unwrap()),
                    "{} is never run",
                    file.display()
                );
            }
        }
    }
    assert!(untested > 20, "the manifests are read as they are written");
}

#[test]
fn the_walk_over_a_targets_sources_finds_its_modules_and_their_tests() {
    let mut files = BTreeSet::new();
    sources(&root().join("shared/src/lib.rs"), &mut files);
    let on_disk = fs::read_dir(root().join("shared/src/web/http"))
        .unwrap()
        .count();
    let found: Vec<_> = files
        .iter()
        .filter(|file| file.parent().unwrap().ends_with("http"))
        .collect();
    assert_eq!(found.len(), on_disk, "{found:?}");
    let with_tests = files
        .iter()
        .filter(|file| holds_a_test(&fs::read_to_string(file).unwrap()))
        .count();
    assert!(with_tests > 20, "{with_tests}");
}

#[test]
fn every_function_logs_at_the_level_that_is_set_and_nobody_else_does() {
    let filter = shared::edge::start::filter("trace");
    let listed: BTreeSet<String> = filter
        .iter()
        .filter(|(_, level)| level.to_string() == "trace")
        .map(|(target, _)| target.to_owned())
        .collect();
    let functions = packages("functions")
        .into_iter()
        .map(|package| name(&package).replace('-', "_"));
    // The local stack serves them, and is theirs on this machine.
    let expected: BTreeSet<String> = functions
        .chain(["shared".to_owned(), "local".to_owned()])
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn every_function_is_a_member_of_the_workspace_with_a_binary_of_its_name() {
    let template = fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    for package in packages("functions") {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains(&format!("name = \"{}\"", name(&package))),
            "{}",
            package.display()
        );
        assert!(
            template.contains(&format!("functions/{}", name(&package))),
            "{} is deployed by nothing",
            package.display()
        );
    }
}

/// The layers of the common crate as its map tells them, lowest first.
fn layers() -> Vec<String> {
    let source = fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let rows = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`] | "));
    rows.map(|(layer, _)| layer.to_owned()).collect()
}

#[test]
fn each_layer_of_the_common_crate_is_a_folder_and_in_one_row_of_its_map() {
    let source = fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let modules: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let layers = layers();
    assert_eq!(
        layers.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        modules
    );
    assert_eq!(layers.len(), modules.len(), "each stands once");
    for layer in layers {
        assert!(
            root()
                .join("shared/src")
                .join(&layer)
                .join("mod.rs")
                .is_file(),
            "{layer} is no folder"
        );
    }
}

/// The layers that a source names after `crate::`, outside of comments and tests.
fn imported(source: &str, layers: &[String]) -> BTreeSet<String> {
    let code = source
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = lines.join("\n");
    let after = code.split("crate::").skip(1);
    let named = after.flat_map(|rest| {
        let grouped = rest
            .strip_prefix('{')
            .map_or(rest.split(';').next().unwrap_or_default(), |group| {
                group.split(';').next().unwrap_or_default()
            });
        let is_group = rest.starts_with('{');
        layers.iter().filter(move |layer| {
            let path = format!("{layer}::");
            if is_group {
                grouped
                    .split([' ', ',', '\n'])
                    .any(|item| item.starts_with(&path))
            } else {
                rest.starts_with(&path)
            }
        })
    });
    named.cloned().collect()
}

#[test]
fn each_layer_imports_from_those_above_it_in_the_map_alone() {
    let layers = layers();
    let mut seen = 0;
    for (place, layer) in layers.iter().enumerate() {
        let mut files = BTreeSet::new();
        files_that_say(&format!("shared/src/{layer}"), "crate::", &mut files);
        for file in files {
            let names = imported(&fs::read_to_string(root().join(&file)).unwrap(), &layers);
            seen += names.len();
            let higher: Vec<_> = names
                .iter()
                .filter(|name| layers.iter().position(|layer| layer == *name) > Some(place))
                .collect();
            assert!(higher.is_empty(), "{file} imports from {higher:?}");
        }
    }
    assert!(
        seen > 200,
        "the imports are read as they are written: {seen}"
    );
}

#[test]
fn an_import_is_seen_however_it_is_written() {
    let layers = ["kernel", "signin", "agreement"].map(str::to_owned);
    let named = |source: &str| imported(source, &layers).into_iter().collect::<Vec<_>>();
    assert_eq!(
        named("use crate::kernel::clock::Span;\nfn f() { crate::signin::link::g() }"),
        ["kernel", "signin"]
    );
    assert_eq!(
        named("use crate::{\n    agreement::Status,\n    kernel::clock,\n};"),
        ["agreement", "kernel"]
    );
    assert!(named("// crate::signin::user\n#[cfg(test)]\nmod tests {\n    use crate::agreement::Status;\n}").is_empty());
}

/// A stored noun names its attributes, and says what becomes of it; a function asks it.
#[test]
fn functions_name_no_attribute_of_the_table() {
    let mut found = BTreeSet::new();
    for package in packages("functions") {
        let folder = format!("functions/{}/src", name(&package));
        for text in ["Path::new", ".member(\"", "Condition::"] {
            files_that_say(&folder, text, &mut found);
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// Whoever reads the account that a request is about lets its pages read the answer; nobody else
/// does, and so nobody forgets it.
#[test]
fn origins_are_set_where_the_account_is_read_and_nowhere_else() {
    let mut found = BTreeSet::new();
    files_that_say("shared/src", "allow_origins(", &mut found);
    files_that_say("functions", "allow_origins(", &mut found);
    let told = [
        "shared/src/account/concerned.rs",
        "shared/src/web/http/call.rs",
    ];
    assert_eq!(found.iter().collect::<Vec<_>>(), told);
}

/// A success has the status that the table of routes gives it, and a refusal that of its slug.
#[test]
fn functions_choose_no_status_code() {
    let mut found = BTreeSet::new();
    for package in packages("functions") {
        let folder = format!("functions/{}/src", name(&package));
        for text in ["StatusCode", "with_status"] {
            files_that_say(&folder, text, &mut found);
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// Where the clock is read besides [`shared::web::http::Call::arrived_at`], how often in the file,
/// and why the moment of arrival would not do.
const CLOCK_IS_READ_AT: &[(&str, usize, &str)] = &[
    (
        "functions/agreements/src/report_link.rs",
        1,
        "what is left of a link when its maker is told",
    ),
    (
        "functions/expiry-cleanup/src/lib.rs",
        5,
        "what is over now, for each item, and whether the run's own time is; nobody has asked for anything",
    ),
    (
        "functions/expiry-cleanup/src/main.rs",
        1,
        "when the metric of a run is told",
    ),
    (
        "functions/kba-session/src/open.rs",
        2,
        "a session lives from when the provider has answered, and what is left of it when the browser is told",
    ),
    (
        "functions/report/src/lib.rs",
        1,
        "no entry in a report may be later than the report is",
    ),
    (
        "shared/src/store/app.rs",
        1,
        "a cold start, before any request",
    ),
    ("shared/src/edge/serve.rs", 1, "the arrival"),
    (
        "shared/src/messaging/outbox.rs",
        2,
        "a lease holds from when it is taken, and a message that was not sent waits from when that is known",
    ),
    (
        "shared/src/ledger/upkeep.rs",
        3,
        "commands of an operator, and no requests",
    ),
];

/// Where a source file under `folder` says this.
fn files_that_say(folder: &str, text: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let path = format!("{folder}/{}", name(&entry));
        if entry.is_dir() {
            files_that_say(&path, text, found);
        } else if entry.extension().is_some_and(|kind| kind == "rs")
            && fs::read_to_string(&entry).unwrap().contains(text)
        {
            found.insert(path);
        }
    }
}

#[test]
fn a_request_is_judged_by_when_it_arrived_and_the_clock_is_read_nowhere_else() {
    let mut found = BTreeSet::new();
    files_that_say("shared/src", "clock.now()", &mut found);
    for package in packages("functions") {
        files_that_say(
            &format!("functions/{}/src", name(&package)),
            "clock.now()",
            &mut found,
        );
    }
    let read = |file: String| {
        let source = fs::read_to_string(root().join(&file)).unwrap();
        (file, source.matches("clock.now()").count())
    };
    let found: BTreeSet<(String, usize)> = found.into_iter().map(read).collect();
    let told: BTreeSet<(String, usize)> = CLOCK_IS_READ_AT
        .iter()
        .map(|(file, times, _)| ((*file).to_owned(), *times))
        .collect();
    assert_eq!(found, told);
}

/// The suites that `infra/scripts/real-components` does not run on Amazon's engine, and why.
const ON_THE_EMBEDDED_ENGINE_ALONE: &[(&str, &str)] = &[
    (
        "canary",
        "what is looked for would be written by us: another engine adds nothing",
    ),
    (
        "cleanup_contention",
        "as `faults`; its conditions are evaluated there by `operations` and `agreements`",
    ),
    ("contention", "as `faults`; it is its own clock that counts"),
    ("contract", "compares what four places say of each route"),
    (
        "cost",
        "the units are those that the embedded engine counts",
    ),
    (
        "documents",
        "what is published does not come from the table",
    ),
    ("erasure", "as `canary`"),
    (
        "faults",
        "what goes wrong does so before the engine; the conditions are evaluated there by the routes' own suites",
    ),
    ("forgeries", "what is judged is a file"),
    ("holdings_model", "a model in memory"),
    (
        "kba_machine",
        "long and at random; its conditions are evaluated there by `kba` and `agreements`",
    ),
    (
        "latency",
        "what is slow is in front of the engine, or no engine at all",
    ),
    (
        "ledger_machine",
        "long and at random; its conditions are evaluated there by `ledger`",
    ),
    ("ledger_model", "a model in memory"),
    ("logs", "what is looked for would be logged by us"),
    (
        "problems",
        "how refusals are worded; that they are made is tried by the routes' own suites",
    ),
    ("real", "built with a feature, and run by the part of moto"),
    (
        "serial",
        "as `faults`; its conditions are evaluated there by the routes' own suites",
    ),
    (
        "storm",
        "a storm is long, and what it finds is ours: the engine is tried by the suites that it is made of",
    ),
    (
        "unreached",
        "no table is asked: what is tried is who sends messages",
    ),
    (
        "waits",
        "which requests go out together is seen before they reach an engine",
    ),
    ("workspace", "reads files"),
];

/// What a folder has, by name; of a program or a module its root aside, and what it is compared
/// with.
fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let names = entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    names
        .filter(|name| !["main", "mod", "snapshots"].contains(&name.as_str()))
        .collect()
}

/// The program that runs on Amazon's engine as well.
const ON_ANY_ENGINE: &str = "on_any_engine";

/// The suites of all programs in `tests/tests`: of one that is made of several each, and of the one
/// that runs on any engine as a whole.
fn suites() -> BTreeSet<String> {
    let folder = root().join("tests/tests");
    let programs = entries(&folder).into_iter();
    let suites = programs.flat_map(|program| {
        let is_of_suites = folder.join(&program).is_dir() && program != ON_ANY_ENGINE;
        if is_of_suites {
            entries(&folder.join(program))
        } else {
            BTreeSet::from([program])
        }
    });
    suites.collect()
}

#[test]
fn every_suite_runs_on_amazons_engine_or_says_why_not() {
    let script = fs::read_to_string(root().join("infra/scripts/real-components")).unwrap();
    let words: Vec<&str> = script.split_whitespace().collect();
    let listed = words
        .windows(2)
        .filter(|pair| pair[0] == "--test")
        .map(|pair| pair[1]);
    let exceptions = ON_THE_EMBEDDED_ENGINE_ALONE.iter().map(|(suite, _)| *suite);
    let told: BTreeSet<&str> = listed.chain(exceptions).collect();
    let suites = suites();
    // What is in neither is forgotten; what is not there at all is a mistake.
    assert_eq!(told, suites.iter().map(String::as_str).collect());
}

/// The folders under `folder` that are a program or a module, with their roots.
fn roots(folder: &Path, found: &mut Vec<(PathBuf, PathBuf)>) {
    for path in entries(folder).iter().map(|name| folder.join(name)) {
        if !path.is_dir() {
            continue;
        }
        let root = ["main.rs", "mod.rs"].map(|root| path.join(root));
        let root = root.into_iter().find(|root| root.is_file());
        found.extend(root.map(|root| (path.clone(), root)));
        roots(&path, found);
    }
}

#[test]
fn every_file_of_tests_is_a_module_of_a_program() {
    let mut found = Vec::new();
    roots(&root().join("tests/tests"), &mut found);
    assert!(found.len() > 15, "a folder for each subject: {found:?}");
    for (folder, root) in found {
        let source = fs::read_to_string(root).unwrap();
        let modules: BTreeSet<String> = source
            .lines()
            .map(|line| line.strip_prefix("pub ").unwrap_or(line))
            .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
            .map(str::to_owned)
            .collect();
        assert_eq!(modules, entries(&folder), "{}", folder.display());
    }
}

/// A program is linked with all that it uses, which takes seconds each: its first lines say why it
/// is one.
#[test]
fn every_program_says_why_it_is_one() {
    let folder = root().join("tests/tests");
    for program in entries(&folder) {
        let file = folder.join(format!("{program}.rs"));
        let file = if file.is_file() {
            file
        } else {
            folder.join(&program).join("main.rs")
        };
        let source = fs::read_to_string(file).unwrap();
        let says = |line: &str| {
            line.starts_with("//! One program") || line.starts_with("//! Alone in this file")
        };
        assert!(source.lines().any(says), "{program} does not say why");
    }
}
