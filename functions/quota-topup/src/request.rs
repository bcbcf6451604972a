//! What is asked for.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use shared::kernel::ids::{AccountId, TopupId};
use shared::ledger::{Balance, StaleRead};
use shared::web::http::{FieldError, Problem};
use utoipa::ToSchema;

use crate::Response;

/// The most in one top-up.
const TRANSACTIONS_MAX: u32 = 1_000_000;
/// The longest reference, in characters.
const REFERENCE_MAX: usize = 100;

/// Transactions that an account has bought.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateTopup)]
pub struct Request {
    /// The account.
    pub account: AccountId,
    /// How many: 1 to 1,000,000.
    #[schema(value_type = u32, example = 500, minimum = 1, maximum = 1_000_000)]
    pub transactions: Transactions,
    /// The operator's own name for it: an order, an invoice. 1 to 100 characters, none of them a
    /// control character.
    #[serde(default, deserialize_with = "shared::web::http::patch::given")]
    #[schema(
        example = "order 2026-1138",
        min_length = 1,
        max_length = 100,
        nullable = false
    )]
    pub reference: Option<String>,
}

/// A number of transactions, 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Transactions(u32);

impl Transactions {
    /// How many.
    pub const fn count(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Transactions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Transactions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number, 1 to {TRANSACTIONS_MAX}")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Transactions, E> {
                let count = u32::try_from(number)
                    .ok()
                    .filter(|count| (1..=TRANSACTIONS_MAX).contains(count));
                count
                    .map(Transactions)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
        }
        deserializer.deserialize_u64(Whole)
    }
}

impl Request {
    /// Refuses what no type can.
    pub fn check(&self) -> Result<(), Problem> {
        let Some(reference) = &self.reference else {
            return Ok(());
        };
        let detail = if reference.trim().is_empty() {
            "must not be empty"
        } else if reference.chars().count() > REFERENCE_MAX {
            "must have at most 100 characters"
        } else if reference.chars().any(char::is_control) {
            "must not contain control characters"
        } else {
            return Ok(());
        };
        Err(Problem::invalid(vec![FieldError::new(
            "/reference",
            detail,
        )]))
    }

    /// The answer, where this is what stood before.
    pub fn answer(&self, id: TopupId, seen: &StaleRead) -> Response {
        let bought = Balance {
            available: i64::from(self.transactions.count()),
            ..Balance::default()
        };
        Response {
            id,
            account: self.account,
            transactions: self.transactions.count(),
            reference: self.reference.clone(),
            quota: (seen.total() + bought).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_of_transactions_is_whole_and_in_range() {
        let read = |value: serde_json::Value| {
            serde_json::from_value::<Transactions>(value).map(Transactions::count)
        };
        assert_eq!(read(json!(1)).unwrap(), 1);
        assert_eq!(read(json!(1_000_000)).unwrap(), 1_000_000);
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1_000_001),
            json!(10_000_000_000_000_000_000_u64),
            json!("5"),
            json!(null),
        ] {
            let error = read(bad.clone()).unwrap_err().to_string();
            assert!(
                error.ends_with("expected a whole number, 1 to 1000000"),
                "{bad}: {error}"
            );
        }
    }
}
