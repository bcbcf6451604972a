//! One write and the condition it stands under.
//!
//! In the texts of updates and conditions every attribute is written `#name` and every value
//! `:name`, always: DynamoDB's list of reserved words grows. The `#name`s that are not given with
//! [`Write::name`] stand for themselves.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure as OnFailure,
    TransactWriteItem, Update,
};
use serde::Serialize;

use super::keys::{self, Key};
use super::{Failure, Item};
use crate::kernel::clock::{Span, Timestamp};

/// How long after an item is no longer of use DynamoDB's own TTL may take it, should the clean-up
/// not have.
const TTL_GRACE: Span = Span::days(2);

/// One write of a transaction, or a write of its own.
#[derive(Clone, Debug)]
pub struct Write {
    effect: Effect,
    pub(super) key: Key,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    /// A placeholder that was given two meanings: one of the two authors would be overruled, in
    /// silence.
    clash: Option<String>,
}

#[derive(Clone, Debug)]
enum Effect {
    Put(Item),
    Update { set: String, remove: Vec<String> },
    Delete,
}

impl Write {
    /// Puts a new item: its condition is that none stands there.
    pub fn create(key: Key, item: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self::replace(key, item)?.when("attribute_not_exists(#pk)"))
    }

    /// Puts an item, whatever stands there unless [`Write::when`] says otherwise.
    pub fn replace(key: Key, item: &impl Serialize) -> Result<Self, Failure> {
        let item = serde_dynamo::to_item(item)
            .map_err(|error| Failure::unwritable("writing an item", &error))?;
        Ok(Self::new(key, Effect::Put(item)))
    }

    /// Changes an item: `SET #a = :a ...`.
    pub fn update(key: Key, update: impl Into<String>) -> Self {
        Self::new(
            key,
            Effect::Update {
                set: update.into(),
                remove: Vec::new(),
            },
        )
    }

    /// Removes an item.
    pub fn delete(key: Key) -> Self {
        Self::new(key, Effect::Delete)
    }

    fn new(key: Key, effect: Effect) -> Self {
        Self {
            effect,
            key,
            condition: None,
            names: HashMap::new(),
            values: HashMap::new(),
            clash: None,
        }
    }

    /// Which item it writes.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Under this condition, and those given before.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        let condition = condition.into();
        self.condition = Some(match self.condition.take() {
            Some(before) => format!("({before}) AND ({condition})"),
            None => condition,
        });
        self
    }

    /// Adds to the text of an update: `, #b = :b`.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        if let Effect::Update { set, .. } = &mut self.effect {
            set.push_str(more);
        }
        self
    }

    /// Adds to an update that the attribute at `path` is removed.
    #[must_use]
    pub fn remove(mut self, path: impl Into<String>) -> Self {
        if let Effect::Update { remove, .. } = &mut self.effect {
            remove.push(path.into());
        }
        self
    }

    /// What `:name` stands for: one value. A write in which it is given another is not made.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl IntoValue) -> Self {
        let (name, value) = (format!(":{name}"), value.into_value());
        if self
            .values
            .get(&name)
            .is_some_and(|before| *before != value)
        {
            self.clash = Some(name.clone());
        }
        self.values.insert(name, value);
        self
    }

    /// What `#name` stands for, where that is not `name`: one attribute. A write in which it is
    /// given another is not made.
    #[must_use]
    pub fn name(mut self, name: &str, attribute: impl Into<String>) -> Self {
        let (name, attribute) = (format!("#{name}"), attribute.into());
        if self
            .names
            .get(&name)
            .is_some_and(|before| *before != attribute)
        {
            self.clash = Some(name.clone());
        }
        self.names.insert(name, attribute);
        self
    }

    /// Whether each placeholder stands for one thing.
    pub(super) fn checked(self) -> Result<Self, Failure> {
        match &self.clash {
            Some(placeholder) => Err(Failure::unavailable(
                "writing",
                &format!("{placeholder} stands for two things"),
            )),
            None => Ok(self),
        }
    }

    /// Enters a new item in the listing `list`.
    #[must_use]
    pub fn listed(mut self, list: String, id: String) -> Self {
        if let Effect::Put(item) = &mut self.effect {
            item.insert(keys::LISTING_PK.into(), AttributeValue::S(list));
            item.insert(keys::LISTING_SK.into(), AttributeValue::S(id));
        }
        self
    }

    /// Lets the clean-up look at a new item at `due`, and DynamoDB's TTL take it some days after.
    #[must_use]
    pub fn due(mut self, due: Timestamp) -> Self {
        let shard = self.key.due_shard();
        if let Effect::Put(item) = &mut self.effect {
            item.insert(keys::DUE_PK.into(), AttributeValue::S(shard));
            item.insert(keys::DUE_SK.into(), number(due.as_millis()));
            item.insert(keys::TTL.into(), number(ttl(due)));
        }
        self
    }

    /// Lets the clean-up look at the item at `at`, whenever it was to look at it before; DynamoDB's
    /// TTL never takes it.
    #[must_use]
    pub fn look_at(mut self, at: Timestamp) -> Self {
        let shard = self.key.due_shard();
        if let Effect::Put(item) = &mut self.effect {
            item.insert(keys::DUE_PK.into(), AttributeValue::S(shard));
            item.insert(keys::DUE_SK.into(), number(at.as_millis()));
            return self;
        }
        self.and(", #due_shard = :look_shard, #due_at = :look_at")
            .value("look_shard", shard)
            .value("look_at", at)
    }

    /// Adds to an update that the clean-up is to look at the item at `due`, or when it was to look
    /// at it already: moving the moment each time would cost a write of the index each time, and
    /// the clean-up moves it itself where it comes too early.
    #[must_use]
    pub fn set_due(self, due: Timestamp) -> Self {
        let shard = self.key.due_shard();
        self.and(", #due_shard = if_not_exists(#due_shard, :due_shard), #due_at = if_not_exists(#due_at, :due_at)")
            .value("due_shard", shard)
            .value("due_at", due)
    }

    /// Adds to an update that the item is of no more use at `due`: the clean-up removes it, or
    /// DynamoDB's TTL some days after.
    #[must_use]
    pub fn set_expiry(self, due: Timestamp) -> Self {
        self.set_due(due).set_ttl(due)
    }

    /// Adds to an update that DynamoDB's TTL may take the item some days after `due`.
    #[must_use]
    pub fn set_ttl(self, due: Timestamp) -> Self {
        self.and(", #ttl = :ttl").value("ttl", ttl(due))
    }

    /// The attributes named in the texts of this write.
    fn names(&self) -> HashMap<String, String> {
        let update = self.effect.expression();
        let texts = [
            update.as_str(),
            self.condition.as_deref().unwrap_or_default(),
        ];
        let mut names = self.names.clone();
        for name in texts.iter().flat_map(|text| placeholders(text)) {
            names
                .entry(format!("#{name}"))
                .or_insert_with(|| name.to_owned());
        }
        names
    }

    pub(super) fn into_transaction(self) -> Result<TransactWriteItem, Failure> {
        let names = Some(self.names()).filter(|names| !names.is_empty());
        let values = Some(self.values).filter(|values| !values.is_empty());
        let update = self.effect.expression();
        let condition = self.condition;
        let part = TransactWriteItem::builder();
        let part = match self.effect {
            Effect::Put(mut item) => {
                item.extend(self.key.into_item());
                let put = Put::builder()
                    .set_item(Some(item))
                    .set_condition_expression(condition);
                let put = put
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                part.put(built(
                    put.return_values_on_condition_check_failure(OnFailure::AllOld),
                )?)
            }
            Effect::Update { .. } => {
                let of = Update::builder()
                    .set_key(Some(self.key.into_item()))
                    .update_expression(update);
                let of = of
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names);
                let of = of.set_expression_attribute_values(values);
                part.update(built(
                    of.return_values_on_condition_check_failure(OnFailure::AllOld),
                )?)
            }
            Effect::Delete => {
                let delete = Delete::builder()
                    .set_key(Some(self.key.into_item()))
                    .set_condition_expression(condition);
                let delete = delete
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                part.delete(built(
                    delete.return_values_on_condition_check_failure(OnFailure::AllOld),
                )?)
            }
        };
        Ok(part.build())
    }

    pub(super) fn into_update(self, request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let names = Some(self.names()).filter(|names| !names.is_empty());
        let values = Some(self.values).filter(|values| !values.is_empty());
        request
            .set_key(Some(self.key.into_item()))
            .update_expression(self.effect.expression())
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }

    pub(super) fn into_delete(self, request: DeleteItemFluentBuilder) -> DeleteItemFluentBuilder {
        let names = Some(self.names()).filter(|names| !names.is_empty());
        request
            .set_key(Some(self.key.into_item()))
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}

