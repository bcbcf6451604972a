//! Spanish.

use super::Language;
use crate::kernel::clock::Span;
use crate::messaging::courier::code::CodeMail;
use crate::messaging::courier::letter::{CallToAction, Letter};
use crate::messaging::courier::message::{
    AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified,
};

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
        format!(
            "{organisation}: clave de acceso {code} (ref. {reference}). No la comparta con nadie."
        )
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let (organisation, reference, minutes) = (mail.organisation, mail.reference, mail.minutes);
        Letter {
            subject: format!("Su código de acceso a {organisation} ({reference})"),
            paragraphs: vec![
                format!("Está iniciando sesión en {organisation}. Su código es válido durante {minutes} minutos y para un solo uso."),
                format!("Compare la referencia con la de la página de acceso: {reference}"),
            ],
            action: CallToAction::Code { label: "Su código:".into(), code: mail.code.clone() },
            notes: vec![
                format!("No comparta este código con nadie. {organisation} nunca lo pide por teléfono ni por correo."),
                "Si no está iniciando sesión, es posible que alguien conozca su contraseña: cámbiela y avise a su persona de contacto.".into(),
            ],
        }
    }

    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation}: clave para validar {code} (ref. {reference}). No la comparta con nadie."
        )
    }

    fn contact_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let CodeMail {
            organisation,
            code,
            reference,
            minutes,
        } = *mail;
        Letter {
            subject: format!("Confirme esta dirección de correo para {organisation} ({reference})"),
            paragraphs: vec![
                format!(
                    "Alguien, probablemente usted, ha indicado en {organisation} que esta dirección de correo es suya. El código la confirma. Es válido durante {minutes} minutos y para un solo uso."
                ),
                format!("Compare la referencia con la de la página: {reference}"),
            ],
            action: CallToAction::Code { label: "Su código:".into(), code: code.clone() },
            notes: vec![
                format!("No comparta este código con nadie. {organisation} nunca lo pide por teléfono ni por correo."),
                "Si no ha sido usted, no tiene que hacer nada: sin el código no se envía nada aquí.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Acceso a {organisation}"),
            paragraphs: vec![format!(
                "Con este enlace inicia sesión en {organisation}. Es válido durante {life} y para un solo acceso. También se le pedirá su segundo factor."
            )],
            action: CallToAction::Link { label: "Iniciar sesión".into(), url },
            notes: vec![
                "No comparta este enlace con nadie. Si no lo esperaba, no lo use y avise a su persona de contacto.".into(),
            ],
        }
    }

    fn changed(&self, mail: &ChangeMail<'_>) -> Letter {
        let ChangeMail {
            organisation,
            changed,
        } = *mail;
        Letter {
            subject: format!("Su acceso a {organisation} ha cambiado"),
            paragraphs: changed.iter().map(sentence).collect(),
            action: CallToAction::None,
            notes: vec![format!(
                "Si no ha sido usted, avise de inmediato a su contacto en {organisation}: es posible que otra persona haya accedido en su nombre."
            )],
        }
    }

    fn changed_words(&self, changed: &Changed) -> String {
        let words = match changed {
            Changed::AppEnrolled => "app de seguridad configurada",
            Changed::AppRemoved => "app de seguridad eliminada",
            Changed::AppReset => "app eliminada por un administrador",
            Changed::RecoveryCodes => "nuevas claves de respaldo",
            Changed::Phone(Some(to)) => return format!("teléfono ahora {to}"),
            Changed::Phone(None) => "teléfono eliminado",
            Changed::Email(Some(_)) => "correo cambiado",
            Changed::Email(None) => "correo eliminado",
            Changed::Password => "nueva contraseña",
            Changed::Username => "nombre de usuario cambiado",
            Changed::SingleSignOn(true) => "otra cuenta de acceso de su empresa",
            Changed::SingleSignOn(false) => "acceso con la cuenta de su empresa desactivado",
            Changed::More => "y otros cambios",
        };
        words.into()
    }

    fn changed_text(&self, organisation: &str, words: &str) -> String {
        format!(
            "{organisation}Su acceso ha cambiado: {words}. Si no ha sido usted, avise de inmediato a su contacto."
        )
    }

    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url, life) = (link.organisation, link.url, span(link.good_for));
        Letter {
            subject: format!("{sender} le pide que firme {title}"),
            paragraphs: vec![
                format!("{sender} ({organisation}) le ha enviado {title} para que lo vea y lo firme. El enlace es solo suyo y es válido durante {life}."),
                "Cada vez que lo abra antes de firmar, se le podrá pedir que demuestre quién es.".into(),
            ],
            action: CallToAction::Link { label: "Abrir el acuerdo".into(), url },
            notes: vec!["No reenvíe este correo ni comparta el enlace: vale por usted. Si no lo esperaba, no lo use y pregunte al remitente.".into()],
        }
    }

    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url) = (link.organisation, link.url);
        Letter {
            subject: format!("Firmado: {title}"),
            paragraphs: vec![format!(
                "Todos los destinatarios han firmado {title}, enviado por {sender} ({organisation}). El enlace lleva al acuerdo firmado."
            )],
            action: CallToAction::Link {
                label: "Ver el acuerdo firmado".into(),
                url,
            },
            notes: vec!["No reenvíe este correo ni comparta el enlace: vale por usted.".into()],
        }
    }

    fn password_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Nueva contraseña de {organisation}"),
            paragraphs: vec![format!(
                "Alguien, probablemente usted, indicó que olvidó la contraseña de {organisation}. Con este enlace y su segundo factor puede crear una nueva. Es válido durante {life}."
            )],
            action: CallToAction::Link { label: "Crear una contraseña".into(), url },
            notes: vec![
                "Si no fue usted, no use este enlace: su contraseña sigue siendo la misma. No comparta el enlace con nadie."
                    .into(),
            ],
        }
    }

    fn no_password_link(&self, organisation: &str) -> Letter {
        Letter {
            subject: format!("Nueva contraseña de {organisation}"),
            paragraphs: vec![
                format!(
                    "Alguien, probablemente usted, indicó que olvidó la contraseña de {organisation}. En su caso no se puede cambiar por correo: hace falta un segundo factor además de este buzón, y ninguno de los suyos sirve para ello."
                ),
                format!(
                    "Diríjase a su contacto en {organisation}: un administrador puede darle una nueva contraseña o ayudarle a obtener un segundo factor."
                ),
            ],
            action: CallToAction::None,
            notes: vec![
                "Si no fue usted, no tiene que hacer nada: su contraseña sigue siendo la misma."
                    .into(),
            ],
        }
    }

    fn low_balance(&self, organisation: &str, low: LowBalance) -> Letter {
        let LowBalance {
            available,
            threshold,
        } = low;
        Letter {
            subject: format!("{organisation}: quedan {available} verificaciones de identidad"),
            paragraphs: vec![
                format!("A {organisation} le quedan {available} verificaciones de identidad prepagadas. Pidió que se le avisara por debajo de {threshold}."),
                "Cuando no quede ninguna, no se podrán enviar acuerdos que hagan preguntas de identidad a un destinatario. Los ya enviados no se ven afectados.".into(),
            ],
            action: CallToAction::None,
            notes: vec!["Se le avisa una vez cada vez que el saldo baja de ese número. El número y las personas avisadas se cambian en los ajustes.".into()],
        }
    }

    fn not_verified(&self, organisation: &str, mail: &NotVerified) -> Letter {
        let (
            who,
            NotVerified {
                title, attempts, ..
            },
        ) = (mail.recipient(), mail);
        let times = if *attempts == 1 {
            "1 intento".to_owned()
        } else {
            format!("{attempts} intentos")
        };
        Letter {
            subject: format!("Cancelado: {title}"),
            paragraphs: vec![
                format!("{who} no ha superado la verificación de identidad de «{title}» tras {times}. Por eso se ha cancelado el acuerdo."),
                format!("«{title}» se envió en nombre de {organisation}."),
            ],
            action: CallToAction::None,
            notes: vec!["No se ha avisado a nadie más. El informe de auditoría del acuerdo contiene cada paso. Para continuar, envíelo de nuevo.".into()],
        }
    }
}

