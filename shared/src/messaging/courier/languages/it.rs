//! Italian.

use super::Language;
use crate::kernel::clock::Span;
use crate::messaging::courier::code::CodeMail;
use crate::messaging::courier::letter::{CallToAction, Letter};
use crate::messaging::courier::message::{
    AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified,
};

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
        format!(
            "{organisation}: codice di accesso {code} (rif. {reference}). Non lo condivida con nessuno."
        )
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let (organisation, reference, minutes) = (mail.organisation, mail.reference, mail.minutes);
        Letter {
            subject: format!("Il suo codice di accesso a {organisation} ({reference})"),
            paragraphs: vec![
                format!("Sta accedendo a {organisation}. Il codice è valido per {minutes} minuti e per un solo uso."),
                format!("Confronti il riferimento con quello della pagina di accesso: {reference}"),
            ],
            action: CallToAction::Code { label: "Il suo codice:".into(), code: mail.code.clone() },
            notes: vec![
                format!("Non condivida questo codice con nessuno. {organisation} non lo chiede mai per telefono o per e-mail."),
                "Se non sta accedendo, qualcuno potrebbe conoscere la sua password: la cambi e avvisi il suo referente.".into(),
            ],
        }
    }

    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation}: codice di conferma {code} (rif. {reference}). Non lo condivida con nessuno."
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
            subject: format!("Confermi questo indirizzo e-mail per {organisation} ({reference})"),
            paragraphs: vec![
                format!(
                    "Qualcuno, probabilmente lei, ha indicato a {organisation} che questo indirizzo e-mail è il suo. Il codice lo conferma. È valido per {minutes} minuti e per un solo uso."
                ),
                format!("Confronti il riferimento con quello della pagina: {reference}"),
            ],
            action: CallToAction::Code { label: "Il suo codice:".into(), code: code.clone() },
            notes: vec![
                format!("Non condivida questo codice con nessuno. {organisation} non lo chiede mai per telefono o per e-mail."),
                "Se non è stato lei, non deve fare nulla: senza il codice qui non viene inviato nulla.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Accesso a {organisation}"),
            paragraphs: vec![format!(
                "Con questo collegamento accede a {organisation}. È valido per {life} e per un solo accesso. Le sarà chiesto anche il secondo fattore."
            )],
            action: CallToAction::Link { label: "Accedi".into(), url },
            notes: vec![
                "Non condivida questo collegamento con nessuno. Se non lo aspettava, non lo usi e avvisi il suo referente."
                    .into(),
            ],
        }
    }

    fn changed(&self, mail: &ChangeMail<'_>) -> Letter {
        let ChangeMail {
            organisation,
            changed,
        } = *mail;
        Letter {
            subject: format!("Il suo accesso a {organisation} è stato modificato"),
            paragraphs: changed.iter().map(sentence).collect(),
            action: CallToAction::None,
            notes: vec![format!(
                "Se non è stato lei, avvisi subito il suo contatto presso {organisation}: qualcun altro potrebbe aver effettuato l’accesso al suo posto."
            )],
        }
    }

    fn changed_words(&self, changed: &Changed) -> String {
        let words = match changed {
            Changed::AppEnrolled => "app di autenticazione configurata",
            Changed::AppRemoved => "app di autenticazione rimossa",
            Changed::AppReset => "app rimossa da un amministratore",
            Changed::RecoveryCodes => "nuovi codici di recupero",
            Changed::Phone(Some(to)) => return format!("telefono ora {to}"),
            Changed::Phone(None) => "telefono rimosso",
            Changed::Email(Some(_)) => "e-mail modificata",
            Changed::Email(None) => "e-mail rimossa",
            Changed::Password => "nuova password",
            Changed::Username => "nome utente modificato",
            Changed::SingleSignOn(true) => "altro account di accesso dell'organizzazione",
            Changed::SingleSignOn(false) => "accesso tramite l'organizzazione disattivato",
            Changed::More => "e altro ancora",
        };
        words.into()
    }

    fn changed_text(&self, organisation: &str, words: &str) -> String {
        format!(
            "{organisation}Il suo accesso è stato modificato: {words}. Se non è stato lei, avvisi subito il suo referente."
        )
    }

    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url, life) = (link.organisation, link.url, span(link.good_for));
        Letter {
            subject: format!("{sender} le chiede di firmare {title}"),
            paragraphs: vec![
                format!("{sender} ({organisation}) le ha inviato {title} da vedere e firmare. Il link è solo suo ed è valido per {life}."),
                "Ogni volta che lo apre prima di firmare, le può essere chiesto di dimostrare chi è.".into(),
            ],
            action: CallToAction::Link { label: "Aprire l’accordo".into(), url },
            notes: vec!["Non inoltri questa e-mail e non condivida il link: vale per lei. Se non lo aspettava, non lo usi e chieda al mittente.".into()],
        }
    }

    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url) = (link.organisation, link.url);
        Letter {
            subject: format!("Firmato: {title}"),
            paragraphs: vec![format!(
                "Tutti i destinatari hanno firmato {title}, inviato da {sender} ({organisation}). Il link porta all’accordo firmato."
            )],
            action: CallToAction::Link {
                label: "Vedere l’accordo firmato".into(),
                url,
            },
            notes: vec!["Non inoltri questa e-mail e non condivida il link: vale per lei.".into()],
        }
    }

    fn password_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Nuova password per {organisation}"),
            paragraphs: vec![format!(
                "Qualcuno, probabilmente lei, ha segnalato di aver dimenticato la password per {organisation}. Con questo collegamento e il secondo fattore ne imposta una nuova. È valido per {life}."
            )],
            action: CallToAction::Link { label: "Imposta una password".into(), url },
            notes: vec![
                "Se non è stato lei, non usi questo collegamento: la sua password resta invariata. Non lo condivida con nessuno."
                    .into(),
            ],
        }
    }

    fn no_password_link(&self, organisation: &str) -> Letter {
        Letter {
            subject: format!("Nuova password per {organisation}"),
            paragraphs: vec![
                format!(
                    "Qualcuno, probabilmente lei, ha segnalato di aver dimenticato la password per {organisation}. Nel suo caso non si può cambiare per e-mail: oltre a questa casella serve un secondo fattore, e nessuno dei suoi può essere usato per questo."
                ),
                format!(
                    "Si rivolga al suo referente presso {organisation}: un amministratore può darle una nuova password o aiutarla a ottenere un secondo fattore."
                ),
            ],
            action: CallToAction::None,
            notes: vec![
                "Se non è stato lei, non deve fare nulla: la sua password resta invariata.".into(),
            ],
        }
    }

    fn low_balance(&self, organisation: &str, low: LowBalance) -> Letter {
        let LowBalance {
            available,
            threshold,
        } = low;
        Letter {
            subject: format!("{organisation}: restano {available} verifiche dell’identità"),
            paragraphs: vec![
                format!("A {organisation} restano {available} verifiche dell’identità prepagate. Ha chiesto di essere avvisato sotto le {threshold}."),
                "Quando non ne resterà nessuna, non sarà più possibile inviare accordi che pongono domande sull’identità a un destinatario. Quelli già inviati non cambiano.".into(),
            ],
            action: CallToAction::None,
            notes: vec!["L’avviso arriva una volta ogni volta che il saldo scende sotto quel numero. Il numero e le persone da avvisare si cambiano nelle impostazioni.".into()],
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
            "1 tentativo".to_owned()
        } else {
            format!("{attempts} tentativi")
        };
        Letter {
            subject: format!("Annullato: {title}"),
            paragraphs: vec![
                format!("{who} non ha superato la verifica dell’identità per «{title}» dopo {times}. L’accordo è stato quindi annullato."),
                format!("«{title}» era stato inviato a nome di {organisation}."),
            ],
            action: CallToAction::None,
            notes: vec!["Nessun altro è stato avvisato. Il rapporto di audit dell’accordo contiene ogni passaggio. Per continuare, lo invii di nuovo.".into()],
        }
    }
}

