//! What a report's file may hold: these members and no others, each of its kind, wherever it
//! stands.
//!
//! A member that nobody signed could say anything to whoever reads on: `"verdict": "genuine"`. What
//! the details of an entry hold differs by action; it is under the entry's hash.

use serde_json::{Map, Value};

use super::finding::Finding;
use crate::kernel::json;

/// The largest whole number that every reader of JSON reads exactly (RFC 7493, section 2.2), and
/// that the canonical form keeps apart from the next: 2^53 - 1.
const EXACT_MAX: u64 = (1 << 53) - 1;
/// How many findings are told: a file that is no report at all has no end of them.
const TOLD_MAX: usize = 100;

/// The kind of a value.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    Number,
    List(&'static Self),
    Members(&'static [Member]),
    /// Whatever an action tells.
    Details,
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
struct Member {
    name: &'static str,
    is_required: bool,
    shape: Shape,
}

const fn has(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        is_required: true,
        shape,
    }
}

const fn may_have(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        is_required: false,
        shape,
    }
}

const REPORT: &[Member] = &[
    has("agreement", Shape::Members(AGREEMENT)),
    has("recipients", Shape::List(&Shape::Members(RECIPIENT))),
    has("part", Shape::Members(PART)),
    has("entries", Shape::List(&Shape::Members(ENTRY))),
    has("count", Shape::Number),
    has("head", Shape::Text),
    has("issued_at", Shape::Text),
    has("signature", Shape::Text),
];
const AGREEMENT: &[Member] = &[
    has("id", Shape::Text),
    has("account", Shape::Text),
    has("organisation", Shape::Text),
    has("title", Shape::Text),
    may_have("group", Shape::Text),
    has(
        "sender",
        Shape::Members(&[has("email", Shape::Text), may_have("name", Shape::Text)]),
    ),
    has("status", Shape::Text),
    has("sent_at", Shape::Text),
    has("expires_at", Shape::Text),
    may_have("completed_at", Shape::Text),
    may_have("cancelled_at", Shape::Text),
    may_have("reason", Shape::Text),
    may_have("failed_recipient", Shape::Text),
];
const RECIPIENT: &[Member] = &[
    has("id", Shape::Text),
    has("email", Shape::Text),
    may_have("name", Shape::Text),
    has("authentication", Shape::Text),
    has("status", Shape::Text),
];
const PART: &[Member] = &[
    has("number", Shape::Number),
    has("of", Shape::Number),
    has("first", Shape::Number),
    has("last", Shape::Number),
    has("hash", Shape::Text),
];
const ENTRY: &[Member] = &[
    has("account", Shape::Text),
    has("subject", Shape::Text),
    has("sequence", Shape::Number),
    has("at", Shape::Text),
    has("action", Shape::Text),
    has("outcome", Shape::Text),
    has("actor", Shape::Text),
    may_have("source", Shape::Text),
    has("details", Shape::Details),
    has("previous", Shape::Text),
    has("hash", Shape::Text),
];

/// What of `report` is not as a report is.
pub(super) fn oddities(report: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    Shape::Members(REPORT).hold(report, "", &mut found);
    found
}

const fn is_enough(found: &[Finding]) -> bool {
    found.len() >= TOLD_MAX
}

/// Holds each item of a list, until enough was found.
fn each_item(
    items: &[Value],
    place: &str,
    found: &mut Vec<Finding>,
    hold: impl Fn(&Value, &str, &mut Vec<Finding>),
) {
    for (number, item) in items.iter().enumerate() {
        if is_enough(found) {
            return;
        }
        hold(item, &format!("{place}/{number}"), found);
    }
}

impl Shape {
    fn hold(self, value: &Value, place: &str, found: &mut Vec<Finding>) {
        let fits = match (self, value) {
            (Self::Text, Value::String(_)) => true,
            (Self::Number, Value::Number(number)) => {
                number.as_u64().is_some_and(|number| number <= EXACT_MAX)
            }
            (Self::List(each), Value::Array(items)) => {
                each_item(items, place, found, |item, there, found| {
                    each.hold(item, there, found);
                });
                true
            }
            (Self::Members(known), Value::Object(members)) => {
                hold_members(known, members, place, found);
                true
            }
            (Self::Details, Value::Object(_)) => {
                hold_numbers(value, place, found);
                true
            }
            _ => false,
        };
        if !fits && !is_enough(found) {
            found.push(Finding::Retyped(json::shown(place), self.name()));
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a whole number",
            Self::List(_) => "a list",
            Self::Members(_) | Self::Details => "an object",
        }
    }
}