/// What was changed.
fn sentence(changed: &Changed) -> String {
    match changed {
        Changed::AppEnrolled => {
            "Se ha configurado una aplicación de autenticación. Sustituye a la anterior y sus códigos de recuperación son nuevos."
                .into()
        }
        Changed::AppRemoved => "Se han eliminado la aplicación de autenticación y sus códigos de recuperación.".into(),
        Changed::AppReset => "Un administrador ha eliminado su aplicación de autenticación y sus códigos de recuperación.".into(),
        Changed::RecoveryCodes => "Se han creado nuevos códigos de recuperación. Los anteriores ya no sirven.".into(),
        Changed::Phone(Some(to)) => format!("Los SMS se envían ahora a otro número: {to}"),
        Changed::Phone(None) => "Se ha eliminado el número de teléfono.".into(),
        Changed::Email(Some(to)) => format!("Los correos se envían ahora a otra dirección: {to}"),
        Changed::Email(None) => "Se ha eliminado la dirección de correo.".into(),
        Changed::Username => "Ha cambiado el nombre de usuario. Si no conoce el nuevo, pregunte a su contacto.".into(),
        Changed::Password => "Se ha establecido una nueva contraseña.".into(),
        Changed::SingleSignOn(true) => "Ahora inicia sesión con otra cuenta del servicio de acceso de su organización.".into(),
        Changed::SingleSignOn(false) => {
            "Se ha desactivado el inicio de sesión con el servicio de acceso de su organización.".into()
        }
        Changed::More => "Ha habido más cambios.".into(),
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        ..=1 => "un minuto".into(),
        60 => "una hora".into(),
        1440 => "un día".into(),
        minutes if minutes % 1440 == 0 => format!("{} días", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} horas", minutes / 60),
        minutes => format!("{minutes} minutos"),
    }
}
