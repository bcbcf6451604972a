//! Every chain is whole, verifies, and tells what was answered: no more of it, and no less.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::agreement::report::verify;

use super::index::{Index, number, text};
use crate::history::Call;

/// What sets a factor up.
pub(super) const CONFIRMATIONS: [&str; 3] = [
    "POST /v1/factors/totp/confirm",
    "POST /v1/factors/sms/confirm",
    "POST /v1/factors/email/confirm",
];

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken: Vec<String> = index
        .audits
        .iter()
        .filter_map(|(subject, entries)| gap(subject, entries))
        .collect();
    broken.extend(reports(index));
    broken.extend(completions(index));
    broken.extend(callbacks(index));
    broken.extend(sign_ins(index));
    broken
}

/// The first entry that does not follow from the one before.
fn gap(subject: &str, entries: &[&Value]) -> Option<String> {
    let mut before = (0, "");
    for entry in entries {
        let (sequence, previous) = (number(entry, "/sequence"), text(entry, "/previous"));
        if sequence != before.0 + 1 || previous != before.1 {
            return Some(format!(
                "{subject}: entry {sequence} does not follow from entry {}",
                before.0
            ));
        }
        before = (sequence, text(entry, "/hash"));
    }
    None
}

/// What `verify-report` says of each report.
fn reports(index: &Index<'_>) -> Vec<String> {
    let keys = index
        .history
        .of("GET /.well-known/jwks.json")
        .filter(|call| call.status() == 200)
        .last();
    let Some(keys) = keys
        .and_then(|call| call.answer.as_ref())
        .map(|answer| answer.body.to_string())
    else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    for (id, report) in &index.reports {
        let Some(answer) = &report.answer else {
            continue;
        };
        if let Err(findings) = verify::verify(answer.body.to_string().as_bytes(), keys.as_bytes()) {
            broken.push(format!(
                "{id}: {}",
                findings
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            ));
        }
    }
    broken
}

/// The entries of an agreement's report.
fn entries<'a>(index: &Index<'a>, agreement: &str) -> Option<Vec<&'a Value>> {
    let report = index.reports.get(agreement)?;
    Some(
        report
            .value("/entries")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .collect(),
    )
}

/// The agreement in a path.
fn agreement(call: &Call) -> Option<&str> {
    call.path.strip_prefix("/v1/agreements/")?.split('/').next()
}

/// Who was answered to have completed is told so.
fn completions(index: &Index<'_>) -> Vec<String> {
    let route = "POST /v1/agreements/{id}/recipients/{recipient}/complete";
    let mut broken = Vec::new();
    for call in index.history.of(route).filter(|call| call.status() == 200) {
        let Some((entries, recipient)) = agreement(call)
            .and_then(|id| entries(index, id))
            .zip(call.about.as_deref())
        else {
            continue;
        };
        let tells = |entry: &&Value| {
            text(entry, "/action") == "recipient-completed"
                && text(entry, "/details/recipient") == recipient
        };
        if !entries.iter().any(tells) {
            broken.push(format!(
                "#{}: a recipient was said to have completed, and the report does not tell it",
                call.number
            ));
        }
    }
    broken
}

/// Each message of the provider that was taken is told, once.
fn callbacks(index: &Index<'_>) -> Vec<String> {
    let mut taken = BTreeMap::<&str, BTreeMap<&str, bool>>::new();
    for call in index
        .history
        .of("POST /v1/kba/callback")
        .filter(|call| call.may_have_succeeded())
    {
        let Some((session, id)) = call.sent("/data/session").zip(call.key.as_deref()) else {
            continue;
        };
        *taken.entry(session).or_default().entry(id).or_default() |= call.status() == 204;
    }
    let mut told = BTreeMap::<&str, usize>::new();
    for report in index.reports.values() {
        for entry in report
            .value("/entries")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if text(entry, "/actor") == "provider" {
                *told.entry(text(entry, "/details/session")).or_default() += 1;
            }
        }
    }
    let wrong = taken.into_iter().filter_map(|(session, messages)| {
        let (certain, most) = (
            messages.values().filter(|taken| **taken).count(),
            messages.len(),
        );
        let told = told.get(session).copied().unwrap_or_default();
        (!(certain..=most).contains(&told)).then(|| {
            format!("{session}: {certain} to {most} messages were taken, and {told} are told")
        })
    });
    wrong.collect()
}

