//! The writes of a request as text: each as DynamoDB is asked for it, with the placeholders of its
//! expressions put back, and types kept.
//!
//! ```text
//! Update USER#<usr 1> USER
//!   SET challenges.<digest 1>.used_at = N <now>
//!   if attribute_not_exists(challenges.<digest 1>.used_at)
//! ```
//!
//! `<usr 1>` is the first user that the request names, `<digest 1>` the first SHA-256 or HMAC,
//! `<now+10m>` a moment. Writes of one item each that follow each other may go out together, each
//! after those of its own item: the items stand in the order of their text. What each answers
//! with, should its condition fail, is left out.

use std::collections::BTreeMap;

use local::WriteCall;
use serde_json::{Map, Value};
use shared::kernel::clock::Timestamp;

use crate::serial::hidden::{Marked, Marker, Numbers};

/// A line that would be longer has its parts below it.
const WIDTH: usize = 100;
const TRANSACTION: &str = "TransactWriteItems";
/// What a write may have, and what of it is told elsewhere or is the same for all.
const MEMBERS: [&str; 12] = [
    "Key",
    "Item",
    "UpdateExpression",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "TableName",
    "ClientRequestToken",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "ReturnConsumedCapacity",
    "TransactItems",
];

/// The calls of one request, which was made at this moment.
pub fn rendered(calls: &[WriteCall], now: Timestamp) -> String {
    let marker = Marker { now };
    let (mut numbers, mut text) = (Numbers::default(), String::new());
    for group in calls.chunk_by(|one, next| is_alone(one) && is_alone(next)) {
        let mut of_items: BTreeMap<String, Vec<Marked>> = BTreeMap::new();
        for call in group {
            let written = of_items.entry(key(call)).or_default();
            written.push(block(call, marker));
        }
        let blocks = of_items.into_values();
        let mut blocks: Vec<Marked> = blocks.map(|calls| Marked::joined(calls, "\n")).collect();
        blocks.sort_by_cached_key(|block| numbers.shown(block));
        for block in blocks {
            text.push_str(&numbers.numbered(&block));
            text.push('\n');
        }
    }
    text
}

/// Which item a call writes by itself; none of a transaction.
fn key(call: &WriteCall) -> String {
    let key = call.body.get("Key").unwrap_or(&call.body["Item"]);
    format!("{} {}", key["pk"], key["sk"])
}

/// Whether it writes one item, by itself.
fn is_alone(call: &WriteCall) -> bool {
    call.operation != TRANSACTION
}

/// A call, each write with its lines.
fn block(call: &WriteCall, marker: Marker) -> Marked {
    if is_alone(call) {
        return Marked::joined(lines(&call.operation, &call.body, marker), "\n");
    }
    let parts = call.body["TransactItems"].as_array().unwrap();
    let parts = parts.iter().flat_map(|part| part.as_object().unwrap());
    let parts = parts.flat_map(|(kind, write)| lines(kind, write, marker));
    let heading = [Marked::plain(TRANSACTION)];
    let indented = parts.map(|line| line.between("  ", ""));
    Marked::joined(heading.into_iter().chain(indented), "\n")
}

/// The lines of one write.
fn lines(kind: &str, write: &Value, marker: Marker) -> Vec<Marked> {
    for member in write.as_object().unwrap().keys() {
        assert!(MEMBERS.contains(&member.as_str()), "what is {member}?");
    }
    let expressions = Expressions::of(write, marker);
    let text = |member: &str| write[member].as_str().unwrap_or_default();
    let item = write["Item"].as_object();
    let attributes = item.map(|item| attributes(item, marker));
    let changes = clauses(text("UpdateExpression"));
    let changes = changes.iter().map(|part| expressions.put_back(part));
    let conditions = expressions.conditions(text("ConditionExpression"));
    let below = attributes
        .into_iter()
        .flatten()
        .chain(changes)
        .chain(conditions);
    let mut lines = vec![heading(kind, write, marker)];
    lines.extend(below.map(|line| line.between("  ", "")));
    lines
}

/// Which item is written, and how.
fn heading(kind: &str, write: &Value, marker: Marker) -> Marked {
    let key = write.get("Key").unwrap_or(&write["Item"]);
    let name = |name: &str| marker.text("", key[name]["S"].as_str().unwrap());
    // Which part of an account's ledger an entry is in follows from its id.
    let pk = match key["pk"]["S"].as_str().unwrap().rsplit_once('#') {
        Some((ledger, _)) if ledger.starts_with("LEDGER#") => {
            marker.text("", ledger).between("", "#<part>")
        }
        _ => name("pk"),
    };
    Marked::joined([Marked::plain(kind), pk, name("sk")], " ")
}

