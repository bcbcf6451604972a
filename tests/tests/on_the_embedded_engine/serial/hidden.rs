//! What of a write is not shown as it is: ids, what was drawn at random, secrets, moments. Each is
//! named, and numbered by its first appearance, so that the same is seen to be the same.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use shared::kernel::clock::Timestamp;

/// What surrounds a text that is not shown, and parts it from the name of its kind.
const OPEN: char = '\u{1}';
const PART: char = '\u{2}';
const CLOSE: char = '\u{3}';
/// What ids begin with.
const PREFIXES: [&str; 10] = [
    "acc", "usr", "key", "fac", "agr", "rcp", "kba", "link", "top", "req",
];
/// The characters of an id after its prefix.
const ID: usize = 26;
/// A SHA-256 or an HMAC of it, in base64url.
const DIGEST: usize = 43;
/// What is drawn has no fewer characters.
const DRAWN: usize = 12;
/// Attributes whose texts are drawn, however short they are and whatever they are made of.
const ALWAYS_DRAWN: [&str; 11] = [
    "attempt",
    "attempts",
    "by",
    "claim",
    "h",
    "k",
    "made_by",
    "opened_from",
    "reference",
    "sealed",
    "token",
];
/// Attributes whose texts follow from an id that is drawn: no two runs have the same, and one run
/// may have the same twice.
const SPREAD: [&str; 1] = ["due_shard"];

/// A text of which parts are not shown, marked and not yet numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked(String);

/// The numbers of what is not shown.
#[derive(Debug, Default)]
pub struct Numbers {
    named: BTreeMap<String, String>,
    given: BTreeMap<String, usize>,
}

/// Marks what is not shown, as of a moment.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    /// When the request is made.
    pub now: Timestamp,
}

impl Marker {
    /// A text that stands at the attribute `name`.
    pub fn text(self, name: &str, text: &str) -> Marked {
        if SPREAD.contains(&name) {
            return Marked(format!("<{name}>"));
        }
        if ALWAYS_DRAWN.contains(&name) {
            let kind = if text.len() == DIGEST { "digest" } else { name };
            return marked(kind, text);
        }
        if text.starts_with("$argon2") {
            return marked("password hash", text);
        }
        self.pieces(text)
    }

    /// A number that stands at the attribute `name`.
    pub fn number(self, name: &str, number: &str) -> Marked {
        let seconds = (name == "ttl")
            .then(|| number.parse::<i64>().ok())
            .flatten();
        Marked(match (seconds, moment(number)) {
            (Some(seconds), _) => self.told(seconds * 1000),
            (None, Some(millis)) => self.told(millis),
            (None, None) => number.to_owned(),
        })
    }

    /// A text, piece by piece.
    fn pieces(self, text: &str) -> Marked {
        let (mut shown, mut rest) = (String::new(), text);
        while let Some(first) = rest.chars().next() {
            let (piece, length) = self.piece(rest).unwrap_or_else(|| {
                let length = first.len_utf8();
                (rest[..length].to_owned(), length)
            });
            shown.push_str(&piece);
            rest = &rest[length..];
        }
        Marked(shown)
    }

    /// What the text begins with as it is to be shown, and how long that is.
    fn piece(self, text: &str) -> Option<(String, usize)> {
        if let Some(port) = text.strip_prefix("127.0.0.1:") {
            let digits = port.len() - port.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            return Some(("127.0.0.1:<port>".into(), "127.0.0.1:".len() + digits));
        }
        if let Some((millis, length)) = rfc_3339(text) {
            return Some((self.told(millis), length));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let length = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        (length > 0).then(|| (self.word(&text[..length]), length))
    }

    fn word(self, word: &str) -> String {
        if let Some(millis) = moment(word) {
            return self.told(millis);
        }
        match kind(word) {
            Some(kind) => marked(kind, word).0,
            None => word.to_owned(),
        }
    }

    /// A moment, from now.
    fn told(self, millis: i64) -> String {
        let ahead = millis - self.now.as_millis();
        let sign = if ahead < 0 { '-' } else { '+' };
        match span(ahead.unsigned_abs()) {
            none if none.is_empty() => "<now>".into(),
            span => format!("<now{sign}{span}>"),
        }
    }
}

fn marked(kind: &str, text: &str) -> Marked {
    Marked(format!("{OPEN}{kind}{PART}{text}{CLOSE}"))
}

/// The kind of a word that is not shown.
fn kind(word: &str) -> Option<&str> {
    let id = word.split_once('_').filter(|(prefix, rest)| {
        PREFIXES.contains(prefix) && rest.len() == ID && !rest.contains(['_', '-'])
    });
    if let Some((prefix, _)) = id {
        return Some(prefix);
    }
    let has = |of: fn(&char) -> bool| word.chars().any(|c| of(&c));
    let is_word = !has(char::is_ascii_lowercase) && !has(char::is_ascii_digit);
    let is_number = word.chars().all(|c| c.is_ascii_digit());
    let is_mixed = has(char::is_ascii_digit) || has(char::is_ascii_uppercase);
    match word.len() {
        ..DRAWN => None,
        _ if is_word || is_number || !is_mixed => None,
        DIGEST => Some("digest"),
        _ => Some("drawn"),
    }
}

/// The moment that a number of milliseconds is, of this century.
fn moment(digits: &str) -> Option<i64> {
    let is_one = digits.len() == 13 && digits.starts_with(['1', '2', '3']);
    digits.parse().ok().filter(|_| is_one)
}

/// The moment that a text begins with, and how long that is: `2027-01-15T08:00:00Z`.
fn rfc_3339(text: &str) -> Option<(i64, usize)> {
    let end = text.find('Z')? + 1;
    let is_one = text.as_bytes().get(10) == Some(&b'T') && (20..=24).contains(&end);
    let moment = DateTime::from_str(text.get(..end)?, DateTimeFormat::DateTime);
    let millis = moment.ok().filter(|_| is_one)?.to_millis().ok()?;
    Some((millis, end))
}

/// `1d2h3m4s5ms`, without what there is none of.
fn span(millis: u64) -> String {
    let units = [
        (86_400_000, u64::MAX, "d"),
        (3_600_000, 24, "h"),
        (60_000, 60, "m"),
        (1_000, 60, "s"),
        (1, 1_000, "ms"),
    ];
    let parts = units.map(|(length, next, unit)| (millis / length % next, unit));
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    parts.concat()
}

impl Marked {
    /// A text that is shown as it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Some of them, one after the other.
    pub fn joined(parts: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let parts: Vec<String> = parts.into_iter().map(|part| part.0).collect();
        Self(parts.join(between))
    }

