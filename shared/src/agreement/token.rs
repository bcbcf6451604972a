//! What a recipient holds: the links that were mailed to them, and the challenge that opening one
//! made.
//!
//! Both carry the ids that address the recipient's item and 256 random bits, and only their
//! fingerprints are kept. A challenge also carries a MAC, so that what nobody issued is told from
//! what is over without a look at the table. A link carries none: it is good for as long as its
//! agreement, and no key of the keyring is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, AgreementId, RecipientId};
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::{self, Fingerprint, Secret};
use crate::signin::challenge::{Challenge, Holder, Place, seal};
use crate::signin::code::Bound;
use crate::signin::user::{Factor, Method};
use crate::store::dynamo::{Failure, Item, Key, Put, keys, read};

use super::Recipient;

/// What a link begins with.
const LINK: &str = "agl_";

/// The kind of a recipient's token; a user's challenge has another.
const OF_RECIPIENT: u8 = 2;
/// Kind, account, agreement, recipient, secret.
const BODY: usize = 1 + 16 + 16 + 16 + 32;

/// Whose a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bearer {
    account: AccountId,
    agreement: AgreementId,
    recipient: RecipientId,
}

impl Bearer {
    /// The body of a new token.
    fn draw(self, entropy: &Entropy) -> Vec<u8> {
        let random: [u8; 32] = entropy.bytes();
        let ids = [
            self.account.to_bytes(),
            self.agreement.to_bytes(),
            self.recipient.to_bytes(),
        ]
        .concat();
        [&[OF_RECIPIENT][..], &ids, &random].concat()
    }

    fn read(body: &[u8]) -> Option<Self> {
        if body.len() != BODY || body.first() != Some(&OF_RECIPIENT) {
            return None;
        }
        let id = |from: usize| {
            body.get(from..from + 16)
                .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        };
        Some(Self {
            account: AccountId::from_bytes(id(1)?),
            agreement: AgreementId::from_bytes(id(17)?),
            recipient: RecipientId::from_bytes(id(33)?),
        })
    }
}

/// A link that was mailed to a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub account: AccountId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The recipient.
    pub recipient: RecipientId,
    /// All that is kept of the token.
    pub fingerprint: String,
}

/// A link on an item of its own.
#[derive(Debug, Serialize, Deserialize)]
struct StoredLink {
    recipient: RecipientId,
}

impl Link {
    /// A new link of a recipient, and the token that is mailed.
    pub fn issue(
        account: AccountId,
        agreement: AgreementId,
        recipient: RecipientId,
        entropy: &Entropy,
    ) -> (Self, Secret<String>) {
        let body = Bearer {
            account,
            agreement,
            recipient,
        }
        .draw(entropy);
        let token = format!("{LINK}{}", secret::encode(body));
        let fingerprint = Fingerprint::of(token.as_bytes()).encode();
        (
            Self {
                account,
                agreement,
                recipient,
                fingerprint,
            },
            Secret::new(token),
        )
    }

    /// Whether `token` says of itself that it is a recipient's link.
    pub fn has_prefix(token: &str) -> bool {
        token.starts_with(LINK)
    }

    /// Whose link `token` says that it is. Whether it ever was one, [`Recipient::holds`] tells.
    pub fn read(token: &str) -> Option<Self> {
        let Bearer {
            account,
            agreement,
            recipient,
        } = Bearer::read(&secret::decode(token.strip_prefix(LINK)?)?)?;
        Some(Self {
            account,
            agreement,
            recipient,
            fingerprint: Fingerprint::of(token.as_bytes()).encode(),
        })
    }

    /// Where it stands, if it was mailed besides those that the recipient's item names.
    pub fn key(&self) -> Key {
        keys::agreement_link(self.agreement, &self.fingerprint)
    }

    /// The write that keeps it on an item of its own: there may be any number of them.
    pub fn create(&self) -> Result<Put, Failure> {
        Put::create(
            self.key(),
            &StoredLink {
                recipient: self.recipient,
            },
        )
    }

    /// Whether `item`, which was read at its key, is this link.
    pub fn is_kept(&self, item: Option<Item>) -> Result<bool, Failure> {
        let Some(item) = item else { return Ok(false) };
        Ok(read::<StoredLink>(item)?.recipient == self.recipient)
    }
}

/// Whose challenge it is, and its name on the recipient's item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The account.
    pub account: AccountId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The recipient.
    pub recipient: RecipientId,
    /// The fingerprint of the token.
    pub name: String,
}

