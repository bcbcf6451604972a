//! Standard Webhooks: which message the provider has signed, over the bytes as they came.
//!
//! The `standardwebhooks` crate reads the system's clock and takes text alone; here the time is our
//! clock's, and a body is bytes. The local stack's provider signs with that crate, so that two
//! implementations meet in every test.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::SessionId;
use crate::kernel::secret::{Fingerprint, Secret};

/// How far a message's time may be from ours.
pub const TOLERANCE: Span = Span::minutes(5);
/// How long a message's id is remembered: far longer than [`TOLERANCE`] lets a copy of it through,
/// and longer than a provider goes on repeating one that it had no answer to.
pub const REMEMBERED: Span = Span::days(7);
/// The longest id taken.
const ID_MAX: usize = 256;
/// How many signatures of a message are looked at.
const SIGNATURES_MAX: usize = 8;
/// How many secrets may be live at once.
const SECRETS_MAX: usize = 5;
/// How long the key of a secret is, at the least and at the most, as the specification has it.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets that messages may be signed with: while the provider changes from one to the next,
/// two.
pub struct Secrets(Vec<hmac::Key>);

/// The message is not one that the provider has signed just now. Why is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSignature;

/// The three headers, as they were sent.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`
    pub signature: &'a str,
}

/// A genuine message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCallback {
    /// Which it is.
    pub id: MessageId,
    /// When it was sent, by the sender's clock: at most [`TOLERANCE`] from ours.
    pub sent_at: Timestamp,
}

/// What a genuine message is called by its sender: the same when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// The name of the message about `session`, in as many characters as the table's key has room
    /// for. A sender that calls two messages alike does not swallow the one about another session
    /// by that.
    pub fn about(&self, session: SessionId) -> String {
        Fingerprint::of(format!("{}\n{session}", self.0).as_bytes()).encode()
    }
}

