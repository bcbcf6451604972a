//! The keyring in Secrets Manager: made once, rotated under guard.
//!
//! Two people who run a command at once do no harm: the id of the version that is written follows
//! from what it replaces, and Secrets Manager refuses another value under an id that is taken.

use std::collections::BTreeSet;
use std::error::Error;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use serde::Deserialize;
use shared::kernel::clock::{Clock, Span, Timestamp};
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{
    self, KeyKind, Keyring, KeyringError, Listed, REREAD_AFTER, SIGNING_LEAD,
};
use shared::kernel::secret::{Fingerprint, Secret};

use crate::Complaint;

/// How long to wait between rotations. A document keeps three keys of a kind, and a new one is not
/// used for [`SIGNING_LEAD`]: rotating faster would drop the key that is in use.
const BETWEEN_ROTATIONS: Span = Span::seconds(SIGNING_LEAD.as_secs() + 3600);

/// What stands in the secret.
enum Stored {
    Nothing,
    Value {
        version: String,
        document: Secret<String>,
    },
}

/// The part of the document that says how old its keys are.
#[derive(Deserialize)]
struct Ages {
    signing: Vec<Age>,
}

#[derive(Deserialize)]
struct Age {
    made_at: Timestamp,
}

/// Makes the first keyring.
pub(crate) async fn init(sdk: &SdkConfig, secret_id: &str) -> Result<String, Complaint> {
    let client = Client::new(sdk);
    if let Stored::Value { .. } = stored(&client, secret_id).await? {
        return Err(Complaint::new(
            "the secret already has a value; nothing was changed, because data signed and sealed under that keyring would be lost. \
             `operate keyring rotate` adds new keys to it",
        ));
    }
    let document = keyring::make(Clock::system().now(), &Entropy::system())
        .map_err(|error| unusable(&error))?;
    let version = put(&client, secret_id, &document, "init").await?;
    Ok(format!(
        "the keyring was made: version {version}. Functions that start from now on read it"
    ))
}

/// Adds a new key of each kind.
pub(crate) async fn rotate(sdk: &SdkConfig, secret_id: &str) -> Result<String, Complaint> {
    let client = Client::new(sdk);
    let (version, document) = value(&client, secret_id).await?;
    let now = Clock::system().now();
    refuse_haste(&document, now)?;
    let rotated = keyring::rotate(document.expose(), now, &Entropy::system())
        .map_err(|error| unusable(&error))?;
    let made = replace(&client, secret_id, &version, &rotated, now).await?;
    let from = now.plus(SIGNING_LEAD).to_rfc3339();
    Ok(format!(
        "the keyring was rotated: version {made} after {version}. Tokens are signed with the new key from {from} on"
    ))
}

