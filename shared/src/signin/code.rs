//! One-time codes: drawn without bias, kept as a MAC under a key that is not in the table, compared
//! with every code that may match.

pub mod claim;
pub mod counters;
pub mod evidence;
mod refusal;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::AccountId;
use crate::kernel::keyring::{Keyring, KeyringError, Mac};
use crate::kernel::metric;
use crate::kernel::secret::Secret;
use crate::signin::challenge::{Challenge, Ticket};
use crate::signin::reserved::{ReservedWindow, Share};
use crate::signin::user::Method;
use crate::store::dynamo::Path;
use crate::store::rate_limit::{Limit, Window};

pub use refusal::{SendRefusal, allow_client_ip, allow_country};

/// How long a code is good (NIST SP 800-63B-4 §3.1.3.2 allows ten minutes).
pub const LIFETIME: Span = Span::minutes(5);
/// The wait after the first code of a challenge by a method; it doubles with each, up to
/// [`COOLDOWN_MAX`].
pub const COOLDOWN: Span = Span::seconds(30);
/// The longest wait between two codes.
pub const COOLDOWN_MAX: Span = Span::minutes(4);
/// An account's sends to a destination: 5 in 10 minutes and 10 an hour. Half is kept for known
/// addresses, and of the five three.
pub const PER_DESTINATION: ReservedWindow = ReservedWindow {
    shares: &[
        Share {
            quota: 5,
            span: Span::minutes(10),
        },
        Share {
            quota: 10,
            span: Span::hours(1),
        },
    ],
};
/// The sends to a destination in the name of whichever account.
pub const PER_DESTINATION_OVERALL: Window = Window {
    limits: &[Limit {
        quota: 20,
        span: Span::hours(1),
    }],
};
/// The sends to a user, wherever they go: 10 an hour and 30 a day. Half is kept for known
/// addresses.
pub const PER_USER: ReservedWindow = ReservedWindow {
    shares: &[
        Share {
            quota: 10,
            span: Span::hours(1),
        },
        Share {
            quota: 30,
            span: Span::days(1),
        },
    ],
};
/// The sends at the wish of a client IP: 25 in 5 minutes.
pub const PER_CLIENT_IP: Window = Window {
    limits: &[Limit {
        quota: 25,
        span: Span::minutes(5),
    }],
};

/// A code that is good, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCode {
    /// The MAC of the code.
    pub mac: Mac,
    /// The letters by which a message is told from an earlier one.
    pub reference: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl LiveCode {
    /// Where the digest that it is told by stands, in a code that stands at `code`.
    pub(in crate::signin) fn digest_in(code: Path) -> Path {
        code.member("mac").member("h")
    }
}

/// A code on its way to a person.
#[derive(Debug)]
pub struct Draft {
    /// The digits.
    pub digits: Secret<String>,
    /// What is stored of it.
    pub stored: LiveCode,
}

/// How many digits a code of `method` has: more where it may lie about for longer.
pub const fn length(method: Method) -> u32 {
    match method {
        Method::Email => 8,
        Method::Sms | Method::Totp | Method::RecoveryCode => 6,
    }
}

/// The longest code that is typed.
const TYPED_MAX: usize = 10;
/// The longest text that is read as one: a code with something between any two of its digits.
const TEXT_MAX: usize = 40;

/// The digits of a code as a person types or pastes it: spaces and hyphens, of whichever kind, are
/// no part of it. `None` if anything else is there, or too little or too much.
pub fn typed(text: &Secret<String>) -> Option<Secret<String>> {
    let between =
        |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let digits: String = text
        .expose()
        .chars()
        .take(TEXT_MAX + 1)
        .filter(|c| !between(c))
        .collect();
    let fits =
        (1..=TYPED_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    (fits && text.expose().chars().count() <= TEXT_MAX).then(|| Secret::new(digits))
}

/// The codes of a challenge that were sent by one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// How many.
    pub count: u32,
    /// When the last of them was.
    pub last_at: Timestamp,
}

