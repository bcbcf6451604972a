//! Proof in progress: the first factor is done, the second is still asked for.
//!
//! A challenge stands on its user's item. Its token carries the ids that address that item, 256
//! random bits, and a MAC, so that what nobody issued is told from what has expired without a look
//! at the table. Only the token's fingerprint is kept.

mod attempt;
pub(crate) mod attribute;
mod place;
mod proof;
pub mod seal;
mod send;
mod stage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Concerned, PrefetchedGroup, Settings, WantedGroup, is_group_name};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, UserId};
use crate::kernel::keyring::{Keyring, KeyringError, Mac};
use crate::kernel::secret::Secret;
use crate::signin::access_token::Proof;
use crate::signin::code::{LiveCode, Sent};
use crate::signin::link::{OpenedLink, Purpose};
use crate::signin::user::known::{HashedIp, Origin, Sketch};
use crate::signin::user::{Factor, Method, User};
use crate::store::dynamo::{Condition, Key, Update, keys};
use crate::web::http::Call;

use attribute::Attributes;

pub use attempt::Attempt;
pub use place::{Holder, Place, complete_named};
pub use proof::Proven;
pub use send::CodeSend;
pub use stage::{Asks, Stage};

/// How long a challenge lives.
pub const LIFETIME: Span = Span::minutes(10);
/// How many wrong attempts a challenge takes.
pub const ATTEMPTS_MAX: u32 = 5;

/// What was proved before: the first factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum PrimaryFactor {
    /// The password.
    #[default]
    Password,
    /// The mailbox: a link that was mailed there was opened.
    Link(OpenedLink),
    /// An ID token.
    IdToken {
        /// Of this issuer, which was the account's.
        issuer: String,
    },
}

impl PrimaryFactor {
    /// The link that was opened, if it was one.
    pub const fn link(&self) -> Option<&OpenedLink> {
        match self {
            Self::Link(opened) => Some(opened),
            Self::Password | Self::IdToken { .. } => None,
        }
    }

    /// Whether `method` may follow: see [`Purpose::admits`].
    pub fn admits(&self, method: Method) -> bool {
        self.link()
            .is_none_or(|opened| opened.purpose.admits(method))
    }

    /// Whether setting up a first factor may follow. After a forgotten password it may not: whoever
    /// reads the mailbox asks for that link themselves, and would set up a factor of their own.
    pub fn admits_enrolment(&self) -> bool {
        !self.sets_password()
    }

    fn sets_password(&self) -> bool {
        self.link()
            .is_some_and(|opened| opened.purpose == Purpose::Password)
    }

    /// Whether it still leads somewhere: an address that the account has taken from its list is
    /// handed nothing, and what an issuer vouched for counts for as long as it is the account's.
    pub fn leads_on(&self, settings: &Settings) -> bool {
        match self {
            Self::Password => true,
            Self::Link(opened) => opened
                .redirect_uri
                .as_ref()
                .is_none_or(|uri| settings.links.redirect_uris.contains(uri)),
            Self::IdToken { issuer } => settings
                .sso
                .as_ref()
                .is_some_and(|sso| sso.issuer == *issuer),
        }
    }

    const fn is_password(&self) -> bool {
        matches!(self, Self::Password)
    }
}

/// A challenge as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// When it was opened: the time of the first factor.
    pub opened_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Stage::is_open")]
    pub stage: Stage,
    /// What was proved before it was opened.
    #[serde(default, skip_serializing_if = "PrimaryFactor::is_password")]
    pub primary: PrimaryFactor,
    /// The ids of the attempts: an attempt that the SDK repeats counts once.
    pub attempts: Vec<String>,
    /// The codes that were sent, by method.
    #[serde(default)]
    pub sent: BTreeMap<String, Sent>,
    /// When each of them that was an SMS was: what its completion gives back to the budget of
    /// SMS.
    #[serde(default)]
    pub sms: Vec<Timestamp>,
    /// The code that is good, by method.
    pub codes: BTreeMap<String, LiveCode>,
    /// The MACs of those before it, by method.
    pub superseded: BTreeMap<String, Vec<Mac>>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Asks::is_second_factor")]
    pub asks: Asks,
    /// From where a user's was opened: a mark of the address, see [`HashedIp::mark`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub opened_from: String,
    /// From what kind of address that was.
    #[serde(default, skip_serializing_if = "Origin::is_stranger")]
    pub opener: Origin,
}

