//! The report as comma-separated values (RFC 4180): one table, whose first column says what a row
//! tells of.

use serde_json::{Value, json};
use shared::agreement::report::{Agreement, Recipient, Report};
use shared::store::audit::{Conclusion, Entry};
use shared::web::http::Reply;

use crate::told;

const COLUMNS: [&str; 13] = [
    "record",
    "sequence",
    "time",
    "action",
    "actor",
    "method",
    "source",
    "outcome",
    "provider_token",
    "details",
    "previous",
    "hash",
    "recipient",
];

/// The table.
pub fn reply(report: &Report) -> Reply {
    let content = "text/csv; charset=utf-8; header=present";
    Reply::text(content, text(report)).header(
        "content-disposition",
        format!("attachment; filename=\"{}\"", name(report)),
    )
}

/// What the file is called.
fn name(report: &Report) -> String {
    let (id, part) = (report.agreement.id, &report.part);
    if part.of == 1 {
        format!("{id}-audit.csv")
    } else {
        format!("{id}-audit-{}-of-{}.csv", part.number, part.of)
    }
}

/// What a row has to tell; the rest of its cells are empty.
#[derive(Default)]
struct Row<'a> {
    record: &'a str,
    sequence: &'a str,
    time: &'a str,
    action: &'a str,
    actor: &'a str,
    method: &'a str,
    source: &'a str,
    outcome: &'a str,
    token: &'a str,
    details: &'a str,
    previous: &'a str,
    hash: &'a str,
    recipient: &'a str,
}

impl<'a> Row<'a> {
    fn text(&self) -> String {
        row(self.cells())
    }

    /// Its cells, in the order of [`COLUMNS`].
    const fn cells(&self) -> [&'a str; COLUMNS.len()] {
        [
            self.record,
            self.sequence,
            self.time,
            self.action,
            self.actor,
            self.method,
            self.source,
            self.outcome,
            self.token,
            self.details,
            self.previous,
            self.hash,
            self.recipient,
        ]
    }
}

fn text(report: &Report) -> String {
    let mut text = row(COLUMNS);
    text += &of_agreement(&report.agreement);
    text.extend(report.recipients.iter().map(of_recipient));
    let part = Row {
        record: "part",
        details: &json!(report.part).to_string(),
        hash: &report.part.hash,
        ..Row::default()
    };
    text += &part.text();
    text.extend(report.entries.iter().map(|entry| of_entry(report, entry)));
    let signature = Row {
        record: "signature",
        sequence: &report.count.to_string(),
        time: &report.issued_at,
        details: &report.signature,
        hash: &report.head,
        ..Row::default()
    };
    text + &signature.text()
}

fn of_agreement(agreement: &Agreement) -> String {
    Row {
        record: "agreement",
        time: &agreement.sent_at,
        actor: &agreement.id.to_string(),
        outcome: agreement.status.name(),
        details: &json!(agreement).to_string(),
        ..Row::default()
    }
    .text()
}

fn of_recipient(recipient: &Recipient) -> String {
    let id = recipient.id.to_string();
    Row {
        record: "recipient",
        actor: &id,
        method: recipient.authentication.name(),
        outcome: recipient.status.name(),
        details: &json!(recipient).to_string(),
        recipient: &id,
        ..Row::default()
    }
    .text()
}

fn of_entry(report: &Report, entry: &Entry) -> String {
    let is_success = entry.outcome == Conclusion::Success;
    Row {
        record: "entry",
        sequence: &entry.sequence.to_string(),
        time: &entry.at,
        action: json!(entry.action).as_str().unwrap_or_default(),
        actor: &entry.actor,
        method: told::detail(entry, "method"),
        source: entry.source.as_deref().unwrap_or_default(),
        outcome: if is_success { "success" } else { "failure" },
        token: told::detail(entry, "token"),
        details: &Value::Object(entry.details.clone()).to_string(),
        previous: &entry.previous,
        hash: &entry.hash,
        recipient: recipient(report, entry),
    }
    .text()
}

/// The recipient that an entry tells of: whoever it names, or whoever acted.
fn recipient<'a>(report: &Report, entry: &'a Entry) -> &'a str {
    match told::detail(entry, "recipient") {
        "" if report.name_of(&entry.actor).is_some() => &entry.actor,
        named => named,
    }
}

fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut row = cells.into_iter().map(cell).collect::<Vec<_>>().join(",");
    row.push_str("\r\n");
    row
}

/// A cell. What a spreadsheet would take for a formula gets an apostrophe before it; what would end
/// the cell is quoted.
fn cell(text: &str) -> String {
    let harmless = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if harmless.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", harmless.replace('"', "\"\""))
    } else {
        harmless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_ends_where_it_ends() {
        assert_eq!(row(["a", "", "1"]), "a,,1\r\n");
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("=\"a\",b"), "\"'=\"\"a\"\",b\"");
        assert_eq!(cell("\r"), "\"'\r\"");
        assert_eq!(cell("two\nlines"), "\"two\nlines\"");
    }
}