    /// The same, with something before and after.
    pub fn between(self, before: &str, after: &str) -> Self {
        Self(format!("{before}{}{after}", self.0))
    }

    /// What is the same for all that differ in what was drawn alone.
    pub fn shape(&self) -> String {
        Numbers::default().shown(self)
    }

    /// Each part of it, and what it is called where it is not shown.
    fn parts(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.split(OPEN).enumerate().flat_map(|(place, part)| {
            let hidden = part
                .split_once(CLOSE)
                .and_then(|(hidden, after)| Some((hidden.split_once(PART)?, after)));
            match hidden.filter(|_| place > 0) {
                Some(((kind, text), after)) => [(text, Some(kind)), (after, None)],
                None => [(part, None), ("", None)],
            }
        })
    }
}

impl Numbers {
    /// The text as far as there are numbers.
    pub fn shown(&self, marked: &Marked) -> String {
        let part = |(text, kind): (&str, Option<&str>)| match kind {
            None => text.to_owned(),
            Some(kind) => {
                let known = self.named.get(text).cloned();
                known.unwrap_or_else(|| format!("<{kind}>"))
            }
        };
        marked.parts().map(part).collect()
    }

    /// The text, with a number for all that had none.
    pub fn numbered(&mut self, marked: &Marked) -> String {
        for (text, kind) in marked.parts() {
            let Some(kind) = kind.filter(|_| !self.named.contains_key(text)) else {
                continue;
            };
            let given = self.given.entry(kind.to_owned()).or_default();
            *given += 1;
            self.named
                .insert(text.to_owned(), format!("<{kind} {given}>"));
        }
        self.shown(marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker = Marker {
        now: Timestamp::from_millis(1_800_000_000_000),
    };

    fn numbered(text: &str) -> String {
        Numbers::default().numbered(&MARKER.text("", text))
    }

    #[test]
    fn what_is_drawn_is_numbered_and_the_same_is_the_same() {
        let [ann, bob] = [
            "usr_01mcy00000000000000000000a",
            "usr_01mcy00000000000000000000b",
        ];
        assert_eq!(
            numbered(&format!("USER#{ann} {bob}, {ann}")),
            "USER#<usr 1> <usr 2>, <usr 1>"
        );
        let digest = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(numbered(&format!("LINK#{digest}")), "LINK#<digest 1>");
        assert_eq!(numbered("LdJWxpgZsrFj"), "<drawn 1>");
    }

    #[test]
    fn words_and_counts_are_shown() {
        for text in [
            "KNOWN-FAILURES",
            "000000000007",
            "out_for_signature",
            "+12025550177",
            "ann@example.com",
        ] {
            assert_eq!(numbered(text), text);
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        for (text, told) in [
            ("2027-01-15T08:00:00Z", "<now>"),
            ("1800000600000#x", "<now+10m>#x"),
            ("1799999938500", "<now-1m1s500ms>"),
        ] {
            assert_eq!(numbered(text), told);
        }
        let number = |name, number| MARKER.number(name, number).shape();
        assert_eq!(number("due_at", "1800086400000"), "<now+1d>");
        assert_eq!(number("ttl", "1800003600"), "<now+1h>");
        assert_eq!(number("failures", "50"), "50");
    }

    #[test]
    fn secrets_and_ports_have_names() {
        assert_eq!(
            numbered("$argon2id$v=19$m=19456$salt$hash"),
            "<password hash 1>"
        );
        assert_eq!(
            numbered("http://127.0.0.1:43210/link"),
            "http://127.0.0.1:<port>/link"
        );
    }
}