impl Sent {
    /// Where the count stands, in one that stands at `sent`.
    pub(in crate::signin) fn count_in(sent: Path) -> Path {
        sent.member("count")
    }

    /// The same, and one more.
    #[must_use]
    pub const fn and_now(self, now: Timestamp) -> Self {
        Self {
            count: self.count + 1,
            last_at: now,
        }
    }

    /// The wait after the last of them.
    pub fn cooldown(self) -> Span {
        match self.count.checked_sub(1) {
            None => Span::default(),
            Some(doublings) => {
                Span::seconds(COOLDOWN.as_secs() << doublings.min(16)).min(COOLDOWN_MAX)
            }
        }
    }

    /// When the next may be sent, if that is not now.
    pub fn resend_at(self, now: Timestamp) -> Option<Timestamp> {
        let at = self.last_at.plus(self.cooldown());
        (self.count > 0 && at > now).then_some(at)
    }
}

/// What a code is good for, and nothing else: one challenge of one holder.
pub trait Bound {
    /// Whose challenge it is: an id.
    fn holder(&self) -> String;
    /// The challenge's name on the holder's item.
    fn name(&self) -> &str;
}

impl Bound for Ticket {
    fn holder(&self) -> String {
        self.user.to_string()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Draws a code.
pub fn draw(
    ticket: &impl Bound,
    method: Method,
    keyring: &Keyring,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Draft, KeyringError> {
    let digits = Secret::new(entropy.digits(length(method)));
    let mac = keyring.mac(&message(ticket, method, digits.expose()), now)?;
    let stored = LiveCode {
        mac,
        reference: entropy.letters(4),
        expires_at: now.plus(LIFETIME),
    };
    Ok(Draft { digits, stored })
}

/// What a tried code turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentCodeVerdict {
    /// The code that is good.
    Right,
    /// None that there ever was, or none was sent.
    Wrong,
    /// One before the one that is good.
    Superseded,
    /// There was a code, and its time is over.
    Expired,
}

/// Compares a tried code with every code of its method and challenge, all of them whatever the
/// first says.
pub fn judge(
    ticket: &impl Bound,
    challenge: &Challenge,
    method: Method,
    submitted: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> SentCodeVerdict {
    let live = challenge.codes.get(method.name());
    let before = challenge
        .superseded
        .get(method.name())
        .map(Vec::as_slice)
        .unwrap_or_default();
    judge_among(ticket, (live, before), method, submitted, keyring, now)
}

/// Compares a tried code with the one that is good and with those before it, all of them whatever
/// the first says.
pub fn judge_among(
    bound: &impl Bound,
    (live, before): (Option<&LiveCode>, &[Mac]),
    method: Method,
    submitted: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> SentCodeVerdict {
    let message = message(bound, method, submitted);
    let matches_live = live.is_some_and(|code| keyring.is_mac(&code.mac, &message));
    let matches_before = before
        .iter()
        .fold(false, |found, mac| found | keyring.is_mac(mac, &message));
    match live {
        Some(code) if code.expires_at <= now => SentCodeVerdict::Expired,
        Some(_) if matches_live => SentCodeVerdict::Right,
        Some(_) if matches_before => SentCodeVerdict::Superseded,
        _ => SentCodeVerdict::Wrong,
    }
}

/// Says that nobody answered for a code that was handed to SES or SNS: it is told as sent, since it
/// may have been.
pub fn unanswered(account: AccountId, method: Method, now: Timestamp) {
    tracing::warn!(%account, method = method.name(), "SES or SNS did not confirm a code; it may have been sent and is reported as sent; no action needed");
    metric::emit(
        "CodesUnanswered",
        1,
        &json!({ "account": account, "method": method.name() }),
        now,
    );
}

/// What is MACed: the code, bound to where it is good.
fn message(ticket: &impl Bound, method: Method, digits: &str) -> Vec<u8> {
    format!(
        "code\n{}\n{}\n{}\n{digits}",
        ticket.holder(),
        ticket.name(),
        method.name()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ring() -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap()
    }

    /// A challenge of this name, of one user.
    struct Named(&'static str);

    impl Bound for Named {
        fn holder(&self) -> String {
            "usr_1".to_owned()
        }

        fn name(&self) -> &str {
            self.0
        }
    }

    fn ticket(name: &'static str) -> Named {
        Named(name)
    }

    #[test]
    fn a_code_is_good_for_its_challenge_and_method_alone() {
        let (ring, entropy) = (ring(), Entropy::seeded(4));
        let draft = draw(&ticket("a"), Method::Sms, &ring, &entropy, NOW).unwrap();
        let mut challenge = Challenge::open(NOW);
        challenge.codes.insert("sms".into(), draft.stored.clone());
        challenge.codes.insert("email".into(), draft.stored.clone());
        let judged = |name, method, now| {
            judge(
                &ticket(name),
                &challenge,
                method,
                draft.digits.expose(),
                &ring,
                now,
            )
        };
        assert_eq!(judged("a", Method::Sms, NOW), SentCodeVerdict::Right);
        assert_eq!(judged("b", Method::Sms, NOW), SentCodeVerdict::Wrong);
        assert_eq!(judged("a", Method::Email, NOW), SentCodeVerdict::Wrong);
        assert_eq!(judged("a", Method::Totp, NOW), SentCodeVerdict::Wrong);
        assert_eq!(
            judged("a", Method::Sms, NOW.plus(LIFETIME)),
            SentCodeVerdict::Expired
        );
    }

    #[test]
    fn the_code_before_is_told_from_a_wrong_one() {
        let (ring, entropy) = (ring(), Entropy::seeded(4));
        let first = draw(&ticket("a"), Method::Sms, &ring, &entropy, NOW).unwrap();
        let second = draw(&ticket("a"), Method::Sms, &ring, &entropy, NOW).unwrap();
        let mut challenge = Challenge::open(NOW);
        challenge
            .superseded
            .insert("sms".into(), vec![first.stored.mac]);
        challenge.codes.insert("sms".into(), second.stored);
        let judged =
            |digits: &str| judge(&ticket("a"), &challenge, Method::Sms, digits, &ring, NOW);
        assert_eq!(judged(first.digits.expose()), SentCodeVerdict::Superseded);
        assert_eq!(judged(second.digits.expose()), SentCodeVerdict::Right);
    }

    #[test]
    fn a_code_that_is_typed_with_spaces_or_hyphens_is_the_code() {
        let read =
            |text: &str| typed(&Secret::new(text.to_owned())).map(|code| code.expose().clone());
        for text in [
            "123456",
            "123 456",
            "123-456",
            " 12 34 56 ",
            "1-2-3-4-5-6",
            "123\u{a0}456",
            "123\u{2011}456",
            "123456\n",
        ] {
            assert_eq!(read(text).as_deref(), Some("123456"), "{text:?}");
        }
        for text in [
            "",
            " ",
            "-",
            "12345a",
            "123.456",
            "１２３４５６",
            "12345678901",
            &"1 ".repeat(30),
            &" ".repeat(1_000),
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_wait_is_half_a_minute_and_doubles_up_to_four() {
        let wait = |count| {
            Sent {
                count,
                last_at: NOW,
            }
            .cooldown()
            .as_secs()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 99].map(wait),
            [0, 30, 60, 120, 240, 240, 240]
        );
        let sent = Sent::default().and_now(NOW);
        assert_eq!(
            (sent.resend_at(NOW), sent.resend_at(NOW.plus(COOLDOWN))),
            (Some(NOW.plus(COOLDOWN)), None)
        );
    }

    proptest! {
        #[test]
        fn a_code_has_its_length_in_ascii_digits(seed: u64) {
            let draft = draw(&ticket("a"), Method::Email, &ring(), &Entropy::seeded(seed), NOW).unwrap();
            prop_assert_eq!(draft.digits.expose().len(), 8);
            prop_assert!(draft.digits.expose().bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
