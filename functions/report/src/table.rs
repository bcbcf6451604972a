//! The report as comma-separated values (RFC 4180): one table, whose first column says what a row
//! tells of.

use serde_json::{Value, json};
use shared::agreement::report::Report;
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

fn text(report: &Report) -> String {
    let mut text = row(COLUMNS);
    let agreement = &report.agreement;
    let status = agreement.status.name();
    let head = json!(agreement).to_string();
    let id = agreement.id.to_string();
    text += &row([
        "agreement",
        "",
        &agreement.sent_at,
        "",
        &id,
        "",
        "",
        status,
        "",
        &head,
        "",
        "",
        "",
    ]);
    for recipient in &report.recipients {
        let (id, method, status) = (
            recipient.id.to_string(),
            recipient.authentication.name(),
            recipient.status.name(),
        );
        text += &row([
            "recipient",
            "",
            "",
            "",
            &id,
            method,
            "",
            status,
            "",
            &json!(recipient).to_string(),
            "",
            "",
            &id,
        ]);
    }
    let part = &report.part;
    text += &row([
        "part",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        &json!(part).to_string(),
        "",
        &part.hash,
        "",
    ]);
    for entry in &report.entries {
        text += &of_entry(report, entry);
    }
    let count = report.count.to_string();
    text += &row([
        "signature",
        &count,
        &report.issued_at,
        "",
        "",
        "",
        "",
        "",
        "",
        &report.signature,
        "",
        &report.head,
        "",
    ]);
    text
}

fn of_entry(report: &Report, entry: &Entry) -> String {
    let action = json!(entry.action);
    let outcome = if entry.outcome == Conclusion::Success {
        "success"
    } else {
        "failure"
    };
    row([
        "entry",
        &entry.sequence.to_string(),
        &entry.at,
        action.as_str().unwrap_or_default(),
        &entry.actor,
        told::detail(entry, "method"),
        entry.source.as_deref().unwrap_or_default(),
        outcome,
        told::detail(entry, "token"),
        &Value::Object(entry.details.clone()).to_string(),
        &entry.previous,
        &entry.hash,
        recipient(report, entry),
    ])
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
