//! English.

use super::Language;
use crate::clock::Span;
use crate::courier::code::CodeMail;
use crate::courier::letter::{Letter, Point};
use crate::courier::message::LinkMail;

/// English.
pub struct English;

impl Language for English {
    fn tag(&self) -> &'static str {
        "en"
    }

    fn nobody(&self) -> &'static str {
        "Your"
    }

    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!("{organisation} sign-in code {code} (ref {reference}). Do not share it with anyone.")
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let CodeMail { organisation, code, reference, minutes } = *mail;
        Letter {
            subject: format!("Your sign-in code for {organisation} ({reference})"),
            paragraphs: vec![
                format!("You are signing in to {organisation}. Your code is good for {minutes} minutes and can be used once."),
                format!("Compare the reference with the one on the sign-in page: {reference}"),
            ],
            point: Point::Code { label: "Your code:".into(), code: code.clone() },
            notes: vec![
                format!("Do not share this code with anyone. {organisation} never asks for it by phone or mail."),
                "If you are not signing in, somebody may know your password: change it, and tell your contact there.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let LinkMail { organisation, url, good_for } = mail;
        let life = span(good_for);
        Letter {
            subject: format!("Sign in to {organisation}"),
            paragraphs: vec![format!(
                "With this link you sign in to {organisation}. It is good for {life} and for one sign-in. You will be asked for your second factor as well."
            )],
            point: Point::Link { label: "Sign in".into(), url },
            notes: vec![
                "Do not share this link with anyone. If you did not expect it, leave it unused and tell your contact there."
                    .into(),
            ],
        }
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        60 => "an hour".into(),
        minutes if minutes % 60 == 0 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}