/// What was changed.
fn sentence(changed: &Changed) -> String {
    match changed {
        Changed::AppEnrolled => {
            "È stata configurata un’app di autenticazione. Sostituisce quella precedente e i suoi codici di recupero sono nuovi."
                .into()
        }
        Changed::AppRemoved => "L’app di autenticazione e i suoi codici di recupero sono stati rimossi.".into(),
        Changed::AppReset => "Un amministratore ha rimosso la sua app di autenticazione e i relativi codici di recupero.".into(),
        Changed::RecoveryCodes => "Sono stati creati nuovi codici di recupero. Quelli precedenti non sono più validi.".into(),
        Changed::Phone(Some(to)) => format!("Gli SMS vanno ora a un altro numero: {to}"),
        Changed::Phone(None) => "Il numero di telefono è stato rimosso.".into(),
        Changed::Email(Some(to)) => format!("Le e-mail vanno ora a un altro indirizzo: {to}"),
        Changed::Email(None) => "L’indirizzo e-mail è stato rimosso.".into(),
        Changed::Username => "Il nome utente è stato modificato. Se non conosce quello nuovo, lo chieda al suo referente.".into(),
        Changed::Password => "È stata impostata una nuova password.".into(),
        Changed::SingleSignOn(true) => "Ora accede con un altro account del servizio di accesso della sua organizzazione.".into(),
        Changed::SingleSignOn(false) => "L’accesso tramite il servizio della sua organizzazione è stato disattivato.".into(),
        Changed::More => "Ci sono state altre modifiche.".into(),
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        ..=1 => "un minuto".into(),
        60 => "un'ora".into(),
        1440 => "un giorno".into(),
        minutes if minutes % 1440 == 0 => format!("{} giorni", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} ore", minutes / 60),
        minutes => format!("{minutes} minuti"),
    }
}
