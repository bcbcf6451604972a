//! Usernames: ASCII, and compared without regard to case. A name that only looks like another's
//! cannot be made.

/// The longest username.
pub const LENGTH_MAX: usize = 128;

/// The text is no username.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidUsername;

/// The canonical form of a username: lower case. Letters, digits and `. _ @ + -`, as in a mail
/// address.
pub fn canonical(text: &str) -> Result<String, InvalidUsername> {
    let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    let fits = (1..=LENGTH_MAX).contains(&text.len()) && text.chars().all(taken);
    if fits {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(InvalidUsername)
    }
}

/// The form under which a name is looked up at sign-in. What could be no username is looked up like
/// any other and not found.
pub fn looked_up(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_makes_no_other_user() {
        assert_eq!(canonical("Ann@Example.com"), canonical("ann@example.com"));
    }

    #[test]
    fn what_may_look_like_another_name_is_refused() {
        for text in [
            "",
            "аnn",
            "ann ",
            "a\0nn",
            "ann\u{200b}",
            "１２",
            &"a".repeat(129),
        ] {
            assert_eq!(canonical(text), Err(InvalidUsername), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(text in "\\PC{0,140}") {
            if let Ok(name) = canonical(&text) {
                prop_assert_eq!(canonical(&name), Ok(name.clone()));
                prop_assert_eq!(looked_up(&text), name);
            }
        }
    }
}