impl Challenge {
    /// A new challenge, after a password.
    pub fn open(now: Timestamp) -> Self {
        Self::after(PrimaryFactor::Password, now)
    }

    /// A new challenge, after this first factor.
    pub fn after(primary: PrimaryFactor, now: Timestamp) -> Self {
        let by_method = || {
            Method::ALL
                .into_iter()
                .map(|method| (method.name().to_owned(), Vec::new()))
        };
        Self {
            opened_at: now,
            expires_at: now.plus(LIFETIME),
            stage: Stage::Open,
            primary,
            attempts: Vec::new(),
            sent: BTreeMap::new(),
            sms: Vec::new(),
            codes: BTreeMap::new(),
            // The lists stand ready, because an update can only append to one that is there.
            superseded: by_method()
                .filter(|(name, _)| name == "sms" || name == "email")
                .collect(),
            asks: Asks::SecondFactor,
            opened_from: String::new(),
            opener: Origin::Stranger,
        }
    }

    /// The same, opened from an address.
    #[must_use]
    pub fn opened_from(self, hashed_ip: &HashedIp, origin: Origin) -> Self {
        Self {
            opened_from: hashed_ip.mark().to_owned(),
            opener: origin,
            ..self
        }
    }

    /// The same, to set up the first factor.
    #[must_use]
    pub fn to_enrol(self) -> Self {
        Self {
            asks: Asks::Enrolment,
            ..self
        }
    }

    /// What is proved once `method` completes it.
    pub fn proof(&self, method: Method, now: Timestamp) -> Proof {
        Proof::of(&self.primary, method, now)
    }

    /// The codes that were sent by `method`.
    pub fn sent(&self, method: Method) -> Sent {
        self.sent.get(method.name()).copied().unwrap_or_default()
    }

    /// When its SMS were sent, once a code by `method` is sent now.
    pub fn sms_with(&self, method: Method, now: Timestamp) -> Vec<Timestamp> {
        let another = (method == Method::Sms).then_some(now);
        self.sms.iter().copied().chain(another).collect()
    }

    /// How many attempts are left.
    pub fn attempts_left(&self) -> u32 {
        ATTEMPTS_MAX.saturating_sub(u32::try_from(self.attempts.len()).unwrap_or(u32::MAX))
    }
}

/// Why a challenge can not be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeRefusal {
    /// Nobody issued it.
    Unknown,
    /// Its time is over, or its user was disabled.
    Expired,
    /// It was completed.
    Used,
    /// It has seen too many wrong attempts; it ends then.
    AttemptsSpent(Timestamp),
    /// The factor takes no attempt, and is sent nothing, until then.
    FactorDelayed(Timestamp),
    /// The factor takes no attempt until an administrator unlocks it, or the sender of the
    /// agreement.
    FactorDisabled,
}

/// Whose challenge it is, and its name on the user's item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The account.
    pub account: AccountId,
    /// The user.
    pub user: UserId,
    /// The fingerprint of the token.
    pub name: String,
    /// The user's group when the challenge was opened: its settings can be read beside the
    /// account's, before the user is.
    pub group: Option<String>,
    /// The addresses that the user was known at when the challenge was opened: a code is counted
    /// before the user is read.
    sketch: Sketch,
}

/// A challenge of a user. A recipient's has another.
const OF_USER: u8 = 1;
/// Kind, account, user, secret, known addresses. The group's name follows, where there is one.
const BODY: usize = SKETCH + Sketch::LENGTH;
/// Where the secret begins, and the known addresses.
const SECRET: usize = 1 + 16 + 16;
const SKETCH: usize = SECRET + 32;

