//! The messages. Their words are templates under `shared/templates`, checked when this crate is compiled.

use askama::Template;

use super::gsm7;
use crate::clock::Span;

/// The longest name of an organisation in a text.
const NAME_MAX: usize = 30;
/// What a text has beside the organisation's name and the host.
const TEXT_REST: usize = 79;

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// A code on its way to a person.
#[derive(Debug)]
pub struct CodeMessage<'a> {
    /// The organisation's name.
    pub organisation: &'a str,
    /// The code.
    pub code: &'a str,
    /// The four letters.
    pub reference: &'a str,
    /// How long the code is good.
    pub expires_in: Span,
    /// The host that the code is for.
    pub host: &'a str,
}

#[derive(Template)]
#[template(path = "en/code.sms.txt", escape = "none")]
struct CodeText<'a> {
    organisation: &'a str,
    code: &'a str,
    reference: &'a str,
    host: &'a str,
}

#[derive(Template)]
#[template(path = "en/code.mail.txt", escape = "none")]
struct CodeMailText<'a> {
    organisation: &'a str,
    code: &'a str,
    reference: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "en/code.mail.html")]
struct CodeMailHtml<'a> {
    organisation: &'a str,
    code: &'a str,
    reference: &'a str,
    minutes: i64,
}

impl CodeMessage<'_> {
    /// The text: one GSM-7 part, whose last line binds the code to an origin (WICG).
    pub fn sms(&self) -> Result<String, askama::Error> {
        // The host is never cut: another host is another owner. The name makes room, and beyond that the text takes a second part.
        let room = gsm7::PART.saturating_sub(TEXT_REST + self.host.len()).min(NAME_MAX);
        let organisation = gsm7::name(self.organisation, room);
        let organisation = if organisation.is_empty() { "Your" } else { &organisation };
        let host = self.host;
        CodeText { organisation, code: self.code, reference: self.reference, host }.render()
    }

    /// The mail.
    pub fn mail(&self) -> Result<Mail, askama::Error> {
        let Self { organisation, code, reference, .. } = *self;
        let minutes = self.expires_in.as_secs() / 60;
        Ok(Mail {
            subject: header(&format!("Your sign-in code for {organisation} ({reference})")),
            text: CodeMailText { organisation, code, reference, minutes }.render()?,
            html: CodeMailHtml { organisation, code, reference, minutes }.render()?,
        })
    }
}

/// A subject is one line, whatever the organisation calls itself.
fn header(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message<'a>(organisation: &'a str, host: &'a str) -> CodeMessage<'a> {
        CodeMessage { organisation, code: "048213", reference: "KXTP", expires_in: Span::minutes(5), host }
    }

    #[test]
    fn a_text_ends_in_the_line_that_binds_it_to_its_origin() {
        let text = message("Alder & Pine Bank", "portal.example").sms().unwrap();
        assert_eq!(text.lines().last(), Some("@portal.example #048213"));
        assert!(text.contains("KXTP") && text.contains("Alder & Pine Bank") && text.contains("Do not share"));
        assert!(gsm7::fits(&text), "{text}");
    }

    proptest! {
        #[test]
        fn a_text_is_one_part_and_names_the_whole_host(name in "\\PC{0,60}", host in "[a-z]{1,20}(\\.[a-z]{1,20}){0,2}\\.example") {
            let text = message(&name, &host).sms().unwrap();
            prop_assert!(gsm7::fits(&text), "{} {}", text.len(), text);
            let last = format!("@{host} #048213");
            prop_assert_eq!(text.lines().last(), Some(last.as_str()));
        }
    }

    #[test]
    fn a_host_of_any_length_is_whole() {
        let host = format!("{}.example", "a".repeat(150));
        let text = message("Alder & Pine Bank", &host).sms().unwrap();
        assert_eq!(text.lines().last(), Some(format!("@{host} #048213").as_str()));
    }

    #[test]
    fn a_mail_carries_the_code_last_and_escapes_the_name() {
        let mail = message("<b>Bank</b>\r\nBcc: x", "portal.example").mail().unwrap();
        assert!(!mail.subject.contains(['\r', '\n']));
        assert!(!mail.html.contains("<b>Bank"));
        let last_digits = mail.text.split(|c: char| !c.is_ascii_digit()).rfind(|run| !run.is_empty());
        assert_eq!(last_digits, Some("048213"));
        assert!(mail.text.contains("Do not share") && mail.html.contains("Do not share") && mail.html.contains("KXTP"));
    }
}
