//! What the texts of one write name: every attribute is written `#name` and every value `:v0`,
//! always, since DynamoDB's list of reserved words grows.
//!
//! They are given out here and nowhere else, so that two authors of one write cannot mean two
//! things by one of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::path::{Path, Step};

/// The names and values of one write.
#[derive(Debug, Default)]
pub(super) struct Placeholders {
    names: HashMap<String, String>,
    values: Vec<AttributeValue>,
}

impl Placeholders {
    /// The text of a path.
    pub fn path(&mut self, path: &Path) -> String {
        let attribute = self.name(path.attribute);
        path.steps.iter().fold(attribute, |text, step| match step {
            Step::Member(name) => format!("{text}.{}", self.name(name)),
            Step::Element(index) => format!("{text}[{index}]"),
        })
    }

    /// The text of a value: the same for the same again.
    pub fn value(&mut self, value: &AttributeValue) -> String {
        let place = self
            .values
            .iter()
            .position(|known| known == value)
            .unwrap_or_else(|| {
                self.values.push(value.clone());
                self.values.len() - 1
            });
        format!(":v{place}")
    }

    /// A name stands for itself where it may; what is not made of letters, digits and `_` gets a
    /// number instead.
    fn name(&mut self, name: &str) -> String {
        let as_it_is = format!("#{name}");
        if is_plain(name) {
            self.names.insert(as_it_is.clone(), name.to_owned());
            return as_it_is;
        }
        let known = self.names.iter().find(|(_, known)| known.as_str() == name);
        if let Some((placeholder, _)) = known {
            return placeholder.clone();
        }
        let placeholder = format!("#__{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// `ExpressionAttributeNames`.
    pub fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    /// `ExpressionAttributeValues`.
    pub fn values(self) -> Option<HashMap<String, AttributeValue>> {
        let values = self.values.into_iter().enumerate();
        let values: HashMap<_, _> = values
            .map(|(place, value)| (format!(":v{place}"), value))
            .collect();
        Some(values).filter(|values| !values.is_empty())
    }
}

/// Whether a name can be its own placeholder: one that begins with `__` is a number's.
fn is_plain(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with("__") && name.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dynamo::IntoValue;

    #[test]
    fn one_placeholder_stands_for_one_thing() {
        let mut placeholders = Placeholders::default();
        let odd = Path::new("a").member("b c").member("__2").element(3);
        assert_eq!(placeholders.path(&odd), "#a.#__1.#__2[3]");
        assert_eq!(
            placeholders.path(&Path::new("a").member("b c")),
            "#a.#__1",
            "the same again"
        );
        assert_eq!(placeholders.value(&"x".into_value()), ":v0");
        assert_eq!(placeholders.value(&1_u64.into_value()), ":v1");
        assert_eq!(
            placeholders.value(&"x".into_value()),
            ":v0",
            "the same again"
        );
        let names = placeholders.names().unwrap();
        assert_eq!(names["#__1"], "b c");
        assert_eq!(names["#__2"], "__2");
        assert_eq!(placeholders.values().unwrap().len(), 2);
    }
}
