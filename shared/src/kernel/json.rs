//! JSON in which each name stands once.
//!
//! RFC 8259 (section 4) leaves open what an object means in which a name stands twice.
//! `serde_json::Value` silently keeps the last of the two, others keep the first: such a text says
//! one thing to one reader and something else to the next. So it says nothing here.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may stand in each other. A report has six levels, a request fewer.
const DEPTH_MAX: usize = 32;
/// The most of a place that is told: names come from whoever wrote the text.
const SHOWN_MAX: usize = 120;

/// Why a text is not read. Places are JSON Pointers that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no UTF-8.
    NotUtf8,
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// It ends before the value does.
    EndsEarly,
    /// It is no JSON from here on, or something follows the value.
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// What stands here is nested too deeply.
    TooDeep(String),
    /// What stands here has the name of something before it.
    Twice(String),
}

/// The value that `text` is.
pub fn read(text: &[u8]) -> Result<Value, Unreadable> {
    if text.starts_with("\u{feff}".as_bytes()) {
        return Err(Unreadable::ByteOrderMark);
    }
    let text = str::from_utf8(text).map_err(|_| Unreadable::NotUtf8)?;
    let found = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let whole = Place {
        above: None,
        step: Step::Whole,
        depth: 0,
        found: &found,
    };
    let read = whole
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| found.take().unwrap_or_else(|| Unreadable::of(&error)))
}

/// The place of the member `name` within the place `of`, as a JSON Pointer (RFC 6901).
pub fn member(of: &str, name: &str) -> String {
    format!("{of}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A place as it can be shown: what cannot be is replaced, what is long is cut.
pub fn shown(pointer: &str) -> String {
    pointer
        .chars()
        .take(SHOWN_MAX)
        .map(|c| {
            if c.is_control() || moves_text(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Whether a character shows nothing and changes where others stand: the bidirectional marks
/// (Unicode Annex 9, section 2), and what ends a line or a paragraph.
const fn moves_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Unreadable {
    fn of(error: &serde_json::Error) -> Self {
        match error.classify() {
            Category::Eof => Self::EndsEarly,
            _ => Self::Malformed {
                line: error.line(),
                column: error.column(),
            },
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::ByteOrderMark => f.write_str("it begins with a byte order mark"),
            Self::EndsEarly => f.write_str("it ends too early"),
            Self::Malformed { line, column } => write!(f, "line {line} column {column}"),
            Self::TooDeep(place) => write!(f, "{place} is nested too deeply"),
            Self::Twice(place) => write!(f, "{place} appears twice"),
        }
    }
}

/// A place in the text, and what was found to be wrong with the text.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: usize,
    found: &'a RefCell<Option<Unreadable>>,
}

/// From the place above to a place.
#[derive(Clone, Copy)]
enum Step<'a> {
    Whole,
    Item(usize),
    Member(&'a str),
}

impl<'a> Place<'a> {
    const fn below(&'a self, step: Step<'a>) -> Self {
        Self {
            above: Some(self),
            step,
            depth: self.depth + 1,
            found: self.found,
        }
    }

    fn pointer(&self) -> String {
        let above = self.above.map(Self::pointer).unwrap_or_default();
        match self.step {
            Step::Whole => above,
            Step::Item(number) => format!("{above}/{number}"),
            Step::Member(name) => member(&above, name),
        }
    }

    /// serde's errors are texts: what is wrong is kept beside them.
    fn wrong<E: Error>(&self, what: impl FnOnce(String) -> Unreadable) -> E {
        self.found.replace(Some(what(shown(&self.pointer()))));
        E::custom("unreadable")
    }

    fn holds_others<E: Error>(&self) -> Result<(), E> {
        if self.depth < DEPTH_MAX {
            Ok(())
        } else {
            Err(self.wrong(Unreadable::TooDeep))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.holds_others()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.below(Step::Item(items.len())))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.holds_others()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let there = self.below(Step::Member(&name));
            if members.contains_key(&name) {
                return Err(there.wrong(Unreadable::Twice));
            }
            let value = access.next_value_seed(there)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(text: &str) -> Unreadable {
        read(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_name_that_stands_twice_is_found_at_every_depth_however_it_is_written() {
        let twice = |place: &str| Unreadable::Twice(place.to_owned());
        assert_eq!(refused(r#"{"a": 1, "b": 2, "a": 1}"#), twice("/a"));
        assert_eq!(
            refused(r#"{"a": [{"b": {"c~/": 1, "c~/": 2}}]}"#),
            twice("/a/0/b/c~0~1")
        );
        assert_eq!(
            refused(r#"{"a": 1, "\u0061": 1}"#),
            twice("/a"),
            "an escape is the letter that it stands for"
        );
        assert_eq!(refused(r#"{"": 1, "": 1}"#), twice("/"));
        assert_eq!(
            refused("{\"\\u001b[2J\": 1, \"\\u001b[2J\": 1}"),
            twice("/\u{fffd}[2J"),
            "what cannot be shown is not"
        );
        assert_eq!(
            read(br#"{"a": {"a": [{"a": 1}, {"a": 1}]}}"#).unwrap(),
            json!({"a": {"a": [{"a": 1}, {"a": 1}]}})
        );
    }

    #[test]
    fn no_name_turns_what_is_told_of_it_around() {
        for mark in
            "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{1b}\0"
                .chars()
        {
            assert_eq!(
                shown(&format!("/a{mark}b")),
                "/a\u{fffd}b",
                "{}",
                mark.escape_unicode()
            );
        }
        assert_eq!(shown("/שלום/é"), "/שלום/é");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none_and_where() {
        let at = |line, column| Unreadable::Malformed { line, column };
        assert_eq!(refused("\u{feff}{}"), Unreadable::ByteOrderMark);
        assert_eq!(read(b"{\"a\": \"\xff\"}"), Err(Unreadable::NotUtf8));
        assert_eq!(
            (refused(""), refused("{\"a\": [1, ")),
            (Unreadable::EndsEarly, Unreadable::EndsEarly)
        );
        assert_eq!(
            (refused("{}\n {}"), refused("{} x"), refused("{}\0")),
            (at(2, 2), at(1, 4), at(1, 3))
        );
        for text in [
            "{'a': 1}",
            "{\"a\": 01}",
            "{\"a\": +1}",
            "{\"a\": NaN}",
            "{\"a\": 1,}",
            "[1 2]",
            "// x\n{}",
            "{\"a\": \"\\ud800\"}",
        ] {
            assert!(
                matches!(refused(text), Unreadable::Malformed { .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            refused(&nested(DEPTH_MAX + 1)),
            Unreadable::TooDeep("/0".repeat(DEPTH_MAX))
        );
        assert!(matches!(
            refused(&nested(1_000_000)),
            Unreadable::TooDeep(_)
        ));
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads_where_no_name_stands_twice(text in r#"([{}\[\],:]|"[ab]"|-?[0-9]{1,3}(\.5)?|true|null| ){0,12}"#) {
            let ours = read(text.as_bytes());
            let theirs = serde_json::from_str::<Value>(&text);
            match ours {
                Ok(value) => prop_assert_eq!(Some(value), theirs.ok()),
                Err(Unreadable::Twice(place)) => {
                    let name = format!("\"{}\"", place.rsplit('/').next().unwrap());
                    prop_assert!(text.matches(&name).count() > 1);
                }
                Err(_) => prop_assert!(theirs.is_err()),
            }
        }
    }
}
