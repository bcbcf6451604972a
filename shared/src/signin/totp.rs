//! Authenticator apps: codes that follow from a shared secret and the time (RFC 6238).
//!
//! SHA-1, six digits, thirty seconds, because apps ignore anything else. The code of a step is
//! taken one step early or late, and once: the step that matched is kept, and only a later one is
//! taken after it. The secret has 160 bits and is kept sealed, bound to the user and the factor.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use totp_rs::Builder;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{FactorId, UserId};
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::Secret;
use crate::signin::user::attribute::APP;
use crate::store::dynamo::{Condition, Update};

/// How long an app that was not confirmed can be.
pub const ENROLMENT_LIFETIME: Span = Span::minutes(10);
/// How many wrong codes it is confirmed with.
pub const ATTEMPTS_MAX: u32 = 5;
/// How long a code is shown, in seconds.
const STEP: u64 = 30;
/// 160 bits (RFC 4226, section 4).
const KEY_LENGTH: usize = 20;
/// The longest name of an organisation in a URI: an app has one line for it, and a QR code has room
/// for so much.
const ISSUER_MAX: usize = 60;
/// What stands for itself in a URI (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An app that is set up, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its id: another app of the same user has another.
    pub id: FactorId,
    /// The secret, sealed.
    pub sealed: String,
    /// The step of the last code that was taken.
    pub last_step: u64,
    /// When it was confirmed.
    pub enrolled_at: Timestamp,
}

/// That this is the app on the user's item.
pub(in crate::signin) fn app_is(id: FactorId) -> Condition {
    APP.member("id").is(id.to_string())
}

/// A code that an app shows, about to be taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which app.
    pub app: FactorId,
    /// The step that it is the code of.
    pub step: u64,
    /// The secret under the newest key, where it was sealed by an older one.
    pub resealed: Option<String>,
}

impl Shown {
    /// Adds to an update of the user's item that the code is taken. The condition is that it still
    /// [is good](Self::is_good).
    #[must_use]
    pub fn take(&self, update: Update) -> Update {
        let last_step = || APP.member("last_step");
        let update = update
            .set(last_step(), self.step)
            .when(app_is(self.app))
            .when(last_step().is_below(self.step));
        match &self.resealed {
            Some(sealed) => update.set(APP.member("sealed"), sealed),
            None => update,
        }
    }

    /// Whether this is the user's app, and no code of the step or of a later one was taken of it.
    pub fn is_good(&self, app: Option<&App>) -> bool {
        app.is_some_and(|app| app.id == self.app && app.last_step < self.step)
    }
}

/// An app that was shown its secret and has yet to prove that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The id that the app will have.
    pub id: FactorId,
    /// The secret, sealed.
    pub sealed: String,
    /// When it is over.
    pub expires_at: Timestamp,
    /// The ids of the attempts: an attempt that the SDK repeats counts once.
    pub attempts: Vec<String>,
}

impl Enrolment {
    /// When it was begun.
    pub const fn begun_at(&self) -> Timestamp {
        self.expires_at.minus(ENROLMENT_LIFETIME)
    }

    /// How many attempts are left.
    pub fn attempts_left(&self) -> u32 {
        ATTEMPTS_MAX.saturating_sub(u32::try_from(self.attempts.len()).unwrap_or(u32::MAX))
    }
}

/// What a tried code turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpVerdict {
    /// The code of this step, which none was taken of or after.
    Right(u64),
    /// The code of a step that is over: one was taken of it, or of a later one.
    Used,
    /// None of the codes that the app shows about now.
    Wrong,
}

/// The secret that an app shares with us.
#[derive(Debug)]
pub struct Key(Secret<[u8; KEY_LENGTH]>);

impl Key {
    /// Draws a secret.
    pub fn draw(entropy: &Entropy) -> Self {
        Self(Secret::new(entropy.bytes()))
    }

    /// Seals it, for this user's factor alone.
    pub fn seal(
        &self,
        user: UserId,
        factor: FactorId,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<String, KeyringError> {
        keyring.seal(self.0.expose(), &context(user, factor), now)
    }

    /// Opens what [`Key::seal`] sealed.
    pub fn open(
        sealed: &str,
        user: UserId,
        factor: FactorId,
        keyring: &Keyring,
    ) -> Result<Self, KeyringError> {
        let opened = keyring.open(sealed, &context(user, factor))?;
        let bytes: [u8; KEY_LENGTH] = opened
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| KeyringError::NotOurs)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// Compares a code with those of the step before, the current and the next, all of them
    /// whatever the first says.
    pub fn judge(&self, code: &str, last_step: Option<u64>, now: Timestamp) -> TotpVerdict {
        let totp = Builder::new()
            .with_secret(*self.0.expose())
            .with_step_duration(STEP)
            .with_skew(0)
            .build_noncompliant();
        let current = u64::try_from(now.as_secs()).unwrap_or_default() / STEP;
        let steps = [current.saturating_sub(1), current, current + 1];
        let matched = steps.map(|step| totp.check(code, step * STEP));
        let fresh = matched
            .into_iter()
            .flatten()
            .find(|step| last_step.is_none_or(|last| *step > last));
        match fresh {
            Some(step) => TotpVerdict::Right(step),
            None if matched.iter().any(Option::is_some) => TotpVerdict::Used,
            None => TotpVerdict::Wrong,
        }
    }

    /// The secret as it is typed into an app: base 32 (RFC 4648) without padding.
    pub fn text(&self) -> Secret<String> {
        Secret::new(totp_rs::Secret::new_stack(*self.0.expose()).to_base32())
    }

    /// What an app reads from a QR code. A colon would end the organisation's name.
    pub fn uri(&self, organisation: &str, username: &str) -> Secret<String> {
        let issuer: String = organisation
            .replace(':', " ")
            .chars()
            .take(ISSUER_MAX)
            .collect();
        let (issuer, account) = (
            utf8_percent_encode(issuer.trim(), RESERVED),
            utf8_percent_encode(username, RESERVED),
        );
        let secret = self.text();
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP}",
            secret.expose()
        ))
    }
}

