//! The keyring of this machine, made on the first start.

use std::sync::OnceLock;

use shared::kernel::clock::Timestamp;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::kernel::secret::Secret;

use crate::StartError;
use crate::store::Store;

const FILE: &str = "keyring.json";

/// Making an RSA key takes longer than all the rest of a start: what is not kept is made once per
/// process.
static EPHEMERAL: OnceLock<Secret<String>> = OnceLock::new();

/// The keyring that is kept, or a new one.
pub(crate) fn keyring(
    store: &Store,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Keyring, StartError> {
    let unusable = |cause: &dyn std::fmt::Display| StartError::Keyring(cause.to_string());
    if let Some(document) = store.secret(FILE).map_err(|error| unusable(&error))? {
        return Keyring::parse(document.expose()).map_err(|error| unusable(&error));
    }
    if store.file(FILE).is_none()
        && let Some(document) = EPHEMERAL.get()
    {
        return Keyring::parse(document.expose()).map_err(|error| unusable(&error));
    }
    let document = keyring::make(now, entropy).map_err(|error| unusable(&error))?;
    store
        .keep_secret(FILE, &document)
        .map_err(|error| unusable(&error))?;
    let ring = Keyring::parse(document.expose()).map_err(|error| unusable(&error))?;
    if store.file(FILE).is_none() {
        // Two stacks that start at once: either's keys will do.
        let _ = EPHEMERAL.set(document);
    }
    Ok(ring)
}