impl Ticket {
    /// A new challenge token for a recipient.
    pub fn issue(
        account: AccountId,
        agreement: AgreementId,
        recipient: RecipientId,
        keyring: &Keyring,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<(Self, Secret<String>), KeyringError> {
        let bearer = Bearer {
            account,
            agreement,
            recipient,
        };
        let token = seal::seal(&bearer.draw(entropy), keyring, now)?;
        let name = seal::name_of(token.expose());
        Ok((
            Self {
                account,
                agreement,
                recipient,
                name,
            },
            token,
        ))
    }

    /// Whose challenge `token` is, if it is a recipient's and this service issued it.
    pub fn read(token: &str, keyring: &Keyring) -> Option<Self> {
        let Bearer {
            account,
            agreement,
            recipient,
        } = Bearer::read(&seal::open(token, keyring)?)?;
        Some(Self {
            account,
            agreement,
            recipient,
            name: seal::name_of(token),
        })
    }
}

impl Place for Ticket {
    type Holder = Recipient;

    fn key(&self) -> Key {
        keys::recipient(self.agreement, self.recipient)
    }
}

impl Holder for Recipient {
    fn challenges(&self) -> &BTreeMap<String, Challenge> {
        &self.challenges
    }

    fn factor(&self, method: Method) -> Factor {
        self.factor(method)
    }

    fn counts_mut(
        &mut self,
    ) -> (
        &mut BTreeMap<String, Challenge>,
        &mut BTreeMap<String, Factor>,
    ) {
        (&mut self.challenges, &mut self.factors)
    }
}

impl Bound for Ticket {
    fn holder(&self) -> String {
        self.recipient.to_string()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;
    use crate::signin::challenge::ChallengeRefusal;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ring() -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap()
    }

    fn ids() -> (AccountId, AgreementId, RecipientId) {
        (
            AccountId::from_bytes([1; 16]),
            AgreementId::from_bytes([2; 16]),
            RecipientId::from_bytes([3; 16]),
        )
    }

    #[test]
    fn a_challenge_reads_back_and_a_changed_one_does_not() {
        let (ring, (account, agreement, recipient)) = (ring(), ids());
        let (ticket, token) = Ticket::issue(
            account,
            agreement,
            recipient,
            &ring,
            &Entropy::seeded(5),
            NOW,
        )
        .unwrap();
        let token = token.expose();
        assert_eq!(Ticket::read(token, &ring), Some(ticket));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                Ticket::read(&String::from_utf8(changed).unwrap(), &ring),
                None,
                "{place}"
            );
        }
    }

    #[test]
    fn a_link_has_256_random_bits_and_a_changed_one_is_another() {
        let (account, agreement, recipient) = ids();
        let (link, token) = Link::issue(account, agreement, recipient, &Entropy::seeded(5));
        let token = token.expose();
        assert_eq!(secret::decode(&token[LINK.len()..]).unwrap().len(), 49 + 32);
        assert_eq!(Link::read(token).as_ref(), Some(&link));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let read = Link::read(&String::from_utf8(changed).unwrap());
            assert!(
                read.is_none_or(|read| read.fingerprint != link.fingerprint),
                "{place}"
            );
        }
        assert_ne!(
            Link::issue(account, agreement, recipient, &Entropy::seeded(6))
                .0
                .fingerprint,
            link.fingerprint
        );
    }

    #[test]
    fn a_link_is_no_challenge_and_a_recipients_challenge_no_users() {
        let (ring, (account, agreement, recipient)) = (ring(), ids());
        let (_, link) = Link::issue(account, agreement, recipient, &Entropy::seeded(5));
        let (ticket, challenge) = Ticket::issue(
            account,
            agreement,
            recipient,
            &ring,
            &Entropy::seeded(5),
            NOW,
        )
        .unwrap();
        assert_eq!(Ticket::read(challenge.expose(), &ring), Some(ticket));
        assert_eq!(
            Ticket::read(&link.expose().replace("agl_", "chl_"), &ring),
            None
        );
        assert_eq!(
            Link::read(&challenge.expose().replace("chl_", "agl_")),
            None
        );
        assert_eq!(
            crate::signin::challenge::Ticket::read(challenge.expose(), &ring),
            Err(ChallengeRefusal::Unknown)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(chl_|agl_)?[A-Za-z0-9_.-]{0,180}") {
            // Making a keyring draws RSA keys: once for all cases.
            static RING: std::sync::LazyLock<Keyring> = std::sync::LazyLock::new(ring);
            let of_whom = Link::read(&text).map(|link| link.fingerprint);
            prop_assert!(of_whom.is_none_or(|name| name == Fingerprint::of(text.as_bytes()).encode()));
            prop_assert_eq!(Ticket::read(&text, &RING), None);
        }
    }
}