fn hold_members(
    known: &[Member],
    members: &Map<String, Value>,
    place: &str,
    found: &mut Vec<Finding>,
) {
    for (name, value) in members {
        if is_enough(found) {
            return;
        }
        let there = json::member(place, name);
        match known.iter().find(|member| member.name == name) {
            Some(member) => member.shape.hold(value, &there, found),
            None => found.push(Finding::Unknown(json::shown(&there))),
        }
    }
    let missing = known
        .iter()
        .filter(|member| member.is_required && !members.contains_key(member.name));
    let room = TOLD_MAX.saturating_sub(found.len());
    found.extend(
        missing
            .take(room)
            .map(|member| Finding::Missing(json::shown(&json::member(place, member.name)))),
    );
}

/// Of two numbers that differ beyond what a double holds the canonical form is the same, and so is
/// the hash.
fn hold_numbers(value: &Value, place: &str, found: &mut Vec<Finding>) {
    match value {
        Value::Number(_) => Shape::Number.hold(value, place, found),
        Value::Array(items) => {
            each_item(items, place, found, hold_numbers);
        }
        Value::Object(members) => {
            for (name, value) in members {
                if is_enough(found) {
                    return;
                }
                hold_numbers(value, &json::member(place, name), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use utoipa::PartialSchema;

    /// The names of the properties of a type, those that are required first.
    fn properties<T: PartialSchema>() -> Vec<(String, bool)> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let required: Vec<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let names = schema["properties"].as_object().unwrap().keys();
        let mut names: Vec<_> = names
            .map(|name| (name.clone(), required.contains(&name.as_str())))
            .collect();
        names.sort();
        names
    }

    fn members(known: &[Member]) -> Vec<(String, bool)> {
        let mut names: Vec<_> = known
            .iter()
            .map(|member| (member.name.to_owned(), member.is_required))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_known_is_what_the_service_writes() {
        assert_eq!(
            members(REPORT),
            properties::<crate::agreement::report::Report>()
        );
        assert_eq!(
            members(AGREEMENT),
            properties::<crate::agreement::report::Agreement>()
        );
        assert_eq!(
            members(RECIPIENT),
            properties::<crate::agreement::report::Recipient>()
        );
        assert_eq!(
            members(PART),
            properties::<crate::agreement::report::Part>()
        );
        let mut entry = properties::<crate::store::audit::Entry>();
        // It is read without a hash from where it is stored, and is always written with one.
        entry
            .iter_mut()
            .filter(|(name, _)| name == "hash")
            .for_each(|(_, is_required)| *is_required = true);
        assert_eq!(members(ENTRY), entry);
    }

    #[test]
    fn a_file_that_is_no_report_at_all_is_looked_at_until_enough_was_found() {
        let many: Vec<usize> = (0..10_000).collect();
        let named: Map<String, Value> = (0..10_000)
            .map(|number| (format!("m{number}"), json!(1.5)))
            .collect();
        for (shape, value) in [
            (Shape::List(&Shape::Text), json!(many)),
            (
                Shape::List(&Shape::Members(ENTRY)),
                json!(vec![json!({}); 1_000]),
            ),
            (Shape::Members(REPORT), json!(named)),
            (Shape::Details, json!({"list": vec![1.5; 1_000]})),
            (Shape::Details, json!(named)),
        ] {
            let mut found = Vec::new();
            shape.hold(&value, "", &mut found);
            assert_eq!(found.len(), TOLD_MAX);
        }
    }

    #[test]
    fn a_number_is_whole_and_the_same_to_every_reader() {
        let odd = |number: &str| {
            let mut found = Vec::new();
            hold_numbers(
                &json!({"details": [serde_json::from_str::<Value>(number).unwrap()]}),
                "",
                &mut found,
            );
            found
        };
        for number in ["0", "7", "9007199254740991"] {
            assert_eq!(odd(number), [], "{number}");
        }
        for number in [
            "9007199254740992",
            "18446744073709551615",
            "18446744073709551616",
            "1.0",
            "1.5",
            "1e1",
            "-1",
            "-0",
        ] {
            assert_eq!(
                odd(number),
                [Finding::Retyped("/details/0".into(), "a whole number")],
                "{number}"
            );
        }
    }
}
