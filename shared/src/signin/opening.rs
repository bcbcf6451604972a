//! Opening a challenge on its user's item, whatever the first factor was, and how many may be
//! opened.
//!
//! Whoever knows a password, reads a mailbox or holds an ID token opens challenges, and each is a
//! place on the item and, with a code, a message. So they are limited, per user and per user and
//! client IP; half of a user's are kept for known addresses. The rule is judged by the user's
//! item as it was read, where all those of the last ten minutes stand, and the head of the user's
//! chain, which is a condition of the write, says that none was opened since. None that is live
//! makes room for another.

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::keyring::Keyring;
use crate::signin::challenge::{Challenge, LIFETIME, Place, Ticket};
use crate::signin::refusals;
use crate::signin::sign_in::{Offer, SecondFactor};
use crate::signin::user::User;
use crate::signin::user::known::{HashedIp, Origin};
use crate::store::dynamo::Update;
use crate::store::rate_limit::Limit;
use crate::web::http::Problem;

/// In which so many may be opened. A challenge stands on the item for as long, however it ends.
const SPAN: Span = LIFETIME;
/// The challenges of a user that are opened from one address.
pub const PER_CLIENT_IP: Limit = Limit {
    quota: 20,
    span: SPAN,
};
/// The challenges of a user, from wherever they are opened.
pub const PER_USER: Limit = Limit {
    quota: 60,
    span: SPAN,
};

/// The update that opens `challenge` from `hashed_ip`, and removes some that are over; and what is
/// answered.
pub fn open(
    user: &User,
    challenge: Challenge,
    offers: Vec<Offer>,
    hashed_ip: &HashedIp,
    (keyring, entropy, now): (&Keyring, &Entropy, Timestamp),
) -> Result<(Update, SecondFactor), Problem> {
    let origin = user.known.origin(hashed_ip);
    if let Some((until, limit)) = full_until(user, hashed_ip, origin, now) {
        return Err(refusals::too_many_challenges(until, limit, now));
    }
    let challenge = challenge.opened_from(hashed_ip, origin);
    let (ticket, token) = Ticket::issue(user, keyring, entropy, now)?;
    let update = ticket.open(user.touch(), user, &challenge, now)?;
    let update = update.set_due(challenge.expires_at);
    Ok((update, SecondFactor::new(token, offers)))
}

/// Until when no other challenge of `user` may be opened from `hashed_ip`, if so; and the limit
/// that says it.
fn full_until(
    user: &User,
    hashed_ip: &HashedIp,
    origin: Origin,
    now: Timestamp,
) -> Option<(Timestamp, Limit)> {
    let mut opened: Vec<&Challenge> = user.challenges.values().collect();
    opened.sort_by_key(|challenge| std::cmp::Reverse(challenge.opened_at));
    let here = opened
        .iter()
        .filter(|challenge| hashed_ip.has_mark(&challenge.opened_from));
    let here: Vec<Timestamp> = here.map(|challenge| challenge.opened_at).collect();
    let all: Vec<_> = opened
        .iter()
        .map(|challenge| (challenge.opened_at, challenge.opener))
        .collect();
    let by_source = PER_CLIENT_IP
        .full_until(&here, now)
        .map(|until| (until, PER_CLIENT_IP));
    let by_user = user
        .known
        .full_until(PER_USER, &all, origin, now)
        .map(|until| (until, PER_USER));
    by_source
        .into_iter()
        .chain(by_user)
        .max_by_key(|(until, _)| *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;
    use crate::signin::challenge::Stage;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// A user, and the ways to open a challenge of theirs.
    struct Opening {
        user: User,
        ring: Keyring,
        opened: usize,
    }

    impl Opening {
        fn new() -> Self {
            let user = json!({
                "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
                "kind": "external", "disabled": false, "created_at": 0, "version": 1,
            });
            let ring =
                Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap();
            Self {
                user: serde_json::from_value(user).unwrap(),
                ring,
                opened: 0,
            }
        }

        fn hashed_ip(&self, address: &str, now: Timestamp) -> HashedIp {
            HashedIp::of(self.user.id, address.parse().unwrap(), &self.ring, now).unwrap()
        }

        /// Opens one, unless a limit says otherwise.
        fn open(&mut self, address: &str, now: Timestamp) -> Option<(Span, usize)> {
            let hashed_ip = self.hashed_ip(address, now);
            let origin = self.user.known.origin(&hashed_ip);
            if let Some((until, limit)) = full_until(&self.user, &hashed_ip, origin, now) {
                return Some((until.until(now), limit.quota));
            }
            self.opened += 1;
            let challenge = Challenge::open(now).opened_from(&hashed_ip, origin);
            self.user
                .challenges
                .insert(format!("{}", self.opened), challenge);
            None
        }
    }

    #[test]
    fn an_address_opens_twenty_and_a_user_has_sixty_in_ten_minutes() {
        let mut opening = Opening::new();
        for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
            assert!((0..20).all(|_| opening.open(address, NOW).is_none()));
            assert!(opening.open(address, NOW).is_some());
        }
        let later = NOW.plus(Span::seconds(100));
        assert_eq!(
            opening.open("203.0.113.4", later),
            Some((Span::seconds(500), 60))
        );
        assert_eq!(opening.open("203.0.113.4", NOW.plus(SPAN)), None);
        assert_eq!(opening.open("203.0.113.1", NOW.plus(SPAN)), None);
    }

    #[test]
    fn one_that_was_completed_counts_and_one_whose_end_was_put_off_does_not_count_longer() {
        let mut opening = Opening::new();
        assert!((0..20).all(|_| opening.open("203.0.113.1", NOW).is_none()));
        for challenge in opening.user.challenges.values_mut() {
            challenge.stage = Stage::Completed { at: NOW };
            challenge.expires_at = NOW.plus(SPAN).plus(SPAN);
        }
        assert_eq!(opening.open("203.0.113.1", NOW), Some((SPAN, 20)));
        assert_eq!(opening.open("203.0.113.1", NOW.plus(SPAN)), None);
    }

    #[test]
    fn strangers_leave_half_for_the_addresses_that_a_user_is_known_at() {
        let mut opening = Opening::new();
        opening.user.known = opening
            .user
            .known
            .with(&opening.hashed_ip("203.0.113.1", NOW));
        let strangers: Vec<String> = (0..40)
            .map(|number| format!("198.51.100.{number}"))
            .collect();
        assert_eq!(
            strangers
                .iter()
                .filter(|address| opening.open(address, NOW).is_none())
                .count(),
            30
        );
        assert!((0..20).all(|_| opening.open("203.0.113.1", NOW).is_none()));
        assert_eq!(
            opening.open("203.0.113.1", NOW),
            Some((SPAN, 20)),
            "its own limit holds for a known address as well"
        );
    }
}