/// Each second factor that was proved is told, and each that was set up; and none that nobody may
/// have been answered.
fn sign_ins(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (subject, entries) in index
        .audits
        .iter()
        .filter(|(subject, _)| subject.starts_with("usr_"))
    {
        for (action, routes) in [
            ("code-verified", &["POST /v1/codes/verify"][..]),
            ("factor-enrolled", &CONFIRMATIONS),
        ] {
            let is_told = |entry: &&&Value| {
                text(entry, "/action") == action && text(entry, "/outcome") == "success"
            };
            let told = entries.iter().filter(is_told).count();
            let asked = || {
                index
                    .about(subject)
                    .iter()
                    .filter(|call| routes.contains(&call.route))
            };
            let certain = asked().filter(|call| call.status() == 200).count();
            let most = certain
                + asked()
                    .filter(|call| !(200..500).contains(&call.status()))
                    .count();
            if !(certain..=most).contains(&told) {
                broken.push(format!(
                    "{subject}: {certain} to {most} calls succeeded, and {told} are told ({action})"
                ));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, let_in};
    use serde_json::{Value, json};

    fn entry(sequence: u64, previous: &str, hash: &str) -> Value {
        json!({"sequence": sequence, "previous": previous, "hash": hash, "action": "code-verified", "outcome": "success"})
    }

    fn broken(entries: &[Value], let_in_times: usize) -> usize {
        let mut story = Story::new();
        for _ in 0..let_in_times {
            story.verify(HOME, "chl_1", "123456", 200, let_in());
        }
        story.call(
            "GET /v1/audit",
            "usr_ann",
            HOME,
            Value::Null,
            200,
            json!({"entries": entries}),
        );
        story.breaks(Promise::Chains).len()
    }

    #[test]
    fn entries_follow_from_each_other_and_are_what_was_answered() {
        let whole = || vec![entry(1, "", "a"), entry(2, "a", "b")];
        assert_eq!(broken(&whole(), 2), 0);
        assert_eq!(broken(&whole(), 1), 1, "one more is told than was answered");
        assert_eq!(broken(&whole(), 3), 1, "one fewer");
        assert_eq!(broken(&[entry(1, "", "a"), entry(3, "a", "b")], 2), 1);
        assert_eq!(broken(&[entry(1, "", "a"), entry(2, "x", "b")], 2), 1);
    }

    #[test]
    fn a_factor_that_was_set_up_is_told() {
        let set_up = |status: u16, told: u64| {
            let mut story = Story::new();
            let body = json!({"challenge": "chl_1", "factor": "fac_1", "code": "123456"});
            story.call(
                "POST /v1/factors/totp/confirm",
                "usr_ann",
                HOME,
                body,
                status,
                json!({"authenticated": let_in()}),
            );
            let mut entries = vec![entry(1, "", "1")];
            entries.truncate(usize::try_from(told).unwrap());
            for entry in &mut entries {
                entry["action"] = json!("factor-enrolled");
            }
            story.call(
                "GET /v1/audit",
                "usr_ann",
                HOME,
                Value::Null,
                200,
                json!({"entries": entries}),
            );
            story.breaks(Promise::Chains).len()
        };
        assert_eq!((set_up(200, 1), set_up(503, 1), set_up(503, 0)), (0, 0, 0));
        assert_eq!((set_up(200, 0), set_up(401, 1)), (1, 1));
    }

    #[test]
    fn a_message_of_the_provider_is_told_once() {
        let told = |times: usize| {
            let mut story = Story::new();
            for (id, status) in [("msg_1", 204), ("msg_1", 204), ("msg_2", 503)] {
                let number = story.call(
                    "POST /v1/kba/callback",
                    "kba_1",
                    HOME,
                    json!({"data": {"session": "kba_1"}}),
                    status,
                    Value::Null,
                );
                story.history.calls[number].key = Some(id.into());
            }
            let entry = json!({"actor": "provider", "action": "kba-session-answered", "details": {"session": "kba_1", "effect": "none"}});
            story.report("kba", vec![entry; times]);
            story.breaks(Promise::Chains).len()
        };
        assert_eq!([0, 1, 2, 3].map(told), [1, 0, 0, 1]);
    }
}