/// What a sealed secret is bound to.
fn context(user: UserId, factor: FactorId) -> Vec<u8> {
    format!("totp\n{user}\n{factor}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// The secret of both RFCs.
    fn key() -> Key {
        Key(Secret::new(*b"12345678901234567890"))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn code(step: u64) -> String {
        let totp = Builder::new()
            .with_secret(*key().0.expose())
            .build_noncompliant();
        totp.generate(step * STEP).to_string()
    }

    #[test]
    fn the_codes_are_those_of_rfc_4226() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0_i64..).zip(codes) {
            let step = u64::try_from(counter).unwrap();
            assert_eq!(
                key().judge(code, None, at(counter * 30)),
                TotpVerdict::Right(step),
                "{counter}"
            );
        }
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let totp = Builder::new()
                .with_secret(*key().0.expose())
                .with_digits(8)
                .build_noncompliant();
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(totp.check(code, step * 30), Some(step));
            // Six digits are the last six of eight.
            assert_eq!(
                key().judge(&code[2..], None, at(seconds)),
                TotpVerdict::Right(step),
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_or_late_and_no_more() {
        let current = 60_000_000;
        let now = at(1_800_000_000);
        for (step, good) in [
            (current - 2, false),
            (current - 1, true),
            (current, true),
            (current + 1, true),
            (current + 2, false),
        ] {
            let expected = if good {
                TotpVerdict::Right(step)
            } else {
                TotpVerdict::Wrong
            };
            assert_eq!(key().judge(&code(step), None, now), expected, "{step}");
        }
    }

    #[test]
    fn no_code_is_taken_twice_and_no_older_one_after_a_newer() {
        let current = 60_000_000;
        let now = at(1_800_000_000);
        assert_eq!(
            key().judge(&code(current), Some(current), now),
            TotpVerdict::Used
        );
        assert_eq!(
            key().judge(&code(current - 1), Some(current), now),
            TotpVerdict::Used
        );
        assert_eq!(
            key().judge(&code(current + 1), Some(current), now),
            TotpVerdict::Right(current + 1)
        );
        assert_eq!(key().judge("", Some(current), now), TotpVerdict::Wrong);
    }

    #[test]
    fn a_secret_opens_for_its_user_and_factor_alone() {
        let ring =
            Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap();
        let (user, factor) = (UserId::from_bytes([1; 16]), FactorId::from_bytes([2; 16]));
        let sealed = key().seal(user, factor, &ring, NOW).unwrap();
        assert_eq!(
            Key::open(&sealed, user, factor, &ring).unwrap().text(),
            key().text()
        );
        assert!(Key::open(&sealed, UserId::from_bytes([3; 16]), factor, &ring).is_err());
        assert!(Key::open(&sealed, user, FactorId::from_bytes([3; 16]), &ring).is_err());
        for length in [0, 19, 21] {
            let short = ring
                .seal(&vec![7; length], &context(user, factor), NOW)
                .unwrap();
            assert!(Key::open(&short, user, factor, &ring).is_err(), "{length}");
        }
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        let uri = key().uri("Alder & Pine: Bank", "ann+1@example.com");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Alder%20%26%20Pine%20%20Bank:ann%2B1%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Alder%20%26%20Pine%20%20Bank&algorithm=SHA1&digits=6&period=30"
        );
    }

    proptest! {
        #[test]
        fn a_drawn_secret_has_160_bits_and_knows_its_codes(seed: u64, seconds in 60_i64..4_000_000_000) {
            let key = Key::draw(&Entropy::seeded(seed));
            prop_assert_eq!(key.text().expose().len(), 32);
            let totp = Builder::new().with_secret(*key.0.expose()).build_noncompliant();
            let (time, step) = (u64::try_from(seconds).unwrap(), u64::try_from(seconds).unwrap() / 30);
            let code = totp.generate(time).to_string();
            prop_assert!(matches!(key.judge(&code, None, at(seconds)), TotpVerdict::Right(found) if found.abs_diff(step) <= 1));
        }

        #[test]
        fn no_text_makes_the_comparison_panic(text in "\\PC{0,20}") {
            let _ = key().judge(&text, Some(1), NOW);
        }
    }
}
