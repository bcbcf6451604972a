//! A code on its way to a person, by SMS or by mail.

use super::letter::Mail;
use super::{gsm7, languages};
use crate::account::Locale;
use crate::kernel::clock::Span;
use crate::kernel::secret::Secret;

/// The longest name of an organisation in an SMS.
const NAME_MAX: usize = 30;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// Signing in.
    SignIn,
    /// Proving that the contact which it goes to is one's own.
    Contact,
}

/// A code on its way to a person.
#[derive(Debug)]
pub struct CodeMessage<'a> {
    /// What it is for.
    pub purpose: CodePurpose,
    /// The organisation's name.
    pub organisation: &'a str,
    /// The code.
    pub code: &'a Secret<String>,
    /// The four letters.
    pub reference: &'a str,
    /// How long the code is good.
    pub expires_in: Span,
    /// The host that the code is for.
    pub host: &'a str,
    /// The person's language.
    pub locale: Locale,
}

/// What a mail with a code says.
#[derive(Clone, Copy, Debug)]
pub struct CodeMail<'a> {
    /// The organisation's name.
    pub organisation: &'a str,
    /// The code.
    pub code: &'a Secret<String>,
    /// The four letters.
    pub reference: &'a str,
    /// How long the code is good.
    pub minutes: i64,
}