impl Effect {
    /// The text of an update.
    fn expression(&self) -> String {
        match self {
            Self::Update { set, remove } => {
                // An update that only had assignments added to it begins with a comma.
                let set = set
                    .strip_prefix(", ")
                    .map_or_else(|| set.clone(), |rest| format!("SET {rest}"));
                let remove = if remove.is_empty() {
                    String::new()
                } else {
                    format!("REMOVE {}", remove.join(", "))
                };
                format!("{set} {remove}").trim().to_owned()
            }
            Self::Put(_) | Self::Delete => String::new(),
        }
    }
}

/// The SDK's builders all end in `build()`, each of its own type.
trait Built {
    type Output;
    fn finish(self) -> Result<Self::Output, BuildError>;
}

macro_rules! built_by {
    ($($builder:ident $output:ident),*) => {$(
        impl Built for aws_sdk_dynamodb::types::builders::$builder {
            type Output = $output;
            fn finish(self) -> Result<$output, BuildError> {
                self.table_name("").build()
            }
        }
    )*};
}
built_by!(PutBuilder Put, UpdateBuilder Update, DeleteBuilder Delete);

fn built<B: Built>(builder: B) -> Result<B::Output, Failure> {
    builder
        .finish()
        .map_err(|error| Failure::unavailable("building a write", &error))
}