/// The attributes of an item beside its key, a line each.
fn attributes(item: &Map<String, Value>, marker: Marker) -> Vec<Marked> {
    let others = item
        .iter()
        .filter(|(name, _)| !["pk", "sk"].contains(&name.as_str()));
    let attribute = |(name, is): (&'_ String, &'_ Value)| attribute(name, is, marker);
    others.flat_map(attribute).collect()
}

/// An attribute in a line; a map that is too long for one, with its members below it.
fn attribute(name: &str, is: &Value, marker: Marker) -> Vec<Marked> {
    let name_shown = || marker.text("", name);
    let line = Marked::joined([name_shown(), value(name, is, marker)], ": ");
    match is["M"].as_object().filter(|_| line.shape().len() > WIDTH) {
        None => vec![line],
        Some(map) => {
            let below = map
                .iter()
                .flat_map(|(name, is)| attribute(name, is, marker));
            let below = below.map(|line| line.between("  ", ""));
            [name_shown().between("", ": M")]
                .into_iter()
                .chain(below)
                .collect()
        }
    }
}

/// `name: value`, in the order of their text.
fn members<'a>(
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    marker: Marker,
) -> Vec<Marked> {
    let member = |(name, is): (&'a String, &'a Value)| {
        Marked::joined([marker.text("", name), value(name, is, marker)], ": ")
    };
    let mut members: Vec<Marked> = members.map(member).collect();
    members.sort_by_cached_key(Marked::shape);
    members
}

/// A value at the attribute `name`, with its type.
fn value(name: &str, is: &Value, marker: Marker) -> Marked {
    let (kind, is) = is.as_object().unwrap().iter().next().unwrap();
    let all = || is.as_array().unwrap().iter();
    match (kind.as_str(), is) {
        ("S", Value::String(text)) => {
            let text = marker.text(name, &text.replace('\n', "\\n"));
            text.between("S \"", "\"")
        }
        ("N", Value::String(number)) => marker.number(name, number).between("N ", ""),
        ("L", _) => {
            Marked::joined(all().map(|one| value(name, one, marker)), ", ").between("L [", "]")
        }
        ("M", Value::Object(map)) => {
            Marked::joined(members(map.iter(), marker), ", ").between("M {", "}")
        }
        ("BOOL" | "NULL", is) => Marked::plain(format!("{kind} {is}")),
        _ => panic!("a value is {kind} {is}"),
    }
}

/// What the placeholders of a write stand for.
struct Expressions<'a> {
    names: BTreeMap<&'a str, &'a str>,
    values: BTreeMap<&'a str, &'a Value>,
    marker: Marker,
}

impl<'a> Expressions<'a> {
    fn of(write: &'a Value, marker: Marker) -> Self {
        let of = |member: &str| write[member].as_object().into_iter().flatten();
        let names = of("ExpressionAttributeNames");
        let values = of("ExpressionAttributeValues");
        Self {
            names: names
                .map(|(place, name)| (place.as_str(), name.as_str().unwrap()))
                .collect(),
            values: values
                .map(|(place, value)| (place.as_str(), value))
                .collect(),
            marker,
        }
    }

    /// All that has to hold, a line each; of several of which one has to hold, and which are too
    /// long for a line, each below it.
    fn conditions(&self, text: &str) -> Vec<Marked> {
        let text = unparenthesised(text);
        let all = outside_parentheses(text, " AND ");
        if all.len() != 1 {
            return all.iter().flat_map(|part| self.conditions(part)).collect();
        }
        let line = self.put_back(text).between("if ", "");
        let any = outside_parentheses(text, " OR ");
        if any.len() == 1 || line.shape().len() <= WIDTH {
            return vec![line];
        }
        let any = any.iter().map(|part| self.put_back(part).between("  ", ""));
        [Marked::plain("if one of")]
            .into_iter()
            .chain(any)
            .collect()
    }

