//! Parts: how a report of any length is cut.
//!
//! Lambda answers with at most 6 MB. So a chain is cut where its sequence says, and nowhere else:
//! part 3 begins at the same entry whenever it is asked for, and only the last part grows. Parts
//! that were made at different times fit together.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many entries a part has; the last may have fewer.
///
/// The page is the longest form. Names have at most 100 characters, which stand three times with an
/// entry and in HTML take up to five bytes each: 2 KB an entry and 5 MB a part, at the very worst.
pub const ENTRIES_MAX: u64 = 2_500;

/// Which entries a part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which part, from 1.
    pub number: u64,
    /// How many parts there are.
    pub of: u64,
    /// Its first entry.
    pub first: u64,
    /// Its last.
    pub last: u64,
}

/// Which part of its report a file is, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReportPart)]
pub struct Part {
    /// Which part, from 1.
    #[schema(example = 1)]
    pub number: u64,
    /// How many parts the report had when this one was made. 1: this is the whole.
    #[schema(example = 1)]
    pub of: u64,
    /// The sequence of its first entry. A part begins at the same entry whenever it is made.
    #[schema(example = 1)]
    pub first: u64,
    /// The sequence of its last entry.
    #[schema(example = 7)]
    pub last: u64,
    /// The hash of that one: `previous` of the entry that the next part begins with.
    #[schema(example = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]
    pub hash: String,
}

impl Cut {
    /// Part `number` of a chain of `count` entries, if it has so many parts.
    pub const fn part(number: u64, count: u64) -> Option<Self> {
        Self::sized(number, count, ENTRIES_MAX)
    }

    /// The same where a part has `size` entries.
    pub const fn sized(number: u64, count: u64, size: u64) -> Option<Self> {
        let of = if count == 0 { 1 } else { count.div_ceil(size) };
        if number == 0 || number > of {
            return None;
        }
        let first = (number - 1) * size + 1;
        let last = if number == of { count } else { number * size };
        Some(Self {
            number,
            of,
            first,
            last,
        })
    }

    /// How many parts a chain of `count` entries has.
    pub const fn parts(count: u64) -> u64 {
        if count == 0 {
            1
        } else {
            count.div_ceil(ENTRIES_MAX)
        }
    }
}

impl Part {
    /// The part that was cut so, whose last entry has this hash.
    pub const fn new(cut: Cut, hash: String) -> Self {
        let Cut {
            number,
            of,
            first,
            last,
        } = cut;
        Self {
            number,
            of,
            first,
            last,
            hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cut(number: u64, of: u64, first: u64, last: u64) -> Cut {
        Cut {
            number,
            of,
            first,
            last,
        }
    }

    #[test]
    fn a_part_begins_at_the_same_entry_whatever_came_since_and_only_the_last_grows() {
        let of = |number, count| Cut::sized(number, count, 10).unwrap();
        assert_eq!((of(1, 7), of(1, 10)), (cut(1, 1, 1, 7), cut(1, 1, 1, 10)));
        assert_eq!(
            (of(1, 11), of(2, 11)),
            (cut(1, 2, 1, 10), cut(2, 2, 11, 11))
        );
        assert_eq!(
            (of(1, 35), of(4, 35)),
            (cut(1, 4, 1, 10), cut(4, 4, 31, 35))
        );
        for number in [0, 5, u64::MAX] {
            assert_eq!(Cut::sized(number, 35, 10), None, "{number}");
        }
    }

    #[test]
    fn the_parts_of_a_chain_are_all_of_it_in_order() {
        for count in [1, ENTRIES_MAX - 1, ENTRIES_MAX, ENTRIES_MAX + 1, 30_000] {
            let parts: Vec<Cut> = (1..=Cut::parts(count))
                .map(|number| Cut::part(number, count).unwrap())
                .collect();
            assert!(
                parts
                    .windows(2)
                    .all(|pair| pair[0].last + 1 == pair[1].first)
            );
            assert_eq!((parts[0].first, parts[parts.len() - 1].last), (1, count));
            assert!(
                parts
                    .iter()
                    .all(|part| part.last - part.first < ENTRIES_MAX)
            );
        }
    }
}
