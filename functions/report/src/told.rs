//! What an entry tells, in a sentence that needs no knowledge of this service.

use serde_json::Value;
use shared::agreement::RecipientStatus;
use shared::agreement::report::{Part, Report};
use shared::store::audit::{Action, Conclusion, Entry};

/// A detail that is text; nothing where it is not there.
pub fn detail<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry
        .details
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A moment as people read it.
pub fn time(moment: &str) -> String {
    let (date, rest) = moment.split_once('T').unwrap_or((moment, ""));
    let clock = rest
        .trim_end_matches('Z')
        .split('.')
        .next()
        .unwrap_or_default();
    format!("{date} {clock} UTC")
}

/// Which part of its report a page is, where it is not the whole.
pub fn part(part: &Part, count: u64) -> Option<String> {
    let Part {
        number,
        of,
        first,
        last,
        ..
    } = part;
    (*of > 1).then(|| format!("Part {number} of {of}: entries {first} to {last} of {count}"))
}

/// A way of proving who one is, in words.
pub fn method(name: &str) -> &'static str {
    match name {
        "none" | "email" => "the link that was mailed to them",
        "sms" => "a code sent to their phone",
        "kba" => "questions asked by an identity provider",
        _ => "",
    }
}

/// Where a recipient stands, in words.
pub const fn standing(status: RecipientStatus) -> &'static str {
    match status {
        RecipientStatus::Pending => "not verified yet",
        RecipientStatus::Verified => "verified, not completed",
        RecipientStatus::Completed => "completed",
        RecipientStatus::Failed => "could not be verified",
    }
}

/// What the sentence says already, or the head of the report; and what is printed by itself.
const SAID: [&str; 10] = [
    "attempts",
    "from",
    "method",
    "outcome",
    "purpose",
    "recipient",
    "to",
    "token",
    "verified_before",
    "viewings_since",
];

