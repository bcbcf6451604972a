//! What is read out of mails and tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The claims of an access token, unchecked.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token of the link in a mail.
pub fn token_of(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text
        .split_whitespace()
        .find_map(|word| word.split_once("/link#"));
    link.unwrap_or_else(|| panic!("no link in {text}"))
        .1
        .to_owned()
}
