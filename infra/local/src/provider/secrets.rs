//! The secrets that the provider and the service share on this machine, made on the first start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use shared::kernel::entropy::Entropy;
use shared::kernel::secret::{Secret, encode};

use crate::StartError;
use crate::store::Store;

const FILE: &str = "provider.json";

/// What both sides know.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    /// What the service shows the provider.
    pub api: Secret<String>,
    /// What the provider signs with.
    pub webhook: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    api: String,
    webhook: String,
}

impl Secrets {
    /// The secrets that are kept, or new ones.
    pub fn kept(store: &Store, entropy: &Entropy) -> Result<Self, StartError> {
        let unusable = |cause: &dyn std::fmt::Display| StartError::Provider(cause.to_string());
        if let Some(text) = store.secret(FILE).map_err(|error| unusable(&error))? {
            let document: Document =
                serde_json::from_str(text.expose()).map_err(|error| unusable(&error))?;
            return Ok(Self {
                api: Secret::new(document.api),
                webhook: Secret::new(document.webhook),
            });
        }
        let api = format!("prv_{}", encode(entropy.bytes::<32>()));
        let webhook = format!("whsec_{}", STANDARD.encode(entropy.bytes::<32>()));
        let text = serde_json::to_string(&Document {
            api: api.clone(),
            webhook: webhook.clone(),
        });
        let text = Secret::new(text.map_err(|error| unusable(&error))?);
        store
            .keep_secret(FILE, &text)
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            api: Secret::new(api),
            webhook: Secret::new(webhook),
        })
    }
}
