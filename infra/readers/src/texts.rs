//! Short texts: ids, addresses, contacts, names, codes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use shared::account::{Locale, explain, network};
use shared::kernel::client_ip::{TrustedProxies, client_ip_key};
use shared::kernel::clock::{Span, Timestamp};
use shared::kernel::config::Config;
use shared::kernel::contact::{email, mask_email, mask_phone, phone};
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::{AccountId, AgreementId, KeyId, RecipientId, SessionId, UserId};
use shared::kernel::outbound::{is_public, may_be_configured};
use shared::kernel::secret::Secret;
use shared::messaging::courier::{CodeMessage, CodePurpose, bound_to};
use shared::signin::user::{password, username};
use shared::signin::{exchange, recovery, totp};
use url::{Host, Url};

use crate::lines;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

/// An id is written in one way alone.
pub fn id(bytes: &[u8]) {
    fn of<T: std::str::FromStr + ToString>(text: &str) -> bool {
        let id = text.parse::<T>().ok();
        if let Some(id) = &id {
            assert_eq!(id.to_string(), text);
        }
        id.is_some()
    }
    let text = String::from_utf8_lossy(bytes);
    let kinds = [
        of::<AccountId>,
        of::<AgreementId>,
        of::<KeyId>,
        of::<RecipientId>,
        of::<SessionId>,
        of::<UserId>,
    ];
    assert!(kinds.iter().filter(|of| of(&text)).count() <= 1);
}

/// `X-Forwarded-For`, behind proxies that are named: a line of proxies, a line with the header.
pub fn client_ip(bytes: &[u8]) {
    let lines = lines(bytes);
    let line = |place: usize| lines.get(place).map(String::as_str).unwrap_or_default();
    let (proxies, forwarded) = (TrustedProxies::read(line(0)), line(1));
    let client_ip = proxies.client_ip(PEER, forwarded.split(','));
    assert_eq!(client_ip, client_ip.to_canonical());
    assert!(!client_ip_key(client_ip).is_empty());
    // Whoever is no proxy of ours speaks for nobody.
    let none = TrustedProxies::default();
    assert_eq!(none.client_ip(PEER, forwarded.split(',')), PEER);
}

/// An allowlist, a network a line: what is taken is a network without host bits, and what is
/// allowed is in one of them.
pub fn allowlist(bytes: &[u8]) {
    let entries = lines(bytes);
    for net in entries.iter().filter_map(|entry| network(entry).ok()) {
        assert_eq!(net, net.trunc());
        assert!(net.prefix_len() >= 16);
    }
    let explained = explain(&entries, PEER);
    assert_eq!(explained.allowed, explained.matched.is_some());
}

/// A phone number or a mail address: taken as it stands, and masked whatever it is.
pub fn contact(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(phone) = phone(&text) {
        assert_eq!(phone.number, text);
        assert_eq!(phone.country.len(), 2);
        assert!(!mask_phone(&text).contains(text.trim_start_matches('+')));
    }
    if let Ok(address) = email(&text) {
        assert_eq!(address, text);
        assert!(text.is_ascii() && !text.contains(['\r', '\n', ',', ' ']));
    }
    let _ = (mask_phone(&text), mask_email(&text));
}

/// A code of an app, or a recovery code: nobody has made any, so that none is right but an app's by
/// luck.
pub fn code(bytes: &[u8]) {
    static KEY: LazyLock<totp::Key> = LazyLock::new(|| totp::Key::draw(&Entropy::seeded(1)));
    let text = String::from_utf8_lossy(bytes);
    let _ = KEY.judge(&text, None, NOW);
    let user = UserId::from_bytes([2; 16]);
    assert_eq!(
        recovery::judge(user, None, &text),
        recovery::RecoveryCodeVerdict::Wrong
    );
    assert!(!recovery::is_legible(&text) || text.is_ascii());
}

/// A username or a password: its normal form is its own normal form.
pub fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(canonical) = username::canonical(&text) {
        assert_eq!(username::looked_up(&text), canonical);
        assert_eq!(username::canonical(&canonical).as_ref(), Ok(&canonical));
    }
    let normal = password::normalised(&text).into_owned();
    assert_eq!(password::normalised(&normal), normal);
}

/// A text with a code: a line with the organisation's name, which the organisation writes, and one
/// with its origin. There is one line that binds a code to a host, and it is ours.
pub fn text_message(bytes: &[u8]) {
    let lines = lines(bytes);
    let line = |place: usize| lines.get(place).map(String::as_str).unwrap_or_default();
    let code = Secret::new("048213".to_owned());
    let host = bound_to(&[line(1).to_owned()], "https://id.example");
    for locale in [Locale::En, Locale::Fr, Locale::De, Locale::Es, Locale::It] {
        let message = CodeMessage {
            purpose: CodePurpose::SignIn,
            organisation: line(0),
            code: &code,
            reference: "KXTP",
            expires_in: Span::minutes(5),
            host: &host,
            locale,
        };
        let text = message.sms();
        let binds = |line: &&str| line.starts_with('@');
        assert_eq!(text.lines().filter(binds).count(), 1, "{text}");
        assert!(text.ends_with(&format!("\n\n@{host} #048213")));
        assert!(message.mail().is_ok());
    }
}

/// An address that the service would go to, and one that a browser is sent to.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let url = Url::parse(&text).ok();
    if may_be_configured(&text, false) {
        let host = url.as_ref().and_then(Url::host);
        assert!(match host {
            Some(Host::Ipv4(v4)) => is_public(v4.into()),
            Some(Host::Ipv6(v6)) => is_public(v6.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        });
    }
    let led = exchange::address(&text, &Secret::new("otc_1".to_owned()));
    if let Some(url) = url {
        let led = Url::parse(&led);
        let host = led.as_ref().map(Url::host_str);
        assert_eq!(host, Ok(url.host_str()), "nobody is sent elsewhere");
    }
}

/// The environment: a variable a line.
pub fn config(bytes: &[u8]) {
    let lines = lines(bytes);
    let variable = |name: &str| {
        let is = |line: &&String| line.starts_with(name);
        let (_, value) = lines.iter().find(is)?.split_once('=')?;
        Some(value.to_owned())
    };
    let config = Config::read(variable);
    assert!(!config.local && !config.table_name.is_empty());
    let _ = config.provider_frame_origin();
}
