//! The table's definition, as the local stack and the tests create it. `infra/template.yaml` has
//! the same; a test compares them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use super::{Failure, keys};

/// Creates the table where it does not exist yet.
pub async fn create_table(client: &Client, name: &str) -> Result<(), Failure> {
    let request = definition(client, name)
        .map_err(|error| Failure::unavailable("defining the table", &error))?;
    match request.send().await {
        Err(error)
            if !error
                .as_service_error()
                .is_some_and(aws_sdk_dynamodb::operation::create_table::CreateTableError::is_resource_in_use_exception) =>
        {
            Err(Failure::unavailable("creating the table", &DisplayErrorContext(error)))
        }
        _ => Ok(()),
    }
}

fn definition(
    client: &Client,
    name: &str,
) -> Result<aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder, BuildError>
{
    let text = ScalarAttributeType::S;
    Ok(client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(keys::PK, text.clone())?)
        .attribute_definitions(attribute(keys::SK, text.clone())?)
        .attribute_definitions(attribute(keys::LISTING_PK, text.clone())?)
        .attribute_definitions(attribute(keys::LISTING_SK, text.clone())?)
        .attribute_definitions(attribute(keys::DUE_PK, text)?)
        .attribute_definitions(attribute(keys::DUE_SK, ScalarAttributeType::N)?)
        .key_schema(key(keys::PK, KeyType::Hash)?)
        .key_schema(key(keys::SK, KeyType::Range)?)
        .global_secondary_indexes(index(keys::LISTING, keys::LISTING_PK, keys::LISTING_SK)?)
        .global_secondary_indexes(index(keys::DUE, keys::DUE_PK, keys::DUE_SK)?))
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
}

/// A sparse index that holds keys alone: what it costs to keep does not grow with the item.
fn index(name: &str, hash: &str, range: &str) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash)?)
        .key_schema(key(range, KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
}
