//! The client IPs that a user is known at: where a limit has a part that strangers cannot use
//! up, it is theirs.
//!
//! Known is an address (of IPv6 its /64, see [`client_ip_key`]) from which the user completed a
//! sign-in in the last [`LIFETIME`]; the latest [`KEPT_MAX`] are kept, as MACs bound to the user:
//! the table tells nobody where somebody was, and the same address is another entry for another
//! user.
//!
//! The list stands on the user's item, and moves in the transaction of every sign-in that is
//! completed ([`User::remember`]: by [`crate::signin::completion`], and by a first factor that is
//! enough). A copy stands on the credential, for who has to know before the user is read, which is
//! the password's count alone. The copy is written with the first sign-in from an address on a day
//! (UTC): its entries may be older than the list's by a day, and where that day decides,
//! [`Known::origin_by_copy`] leaves it to the list. Whoever writes the credential anew takes the
//! list along.
//!
//! How it is used:
//! ```ignore
//! let ip = HashedIp::of(user.id, call.client_ip, &keyring, now)?; // a MAC for each key of the ring: make it once for a request
//! let origin = user.known.origin(&ip);                          // the user was read
//! let origin = ticket.origin(&ip);                              // a challenge was shown, and the user is not read yet
//! let full = user.known.full_until(limit, &log, origin, now);   // moments, the newest first, each with its origin
//! ```
//! A user who has no known address yet (`user.known.is_empty(now)`) is only ever met by strangers,
//! and these have all of a limit. What is counted is counted by origin; [`Known::full_until`] is
//! the rule.
//!
//! [`User::remember`]: super::User::remember

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::kernel::client_ip::client_ip_key;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::UserId;
use crate::kernel::keyring::{Keyring, KeyringError, Mac};
use crate::kernel::secret::{Fingerprint, equal};
use crate::store::rate_limit::Limit;

/// How many addresses of a user are kept.
pub const KEPT_MAX: usize = 8;
/// For how long after a sign-in its address is known.
pub const LIFETIME: Span = Span::days(90);
/// By how much an entry of the copy may be older than the list's.
const COPY_LAG: Span = Span::days(1);
/// The characters of a MAC that are kept: 128 bits.
const DIGEST: usize = 22;
/// The characters of a mark: 66 bits.
const MARK: usize = 11;
/// The bytes of a MAC that a sketch has. Four of them are met by chance once in 2^29 addresses, and
/// then lead to no more than the other of two counts.
const SKETCHED: usize = 4;

/// Where a request comes from, as a user's list tells.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An address at which the user is known.
    Known,
    /// Any other.
    #[default]
    Stranger,
}

impl Origin {
    /// Whether it is no address at which the user is known.
    pub const fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger)
    }

    /// Both.
    pub const ALL: [Self; 2] = [Self::Stranger, Self::Known];

    /// The name in answers and in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Stranger => "unknown",
        }
    }

    const fn known_if(known: bool) -> Self {
        if known { Self::Known } else { Self::Stranger }
    }
}

/// The client IP of a request at a moment, as one user's list would have it.
#[derive(Clone, Debug)]
pub struct HashedIp {
    /// Under the key that is in use: what is kept.
    current: Mac,
    /// Under each key of the ring: what may have been kept.
    every: Vec<Mac>,
    now: Timestamp,
}

impl HashedIp {
    /// The address that a request comes from, for `user`.
    pub fn of(
        user: UserId,
        address: IpAddr,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let message = format!("known\n{user}\n{}", client_ip_key(address)).into_bytes();
        let every = keyring.mac_by_each(&message).map(shortened).collect();
        Ok(Self {
            current: shortened(keyring.mac(&message, now)?),
            every,
            now,
        })
    }

    /// What is kept of it for minutes beside something that happened from it.
    pub fn mark(&self) -> &str {
        marked(&self.current)
    }

    /// Whether `mark` is of this address, whichever key of the ring made it.
    pub fn has_mark(&self, mark: &str) -> bool {
        self.every.iter().any(|mac| marked(mac) == mark)
    }

    fn is(&self, kept: &Mac) -> bool {
        let same = |mac: &Mac| {
            mac.key_id == kept.key_id && equal(mac.digest.as_bytes(), kept.digest.as_bytes())
        };
        self.every
            .iter()
            .fold(false, |found, mac| found | same(mac))
    }
}

/// An address that a user is known at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Address {
    #[serde(flatten)]
    mac: Mac,
    /// The latest sign-in that was completed from it.
    at: Timestamp,
}

