//! One-time links of users (a recipient's is `agreement::token`): mailed, good for a day at most, and spent by the second factor that completes
//! what they began.
//!
//! Mail scanners open links and click what they find there. So opening a link, or redeeming it,
//! uses nothing up: it opens a challenge, and the transaction that completes the challenge spends
//! the link under the condition that nothing has.

use serde::{Deserialize, Serialize};

use crate::account::Locale;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, LinkId, UserId};
use crate::kernel::keyring::Keyring;
use crate::kernel::secret::{self, Fingerprint, Secret};
use crate::messaging::courier::{Message, SealedLink};
use crate::messaging::outbox::{self, Mail, OutboxMessage};
use crate::signin::challenge::Challenge;
use crate::signin::reserved::{ReservedWindow, Share};
use crate::signin::user::attribute::LINK_GENERATION;
use crate::signin::user::{Method, User};
use crate::store::dynamo::{Condition, Failure, Key, Path, Put, Update, Write, keys};
use crate::web::http::Problem;

/// How long a link is good unless its maker says otherwise.
pub const LIFETIME: Span = Span::hours(1);
/// The longest that a link may be good.
pub const LIFETIME_MAX: Span = Span::hours(24);
/// How long a link after a forgotten password is good: somebody sits and waits for it.
pub const PASSWORD_LIFETIME: Span = Span::minutes(30);
/// The links after a forgotten password, for a username, and in the name of an account to a mailbox
/// that its user has not proved: strangers have 5 in 10 minutes and 10 an hour together, as anybody
/// may ask for them; as many more are kept for known addresses.
pub const FORGOTTEN: ReservedWindow = ReservedWindow {
    shares: &[
        Share {
            quota: 10,
            span: Span::minutes(10),
        },
        Share {
            quota: 20,
            span: Span::hours(1),
        },
    ],
};
/// How long a link is kept once it is over, so that who opens it late is told so.
const KEPT: Span = Span::days(7);

/// The attribute of a link's item that says when it was spent.
const USED_AT: Path = Path::new("used_at");

/// What a token begins with.
pub const PREFIX: &str = "lnk_";
/// The length of the rest: 256 random bits, base64url.
const SECRET_LENGTH: usize = 43;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Signing in.
    SignIn,
    /// Setting a new password in the place of a forgotten one.
    Password,
}

impl Purpose {
    /// The name in items and in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Password => "password",
        }
    }

    /// Whether `method` may follow. A mailbox alone is not to set a password: what is then proved
    /// with it would be the mailbox again.
    pub fn admits(self, method: Method) -> bool {
        self != Self::Password || method != Method::Email
    }
}

/// A link as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is called by.
    pub id: LinkId,
    /// The account.
    pub account: AccountId,
    /// Whose mailbox it went to.
    pub user: UserId,
    /// The group that the user was in: what it overrides is read beside the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// The user's generation of links when it was made.
    pub generation: u64,
    /// Where the browser goes in the end; none where it stays here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When a second factor spent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

/// A link that a challenge was opened by: what has to be known of it when the challenge is
/// completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedLink {
    /// The link's id.
    pub id: LinkId,
    /// The fingerprint of its token.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Where the browser goes in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// Nobody was sent it.
    Unknown,
    /// Its time is over, or something has ended it.
    Expired,
    /// It was spent.
    Used,
}

/// The token of a link.
#[derive(Debug)]
pub struct Token(Secret<String>);

impl Token {
    /// A new token.
    pub fn draw(entropy: &Entropy) -> Self {
        Self(Secret::new(format!(
            "{PREFIX}{}",
            secret::encode(entropy.bytes::<32>())
        )))
    }

    /// Reads a token. What has not its form is no link, and costs no look at the table.
    pub fn read(text: &Secret<String>) -> Result<Self, LinkRefusal> {
        let rest = text
            .expose()
            .strip_prefix(PREFIX)
            .filter(|rest| rest.len() == SECRET_LENGTH);
        let whole = rest
            .and_then(secret::decode)
            .is_some_and(|bytes| bytes.len() == 32);
        if whole {
            Ok(Self(text.clone()))
        } else {
            Err(LinkRefusal::Unknown)
        }
    }

    /// The fingerprint that the link is stored under.
    pub fn name(&self) -> String {
        Fingerprint::of(self.0.expose().as_bytes()).encode()
    }

    /// Where the link stands.
    pub fn key(&self) -> Key {
        keys::link(&self.name())
    }

    /// The text, for the mail.
    pub const fn text(&self) -> &Secret<String> {
        &self.0
    }
}

/// How a link is mailed.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The organisation's name.
    pub organisation: &'a str,
    /// The address that it goes to.
    pub to: &'a str,
    /// The language.
    pub locale: Locale,
    /// The address of the service, in front of `/link#…`.
    pub base: &'a str,
}

