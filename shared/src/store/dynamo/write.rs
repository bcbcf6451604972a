//! One write and the condition it stands under.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete as SdkDelete, Put as SdkPut,
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
};
use serde::Serialize;

use super::condition::Condition;
use super::keys::{self, Key};
use super::path::Path;
use super::placeholders::Placeholders;
use super::update::Update;
use super::value::IntoValue;
use super::{Failure, Item};
use crate::kernel::clock::{Span, Timestamp};

/// How long after an item is no longer of use DynamoDB's own TTL may take it, should the clean-up
/// not have.
const TTL_GRACE: Span = Span::days(2);

/// One write of a transaction.
#[derive(Clone, Debug)]
pub enum Write {
    /// The item as a whole.
    Put(Put),
    /// Some of its attributes.
    Update(Update),
    /// Its removal.
    Delete(Delete),
}

impl Write {
    /// Which item it writes.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.key,
            Self::Update(update) => &update.key,
            Self::Delete(delete) => &delete.key,
        }
    }

    /// Under this condition, and those given before.
    #[must_use]
    pub fn when(self, condition: Condition) -> Self {
        match self {
            Self::Put(put) => Self::Put(put.when(condition)),
            Self::Update(update) => Self::Update(update.when(condition)),
            Self::Delete(delete) => Self::Delete(delete.when(condition)),
        }
    }

    pub(super) fn into_part(self, table: &str) -> Result<TransactWriteItem, Failure> {
        let part = TransactWriteItem::builder();
        let part = match self {
            Self::Put(put) => part.put(put.into_part(table)?),
            Self::Update(update) => {
                update.checked()?;
                part.update(update.into_part(table)?)
            }
            Self::Delete(delete) => part.delete(delete.into_part(table)?),
        };
        Ok(part.build())
    }
}

impl From<Put> for Write {
    fn from(put: Put) -> Self {
        Self::Put(put)
    }
}

impl From<Update> for Write {
    fn from(update: Update) -> Self {
        Self::Update(update)
    }
}

impl From<Delete> for Write {
    fn from(delete: Delete) -> Self {
        Self::Delete(delete)
    }
}

/// Puts an item, as a whole.
#[derive(Clone, Debug)]
pub struct Put {
    key: Key,
    item: Item,
    condition: Option<Condition>,
}

impl Put {
    /// Puts a new item: its condition is that none stands there.
    pub fn create(key: Key, item: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self::replace(key, item)?.when(Condition::item_is_absent()))
    }

    /// Puts an item, whatever stands there unless [`Put::when`] says otherwise.
    pub fn replace(key: Key, item: &impl Serialize) -> Result<Self, Failure> {
        let item = serde_dynamo::to_item(item)
            .map_err(|error| Failure::unwritable("writing an item", &error))?;
        Ok(Self {
            key,
            item,
            condition: None,
        })
    }

    /// Under this condition, and those given before.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(joined(self.condition, condition));
        self
    }

    /// Enters the item in the listing `list`.
    #[must_use]
    pub fn listed(self, list: String, id: String) -> Self {
        self.with(keys::LISTING_PK, list).with(keys::LISTING_SK, id)
    }

    /// Lets the clean-up look at the item at `due`, and DynamoDB's TTL take it some days after.
    #[must_use]
    pub fn due(self, due: Timestamp) -> Self {
        self.look_at(due).with(keys::TTL, ttl(due))
    }

    /// Lets the clean-up look at the item at `at`; DynamoDB's TTL never takes it.
    #[must_use]
    pub fn look_at(self, at: Timestamp) -> Self {
        let shard = self.key.due_shard();
        self.with(keys::DUE_PK, shard).with(keys::DUE_SK, at)
    }

    fn with(mut self, attribute: &str, value: impl IntoValue) -> Self {
        self.item.insert(attribute.to_owned(), value.into_value());
        self
    }

    /// The item that it puts, with its key.
    pub(super) fn whole(&self) -> Item {
        let mut item = self.item.clone();
        item.extend(self.key.clone().into_item());
        item
    }

    fn into_part(self, table: &str) -> Result<SdkPut, Failure> {
        let mut placeholders = Placeholders::default();
        let item = self.whole();
        let condition = self
            .condition
            .map(|condition| condition.render(&mut placeholders));
        let part = SdkPut::builder()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        built(part.build())
    }
}

/// Removes an item.
#[derive(Clone, Debug)]
pub struct Delete {
    key: Key,
    condition: Option<Condition>,
}

impl Delete {
    /// Removes the item at `key`.
    pub const fn of(key: Key) -> Self {
        Self {
            key,
            condition: None,
        }
    }

    /// Which item it removes.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Under this condition, and those given before.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(joined(self.condition, condition));
        self
    }

    /// Under the condition that the item is of no more use at `now`, by its TTL attribute.
    #[must_use]
    pub fn when_over(self, now: Timestamp) -> Self {
        self.when(Path::new(keys::TTL).is_at_most(ttl(now)))
    }

    fn into_part(self, table: &str) -> Result<SdkDelete, Failure> {
        let mut placeholders = Placeholders::default();
        let condition = self
            .condition
            .map(|condition| condition.render(&mut placeholders));
        let part = SdkDelete::builder()
            .table_name(table)
            .set_key(Some(self.key.into_item()))
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        built(part.build())
    }

    pub(super) fn into_request(self, request: DeleteItemFluentBuilder) -> DeleteItemFluentBuilder {
        let mut placeholders = Placeholders::default();
        let condition = self
            .condition
            .map(|condition| condition.render(&mut placeholders));
        request
            .set_key(Some(self.key.into_item()))
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}

impl Key {
    pub(super) fn into_item(self) -> Item {
        Item::from([
            (keys::PK.into(), AttributeValue::S(self.pk)),
            (keys::SK.into(), AttributeValue::S(self.sk)),
        ])
    }
}

/// Both conditions, where there was one before.
pub(super) fn joined(before: Option<Condition>, condition: Condition) -> Condition {
    match before {
        Some(before) => before.and(condition),
        None => condition,
    }
}

/// What the SDK's builders say of a part that lacks something: never, as they are used here.
pub(super) fn built<T>(part: Result<T, BuildError>) -> Result<T, Failure> {
    part.map_err(|error| Failure::unavailable("building a write", &error))
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
