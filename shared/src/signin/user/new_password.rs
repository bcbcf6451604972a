//! What a new password may not be (NIST SP 800-63B-4 §3.1.1.2): too short for all that it opens,
//! one of those that are tried first, or what everybody knows of its user.
//!
//! Passwords that were set before are not asked again: one that is too short to let its user in by
//! itself is asked for a second factor then, as the account asks for it later
//! ([`super::password::suffices_alone`]).

use super::UserKind;
use super::common_passwords::is_common;
use super::password::{self, SINGLE_FACTOR_MIN};
use crate::account::{Account, Settings};
use crate::kernel::secret::Secret;

/// What a new password is held against.
#[derive(Clone, Copy, Debug)]
pub struct NewPassword<'a> {
    username: &'a str,
    organisation: &'a str,
    /// Whether it may be all that is asked for.
    alone: bool,
}

impl<'a> NewPassword<'a> {
    /// For a user of this name and kind.
    pub fn of(
        username: &'a str,
        kind: UserKind,
        account: &'a Account,
        settings: &Settings,
    ) -> Self {
        let waived = !settings.second_factor.internal_required || !settings.ip_allowlist.is_empty();
        Self {
            username,
            organisation: &account.name,
            alone: kind == UserKind::Internal && waived,
        }
    }

    /// Why a password may not be set, if so. It is in its normal form, as
    /// [`super::fields::password`] leaves it.
    pub fn check(&self, password: &Secret<String>) -> Result<(), &'static str> {
        let lower = Secret::new(password.expose().to_lowercase());
        let is = |known: &str| {
            lower.expose().trim() == password::normalised(known).to_lowercase().trim()
        };
        if self.alone && !password::suffices_alone(password) {
            Err(TOO_SHORT)
        } else if is(self.username) {
            Err("must not be the username")
        } else if is(self.organisation) {
            Err("must not be the name of the organisation")
        } else if is_common(lower.expose()) {
            Err("is one of the most common passwords")
        } else {
            Ok(())
        }
    }
}

/// The text names the number.
const TOO_SHORT: &str =
    "must have at least 15 characters: it may let this user in without a second factor";
const _: () = assert!(SINGLE_FACTOR_MIN == 15);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, alone: bool) -> Result<(), &'static str> {
        let rules = NewPassword {
            username: "ann.alder@example.com",
            organisation: "Alder & Pine",
            alone,
        };
        rules.check(&Secret::new(password::normalised(password).into_owned()))
    }

    #[test]
    fn what_is_tried_first_is_refused_in_any_case() {
        for password in [
            "password",
            "Password",
            "12345678",
            "QWERTYUIOP",
            "Iloveyou1",
            "ＰＡＳＳＷＯＲＤ",
        ] {
            assert_eq!(
                check(password, false),
                Err("is one of the most common passwords"),
                "{password}"
            );
        }
        assert_eq!(
            check("ANN.ALDER@example.com", false),
            Err("must not be the username")
        );
        assert_eq!(
            check("alder & pine", false),
            Err("must not be the name of the organisation")
        );
        assert_eq!(check("correct horse", false), Ok(()));
    }

    #[test]
    fn what_lets_somebody_in_by_itself_is_longer() {
        assert_eq!(
            (check("correct horse", true), check("correct horse b", true)),
            (Err(TOO_SHORT), Ok(()))
        );
    }
}
