//! DynamoDB's own limit, which no emulator has: an item takes so many write units a second, and a
//! transaction that asks for more of one is cancelled.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::holding::items;

/// A transactional write of up to a kilobyte costs two units.
const UNITS_A_WRITE: f64 = 2.0;
/// How much of what was not used is kept for a moment.
const BURST: Duration = Duration::from_millis(100);

/// So many write units a second for each item.
#[derive(Debug)]
pub(crate) struct ItemLimit {
    units_per_second: f64,
    items: HashMap<String, Bucket>,
    refused: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: f64,
    filled_at: Instant,
}

impl ItemLimit {
    /// A limit.
    pub fn new(units_per_second: u32) -> Self {
        Self {
            units_per_second: f64::from(units_per_second),
            items: HashMap::new(),
            refused: 0,
        }
    }

    /// How many transactions were refused.
    pub const fn refused(&self) -> u32 {
        self.refused
    }

    /// The places of the items in the transaction `body` that have had their share; where there are
    /// none, its units are spent.
    pub fn spend(&mut self, body: &Value, now: Instant) -> Vec<usize> {
        let keys = items(body);
        let most = (self.units_per_second * BURST.as_secs_f64()).max(UNITS_A_WRITE);
        let rate = self.units_per_second;
        let full = Bucket {
            units: most,
            filled_at: now,
        };
        for key in &keys {
            let bucket = self.items.entry(key.clone()).or_insert(full);
            let since = now
                .saturating_duration_since(bucket.filled_at)
                .as_secs_f64();
            *bucket = Bucket {
                units: since.mul_add(rate, bucket.units).min(most),
                filled_at: now,
            };
        }
        let has_share = |key: &String| {
            self.items
                .get(key)
                .is_some_and(|bucket| bucket.units >= UNITS_A_WRITE)
        };
        let short: Vec<usize> = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !has_share(key))
            .map(|(place, _)| place)
            .collect();
        if short.is_empty() {
            for key in keys {
                self.items
                    .entry(key)
                    .and_modify(|bucket| bucket.units -= UNITS_A_WRITE);
            }
        } else {
            self.refused += 1;
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment does to begin with")]
    fn an_item_takes_so_many_units_a_second_and_another_is_not_held_up() {
        let mut limit = ItemLimit::new(1_000);
        let write = |pk: &str| json!({"TransactItems": [{"Update": {"Key": {"pk": {"S": pk}, "sk": {"S": "BALANCE"}}}}]});
        let start = Instant::now();
        let taken = |limit: &mut ItemLimit, pk: &str, at: Instant| {
            (0..1_000)
                .filter(|_| limit.spend(&write(pk), at).is_empty())
                .count()
        };
        assert_eq!(
            taken(&mut limit, "BALANCE#a#0", start),
            50,
            "a tenth of a second's"
        );
        assert_eq!(taken(&mut limit, "BALANCE#a#1", start), 50);
        assert_eq!(
            taken(&mut limit, "BALANCE#a#0", start + Duration::from_millis(50)),
            25
        );
        assert!(limit.refused() > 0);
    }
}
