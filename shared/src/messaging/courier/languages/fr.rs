//! French.

use super::Language;
use crate::kernel::clock::Span;
use crate::messaging::courier::code::CodeMail;
use crate::messaging::courier::letter::{CallToAction, Letter};
use crate::messaging::courier::message::{
    AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified,
};

/// French.
pub struct French;

impl Language for French {
    fn tag(&self) -> &'static str {
        "fr"
    }

    fn nobody(&self) -> &'static str {
        "Votre"
    }

    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation} : code de connexion {code} (réf. {reference}). Ne le communiquez à personne."
        )
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let (organisation, reference, minutes) = (mail.organisation, mail.reference, mail.minutes);
        Letter {
            subject: format!("Votre code de connexion à {organisation} ({reference})"),
            paragraphs: vec![
                format!("Vous vous connectez à {organisation}. Votre code est valable {minutes} minutes et ne sert qu’une fois."),
                format!("Comparez la référence avec celle de la page de connexion : {reference}"),
            ],
            action: CallToAction::Code { label: "Votre code :".into(), code: mail.code.clone() },
            notes: vec![
                format!("Ne communiquez ce code à personne. {organisation} ne le demande jamais par téléphone ni par e-mail."),
                "Si vous n’êtes pas en train de vous connecter, quelqu’un connaît peut-être votre mot de passe : changez-le et prévenez votre interlocuteur.".into(),
            ],
        }
    }

    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation} : code de confirmation {code} (réf. {reference}). Ne le communiquez à personne."
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
            subject: format!("Confirmez cette adresse e-mail pour {organisation} ({reference})"),
            paragraphs: vec![
                format!(
                    "Quelqu’un, sans doute vous, a indiqué chez {organisation} que cette adresse e-mail est la sienne. Le code la confirme. Il est valable {minutes} minutes et ne sert qu’une fois."
                ),
                format!("Comparez la référence avec celle de la page : {reference}"),
            ],
            action: CallToAction::Code { label: "Votre code :".into(), code: code.clone() },
            notes: vec![
                format!("Ne communiquez ce code à personne. {organisation} ne le demande jamais par téléphone ni par e-mail."),
                "Si ce n’était pas vous, il n’y a rien à faire : sans le code, rien n’est envoyé ici.".into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Connexion à {organisation}"),
            paragraphs: vec![
                format!("Ce lien vous connecte à {organisation}. Il est valable {life} et pour une seule connexion. Votre second facteur vous sera aussi demandé."),
            ],
            action: CallToAction::Link { label: "Se connecter".into(), url },
            notes: vec![
                "Ne communiquez ce lien à personne. Si vous ne l’attendiez pas, ne l’utilisez pas et prévenez votre interlocuteur.".into(),
            ],
        }
    }

    fn changed(&self, mail: &ChangeMail<'_>) -> Letter {
        let ChangeMail {
            organisation,
            changed,
        } = *mail;
        Letter {
            subject: format!("Votre connexion à {organisation} a été modifiée"),
            paragraphs: changed.iter().map(sentence).collect(),
            action: CallToAction::None,
            notes: vec![format!(
                "Si ce n’était pas vous, prévenez immédiatement votre contact chez {organisation} : quelqu’un d’autre est peut-être connecté à votre place."
            )],
        }
    }

    fn changed_words(&self, changed: &Changed) -> String {
        let words = match changed {
            Changed::AppEnrolled => "application d'authentification configurée",
            Changed::AppRemoved => "application d'authentification supprimée",
            Changed::AppReset => "application supprimée par un administrateur",
            Changed::RecoveryCodes => "nouveaux codes de secours",
            Changed::Phone(Some(to)) => return format!("téléphone désormais {to}"),
            Changed::Phone(None) => "téléphone supprimé",
            Changed::Email(Some(_)) => "adresse e-mail modifiée",
            Changed::Email(None) => "adresse e-mail supprimée",
            Changed::Password => "nouveau mot de passe",
            Changed::Username => "nom d'utilisateur modifié",
            Changed::SingleSignOn(true) => "autre compte de connexion de votre organisation",
            Changed::SingleSignOn(false) => "connexion par votre organisation désactivée",
            Changed::More => "et plus encore",
        };
        words.into()
    }

    fn changed_text(&self, organisation: &str, words: &str) -> String {
        format!(
            "{organisation}Votre connexion a été modifiée : {words}. Ce n'était pas vous ? Prévenez votre contact."
        )
    }

    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url, life) = (link.organisation, link.url, span(link.good_for));
        Letter {
            subject: format!("{sender} vous demande de signer {title}"),
            paragraphs: vec![
                format!("{sender} ({organisation}) vous a envoyé {title} pour consultation et signature. Ce lien n’appartient qu’à vous et est valable {life}."),
                "Chaque fois que vous l’ouvrez avant de signer, une preuve de votre identité peut vous être demandée.".into(),
            ],
            action: CallToAction::Link { label: "Ouvrir l’accord".into(), url },
            notes: vec!["Ne transférez pas cet e-mail et ne communiquez pas ce lien : il vaut pour vous. Si vous ne l’attendiez pas, ne l’utilisez pas et interrogez l’expéditeur.".into()],
        }
    }

    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url) = (link.organisation, link.url);
        Letter {
            subject: format!("Signé : {title}"),
            paragraphs: vec![format!(
                "Tous les destinataires ont signé {title}, envoyé par {sender} ({organisation}). Le lien mène à l’accord signé."
            )],
            action: CallToAction::Link {
                label: "Consulter l’accord signé".into(),
                url,
            },
            notes: vec![
                "Ne transférez pas cet e-mail et ne communiquez pas ce lien : il vaut pour vous."
                    .into(),
            ],
        }
    }

    fn password_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Nouveau mot de passe pour {organisation}"),
            paragraphs: vec![format!("Quelqu’un, sans doute vous, a signalé l’oubli du mot de passe pour {organisation}. Avec ce lien et votre second facteur, vous en choisissez un nouveau. Il est valable {life}.")],
            action: CallToAction::Link { label: "Choisir un mot de passe".into(), url },
            notes: vec!["Si ce n’était pas vous, n’utilisez pas ce lien : votre mot de passe reste inchangé. Ne communiquez ce lien à personne.".into()],
        }
    }

    fn no_password_link(&self, organisation: &str) -> Letter {
        Letter {
            subject: format!("Nouveau mot de passe pour {organisation}"),
            paragraphs: vec![
                format!(
                    "Quelqu’un, sans doute vous, a signalé l’oubli du mot de passe pour {organisation}. Il ne peut pas être changé par e-mail dans votre cas : il y faut un second facteur en plus de cette boîte aux lettres, et aucun des vôtres ne peut servir à cela."
                ),
                format!(
                    "Adressez-vous à votre interlocuteur chez {organisation} : un administrateur peut vous donner un nouveau mot de passe ou vous aider à obtenir un second facteur."
                ),
            ],
            action: CallToAction::None,
            notes: vec!["Si ce n’était pas vous, vous n’avez rien à faire : votre mot de passe reste inchangé.".into()],
        }
    }

    fn low_balance(&self, organisation: &str, low: LowBalance) -> Letter {
        let LowBalance {
            available,
            threshold,
        } = low;
        Letter {
            subject: format!("{organisation} : il reste {available} vérifications d’identité"),
            paragraphs: vec![
                format!("Il reste à {organisation} {available} vérifications d’identité prépayées. Vous avez demandé à être averti en dessous de {threshold}."),
                "Quand il n’y en aura plus, il ne sera plus possible d’envoyer d’accords qui posent des questions d’identité à un destinataire. Ceux qui ont été envoyés ne sont pas touchés.".into(),
            ],
            action: CallToAction::None,
            notes: vec!["Vous êtes averti une fois, chaque fois que le solde passe sous ce nombre. Ce nombre et les personnes averties se changent dans les paramètres.".into()],
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
            "1 tentative".to_owned()
        } else {
            format!("{attempts} tentatives")
        };
        Letter {
            subject: format!("Annulé : {title}"),
            paragraphs: vec![
                format!("{who} n’a pas passé la vérification d’identité pour « {title} », après {times}. L’accord a donc été annulé."),
                format!("« {title} » avait été envoyé au nom de {organisation}."),
            ],
            action: CallToAction::None,
            notes: vec!["Personne d’autre n’a été averti. Le rapport d’audit de l’accord contient chaque étape. Pour continuer, envoyez-le à nouveau.".into()],
        }
    }
}

