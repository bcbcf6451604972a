//! Whether an audit report is what the service signed.

use std::fs;
use std::path::Path;

use shared::report::verify::{self, Finding};

use crate::Complaint;

/// Reads the two files, and says what is wrong with the report: one line for each finding.
pub(crate) fn verify(file: &Path, jwks: &Path) -> Result<String, Complaint> {
    let statement = verify::verify(&read(file)?, &read(jwks)?).map_err(|findings| {
        if let [Finding::NotAReport(why)] = findings.as_slice() {
            return Complaint::new(format!(
                "{}: this form cannot be verified ({why}). Nothing is said against it: export the report as JSON, with `Accept: application/json`",
                file.display()
            ));
        }
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Complaint::new(format!("{} is not what was signed:\n{}", file.display(), lines.join("\n")))
    })?;
    Ok(format!(
        "{}: {} entries as they were signed at {}, the last with the hash {}",
        statement.agreement, statement.count, statement.issued_at, statement.head
    ))
}

fn read(path: &Path) -> Result<String, Complaint> {
    fs::read_to_string(path).map_err(|error| Complaint::new(format!("{}: {error}", path.display())))
}
