//! German.

use super::Language;
use crate::kernel::clock::Span;
use crate::messaging::courier::code::CodeMail;
use crate::messaging::courier::letter::{CallToAction, Letter};
use crate::messaging::courier::message::{
    AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified,
};

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
        format!(
            "{organisation}: Anmeldecode {code} (Ref. {reference}). Geben Sie ihn nicht weiter."
        )
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let (organisation, reference, minutes) = (mail.organisation, mail.reference, mail.minutes);
        Letter {
            subject: format!("Ihr Anmeldecode für {organisation} ({reference})"),
            paragraphs: vec![
                format!("Sie melden sich bei {organisation} an. Ihr Code gilt {minutes} Minuten und für eine Anmeldung."),
                format!("Vergleichen Sie die Referenz mit der auf der Anmeldeseite: {reference}"),
            ],
            action: CallToAction::Code { label: "Ihr Code:".into(), code: mail.code.clone() },
            notes: vec![
                format!("Geben Sie diesen Code nicht weiter. {organisation} fragt nie am Telefon oder per E-Mail danach."),
                "Wenn Sie sich gerade nicht anmelden, kennt vielleicht jemand Ihr Passwort: Ändern Sie es und geben Sie Ihrem Ansprechpartner Bescheid.".into(),
            ],
        }
    }

    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation}: Bestätigungscode {code} (Ref. {reference}). Geben Sie ihn nicht weiter."
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
            subject: format!("Bestätigen Sie diese E-Mail-Adresse für {organisation} ({reference})"),
            paragraphs: vec![
                format!(
                    "Jemand, vermutlich Sie, hat bei {organisation} diese E-Mail-Adresse als die eigene angegeben. Der Code bestätigt sie. Er gilt {minutes} Minuten und für einmal."
                ),
                format!("Vergleichen Sie die Referenz mit der auf der Seite: {reference}"),
            ],
            action: CallToAction::Code { label: "Ihr Code:".into(), code: code.clone() },
            notes: vec![
                format!("Geben Sie diesen Code nicht weiter. {organisation} fragt nie am Telefon oder per E-Mail danach."),
                "Wenn Sie das nicht waren, brauchen Sie nichts zu tun: Ohne den Code wird nichts hierher geschickt.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Anmeldung bei {organisation}"),
            paragraphs: vec![
                format!("Mit diesem Link melden Sie sich bei {organisation} an. Er gilt {life} und für eine Anmeldung. Ihr zweiter Faktor wird ebenfalls verlangt."),
            ],
            action: CallToAction::Link { label: "Anmelden".into(), url },
            notes: vec![
                "Geben Sie diesen Link nicht weiter. Wenn Sie ihn nicht erwartet haben, benutzen Sie ihn nicht und geben Sie Ihrem Ansprechpartner Bescheid.".into(),
            ],
        }
    }

    fn changed(&self, mail: &ChangeMail<'_>) -> Letter {
        let ChangeMail {
            organisation,
            changed,
        } = *mail;
        Letter {
            subject: format!("Ihre Anmeldung bei {organisation} wurde geändert"),
            paragraphs: changed.iter().map(sentence).collect(),
            action: CallToAction::None,
            notes: vec![format!(
                "Wenn Sie das nicht waren, informieren Sie sofort Ihre Ansprechperson bei {organisation}: Möglicherweise ist jemand anderes als Sie angemeldet."
            )],
        }
    }

    fn changed_words(&self, changed: &Changed) -> String {
        let words = match changed {
            Changed::AppEnrolled => "Authentifizierungs-App eingerichtet",
            Changed::AppRemoved => "Authentifizierungs-App entfernt",
            Changed::AppReset => "App von einem Administrator entfernt",
            Changed::RecoveryCodes => "neue Wiederherstellungscodes",
            Changed::Phone(Some(to)) => return format!("Telefonnummer jetzt {to}"),
            Changed::Phone(None) => "Telefonnummer entfernt",
            Changed::Email(Some(_)) => "E-Mail-Adresse geändert",
            Changed::Email(None) => "E-Mail-Adresse entfernt",
            Changed::Password => "neues Passwort",
            Changed::Username => "Benutzername geändert",
            Changed::SingleSignOn(true) => "anderes Konto für die Anmeldung über Ihre Organisation",
            Changed::SingleSignOn(false) => "Anmeldung über Ihre Organisation abgeschaltet",
            Changed::More => "und weiteres",
        };
        words.into()
    }

    fn changed_text(&self, organisation: &str, words: &str) -> String {
        format!(
            "{organisation}Ihre Anmeldung wurde geändert: {words}. Waren Sie das nicht? Melden Sie es dort sofort."
        )
    }

    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url, life) = (link.organisation, link.url, span(link.good_for));
        Letter {
            subject: format!("{sender} bittet Sie, {title} zu unterzeichnen"),
            paragraphs: vec![
                format!("{sender} ({organisation}) hat Ihnen {title} zur Ansicht und Unterschrift gesandt. Der Link gehört nur Ihnen und gilt {life}."),
                "Bei jedem Öffnen vor der Unterschrift kann ein Nachweis verlangt werden, wer Sie sind.".into(),
            ],
            action: CallToAction::Link { label: "Vereinbarung öffnen".into(), url },
            notes: vec!["Leiten Sie diese E-Mail nicht weiter und geben Sie den Link niemandem: Er steht für Sie. Falls Sie ihn nicht erwartet haben, lassen Sie ihn ungenutzt und fragen Sie den Absender.".into()],
        }
    }

    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url) = (link.organisation, link.url);
        Letter {
            subject: format!("Unterzeichnet: {title}"),
            paragraphs: vec![format!(
                "Alle Empfänger haben {title} unterzeichnet, gesandt von {sender} ({organisation}). Der Link führt zur unterzeichneten Vereinbarung."
            )],
            action: CallToAction::Link { label: "Unterzeichnete Vereinbarung ansehen".into(), url },
            notes: vec!["Leiten Sie diese E-Mail nicht weiter und geben Sie den Link niemandem: Er steht für Sie.".into()],
        }
    }

    fn password_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Neues Passwort für {organisation}"),
            paragraphs: vec![format!("Jemand, vermutlich Sie selbst, hat das Passwort für {organisation} als vergessen gemeldet. Mit diesem Link und Ihrem zweiten Faktor setzen Sie ein neues. Er gilt {life}.")],
            action: CallToAction::Link { label: "Neues Passwort setzen".into(), url },
            notes: vec!["Wenn Sie das nicht waren, benutzen Sie diesen Link nicht: Ihr Passwort bleibt, wie es ist. Geben Sie den Link nicht weiter.".into()],
        }
    }

    fn no_password_link(&self, organisation: &str) -> Letter {
        Letter {
            subject: format!("Neues Passwort für {organisation}"),
            paragraphs: vec![
                format!(
                    "Jemand, vermutlich Sie selbst, hat das Passwort für {organisation} als vergessen gemeldet. Für Sie lässt es sich nicht per E-Mail neu setzen: Dazu braucht es neben diesem Postfach einen zweiten Faktor, und keiner der Ihren ist dafür verwendbar."
                ),
                format!(
                    "Wenden Sie sich an Ihre Ansprechperson bei {organisation}: Ein Administrator kann Ihnen ein neues Passwort geben oder Ihnen zu einem zweiten Faktor verhelfen."
                ),
            ],
            action: CallToAction::None,
            notes: vec![
                "Wenn Sie das nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist."
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
            subject: format!("{organisation}: noch {available} Identitätsprüfungen"),
            paragraphs: vec![
                format!("{organisation} hat noch {available} im Voraus bezahlte Identitätsprüfungen. Sie wollten unterhalb von {threshold} benachrichtigt werden."),
                "Wenn keine mehr da ist, können keine Vereinbarungen mehr verschickt werden, die einem Empfänger Identitätsfragen stellen. Schon verschickte sind nicht betroffen.".into(),
            ],
            action: CallToAction::None,
            notes: vec!["Sie werden jedes Mal einmal benachrichtigt, wenn der Bestand unter diese Zahl fällt. Die Zahl und die Empfänger dieser Nachricht stehen in den Einstellungen.".into()],
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
            "1 Versuch".to_owned()
        } else {
            format!("{attempts} Versuche")
        };
        Letter {
            subject: format!("Abgebrochen: {title}"),
            paragraphs: vec![
                format!("{who} hat die Identitätsprüfung für „{title}“ nicht bestanden ({times}). Die Vereinbarung wurde deshalb abgebrochen."),
                format!("„{title}“ war im Namen von {organisation} versandt worden."),
            ],
            action: CallToAction::None,
            notes: vec!["Niemand sonst wurde benachrichtigt. Der Prüfbericht der Vereinbarung enthält jeden Schritt. Um fortzufahren, senden Sie sie erneut.".into()],
        }
    }
}