/// What was changed.
fn sentence(changed: &Changed) -> String {
    match changed {
        Changed::AppEnrolled => "Une application d’authentification a été configurée. Elle remplace la précédente, et ses codes de secours sont nouveaux.".into(),
        Changed::AppRemoved => "L’application d’authentification et ses codes de secours ont été supprimés.".into(),
        Changed::AppReset => "Un administrateur a supprimé votre application d’authentification et ses codes de secours.".into(),
        Changed::RecoveryCodes => "De nouveaux codes de secours ont été créés. Les précédents ne sont plus valables.".into(),
        Changed::Phone(Some(to)) => format!("Les SMS sont désormais envoyés à un autre numéro : {to}"),
        Changed::Phone(None) => "Le numéro de téléphone a été supprimé.".into(),
        Changed::Email(Some(to)) => format!("Les e-mails sont désormais envoyés à une autre adresse : {to}"),
        Changed::Email(None) => "L’adresse e-mail a été supprimée.".into(),
        Changed::Username => "Le nom d’utilisateur a été modifié. Si vous ne connaissez pas le nouveau, demandez-le à votre contact.".into(),
        Changed::Password => "Un nouveau mot de passe a été défini.".into(),
        Changed::SingleSignOn(true) => "Vous vous connectez désormais avec un autre compte du service de connexion de votre organisation.".into(),
        Changed::SingleSignOn(false) => "La connexion par le service de votre organisation a été désactivée.".into(),
        Changed::More => "Il y a eu d’autres changements.".into(),
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        ..=1 => "une minute".into(),
        60 => "une heure".into(),
        1440 => "un jour".into(),
        minutes if minutes % 1440 == 0 => format!("{} jours", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} heures", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}
