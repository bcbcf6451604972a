//! What can become of a request to DynamoDB that did not succeed. The only place that looks into the SDK's errors.

use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::Item;

/// Why a read or a write had no effect that we know of.
#[derive(Debug)]
pub enum Failure {
    /// A condition did not hold. For each write of the request, in order: `Some` where its condition failed, with the item
    /// that stood there (empty where there was none).
    Condition(Vec<Option<Item>>),
    /// Another transaction held one of the items: to be tried again, from the read on.
    Conflict,
    /// DynamoDB did not answer, refused to, or answered what we cannot read.
    Unavailable(Unavailable),
}

/// What went wrong inside: for the log. It has no `Display`, so that it does not end up in an answer.
#[derive(Debug)]
pub struct Unavailable {
    /// What was being done.
    pub doing: &'static str,
    /// The chain of causes, without any value of an item.
    pub cause: String,
}

impl Failure {
    /// The failure of `doing` for a reason that no caller can mend.
    pub fn unavailable(doing: &'static str, cause: &impl fmt::Display) -> Self {
        Self::Unavailable(Unavailable { doing, cause: cause.to_string() })
    }

    /// The item that stood where write number `index` found its condition unmet, or `None` if that condition held.
    pub fn stood_at(&self, index: usize) -> Option<&Item> {
        match self {
            Self::Condition(reasons) => reasons.get(index).and_then(Option::as_ref),
            Self::Conflict | Self::Unavailable(_) => None,
        }
    }

    pub(super) fn of_update(error: SdkError<UpdateItemError>) -> Self {
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => {
                    Self::Condition(vec![Some(failed.item.unwrap_or_default())])
                }
                UpdateItemError::TransactionConflictException(_) => Self::Conflict,
                other => Self::unavailable("updating an item", &cause(&other)),
            },
            other => Self::of(&other, "updating an item"),
        }
    }

    pub(super) fn of_delete(error: SdkError<DeleteItemError>) -> Self {
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                DeleteItemError::ConditionalCheckFailedException(failed) => {
                    Self::Condition(vec![Some(failed.item.unwrap_or_default())])
                }
                DeleteItemError::TransactionConflictException(_) => Self::Conflict,
                other => Self::unavailable("removing an item", &cause(&other)),
            },
            other => Self::of(&other, "removing an item"),
        }
    }

    pub(super) fn of_transaction(error: SdkError<TransactWriteItemsError>) -> Self {
        const DOING: &str = "writing a transaction";
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                    let code = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
                    if code("ConditionalCheckFailed") {
                        let failed = |reason: &aws_sdk_dynamodb::types::CancellationReason| {
                            (reason.code() == Some("ConditionalCheckFailed")).then(|| reason.item().cloned().unwrap_or_default())
                        };
                        Self::Condition(reasons.iter().map(failed).collect())
                    } else if code("TransactionConflict") || code("ThrottlingError") || code("ProvisionedThroughputExceeded") {
                        // The SDK does not repeat a cancelled transaction; nothing of it was done.
                        Self::Conflict
                    } else {
                        let codes = reasons.iter().filter_map(|reason| reason.code()).collect::<Vec<_>>();
                        Self::unavailable(DOING, &codes.join(", "))
                    }
                }
                TransactWriteItemsError::TransactionInProgressException(_) => Self::Conflict,
                other => Self::unavailable(DOING, &cause(&other)),
            },
            other => Self::of(&other, DOING),
        }
    }

    /// The failure of a read of several items at one instant: where a transaction writes one of them, it is to be tried again.
    pub(super) fn of_reading_together(error: &SdkError<TransactGetItemsError>) -> Self {
        const DOING: &str = "getting items together";
        match error.as_service_error() {
            Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
                let codes: Vec<&str> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
                let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
                if codes.iter().any(|code| passing.contains(code)) {
                    Self::Conflict
                } else {
                    Self::unavailable(DOING, &codes.join(", "))
                }
            }
            _ => Self::of(error, DOING),
        }
    }

    /// The failure of a read, or of anything else without a condition.
    pub(super) fn of<E>(error: &SdkError<E>, doing: &'static str) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        Self::unavailable(doing, &cause(error))
    }
}

/// What went wrong, by the messages of its chain of causes. Never the `Debug` form: that shows whole answers, and with them items.
pub fn cause(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
