//! Viewings of a signed agreement, and which of them the audit tells.
//!
//! What was signed can be opened for ever, and an entry for each time would make the chain as long
//! as somebody likes. So a viewing has an entry where the recipient's last one that had one is a
//! day old; those between are counted, and the next entry tells how many they were.

use serde::{Deserialize, Serialize};

use crate::kernel::clock::{Span, Timestamp};

/// How long after a viewing that has an entry others have none.
pub const ENTRY_EVERY: Span = Span::hours(24);

/// A recipient's viewings of the signed agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Viewings {
    /// When the last one was that has an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// How many there were since.
    #[serde(default)]
    pub untold: u64,
}

/// Whether a viewing has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewingEntry {
    /// It has, which tells besides how many had none since the one before.
    Told {
        /// So many.
        untold: u64,
    },
    /// It is counted, and the next entry tells of it.
    Counted,
}

impl Viewings {
    /// The viewings with one more at `now`, and whether that one has an entry.
    pub fn another(self, now: Timestamp) -> (Self, ViewingEntry) {
        let Self { told_at, untold } = self;
        if told_at.is_some_and(|told_at| now < told_at.plus(ENTRY_EVERY)) {
            let untold = untold + 1;
            return (Self { told_at, untold }, ViewingEntry::Counted);
        }
        let told = Self {
            told_at: Some(now),
            untold: 0,
        };
        (told, ViewingEntry::Told { untold })
    }

    /// Whether there was none.
    pub const fn is_none(&self) -> bool {
        self.told_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_viewing_is_told_once_a_day_and_those_between_with_the_next() {
        let (first, telling) = Viewings::default().another(NOW);
        assert_eq!(telling, ViewingEntry::Told { untold: 0 });
        let last = Timestamp::from_millis(NOW.plus(ENTRY_EVERY).as_millis() - 1);
        let (second, telling) = first.another(NOW);
        assert_eq!(telling, ViewingEntry::Counted);
        let (third, telling) = second.another(last);
        assert_eq!(
            (telling, third.untold, third.told_at),
            (ViewingEntry::Counted, 2, Some(NOW))
        );
        let (fourth, telling) = third.another(NOW.plus(ENTRY_EVERY));
        assert_eq!(
            (telling, fourth),
            (
                ViewingEntry::Told { untold: 2 },
                Viewings {
                    told_at: Some(NOW.plus(ENTRY_EVERY)),
                    untold: 0
                }
            )
        );
    }
}
