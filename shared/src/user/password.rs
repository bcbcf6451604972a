//! Passwords: argon2id with OWASP's parameters, computed where it blocks nobody, and at the same cost for nobody's password.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::clock::{Span, Timestamp};
use crate::dynamo::{Key, Write, keys};
use crate::entropy::Entropy;
use crate::ids::AccountId;
use crate::secret::Secret;
use crate::throttle::{Backoff, Limit, Window};

/// Wrong passwords: after 5 in a row a delay that doubles from 1 s to 15 min.
pub const BACKOFF: Backoff = Backoff { free: 5, base: Span::seconds(1), cap: Span::minutes(15), disabled_at: None };

/// Failed sign-ins of a source address: 100 in 5 minutes.
pub const PER_SOURCE: Window = Window { limits: &[Limit { quota: 100, span: Span::minutes(5) }] };

/// How long wrong passwords are remembered at the least; the clean-up forgets them then. At the longest delay 96 can be tried in that time; five more do not matter.
pub const REMEMBERED: Span = Span::days(1);

/// OWASP's first choice: 19 MiB, two passes, one lane.
const PARAMS: (u32, u32, u32) = (19_456, 2, 1);
/// A hash of a password that nobody has, for the sign-ins of nobody.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ25kZWNveQ$ArnTTN9Zr2ZqSfFhVQYDYRWCSnS2QyGK0ZvUHiNY5aE";

/// The shortest and the longest password, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

/// The password hasher failed: only a broken build or no memory makes it.
#[derive(Debug)]
pub struct Broken;

/// Whether a password may be set.
pub fn is_long_enough(password: &Secret<String>) -> bool {
    LENGTH.contains(&password.expose().chars().count())
}

/// The hash to be stored, as a PHC string.
pub async fn hash(password: Secret<String>, entropy: &Entropy) -> Result<String, Broken> {
    let salt: [u8; 16] = entropy.bytes();
    let hashed = tokio::task::spawn_blocking(move || {
        let (memory, passes, lanes) = PARAMS;
        let params = Params::new(memory, passes, lanes, None).map_err(|_| Broken)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash = argon2.hash_password_with_salt(password.expose().as_bytes(), &salt).map_err(|_| Broken)?;
        Ok(hash.to_string())
    });
    hashed.await.map_err(|_| Broken)?
}

/// Whether `password` is the one that `stored` was made of. Without a stored hash a decoy takes the same time and says no.
pub async fn verify(password: Secret<String>, stored: Option<String>) -> Result<bool, Broken> {
    let verified = tokio::task::spawn_blocking(move || {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| DECOY.to_owned());
        let hash = PasswordHash::new(&stored).map_err(|_| Broken)?;
        let right = Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok();
        Ok(right & known)
    });
    verified.await.map_err(|_| Broken)?
}

/// Where the wrong passwords of a username are counted: an item of its own, the same for names that nobody has, which expires.
pub fn failures_key(account: AccountId, username: &str) -> Key {
    Key { sk: "FAILURES".into(), ..keys::name(account, username) }
}

/// The write that counts a try before it is made, under the condition that one may be made now.
///
/// The try's own id makes it count once, however often the SDK repeats the request: where it stands already, the condition fails
/// and shows it.
pub fn count_try(account: AccountId, username: &str, try_id: &str, now: Timestamp) -> Write {
    let write = Write::update(
        failures_key(account, username),
        "SET #failures = if_not_exists(#failures, :zero) + :one, #failed_at = :now, #try = :try",
    );
    let write = write.value("zero", 0_u32).value("one", 1_u32).value("now", now).value("try", try_id);
    let write = write.when("attribute_not_exists(#try) OR #try <> :try").set_expiry(now.plus(REMEMBERED));
    BACKOFF.guard(write, "#failures", "#failed_at", now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash() {
        let stored = hash(secret("correct horse"), &Entropy::seeded(1)).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify(secret("correct horse"), Some(stored.clone())).await.unwrap());
        assert!(!verify(secret("correct hors"), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_a_password_and_the_decoy_costs_what_a_hash_costs() {
        assert!(!verify(secret("anything"), None).await.unwrap());
        let stored = hash(secret("x"), &Entropy::seeded(1)).await.unwrap();
        let cost = |phc: &str| phc.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(DECOY), cost(&stored));
        assert_eq!(DECOY.len(), stored.len());
    }

    #[test]
    fn the_length_counts_characters() {
        assert!(!is_long_enough(&secret("1234567")));
        assert!(is_long_enough(&secret("ä2345678")));
        assert!(!is_long_enough(&secret(&"x".repeat(257))));
    }
}
