//! The document in which the keys are kept, and what is done to it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{KeyringError, MAC_LEAD, SIGNING_LEAD};
use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::secret::{self, Secret};

/// How many keys of each kind a rotation leaves in the document.
const KEPT: usize = 3;

/// The document as it is stored in Secrets Manager, or in the local stack's data directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub version: u32,
    pub mac: Vec<SymmetricEntry>,
    pub data: Vec<SymmetricEntry>,
    pub signing: Vec<SigningEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SymmetricEntry {
    pub id: String,
    made_at: Timestamp,
    /// From when it is used, where it takes the place of one that has leaked: then there is no time
    /// to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_from: Option<Timestamp>,
    pub key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SigningEntry {
    pub id: String,
    made_at: Timestamp,
    /// From when it is used, where it takes the place of one that has leaked: then there is no time
    /// to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_from: Option<Timestamp>,
    pub pkcs8: String,
    pub n: String,
    pub e: String,
}

impl Document {
    fn ids(&self) -> impl Iterator<Item = &String> {
        let symmetric = self.mac.iter().chain(&self.data).map(|key| &key.id);
        symmetric.chain(self.signing.iter().map(|key| &key.id))
    }
}

impl SymmetricEntry {
    /// From when it is used.
    pub fn used_from(&self) -> Timestamp {
        self.used_from.unwrap_or(self.made_at.plus(MAC_LEAD))
    }
}

impl SigningEntry {
    /// From when it is used.
    pub fn used_from(&self) -> Timestamp {
        self.used_from.unwrap_or(self.made_at.plus(SIGNING_LEAD))
    }
}

/// A new document.
pub fn make(now: Timestamp, entropy: &Entropy) -> Result<Secret<String>, KeyringError> {
    write(&Document {
        version: 1,
        mac: vec![symmetric("m", now, entropy)],
        data: vec![symmetric("d", now, entropy)],
        signing: vec![signing(now, entropy)?],
    })
}

/// The document with a new key of each kind. The oldest are dropped once `KEPT` newer ones stand
/// before them.
pub fn rotate(
    document: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Secret<String>, KeyringError> {
    let mut document = read(document)?;
    document.mac.insert(0, symmetric("m", now, entropy));
    document.data.insert(0, symmetric("d", now, entropy));
    document.signing.insert(0, signing(now, entropy)?);
    document.mac.truncate(KEPT);
    document.signing.truncate(KEPT);
    // Data keys stay: what they sealed is sealed anew only when it is next used.
    write(&document)
}

/// The document without the keys `ids`, which are good for nothing from then on. One of each kind
/// that lost a key is made, and used at once: by environments that have not read it yet it is not
/// known, for as long as they go without reading.
pub fn revoke(
    document: &str,
    ids: &[String],
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Secret<String>, KeyringError> {
    let mut document = read(document)?;
    let known = |id: &String| document.ids().any(|known| known == id);
    if let Some(unknown) = ids.iter().find(|id| !known(id)) {
        return Err(KeyringError::NoSuchKey(unknown.clone()));
    }
    for (entries, prefix) in [(&mut document.mac, "m"), (&mut document.data, "d")] {
        if without(entries, |key| ids.contains(&key.id)) {
            let mut fresh = symmetric(prefix, now, entropy);
            fresh.used_from = Some(now);
            entries.insert(0, fresh);
        }
    }
    if without(&mut document.signing, |key| ids.contains(&key.id)) {
        let mut fresh = signing(now, entropy)?;
        fresh.used_from = Some(now);
        document.signing.insert(0, fresh);
    }
    write(&document)
}

/// Takes out what has leaked; whether there was any.
fn without<E>(entries: &mut Vec<E>, leaked: impl Fn(&E) -> bool) -> bool {
    let before = entries.len();
    entries.retain(|entry| !leaked(entry));
    entries.len() < before
}

/// What keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Codes, challenges and the links of agreements carry its MAC.
    Mac,
    /// It seals the secrets of authenticator apps, and links until they are mailed.
    Data,
    /// It signs access tokens and reports.
    Signing,
}

/// A key of a document, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// When it was made.
    pub made_at: Timestamp,
    /// From when it is used.
    pub used_from: Timestamp,
    /// Whether it is the one in use.
    pub in_use: bool,
}

/// The keys of a document, the newest of each kind first.
pub fn list(document: &str, now: Timestamp) -> Result<Vec<Listed>, KeyringError> {
    let Document {
        mac, data, signing, ..
    } = read(document)?;
    let symmetric =
        |kind, entry: SymmetricEntry| Listed::new(kind, entry.used_from(), entry.made_at, entry.id);
    let kinds = [
        mac.into_iter()
            .map(|entry| symmetric(KeyKind::Mac, entry))
            .collect::<Vec<_>>(),
        data.into_iter()
            .map(|entry| symmetric(KeyKind::Data, entry))
            .collect(),
        signing
            .into_iter()
            .map(|entry| Listed::new(KeyKind::Signing, entry.used_from(), entry.made_at, entry.id))
            .collect(),
    ];
    let in_use: Vec<String> = kinds
        .iter()
        .filter_map(|keys| super::current(keys, |key| key.used_from, now))
        .map(|key| key.id.clone())
        .collect();
    let keys = kinds.into_iter().flatten();
    Ok(keys
        .map(|key| Listed {
            in_use: in_use.contains(&key.id),
            ..key
        })
        .collect())
}

impl Listed {
    const fn new(kind: KeyKind, used_from: Timestamp, made_at: Timestamp, id: String) -> Self {
        Self {
            id,
            kind,
            made_at,
            used_from,
            in_use: false,
        }
    }
}

pub(super) fn read(document: &str) -> Result<Document, KeyringError> {
    // serde_json's message may quote the document; only where it broke is told.
    serde_json::from_str(document).map_err(|error| {
        KeyringError::Malformed(format!("line {} column {}", error.line(), error.column()))
    })
}

fn write(document: &Document) -> Result<Secret<String>, KeyringError> {
    serde_json::to_string(document)
        .map(Secret::new)
        .map_err(|_| KeyringError::BadKey)
}

fn symmetric(prefix: &str, now: Timestamp, entropy: &Entropy) -> SymmetricEntry {
    SymmetricEntry {
        id: key_id(prefix, entropy),
        made_at: now,
        used_from: None,
        key: STANDARD.encode(entropy.bytes::<32>()),
    }
}

fn signing(now: Timestamp, entropy: &Entropy) -> Result<SigningEntry, KeyringError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyringError::BadKey)?;
    let pkcs8 = pair.as_der().map_err(|_| KeyringError::BadKey)?;
    let public = pair.public_key();
    Ok(SigningEntry {
        id: key_id("s", entropy),
        made_at: now,
        used_from: None,
        pkcs8: STANDARD.encode(pkcs8.as_ref()),
        n: secret::encode(public.modulus().big_endian_without_leading_zero()),
        e: secret::encode(public.exponent().big_endian_without_leading_zero()),
    })
}

fn key_id(prefix: &str, entropy: &Entropy) -> String {
    format!(
        "{prefix}{}",
        secret::encode(entropy.bytes::<6>()).replace(['-', '_'], "0")
    )
}
