//! German.

use super::Language;
use crate::clock::Span;
use crate::courier::code::CodeMail;
use crate::courier::letter::{Letter, Point};
use crate::courier::message::LinkMail;

/// German.
pub struct German;

impl Language for German {
    fn tag(&self) -> &'static str {
        "de"
    }

    fn nobody(&self) -> &'static str {
        "Ihr"
    }

    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!("{organisation}: Anmeldecode {code} (Ref. {reference}). Geben Sie ihn nicht weiter.")
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let CodeMail { organisation, code, reference, minutes } = *mail;
        Letter {
            subject: format!("Ihr Anmeldecode für {organisation} ({reference})"),
            paragraphs: vec![
                format!("Sie melden sich bei {organisation} an. Ihr Code gilt {minutes} Minuten und für eine Anmeldung."),
                format!("Vergleichen Sie die Referenz mit der auf der Anmeldeseite: {reference}"),
            ],
            point: Point::Code { label: "Ihr Code:".into(), code: code.clone() },
            notes: vec![
                format!("Geben Sie diesen Code nicht weiter. {organisation} fragt nie am Telefon oder per E-Mail danach."),
                "Wenn Sie sich gerade nicht anmelden, kennt vielleicht jemand Ihr Passwort: Ändern Sie es und geben Sie Ihrem Ansprechpartner Bescheid.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let LinkMail { organisation, url, good_for } = mail;
        let life = span(good_for);
        Letter {
            subject: format!("Anmeldung bei {organisation}"),
            paragraphs: vec![
                format!("Mit diesem Link melden Sie sich bei {organisation} an. Er gilt {life} und für eine Anmeldung. Ihr zweiter Faktor wird ebenfalls verlangt."),
            ],
            point: Point::Link { label: "Anmelden".into(), url },
            notes: vec![
                "Geben Sie diesen Link nicht weiter. Wenn Sie ihn nicht erwartet haben, benutzen Sie ihn nicht und geben Sie Ihrem Ansprechpartner Bescheid.".into(),
            ],
        }
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        60 => "eine Stunde".into(),
        minutes if minutes % 60 == 0 => format!("{} Stunden", minutes / 60),
        minutes => format!("{minutes} Minuten"),
    }
}
