//! One change of an item.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure, Update as SdkUpdate,
};

use super::Failure;
use super::condition::Condition;
use super::keys::{self, Key};
use super::path::Path;
use super::placeholders::Placeholders;
use super::value::IntoValue;
use super::write::{built, joined, ttl};
use crate::kernel::clock::Timestamp;

const DUE_SHARD: Path = Path::new(keys::DUE_PK);
const DUE_AT: Path = Path::new(keys::DUE_SK);
const TTL: Path = Path::new(keys::TTL);

/// Changes an item, or creates it with what is set.
#[derive(Clone, Debug)]
pub struct Update {
    pub(super) key: Key,
    assignments: Vec<(Path, Assignment)>,
    pub(super) condition: Option<Condition>,
}

/// What becomes of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Assignment {
    /// It is the value.
    Is(AttributeValue),
    /// It is the value, if it is absent.
    IsUnlessPresent(AttributeValue),
    /// It is more by `by` than it is, or than `from` where it is absent.
    Counts {
        from: AttributeValue,
        by: AttributeValue,
    },
    /// It is more by so much than it is.
    Grows(AttributeValue),
    /// These elements come after those of the list.
    Ends(AttributeValue),
    /// These elements come before those of the list, or are the list.
    Begins(AttributeValue),
    /// The number is added to it, or is it where it is absent (`ADD`).
    Adds(AttributeValue),
    /// It is removed.
    Removed,
}

impl Assignment {
    /// Whether `other` is the same, and comes to the same with it.
    fn is_again(&self, other: &Self) -> bool {
        match self {
            Self::Is(_) | Self::IsUnlessPresent(_) | Self::Removed => self == other,
            Self::Counts { .. }
            | Self::Grows(_)
            | Self::Ends(_)
            | Self::Begins(_)
            | Self::Adds(_) => false,
        }
    }
}

impl Update {
    /// A change of the item at `key`, which changes nothing yet.
    pub const fn of(key: Key) -> Self {
        Self {
            key,
            assignments: Vec::new(),
            condition: None,
        }
    }

