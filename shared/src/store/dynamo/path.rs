//! Where an attribute stands in an item.

use aws_sdk_dynamodb::types::AttributeValue;

use super::condition::{Comparison, Condition};
use super::value::IntoValue;

/// A document path: an attribute, or what is within it (`challenges.chl_1.attempts[0]`).
///
/// A stored noun names those of its own items, once, beside its type. Nothing else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(super) attribute: &'static str,
    pub(super) steps: Vec<Step>,
}

/// A step further into an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// To a member of a map.
    Member(String),
    /// To an element of a list.
    Element(usize),
}

impl Path {
    /// The attribute of that name.
    pub const fn new(attribute: &'static str) -> Self {
        Self {
            attribute,
            steps: Vec::new(),
        }
    }

    /// The attribute's name, as an item that was read has it.
    pub const fn attribute(&self) -> &'static str {
        self.attribute
    }

    /// The member `name` of the map that stands here.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>) -> Self {
        self.steps.push(Step::Member(name.into()));
        self
    }

    /// The element `index` of the list that stands here.
    #[must_use]
    pub fn element(mut self, index: usize) -> Self {
        self.steps.push(Step::Element(index));
        self
    }

    /// That something stands here.
    pub const fn exists(self) -> Condition {
        Condition::Exists(self)
    }

    /// That nothing stands here.
    pub const fn is_absent(self) -> Condition {
        Condition::IsAbsent(self)
    }

    /// That this very value stands here.
    pub fn is(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::Equal, value)
    }

    /// That another value stands here, or none.
    pub fn is_not(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::NotEqual, value)
    }

    /// That what stands here is less.
    pub fn is_below(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::Below, value)
    }

    /// That what stands here is as much or less.
    pub fn is_at_most(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::AtMost, value)
    }

    /// That what stands here is more.
    pub fn is_above(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::Above, value)
    }

    /// That what stands here is as much or more.
    pub fn is_at_least(self, value: impl IntoValue) -> Condition {
        self.compared(Comparison::AtLeast, value)
    }

    /// That the list that stands here has this element.
    pub fn contains(self, value: impl IntoValue) -> Condition {
        Condition::Contains(self, value.into_value())
    }

    /// That fewer than so many elements stand in the list here.
    pub fn has_fewer_than(self, count: impl IntoValue) -> Condition {
        Condition::HasFewerThan(self, count.into_value())
    }

    fn compared(self, comparison: Comparison, value: impl IntoValue) -> Condition {
        let value: AttributeValue = value.into_value();
        Condition::Compares(self, comparison, value)
    }
}
