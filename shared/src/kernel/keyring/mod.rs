//! The keys: one document, read at cold start, in which every key has an id and an age.
//!
//! A key is used for new work only some time after it was made ([`MAC_LEAD`], [`SIGNING_LEAD`]),
//! and stays good for what it once made: so a rotation signs nobody out, and no environment meets a
//! key that it has not read yet. A key that has leaked is good for nothing from the moment it is
//! taken out ([`revoke`]), and the one in its place is used at once, whatever that costs.

mod document;
mod source;

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::secret::{self, Secret};

use document::{Document, SigningEntry, SymmetricEntry};

pub use document::{KeyKind, Listed, list, make, revoke, rotate};
pub use source::{Keyrings, REREAD_AFTER};

/// How long after it was made a MAC or data key is used: longer than any environment goes without
/// reading the keyring again.
pub const MAC_LEAD: Span = Span::minutes(15);
/// How long after it was made a signing key is used: API Gateway's authorizer keeps a JWKS for up
/// to two hours.
pub const SIGNING_LEAD: Span = Span::hours(3);
/// The keys, ready for use.
pub struct Keyring {
    mac: Vec<MacKey>,
    data: Vec<DataKey>,
    signing: Vec<SigningKey>,
}

struct MacKey {
    id: String,
    used_from: Timestamp,
    key: hmac::Key,
}

struct DataKey {
    id: String,
    used_from: Timestamp,
    key: RandomizedNonceKey,
}

struct SigningKey {
    public: PublicKey,
    used_from: Timestamp,
    pkcs8: Secret<Vec<u8>>,
    parsed: OnceLock<Option<KeyPair>>,
}

/// The public half of a signing key, as a JWK has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `kid`
    pub id: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

/// A MAC and the id of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac {
    /// The key's id.
    #[serde(rename = "k")]
    pub key_id: String,
    /// HMAC-SHA-256, base64url.
    #[serde(rename = "h")]
    pub digest: String,
}

/// Why a keyring could not be used. It says nothing of the keys.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyringError {
    /// The document is not one of ours.
    Malformed(String),
    /// A key of the document does not work.
    BadKey,
    /// Nothing here was sealed or signed by a key of this ring.
    NotOurs,
    /// The document has no key of this id.
    NoSuchKey(String),
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "the keyring is malformed: {why}"),
            Self::BadKey => f.write_str("a key of the keyring cannot be used"),
            Self::NotOurs => f.write_str("no key of the keyring fits"),
            Self::NoSuchKey(id) => write!(f, "the keyring has no key {id}"),
        }
    }
}

impl std::error::Error for KeyringError {}

impl Keyring {
    /// No keys: whatever needs one fails, and nothing is taken for signed or sealed.
    const fn empty() -> Self {
        Self {
            mac: Vec::new(),
            data: Vec::new(),
            signing: Vec::new(),
        }
    }

    /// Reads a document.
    pub fn parse(document: &str) -> Result<Self, KeyringError> {
        let Document {
            version,
            mac,
            data,
            signing,
        } = document::read(document)?;
        if version != 1 || mac.is_empty() || data.is_empty() || signing.is_empty() {
            return Err(KeyringError::Malformed(
                "a kind of key is missing, or the version is not 1".into(),
            ));
        }
        let signing = signing.iter().map(SigningKey::of);
        Ok(Self {
            mac: mac.iter().map(MacKey::of).collect::<Result<_, _>>()?,
            data: data.iter().map(DataKey::of).collect::<Result<_, _>>()?,
            signing: signing.collect::<Result<_, _>>()?,
        })
    }

    /// The MAC of `message` under the current key.
    pub fn mac(&self, message: &[u8], now: Timestamp) -> Result<Mac, KeyringError> {
        let key = current(&self.mac, |key| key.used_from, now).ok_or(KeyringError::BadKey)?;
        Ok(Mac {
            key_id: key.id.clone(),
            digest: secret::encode(hmac::sign(&key.key, message)),
        })
    }