/// The keys, without what they are.
pub(crate) async fn list(sdk: &SdkConfig, secret_id: &str) -> Result<String, Complaint> {
    let (_, document) = value(&Client::new(sdk), secret_id).await?;
    let keys = keyring::list(document.expose(), Clock::system().now())
        .map_err(|error| unusable(&error))?;
    Ok(keys.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Takes out keys that have leaked.
pub(crate) async fn revoke(
    sdk: &SdkConfig,
    secret_id: &str,
    ids: &[String],
    yes: bool,
) -> Result<String, Complaint> {
    let client = Client::new(sdk);
    let (version, document) = value(&client, secret_id).await?;
    let now = Clock::system().now();
    let revoked = keyring::revoke(document.expose(), ids, now, &Entropy::system())
        .map_err(|error| unusable(&error))?;
    let keys = keyring::list(document.expose(), now).map_err(|error| unusable(&error))?;
    let costs = costs(
        keys.iter()
            .filter(|key| ids.contains(&key.id))
            .map(|key| key.kind),
    );
    if !yes {
        return Err(Complaint::new(format!(
            "{costs}\nnothing was changed; repeat the command with --yes to do it"
        )));
    }
    let made = replace(&client, secret_id, &version, &revoked, now).await?;
    Ok(format!(
        "{costs}\nit was done: version {made} after {version}"
    ))
}

fn line(key: &Listed) -> String {
    let kind = match key.kind {
        KeyKind::Mac => "mac",
        KeyKind::Data => "data",
        KeyKind::Signing => "signing",
    };
    let used = if key.in_use {
        "in use".to_owned()
    } else {
        format!("used from {}", key.used_from.to_rfc3339())
    };
    format!(
        "{}\t{kind}\tmade {}\t{used}",
        key.id,
        key.made_at.to_rfc3339()
    )
}

/// What it costs to do without keys of these kinds.
fn costs(kinds: impl Iterator<Item = KeyKind>) -> String {
    let kinds: BTreeSet<KeyKind> = kinds.collect();
    let each = kinds.into_iter().map(|kind| match kind {
        KeyKind::Mac => {
            "mac: every sign-in that is under way begins anew, and links of agreements that were mailed are unknown: resend those that are \
             still to be opened"
        }
        KeyKind::Data => {
            "data: authenticator apps set up under it can no longer be checked; reset each (DELETE /v1/users/{id}/factors/totp), and its \
             user sets it up anew. Links that are owed and not mailed yet are lost: send them again"
        }
        KeyKind::Signing => {
            "signing: everybody who is signed in signs in anew. Who checks tokens takes the old key's, and refuses the new one's, until \
             the JWKS is fetched again: API Gateway's authorizer may keep it for two hours. Reports that it signed verify by a JWKS that \
             was kept, and say no more what they said: whoever had the key may have made one"
        }
    });
    let reread = format!(
        "functions that run go on with the old keys until they read again, at most {} s from now",
        REREAD_AFTER.as_secs()
    );
    each.map(str::to_owned)
        .chain([reread])
        .collect::<Vec<_>>()
        .join("\n")
}

fn unusable(error: &KeyringError) -> Complaint {
    Complaint::new(error.to_string())
}

/// What stands in the secret, if anything does.
async fn value(client: &Client, secret_id: &str) -> Result<(String, Secret<String>), Complaint> {
    match stored(client, secret_id).await? {
        Stored::Value { version, document } => Ok((version, document)),
        Stored::Nothing => Err(Complaint::new(
            "the secret has no value yet; create one with `operate keyring init`",
        )),
    }
}

/// Puts `document` into force in the place of `version`.
async fn replace(
    client: &Client,
    secret_id: &str,
    version: &str,
    document: &Secret<String>,
    now: Timestamp,
) -> Result<String, Complaint> {
    // What every function will have to read is read here first.
    Keyring::parse(document.expose()).map_err(|error| unusable(&error))?;
    // The hour is in the id so that a version that was put back into force can be replaced anew.
    put(
        client,
        secret_id,
        document,
        &format!("{version} {}", now.as_secs() / 3_600),
    )
    .await
}

fn refuse_haste(document: &Secret<String>, now: Timestamp) -> Result<(), Complaint> {
    // The parser's message might quote the document.
    let ages: Ages = serde_json::from_str(document.expose())
        .map_err(|_| Complaint::new("the value of the secret is not a keyring"))?;
    let newest = ages
        .signing
        .iter()
        .map(|age| age.made_at)
        .max()
        .unwrap_or_default();
    let earliest = newest.plus(BETWEEN_ROTATIONS);
    if earliest <= now {
        return Ok(());
    }
    Err(Complaint::new(format!(
        "the newest keys were made at {}; rotate again after {}, or keys that are still in use would be dropped",
        newest.to_rfc3339(),
        earliest.to_rfc3339()
    )))
}

async fn stored(client: &Client, secret_id: &str) -> Result<Stored, Complaint> {
    match client.get_secret_value().secret_id(secret_id).send().await {
        Ok(answer) => {
            let document = answer.secret_string.ok_or_else(|| {
                Complaint::new("the value of the secret is not text, so it is not a keyring")
            })?;
            Ok(Stored::Value {
                version: answer.version_id.unwrap_or_default(),
                document: Secret::new(document),
            })
        }
        // The same error stands for a secret without a value and for none at all.
        Err(error) if error.code() == Some("ResourceNotFoundException") => {
            let described = client.describe_secret().secret_id(secret_id).send().await;
            described
                .map(|_| Stored::Nothing)
                .map_err(|error| complaint("the secret could not be found", &error))
        }
        Err(error) => Err(complaint("the secret could not be read", &error)),
    }
}

/// Puts `document` into force, as the version whose id follows from `named`.
async fn put(
    client: &Client,
    secret_id: &str,
    document: &Secret<String>,
    named: &str,
) -> Result<String, Complaint> {
    let request = client
        .put_secret_value()
        .secret_id(secret_id)
        .secret_string(document.expose());
    match request.client_request_token(version_id(named)).send().await {
        Ok(answer) => Ok(answer.version_id.unwrap_or_default()),
        Err(error) if error.code() == Some("ResourceExistsException") => Err(Complaint::new(
            "somebody else changed the keyring at the same time; their change is in force and yours was discarded. Look at it \
             (`operate keyring list`), and repeat the command if it is still needed",
        )),
        Err(error) => Err(complaint("the keyring could not be stored", &error)),
    }
}

/// 43 characters: Secrets Manager takes 32 to 64.
fn version_id(named: &str) -> String {
    Fingerprint::of(format!("countersign keyring {named}").as_bytes()).encode()
}

/// What AWS said, or else why it could not be asked. Never the SDK's own dump of the answer, in
/// which a keyring might stand.
fn complaint<E: ProvideErrorMetadata + Error + 'static>(
    doing: &str,
    error: &SdkError<E>,
) -> Complaint {
    if let Some(code) = error.code() {
        return Complaint::new(format!(
            "{doing}: {code}: {}",
            error.message().unwrap_or("no further message")
        ));
    }
    let mut text = format!("{doing}: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    Complaint(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_rotation_waits_until_the_last_one_is_in_use() {
        let document = keyring::make(NOW, &Entropy::seeded(1)).unwrap();
        assert!(refuse_haste(&document, NOW.plus(SIGNING_LEAD)).is_err());
        assert!(refuse_haste(&document, NOW.plus(BETWEEN_ROTATIONS)).is_ok());
    }

    #[test]
    fn a_refusal_shows_nothing_of_the_document() {
        let document = Secret::new("{\"signing\": \"hunter2\"}".to_owned());
        let Complaint(text) = refuse_haste(&document, NOW).unwrap_err();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_list_shows_nothing_of_the_keys() {
        let document = keyring::make(NOW, &Entropy::seeded(1)).unwrap();
        let told: Vec<String> = keyring::list(document.expose(), NOW)
            .unwrap()
            .iter()
            .map(line)
            .collect();
        assert_eq!(told.len(), 3);
        let secrets = document.expose().split('"').filter(|text| text.len() > 40);
        assert!(
            secrets.clone().count() >= 4
                && secrets
                    .into_iter()
                    .all(|secret| !told.concat().contains(secret))
        );
    }

    #[test]
    fn each_kind_of_key_is_said_to_cost_something_of_its_own() {
        let told =
            costs([KeyKind::Mac, KeyKind::Data, KeyKind::Signing, KeyKind::Data].into_iter());
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[0].starts_with("mac: ")
                && lines[1].starts_with("data: ")
                && lines[2].starts_with("signing: "),
            "{told}"
        );
        assert!(lines[3].contains("600 s"), "{told}");
    }

    #[test]
    fn a_version_is_named_after_what_it_replaces() {
        assert_eq!(version_id("a 1"), version_id("a 1"));
        assert_ne!(version_id("a 1"), version_id("b 1"));
        assert!((32..=64).contains(&version_id("init").len()));
    }
}
