//! English.

use super::Language;
use crate::kernel::clock::Span;
use crate::messaging::courier::code::CodeMail;
use crate::messaging::courier::letter::{CallToAction, Letter};
use crate::messaging::courier::message::{
    AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified,
};

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
        format!(
            "{organisation} sign-in code {code} (ref {reference}). Do not share it with anyone."
        )
    }

    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter {
        let (organisation, reference, minutes) = (mail.organisation, mail.reference, mail.minutes);
        Letter {
            subject: format!("Your sign-in code for {organisation} ({reference})"),
            paragraphs: vec![
                format!("You are signing in to {organisation}. Your code is good for {minutes} minutes and can be used once."),
                format!("Compare the reference with the one on the sign-in page: {reference}"),
            ],
            action: CallToAction::Code { label: "Your code:".into(), code: mail.code.clone() },
            notes: vec![
                format!("Do not share this code with anyone. {organisation} never asks for it by phone or mail."),
                "If you are not signing in, somebody may know your password: change it, and tell your contact there.".into(),
            ],
        }
    }

    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String {
        format!(
            "{organisation} confirmation code {code} (ref {reference}). Do not share it with anyone."
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
            subject: format!("Confirm this mail address for {organisation} ({reference})"),
            paragraphs: vec![
                format!(
                    "Somebody, probably you, said at {organisation} that this mail address is theirs. The code confirms it. It is good for {minutes} minutes and can be used once."
                ),
                format!("Compare the reference with the one on the page: {reference}"),
            ],
            action: CallToAction::Code {
                label: "Your code:".into(),
                code: code.clone(),
            },
            notes: vec![
                format!(
                    "Do not share this code with anyone. {organisation} never asks for it by phone or mail."
                ),
                "If it was not you, there is nothing to do: without the code nothing is sent here."
                    .into(),
            ],
        }
    }

    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("Sign in to {organisation}"),
            paragraphs: vec![format!(
                "With this link you sign in to {organisation}. It is good for {life} and for one sign-in. You will be asked for your second factor as well."
            )],
            action: CallToAction::Link { label: "Sign in".into(), url },
            notes: vec![
                "Do not share this link with anyone. If you did not expect it, leave it unused and tell your contact there."
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
            subject: format!("Your sign-in to {organisation} was changed"),
            paragraphs: changed.iter().map(sentence).collect(),
            action: CallToAction::None,
            notes: vec![format!(
                "If it was not you, tell your contact at {organisation} at once: somebody else may be signed in as you."
            )],
        }
    }

    fn changed_words(&self, changed: &Changed) -> String {
        let words = match changed {
            Changed::AppEnrolled => "authenticator app set up",
            Changed::AppRemoved => "authenticator app removed",
            Changed::AppReset => "authenticator app removed by an administrator",
            Changed::RecoveryCodes => "new recovery codes",
            Changed::Phone(Some(to)) => return format!("phone number now {to}"),
            Changed::Phone(None) => "phone number removed",
            Changed::Email(Some(_)) => "mail address changed",
            Changed::Email(None) => "mail address removed",
            Changed::Password => "new password",
            Changed::Username => "username changed",
            Changed::SingleSignOn(true) => "another account for single sign-on",
            Changed::SingleSignOn(false) => "single sign-on switched off",
            Changed::More => "and more",
        };
        words.into()
    }

    fn changed_text(&self, organisation: &str, words: &str) -> String {
        format!(
            "{organisation}Your sign-in was changed: {words}. If it was not you, tell your contact there at once."
        )
    }

    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url, life) = (link.organisation, link.url, span(link.good_for));
        Letter {
            subject: format!("{sender} asks you to sign {title}"),
            paragraphs: vec![
                format!("{sender} ({organisation}) has sent you {title} to see and sign. The link is yours alone and is good for {life}."),
                "Each time you open it before signing, you may be asked to prove who you are.".into(),
            ],
            action: CallToAction::Link { label: "Open the agreement".into(), url },
            notes: vec!["Do not forward this mail or share the link: it stands for you. If you did not expect it, leave it unused and ask the sender.".into()],
        }
    }

    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter {
        let (link, title, sender) = (mail.link, mail.title, mail.sender);
        let (organisation, url) = (link.organisation, link.url);
        Letter {
            subject: format!("Signed: {title}"),
            paragraphs: vec![format!(
                "All recipients have signed {title}, which {sender} ({organisation}) sent. The link leads to the signed agreement."
            )],
            action: CallToAction::Link {
                label: "View the signed agreement".into(),
                url,
            },
            notes: vec!["Do not forward this mail or share the link: it stands for you.".into()],
        }
    }

    fn password_link(&self, mail: LinkMail<'_>) -> Letter {
        let (organisation, url, life) = (mail.organisation, mail.url, span(mail.good_for));
        Letter {
            subject: format!("New password for {organisation}"),
            paragraphs: vec![format!(
                "Somebody, probably you, said that the password for {organisation} was forgotten. With this link, and your second factor, you set a new one. It is good for {life}."
            )],
            action: CallToAction::Link { label: "Set a new password".into(), url },
            notes: vec![
                "If it was not you, leave this link unused: your password stays as it is. Do not share the link with anyone."
                    .into(),
            ],
        }
    }

    fn no_password_link(&self, organisation: &str) -> Letter {
        Letter {
            subject: format!("New password for {organisation}"),
            paragraphs: vec![
                format!(
                    "Somebody, probably you, said that the password for {organisation} was forgotten. It cannot be set by mail for you: that takes a second factor besides this mailbox, and none of yours can be used for it."
                ),
                format!(
                    "Ask your contact at {organisation}: an administrator can give you a new password, or help you to a second factor."
                ),
            ],
            action: CallToAction::None,
            notes: vec![
                "If it was not you, there is nothing to do: your password stays as it is.".into(),
            ],
        }
    }

    fn low_balance(&self, organisation: &str, low: LowBalance) -> Letter {
        let LowBalance {
            available,
            threshold,
        } = low;
        Letter {
            subject: format!("{organisation}: {available} identity verifications left"),
            paragraphs: vec![
                format!("{organisation} has {available} prepaid identity verifications left. You asked to be told below {threshold}."),
                "When none are left, agreements that ask a recipient to answer identity questions can no longer be sent. Those that were sent are not affected.".into(),
            ],
            action: CallToAction::None,
            notes: vec!["You are told once each time the balance gets below that number. It can be changed in the settings, and so can who is told.".into()],
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
            "1 attempt".to_owned()
        } else {
            format!("{attempts} attempts")
        };
        Letter {
            subject: format!("Cancelled: {title}"),
            paragraphs: vec![
                format!(
                    "{who} did not pass the identity check for “{title}”, after {times}. The agreement was therefore cancelled."
                ),
                format!("“{title}” was sent in the name of {organisation}."),
            ],
            action: CallToAction::None,
            notes: vec![
                "Nobody else was told. The audit report of the agreement has every step. To go on, send it again.".into(),
            ],
        }
    }
}

