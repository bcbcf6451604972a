//! Italian.

use super::Language;
use crate::clock::Span;
use crate::courier::code::CodeMail;
use crate::courier::letter::{Letter, Point};
use crate::courier::message::LinkMail;

/// Italian.
pub struct Italian;

impl Language for Italian {
    fn tag(&self) -> &'static str {
        "it"
    }

    fn nobody(&self) -> &'static str {
        "Il suo"
    }

    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!("{organisation}: codice di accesso {code} (rif. {reference}). Non lo condivida con nessuno.")
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let CodeMail { organisation, code, reference, minutes } = *mail;
        Letter {
            subject: format!("Il suo codice di accesso a {organisation} ({reference})"),
            paragraphs: vec![
                format!("Sta accedendo a {organisation}. Il codice è valido per {minutes} minuti e per un solo uso."),
                format!("Confronti il riferimento con quello della pagina di accesso: {reference}"),
            ],
            point: Point::Code { label: "Il suo codice:".into(), code: code.clone() },
            notes: vec![
                format!("Non condivida questo codice con nessuno. {organisation} non lo chiede mai per telefono o per e-mail."),
                "Se non sta accedendo, qualcuno potrebbe conoscere la sua password: la cambi e avvisi il suo referente.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let LinkMail { organisation, url, good_for } = mail;
        let life = span(good_for);
        Letter {
            subject: format!("Accesso a {organisation}"),
            paragraphs: vec![format!(
                "Con questo collegamento accede a {organisation}. È valido per {life} e per un solo accesso. Le sarà chiesto anche il secondo fattore."
            )],
            point: Point::Link { label: "Accedi".into(), url },
            notes: vec![
                "Non condivida questo collegamento con nessuno. Se non lo aspettava, non lo usi e avvisi il suo referente."
                    .into(),
            ],
        }
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        60 => "un'ora".into(),
        minutes if minutes % 60 == 0 => format!("{} ore", minutes / 60),
        minutes => format!("{minutes} minuti"),
    }
}
