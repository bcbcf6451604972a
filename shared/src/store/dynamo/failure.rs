//! What can become of a request to DynamoDB that did not succeed. The only place that looks into
//! the SDK's errors.

use crate::kernel::cause;
use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use aws_sdk_dynamodb::types::CancellationReason;

use super::{Item, Key};

/// How the messages of what does not fit begin, serde's and then the adapter's. Most go on with the
/// value.
const KINDS: [&str; 13] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "missing field",
    "unknown field",
    "unknown variant",
    "duplicate field",
    "Expected string",
    "Expected num",
    "Expected bool",
    "Expected map",
    "Expected seq",
    "Failed to parse",
];

/// The reasons of a cancelled transaction that pass by themselves.
const PASSING: [&str; 3] = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];
const WRITING: &str = "writing a transaction";

/// Why a read or a write had no effect that we know of.
pub enum Failure {
    /// Conditions did not hold: those of the writes to these items.
    Condition(Stood),
    /// Another transaction held one of the items: to be tried again, from the read on.
    Conflict,
    /// DynamoDB did not answer, refused to, or answered what we cannot read.
    Unavailable(Unavailable),
}

/// The items that stood where the conditions of a request's writes did not hold, by their keys,
/// which are one each within a request. An item is empty where there was none.
#[derive(Clone)]
pub struct Stood(Vec<(Key, Item)>);

impl Stood {
    /// Of one write.
    pub(super) fn of(key: Key, item: Option<Item>) -> Self {
        Self(vec![(key, item.unwrap_or_default())])
    }

    /// What stood at `key`, where that condition did not hold.
    pub fn at(&self, key: &Key) -> Option<&Item> {
        self.0
            .iter()
            .find(|(at, _)| at == key)
            .map(|(_, item)| item)
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = (&Key, &Item)> {
        self.0.iter().map(|(key, item)| (key, item))
    }
}

/// What went wrong inside: for the log. It has no `Display`, so that it does not end up in an
/// answer.
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
        Self::Unavailable(Unavailable {
            doing,
            cause: cause.to_string(),
        })
    }

    /// The failure to read an item as a `wanted`.
    pub(super) fn unreadable(wanted: &str, error: &serde_dynamo::Error) -> Self {
        Self::unavailable("reading an item", &format!("{wanted}: {}", kind(error)))
    }

    /// The failure to put what is to be written into DynamoDB's form.
    pub(super) fn unwritable(doing: &'static str, error: &serde_dynamo::Error) -> Self {
        Self::unavailable(doing, &kind(error))
    }

    /// The item that stood where the one write of a request found its condition unmet.
    pub fn stood(&self) -> Option<&Item> {
        match self {
            Self::Condition(stood) => stood.each().next().map(|(_, item)| item),
            Self::Conflict | Self::Unavailable(_) => None,
        }
    }

    /// The item that stood at `key` where a write found its condition unmet, or `None` if that
    /// condition held, or none stood in the way.
    pub fn stood_at(&self, key: &Key) -> Option<&Item> {
        match self {
            Self::Condition(stood) => stood.at(key),
            Self::Conflict | Self::Unavailable(_) => None,
        }
    }

    pub(super) fn of_update(key: Key, error: SdkError<UpdateItemError>) -> Self {
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => {
                    Self::Condition(Stood::of(key, failed.item))
                }
                UpdateItemError::TransactionConflictException(_) => Self::Conflict,
                other => Self::unavailable("updating an item", &cause(&other)),
            },
            other => Self::of(&other, "updating an item"),
        }
    }

    pub(super) fn of_delete(key: Key, error: SdkError<DeleteItemError>) -> Self {
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                DeleteItemError::ConditionalCheckFailedException(failed) => {
                    Self::Condition(Stood::of(key, failed.item))
                }
                DeleteItemError::TransactionConflictException(_) => Self::Conflict,
                other => Self::unavailable("removing an item", &cause(&other)),
            },
            other => Self::of(&other, "removing an item"),
        }
    }

    /// `keys` are those of the writes, in order, as DynamoDB tells its reasons.
    pub(super) fn of_transaction(keys: Vec<Key>, error: SdkError<TransactWriteItemsError>) -> Self {
        match error {
            SdkError::ServiceError(answer) => match answer.into_err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    Self::of_cancellation(keys, cancelled.cancellation_reasons.unwrap_or_default())
                }
                other => Self::unavailable(WRITING, &cause(&other)),
            },
            other => Self::of(&other, WRITING),
        }
    }

    /// The failure of a transaction that was cancelled for these reasons, one for each of the keys.
    fn of_cancellation(keys: Vec<Key>, reasons: Vec<CancellationReason>) -> Self {
        let code = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
        if code("ConditionalCheckFailed") {
            let failed = keys
                .into_iter()
                .zip(reasons)
                .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
            let stood = failed.map(|(key, reason)| (key, reason.item.unwrap_or_default()));
            return Self::Condition(Stood(stood.collect()));
        }
        // The SDK does not repeat a cancelled transaction; nothing of it was done.
        if PASSING.into_iter().any(code) {
            return Self::Conflict;
        }
        let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason.code()).collect();
        Self::unavailable(WRITING, &codes.join(", "))
    }

    /// The failure of a read of several items at one instant: where a transaction writes one of
    /// them, it is to be tried again.
    pub(super) fn of_reading_together(error: &SdkError<TransactGetItemsError>) -> Self {
        const DOING: &str = "getting items together";
        match error.as_service_error() {
            Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
                let codes: Vec<&str> = cancelled
                    .cancellation_reasons()
                    .iter()
                    .filter_map(|reason| reason.code())
                    .collect();
                if codes.iter().any(|code| PASSING.contains(code)) {
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

/// Whether the very transaction that is asked for is still under way: it may take effect, and its
/// outcome is told to whoever asks again.
pub(super) fn is_under_way(error: &SdkError<TransactWriteItemsError>) -> bool {
    error
        .as_service_error()
        .is_some_and(TransactWriteItemsError::is_transaction_in_progress_exception)
}

/// Which conditions failed, by the noun of the item. Never the items that stood there, nor their
/// whole keys: they hold hashes, MACs, phones and addresses, and this is logged.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(stood) => {
                let nouns: Vec<&str> = stood.each().map(|(key, _)| key.noun()).collect();
                f.debug_struct("Condition").field("failed", &nouns).finish()
            }
            Self::Conflict => f.write_str("Conflict"),
            Self::Unavailable(inner) => inner.fmt(f),
        }
    }
}

