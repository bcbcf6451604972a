//! What the fields of a user have to be.

use super::{password as passwords, username as usernames};
use crate::account::is_group_name;
use crate::kernel::contact::{self, InvalidContact, Phone};
use crate::kernel::secret::Secret;

/// The longest `sub` of an ID token (OpenID Connect Core, section 2).
const SSO_SUBJECT_MAX: usize = 255;

/// The longest name of a person.
const NAME_MAX: usize = 100;

/// The canonical form of a username.
pub fn username(text: &str) -> Result<String, &'static str> {
    usernames::canonical(text)
        .map_err(|_| "must have 1 to 128 characters: ASCII letters, digits and . _ @ + -")
}

/// What a person is called.
pub fn name(text: &str) -> Result<String, &'static str> {
    let fits = (1..=NAME_MAX).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(is_deceptive);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(
            "must have 1 to 100 characters, not spaces alone, and none that controls or turns the text",
        )
    }
}

/// Whether a character does something to the text around it instead of standing in it: control
/// characters, line and paragraph separators, and what sets the direction of writing (Unicode UAX
/// #9, section 2), by which a name can be made to read as another.
fn is_deceptive(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || matches!(c, '\u{2028}' | '\u{2029}') || c.is_control()
}

/// A password in its normal form, as it is hashed; what else is asked of it,
/// [`super::new_password`] says.
pub fn password(password: &Secret<String>) -> Result<Secret<String>, &'static str> {
    let password = Secret::new(passwords::normalised(password.expose()).into_owned());
    if passwords::LENGTH.contains(&password.expose().chars().count()) {
        Ok(password)
    } else {
        Err("must have 8 to 256 characters")
    }
}

/// A mail address.
pub fn email(text: &str) -> Result<String, &'static str> {
    contact::email(text).map_err(|_| "must be a mail address such as ann@example.com")
}

/// A phone number and its country.
pub fn phone(text: &str) -> Result<Phone, &'static str> {
    contact::phone(text).map_err(|bad| match bad {
        InvalidContact::Malformed => "must be a phone number in E.164 form such as +12025550100",
        InvalidContact::Unassigned => "is not a phone number that is given out",
        InvalidContact::NotMobile => {
            "must be a mobile number: premium, toll-free, shared-cost, landline and VoIP numbers are sent nothing"
        }
    })
}

/// The name of a group.
pub fn group(text: &str) -> Result<String, &'static str> {
    if is_group_name(text) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 64 characters (a-z, 0-9 and -) and must not begin with -")
    }
}

/// `sub` of an ID token.
pub fn sso_subject(text: &str) -> Result<String, &'static str> {
    let fits = (1..=SSO_SUBJECT_MAX).contains(&text.chars().count())
        && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 255 printable characters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_text_of_any_language() {
        for text in [
            "Ann",
            "Ann-Sophie d’Alder",
            "Łukasz",
            "محمد",
            "李雷",
            &"n".repeat(100),
        ] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        let turned = ["a\u{202e}b", "a\u{2066}b", "\u{200f}a", "a\u{61c}"];
        for text in [
            "",
            " ",
            "a\nb",
            "a\u{0}",
            "a\u{85}",
            "a\u{2028}b",
            &"n".repeat(101),
        ]
        .into_iter()
        .chain(turned)
        {
            assert!(name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_field_of_a_user_is_refused() {
        assert_eq!(username("Ann").as_deref(), Ok("ann"));
        assert!(email("ann").is_err() && phone("ann").is_err() && group("Ann").is_err());
        assert!(sso_subject("a\0").is_err() && sso_subject("").is_err());
        let password =
            |text: String| password(&Secret::new(text)).map(|password| password.expose().clone());
        assert!(password("1234567".into()).is_err() && password("x".repeat(257)).is_err());
        assert_eq!(
            password("ｐａｓｓｗｏｒｄ".into()).as_deref(),
            Ok("password"),
            "what is counted is the normal form"
        );
        assert!(
            password("\u{fdfa}".into()).is_ok(),
            "one character that stands for eighteen"
        );
    }
}
