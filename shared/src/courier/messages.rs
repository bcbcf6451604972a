//! The messages. Their words are templates under `shared/templates`, checked when this crate is compiled.

use askama::Template;

use super::gsm7;
use crate::clock::Span;

/// The longest name of an organisation in a text.
const NAME_MAX: usize = 30;
/// The longest host in a text's last line: with it and the longest name the text still is one part.
const HOST_MAX: usize = 50;

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
        let organisation = gsm7::name(self.organisation, NAME_MAX);
        let organisation = if organisation.is_empty() { "Countersign" } else { &organisation };
        let host = self.host.get(..HOST_MAX).unwrap_or(self.host);
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

    #[test]
    fn a_text_is_one_part_whatever_the_names() {
        let long = "An Organisation With A Name Beyond All Measure And Reason";
        let host = "a-host-name-that-is-long.and-has-parts.portal.example.com";
        let text = message(long, host).sms().unwrap();
        assert!(gsm7::fits(&text), "{} {text}", text.len());
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