/// The addresses that a user is known at, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(Vec<Address>);

impl Known {
    /// Whether the user is known at no address.
    pub fn is_empty(&self, now: Timestamp) -> bool {
        !self.0.iter().any(|address| address.at.plus(LIFETIME) > now)
    }

    /// Where a request comes from.
    pub fn origin(&self, hashed_ip: &HashedIp) -> Origin {
        Origin::known_if(
            self.seen_at(hashed_ip)
                .is_some_and(|at| at.plus(LIFETIME) > hashed_ip.now),
        )
    }

    /// The same by the copy on the credential; `None` where only the list on the user's item can
    /// tell.
    pub fn origin_by_copy(&self, hashed_ip: &HashedIp) -> Option<Origin> {
        let Some(at) = self.seen_at(hashed_ip) else {
            return Some(Origin::Stranger);
        };
        let certain =
            at.plus(LIFETIME) > hashed_ip.now || at.plus(LIFETIME).plus(COPY_LAG) <= hashed_ip.now;
        certain.then(|| self.origin(hashed_ip))
    }

    /// Of a limit, as much as `origin` may use up: half of it, and of an odd number the greater
    /// part, is kept for known addresses, where there are any.
    fn allotted(&self, whole: usize, origin: Origin, now: Timestamp) -> usize {
        match origin {
            Origin::Stranger if !self.is_empty(now) => whole / 2,
            Origin::Stranger | Origin::Known => whole,
        }
    }

    /// Until when `origin` has used up its part of `limit`, if it has, given what was counted: the
    /// newest first, each with its origin.
    ///
    /// Strangers are held against their half, and against the whole; known addresses against the
    /// whole, in which strangers never count for more than half, also where these took more while
    /// no address was known.
    pub fn full_until(
        &self,
        limit: Limit,
        log: &[(Timestamp, Origin)],
        origin: Origin,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if origin == Origin::Known {
            return limit.full_until(&counted_with_known(limit, log, now), now);
        }
        let part = Limit {
            quota: self.allotted(limit.quota, origin, now),
            ..limit
        };
        let all: Vec<Timestamp> = log.iter().map(|(at, _)| *at).collect();
        let strangers: Vec<Timestamp> = of_strangers(log).collect();
        part.full_until(&strangers, now)
            .max(limit.full_until(&all, now))
    }

    /// The list once a sign-in from `hashed_ip` is completed.
    #[must_use]
    pub fn with(&self, hashed_ip: &HashedIp) -> Self {
        let latest = Address {
            mac: hashed_ip.current.clone(),
            at: hashed_ip.now,
        };
        let others = self.0.iter().filter(|address| {
            !hashed_ip.is(&address.mac) && address.at.plus(LIFETIME) > hashed_ip.now
        });
        Self(
            std::iter::once(latest)
                .chain(others.cloned())
                .take(KEPT_MAX)
                .collect(),
        )
    }

    /// Whether a sign-in from `hashed_ip` is the first from there on its day, and is to be copied
    /// to the credential.
    pub fn is_to_be_copied(&self, hashed_ip: &HashedIp) -> bool {
        self.seen_at(hashed_ip)
            .is_none_or(|at| day(at) != day(hashed_ip.now))
    }

    fn seen_at(&self, hashed_ip: &HashedIp) -> Option<Timestamp> {
        self.0
            .iter()
            .filter(|address| hashed_ip.is(&address.mac))
            .map(|address| address.at)
            .max()
    }
}

const fn day(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(Span::days(1).as_secs())
}

/// What a challenge's token carries of the list, so that a code is counted for the right origin
/// before the user is read. Whoever holds the token learns nothing from it: each place is hashed
/// anew for each token, and those that are empty are random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    salt: [u8; 16],
    places: [[u8; SKETCHED]; KEPT_MAX],
}

impl Sketch {
    /// How many bytes it has in a token.
    pub const LENGTH: usize = SKETCHED * KEPT_MAX;

    /// The sketch of a list for a token with this secret.
    pub fn of(known: &Known, secret: &[u8], entropy: &Entropy, now: Timestamp) -> Self {
        let salt = Fingerprint::of(secret).short();
        let live = known
            .0
            .iter()
            .filter(|address| address.at.plus(LIFETIME) > now);
        let mut drawn = live
            .map(|address| place(&salt, &address.mac))
            .chain(std::iter::repeat_with(|| entropy.bytes()));
        Self {
            salt,
            places: std::array::from_fn(|_| drawn.next().unwrap_or_default()),
        }
    }