/// The host that a code is bound to: that of the first of an account's origins, or of this
/// service's own address.
pub fn bound_to(origins: &[String], base: &str) -> String {
    let origin = origins.first().map_or(base, String::as_str);
    url::Url::parse(origin)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

impl CodeMessage<'_> {
    /// The text: one GSM-7 part, whose last line binds the code to an origin (WICG).
    pub fn sms(&self) -> String {
        let language = languages::of(self.locale);
        let code = self.code.expose();
        let last = format!("\n\n@{} #{code}", self.host);
        let line = |organisation: &str| match self.purpose {
            CodePurpose::SignIn => language.code_text(organisation, code, self.reference),
            CodePurpose::Contact => language.contact_text(organisation, code, self.reference),
        };
        // The host is never cut: another host is another owner. The name makes room, and beyond
        // that the text takes a second part, which then has room for it.
        let rest = line("").chars().count() + last.chars().count();
        let one_part = gsm7::PART.checked_sub(rest);
        let room = one_part.unwrap_or_else(|| (2 * gsm7::PART_OF_TWO).saturating_sub(rest));
        format!(
            "{}{last}",
            line(
                &self
                    .sender(room)
                    .unwrap_or_else(|| language.nobody().to_owned())
            )
        )
    }

    /// Who sends it, in so much room: the organisation by its name, or by its host where the name
    /// cannot be spelt or is too long. Where there is room for neither, the last line alone says
    /// it.
    fn sender(&self, room: usize) -> Option<String> {
        let host = || {
            (!self.host.is_empty() && self.host.chars().count() <= room)
                .then(|| self.host.to_owned())
        };
        gsm7::name(self.organisation, room.min(NAME_MAX)).or_else(host)
    }

    /// The mail.
    pub fn mail(&self) -> Result<Mail, askama::Error> {
        let Self {
            organisation,
            code,
            reference,
            ..
        } = *self;
        let language = languages::of(self.locale);
        let mail = CodeMail {
            organisation,
            code,
            reference,
            minutes: self.expires_in.as_secs() / 60,
        };
        let letter = match self.purpose {
            CodePurpose::SignIn => language.code_mail(&mail),
            CodePurpose::Contact => language.contact_mail(&mail),
        };
        letter.mail(organisation, language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sms(organisation: &str, host: &str, locale: Locale) -> String {
        message(organisation, host, locale, &code()).sms()
    }

    fn message<'a>(
        organisation: &'a str,
        host: &'a str,
        locale: Locale,
        code: &'a Secret<String>,
    ) -> CodeMessage<'a> {
        CodeMessage {
            purpose: CodePurpose::SignIn,
            organisation,
            code,
            reference: "KXTP",
            expires_in: Span::minutes(5),
            host,
            locale,
        }
    }

    fn code() -> Secret<String> {
        Secret::new("048213".into())
    }

    #[test]
    fn a_text_ends_in_the_line_that_binds_it_to_its_origin() {
        let text = sms("Alder & Pine Bank", "portal.example", Locale::En);
        assert_eq!(text.lines().last(), Some("@portal.example #048213"));
        assert!(
            text.contains("KXTP")
                && text.contains("Alder & Pine Bank")
                && text.contains("Do not share")
        );
        assert!(gsm7::fits(&text), "{text}");
    }

    fn any_locale() -> impl Strategy<Value = Locale> {
        prop::sample::select(languages::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn a_text_is_one_part_and_names_the_whole_host(
            name in "\\PC{0,60}",
            host in "[a-z]{1,10}(\\.[a-z]{1,10}){0,2}\\.example",
            locale in any_locale(),
            purpose in prop::sample::select(vec![CodePurpose::SignIn, CodePurpose::Contact]),
        ) {
            let text = CodeMessage { purpose, ..message(&name, &host, locale, &code()) }.sms();
            prop_assert!(gsm7::fits(&text), "{} {}", text.chars().count(), text);
            let last = format!("@{host} #048213");
            prop_assert_eq!(text.lines().last(), Some(last.as_str()));
            let first = text.lines().next().unwrap_or_default();
            // In whole words of the name, or by the whole host. Where the host takes all the room,
            // by its line alone.
            let whole = gsm7::name(&name, 200);
            let by_name = whole.is_some_and(|whole| {
                let words: Vec<&str> = whole.split(' ').collect();
                (1..=words.len()).any(|count| {
                    let some = words[..count].join(" ");
                    let some = if count == words.len() { some.as_str() } else { some.trim_end_matches(|c: char| !c.is_alphanumeric()) };
                    (count == words.len() || some.chars().count() >= 8) && first.starts_with(some)
                })
            });
            let no_room = text.chars().count() + host.chars().count() > gsm7::PART;
            prop_assert!(by_name || first.starts_with(&host) || no_room, "{text}");
        }
    }

    #[test]
    fn who_sends_a_text_is_named_by_the_host_where_the_name_cannot_be_spelt() {
        for (name, sender) in [
            ("Alder & Pine Bank", "Alder & Pine Bank"),
            ("Альфа Банк", "portal.example"),
            ("Τράπεζα", "portal.example"),
            ("三菱 Trust", "portal.example"),
            (
                "Alder & Pine Savings and Loan Company",
                "Alder & Pine Savings and Loan",
            ),
            ("Donaudampfschifffahrtsgesellschaft", "portal.example"),
        ] {
            for locale in languages::ALL {
                let text = sms(name, "portal.example", locale);
                assert!(text.starts_with(sender) && gsm7::fits(&text), "{text}");
            }
        }
        let long = format!("{}.example", "a".repeat(70));
        assert!(
            sms("Alder & Pine", &long, Locale::En).starts_with("Your sign-in code"),
            "there is room for neither"
        );
    }

    #[test]
    fn a_host_of_any_length_is_whole() {
        let host = format!("{}.example", "a".repeat(150));
        let text = sms("Alder & Pine Bank", &host, Locale::Fr);
        assert!(
            text.starts_with("Alder & Pine Bank"),
            "of two parts there is room enough: {text}"
        );
        assert_eq!(
            text.lines().last(),
            Some(format!("@{host} #048213").as_str())
        );
    }

    #[test]
    fn a_mail_carries_the_code_last_in_every_language_and_escapes_the_name() {
        let each = languages::ALL.into_iter().flat_map(|locale| {
            [
                (locale, CodePurpose::SignIn),
                (locale, CodePurpose::Contact),
            ]
        });
        for (locale, purpose) in each {
            let code = code();
            let mail = message("<b>Bank</b>\r\nBcc: x", "portal.example", locale, &code);
            let mail = CodeMessage { purpose, ..mail }.mail().unwrap();
            assert!(!mail.subject.contains(['\r', '\n']));
            assert!(!mail.html.contains("<b>Bank"));
            let last_digits = mail
                .text
                .split(|c: char| !c.is_ascii_digit())
                .rfind(|run| !run.is_empty());
            assert_eq!(last_digits, Some("048213"));
            assert!(
                mail.text.contains("KXTP")
                    && mail.html.contains("KXTP")
                    && mail.html.contains("048213")
            );
        }
    }

    #[test]
    fn each_language_says_it_in_its_own_words() {
        let code = code();
        let each = [CodePurpose::SignIn, CodePurpose::Contact]
            .into_iter()
            .flat_map(|purpose| languages::ALL.map(|locale| (purpose, locale)));
        let said = each.map(|(purpose, locale)| {
            CodeMessage {
                purpose,
                ..message("Bank", "a.example", locale, &code)
            }
            .sms()
        });
        let mut texts: Vec<_> = said.collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 2 * languages::ALL.len());
    }
}
