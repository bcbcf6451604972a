//! A value that cannot be printed, and the strings that stand for one: made once, kept only as a
//! hash.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroize;

/// A value that is wiped when dropped and shows nothing of itself in a log, an error or a panic.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Each call is a place to look at in a review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl utoipa::PartialSchema for Secret<String> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for Secret<String> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
}

/// The SHA-256 of a secret with 256 random bits: all that is kept of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of `secret`.
    pub fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }

    /// Base64url, as it is stored.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The first 16 bytes: enough to name it by.
    pub fn short(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(self.0)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Whether `stored` is this fingerprint, in constant time.
    pub fn is(&self, stored: &str) -> bool {
        equal(self.encode().as_bytes(), stored.as_bytes())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[fingerprint]")
    }
}

/// Whether two byte strings are equal, in a time that depends on their length alone.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// Writes a secret into an answer, for the one it is meant for: with `#[serde(serialize_with =
/// "exposed")]`.
pub fn exposed<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// The same for a list.
pub fn exposed_all<S: Serializer>(
    secrets: &[Secret<String>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(secrets.iter().map(Secret::expose))
}

/// Base64url without padding, as tokens and digests are written.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`encode`] wrote, or `None`.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".to_owned())),
            "[secret]"
        );
    }

    #[test]
    fn a_fingerprint_knows_its_secret() {
        let fingerprint = Fingerprint::of(b"secret");
        assert!(fingerprint.is(&Fingerprint::of(b"secret").encode()));
        assert!(!fingerprint.is(&Fingerprint::of(b"secreT").encode()));
        assert!(!fingerprint.is(""));
    }
}