    /// Whether `mac` is the MAC of `message`, in constant time. A key that is no longer in the ring
    /// made nothing that is good.
    pub fn is_mac(&self, mac: &Mac, message: &[u8]) -> bool {
        let key = self.mac.iter().find(|key| key.id == mac.key_id);
        let digest = secret::decode(&mac.digest).unwrap_or_default();
        key.is_some_and(|key| hmac::verify(&key.key, message, &digest).is_ok())
    }

    /// The digest of `message` under the key `id`, if it is in the ring. The caller compares, in
    /// constant time.
    pub fn mac_by(&self, id: &str, message: &[u8]) -> Option<String> {
        let key = self.mac.iter().find(|key| key.id == id)?;
        Some(secret::encode(hmac::sign(&key.key, message)))
    }

    /// The MACs of `message` under each key of the ring: one of them is the one that was kept,
    /// whenever that was.
    pub fn mac_by_each(&self, message: &[u8]) -> impl Iterator<Item = Mac> {
        self.mac.iter().map(|key| Mac {
            key_id: key.id.clone(),
            digest: secret::encode(hmac::sign(&key.key, message)),
        })
    }

    /// Seals `plain` under the current data key, bound to `context`: what is opened under another
    /// context does not open.
    pub fn seal(
        &self,
        plain: &[u8],
        context: &[u8],
        now: Timestamp,
    ) -> Result<String, KeyringError> {
        let key = current(&self.data, |key| key.used_from, now).ok_or(KeyringError::BadKey)?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .map_err(|_| KeyringError::BadKey)?;
        let bytes = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("{}.{}", key.id, secret::encode(bytes)))
    }

    /// Opens what [`Keyring::seal`] sealed.
    pub fn open(&self, sealed: &str, context: &[u8]) -> Result<Secret<Vec<u8>>, KeyringError> {
        let (id, text) = sealed.split_once('.').ok_or(KeyringError::NotOurs)?;
        let key = self.data.iter().find(|key| key.id == id);
        let key = key.ok_or(KeyringError::NotOurs)?;
        let bytes = secret::decode(text).ok_or(KeyringError::NotOurs)?;
        let parts = bytes.split_at_checked(NONCE_LEN);
        let (nonce, body) = parts.ok_or(KeyringError::NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyringError::NotOurs)?;
        let mut body = body.to_vec();
        let plain = key
            .key
            .open_in_place(nonce, Aad::from(context), &mut body)
            .map_err(|_| KeyringError::NotOurs)?;
        Ok(Secret::new(plain.to_vec()))
    }

    /// Whether `sealed` was sealed by the key that seals now. What was not is sealed anew when it
    /// is next used.
    pub fn is_current(&self, sealed: &str, now: Timestamp) -> bool {
        let id = sealed.split_once('.').map(|(id, _)| id);
        current(&self.data, |key| key.used_from, now).is_some_and(|key| id == Some(key.id.as_str()))
    }

    /// Signs `message` (RS256) with the current key; answers with the key's id and the signature.
    pub fn sign(
        &self,
        message: impl FnOnce(&str) -> String,
        now: Timestamp,
    ) -> Result<(String, String), KeyringError> {
        let key = current(&self.signing, |key| key.used_from, now).ok_or(KeyringError::BadKey)?;
        let pair = key.pair().ok_or(KeyringError::BadKey)?;
        let message = message(&key.public.id);
        let mut signature = vec![0; pair.public_modulus_len()];
        let signed = pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        );
        signed.map_err(|_| KeyringError::BadKey)?;
        Ok((message, secret::encode(signature)))
    }

    /// The public halves of all signing keys, those to come included.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.signing.iter().map(|key| &key.public)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

impl MacKey {
    fn of(entry: &SymmetricEntry) -> Result<Self, KeyringError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key_bytes(&entry.key)?);
        Ok(Self {
            id: entry.id.clone(),
            used_from: entry.used_from(),
            key,
        })
    }
}

