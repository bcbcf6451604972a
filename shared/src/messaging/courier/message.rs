//! What a message of the outbox says, as it is kept until it is sent.

use serde::{Deserialize, Serialize};

use super::letter::Letter;
use super::{Language, change};
use crate::kernel::clock::Span;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::Secret;

/// A link that is still to be mailed: its token is sealed until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedLink {
    /// The address in front of the token.
    base: String,
    /// The token, sealed under the data key and bound to the item that it stands on.
    token: String,
    /// How many seconds it is good.
    good_for: i64,
}

/// A recipient could not prove who they are, and their agreement was cancelled: what its sender is
/// told, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotVerified {
    /// What the agreement is called.
    pub title: String,
    /// The recipient's name, if the sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The recipient's address, as the sender gave it.
    pub email: String,
    /// After how many attempts.
    pub attempts: u32,
}

impl NotVerified {
    /// The recipient, by name and address.
    pub fn recipient(&self) -> String {
        self.name.as_ref().map_or_else(
            || self.email.clone(),
            |name| format!("{name} ({})", self.email),
        )
    }
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// An agreement was cancelled, because a recipient could not prove who they are.
    NotVerified(NotVerified),
    /// A link to sign in with.
    SignInLink(SealedLink),
    /// A link to a new password.
    PasswordLink(SealedLink),
    /// The password was forgotten, and a link to a new one would lead its reader nowhere.
    NoPasswordLink,
    /// How the person signs in was changed.
    Changed(Vec<Changed>),
    /// The same by SMS, for who has no mailbox, and for a phone that is no longer theirs.
    ChangedSms(Vec<Changed>),
    /// A link to an agreement that is to be signed.
    AgreementLink(Invitation),
    /// A link to the signed agreement.
    AgreementSigned(Invitation),
    /// The account is running out of prepaid transactions.
    LowBalance(LowBalance),
}

/// Where an agreement has to stand for a mail about it to be of use: of one that was cancelled or
/// has expired no recipient hears any more; to a completed one nobody is invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is out for signature.
    OutForSignature,
    /// All have signed.
    Completed,
}

impl Stage {
    /// As the agreement's item has it.
    pub const fn status(self) -> &'static str {
        match self {
            Self::OutForSignature => "out_for_signature",
            Self::Completed => "completed",
        }
    }
}

/// What the contacts of an account that is running out of prepaid transactions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowBalance {
    /// How many are left.
    pub available: i64,
    /// The threshold that the account has set.
    pub threshold: i64,
}

/// What was changed about how somebody signs in. Destinations are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// An authenticator app was set up.
    AppEnrolled,
    /// The authenticator app was removed.
    AppRemoved,
    /// An administrator removed it.
    AppReset,
    /// New recovery codes were made.
    RecoveryCodes,
    /// SMS go to this number from now on, or to none.
    Phone(Option<String>),
    /// Mails go to this address from now on, or to none.
    Email(Option<String>),
    /// The password is another.
    Password,
    /// The username is another.
    Username,
    /// The account at the organisation's issuer is another, or none.
    SingleSignOn(bool),
    /// There was more than one message has room for.
    More,
}

/// What a mail about a change says.
#[derive(Clone, Debug)]
pub struct ChangeMail<'a> {
    /// The organisation's name.
    pub organisation: &'a str,
    /// What was changed.
    pub changed: &'a [Changed],
}

/// A link to an agreement, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The link.
    pub link: SealedLink,
    /// What the agreement is called.
    pub title: String,
    /// Who sent it, by name where there is one.
    pub sender: String,
}

/// What a mail about an agreement says.
#[derive(Clone, Debug)]
pub struct AgreementMail<'a> {
    /// The link.
    pub link: LinkMail<'a>,
    /// What the agreement is called.
    pub title: &'a str,
    /// Who sent it.
    pub sender: &'a str,
}

impl Invitation {
    fn open<'a>(
        &'a self,
        organisation: &'a str,
        pk: &str,
        keyring: &Keyring,
    ) -> Result<AgreementMail<'a>, KeyringError> {
        let link = self.link.open(organisation, pk, keyring)?;
        Ok(AgreementMail {
            link,
            title: &self.title,
            sender: &self.sender,
        })
    }
}