    /// Reads what [`Sketch::bytes`] wrote into a token with this secret.
    pub fn read(bytes: &[u8], secret: &[u8]) -> Option<Self> {
        let (places, rest) = bytes.as_chunks();
        let places = <[[u8; SKETCHED]; KEPT_MAX]>::try_from(places)
            .ok()
            .filter(|_| rest.is_empty())?;
        Some(Self {
            salt: Fingerprint::of(secret).short(),
            places,
        })
    }

    /// As the token has it.
    pub fn bytes(&self) -> Vec<u8> {
        self.places.concat()
    }

    /// Where a request comes from, by the list as it stood when the token was issued.
    pub fn origin(&self, hashed_ip: &HashedIp) -> Origin {
        let places = hashed_ip.every.iter().map(|mac| place(&self.salt, mac));
        Origin::known_if(places.fold(false, |found, place| found | self.places.contains(&place)))
    }
}

fn place(salt: &[u8], mac: &Mac) -> [u8; SKETCHED] {
    let hashed = Fingerprint::of(&[salt, mac.digest.as_bytes()].concat()).short();
    std::array::from_fn(|index| hashed.get(index).copied().unwrap_or_default())
}

fn marked(mac: &Mac) -> &str {
    mac.digest.get(..MARK).unwrap_or(&mac.digest)
}

fn shortened(mut mac: Mac) -> Mac {
    mac.digest.truncate(DIGEST);
    mac
}

/// When strangers were counted.
fn of_strangers(log: &[(Timestamp, Origin)]) -> impl Iterator<Item = Timestamp> {
    let strangers = log.iter().filter(|(_, whose)| *whose == Origin::Stranger);
    strangers.map(|(at, _)| *at)
}

