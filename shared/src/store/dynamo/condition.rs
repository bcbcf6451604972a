//! What has to hold of an item for a write to be made.

use std::ops::Not;

use aws_sdk_dynamodb::types::AttributeValue;

use super::keys;
use super::path::Path;
use super::placeholders::Placeholders;

/// A condition on one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Something stands there.
    Exists(Path),
    /// Nothing stands there.
    IsAbsent(Path),
    /// What stands there compares so with the value.
    Compares(Path, Comparison, AttributeValue),
    /// The list there has the element.
    Contains(Path, AttributeValue),
    /// The list there has fewer elements.
    HasFewerThan(Path, AttributeValue),
    /// It does not hold.
    Not(Box<Self>),
    /// All hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Condition {
    /// An item stands there.
    pub const fn item_exists() -> Self {
        Self::Exists(Path::new(keys::PK))
    }

    /// No item stands there.
    pub const fn item_is_absent() -> Self {
        Self::IsAbsent(Path::new(keys::PK))
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut all) => {
                all.push(other);
                Self::All(all)
            }
            one => Self::All(vec![one, other]),
        }
    }

    /// One of the two holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Any(mut any) => {
                any.push(other);
                Self::Any(any)
            }
            one => Self::Any(vec![one, other]),
        }
    }

    /// The text of the condition; what it names is entered in `placeholders`.
    pub(super) fn render(&self, placeholders: &mut Placeholders) -> String {
        match self {
            Self::Exists(path) => format!("attribute_exists({})", placeholders.path(path)),
            Self::IsAbsent(path) => format!("attribute_not_exists({})", placeholders.path(path)),
            Self::Compares(path, comparison, value) => {
                let (path, value) = (placeholders.path(path), placeholders.value(value));
                format!("{path} {} {value}", comparison.operator())
            }
            Self::Contains(path, value) => {
                format!(
                    "contains({}, {})",
                    placeholders.path(path),
                    placeholders.value(value)
                )
            }
            Self::HasFewerThan(path, count) => {
                format!(
                    "size({}) < {}",
                    placeholders.path(path),
                    placeholders.value(count)
                )
            }
            Self::Not(condition) => format!("NOT {}", condition.render_operand(placeholders)),
            Self::All(all) => joined(all, " AND ", placeholders),
            Self::Any(any) => joined(any, " OR ", placeholders),
        }
    }

    /// The same as a part of another.
    fn render_operand(&self, placeholders: &mut Placeholders) -> String {
        let text = self.render(placeholders);
        match self {
            Self::All(_) | Self::Any(_) | Self::Not(_) => format!("({text})"),
            _ => text,
        }
    }
}

impl Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl Comparison {
    const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

fn joined(parts: &[Condition], by: &str, placeholders: &mut Placeholders) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| part.render_operand(placeholders))
        .collect();
    parts.join(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(condition: &Condition) -> String {
        condition.render(&mut Placeholders::default())
    }

    #[test]
    fn each_part_of_a_condition_is_rendered() {
        let path = || Path::new("attempts");
        assert_eq!(rendered(&path().exists()), "attribute_exists(#attempts)");
        assert_eq!(
            rendered(&path().is_absent()),
            "attribute_not_exists(#attempts)"
        );
        assert_eq!(rendered(&path().is(1_u64)), "#attempts = :v0");
        assert_eq!(rendered(&path().is_not(1_u64)), "#attempts <> :v0");
        assert_eq!(rendered(&path().is_below(1_u64)), "#attempts < :v0");
        assert_eq!(rendered(&path().is_at_most(1_u64)), "#attempts <= :v0");
        assert_eq!(rendered(&path().is_above(1_u64)), "#attempts > :v0");
        assert_eq!(rendered(&path().is_at_least(1_u64)), "#attempts >= :v0");
        assert_eq!(
            rendered(&path().has_fewer_than(5_u64)),
            "size(#attempts) < :v0"
        );
        assert_eq!(
            rendered(&!path().contains("a")),
            "NOT contains(#attempts, :v0)"
        );
    }

    #[test]
    fn a_part_of_another_stands_in_parentheses() {
        let (a, b, c) = (
            || Path::new("a").exists(),
            || Path::new("b").exists(),
            Path::new("c"),
        );
        let any = a().or(b());
        assert_eq!(
            rendered(&c.exists().and(any.clone())),
            "attribute_exists(#c) AND (attribute_exists(#a) OR attribute_exists(#b))"
        );
        assert_eq!(
            rendered(&!any.or(a().and(b()))),
            "NOT (attribute_exists(#a) OR attribute_exists(#b) OR (attribute_exists(#a) AND attribute_exists(#b)))"
        );
    }
}
