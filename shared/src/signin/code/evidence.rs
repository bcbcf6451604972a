//! What makes a user's code right, and what spends it: a code that was sent, one of an app, or a
//! recovery code.

use crate::kernel::clock::Timestamp;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::signin::challenge::{Challenge, Proven, Ticket};
use crate::signin::code;
use crate::signin::recovery;
use crate::signin::totp::{self, App, Key, Shown};
use crate::signin::user::attribute::{RESET_AT, contact};
use crate::signin::user::{Method, User};
use crate::store::dynamo::Update;

/// A code that was tried, and what it is compared with.
#[derive(Debug)]
pub struct CodeComparison<'a> {
    /// For which challenge.
    pub ticket: &'a Ticket,
    /// The user, before the attempt was counted.
    pub user: &'a User,
    /// The challenge, as it stood then.
    pub challenge: &'a Challenge,
    /// With which factor.
    pub method: Method,
    /// When.
    pub now: Timestamp,
}

/// What a tried code turns out to be.
#[derive(Debug)]
pub enum CodeVerdict {
    /// It is right, for this reason.
    Right(Evidence),
    /// It is none that there ever was.
    Wrong,
    /// It was right once, and was used.
    Used,
    /// A newer one was sent since.
    Superseded,
    /// Its time is over.
    Expired,
}

/// What makes a code right.
#[derive(Debug)]
pub enum Evidence {
    /// It was sent: this is the digest of its MAC.
    Sent(String),
    /// The app shows it.
    App(Shown),
    /// It is a recovery code with this digest.
    Recovery(String),
}

impl CodeComparison<'_> {
    /// Compares the code with what stood before the attempt was counted.
    pub fn judge(&self, code: &str, keyring: &Keyring) -> Result<CodeVerdict, KeyringError> {
        match self.method {
            Method::Sms | Method::Email => Ok(self.judge_sent(code, keyring)),
            Method::Totp => self.judge_app(code, keyring),
            Method::RecoveryCode => Ok(self.judge_recovery(code)),
        }
    }

    fn judge_sent(&self, code: &str, keyring: &Keyring) -> CodeVerdict {
        let (ticket, challenge, method) = (self.ticket, self.challenge, self.method);
        match code::judge(ticket, challenge, method, code, keyring, self.now) {
            code::SentCodeVerdict::Right => {
                let live = challenge.codes.get(method.name());
                let digest = live.map(|code| code.mac.digest.clone());
                CodeVerdict::Right(Evidence::Sent(digest.unwrap_or_default()))
            }
            code::SentCodeVerdict::Wrong => CodeVerdict::Wrong,
            code::SentCodeVerdict::Superseded => CodeVerdict::Superseded,
            code::SentCodeVerdict::Expired => CodeVerdict::Expired,
        }
    }

    fn judge_app(&self, code: &str, keyring: &Keyring) -> Result<CodeVerdict, KeyringError> {
        let Some(app) = &self.user.app else {
            return Ok(CodeVerdict::Wrong);
        };
        let key = Key::open(&app.sealed, self.user.id, app.id, keyring)?;
        Ok(match key.judge(code, Some(app.last_step), self.now) {
            totp::TotpVerdict::Right(step) => CodeVerdict::Right(Evidence::App(Shown {
                app: app.id,
                step,
                resealed: self.resealed(app, &key, keyring)?,
            })),
            totp::TotpVerdict::Used => CodeVerdict::Used,
            totp::TotpVerdict::Wrong => CodeVerdict::Wrong,
        })
    }

    /// The app's secret under the newest key, where it was sealed by an older one.
    fn resealed(
        &self,
        app: &App,
        key: &Key,
        keyring: &Keyring,
    ) -> Result<Option<String>, KeyringError> {
        let is_aged = !keyring.is_current(&app.sealed, self.now);
        is_aged
            .then(|| key.seal(self.user.id, app.id, keyring, self.now))
            .transpose()
    }

    fn judge_recovery(&self, code: &str) -> CodeVerdict {
        match recovery::judge(self.user.id, self.user.recovery.as_ref(), code) {
            recovery::RecoveryCodeVerdict::Right(digest) => {
                CodeVerdict::Right(Evidence::Recovery(digest))
            }
            recovery::RecoveryCodeVerdict::Used => CodeVerdict::Used,
            recovery::RecoveryCodeVerdict::Wrong => CodeVerdict::Wrong,
        }
    }
}

impl Evidence {
    /// The update of the user's item that spends the code and ends the factor's wrong ones, under
    /// the condition that the challenge can be gone on with, and that the code [is still
    /// right](Self::holds).
    pub fn spend(&self, user: &User, proven: &Proven<'_, Ticket>) -> Update {
        let update = proved(user, proven.method);
        match self {
            Self::Sent(digest) => proven.spend_code(update, digest),
            Self::App(shown) => shown.take(proven.clear(update)),
            Self::Recovery(digest) => recovery::use_up(proven.clear(update), digest, proven.now),
        }
    }

    /// Whether the code is still right on the user's item as it stands.
    pub fn holds(&self, user: &User, challenge: &Challenge, method: Method) -> bool {
        match self {
            Self::Sent(digest) => challenge
                .codes
                .get(method.name())
                .is_some_and(|code| code.mac.digest == *digest),
            Self::App(shown) => shown.is_good(user.app.as_ref()),
            Self::Recovery(digest) => recovery::is_unused(user.recovery.as_ref(), digest),
        }
    }
}

/// The update of a user's item by which `method` is proved: the contact that its code went to is
/// verified, and what an administrator reset is over. Another contact ends the challenges: it is
/// the one that counts.
fn proved(user: &User, method: Method) -> Update {
    let update = match method {
        Method::Sms | Method::Email => user.touch().set(contact(method).verified, true),
        Method::Totp | Method::RecoveryCode => user.touch(),
    };
    if user.reset_at.is_some() {
        update.remove(RESET_AT)
    } else {
        update
    }
}