    /// Which item it changes.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn assignments(&self) -> &[(Path, Assignment)] {
        &self.assignments
    }

    /// Under this condition, and those given before.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(joined(self.condition, condition));
        self
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(self, path: Path, value: impl IntoValue) -> Self {
        self.assigned(path, Assignment::Is(value.into_value()))
    }

    /// Sets an attribute, or removes it where there is no value.
    #[must_use]
    pub fn set_or_remove(self, path: Path, value: Option<impl IntoValue>) -> Self {
        match value {
            Some(value) => self.set(path, value),
            None => self.remove(path),
        }
    }

    /// Sets an attribute that is absent.
    #[must_use]
    pub fn set_unless_present(self, path: Path, value: impl IntoValue) -> Self {
        self.assigned(path, Assignment::IsUnlessPresent(value.into_value()))
    }

    /// Counts on from what an attribute is, and from `from` where it is absent.
    #[must_use]
    pub fn count(self, path: Path, from: impl IntoValue, by: impl IntoValue) -> Self {
        let (from, by) = (from.into_value(), by.into_value());
        self.assigned(path, Assignment::Counts { from, by })
    }

    /// Adds to what an attribute is. Where it is absent the write fails.
    #[must_use]
    pub fn increase(self, path: Path, by: impl IntoValue) -> Self {
        self.assigned(path, Assignment::Grows(by.into_value()))
    }

    /// Adds a number to an attribute, which is 0 where it is absent.
    #[must_use]
    pub fn add(self, path: Path, by: i64) -> Self {
        self.assigned(path, Assignment::Adds(by.into_value()))
    }

    /// Appends elements to a list.
    #[must_use]
    pub fn append(self, path: Path, elements: impl IntoValue) -> Self {
        self.assigned(path, Assignment::Ends(elements.into_value()))
    }

    /// Puts elements before those of a list, which is empty where it is absent.
    #[must_use]
    pub fn prepend(self, path: Path, elements: impl IntoValue) -> Self {
        self.assigned(path, Assignment::Begins(elements.into_value()))
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(self, path: Path) -> Self {
        self.assigned(path, Assignment::Removed)
    }

    fn assigned(mut self, path: Path, assignment: Assignment) -> Self {
        self.assignments.push((path, assignment));
        self
    }

    /// Lets the clean-up look at the item at `at`, whenever it was to look at it before; DynamoDB's
    /// TTL never takes it.
    #[must_use]
    pub fn look_at(self, at: Timestamp) -> Self {
        let shard = self.key.due_shard();
        self.set(DUE_SHARD, shard).set(DUE_AT, at)
    }

    /// Lets the clean-up look at the item at `due`, or when it was to look at it already: moving
    /// the moment each time would cost a write of the index each time, and the clean-up moves it
    /// itself where it comes too early.
    #[must_use]
    pub fn set_due(self, due: Timestamp) -> Self {
        let shard = self.key.due_shard();
        self.set_unless_present(DUE_SHARD, shard)
            .set_unless_present(DUE_AT, due)
    }

    /// Lets the clean-up look at the item later than it was to, if it was to look at all.
    #[must_use]
    pub fn put_off(self, later: Timestamp) -> Self {
        self.set(DUE_AT, later)
            .when(DUE_AT.exists().and(DUE_AT.is_below(later)))
    }

    /// Lets the clean-up look at the item at `at`, in the part of the index in which it is.
    #[must_use]
    pub fn look_again_at(self, at: Timestamp) -> Self {
        self.set(DUE_AT, at)
    }

    /// Lets the clean-up pass the item by.
    #[must_use]
    pub fn remove_due(self) -> Self {
        self.remove(DUE_SHARD).remove(DUE_AT)
    }

    /// The item is of no more use at `due`: the clean-up removes it, or DynamoDB's TTL some days
    /// after.
    #[must_use]
    pub fn set_expiry(self, due: Timestamp) -> Self {
        self.set_due(due).set_ttl(due)
    }

    /// Lets DynamoDB's TTL take the item some days after `due`.
    #[must_use]
    pub fn set_ttl(self, due: Timestamp) -> Self {
        self.set(TTL, ttl(due))
    }

    /// DynamoDB's TTL never takes the item.
    #[must_use]
    pub fn remove_ttl(self) -> Self {
        self.remove(TTL)
    }

    /// An error where an attribute is assigned twice: one of its two authors would be overruled.
    /// The same value again is no second one; what counts or appends means to do so twice.
    pub(super) fn checked(&self) -> Result<(), Failure> {
        let clashes = |place: usize| {
            let (path, assignment) = self.assignments.get(place)?;
            let before = self.assignments.get(..place)?;
            before
                .iter()
                .find(|(known, other)| known == path && !other.is_again(assignment))
        };
        match (0..self.assignments.len()).find_map(clashes) {
            Some((path, _)) => Err(Failure::unavailable(
                "writing an update",
                &format!("`{}` is assigned twice", path.attribute),
            )),
            None => Ok(()),
        }
    }

    /// The text of the update; what it names is entered in `placeholders`.
    fn render(&self, placeholders: &mut Placeholders) -> String {
        let mut clauses = Clauses::default();
        let mut seen: Vec<&Path> = Vec::new();
        for (path, assignment) in &self.assignments {
            if !seen.contains(&path) {
                seen.push(path);
                clauses.enter(placeholders.path(path), assignment, placeholders);
            }
        }
        clauses.text()
    }

    pub(super) fn into_part(self, table: &str) -> Result<SdkUpdate, Failure> {
        let mut placeholders = Placeholders::default();
        let text = self.render(&mut placeholders);
        let condition = self
            .condition
            .map(|condition| condition.render(&mut placeholders));
        let part = SdkUpdate::builder()
            .table_name(table)
            .set_key(Some(self.key.into_item()))
            .update_expression(text)
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        built(part.build())
    }

    pub(super) fn into_request(self, request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let mut placeholders = Placeholders::default();
        let text = self.render(&mut placeholders);
        let condition = self
            .condition
            .map(|condition| condition.render(&mut placeholders));
        request
            .set_key(Some(self.key.into_item()))
            .update_expression(text)
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}

/// The clauses of an update, each of which may stand once.
#[derive(Default)]
struct Clauses {
    set: Vec<String>,
    add: Vec<String>,
    remove: Vec<String>,
}

impl Clauses {
    fn enter(&mut self, path: String, assignment: &Assignment, placeholders: &mut Placeholders) {
        let mut value = |value: &AttributeValue| placeholders.value(value);
        match assignment {
            Assignment::Is(is) => self.set.push(format!("{path} = {}", value(is))),
            Assignment::IsUnlessPresent(is) => {
                self.set
                    .push(format!("{path} = if_not_exists({path}, {})", value(is)));
            }
            Assignment::Counts { from, by } => {
                let (from, by) = (value(from), value(by));
                self.set
                    .push(format!("{path} = if_not_exists({path}, {from}) + {by}"));
            }
            Assignment::Grows(by) => self.set.push(format!("{path} = {path} + {}", value(by))),
            Assignment::Ends(elements) => {
                self.set
                    .push(format!("{path} = list_append({path}, {})", value(elements)));
            }
            Assignment::Begins(elements) => {
                let (elements, none) = (value(elements), value(&AttributeValue::L(Vec::new())));
                self.set.push(format!(
                    "{path} = list_append({elements}, if_not_exists({path}, {none}))"
                ));
            }
            Assignment::Adds(by) => self.add.push(format!("{path} {}", value(by))),
            Assignment::Removed => self.remove.push(path),
        }
    }

    fn text(self) -> String {
        let clauses = [
            ("SET", self.set),
            ("ADD", self.add),
            ("REMOVE", self.remove),
        ];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<String> = clauses
            .map(|(clause, parts)| format!("{clause} {}", parts.join(", ")))
            .collect();
        clauses.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> Update {
        Update::of(keys::client_ip_sends("192.0.2.1"))
    }

    fn rendered(update: &Update) -> String {
        update.render(&mut Placeholders::default())
    }

    #[test]
    fn each_assignment_is_rendered() {
        let path = || Path::new("count");
        assert_eq!(rendered(&update().set(path(), 1_u64)), "SET #count = :v0");
        assert_eq!(
            rendered(&update().set_unless_present(path(), 1_u64)),
            "SET #count = if_not_exists(#count, :v0)"
        );
        assert_eq!(
            rendered(&update().count(path(), 0_u64, 1_u64)),
            "SET #count = if_not_exists(#count, :v0) + :v1"
        );
        assert_eq!(
            rendered(&update().increase(path(), 1_u64)),
            "SET #count = #count + :v0"
        );
        assert_eq!(
            rendered(&update().append(path(), vec!["a"])),
            "SET #count = list_append(#count, :v0)"
        );
        assert_eq!(
            rendered(&update().prepend(path(), vec!["a"])),
            "SET #count = list_append(:v0, if_not_exists(#count, :v1))"
        );
        assert_eq!(rendered(&update().add(path(), -1)), "ADD #count :v0");
        assert_eq!(rendered(&update().remove(path())), "REMOVE #count");
    }

    #[test]
    fn each_clause_stands_once() {
        let all = update()
            .remove(Path::new("a"))
            .set(Path::new("b"), 1_u64)
            .add(Path::new("c"), 1)
            .remove(Path::new("d"))
            .set(Path::new("b"), 1_u64);
        assert_eq!(rendered(&all), "SET #b = :v0 ADD #c :v0 REMOVE #a, #d");
    }

    #[test]
    fn an_attribute_is_assigned_once() {
        let path = || Path::new("a").member("b");
        let once = update().set(path(), 1_u64);
        assert!(
            once.clone().set(path(), 1_u64).checked().is_ok(),
            "the same again"
        );
        assert!(
            once.clone()
                .set(Path::new("a").member("c"), 2_u64)
                .checked()
                .is_ok()
        );
        assert!(once.clone().set(path(), 2_u64).checked().is_err());
        assert!(once.remove(path()).checked().is_err());
        let grows = || update().increase(path(), 1_u64);
        assert!(grows().checked().is_ok());
        assert!(grows().increase(path(), 1_u64).checked().is_err());
    }
}
