//! What the fields of an agreement have to be. Its people are reached as users are, and its groups
//! are theirs.

pub use shared::signin::user::fields::{email, group, phone};

/// The longest title.
pub const TITLE_MAX: usize = 200;
/// The longest name of a person.
pub const NAME_MAX: usize = 100;
/// The longest reason of a cancellation.
pub const REASON_MAX: usize = 500;

/// One line of 1 to `most` characters.
fn line(text: &str, most: usize) -> Option<String> {
    let trimmed = text.trim();
    let fits =
        (1..=most).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
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

/// A country.
pub fn country(text: &str) -> Result<String, &'static str> {
    let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must be two capital letters (ISO 3166-1), such as US")
    }
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
