//! Where the keyring is read from, at cold start and from time to time after.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Keyring, KeyringError};
use crate::kernel::clock::{Span, Timestamp};

/// How old a read keyring may get before it is read again.
pub const REREAD_AFTER: Span = Span::minutes(10);
/// How soon it is asked for again where it could not be read.
const ASK_AGAIN_AFTER: Span = Span::seconds(30);

/// Where the keyring is read from.
#[derive(Clone, Debug)]
enum Source {
    /// It was given, and changes only by [`Keyrings::replace`].
    Given,
    /// Secrets Manager.
    Secret {
        client: aws_sdk_secretsmanager::Client,
        id: String,
    },
}

/// The keyring in force, read again from time to time.
#[derive(Clone, Debug)]
pub struct Keyrings {
    source: Source,
    read: Arc<RwLock<(Arc<Keyring>, Timestamp)>>,
}

impl Keyrings {
    /// This keyring, until it is replaced.
    pub fn given(keyring: Keyring) -> Self {
        Self {
            source: Source::Given,
            read: Arc::new(RwLock::new((Arc::new(keyring), Timestamp::default()))),
        }
    }

    /// No keys, for a function that has no use for one. What asks for one all the same fails.
    pub fn none() -> Self {
        Self::given(Keyring::empty())
    }

    /// The keyring in the secret `id`.
    pub async fn in_secret(
        client: aws_sdk_secretsmanager::Client,
        id: String,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let keyring = fetch(&client, &id).await?;
        let read = Arc::new(RwLock::new((Arc::new(keyring), now)));
        Ok(Self {
            source: Source::Secret { client, id },
            read,
        })
    }

    /// The keyring in force. Where it cannot be read again, the one that was read stays in force.
    pub async fn current(&self, now: Timestamp) -> Arc<Keyring> {
        let (keyring, read_at) = self
            .read
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Source::Secret { client, id } = &self.source else {
            return keyring;
        };
        if now < read_at.plus(REREAD_AFTER) {
            return keyring;
        }
        match fetch(client, id).await.map(Arc::new) {
            Ok(fresh) => {
                self.store(Arc::clone(&fresh), now);
                fresh
            }
            // The old ring stays in force; it is asked again long before a new key comes into use.
            Err(error) => {
                tracing::warn!(cause = %error, "keyring could not be read again; the loaded keyring remains in use; check permissions and Secrets Manager");
                self.store(
                    Arc::clone(&keyring),
                    now.minus(REREAD_AFTER).plus(ASK_AGAIN_AFTER),
                );
                keyring
            }
        }
    }

    /// Puts another keyring in force.
    pub fn replace(&self, keyring: Keyring) {
        self.store(Arc::new(keyring), Timestamp::default());
    }

    fn store(&self, keyring: Arc<Keyring>, now: Timestamp) {
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = (keyring, now);
    }
}

async fn fetch(client: &aws_sdk_secretsmanager::Client, id: &str) -> Result<Keyring, KeyringError> {
    let answer = client.get_secret_value().secret_id(id).send().await;
    let answer = answer.map_err(|error| KeyringError::Malformed(crate::kernel::cause(&error)))?;
    Keyring::parse(answer.secret_string().unwrap_or_default())
}
