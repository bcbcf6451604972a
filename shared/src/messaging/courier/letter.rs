//! The form that every mail has: the organisation's name, what there is to say, one thing to use,
//! and what to mind.
//!
//! Its two templates, under `shared/templates`, are checked when this crate is compiled. Its words
//! are in [`super::languages`].

use askama::Template;

use super::Language;
use crate::kernel::secret::Secret;

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

/// The words of a mail.
#[derive(Debug)]
pub struct Letter {
    /// The subject.
    pub subject: String,
    /// What there is to say.
    pub paragraphs: Vec<String>,
    /// What the mail is for.
    pub action: CallToAction,
    /// What to mind.
    pub notes: Vec<String>,
}

/// The one thing of a mail that is used. It stands last in the text, on a line of its own.
#[derive(Debug)]
pub enum CallToAction {
    /// Nothing: it only tells.
    None,
    /// A code to type.
    Code {
        /// What it is.
        label: String,
        /// The digits.
        code: Secret<String>,
    },
    /// A link to follow.
    Link {
        /// What it does.
        label: String,
        /// The address.
        url: Secret<String>,
    },
}

#[derive(Template)]
#[template(path = "letter.txt", escape = "none")]
struct Text<'a> {
    organisation: &'a str,
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    language: &'a str,
    organisation: &'a str,
    letter: &'a Letter,
}

impl Letter {
    /// The mail of `organisation` that says this.
    pub fn mail(&self, organisation: &str, language: &dyn Language) -> Result<Mail, askama::Error> {
        Ok(Mail {
            subject: one_line(&self.subject),
            text: Text {
                organisation: &one_line(organisation),
                letter: self,
            }
            .render()?,
            html: Html {
                language: language.tag(),
                organisation,
                letter: self,
            }
            .render()?,
        })
    }
}

/// What somebody called themselves does not break a line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Locale;
    use crate::messaging::courier::languages;

    #[test]
    fn a_letter_ends_in_its_action_and_escapes_what_it_is_given() {
        let letter = Letter {
            subject: "Hello\r\nBcc: x".into(),
            paragraphs: vec!["One <i>thing</i>.".into(), "Another.".into()],
            action: CallToAction::Link {
                label: "Go on".into(),
                url: Secret::new("https://a.example/link#lnk_1".into()),
            },
            notes: vec!["Mind this.".into()],
        };
        let mail = letter
            .mail("<b>Bank</b>", languages::of(Locale::De))
            .unwrap();
        assert_eq!(mail.subject, "Hello  Bcc: x");
        assert_eq!(
            mail.text,
            "<b>Bank</b>\n\nOne <i>thing</i>.\nAnother.\n\nMind this.\n\nGo on:\n\nhttps://a.example/link#lnk_1"
        );
        assert!(
            mail.html.contains(r#"<html lang="de">"#)
                && mail.html.contains("https://a.example/link#lnk_1")
        );
        assert!(
            !mail.html.contains("<b>") && !mail.html.contains("<i>"),
            "{}",
            mail.html
        );
    }
}
