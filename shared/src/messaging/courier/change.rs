//! A change of how somebody signs in, told by SMS: to who has no mailbox, and to a phone that is no
//! longer theirs.

use super::message::Changed;
use super::{Language, gsm7};

/// The longest name of an organisation in such an SMS.
const NAME_MAX: usize = 30;

/// The text, within the basic set of GSM 03.38: one part where one thing was changed, and as many
/// as it takes where it tells all of an hour. Each kind of change is told once.
pub fn text(organisation: &str, changed: &[Changed], language: &dyn Language) -> String {
    let words = changed
        .iter()
        .fold(Vec::new(), |mut words: Vec<String>, change| {
            let said = plain(&language.changed_words(change));
            if !words.contains(&said) {
                words.push(said);
            }
            words
        });
    let name = gsm7::name(organisation, NAME_MAX)
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    language.changed_text(&name, &words.join(", "))
}

/// A masked destination has one sign for all that is hidden: the dots are none of the basic set's.
fn plain(words: &str) -> String {
    let mut plain = String::with_capacity(words.len());
    for c in words.chars() {
        if c != '•' {
            plain.push(c);
        } else if !plain.ends_with('*') {
            plain.push('*');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::courier::languages;

    fn all() -> Vec<Changed> {
        let phone = |to: &str| Changed::Phone(Some(to.into()));
        vec![
            Changed::AppEnrolled,
            Changed::AppRemoved,
            Changed::AppReset,
            Changed::RecoveryCodes,
            phone("+1••••••••77"),
            Changed::Phone(None),
            Changed::Email(Some("a••••••••@example.com".into())),
            Changed::Email(None),
            Changed::Password,
            Changed::Username,
            Changed::SingleSignOn(true),
            Changed::SingleSignOn(false),
            Changed::More,
        ]
    }

    #[test]
    fn one_change_is_one_part_in_every_language_and_names_the_organisation() {
        for locale in languages::ALL {
            for change in all() {
                let text = text("Alder & Pine Bank", &[change], languages::of(locale));
                assert!(
                    gsm7::fits(&text) && text.starts_with("Alder & Pine Bank: "),
                    "{} {text}",
                    text.chars().count()
                );
            }
        }
    }

    #[test]
    fn all_of_an_hour_is_told_once_each_and_in_the_basic_set() {
        for locale in languages::ALL {
            let twice = [all(), all()].concat();
            let text = text("Альфа Банк", &twice, languages::of(locale));
            assert!(
                text.chars().count() <= 4 * gsm7::PART_OF_TWO,
                "{} {text}",
                text.chars().count()
            );
            assert!(gsm7::is_basic(&text), "{text}");
            assert!(
                text.contains("+1*77") && !text.contains("example.com"),
                "{text}"
            );
            assert_eq!(text.matches("+1*77").count(), 1, "{text}");
        }
    }
}