/// What was changed.
fn sentence(changed: &Changed) -> String {
    match changed {
        Changed::AppEnrolled => {
            "An authenticator app was set up. It takes the place of an earlier one, and its recovery codes are new.".into()
        }
        Changed::AppRemoved => "The authenticator app and its recovery codes were removed.".into(),
        Changed::AppReset => "An administrator removed your authenticator app and its recovery codes.".into(),
        Changed::RecoveryCodes => "New recovery codes were made. Those before are no longer good.".into(),
        Changed::Phone(Some(to)) => format!("Texts now go to another phone number: {to}"),
        Changed::Phone(None) => "The phone number was removed.".into(),
        Changed::Email(Some(to)) => format!("Mails now go to another address: {to}"),
        Changed::Email(None) => "The mail address was removed.".into(),
        Changed::Username => "The username was changed. If you do not know the new one, ask your contact there.".into(),
        Changed::Password => "A new password was set.".into(),
        Changed::SingleSignOn(true) => "You now sign in with another account at your organisation’s sign-in service.".into(),
        Changed::SingleSignOn(false) => "Signing in with your organisation’s sign-in service was switched off.".into(),
        Changed::More => "There were further changes.".into(),
    }
}

/// How long something is good, in words.
fn span(span: Span) -> String {
    match span.as_secs() / 60 {
        ..=1 => "a minute".into(),
        60 => "an hour".into(),
        1440 => "a day".into(),
        minutes if minutes % 1440 == 0 => format!("{} days", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}
