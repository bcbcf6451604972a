//! JSON as it is written: an object may have a name twice, and its members stand in an order.

use serde_json::Value;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An object's members, as they stand.
    Object(Vec<(String, Node)>),
    /// A list's items.
    List(Vec<Node>),
    /// Anything else, as it is written.
    Leaf(String),
}

impl Node {
    /// The same as `value`.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::of(value)))
                    .collect(),
            ),
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            leaf => Self::Leaf(leaf.to_string()),
        }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Self::Object(members) => {
                let written = members.iter().map(|(name, value)| {
                    format!("{}:{}", Value::from(name.as_str()), value.text())
                });
                format!("{{{}}}", written.collect::<Vec<_>>().join(","))
            }
            Self::List(items) => format!(
                "[{}]",
                items.iter().map(Self::text).collect::<Vec<_>>().join(",")
            ),
            Self::Leaf(text) => text.clone(),
        }
    }

    /// The same with the members of each object in the opposite order, which says the same.
    pub fn reversed(self) -> Self {
        match self {
            Self::Object(members) => Self::Object(
                members
                    .into_iter()
                    .rev()
                    .map(|(name, value)| (name, value.reversed()))
                    .collect(),
            ),
            Self::List(items) => Self::List(items.into_iter().map(Self::reversed).collect()),
            leaf @ Self::Leaf(_) => leaf,
        }
    }

    /// The values within it, with their names.
    pub fn children(&self) -> Vec<(String, &Self)> {
        match self {
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
            Self::List(items) => items
                .iter()
                .enumerate()
                .map(|(place, item)| (place.to_string(), item))
                .collect(),
            Self::Leaf(_) => Vec::new(),
        }
    }

    /// The value that is `path` of children away.
    pub fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, place| match node {
            Self::Object(members) => &mut members[*place].1,
            Self::List(items) => &mut items[*place],
            Self::Leaf(text) => panic!("nothing stands within {text}"),
        })
    }
}