impl DataKey {
    fn of(entry: &SymmetricEntry) -> Result<Self, KeyringError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key_bytes(&entry.key)?)
            .map_err(|_| KeyringError::BadKey)?;
        Ok(Self {
            id: entry.id.clone(),
            used_from: entry.used_from(),
            key,
        })
    }
}

impl SigningKey {
    fn of(entry: &SigningEntry) -> Result<Self, KeyringError> {
        let pkcs8 = STANDARD
            .decode(&entry.pkcs8)
            .map_err(|_| KeyringError::BadKey)?;
        let public = PublicKey {
            id: entry.id.clone(),
            n: entry.n.clone(),
            e: entry.e.clone(),
        };
        Ok(Self {
            public,
            used_from: entry.used_from(),
            pkcs8: Secret::new(pkcs8),
            parsed: OnceLock::new(),
        })
    }

    /// Parsing checks the key, which costs more than a signature: it is done once.
    fn pair(&self) -> Option<&KeyPair> {
        self.parsed
            .get_or_init(|| KeyPair::from_pkcs8(self.pkcs8.expose()).ok())
            .as_ref()
    }
}

/// The newest key whose time has come; the oldest, where none has: there is nothing before it to go
/// on with.
fn current<K>(keys: &[K], used_from: impl Fn(&K) -> Timestamp, now: Timestamp) -> Option<&K> {
    let usable = keys.iter().filter(|key| used_from(key) <= now);
    usable
        .max_by_key(|key| used_from(key))
        .or_else(|| keys.iter().min_by_key(|key| used_from(key)))
}