/// What counts against a known address. Of strangers' the oldest are those that count: they are the
/// first to make room.
fn counted_with_known(limit: Limit, log: &[(Timestamp, Origin)], now: Timestamp) -> Vec<Timestamp> {
    let live = of_strangers(log).filter(|at| at.plus(limit.span) > now);
    let mut beyond = live.count().saturating_sub(limit.quota / 2);
    let counted = log.iter().filter(|(_, whose)| {
        let counts = *whose == Origin::Known || beyond == 0;
        beyond -= usize::from(!counts);
        counts
    });
    counted.map(|(at, _)| *at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const ANN: UserId = UserId::from_bytes([1; 16]);

    fn ring() -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap()
    }

    fn hashed_ip(ring: &Keyring, address: &str, now: Timestamp) -> HashedIp {
        HashedIp::of(ANN, address.parse().unwrap(), ring, now).unwrap()
    }

    #[test]
    fn an_address_is_known_to_its_user_for_ninety_days() {
        let ring = ring();
        let known = Known::default().with(&hashed_ip(&ring, "203.0.113.7", NOW));
        let origin = |address, now| known.origin(&hashed_ip(&ring, address, now));
        let last = NOW.plus(LIFETIME).minus(Span::seconds(1));
        assert_eq!(
            [origin("203.0.113.7", NOW), origin("203.0.113.7", last)],
            [Origin::Known; 2]
        );
        assert_eq!(
            [
                origin("203.0.113.8", NOW),
                origin("203.0.113.7", NOW.plus(LIFETIME))
            ],
            [Origin::Stranger; 2]
        );
        assert_eq!(
            (known.is_empty(last), known.is_empty(NOW.plus(LIFETIME))),
            (false, true)
        );
        let another = HashedIp::of(
            UserId::from_bytes([2; 16]),
            "203.0.113.7".parse().unwrap(),
            &ring,
            NOW,
        )
        .unwrap();
        assert_eq!(
            known.origin(&another),
            Origin::Stranger,
            "one's address is nobody else's entry"
        );
    }

    #[test]
    fn the_latest_eight_are_kept_each_once() {
        let ring = ring();
        let address = |number: i64| {
            hashed_ip(
                &ring,
                &format!("203.0.113.{number}"),
                NOW.plus(Span::seconds(number)),
            )
        };
        let known = (0..10).chain([3]).fold(Known::default(), |known, number| {
            known.with(&address(number))
        });
        assert_eq!(known.0.len(), KEPT_MAX);
        let stranger = |number: &i64| known.origin(&address(*number)) == Origin::Stranger;
        assert_eq!((0..10).filter(stranger).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let ring = ring();
        let known = Known::default().with(&hashed_ip(&ring, "2001:db8::1", NOW));
        assert_eq!(
            known.origin(&hashed_ip(&ring, "2001:db8::ffff:9", NOW)),
            Origin::Known
        );
        assert_eq!(
            known.origin(&hashed_ip(&ring, "2001:db8:0:1::1", NOW)),
            Origin::Stranger
        );
    }

    #[test]
    fn what_an_older_key_made_counts_until_the_key_is_gone() {
        let made = keyring::make(NOW, &Entropy::seeded(1)).unwrap();
        let known = Known::default().with(&hashed_ip(
            &Keyring::parse(made.expose()).unwrap(),
            "203.0.113.7",
            NOW,
        ));
        let later = NOW.plus(Span::days(1));
        let rotated = keyring::rotate(made.expose(), later, &Entropy::seeded(2)).unwrap();
        let ring = Keyring::parse(rotated.expose()).unwrap();
        let used = later.plus(Span::days(1));
        assert_eq!(
            known.origin(&hashed_ip(&ring, "203.0.113.7", used)),
            Origin::Known
        );
        let renewed = known.with(&hashed_ip(&ring, "203.0.113.7", used));
        assert_eq!(
            renewed.0.len(),
            1,
            "it is the same address under another key"
        );
        let other =
            Keyring::parse(keyring::make(NOW, &Entropy::seeded(3)).unwrap().expose()).unwrap();
        assert_eq!(
            known.origin(&hashed_ip(&other, "203.0.113.7", used)),
            Origin::Stranger
        );
    }

    #[test]
    fn a_copy_is_written_once_a_day_and_leaves_its_last_day_to_the_list() {
        let ring = ring();
        let at = |now| hashed_ip(&ring, "203.0.113.7", now);
        let copy = Known::default().with(&at(NOW));
        let next_day = NOW.plus(Span::days(1));
        assert!(Known::default().is_to_be_copied(&at(NOW)) && copy.is_to_be_copied(&at(next_day)));
        assert!(!copy.is_to_be_copied(&at(NOW.plus(Span::minutes(1)))));
        assert!(copy.is_to_be_copied(&hashed_ip(&ring, "203.0.113.8", NOW)));
        let over = NOW.plus(LIFETIME);
        assert_eq!(
            copy.origin_by_copy(&at(over.minus(Span::seconds(1)))),
            Some(Origin::Known)
        );
        assert_eq!(copy.origin_by_copy(&at(over)), None);
        assert_eq!(
            copy.origin_by_copy(&at(over.plus(COPY_LAG))),
            Some(Origin::Stranger)
        );
        assert_eq!(
            copy.origin_by_copy(&hashed_ip(&ring, "203.0.113.8", NOW)),
            Some(Origin::Stranger)
        );
    }

    #[test]
    fn half_is_kept_for_known_addresses_where_there_are_any() {
        let ring = ring();
        let known = Known::default().with(&hashed_ip(&ring, "203.0.113.7", NOW));
        let strangers = |known: &Known, now| {
            [60, 10, 5].map(|whole| known.allotted(whole, Origin::Stranger, now))
        };
        assert_eq!(strangers(&known, NOW), [30, 5, 2]);
        assert_eq!(strangers(&known, NOW.plus(LIFETIME)), [60, 10, 5]);
        assert_eq!(strangers(&Known::default(), NOW), [60, 10, 5]);
        assert_eq!(known.allotted(60, Origin::Known, NOW), 60);
    }

    #[test]
    fn a_mark_is_of_its_address_whichever_key_made_it() {
        let made = keyring::make(NOW, &Entropy::seeded(1)).unwrap();
        let rotated =
            keyring::rotate(made.expose(), NOW.plus(Span::days(1)), &Entropy::seeded(2)).unwrap();
        let mark = hashed_ip(&Keyring::parse(made.expose()).unwrap(), "203.0.113.7", NOW)
            .mark()
            .to_owned();
        let ring = Keyring::parse(rotated.expose()).unwrap();
        let later = NOW.plus(Span::days(2));
        assert_ne!(hashed_ip(&ring, "203.0.113.7", later).mark(), mark);
        assert!(hashed_ip(&ring, "203.0.113.7", later).has_mark(&mark));
        assert!(!hashed_ip(&ring, "203.0.113.8", later).has_mark(&mark));
    }

    /// How many of each origin a limit of `quota` lets through at once, when so many were counted
    /// before.
    fn let_through(
        quota: usize,
        (strangers, knowns): (usize, usize),
        origin: Origin,
        has_known: bool,
    ) -> usize {
        let limit = Limit {
            quota,
            span: Span::minutes(10),
        };
        let known = if has_known {
            Known::default().with(&hashed_ip(&ring(), "203.0.113.7", NOW))
        } else {
            Known::default()
        };
        let mut log = [
            vec![(NOW, Origin::Stranger); strangers],
            vec![(NOW, Origin::Known); knowns],
        ]
        .concat();
        let before = log.len();
        while known.full_until(limit, &log, origin, NOW).is_none() {
            log.insert(0, (NOW, origin));
        }
        assert!(
            known
                .full_until(limit, &log, origin, NOW.plus(limit.span))
                .is_none(),
            "the span is over"
        );
        log.len() - before
    }

    #[test]
    fn a_limit_is_shared_so_that_strangers_leave_half_of_it() {
        let (known, stranger) = (Origin::Known, Origin::Stranger);
        assert_eq!(
            let_through(60, (0, 0), stranger, false),
            60,
            "who has none yet has all"
        );
        assert_eq!(let_through(60, (0, 0), stranger, true), 30);
        assert_eq!(let_through(60, (30, 0), known, true), 30);
        assert_eq!(let_through(60, (0, 0), known, true), 60);
        assert_eq!(
            let_through(60, (0, 45), stranger, true),
            15,
            "both together stay under the whole"
        );
        assert_eq!(
            let_through(60, (60, 0), known, true),
            30,
            "also where strangers took all while nothing was known"
        );
        assert_eq!(let_through(5, (3, 0), known, true), 3);
        assert_eq!(let_through(5, (0, 0), stranger, true), 2);
    }

    #[test]
    fn what_makes_room_first_says_until_when() {
        let limit = Limit {
            quota: 4,
            span: Span::minutes(10),
        };
        let known = Known::default().with(&hashed_ip(&ring(), "203.0.113.7", NOW));
        let at = |second| NOW.plus(Span::seconds(second));
        let log = [
            (at(5), Origin::Stranger),
            (at(4), Origin::Known),
            (at(3), Origin::Stranger),
            (at(2), Origin::Stranger),
            (at(1), Origin::Known),
        ];
        let until = |origin| {
            known
                .full_until(limit, &log, origin, at(6))
                .map(|until| until.until(NOW).as_secs())
        };
        // Of three strangers the newest is beyond their half: what counts for a known address are
        // the moments 1 to 4.
        assert_eq!(
            [until(Origin::Known), until(Origin::Stranger)],
            [Some(601), Some(603)]
        );
    }

    #[test]
    fn a_sketch_knows_what_the_list_knows_and_is_another_for_each_token() {
        let (ring, entropy) = (ring(), Entropy::seeded(4));
        let addresses = ["203.0.113.7", "203.0.113.8", "2001:db8::1"];
        let known = addresses.iter().fold(Known::default(), |known, text| {
            known.with(&hashed_ip(&ring, text, NOW))
        });
        let sketch = Sketch::of(&known, b"secret", &entropy, NOW);
        let read = Sketch::read(&sketch.bytes(), b"secret").unwrap();
        assert_eq!((sketch.bytes().len(), &read), (Sketch::LENGTH, &sketch));
        assert!(
            addresses
                .iter()
                .all(|text| read.origin(&hashed_ip(&ring, text, NOW)) == Origin::Known)
        );
        assert_eq!(
            read.origin(&hashed_ip(&ring, "203.0.113.9", NOW)),
            Origin::Stranger
        );
        let other = Sketch::of(&known, b"another", &entropy, NOW);
        assert!(
            sketch
                .places
                .iter()
                .all(|place| !other.places.contains(place))
        );
        assert_eq!(
            Sketch::read(&sketch.bytes(), b"another")
                .unwrap()
                .origin(&hashed_ip(&ring, addresses[0], NOW)),
            Origin::Stranger
        );
        assert_eq!(
            (
                Sketch::read(b"", b"secret"),
                Sketch::read(&[0; 33], b"secret")
            ),
            (None, None)
        );
        let late = Sketch::of(&known, b"secret", &entropy, NOW.plus(LIFETIME));
        assert!(
            addresses
                .iter()
                .all(|text| late.origin(&hashed_ip(&ring, text, NOW)) == Origin::Stranger),
            "of long ago"
        );
    }

    #[test]
    fn an_address_is_stored_in_few_bytes_and_reads_back() {
        let known = Known::default().with(&hashed_ip(&ring(), "203.0.113.7", NOW));
        let text = serde_json::to_string(&known).unwrap();
        assert!(text.len() < 80, "{text}");
        assert_eq!(serde_json::from_str::<Known>(&text).unwrap(), known);
    }
}
