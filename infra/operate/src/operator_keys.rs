//! Operators' API keys: the API makes none, because it would want one for it, and revokes none,
//! because each opens every account.
//!
//! An audit is an account's, and these keys belong to none: neither making nor revoking one is told
//! anywhere but in what AWS keeps of the table (CloudTrail's data events, where they are on). What
//! is done with a key is in the accounts' audits, under the key's id.

use std::io::{self, Write as _};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use shared::account::api_key::{self, ApiKey};
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::KeyId;
use shared::store::dynamo::{Failure, Table, keys, read};

use crate::{Complaint, complaint};

/// The longest name.
const NAME_MAX: usize = 100;
/// How many are read at once.
const PAGE: i32 = 100;

/// Makes a key, stores its fingerprint, and answers with the key.
pub(crate) async fn make(
    sdk: &SdkConfig,
    table: String,
    name: String,
) -> Result<String, Complaint> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Complaint::new(format!(
            "a key name must have 1 to {NAME_MAX} characters and no control characters"
        )));
    }
    let entropy = Entropy::system();
    let text = ApiKey::operator_text(&entropy);
    let key = ApiKey::operator(&text, name, Clock::system().now());
    let write = key.create().map_err(|failure| complaint(&failure))?;
    // The condition is that no such key stands there; the SDK's own retry of a write that did
    // succeed is the only way to fail it.
    let table = Table::new(Client::new(sdk), table, entropy);
    table
        .transact(vec![write.into()])
        .await
        .map_err(|failure| complaint(&failure))?;
    // Beside the key, which may be read by a program. Where it cannot be told, the list has it.
    let _ = writeln!(io::stderr(), "the key's id is {}", key.id);
    Ok(text.expose().clone())
}

/// All keys.
pub(crate) async fn list(sdk: &SdkConfig, table: String) -> Result<String, Complaint> {
    let table = Table::new(Client::new(sdk), table, Entropy::system());
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let page = table
            .query(keys::api_keys(None), after, PAGE)
            .await
            .map_err(|failure| complaint(&failure))?;
        for item in page.items {
            let key: ApiKey = read(item).map_err(|failure| complaint(&failure))?;
            lines.push(format!(
                "{}\t{}\t{}",
                key.id,
                key.created_at.to_rfc3339(),
                key.name
            ));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(if lines.is_empty() {
        "there is no operator's key".into()
    } else {
        lines.join("\n")
    })
}

/// Takes a key away: it is looked up by every request, so that the next one is refused.
pub(crate) async fn revoke(sdk: &SdkConfig, table: String, id: &str) -> Result<String, Complaint> {
    let key: KeyId = id
        .parse()
        .map_err(|_| Complaint::new("a key id must begin with key_"))?;
    match Table::new(Client::new(sdk), table, Entropy::system())
        .remove(api_key::revoke(None, key))
        .await
    {
        Ok(()) => Ok(format!("{key} was revoked")),
        Err(Failure::Condition(_)) => Err(Complaint::new(format!(
            "there is no operator key {key}; it may have been revoked"
        ))),
        Err(failure) => Err(complaint(&failure)),
    }
}