fn key_bytes(text: &str) -> Result<Vec<u8>, KeyringError> {
    STANDARD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() == 32)
        .ok_or(KeyringError::BadKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::entropy::Entropy;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn made() -> Secret<String> {
        make(NOW, &Entropy::seeded(1)).unwrap()
    }

    #[test]
    fn a_mac_is_known_and_bound_to_its_message() {
        let ring = Keyring::parse(made().expose()).unwrap();
        let mac = ring.mac(b"123456", NOW).unwrap();
        assert!(ring.is_mac(&mac, b"123456"));
        assert!(!ring.is_mac(&mac, b"123457"));
        assert!(!ring.is_mac(
            &Mac {
                key_id: "m-none".into(),
                ..mac
            },
            b"123456"
        ));
    }

    #[test]
    fn what_is_sealed_opens_only_in_its_context() {
        let ring = Keyring::parse(made().expose()).unwrap();
        let sealed = ring.seal(b"secret", b"usr_1/totp", NOW).unwrap();
        assert_eq!(
            ring.open(&sealed, b"usr_1/totp").unwrap().expose(),
            b"secret"
        );
        assert_eq!(
            ring.open(&sealed, b"usr_2/totp").unwrap_err(),
            KeyringError::NotOurs
        );
        assert_eq!(ring.open("x.AAAA", b"").unwrap_err(), KeyringError::NotOurs);
        assert_eq!(ring.open("", b"").unwrap_err(), KeyringError::NotOurs);
    }

    #[test]
    fn after_a_rotation_the_old_keys_hold_and_the_new_ones_wait_their_time() {
        let old = Keyring::parse(made().expose()).unwrap();
        let mac = old.mac(b"123456", NOW).unwrap();
        let sealed = old.seal(b"secret", b"", NOW).unwrap();

        let later = NOW.plus(Span::hours(1));
        let new = Keyring::parse(
            rotate(made().expose(), later, &Entropy::seeded(2))
                .unwrap()
                .expose(),
        )
        .unwrap();
        assert!(new.is_mac(&mac, b"123456"));
        assert_eq!(new.open(&sealed, b"").unwrap().expose(), b"secret");
        assert_eq!(
            new.public_keys().count(),
            2,
            "the new key is published before it signs"
        );

        assert!(new.is_current(&sealed, later) && !new.is_current(&sealed, later.plus(MAC_LEAD)));
        assert_eq!(new.mac(b"1", later).unwrap().key_id, mac.key_id);
        assert_ne!(
            new.mac(b"1", later.plus(MAC_LEAD)).unwrap().key_id,
            mac.key_id
        );
        let signer = |now| new.sign(str::to_owned, now).unwrap().0;
        assert_eq!(signer(later), signer(later.plus(MAC_LEAD)));
        assert_ne!(signer(later), signer(later.plus(SIGNING_LEAD)));
    }

    #[test]
    fn a_key_that_has_leaked_is_good_for_nothing_and_another_is_used_at_once() {
        let made = made();
        let old = Keyring::parse(made.expose()).unwrap();
        let (mac, sealed) = (
            old.mac(b"123456", NOW).unwrap(),
            old.seal(b"secret", b"", NOW).unwrap(),
        );
        let signer = |ring: &Keyring, now| ring.sign(str::to_owned, now).unwrap().0;
        let leaked = signer(&old, NOW);

        let later = NOW.plus(Span::hours(1));
        let revoked = revoke(
            made.expose(),
            std::slice::from_ref(&leaked),
            later,
            &Entropy::seeded(3),
        )
        .unwrap();
        let new = Keyring::parse(revoked.expose()).unwrap();
        assert!(
            new.public_keys().all(|key| key.id != leaked),
            "it is published no more, so that no token of it is taken"
        );
        assert_ne!(signer(&new, later), leaked);
        assert!(
            new.is_mac(&mac, b"123456") && new.open(&sealed, b"").is_ok(),
            "the other kinds are left alone"
        );

        let all: Vec<String> = list(revoked.expose(), later)
            .unwrap()
            .into_iter()
            .map(|key| key.id)
            .collect();
        let bare = revoke(revoked.expose(), &all, later, &Entropy::seeded(4)).unwrap();
        let bare = Keyring::parse(bare.expose()).unwrap();
        assert!(!bare.is_mac(&mac, b"123456") && bare.open(&sealed, b"").is_err());
        let (mac, sealed) = (
            bare.mac(b"1", later).unwrap(),
            bare.seal(b"1", b"", later).unwrap(),
        );
        assert!(bare.is_mac(&mac, b"1") && bare.is_current(&sealed, later));
    }

    #[test]
    fn a_key_in_the_place_of_another_is_used_while_one_that_was_just_made_waits() {
        let waits = rotate(made().expose(), NOW, &Entropy::seeded(2)).unwrap();
        let first = Keyring::parse(made().expose())
            .unwrap()
            .sign(str::to_owned, NOW)
            .unwrap()
            .0;
        let revoked = revoke(waits.expose(), &[first], NOW, &Entropy::seeded(3)).unwrap();
        let listed = list(revoked.expose(), NOW).unwrap();
        let signing: Vec<_> = listed
            .iter()
            .filter(|key| key.kind == KeyKind::Signing)
            .collect();
        assert_eq!(
            signing
                .iter()
                .map(|key| (key.used_from, key.in_use))
                .collect::<Vec<_>>(),
            [(NOW, true), (NOW.plus(SIGNING_LEAD), false)]
        );
        let ring = Keyring::parse(revoked.expose()).unwrap();
        assert_eq!(ring.sign(str::to_owned, NOW).unwrap().0, signing[0].id);
        assert_eq!(
            ring.sign(str::to_owned, NOW.plus(SIGNING_LEAD)).unwrap().0,
            signing[1].id
        );
    }

    #[test]
    fn what_is_no_key_is_not_revoked_and_nothing_else_either() {
        let made = made();
        let known = list(made.expose(), NOW).unwrap()[0].id.clone();
        let refused = revoke(
            made.expose(),
            &[known, "m-none".into()],
            NOW,
            &Entropy::seeded(3),
        )
        .unwrap_err();
        assert_eq!(refused, KeyringError::NoSuchKey("m-none".into()));
    }

    #[test]
    fn a_malformed_document_is_refused_without_being_quoted() {
        let error = Keyring::parse(r#"{"version": 1, "mac": "hunter2"}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(Keyring::parse(r#"{"version":1,"mac":[],"data":[],"signing":[]}"#).is_err());
    }
}
