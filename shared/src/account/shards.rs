//! How many shards an account's balance has.

use serde::{Deserialize, Serialize};

use crate::kernel::secret::Fingerprint;

/// The most shards: a reservation that has to take from all of them must still fit in a transaction
/// beside forty recipients.
pub const SHARDS_MAX: u8 = 8;
/// Who buys so many at once sells fast: at 200 sends a second they last five seconds, and one shard
/// bears a tenth of that rate well.
const BUSY_PURCHASE: u32 = 1_000;

/// How many shards an account's balance has. It only grows: what was written on a shard stays on
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shards(u8);

impl Default for Shards {
    fn default() -> Self {
        Self(1)
    }
}

impl Shards {
    /// So many, if that is 1 to [`SHARDS_MAX`].
    pub const fn new(count: u8) -> Option<Self> {
        if 1 <= count && count <= SHARDS_MAX {
            Some(Self(count))
        } else {
            None
        }
    }

    /// How many an account of so many has once it has bought `transactions` more at once.
    #[must_use]
    pub fn after_buying(self, transactions: u32) -> Self {
        if transactions >= BUSY_PURCHASE {
            Self(SHARDS_MAX)
        } else {
            self
        }
    }

    /// How many.
    pub const fn count(self) -> u8 {
        self.0
    }

    /// Each of them.
    pub fn each(self) -> impl DoubleEndedIterator<Item = u8> + Clone {
        0..self.0
    }

    /// The one at which the step with this id begins.
    pub fn of(self, id: &str) -> u8 {
        let [first, second, ..] = Fingerprint::of(id.as_bytes()).short();
        let drawn = u16::from_be_bytes([first, second]) % u16::from(self.0.max(1));
        u8::try_from(drawn).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spread_over_the_shards() {
        let shards = Shards::new(8).unwrap();
        let mut drawn = [0_u32; 8];
        for number in 0..8_000 {
            drawn[usize::from(shards.of(&format!("reserve.agr_{number}")))] += 1;
        }
        // Each is expected a thousand times with a standard deviation of thirty.
        assert!(
            drawn.iter().all(|count| count.abs_diff(1_000) < 180),
            "{drawn:?}"
        );
        assert_eq!(Shards::default().of("anything"), 0);
    }

    #[test]
    fn who_buys_a_thousand_at_once_has_all_shards_and_nobody_loses_any() {
        let bought = |count, transactions| {
            Shards::new(count)
                .unwrap()
                .after_buying(transactions)
                .count()
        };
        assert_eq!(
            (
                bought(1, 999),
                bought(1, 1_000),
                bought(3, 1),
                bought(8, 1_000)
            ),
            (1, 8, 3, 8)
        );
    }

    #[test]
    fn there_are_one_to_eight_shards() {
        assert_eq!((Shards::new(0), Shards::new(9)), (None, None));
        assert_eq!(Shards::new(8).map(Shards::count), Some(8));
    }
}