/// What a mail with a link says.
#[derive(Clone, Debug)]
pub struct LinkMail<'a> {
    /// The organisation's name.
    pub organisation: &'a str,
    /// The address, with its token in the fragment.
    pub url: Secret<String>,
    /// How long it is good.
    pub good_for: Span,
}

impl SealedLink {
    /// Seals `token` for the item at `pk`: what is opened from another item does not open. The mail
    /// will say `<base>#<token>`.
    pub fn seal(
        base: impl Into<String>,
        token: &Secret<String>,
        good_for: Span,
        pk: &str,
        keyring: &Keyring,
        now: crate::kernel::clock::Timestamp,
    ) -> Result<Self, KeyringError> {
        let token = keyring.seal(token.expose().as_bytes(), context(pk).as_bytes(), now)?;
        Ok(Self {
            base: base.into(),
            token,
            good_for: good_for.as_secs(),
        })
    }

    fn open<'a>(
        &self,
        organisation: &'a str,
        pk: &str,
        keyring: &Keyring,
    ) -> Result<LinkMail<'a>, KeyringError> {
        let token = keyring.open(&self.token, context(pk).as_bytes())?;
        let token = std::str::from_utf8(token.expose()).map_err(|_| KeyringError::NotOurs)?;
        let url = Secret::new(format!("{}#{token}", self.base));
        Ok(LinkMail {
            organisation,
            url,
            good_for: Span::seconds(self.good_for),
        })
    }
}

fn context(pk: &str) -> String {
    format!("mail\n{pk}")
}

impl Message {
    /// Where the agreement that it is about has to stand for it to be of use, if it is about one.
    pub const fn stage(&self) -> Option<Stage> {
        match self {
            Self::AgreementLink(_) => Some(Stage::OutForSignature),
            Self::AgreementSigned(_) => Some(Stage::Completed),
            _ => None,
        }
    }

    /// What kind of message it is, as the log and the items name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotVerified(_) => "not_verified",
            Self::SignInLink(_) => "sign_in_link",
            Self::PasswordLink(_) => "password_link",
            Self::NoPasswordLink => "no_password_link",
            Self::Changed(_) => "changed",
            Self::ChangedSms(_) => "changed_sms",
            Self::AgreementLink(_) => "agreement_link",
            Self::AgreementSigned(_) => "agreement_signed",
            Self::LowBalance(_) => "low_balance",
        }
    }

    /// What was changed, where that is what it tells.
    pub fn changed(&self) -> &[Changed] {
        match self {
            Self::Changed(changed) | Self::ChangedSms(changed) => changed,
            _ => &[],
        }
    }

    /// The words of an SMS, in `language`; `None` where it is a mail.
    pub fn text(&self, organisation: &str, language: &dyn Language) -> Option<String> {
        match self {
            Self::ChangedSms(changed) => Some(change::text(organisation, changed, language)),
            _ => None,
        }
    }

    /// The words of a mail, in `language`. `pk` is the key of the item that the message stands on.
    pub fn letter(
        &self,
        organisation: &str,
        language: &dyn Language,
        pk: &str,
        keyring: &Keyring,
    ) -> Result<Letter, KeyringError> {
        Ok(match self {
            Self::NotVerified(mail) => language.not_verified(organisation, mail),
            Self::SignInLink(link) => {
                language.sign_in_link(link.open(organisation, pk, keyring)?)
            }
            Self::Changed(changed) | Self::ChangedSms(changed) => language.changed(&ChangeMail {
                organisation,
                changed,
            }),
            Self::AgreementLink(invitation) => {
                language.agreement_link(invitation.open(organisation, pk, keyring)?)
            }
            Self::LowBalance(low) => language.low_balance(organisation, *low),
            Self::AgreementSigned(invitation) => {
                language.agreement_signed(invitation.open(organisation, pk, keyring)?)
            }
            Self::PasswordLink(link) => {
                language.password_link(link.open(organisation, pk, keyring)?)
            }
            Self::NoPasswordLink => language.no_password_link(organisation),
        })
    }
}
