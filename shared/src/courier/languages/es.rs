//! Spanish.

use super::Language;
use crate::clock::Span;
use crate::courier::code::CodeMail;
use crate::courier::letter::{Letter, Point};
use crate::courier::message::LinkMail;

/// Spanish.
pub struct Spanish;

impl Language for Spanish {
    fn tag(&self) -> &'static str {
        "es"
    }

    fn nobody(&self) -> &'static str {
        "Su"
    }

    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!("{organisation}: clave de acceso {code} (ref. {reference}). No la comparta con nadie.")
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let CodeMail { organisation, code, reference, minutes } = *mail;
        Letter {
            subject: format!("Su código de acceso a {organisation} ({reference})"),
            paragraphs: vec![
                format!("Está iniciando sesión en {organisation}. Su código es válido durante {minutes} minutos y para un solo uso."),
                format!("Compare la referencia con la de la página de acceso: {reference}"),
            ],
            point: Point::Code { label: "Su código:".into(), code: code.clone() },
            notes: vec![
                format!("No comparta este código con nadie. {organisation} nunca lo pide por teléfono ni por correo."),
                "Si no está iniciando sesión, es posible que alguien conozca su contraseña: cámbiela y avise a su persona de contacto.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let LinkMail { organisation, url, good_for } = mail;
        let life = span(good_for);
        Letter {
            subject: format!("Acceso a {organisation}"),
            paragraphs: vec![format!(
                "Con este enlace inicia sesión en {organisation}. Es válido durante {life} y para un solo acceso. También se le pedirá su segundo factor."
            )],
            point: Point::Link { label: "Iniciar sesión".into(), url },
            notes: vec![
                "No comparta este enlace con nadie. Si no lo esperaba, no lo use y avise a su persona de contacto.".into(),
            ],
        }
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        60 => "una hora".into(),
        minutes if minutes % 60 == 0 => format!("{} horas", minutes / 60),
        minutes => format!("{minutes} minutos"),
    }
}
