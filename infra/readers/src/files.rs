//! Whole files and answers.

use serde_json::Value;
use shared::agreement::provider::Opened;
use shared::agreement::report::join::join;
use shared::agreement::report::verify::verify;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::SessionId;
use shared::kernel::json;
use shared::kernel::keyring::{self, Keyring};

/// The public keys of the reports in `tests/reports`.
const KEYS: &[u8] = include_bytes!("../../../tests/reports/keys.json");

/// JSON in which each name stands once: what is read, everybody reads as the same.
pub fn json(bytes: &[u8]) {
    if let Ok(value) = json::read(bytes) {
        let everybodys: Option<Value> = serde_json::from_slice(bytes).ok();
        assert_eq!(everybodys, Some(value));
    }
}

/// A report, and the keys that it may be signed by, each of them anybody's file.
pub fn report(bytes: &[u8]) {
    if let Ok(verified) = verify(bytes, KEYS) {
        let part = &verified.statement.part;
        let whole = join(std::slice::from_ref(&verified));
        assert_eq!(
            whole.is_ok(),
            (part.first, part.last) == (1, verified.statement.count)
        );
    }
    assert!(verify(bytes, bytes).is_err(), "no file signs itself");
}

/// The document of the keys.
pub fn keyring(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if Keyring::parse(&text).is_ok() {
        let listed = keyring::list(&text, Timestamp::default());
        assert!(listed.is_ok_and(|keys| keys.len() >= 3));
    }
}

/// The provider's answer to a request for a session.
pub fn provider_answer(bytes: &[u8]) {
    let reference = SessionId::from_bytes([7; 16]);
    if let Some(opened) = Opened::read(bytes) {
        assert!(!opened.fits(reference, "https://kba.example") || !opened.fits(reference, "null"));
    }
}
