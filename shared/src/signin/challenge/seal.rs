//! The form of a challenge's token: a body, and a MAC of it by a key of the keyring. So what nobody
//! issued is told from what is over without a look at the table.

use crate::kernel::clock::Timestamp;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::{self, Fingerprint, Secret};

const PREFIX: &str = "chl_";

/// The token of `body`.
pub fn seal(
    body: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Secret<String>, KeyringError> {
    let mac = keyring.mac(&message(body), now)?;
    let (body, digest) = (secret::encode(body), short(&mac.digest));
    Ok(Secret::new(format!(
        "{PREFIX}{body}.{}.{digest}",
        mac.key_id
    )))
}

/// The body of `token`, if this service issued it.
pub fn open(token: &str, keyring: &Keyring) -> Option<Vec<u8>> {
    let mut parts = token.strip_prefix(PREFIX)?.split('.');
    let (body, key_id, digest) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let body = secret::decode(body)?;
    let made = keyring.mac_by(key_id, &message(&body))?;
    secret::equal(short(&made).as_bytes(), digest.as_bytes()).then_some(body)
}

/// What a challenge is called on its holder's item: all that is kept of the token.
pub fn name_of(token: &str) -> String {
    Fingerprint::of(token.as_bytes()).encode()
}

fn message(body: &[u8]) -> Vec<u8> {
    [b"challenge\n", body].concat()
}

/// 128 bits of a MAC are enough for what lives ten minutes, and opens nothing without the
/// fingerprint that is kept.
fn short(digest: &str) -> &str {
    digest.get(..22).unwrap_or(digest)
}