/// What was changed.
fn sentence(changed: &Changed) -> String {
    match changed {
        Changed::AppEnrolled => {
            "Eine Authentifizierungs-App wurde eingerichtet. Sie ersetzt eine frühere, und ihre Wiederherstellungscodes sind neu."
                .into()
        }
        Changed::AppRemoved => "Die Authentifizierungs-App und ihre Wiederherstellungscodes wurden entfernt.".into(),
        Changed::AppReset => {
            "Ein Administrator hat Ihre Authentifizierungs-App und deren Wiederherstellungscodes entfernt.".into()
        }
        Changed::RecoveryCodes => "Neue Wiederherstellungscodes wurden erstellt. Die bisherigen gelten nicht mehr.".into(),
        Changed::Phone(Some(to)) => format!("SMS gehen ab jetzt an eine andere Nummer: {to}"),
        Changed::Phone(None) => "Die Telefonnummer wurde entfernt.".into(),
        Changed::Email(Some(to)) => format!("E-Mails gehen ab jetzt an eine andere Adresse: {to}"),
        Changed::Email(None) => "Die E-Mail-Adresse wurde entfernt.".into(),
        Changed::Username => {
            "Der Benutzername wurde geändert. Wenn Sie den neuen nicht kennen, fragen Sie Ihre Ansprechperson dort.".into()
        }
        Changed::Password => "Ein neues Passwort wurde festgelegt.".into(),
        Changed::SingleSignOn(true) => {
            "Sie melden sich ab jetzt mit einem anderen Konto beim Anmeldedienst Ihrer Organisation an.".into()
        }
        Changed::SingleSignOn(false) => "Die Anmeldung über den Anmeldedienst Ihrer Organisation wurde abgeschaltet.".into(),
        Changed::More => "Es gab weitere Änderungen.".into(),
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        ..=1 => "eine Minute".into(),
        60 => "eine Stunde".into(),
        1440 => "einen Tag".into(),
        minutes if minutes % 1440 == 0 => format!("{} Tage", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} Stunden", minutes / 60),
        minutes => format!("{minutes} Minuten"),
    }
}