/// What an entry has beside what is said of it: what somebody would ask for who compares it with
/// another record.
pub fn details(entry: &Entry, sentence: &str) -> String {
    let beside = entry
        .details
        .iter()
        .filter(|(name, value)| !SAID.contains(&name.as_str()) && !value.is_array());
    let words = beside.filter_map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if value.is_string() && sentence.contains(text.trim_end_matches('.')) {
            return None;
        }
        Some(match name.as_str() {
            "expires_at" => format!("Open until {}.", time(&text)),
            "session" => format!("Session {text}."),
            "viewing" if text == "true" => "To view the signed agreement.".into(),
            "viewing" => return None,
            "acr" => format!("Level of assurance: {text}."),
            name => format!("{}: {text}.", capital(&name.replace('_', " "))),
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

/// Who did it.
pub fn actor(report: &Report, entry: &Entry) -> String {
    match entry.actor.as_str() {
        "provider" => "the identity provider".into(),
        "system" => "this service".into(),
        actor if actor.starts_with("key_") => "the sender's system".into(),
        actor if actor.starts_with("operator/") => "the operator of this service".into(),
        actor => report.name_of(actor).unwrap_or(actor).to_owned(),
    }
}

/// What happened.
pub fn sentence(report: &Report, entry: &Entry) -> String {
    let told = Told::of(report, entry);
    told.of_the_agreement()
        .or_else(|| told.of_its_end())
        .or_else(|| told.of_a_code())
        .or_else(|| told.of_a_verification())
        .unwrap_or_else(|| by_name(entry.action))
}

/// An entry that is told, and whom it names.
struct Told<'a> {
    report: &'a Report,
    entry: &'a Entry,
    /// Who did it.
    actor: String,
    /// The recipient that it is about.
    whom: &'a str,
}

impl<'a> Told<'a> {
    fn of(report: &'a Report, entry: &'a Entry) -> Self {
        let about = detail(entry, "recipient");
        let otherwise = if about.is_empty() {
            "the recipient"
        } else {
            about
        };
        Self {
            report,
            entry,
            actor: actor(report, entry),
            whom: report.name_of(about).unwrap_or(otherwise),
        }
    }

    /// The agreement, its links and what is to be proved.
    fn of_the_agreement(&self) -> Option<String> {
        let Self {
            report,
            entry,
            actor,
            whom,
        } = self;
        Some(match entry.action {
            Action::AgreementSent => {
                let (title, whom) = (&report.agreement.title, recipients(entry));
                format!("{title} was sent to {whom}.")
            }
            Action::LinkOpened if detail(entry, "purpose") == "view" => viewed(entry, actor),
            Action::LinkOpened => format!("{actor} opened the link that was mailed, to sign."),
            Action::LinkResent => format!("The link was mailed to {whom} again."),
            Action::RecipientChanged => {
                let (from, to) = (detail(entry, "from"), detail(entry, "to"));
                let (from, to) = (method(from), method(to));
                format!("What {whom} has to prove was changed: from {from} to {to}.")
            }
            Action::ReportLinkCreated => {
                "A link was made that opens this report in a browser for five minutes.".into()
            }
            _ => return None,
        })
    }

    /// What completed or ended the agreement, or locked it.
    fn of_its_end(&self) -> Option<String> {
        let whom = self.whom;
        Some(match self.entry.action {
            Action::RecipientCompleted => format!("{whom} completed the agreement."),
            Action::AgreementCompleted => {
                "All recipients have completed: the agreement is complete.".into()
            }
            Action::AgreementCancelled if detail(self.entry, "recipient").is_empty() => {
                self.because("The sender cancelled the agreement")
            }
            Action::AgreementCancelled => {
                self.because(&format!("The agreement was cancelled on account of {whom}"))
            }
            Action::AgreementExpired => "The time of the agreement was over: it expired.".into(),
            Action::ViewingLocked => self.because(&format!("Viewing was locked for {whom}")),
            Action::ViewingReopened => format!("The sender let {whom} view the agreement again."),
            _ => return None,
        })
    }

    /// The codes that were sent and typed.
    fn of_a_code(&self) -> Option<String> {
        let (actor, whom) = (&self.actor, self.whom);
        Some(match self.entry.action {
            Action::CodeSent => format!("A code was sent to the phone of {actor}."),
            Action::CodeNotSent => format!("A code for {actor} could not be sent."),
            Action::CodeVerified => {
                self.because(&format!("{actor} entered a code that was not accepted"))
            }
            Action::FactorDelayed => format!("{whom} has to wait after wrong codes."),
            Action::FactorDisabled => format!(
                "{whom} entered too many wrong codes: none is taken any more until the sender allows it."
            ),
            Action::FactorUnlocked => format!("The sender let {whom} enter codes again."),
            _ => return None,
        })
    }

    /// How the recipient was verified, and the provider's questions.
    fn of_a_verification(&self) -> Option<String> {
        let Self {
            entry, actor, whom, ..
        } = self;
        let how = method(detail(entry, "method"));
        Some(match entry.action {
            Action::RecipientVerified if entry.actor == "provider" => {
                format!("{whom} was verified by {how}.")
            }
            Action::RecipientVerified => format!("{actor} was verified by {how}."),
            Action::KbaSessionOpened => {
                format!("{actor} was shown the identity provider's questions.")
            }
            Action::KbaSessionAnswered => answered(entry, whom),
            Action::KbaSessionExpired => format!(
                "The time for the identity provider's questions was over, and it had not said how {whom} did."
            ),
            _ => return None,
        })
    }

    /// What happened, and why, if the entry says so.
    fn because(&self, text: &str) -> String {
        match detail(self.entry, "reason") {
            "" => format!("{text}."),
            reason => format!("{text}. The reason: {}.", reason.trim_end_matches('.')),
        }
    }
}

/// An action that has no sentence of its own.
fn by_name(action: Action) -> String {
    let name = serde_json::json!(action);
    format!("{}.", name.as_str().unwrap_or_default().replace('-', " "))
}

/// A viewing, and those before it that have no entry of their own.
fn viewed(entry: &Entry, actor: &str) -> String {
    let viewed = format!("{actor} opened the link that was mailed, to view the signed agreement.");
    match entry.details.get("viewings_since").and_then(Value::as_u64) {
        None => viewed,
        Some(1) => {
            format!("{viewed} It was opened once more between this and the viewing told before.")
        }
        Some(times) => format!(
            "{viewed} It was opened {times} times more between this and the viewing told before."
        ),
    }
}

/// What the provider said, where it was no pass that is waited for.
fn answered(entry: &Entry, whom: &str) -> String {
    let said = match detail(entry, "outcome") {
        "passed" => format!("The identity provider said that {whom} passed"),
        "failed" => format!("{whom} did not pass the identity provider's questions"),
        "timed_out" => format!("{whom} did not answer the identity provider's questions in time"),
        "not_locatable" => format!("The identity provider could not find {whom} in its records"),
        _ => format!("The identity provider could not ask {whom} its questions"),
    };
    match entry.details.get("attempts").and_then(Value::as_u64) {
        Some(attempts) if entry.details.contains_key("verified_before") => {
            format!(
                "{said}. This was failed attempt {attempts}, and {whom} has to be verified again."
            )
        }
        Some(attempts) => format!("{said}. This was failed attempt {attempts}."),
        None if entry.outcome == Conclusion::Success => format!("{said}; it had no effect."),
        None => format!("{said}; no attempt was counted."),
    }
}

fn recipients(entry: &Entry) -> String {
    match entry
        .details
        .get("recipients")
        .and_then(Value::as_array)
        .map(Vec::len)
    {
        Some(1) => "one recipient".into(),
        Some(count) => format!("{count} recipients"),
        None => "its recipients".into(),
    }
}
