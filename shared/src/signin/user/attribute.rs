//! The attributes of a user's item, each named once.

use super::Method;
use crate::store::dynamo::Path;

pub(in crate::signin) const APP: Path = Path::new("app");
pub(in crate::signin) const DISABLED: Path = Path::new("disabled");
pub(in crate::signin) const ENROLMENT: Path = Path::new("enrolment");
pub(in crate::signin) const HAD_FACTOR: Path = Path::new("had_factor");
pub(in crate::signin) const KNOWN: Path = Path::new("known");
pub(in crate::signin) const LINK_GENERATION: Path = Path::new("link_generation");
pub(in crate::signin) const PASSWORD_VERSION: Path = Path::new("password_version");
pub(in crate::signin) const RECOVERY: Path = Path::new("recovery");
pub(in crate::signin) const REFUSALS: Path = Path::new("refusals");
pub(in crate::signin) const RESET_AT: Path = Path::new("reset_at");
pub(in crate::signin) const SENDS: Path = Path::new("sends");
pub(in crate::signin) const SPARED: Path = Path::new("spared");
pub(in crate::signin) const SSO_ISSUER: Path = Path::new("sso_issuer");
pub(in crate::signin) const TOKEN_EPOCH: Path = Path::new("token_epoch");
pub(in crate::signin) const VERSION: Path = Path::new("version");

pub(super) const PHONE_COUNTRY: Path = Path::new("phone_country");

const EMAIL: Path = Path::new("email");
const EMAIL_CHANGES: Path = Path::new("email_changes");
const EMAIL_SINCE: Path = Path::new("email_since");
const EMAIL_VERIFIED: Path = Path::new("email_verified");
const GROUP: Path = Path::new("group");
const KIND: Path = Path::new("kind");
const LOCALE: Path = Path::new("locale");
const NAME: Path = Path::new("name");
const PENDING_EMAIL: Path = Path::new("pending_email");
const PENDING_SMS: Path = Path::new("pending_sms");
const PHONE: Path = Path::new("phone");
const PHONE_CHANGES: Path = Path::new("phone_changes");
const PHONE_SINCE: Path = Path::new("phone_since");
const PHONE_VERIFIED: Path = Path::new("phone_verified");
const SSO_SUBJECT: Path = Path::new("sso_subject");
const USERNAME: Path = Path::new("username");

/// What a patch may change, and the field of the patch that each belongs to.
pub(super) const PATCHED: [(Path, &str); 22] = [
    (USERNAME, "/username"),
    (NAME, "/name"),
    (KIND, "/kind"),
    (EMAIL, "/email"),
    (EMAIL_SINCE, "/email"),
    (EMAIL_VERIFIED, "/email"),
    (PENDING_EMAIL, "/email"),
    (PHONE, "/phone"),
    (PHONE_COUNTRY, "/phone"),
    (PHONE_SINCE, "/phone"),
    (PHONE_VERIFIED, "/phone"),
    (PENDING_SMS, "/phone"),
    (HAD_FACTOR, "/phone"),
    (GROUP, "/group"),
    (LOCALE, "/locale"),
    (SSO_SUBJECT, "/sso_subject"),
    (SSO_ISSUER, "/sso_subject"),
    (DISABLED, "/disabled"),
    (TOKEN_EPOCH, ""),
    (SPARED, ""),
    (PASSWORD_VERSION, ""),
    (VERSION, ""),
];

/// The attributes of one of the two contacts of a user.
pub(in crate::signin) struct Contact {
    /// Where codes go.
    pub value: Path,
    /// Since when, where it was another before.
    pub since: Path,
    /// Whether a code that went there was typed.
    pub verified: Path,
    /// When the user changed it recently.
    pub changes: Path,
    /// What waits for its code.
    pub pending: Path,
}

/// The attributes of the contact that codes of `method` go to: the phone's for those by SMS, and
/// the mailbox's otherwise.
pub(in crate::signin) const fn contact(method: Method) -> Contact {
    if matches!(method, Method::Sms) {
        Contact {
            value: PHONE,
            since: PHONE_SINCE,
            verified: PHONE_VERIFIED,
            changes: PHONE_CHANGES,
            pending: PENDING_SMS,
        }
    } else {
        Contact {
            value: EMAIL,
            since: EMAIL_SINCE,
            verified: EMAIL_VERIFIED,
            changes: EMAIL_CHANGES,
            pending: PENDING_EMAIL,
        }
    }
}