    /// A part of an expression, with what its placeholders stand for. A value is of the attribute
    /// that was named last.
    fn put_back(&self, part: &str) -> Marked {
        let (mut rest, mut last, mut shown) = (part, "", Vec::new());
        while !rest.is_empty() {
            let (token, after) = token(rest);
            rest = after;
            if let Some(name) = self.names.get(token) {
                last = name;
                shown.push(self.marker.text("", name));
            } else if let Some(is) = self.values.get(token) {
                shown.push(value(last, is, self.marker));
            } else {
                assert!(!token.starts_with(['#', ':']), "{token} stands for nothing");
                shown.push(Marked::plain(token));
            }
        }
        Marked::joined(shown, "")
    }
}

/// What a text begins with, a placeholder or what is before the next one; and the rest.
fn token(text: &str) -> (&str, &str) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = if text.starts_with(['#', ':']) {
        text[1..].find(|c| !is_word(c)).map(|end| end + 1)
    } else {
        text.find(['#', ':'])
    };
    text.split_at(end.unwrap_or(text.len()))
}

/// The assignments of an update, each with the word of its clause.
fn clauses(text: &str) -> Vec<String> {
    let mut clauses: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match (word, clauses.last_mut()) {
            ("SET" | "ADD" | "REMOVE" | "DELETE", _) => clauses.push((word, Vec::new())),
            (_, Some((_, words))) => words.push(word),
            (_, None) => panic!("{text} begins with no clause"),
        }
    }
    let parts = clauses.into_iter().flat_map(|(clause, words)| {
        let parts = outside_parentheses(&words.join(" "), ", ");
        parts
            .into_iter()
            .map(move |part| format!("{clause} {part}"))
    });
    parts.collect()
}

/// The text without the parentheses that are around it as a whole.
fn unparenthesised(text: &str) -> &str {
    let inner = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let is_whole = |inner: &&str| {
        let mut depth = 0_i32;
        inner.chars().all(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth >= 0
        })
    };
    inner.filter(is_whole).unwrap_or(text)
}

/// The parts of a text between which `between` stands, outside of all parentheses.
fn outside_parentheses(text: &str, between: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in text.split(between).filter(|piece| !piece.is_empty()) {
        let is_open = |part: &&mut String| part.matches('(').count() > part.matches(')').count();
        match parts.last_mut().filter(is_open) {
            Some(part) => part.extend([between, piece]),
            None => parts.push(piece.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MARKER: Marker = Marker {
        now: Timestamp::from_millis(1_800_000_000_000),
    };

    fn shown(kind: &str, write: &Value) -> String {
        Marked::joined(lines(kind, write, MARKER), "\n").shape()
    }

    #[test]
    fn an_update_is_told_with_what_its_placeholders_stand_for() {
        let write = json!({
            "Key": {"pk": {"S": "SOURCE#192.0.2.1"}, "sk": {"S": "SENDS"}},
            "UpdateExpression": "SET #a.#__1 = list_append(:v0, if_not_exists(#a.#__1, :v1)), #due_at = :v2 REMOVE #b[3]",
            "ConditionExpression": "#b = :v3 AND (#c < :v3 OR (NOT attribute_exists(#c) AND #b = :v3))",
            "ExpressionAttributeNames": {"#a": "a", "#b": "b", "#c": "c", "#__1": "a-b", "#due_at": "due_at"},
            "ExpressionAttributeValues": {
                ":v0": {"L": [{"S": "x"}]}, ":v1": {"L": []}, ":v2": {"N": "1800000600000"}, ":v3": {"N": "1"},
            },
        });
        assert_eq!(
            shown("Update", &write),
            "Update SOURCE#192.0.2.1 SENDS\n\
             \x20 SET a.a-b = list_append(L [S \"x\"], if_not_exists(a.a-b, L []))\n\
             \x20 SET due_at = N <now+10m>\n\
             \x20 REMOVE b[3]\n\
             \x20 if b = N 1\n\
             \x20 if c < N 1 OR (NOT attribute_exists(c) AND b = N 1)"
        );
    }

    #[test]
    fn an_item_is_told_by_its_attributes_with_their_types() {
        let write = json!({
            "Item": {
                "pk": {"S": "A"}, "sk": {"S": "1"}, "b": {"BOOL": true}, "a": {"M": {"n": {"N": "2"}, "m": {"NULL": true}}},
            },
            "ConditionExpression": "attribute_not_exists(#pk)",
            "ExpressionAttributeNames": {"#pk": "pk"},
        });
        assert_eq!(
            shown("Put", &write),
            "Put A 1\n  a: M {m: NULL true, n: N 2}\n  b: BOOL true\n  if attribute_not_exists(pk)"
        );
    }
}