/// What kind of error it is. Its message is not told: it may quote the value that did not fit.
fn kind(error: &serde_dynamo::Error) -> &'static str {
    let message = error.to_string();
    KINDS
        .into_iter()
        .find(|kind| message.starts_with(kind))
        .unwrap_or("a value of another form")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::types::AttributeValue;
    use serde::Deserialize;

    use super::*;
    use crate::store::dynamo::read;
    use crate::web::http::Problem;

    const SECRET: &str = "$argon2id$v=19$c2VjcmV0";

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only reading it is tried")]
    struct Stored {
        #[serde(flatten)]
        count: Count,
        kind: StoredKind,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only reading it is tried")]
    struct Count {
        attempts: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum StoredKind {
        Internal,
    }

    fn item(attempts: AttributeValue, kind: &str) -> Item {
        Item::from([
            ("attempts".into(), attempts),
            ("kind".into(), AttributeValue::S(kind.into())),
        ])
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_kind_and_never_by_its_value() {
        let text = |text: &str| AttributeValue::S(text.into());
        let number = |text: &str| AttributeValue::N(text.into());
        let unreadable = [
            (item(text(SECRET), "internal"), "invalid type"),
            (item(number("1"), SECRET), "unknown variant"),
            (item(number(SECRET), "internal"), "Failed to parse"),
            (
                Item::from([("attempts".into(), number("1"))]),
                "missing field",
            ),
        ];
        for (item, kind) in unreadable {
            let Err(failure) = read::<Stored>(item) else {
                panic!("{kind}: it was read")
            };
            let shown = format!("{failure:?}");
            let Failure::Unavailable(inner) = failure else {
                panic!("{shown}")
            };
            assert_eq!(
                inner.cause,
                format!("{}: {kind}", std::any::type_name::<Stored>())
            );
            assert!(
                shown.contains(&inner.cause) && !shown.contains(SECRET),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_failure_shows_nouns_and_no_item() {
        let stood = item(AttributeValue::S(SECRET.into()), "+12025550100");
        let name = Key::new(format!("NAME#{SECRET}"), "FAILURES");
        let failure = Failure::Condition(Stood::of(name, Some(stood)));
        assert_eq!(format!("{failure:?}"), "Condition { failed: [\"NAME\"] }");
        assert_eq!(format!("{:?}", Failure::Conflict), "Conflict");
    }

    #[test]
    fn what_is_logged_of_an_unreadable_item_has_no_value() {
        let log = logged(|| {
            let failure =
                read::<Stored>(item(AttributeValue::S(SECRET.into()), "internal")).unwrap_err();
            tracing::warn!(?failure, "tried");
            drop(Problem::from(failure));
        });
        assert!(
            log.contains("invalid type") && log.contains("DynamoDB request failed"),
            "{log}"
        );
        assert!(!log.contains(SECRET), "{log}");
    }

    /// What `act` writes into the log.
    fn logged(act: impl FnOnce()) -> String {
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
