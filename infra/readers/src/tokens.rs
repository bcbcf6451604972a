//! Tokens, as whoever shows one sends it.

use std::sync::LazyLock;

use shared::agreement;
use shared::agreement::report::link::ReportLink;
use shared::kernel::clock::Timestamp;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::{self, Keyring};
use shared::kernel::secret::{self, Fingerprint, Secret};
use shared::signin::access_token;
use shared::signin::challenge;
use shared::signin::link::Token;
use shared::signin::{exchange, sso};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ISSUER: &str = "https://id.example";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let document = keyring::make(NOW, &Entropy::seeded(1));
    let parsed = document.and_then(|document| Keyring::parse(document.expose()));
    parsed.unwrap_or_else(|error| panic!("a new keyring: {error}"))
});

/// `body` with a MAC of our own: what the reader does with it is looked at, and not whether it
/// checks the MAC alone.
fn sealed(prefix: &str, purpose: &[u8], body: &[u8], length: usize) -> String {
    let mac = KEYRING.mac(&[purpose, body].concat(), NOW);
    let mac = mac.unwrap_or_else(|error| panic!("a MAC: {error}"));
    let digest = mac.digest.get(..length).unwrap_or(&mac.digest);
    format!("{prefix}{}.{}.{digest}", secret::encode(body), mac.key_id)
}

/// The token of a challenge: a user's, a recipient's or nobody's. None that we did not seal opens.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(challenge::Ticket::read(&text, &KEYRING).is_err());
    assert!(agreement::Ticket::read(&text, &KEYRING).is_none());
    let token = sealed("chl_", b"challenge\n", bytes, 22);
    let of_user = challenge::Ticket::read(&token, &KEYRING).is_ok();
    let of_recipient = agreement::Ticket::read(&token, &KEYRING).is_some();
    assert!(!(of_user && of_recipient));
}

/// The token of a link to a report: what is taken is good for a while yet.
pub fn report_link(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(ReportLink::read(&text, &KEYRING, NOW).is_none());
    let token = sealed("rpl_", b"report link\n", bytes, usize::MAX);
    if let Some(link) = ReportLink::read(&token, &KEYRING, NOW) {
        assert!(link.expires_at > NOW);
        assert!(ReportLink::has_prefix(&token));
    }
}

/// An access token: none that we did not sign is taken. Claims that we did are, if they are good.
pub fn access_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(access_token::verify(&text, ISSUER, &KEYRING, NOW).is_err());
    let unsigned = |kid: &str| {
        let header = serde_json::json!({"alg": "RS256", "typ": "at+jwt", "kid": kid}).to_string();
        format!("{}.{}", secret::encode(header), secret::encode(bytes))
    };
    let Ok((message, signature)) = KEYRING.sign(unsigned, NOW) else {
        unreachable!("the keyring has a key");
    };
    let token = format!("{message}.{signature}");
    if let Ok(claims) = access_token::verify(&token, ISSUER, &KEYRING, NOW) {
        assert!(claims.exp > NOW.as_secs());
        let _ = (claims.is_fresh(NOW), claims.is_recipients());
    }
}

/// A mailed link, a user's or a recipient's, and the one-time code of a portal: kept by their
/// fingerprints alone.
pub fn link(bytes: &[u8]) {
    let text = Secret::new(String::from_utf8_lossy(bytes).into_owned());
    let fingerprint = Fingerprint::of(text.expose().as_bytes()).encode();
    let of_user = Token::read(&text);
    if let Ok(token) = &of_user {
        assert_eq!(token.name(), fingerprint);
    }
    let of_recipient = agreement::Link::read(text.expose());
    if let Some(link) = &of_recipient {
        assert!(agreement::Link::has_prefix(text.expose()));
        assert_eq!(link.fingerprint, fingerprint);
    }
    let of_portal = exchange::key(&text).is_some();
    let taken = [of_user.is_ok(), of_recipient.is_some(), of_portal];
    assert!(taken.into_iter().filter(|taken| *taken).count() <= 1);
}

/// An ID token, before anything of it is believed.
pub fn id_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(said) = sso::UnverifiedIdToken::read(&text) {
        assert!(text.len() <= sso::TOKEN_MAX);
        assert!(!said.subject().is_empty() && !said.subject().chars().any(char::is_control));
    }
    // The same with a header of the kind that is taken, and these bytes for claims.
    let (header, claims) = (secret::encode(r#"{"alg":"RS256"}"#), secret::encode(bytes));
    let _ = sso::UnverifiedIdToken::read(&format!("{header}.{claims}.AAAA"));
}

/// The keys that an issuer publishes.
pub fn issuer_keys(bytes: &[u8]) {
    let keys = sso::read_keys(bytes).unwrap_or_default();
    let usable = keys.iter().filter(|key| key.decoding().is_some()).count();
    assert!(usable <= keys.len() && keys.len() <= 64);
}
