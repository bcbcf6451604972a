//! Nobody completes unverified. The audit report of an agreement tells its steps in their order;
//! here each is held against those before it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::index::{Index, text};

/// A recipient, as the steps so far have it.
#[derive(Default)]
struct Recipient<'a> {
    method: &'a str,
    verified: bool,
    completed: bool,
    /// The session whose pass is waited for.
    session: Option<&'a str>,
}

/// An agreement, as the steps so far have it.
#[derive(Default)]
struct Agreement<'a> {
    id: &'a str,
    recipients: BTreeMap<&'a str, Recipient<'a>>,
    /// The sessions that were answered.
    answered: BTreeSet<&'a str>,
    closed: bool,
    broken: Vec<String>,
}

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, report) in &index.reports {
        let mut agreement = Agreement {
            id,
            ..Agreement::default()
        };
        for entry in report
            .value("/entries")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            agreement.step(entry);
        }
        broken.append(&mut agreement.broken);
    }
    broken
}

impl<'a> Agreement<'a> {
    fn step(&mut self, entry: &'a Value) {
        let named = text(entry, "/details/recipient");
        let who = if named.is_empty() {
            text(entry, "/actor")
        } else {
            named
        };
        match text(entry, "/action") {
            "agreement-sent" => self.sent(entry),
            "recipient-changed" => self.changed(who, entry),
            "kba-session-opened" => {
                self.recipient(who).session = Some(text(entry, "/details/session"));
            }
            "recipient-verified" => self.verified(who, entry),
            "kba-session-answered" => self.answered(who, entry),
            "recipient-completed" => self.completed(who, entry),
            "agreement-completed" => self.all_completed(entry),
            "agreement-cancelled" | "agreement-expired" => self.close(entry),
            _ => {}
        }
    }

    fn recipient(&mut self, id: &'a str) -> &mut Recipient<'a> {
        self.recipients.entry(id).or_default()
    }

    fn blame(&mut self, entry: &Value, what: &str) {
        let sequence = entry
            .pointer("/sequence")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        self.broken
            .push(format!("{}, entry {sequence}: {what}", self.id));
    }

    fn sent(&mut self, entry: &'a Value) {
        for listed in entry
            .pointer("/details/recipients")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.recipient(text(listed, "/id")).method = text(listed, "/authentication");
        }
    }

    /// What was proved before counts no more, and no session is waited for.
    fn changed(&mut self, who: &'a str, entry: &'a Value) {
        if self.closed || self.recipient(who).completed {
            self.blame(entry, "a method was changed when it was too late");
        }
        let recipient = self.recipient(who);
        *recipient = Recipient {
            method: text(entry, "/details/to"),
            completed: recipient.completed,
            ..Recipient::default()
        };
    }

    fn verified(&mut self, who: &'a str, entry: &'a Value) {
        let (method, session) = (
            text(entry, "/details/method"),
            text(entry, "/details/session"),
        );
        if method == "kba" {
            if !self.answered.insert(session) {
                self.blame(entry, "a session was answered a second time, and counted");
            }
            if self.recipient(who).session != Some(session) {
                self.blame(
                    entry,
                    "a session was passed that nobody waited for any more",
                );
            }
        }
        if self.recipient(who).method != method {
            self.blame(
                entry,
                &format!(
                    "a recipient was verified by {method}, and was asked for {}",
                    self.recipients.get(who).map_or("", |it| it.method)
                ),
            );
        }
        let recipient = self.recipient(who);
        if recipient.completed {
            return;
        }
        recipient.verified = true;
        if self.closed {
            self.blame(entry, "a recipient was verified after the end");
        }
    }

    /// A failure that uses up an attempt takes back what was proved before.
    fn answered(&mut self, who: &'a str, entry: &'a Value) {
        if text(entry, "/details/effect") == "none" {
            return;
        }
        if !self.answered.insert(text(entry, "/details/session")) {
            self.blame(entry, "a session was answered a second time, and counted");
        }
        if matches!(text(entry, "/details/outcome"), "failed" | "timed_out") {
            self.recipient(who).verified = false;
        }
    }

