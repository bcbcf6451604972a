//! An operator's API key: the first one cannot be made through the API, which wants one.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use shared::api_key::ApiKey;
use shared::clock::Clock;
use shared::dynamo::Table;
use shared::entropy::Entropy;

use crate::{Complaint, complaint};

/// The longest name.
const NAME_MAX: usize = 100;

/// Makes a key, stores its fingerprint, and answers with the key.
pub(crate) async fn make(sdk: &SdkConfig, table: String, name: String) -> Result<String, Complaint> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Complaint::new(format!("a key's name has 1 to {NAME_MAX} characters, and no control characters")));
    }
    let text = ApiKey::operator_text(&Entropy::system());
    let key = ApiKey::operator(&text, name, Clock::system().now());
    let write = key.create().map_err(|failure| complaint(&failure))?;
    // The condition is that no such key stands there; the SDK's own retry of a write that did succeed is the only way to fail it.
    let table = Table::new(Client::new(sdk), table);
    table.transact(vec![write]).await.map_err(|failure| complaint(&failure))?;
    Ok(text.expose().clone())
}
