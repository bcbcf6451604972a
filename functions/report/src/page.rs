//! The report as a page: to be read by people, and printed.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::agreement::Status;
use shared::agreement::report::Report;
use shared::store::audit::{Conclusion, Entry};
use shared::web::http::{Outcome, Problem, Reply};

use crate::told;

/// The page's style: it stands in the page, so that a saved page is whole, and its hash in the
/// policy.
const STYLE: &str = include_str!("../templates/report.css");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    style: &'static str,
    status: &'static str,
    sent_at: String,
    ended: Option<(&'static str, String)>,
    failed: Option<String>,
    recipients: Vec<Person<'a>>,
    entries: Vec<Line<'a>>,
    part: Option<String>,
    issued_at: String,
}

struct Person<'a> {
    id: String,
    name: &'a str,
    email: &'a str,
    proves: &'static str,
    status: &'static str,
}

struct Line<'a> {
    entry: &'a Entry,
    time: String,
    what: String,
    actor: String,
    failed: bool,
    token: &'a str,
    details: String,
}

/// The page.
pub fn reply(report: &Report) -> Outcome {
    let html = page(report)
        .render()
        .map_err(|error| Problem::internal("rendering a report", &error.to_string()))?;
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let reply = Reply::text("text/html; charset=utf-8", html);
    Ok(reply
        .header("content-security-policy", policy)
        .header("referrer-policy", "no-referrer".into()))
}

fn page(report: &Report) -> Page<'_> {
    let agreement = &report.agreement;
    let completed = agreement
        .completed_at
        .iter()
        .map(|at| ("Completed", told::time(at)));
    let cancelled = agreement
        .cancelled_at
        .iter()
        .map(|at| ("Cancelled", told::time(at)));
    let expired = (agreement.status == Status::Expired)
        .then(|| ("Expired", told::time(&agreement.expires_at)));
    let failed = agreement.failed_recipient.map(|id| id.to_string());
    Page {
        report,
        style: STYLE,
        status: match agreement.status {
            Status::OutForSignature => "out for signature",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
            Status::Expired => "expired",
        },
        sent_at: told::time(&agreement.sent_at),
        ended: completed.chain(cancelled).chain(expired).next(),
        failed: failed.map(|id| report.name_of(&id).unwrap_or(&id).to_owned()),
        recipients: report.recipients.iter().map(person).collect(),
        entries: report
            .entries
            .iter()
            .map(|entry| line(report, entry))
            .collect(),
        part: told::part(&report.part, report.count),
        issued_at: told::time(&report.issued_at),
    }
}

fn person(recipient: &shared::agreement::report::Recipient) -> Person<'_> {
    Person {
        id: recipient.id.to_string(),
        name: recipient.name.as_deref().unwrap_or_default(),
        email: &recipient.email,
        proves: told::method(recipient.authentication.name()),
        status: told::standing(recipient.status),
    }
}

fn line<'a>(report: &Report, entry: &'a Entry) -> Line<'a> {
    let what = told::sentence(report, entry);
    Line {
        entry,
        time: told::time(&entry.at),
        details: told::details(entry, &what),
        what,
        actor: told::actor(report, entry),
        failed: entry.outcome == Conclusion::Failure,
        token: told::detail(entry, "token"),
    }
}