impl Ticket {
    /// A new challenge token for `user`.
    pub fn issue(
        user: &User,
        keyring: &Keyring,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<(Self, Secret<String>), KeyringError> {
        let secret: [u8; 32] = entropy.bytes();
        let sketch = Sketch::of(&user.known, &secret, entropy, now);
        let group = user.group.as_deref().unwrap_or_default().as_bytes();
        let ids = [user.account.to_bytes(), user.id.to_bytes()].concat();
        let body = [&[OF_USER][..], &ids, &secret, &sketch.bytes(), group].concat();
        let token = seal::seal(&body, keyring, now)?;
        let (account, user, group) = (user.account, user.id, user.group.clone());
        Ok((
            Self {
                account,
                user,
                group,
                sketch,
                name: seal::name_of(token.expose()),
            },
            token,
        ))
    }

    /// Whose challenge `token` is, if this service issued it.
    pub fn read(token: &str, keyring: &Keyring) -> Result<Self, ChallengeRefusal> {
        let bytes = seal::open(token, keyring)
            .filter(|bytes| bytes.len() >= BODY)
            .ok_or(ChallengeRefusal::Unknown)?;
        let id = |range: std::ops::Range<usize>| {
            bytes
                .get(range)
                .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        };
        let sketch = bytes.get(SKETCH..BODY).zip(bytes.get(SECRET..SKETCH));
        let sketch = sketch.and_then(|(sketch, secret)| Sketch::read(sketch, secret));
        let group = bytes
            .get(BODY..)
            .and_then(|name| String::from_utf8(name.to_vec()).ok())
            .filter(|name| is_group_name(name));
        match (bytes.first(), id(1..17), id(17..SECRET), sketch) {
            (Some(&OF_USER), Some(account), Some(user), Some(sketch)) => {
                let (account, user) = (AccountId::from_bytes(account), UserId::from_bytes(user));
                Ok(Self {
                    account,
                    user,
                    group,
                    sketch,
                    name: seal::name_of(token),
                })
            }
            _ => Err(ChallengeRefusal::Unknown),
        }
    }

    /// Where a request that shows this challenge comes from.
    pub fn origin(&self, hashed_ip: &HashedIp) -> Origin {
        self.sketch.origin(hashed_ip)
    }

    /// That a new password may be set with the challenge.
    pub(super) fn grants_password(&self, now: Timestamp) -> Condition {
        Attributes(&self.name).password_until().is_above(now)
    }

    /// What tells the settings in force, to be read before the user is known: the account, and the
    /// group where there is one.
    pub fn settings_wanted<'a>(&self, call: &'a Call) -> (Concerned<'a>, WantedGroup) {
        (
            Account::concerned(call, self.account),
            PrefetchedGroup::wanted(self.account, self.group.clone()),
        )
    }
}

impl Place for Ticket {
    type Holder = User;

    fn key(&self) -> Key {
        keys::user(self.user)
    }

    fn guard_holder(&self, update: Update) -> Update {
        update.when(User::is_enabled())
    }
}

impl Holder for User {
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

    fn is_ended(&self) -> bool {
        self.disabled
    }

    fn was_spent_elsewhere(&self, challenge: &Challenge) -> bool {
        was_spent_elsewhere(challenge, self)
    }
}

/// Whether another challenge of the same link was completed. It stays on the item for longer than
/// any that was opened before it.
fn was_spent_elsewhere(challenge: &Challenge, user: &User) -> bool {
    let Some(link) = challenge.primary.link() else {
        return false;
    };
    let same = |other: &Challenge| other.primary.link().is_some_and(|it| it.name == link.name);
    user.challenges
        .values()
        .any(|other| !other.stage.is_open() && same(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ring() -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(1)).unwrap().expose()).unwrap()
    }

    #[test]
    fn a_token_reads_back_and_a_changed_one_does_not() {
        let ring = ring();
        let user = json!({
            "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
            "kind": "external", "disabled": false, "created_at": 0, "version": 1, "group": "escrow",
        });
        let mut user: User = serde_json::from_value(user).unwrap();
        let hashed_ip =
            |address: &str| HashedIp::of(user.id, address.parse().unwrap(), &ring, NOW).unwrap();
        let (home, elsewhere) = (hashed_ip("203.0.113.7"), hashed_ip("203.0.113.8"));
        user.known = user.known.with(&home);
        let (ticket, token) = Ticket::issue(&user, &ring, &Entropy::seeded(5), NOW).unwrap();
        assert_eq!(
            (ticket.user, ticket.group.as_deref()),
            (user.id, Some("escrow"))
        );
        assert_eq!(
            [ticket.origin(&home), ticket.origin(&elsewhere)],
            [Origin::Known, Origin::Stranger]
        );
        let token = token.expose();
        assert_eq!(Ticket::read(token, &ring), Ok(ticket));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                Ticket::read(&changed, &ring),
                Err(ChallengeRefusal::Unknown),
                "{place}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(chl_)?[A-Za-z0-9_.-]{0,140}") {
            prop_assert_eq!(Ticket::read(&text, &ring()), Err(ChallengeRefusal::Unknown));
        }
    }
}
