//! What came of two requests, without what was drawn at random.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::Answer;

use crate::serial::scene::{Manner, Row, Scene};

/// What stands for a text that was drawn.
const DRAWN: &str = "*";
/// Members whose values are drawn, however short they are.
const ALWAYS_DRAWN: [&str; 8] = [
    "reference",
    "attempts",
    "due_shard",
    "instance",
    "attempt",
    "claim",
    "k",
    "qr_svg",
];
/// Members that may be of the moment before: the answer says so.
const GLIMPSED: &str = "quota";
/// Members that count, or that move with every entry.
const COUNTS: [&str; 8] = [
    "attempts",
    "failures",
    "failed_at",
    "epoch",
    "audit_seq",
    "version",
    "moments",
    "left",
];

/// What came of two requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What each was answered.
    pub answers: [Answered; 2],
    /// What stands in the table, an item a line.
    pub table: BTreeSet<(String, usize)>,
    /// Who was sent what.
    pub sent: Vec<String>,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    status: u16,
    slug: String,
    body: String,
}

/// The texts that a scene holds before anything is drawn.
pub struct Known(BTreeSet<String>);

impl Known {
    /// Those of this scene.
    pub fn of(scene: &Scene) -> Self {
        let mut texts = BTreeSet::new();
        scene.kept().for_each(|item| gather(&item, &mut texts));
        Self(texts)
    }

    /// What came of two requests in the scene, which were answered so.
    pub async fn outcome(&self, scene: &Scene, answers: [(&Row, &Answer); 2]) -> Outcome {
        if answers
            .iter()
            .any(|(row, _)| row.manner == Manner::Sweeping)
        {
            scene.clean().await;
        }
        let answers = answers.map(|(row, answer)| {
            let body = if row.manner == Manner::Sweeping {
                String::new()
            } else {
                self.plain("", &answer.body)
            };
            Answered {
                status: answer.status,
                slug: answer.slug().to_owned(),
                body,
            }
        });
        let mut lines: Vec<String> = scene
            .everything()
            .await
            .into_iter()
            .map(|item| self.plain("", &shared::store::dynamo::read::<Value>(item).unwrap()))
            .collect();
        lines.sort_unstable();
        let mut table = BTreeSet::new();
        for line in lines {
            let before = table.iter().filter(|(other, _)| *other == line).count();
            table.insert((line, before));
        }
        let mut sent: Vec<String> = scene.world.outbox().await.iter().map(addressed).collect();
        sent.sort_unstable();
        Outcome {
            answers,
            table,
            sent,
        }
    }

    /// A value as text, in which what was drawn does not show. The members are in order.
    fn plain(&self, name: &str, value: &Value) -> String {
        match value {
            _ if ALWAYS_DRAWN.contains(&name) || name == GLIMPSED => shape(value),
            Value::String(text) => self.text(text).to_owned(),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.plain("", item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    format!("{}: {}", self.text(name), self.plain(name, value))
                };
                let mut members: Vec<String> = members.iter().map(member).collect();
                members.sort_unstable();
                format!("{{{}}}", members.join(", "))
            }
            other => other.to_string(),
        }
    }

    fn text<'a>(&self, text: &'a str) -> &'a str {
        if self.0.contains(text) || !is_drawn(text) {
            text
        } else {
            DRAWN
        }
    }
}

/// How many there are, where what they are was drawn.
fn shape(value: &Value) -> String {
    value.as_array().map_or_else(
        || DRAWN.to_owned(),
        |items| format!("{} of {DRAWN}", items.len()),
    )
}

/// Whether a text that a scene did not hold looks like one that was drawn: long, in one piece, and
/// no word.
fn is_drawn(text: &str) -> bool {
    let in_one_piece = !text.contains(char::is_whitespace);
    text.len() >= 12
        && in_one_piece
        && text.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
}

fn gather(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            texts.insert(name.clone());
            gather(value, texts);
        }),
        _ => {}
    }
}

impl Outcome {
    /// The same for somebody who takes no notice of counts and entries, and of an answer only of
    /// its kind.
    pub fn but_for_counts(&self) -> Self {
        let answers = self.answers.clone().map(|answer| Answered {
            body: String::new(),
            ..answer
        });
        let is_count = |line: &str| line.contains("pk: NAME#") && line.contains(" failures: ");
        let lines = self
            .table
            .iter()
            .filter(|(line, _)| !line.contains("pk: AUDIT#") && !is_count(line));
        Self {
            answers,
            table: lines
                .map(|(line, number)| (without_counts(line), *number))
                .collect(),
            sent: self.sent.clone(),
        }
    }

    /// The same with the answers the other way round.
    pub fn turned(mut self) -> Self {
        self.answers.reverse();
        self
    }

    /// What of this one the other has not, and the other way round.
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (place, (one, another)) in self.answers.iter().zip(&other.answers).enumerate() {
            if one != another {
                let [one, another] = apart(&one.body, &another.body).map(str::to_owned);
                let (status, slug) = (self.answers[place].status, &self.answers[place].slug);
                lines.push(format!(
                    "answer {place}: {status} {slug} {one} and not {} {another}",
                    other.answers[place].status
                ));
            }
        }
        let of = |one: &Self, other: &Self| {
            one.table
                .difference(&other.table)
                .map(|(line, _)| line.clone())
                .collect::<Vec<_>>()
        };
        let (more, less) = (of(self, other), of(other, self));
        for place in 0..more.len().max(less.len()) {
            let line = |lines: &[String]| lines.get(place).cloned().unwrap_or_default();
            let (one, another) = (line(&more), line(&less));
            let [one, another] = apart(&one, &another);
            lines.push(format!("{one} and not {another}"));
        }
        if self.sent != other.sent {
            lines.push(format!("sent {:?} and not {:?}", self.sent, other.sent));
        }
        lines
    }
}

/// To whom a message goes, and its subject without the reference of its code.
fn addressed(message: &Value) -> String {
    let subject = message["subject"].as_str().unwrap_or_default();
    let reference = subject
        .rsplit_once(" (")
        .filter(|(_, last)| last.len() == 5 && last.ends_with(')'));
    format!(
        "{} {}",
        message["to"],
        reference.map_or(subject, |(head, _)| head)
    )
}

/// A line without the numbers that count.
fn without_counts(line: &str) -> String {
    let counted = |part: &&str| {
        COUNTS.iter().any(|name| {
            part.trim_start_matches(['{', '['])
                .starts_with(&format!("{name}: "))
        })
    };
    line.split(", ")
        .filter(|part| !counted(part))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What is between the beginning and the end that two texts have in common.
fn apart<'a>(one: &'a str, other: &'a str) -> [&'a str; 2] {
    let same = |(one, other): &(char, char)| one == other;
    let head: usize = one
        .chars()
        .zip(other.chars())
        .take_while(same)
        .map(|(one, _)| one.len_utf8())
        .sum();
    let (one, other) = (&one[head..], &other[head..]);
    let tail: usize = one
        .chars()
        .rev()
        .zip(other.chars().rev())
        .take_while(same)
        .map(|(one, _)| one.len_utf8())
        .sum();
    [&one[..one.len() - tail], &other[..other.len() - tail]]
}