impl Link {
    /// A new link for a user.
    pub fn new(
        user: &User,
        purpose: Purpose,
        redirect_uri: Option<String>,
        life: Span,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Self {
        Self {
            id: LinkId::new(now, entropy),
            account: user.account,
            user: user.id,
            group: user.group.clone(),
            purpose,
            generation: user.link_generation,
            redirect_uri,
            created_at: now,
            expires_at: now.plus(life),
            used_at: None,
        }
    }

    /// The write that stores it.
    pub fn create(&self, token: &Token) -> Result<Put, Failure> {
        Ok(Put::create(token.key(), self)?.due(self.expires_at.plus(KEPT)))
    }

    /// The write that puts its mail in the outbox, and where that stands until it is sent.
    pub fn enqueue(
        &self,
        token: &Token,
        envelope: &Envelope<'_>,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<(Key, Write), Problem> {
        let (id, life) = (self.id.to_string(), self.expires_at.until(self.created_at));
        let key = keys::outbox(&id);
        let page = format!("{}/link", envelope.base);
        let link = SealedLink::seal(page, token.text(), life, &key.pk, keyring, now)?;
        let message = match self.purpose {
            Purpose::SignIn => Message::SignInLink(link),
            Purpose::Password => Message::PasswordLink(link),
        };
        let mail = Mail {
            account: self.account,
            organisation: envelope.organisation.to_owned(),
            to: envelope.to.to_owned(),
            locale: envelope.locale,
            message,
        };
        let message = OutboxMessage::new(mail, now).good_until(self.expires_at);
        Ok((key, outbox::standalone(&id, message, now)?.into()))
    }

    /// Whether it opens a challenge for its user, as that user stands now.
    pub fn opens(&self, user: Option<&User>, now: Timestamp) -> Result<(), LinkRefusal> {
        if self.used_at.is_some() || user.is_some_and(|user| self.is_spent_on(user)) {
            return Err(LinkRefusal::Used);
        }
        let good = |user: &User| {
            !user.disabled
                && user.account == self.account
                && user.link_generation == self.generation
        };
        if self.expires_at > now && user.is_some_and(good) {
            Ok(())
        } else {
            Err(LinkRefusal::Expired)
        }
    }

    /// Whether a challenge that it opened was completed, as its user's item tells: the user is read
    /// after the link, and so it may have been spent in between. What is written is written over
    /// the user.
    fn is_spent_on(&self, user: &User) -> bool {
        let is_own = |challenge: &Challenge| {
            challenge
                .primary
                .link()
                .is_some_and(|link| link.id == self.id)
        };
        user.challenges
            .values()
            .any(|challenge| !challenge.stage.is_open() && is_own(challenge))
    }

    /// What a challenge keeps of it.
    pub fn opened(&self, token: &Token) -> OpenedLink {
        OpenedLink {
            id: self.id,
            name: token.name(),
            purpose: self.purpose,
            redirect_uri: self.redirect_uri.clone(),
        }
    }
}

impl OpenedLink {
    /// The link's item.
    pub fn key(&self) -> Key {
        keys::link(&self.name)
    }

    /// The update that spends the link, under the condition that nothing has.
    pub fn spend(&self, now: Timestamp) -> Update {
        Update::of(self.key())
            .set(USED_AT, now)
            .when(Condition::item_exists())
            .when(USED_AT.is_absent())
    }
}

/// Adds to the update of a user's item that every link mailed so far is ended.
#[must_use]
pub fn end_all(update: Update) -> Update {
    update.count(LINK_GENERATION, 0_u64, 1_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn user(more: &serde_json::Value) -> User {
        let mut user = json!({
            "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
            "kind": "internal", "disabled": false, "created_at": 0, "version": 1, "link_generation": 2,
        });
        user.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(user).unwrap()
    }

    #[test]
    fn a_link_opens_until_it_ends_is_spent_or_its_user_is_ended() {
        let ann = user(&json!({}));
        let link = Link::new(
            &ann,
            Purpose::SignIn,
            None,
            LIFETIME,
            &Entropy::seeded(1),
            NOW,
        );
        assert_eq!(link.opens(Some(&ann), NOW), Ok(()));
        assert_eq!(
            link.opens(Some(&ann), link.expires_at),
            Err(LinkRefusal::Expired)
        );
        assert_eq!(link.opens(None, NOW), Err(LinkRefusal::Expired));
        assert_eq!(
            link.opens(Some(&user(&json!({"disabled": true}))), NOW),
            Err(LinkRefusal::Expired)
        );
        assert_eq!(
            link.opens(Some(&user(&json!({"link_generation": 3}))), NOW),
            Err(LinkRefusal::Expired)
        );
        assert_eq!(
            link.opens(
                Some(&user(&json!({"account": "acc_00000000000000000000000002"}))),
                NOW
            ),
            Err(LinkRefusal::Expired)
        );
        let spent = Link {
            used_at: Some(NOW),
            ..link
        };
        assert_eq!(
            spent.opens(Some(&ann), spent.expires_at),
            Err(LinkRefusal::Used)
        );
    }

    #[test]
    fn a_token_reads_back_and_has_256_bits() {
        let token = Token::draw(&Entropy::seeded(1));
        assert_eq!(Token::read(token.text()).unwrap().name(), token.name());
        assert_eq!(
            secret::decode(&token.text().expose()[PREFIX.len()..])
                .unwrap()
                .len(),
            32
        );
        assert_ne!(token.name(), Token::draw(&Entropy::seeded(2)).name());
    }

    proptest! {
        #[test]
        fn what_is_no_token_is_unknown_without_a_panic(text in "(lnk_)?[A-Za-z0-9_.+/=-]{0,60}|\\PC{0,60}") {
            if let Ok(token) = Token::read(&Secret::new(text.clone())) {
                prop_assert_eq!((token.text().expose().len(), token.text().expose().starts_with(PREFIX)), (47, true));
            }
        }
    }
}
