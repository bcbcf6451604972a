//! What messages say, one file a language. A message that a language has no words for does not
//! compile.

mod de;
mod en;
mod es;
mod fr;
mod it;

use super::code::CodeMail;
use super::letter::Letter;
use super::message::{AgreementMail, ChangeMail, Changed, LinkMail, LowBalance, NotVerified};
use crate::account::Locale;

/// The words of one language.
///
/// An SMS stays within the basic set of GSM 03.38: one letter outside it makes an SMS twice as
/// long.
pub trait Language: Sync {
    /// RFC 5646.
    fn tag(&self) -> &'static str;
    /// What stands in an SMS that has no room for who sends it: the line with the host says it
    /// alone.
    fn nobody(&self) -> &'static str;
    /// A code by SMS: the line before the one that binds it to its origin.
    fn code_text(&self, organisation: &str, code: &str, reference: &str) -> String;
    /// A code by e-mail.
    fn code_mail(&self, mail: &CodeMail<'_>) -> Letter;
    /// A code by SMS that proves a new phone: the line before the one that binds it to its origin.
    fn contact_text(&self, organisation: &str, code: &str, reference: &str) -> String;
    /// A code by e-mail that proves a new mail address.
    fn contact_mail(&self, mail: &CodeMail<'_>) -> Letter;
    /// A link to sign in with.
    fn sign_in_link(&self, mail: LinkMail<'_>) -> Letter;
    /// How the person signs in was changed.
    fn changed(&self, mail: &ChangeMail<'_>) -> Letter;
    /// How the person signs in was changed, by SMS: what was, in few words.
    fn changed_words(&self, changed: &Changed) -> String;
    /// The text around such words: whom to tell.
    fn changed_text(&self, organisation: &str, words: &str) -> String;
    /// A link to an agreement that is to be signed.
    fn agreement_link(&self, mail: AgreementMail<'_>) -> Letter;
    /// A link to the signed agreement.
    fn agreement_signed(&self, mail: AgreementMail<'_>) -> Letter;
    /// A link to a new password.
    fn password_link(&self, mail: LinkMail<'_>) -> Letter;
    /// A link to a new password would lead nowhere: whom to ask.
    fn no_password_link(&self, organisation: &str) -> Letter;
    /// The account is running out of prepaid transactions.
    fn low_balance(&self, organisation: &str, low: LowBalance) -> Letter;
    /// A recipient could not prove who they are: to the sender of the agreement, which was
    /// cancelled.
    fn not_verified(&self, organisation: &str, mail: &NotVerified) -> Letter;
}

/// The words of `locale`.
pub fn of(locale: Locale) -> &'static dyn Language {
    match locale {
        Locale::En => &en::English,
        Locale::Fr => &fr::French,
        Locale::De => &de::German,
        Locale::Es => &es::Spanish,
        Locale::It => &it::Italian,
    }
}

/// All languages.
#[cfg(test)]
pub const ALL: [Locale; 5] = [Locale::En, Locale::Fr, Locale::De, Locale::Es, Locale::It];
