//! Passwords: argon2id with OWASP's parameters, computed where it blocks nobody, and at the same
//! cost for nobody's password.

use std::borrow::Cow;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::kernel::entropy::Entropy;
use crate::kernel::secret::Secret;

/// OWASP's first choice: 19 MiB, two passes, one lane.
const PARAMS: (u32, u32, u32) = (19_456, 2, 1);
/// A hash of a password that nobody has, for the sign-ins of nobody.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ25kZWNveQ$ArnTTN9Zr2ZqSfFhVQYDYRWCSnS2QyGK0ZvUHiNY5aE";

/// The shortest and the longest password, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;
/// The shortest that may be all that is asked for (NIST SP 800-63B-4 §3.1.1.2).
pub const SINGLE_FACTOR_MIN: usize = 15;

/// The password hasher failed: only a broken build or no memory makes it.
#[derive(Debug)]
pub struct HashingFailed;

/// The normal form in which passwords are compared, stored and counted: NFKC, so that it makes no
/// difference which keyboard typed a letter with its accent (NIST SP 800-63B-4 §3.1.1.2). ASCII is
/// its own.
pub fn normalised(password: &str) -> Cow<'_, str> {
    if password.is_ascii() {
        Cow::Borrowed(password)
    } else {
        ComposingNormalizerBorrowed::new_nfkc().normalize(password)
    }
}

/// Whether a password is long enough to be all that is asked for.
pub fn suffices_alone(password: &Secret<String>) -> bool {
    password.expose().chars().count() >= SINGLE_FACTOR_MIN
}

/// The hash to be stored, as a PHC string.
pub async fn hash(password: Secret<String>, entropy: &Entropy) -> Result<String, HashingFailed> {
    let salt: [u8; 16] = entropy.bytes();
    let hashed = tokio::task::spawn_blocking(move || {
        let (memory, passes, lanes) = PARAMS;
        let params = Params::new(memory, passes, lanes, None).map_err(|_| HashingFailed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash = argon2
            .hash_password_with_salt(password.expose().as_bytes(), &salt)
            .map_err(|_| HashingFailed)?;
        Ok(hash.to_string())
    });
    hashed.await.map_err(|_| HashingFailed)?
}

/// Whether `password` is the one that `stored` was made of. Without a stored hash a decoy takes the
/// same time and says no.
pub async fn verify(
    password: Secret<String>,
    stored: Option<String>,
) -> Result<bool, HashingFailed> {
    let verified = tokio::task::spawn_blocking(move || {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| DECOY.to_owned());
        let hash = PasswordHash::new(&stored).map_err(|_| HashingFailed)?;
        let right = Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok();
        Ok(right & known)
    });
    verified.await.map_err(|_| HashingFailed)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash() {
        let stored = hash(secret("correct horse"), &Entropy::seeded(1))
            .await
            .unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(
            verify(secret("correct horse"), Some(stored.clone()))
                .await
                .unwrap()
        );
        assert!(!verify(secret("correct hors"), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_a_password_and_the_decoy_costs_what_a_hash_costs() {
        assert!(!verify(secret("anything"), None).await.unwrap());
        let stored = hash(secret("x"), &Entropy::seeded(1)).await.unwrap();
        let cost = |phc: &str| {
            phc.split('$')
                .take(4)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(cost(DECOY), cost(&stored));
        assert_eq!(DECOY.len(), stored.len());
    }

    #[test]
    fn one_password_has_one_form_however_it_is_typed() {
        for (typed, form) in [
            ("e\u{301}te\u{301}", "été"),
            ("ﬁne", "fine"),
            ("１２３", "123"),
            ("Å", "Å"),
            ("plain", "plain"),
        ] {
            assert_eq!(normalised(typed), form);
            assert_eq!(normalised(&normalised(typed)), form);
        }
        assert_ne!(
            normalised("Straße"),
            normalised("Strasse"),
            "and another password is another"
        );
    }
}
