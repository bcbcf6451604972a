//! Recovery codes: ten at a time, each good once, for whoever has lost the app.
//!
//! A code has 120 random bits, so that its plain hash tells nobody anything (ASVS 6.5.2 asks for
//! 112). One that was used is kept, as used: trying it again is no guess.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::UserId;
use crate::kernel::secret::{Fingerprint, Secret};
use crate::signin::user::attribute::RECOVERY;
use crate::store::dynamo::Update;

/// How many are made at a time.
pub const COUNT: usize = 10;
/// The longest text that is taken for one: spaces and hyphens are as people write them.
pub const TEXT_MAX: usize = 64;
/// Crockford's base 32: no letter is mistaken for another or for a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 24 letters of five bits.
const LENGTH: usize = 24;
/// They are shown in groups.
const GROUP: usize = 4;

/// A user's codes as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// When they were made.
    pub made_at: Timestamp,
    /// When each was used, by its digest; never is zero.
    pub used: BTreeMap<String, Timestamp>,
}

/// What a code's entry says while it was not used.
pub const NEVER: Timestamp = Timestamp::from_millis(0);

impl Codes {
    /// How many are left.
    pub fn remaining(&self) -> usize {
        self.used
            .values()
            .filter(|used_at| **used_at == NEVER)
            .count()
    }
}

/// Adds to an update of the user's item that the code with this digest is used, under the condition
/// that it [is unused](is_unused).
#[must_use]
pub fn use_up(update: Update, digest: &str, now: Timestamp) -> Update {
    let used_at = || RECOVERY.member("used").member(digest);
    update.set(used_at(), now).when(used_at().is(NEVER))
}

/// Whether the code with this digest is one of these, and was not used.
pub fn is_unused(codes: Option<&Codes>, digest: &str) -> bool {
    codes.and_then(|codes| codes.used.get(digest)) == Some(&NEVER)
}

/// What a tried code turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryCodeVerdict {
    /// One that was not used: this is its digest.
    Right(String),
    /// One that was.
    Used,
    /// None.
    Wrong,
}

/// Ten new codes: as they are shown, once, and as they are stored.
pub fn draw(user: UserId, entropy: &Entropy, now: Timestamp) -> (Vec<Secret<String>>, Codes) {
    let shown: Vec<Secret<String>> = (0..COUNT)
        .map(|_| Secret::new(text(entropy.bytes())))
        .collect();
    let unused = shown
        .iter()
        .filter_map(|code| Some((digest(user, code.expose())?, NEVER)))
        .collect();
    (
        shown,
        Codes {
            made_at: now,
            used: unused,
        },
    )
}

/// Looks for a tried code among those of a user.
pub fn judge(user: UserId, codes: Option<&Codes>, submitted: &str) -> RecoveryCodeVerdict {
    let Some(digest) = digest(user, submitted) else {
        return RecoveryCodeVerdict::Wrong;
    };
    match codes.and_then(|codes| codes.used.get(&digest)) {
        Some(used_at) if *used_at == NEVER => RecoveryCodeVerdict::Right(digest),
        Some(_) => RecoveryCodeVerdict::Used,
        None => RecoveryCodeVerdict::Wrong,
    }
}

/// Whether a text can be taken for a code at all.
pub fn is_legible(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b' ')
}

/// The code as people read it: `k3wq-…`, 120 bits in all.
fn text(random: [u8; 15]) -> String {
    let raw = random
        .iter()
        .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let letter = |place: usize| {
        ALPHABET
            .get((raw >> (place * 5)) as usize & 31)
            .copied()
            .map(char::from)
    };
    let letters: Vec<char> = (0..LENGTH).rev().filter_map(letter).collect();
    letters
        .chunks(GROUP)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-")
}

/// What is stored of a code, bound to whose it is. Nothing, where the text can be no code.
fn digest(user: UserId, text: &str) -> Option<String> {
    let meant = |letter: char| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        plain => plain,
    };
    let letters: String = text
        .chars()
        .filter(|letter| !matches!(letter, '-' | ' '))
        .map(meant)
        .collect();
    let plain = letters.len() == LENGTH && letters.bytes().all(|byte| ALPHABET.contains(&byte));
    plain.then(|| Fingerprint::of(format!("recovery\n{user}\n{letters}").as_bytes()).encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 16])
    }

    #[test]
    fn ten_codes_are_made_and_each_is_known_as_it_is_typed() {
        let (shown, stored) = draw(user(1), &Entropy::seeded(3), NOW);
        assert_eq!((shown.len(), stored.remaining()), (COUNT, COUNT));
        for code in &shown {
            let code = code.expose();
            assert_eq!((code.len(), code.split('-').count()), (29, 6), "{code}");
            for typed in [
                code.clone(),
                code.to_uppercase(),
                code.replace('-', " "),
                code.replace('-', "").replace('1', "I"),
            ] {
                assert!(is_legible(&typed));
                assert!(
                    matches!(
                        judge(user(1), Some(&stored), &typed),
                        RecoveryCodeVerdict::Right(_)
                    ),
                    "{typed}"
                );
            }
            assert_eq!(
                judge(user(2), Some(&stored), code),
                RecoveryCodeVerdict::Wrong
            );
            assert_eq!(judge(user(1), None, code), RecoveryCodeVerdict::Wrong);
        }
    }

    #[test]
    fn a_used_code_is_told_from_a_wrong_one() {
        let (shown, mut stored) = draw(user(1), &Entropy::seeded(3), NOW);
        let RecoveryCodeVerdict::Right(digest) = judge(user(1), Some(&stored), shown[4].expose())
        else {
            panic!("it is right")
        };
        stored.used.insert(digest, NOW);
        assert_eq!(
            judge(user(1), Some(&stored), shown[4].expose()),
            RecoveryCodeVerdict::Used
        );
        assert_eq!(stored.remaining(), COUNT - 1);
        assert_eq!(
            judge(user(1), Some(&stored), "0000-0000-0000-0000-0000-0000"),
            RecoveryCodeVerdict::Wrong
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let (_, stored) = draw(user(1), &Entropy::seeded(3), NOW);
            prop_assert_eq!(judge(user(1), Some(&stored), &text), RecoveryCodeVerdict::Wrong);
            let _ = is_legible(&text);
        }
    }
}
