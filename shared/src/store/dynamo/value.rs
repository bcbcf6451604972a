//! Values as DynamoDB has them.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::Failure;
use crate::kernel::clock::Timestamp;

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

impl IntoValue for &String {
    fn into_value(self) -> AttributeValue {
        AttributeValue::S(self.clone())
    }
}

impl IntoValue for bool {
    fn into_value(self) -> AttributeValue {
        AttributeValue::Bool(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> AttributeValue {
        AttributeValue::N(self.to_string())
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
        self.as_millis().into_value()
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
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

/// A map that nothing is in yet.
pub fn empty_map() -> AttributeValue {
    AttributeValue::M(std::collections::HashMap::new())
}
