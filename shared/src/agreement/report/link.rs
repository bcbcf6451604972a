//! A link to a report: opens that one report in a browser, for five minutes.
//!
//! Nothing is kept of it. The token says which report it opens and until when, and carries a MAC of
//! the keyring over that, so that it opens no other and no longer. It cannot be taken back; its end
//! is near enough.

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, AgreementId};
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::{self, Secret};

/// How long a link is good.
pub const LIFETIME: Span = Span::minutes(5);

/// What a token begins with.
const PREFIX: &str = "rpl_";
/// What its MAC is bound to besides.
const PURPOSE: &[u8] = b"report link\n";
/// Account, agreement, the millisecond of its end.
const BODY: usize = 16 + 16 + 8;

/// A link, as its token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLink {
    /// The account.
    pub account: AccountId,
    /// The agreement whose report it opens.
    pub agreement: AgreementId,
    /// When it is over.
    pub expires_at: Timestamp,
}

impl ReportLink {
    /// A link that is good from now on.
    pub const fn new(account: AccountId, agreement: AgreementId, now: Timestamp) -> Self {
        Self {
            account,
            agreement,
            expires_at: now.plus(LIFETIME),
        }
    }

    /// Whether `token` says of itself that it is a link's.
    pub fn has_prefix(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Its token.
    pub fn token(&self, keyring: &Keyring, now: Timestamp) -> Result<Secret<String>, KeyringError> {
        let body = self.body();
        let mac = keyring.mac(&[PURPOSE, &body].concat(), now)?;
        Ok(Secret::new(format!(
            "{PREFIX}{}.{}.{}",
            secret::encode(body),
            mac.key_id,
            mac.digest
        )))
    }

    /// The link that `token` is of, if this service made it and it is good now.
    pub fn read(token: &str, keyring: &Keyring, now: Timestamp) -> Option<Self> {
        let mut parts = token.strip_prefix(PREFIX)?.split('.');
        let (Some(body), Some(key_id), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let body = secret::decode(body)?;
        let made = keyring.mac_by(key_id, &[PURPOSE, &body].concat())?;
        let genuine = secret::equal(made.as_bytes(), digest.as_bytes());
        Self::of_body(&body).filter(|link| genuine && link.expires_at > now)
    }

    fn body(&self) -> Vec<u8> {
        let end = self.expires_at.as_millis().to_be_bytes();
        [
            &self.account.to_bytes()[..],
            &self.agreement.to_bytes(),
            &end,
        ]
        .concat()
    }

    fn of_body(body: &[u8]) -> Option<Self> {
        if body.len() != BODY {
            return None;
        }
        let id = |from: usize| {
            body.get(from..from + 16)
                .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        };
        let end = body
            .get(32..)
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())?;
        Some(Self {
            account: AccountId::from_bytes(id(0)?),
            agreement: AgreementId::from_bytes(id(16)?),
            expires_at: Timestamp::from_millis(i64::from_be_bytes(end)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::entropy::Entropy;
    use crate::kernel::keyring;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ring(seed: u64) -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(seed)).unwrap().expose()).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_report_for_five_minutes_and_changed_for_none() {
        let ring = ring(1);
        let link = ReportLink::new(
            AccountId::from_bytes([1; 16]),
            AgreementId::from_bytes([2; 16]),
            NOW,
        );
        let token = link.token(&ring, NOW).unwrap();
        let token = token.expose();
        assert!(ReportLink::has_prefix(token));
        let last = Timestamp::from_millis(NOW.plus(LIFETIME).as_millis() - 1);
        assert_eq!(
            (
                ReportLink::read(token, &ring, NOW),
                ReportLink::read(token, &ring, last)
            ),
            (Some(link), Some(link))
        );
        assert_eq!(ReportLink::read(token, &ring, NOW.plus(LIFETIME)), None);
        assert_eq!(ReportLink::read(token, &self::ring(2), NOW), None);
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                ReportLink::read(&String::from_utf8(changed).unwrap(), &ring, NOW),
                None,
                "{place}"
            );
        }
        for text in [
            "",
            "rpl_",
            "rpl_..",
            "rpl_AAAA.x.y",
            &token[..token.len() - 1],
            &format!("{token}."),
        ] {
            assert_eq!(ReportLink::read(text, &ring, NOW), None, "{text}");
        }
    }

    #[test]
    fn the_mac_of_something_else_opens_no_report() {
        let ring = ring(1);
        let link = ReportLink::new(
            AccountId::from_bytes([1; 16]),
            AgreementId::from_bytes([2; 16]),
            NOW,
        );
        let mac = ring
            .mac(&[b"challenge\n".as_slice(), &link.body()].concat(), NOW)
            .unwrap();
        let token = format!(
            "{PREFIX}{}.{}.{}",
            secret::encode(link.body()),
            mac.key_id,
            mac.digest
        );
        assert_eq!(ReportLink::read(&token, &ring, NOW), None);
    }
}
