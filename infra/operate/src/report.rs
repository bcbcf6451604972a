//! Whether an audit report is what the service signed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use shared::agreement::report::finding::Finding;
use shared::agreement::report::join::{self, Joined};
use shared::agreement::report::verify::{SIZE_MAX, Verified, verify as verify_file};
use shared::kernel::json::Unreadable;

use crate::Complaint;

/// Reads the files, and says what is wrong with them: one line for each finding. Of several it says
/// as well whether they are one chain.
pub(crate) fn verify(files: &[PathBuf], jwks: &Path) -> Result<String, Complaint> {
    let keys = read(jwks)?;
    let (mut verified, mut complaints) = (Vec::new(), Vec::new());
    for file in files {
        match read(file).and_then(|report| {
            verify_file(&report, &keys).map_err(|findings| complaint(file, &report, &findings))
        }) {
            Ok(part) => verified.push(part),
            Err(Complaint(text)) => complaints.push(text),
        }
    }
    if !complaints.is_empty() {
        return Err(Complaint::new(complaints.join("\n")));
    }
    if let [alone] = verified.as_slice() {
        return Ok(told(alone));
    }
    join::join(&verified)
        .map(|joined| told_together(&joined))
        .map_err(|discords| {
            let named = files
                .iter()
                .zip(1..)
                .map(|(file, number)| format!("file {number} is {}", file.display()));
            let lines: Vec<String> = discords
                .iter()
                .map(ToString::to_string)
                .chain(named)
                .collect();
            Complaint::new(format!(
                "each file is valid, but together the files are not a complete report:\n{}",
                lines.join("\n")
            ))
        })
}

/// What is wrong with a file. Nothing is said against the other forms of a report; what begins like
/// the JSON form and is none was tampered with.
fn complaint(file: &Path, report: &[u8], findings: &[Finding]) -> Complaint {
    let name = file.display();
    if let [Finding::Unreadable(Unreadable::Malformed { .. })] = findings
        && !begins_like_json(report)
    {
        return Complaint::new(format!(
            "{name} cannot be verified, because it is not JSON. It may still be genuine: export the report as JSON, with `Accept: application/json`"
        ));
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Complaint::new(format!(
        "{name} is not what was signed:\n{}",
        lines.join("\n")
    ))
}

/// Whether the first thing that shows in a file is a brace.
fn begins_like_json(report: &[u8]) -> bool {
    String::from_utf8_lossy(report)
        .chars()
        .find(|c| !c.is_whitespace() && !c.is_control())
        == Some('{')
}

fn told(verified: &Verified) -> String {
    let statement = &verified.statement;
    let (part, at) = (&statement.part, &statement.issued_at);
    if part.of == 1 {
        let (agreement, count, head) = (&statement.agreement, statement.count, &statement.head);
        return format!(
            "{agreement}: {count} entries as they were signed at {at}, the last with the hash {head}"
        );
    }
    format!(
        "{}: part {} of {}, entries {} to {} of {} as they were signed at {at}. Give all parts to see that nothing is missing between them",
        statement.agreement, part.number, part.of, part.first, part.last, statement.count
    )
}

fn told_together(joined: &Joined) -> String {
    let end = &joined.end;
    let whole = format!(
        "{}: together {} entries as they were signed at {}, the last with the hash {}",
        end.agreement, end.count, end.issued_at, end.head
    );
    let since = joined.since.as_ref().map(|since| {
        let (count, at) = (since.count, &since.issued_at);
        format!(
            ". A part that was made at {at} says that there were {count} by then: those after the {}th are in none of the files",
            end.count
        )
    });
    whole + &since.unwrap_or_default()
}

/// A file's bytes; of one that is too large no more than shows that it is.
fn read(path: &Path) -> Result<Vec<u8>, Complaint> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(SIZE_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes)
        .map_err(|error| Complaint::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reports")
    }

    /// The cases of the set: name, files, and what is found of them.
    fn cases() -> Vec<(String, Vec<PathBuf>, Vec<String>)> {
        let index: Vec<Value> =
            serde_json::from_slice(&read(&folder().join("index.json")).unwrap()).unwrap();
        let texts = |value: &Value| {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let case = |case: &Value| {
            let files = texts(&case["files"])
                .iter()
                .map(|name| folder().join(name))
                .collect();
            (
                case["name"].as_str().unwrap().to_owned(),
                files,
                texts(&case["findings"]),
            )
        };
        index.iter().map(case).collect()
    }

    #[test]
    fn of_each_file_of_the_set_is_told_what_is_found_of_it() {
        for (name, files, findings) in cases() {
            match verify(&files, &folder().join("keys.json")) {
                Ok(told) => assert!(
                    findings.is_empty() && told.starts_with("agr_"),
                    "{name}: {told}"
                ),
                Err(Complaint(told)) => {
                    assert!(!findings.is_empty(), "{name}: {told}");
                    let is_told = |finding: &&String| {
                        told.contains(finding.as_str())
                            || told.contains("export the report as JSON")
                    };
                    assert_eq!(
                        findings.iter().find(|finding| !is_told(finding)),
                        None,
                        "{name}: {told}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_report_that_became_no_json_is_not_taken_for_another_form_of_it() {
        let good = String::from_utf8(read(&folder().join("good-whole.json")).unwrap()).unwrap();
        let malformed = [Finding::Unreadable(Unreadable::Malformed {
            line: 1,
            column: 1,
        })];
        let told = |text: &str| complaint(Path::new("f"), text.as_bytes(), &malformed).0;
        for text in [
            good.replacen(':', ":\0", 1),
            good.replacen(':', ":\u{a0}", 1),
            format!("\u{a0}{good}"),
            format!("\0{good}"),
        ] {
            assert!(
                told(&text).starts_with("f is not what was signed:\nthis is not an audit report"),
                "{}",
                told(&text)
            );
        }
        for text in ["<!doctype html>", "Audit report\n", "%PDF-1.7"] {
            assert!(told(text).contains("export the report as JSON"), "{text}");
        }
    }

    #[test]
    fn it_is_told_how_far_good_files_reach() {
        let told = |name: &str| {
            let (_, files, _) = cases()
                .into_iter()
                .find(|(known, ..)| known == name)
                .unwrap();
            verify(&files, &folder().join("keys.json")).unwrap()
        };
        assert!(
            told("good-whole").contains(": 7 entries as they were signed at "),
            "{}",
            told("good-whole")
        );
        assert!(
            told("good-part-2")
                .contains(": part 2 of 3, entries 4 to 6 of 7 as they were signed at "),
            "{}",
            told("good-part-2")
        );
        assert!(
            told("good-parts").contains(": together 7 entries as they were signed at "),
            "{}",
            told("good-parts")
        );
    }
}
