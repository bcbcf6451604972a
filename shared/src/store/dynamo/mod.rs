//! DynamoDB: the table handle, every key, the writes and their conditions, and the one place that
//! reads an SDK error.

mod condition;
mod failure;
mod find;
pub mod keys;
pub mod meter;
mod next;
mod path;
mod placeholders;
mod retry;
mod schema;
mod table;
mod update;
mod value;
mod write;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

pub use condition::{Comparison, Condition};
pub use failure::{Failure, Stood, Unavailable};
pub use find::{KeyOf, OrDefault, Wanted};
pub use keys::Key;
pub use meter::Meter;
pub use next::Stored;
pub use path::Path;
pub use retry::RetryPolicy;
pub use schema::create_table;
pub use table::{Page, Table};
pub use update::Update;
pub use value::{IntoValue, document, empty_map};
pub use write::{Delete, Put, Write, ends_at, ttl};

/// An item as it is stored.
pub type Item = HashMap<String, AttributeValue>;

/// Reads an item into its type.
///
/// An item that does not fit its type was written by another version or by hand: that is a fault of
/// ours and not of the caller.
pub fn read<T: DeserializeOwned>(item: Item) -> Result<T, Failure> {
    serde_dynamo::from_item(item)
        .map_err(|error| Failure::unreadable(std::any::type_name::<T>(), &error))
}
