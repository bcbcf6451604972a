//! What the fields of an agreement have to be.

use shared::http::{FieldError, Problem};
use shared::user::contact::{self, BadContact, Phone};

/// The longest title.
pub const TITLE_MAX: usize = 200;
/// The longest name of a person.
pub const NAME_MAX: usize = 100;
/// The longest reason of a cancellation.
pub const REASON_MAX: usize = 500;
/// The longest name of a group.
const GROUP_MAX: usize = 64;

/// What is wrong with a request, gathered so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// What `rule` makes of the value at `pointer`; nothing, where it refuses it.
    pub fn hold<T, U>(&mut self, pointer: &str, value: T, rule: impl FnOnce(T) -> Result<U, &'static str>) -> Option<U> {
        rule(value).map_err(|detail| self.add(pointer, detail)).ok()
    }

    /// Something else is wrong at `pointer`.
    pub fn add(&mut self, pointer: &str, detail: &'static str) {
        self.0.push(FieldError::new(pointer, detail));
    }

    /// Refuses the request if anything was wrong with it.
    pub fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}

/// One line of 1 to `most` characters.
fn line(text: &str, most: usize) -> Option<String> {
    let trimmed = text.trim();
    let fits = (1..=most).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
    fits.then(|| trimmed.to_owned())
}

/// A title.
pub fn title(text: &str) -> Result<String, &'static str> {
    line(text, TITLE_MAX).ok_or("must have 1 to 200 printable characters")
}

/// The name of a person.
pub fn name(text: &str) -> Result<String, &'static str> {
    line(text, NAME_MAX).ok_or("must have 1 to 100 printable characters")
}

/// The reason of a cancellation.
pub fn reason(text: &str) -> Result<String, &'static str> {
    line(text, REASON_MAX).ok_or("must have 1 to 500 printable characters")
}

/// A mail address.
pub fn email(text: &str) -> Result<String, &'static str> {
    contact::email(text).map_err(|_| "must be a mail address such as ann@example.com")
}

/// A phone number and its country.
pub fn phone(text: &str) -> Result<Phone, &'static str> {
    contact::phone(text).map_err(|bad| match bad {
        BadContact::Malformed => "must be a phone number in E.164 form such as +12025550100",
        BadContact::Unassigned => "is not a phone number that is given out",
    })
}

/// A country.
pub fn country(text: &str) -> Result<String, &'static str> {
    let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(text.to_owned()) } else { Err("must be two capital letters (ISO 3166-1), such as US") }
}

/// The name of a group.
pub fn group(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=GROUP_MAX).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-');
    if fits { Ok(text.to_owned()) } else { Err("must have 1 to 64 characters: a-z, 0-9 and -, the first of them no -") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(title("  Lease 2027 ").as_deref(), Ok("Lease 2027"));
        for text in ["", "  ", "a\nb", "a\u{0}", &"x".repeat(201)] {
            assert!(title(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_country_is_two_capital_letters() {
        assert!(country("US").is_ok());
        for text in ["", "us", "USA", "U", "ÜS"] {
            assert!(country(text).is_err(), "{text:?}");
        }
    }
}
