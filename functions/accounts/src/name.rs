//! Names that people give to accounts and to API keys. They end up in messages and reports.

use shared::web::http::FieldError;

/// The longest name, in characters.
const LENGTH_MAX: usize = 100;

/// What is wrong with the name at `/name`.
pub fn fault(name: &str) -> Option<FieldError> {
    let long = name.chars().count() > LENGTH_MAX;
    let detail = if name.trim().is_empty() {
        "must not be empty"
    } else if long {
        "must have at most 100 characters"
    } else if name.chars().any(char::is_control) {
        "must not contain control characters"
    } else {
        return None;
    };
    Some(FieldError::new("/name", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_text() {
        assert_eq!(fault("Müller & Söhne"), None);
        assert_eq!(fault(&"é".repeat(100)), None);
        for name in ["", "  ", "a\nb", "a\0b", &"é".repeat(101)] {
            assert!(fault(name).is_some(), "{name:?}");
        }
    }
}