    fn completed(&mut self, who: &'a str, entry: &'a Value) {
        if !self.recipient(who).verified {
            let method = self.recipient(who).method;
            self.blame(
                entry,
                &format!("a recipient completed who was not verified by {method}"),
            );
        }
        if self.closed || self.recipient(who).completed {
            self.blame(
                entry,
                "a recipient completed a second time, or after the end",
            );
        }
        self.recipient(who).completed = true;
    }

    fn all_completed(&mut self, entry: &'a Value) {
        if !self
            .recipients
            .values()
            .all(|recipient| recipient.completed)
        {
            self.blame(
                entry,
                "an agreement was completed that somebody has not signed",
            );
        }
        self.close(entry);
    }

    fn close(&mut self, entry: &'a Value) {
        if std::mem::replace(&mut self.closed, true) {
            self.blame(entry, "an agreement ended a second time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::Story;
    use serde_json::{Value, json};

    fn step(action: &str, details: Value) -> Value {
        let mut details = details;
        details["recipient"] = json!("rcp_1");
        json!({"action": action, "details": details})
    }

    fn opened(session: &str) -> Value {
        step("kba-session-opened", json!({"session": session}))
    }

    fn passed(session: &str) -> Value {
        step(
            "recipient-verified",
            json!({"method": "kba", "session": session, "outcome": "passed"}),
        )
    }

    fn failed(session: &str) -> Value {
        step(
            "kba-session-answered",
            json!({"session": session, "outcome": "failed"}),
        )
    }

    fn changed(to: &str) -> Value {
        step("recipient-changed", json!({"to": to}))
    }

    fn completed() -> Vec<Value> {
        vec![
            step("recipient-completed", json!({})),
            step("agreement-completed", json!({})),
        ]
    }

    fn broken(method: &str, steps: &[Vec<Value>]) -> Vec<String> {
        let mut story = Story::new();
        story.report(method, steps.concat());
        story.breaks(Promise::Signing)
    }

    #[test]
    fn who_was_verified_completes() {
        let superseded = step(
            "kba-session-answered",
            json!({"session": "kba_1", "outcome": "passed", "effect": "none"}),
        );
        let steps = vec![
            opened("kba_1"),
            opened("kba_2"),
            superseded,
            passed("kba_2"),
        ];
        assert_eq!(broken("kba", &[steps, completed()]), Vec::<String>::new());
        let by_mail = step("recipient-verified", json!({"method": "email"}));
        assert_eq!(
            broken("kba", &[vec![changed("email"), by_mail], completed()]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn who_failed_since_or_is_asked_something_else_does_not() {
        let verified = || vec![opened("kba_1"), passed("kba_1")];
        assert_eq!(
            broken(
                "kba",
                &[
                    verified(),
                    vec![opened("kba_2"), failed("kba_2")],
                    completed()
                ]
            )
            .len(),
            1
        );
        assert_eq!(
            broken("kba", &[verified(), vec![changed("sms")], completed()]).len(),
            1
        );
        assert_eq!(broken("kba", &[completed()]).len(), 1);
        let late = vec![step("agreement-cancelled", json!({}))];
        assert_eq!(
            broken("kba", &[verified(), late, completed()]).len(),
            2,
            "and it ends twice"
        );
    }

    #[test]
    fn a_session_counts_once_and_only_while_it_is_waited_for() {
        assert_eq!(
            broken(
                "kba",
                &[vec![opened("kba_1"), passed("kba_1"), passed("kba_1")]]
            )
            .len(),
            1
        );
        assert_eq!(
            broken(
                "kba",
                &[vec![opened("kba_1"), failed("kba_1"), passed("kba_1")]]
            )
            .len(),
            1
        );
        assert_eq!(
            broken(
                "kba",
                &[vec![opened("kba_1"), opened("kba_2"), passed("kba_1")]]
            )
            .len(),
            1
        );
        let kept = vec![
            opened("kba_1"),
            changed("email"),
            changed("kba"),
            passed("kba_1"),
        ];
        assert_eq!(broken("kba", &[kept]).len(), 1);
    }
}