impl Key {
    pub(super) fn into_item(self) -> Item {
        Item::from([
            (keys::PK.into(), AttributeValue::S(self.pk)),
            (keys::SK.into(), AttributeValue::S(self.sk)),
        ])
    }
}

/// A value that an expression may carry.
pub trait IntoValue {
    /// The value as DynamoDB has it.
    fn into_value(self) -> AttributeValue;
}

impl IntoValue for &str {
    fn into_value(self) -> AttributeValue {
        AttributeValue::S(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> AttributeValue {
        AttributeValue::S(self)
    }
}

impl IntoValue for &[&str] {
    fn into_value(self) -> AttributeValue {
        AttributeValue::L(self.iter().map(|text| text.into_value()).collect())
    }
}

impl IntoValue for bool {
    fn into_value(self) -> AttributeValue {
        AttributeValue::Bool(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> AttributeValue {
        number(self)
    }
}

impl IntoValue for u64 {
    fn into_value(self) -> AttributeValue {
        AttributeValue::N(self.to_string())
    }
}

impl IntoValue for u32 {
    fn into_value(self) -> AttributeValue {
        AttributeValue::N(self.to_string())
    }
}

impl IntoValue for Timestamp {
    fn into_value(self) -> AttributeValue {
        number(self.as_millis())
    }
}

impl IntoValue for Vec<Timestamp> {
    fn into_value(self) -> AttributeValue {
        AttributeValue::L(self.into_iter().map(IntoValue::into_value).collect())
    }
}

impl IntoValue for AttributeValue {
    fn into_value(self) -> AttributeValue {
        self
    }
}

/// A serialisable value as DynamoDB has it: for the maps and lists that an expression sets.
pub fn document(value: &impl Serialize) -> Result<AttributeValue, Failure> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|error| Failure::unwritable("writing a value", &error))
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What the TTL attribute says of an item that is of no more use at `due`.
pub const fn ttl(due: Timestamp) -> i64 {
    due.plus(TTL_GRACE).as_secs()
}

/// When an item is of no more use, as its TTL attribute says.
pub fn ends_at(item: &Item) -> Option<Timestamp> {
    let seconds: i64 = item.get(keys::TTL)?.as_n().ok()?.parse().ok()?;
    // The second is rounded down: the item is over for certain a second later.
    Some(Timestamp::from_millis(seconds.saturating_add(1).saturating_mul(1000)).minus(TTL_GRACE))
}

/// The `#name`s of a text, without the `#`.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('#').skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_of_the_texts_is_named() {
        let key = keys::client_ip_sends("192.0.2.1");
        let write = Write::update(key, "SET #challenges.#c.#used_at = :now")
            .when("#status = :open")
            .name("c", "xyz");
        let names = write.names();
        assert_eq!(
            names.get("#challenges").map(String::as_str),
            Some("challenges")
        );
        assert_eq!(names.get("#c").map(String::as_str), Some("xyz"));
        assert_eq!(names.get("#used_at").map(String::as_str), Some("used_at"));
        assert_eq!(names.get("#status").map(String::as_str), Some("status"));
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn a_placeholder_stands_for_one_thing() {
        let write = || {
            Write::update(keys::client_ip_sends("::1"), "SET #a = :a, #b = :b").value("a", 1_u64)
        };
        assert!(
            write()
                .value("b", 2_u64)
                .value("a", 1_u64)
                .checked()
                .is_ok(),
            "the same again"
        );
        assert!(write().value("a", 2_u64).checked().is_err());
        assert!(write().name("a", "x").name("a", "x").checked().is_ok());
        assert!(write().name("a", "x").name("a", "y").checked().is_err());
    }

    #[test]
    fn conditions_are_joined() {
        let write = Write::delete(keys::client_ip_sends("::1"))
            .when("#a = :a OR #b = :b")
            .when("#c = :c");
        assert_eq!(
            write.condition.as_deref(),
            Some("(#a = :a OR #b = :b) AND (#c = :c)")
        );
    }
}