impl Secrets {
    /// The secrets `whsec_…`, in base 64. `None` where there is none, there are too many, or one is
    /// malformed.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a Secret<String>>) -> Option<Self> {
        let key = |text: &Secret<String>| {
            let bytes = Secret::new(
                STANDARD
                    .decode(text.expose().strip_prefix("whsec_")?)
                    .ok()?,
            );
            KEY_LENGTHS
                .contains(&bytes.expose().len())
                .then(|| hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()))
        };
        let keys = texts.into_iter().map(key).collect::<Option<Vec<_>>>()?;
        (1..=SECRETS_MAX)
            .contains(&keys.len())
            .then_some(Self(keys))
    }

    /// Which message `body` is, if one of the secrets has signed it within [`TOLERANCE`] of `now`.
    pub fn verify(
        &self,
        headers: Headers<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedCallback, InvalidSignature> {
        let Headers {
            id,
            timestamp,
            signature,
        } = headers;
        // A full stop would let two different messages be signed as one.
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
        if !(1..=ID_MAX).contains(&id.len()) || !id.bytes().all(is_plain) {
            return Err(InvalidSignature);
        }
        let at = seconds(timestamp).ok_or(InvalidSignature)?;
        if (at - now.as_secs()).abs() > TOLERANCE.as_secs() {
            return Err(InvalidSignature);
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        if !self.have_signed(&signed, signature) {
            return Err(InvalidSignature);
        }
        Ok(VerifiedCallback {
            id: MessageId(id.to_owned()),
            sent_at: Timestamp::from_millis(at * 1000),
        })
    }

    /// Whether one of the secrets has made one of the signatures.
    fn have_signed(&self, signed: &[u8], signatures: &str) -> bool {
        let of_version = |text: &str| STANDARD.decode(text.strip_prefix("v1,")?).ok();
        let is_one = |tag: Vec<u8>| {
            let mut keys = self.0.iter();
            keys.any(|key| hmac::verify(key, signed, &tag).is_ok())
        };
        let each = signatures.split(' ').take(SIGNATURES_MAX);
        each.filter_map(of_version).any(is_one)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// The seconds that a timestamp of 1 to 12 digits tells.
fn seconds(timestamp: &str) -> Option<i64> {
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits && (1..=12).contains(&timestamp.len());
    timestamp.parse().ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_000);
    /// The specification's own example.
    const VECTOR: Headers<'static> = Headers {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };

    fn secrets(texts: &[&str]) -> Option<Secrets> {
        let texts: Vec<_> = texts
            .iter()
            .map(|text| Secret::new((*text).to_owned()))
            .collect();
        Secrets::read(&texts)
    }

    fn verify(
        headers: Headers<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedCallback, InvalidSignature> {
        secrets(&[SECRET]).unwrap().verify(headers, body, now)
    }

    #[test]
    fn the_specifications_vector_is_genuine() {
        let genuine = VerifiedCallback {
            id: MessageId(VECTOR.id.to_owned()),
            sent_at: NOW,
        };
        assert_eq!(verify(VECTOR, BODY, NOW), Ok(genuine));
    }

    #[test]
    fn any_of_several_secrets_and_of_several_signatures_will_do() {
        let both = secrets(&[OTHER, SECRET]).unwrap();
        assert!(both.verify(VECTOR, BODY, NOW).is_ok());
        let signature = format!("v1,AAAA v1a,xxxx {}", VECTOR.signature);
        assert!(
            verify(
                Headers {
                    signature: &signature,
                    ..VECTOR
                },
                BODY,
                NOW
            )
            .is_ok()
        );
        assert!(
            secrets(&[OTHER])
                .unwrap()
                .verify(VECTOR, BODY, NOW)
                .is_err()
        );
        let late = format!(
            "{} {}",
            ["v1,AAAA"; SIGNATURES_MAX].join(" "),
            VECTOR.signature
        );
        assert!(
            verify(
                Headers {
                    signature: &late,
                    ..VECTOR
                },
                BODY,
                NOW
            )
            .is_err(),
            "nobody makes us look at thousands"
        );
    }

    #[test]
    fn five_minutes_either_way_are_the_limit() {
        for (span, good) in [(300, true), (301, false)] {
            assert_eq!(
                verify(VECTOR, BODY, NOW.plus(Span::seconds(span))).is_ok(),
                good
            );
            assert_eq!(
                verify(VECTOR, BODY, NOW.minus(Span::seconds(span))).is_ok(),
                good
            );
        }
    }

    #[test]
    fn a_change_anywhere_is_a_forgery() {
        for place in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[place] ^= 1;
            assert!(verify(VECTOR, &body, NOW).is_err());
            assert!(verify(VECTOR, &BODY[..place], NOW).is_err());
        }
        let changed = [
            Headers {
                id: "msg_other",
                ..VECTOR
            },
            Headers { id: "", ..VECTOR },
            Headers {
                timestamp: "1614265331",
                ..VECTOR
            },
            Headers {
                timestamp: "+1614265330",
                ..VECTOR
            },
            Headers {
                timestamp: "99999999999999999999",
                ..VECTOR
            },
            Headers {
                timestamp: "",
                ..VECTOR
            },
            Headers {
                signature: "",
                ..VECTOR
            },
            Headers {
                signature: "v1,",
                ..VECTOR
            },
            Headers {
                signature: "v1,g0hM9SsE",
                ..VECTOR
            },
            Headers {
                signature: "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ..VECTOR
            },
            Headers {
                signature: "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ..VECTOR
            },
        ];
        for headers in changed {
            assert!(verify(headers, BODY, NOW).is_err(), "{headers:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_verified_as_they_are() {
        let body = [0xff, 0xfe, 0x00, 0x7b];
        let key = STANDARD
            .decode(SECRET.strip_prefix("whsec_").unwrap())
            .unwrap();
        let signed = [b"msg_1.1614265330.".as_slice(), &body].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed);
        let signature = format!("v1,{}", STANDARD.encode(tag));
        let headers = Headers {
            id: "msg_1",
            timestamp: "1614265330",
            signature: &signature,
        };
        assert!(verify(headers, &body, NOW).is_ok());
        assert!(
            verify(
                headers,
                &String::from_utf8_lossy(&body).into_owned().into_bytes(),
                NOW
            )
            .is_err()
        );
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        assert!(secrets(&[]).is_none());
        assert!(secrets(&[SECRET, OTHER, SECRET, OTHER, SECRET, OTHER]).is_none());
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAAA",
            "whsec_!",
        ] {
            assert!(secrets(&[SECRET, text]).is_none(), "{text}");
        }
        assert_eq!(format!("{:?}", secrets(&[SECRET]).unwrap()), "Secrets");
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(id: String, timestamp: String, signature: String, body: Vec<u8>) {
            let headers = Headers { id: &id, timestamp: &timestamp, signature: &signature };
            prop_assert!(verify(headers, &body, NOW).is_err());
        }
    }
}
