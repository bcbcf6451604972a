//! The secrets that are shared with the provider: each in a secret of its own, so that who opens
//! sessions cannot forge what comes of them, and who reads callbacks cannot open any.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::agreement::kba::webhook;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::secret::Secret;

/// How old what was read may get before it is read again.
const REREAD_AFTER: Span = Span::minutes(10);
/// How soon it is asked for again where it could not be read, or where it may have been changed.
const ASK_AGAIN_AFTER: Span = Span::seconds(30);

/// Something that is read from a secret, and read again from time to time: changing it needs no
/// deployment.
pub struct CachedSecret<T> {
    source: Source,
    parse: fn(&str) -> Option<T>,
    read: Arc<RwLock<Read<T>>>,
}

/// What was read.
struct Read<T> {
    value: Option<Arc<T>>,
    /// When it was asked for last.
    asked_at: Timestamp,
    /// From when it is to be asked for again.
    ask_from: Timestamp,
}

impl<T> Clone for Read<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

#[derive(Clone, Debug)]
enum Source {
    /// It was given, and stays.
    Given,
    /// Secrets Manager.
    Secret {
        client: aws_sdk_secretsmanager::Client,
        id: String,
    },
}

impl<T> CachedSecret<T> {
    /// This, for good.
    pub fn given(value: T) -> Self {
        let read = Read {
            value: Some(Arc::new(value)),
            asked_at: Timestamp::default(),
            ask_from: Timestamp::default(),
        };
        Self {
            source: Source::Given,
            parse: |_| None,
            read: Arc::new(RwLock::new(read)),
        }
    }

    /// What `parse` makes of the secret `id`. It is read when it is first asked for.
    fn in_secret(
        client: aws_sdk_secretsmanager::Client,
        id: String,
        parse: fn(&str) -> Option<T>,
    ) -> Self {
        let never = Timestamp::from_millis(i64::MIN);
        let read = Read {
            value: None,
            asked_at: never,
            ask_from: never,
        };
        Self {
            source: Source::Secret { client, id },
            parse,
            read: Arc::new(RwLock::new(read)),
        }
    }

    /// What is in force: what was read last, where it cannot be read again; nothing, where it never
    /// could.
    pub async fn current(&self, now: Timestamp) -> Option<Arc<T>> {
        let Read {
            value, ask_from, ..
        } = self.held();
        if now < ask_from {
            value
        } else {
            self.ask(value, now).await
        }
    }

    /// What is in force, where what is held does not do: read anew, unless that was done just
    /// before. Nothing then.
    pub async fn refresh(&self, now: Timestamp) -> Option<Arc<T>> {
        let Read {
            value, asked_at, ..
        } = self.held();
        if now < asked_at.plus(ASK_AGAIN_AFTER) {
            None
        } else {
            self.ask(value, now).await
        }
    }

    fn held(&self) -> Read<T> {
        self.read
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask(&self, held: Option<Arc<T>>, now: Timestamp) -> Option<Arc<T>> {
        let Source::Secret { client, id } = &self.source else {
            return held;
        };
        let answer = client.get_secret_value().secret_id(id).send().await;
        let fresh = match answer {
            Ok(answer) => (self.parse)(answer.secret_string().unwrap_or_default()),
            Err(error) => {
                tracing::warn!(
                    cause = crate::kernel::cause(&error),
                    "secret of the KBA provider could not be read; its last value remains in use; check permissions and Secrets Manager"
                );
                None
            }
        };
        let ask_from = now.plus(if fresh.is_some() {
            REREAD_AFTER
        } else {
            ASK_AGAIN_AFTER
        });
        let held = fresh.map(Arc::new).or(held);
        if held.is_none() {
            tracing::error!(
                "secret of the KBA provider is missing or malformed; KBA is unavailable; correct the secret"
            );
        }
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Read {
            value: held.clone(),
            asked_at: now,
            ask_from,
        };
        held
    }
}

impl CachedSecret<Secret<String>> {
    /// The key that the provider knows us by: the whole text of the secret.
    pub fn api_secret(client: aws_sdk_secretsmanager::Client, id: String) -> Self {
        Self::in_secret(client, id, |text| {
            (!text.trim().is_empty()).then(|| Secret::new(text.trim().to_owned()))
        })
    }
}

impl CachedSecret<webhook::Secrets> {
    /// The secrets that callbacks are signed with: a JSON list of `whsec_…`.
    pub fn webhook_secrets(client: aws_sdk_secretsmanager::Client, id: String) -> Self {
        Self::in_secret(client, id, |text| {
            let texts: Vec<Secret<String>> = serde_json::from_str(text).ok()?;
            webhook::Secrets::read(&texts)
        })
    }
}

impl<T> Clone for CachedSecret<T> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            parse: self.parse,
            read: Arc::clone(&self.read),
        }
    }
}

impl<T> fmt::Debug for CachedSecret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedSecret")
    }
}
