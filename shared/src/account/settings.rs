//! An account's settings, and their defaults.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// When a second factor is asked for, and which there are.
    pub second_factor: SecondFactor,
    /// Networks (CIDR) from which internal users need no second factor: at most 150, no wider than
    /// /16 or /32. Behind the prefix all bits are zero: `203.0.113.0/24`, and not `203.0.113.7/24`,
    /// which may be meant as one address. An address alone is that address.
    #[schema(example = json!(["203.0.113.0/24"]))]
    pub ip_allowlist: Vec<String>,
    /// The issuer of ID tokens that are taken for a password.
    pub sso: Option<Sso>,
    /// Knowledge-based authentication.
    pub kba: Kba,
    /// Web origins whose pages may read answers (CORS), https, or http on this machine; the first
    /// is named in SMS. At most 20.
    #[schema(example = json!(["https://portal.example"]))]
    pub origins: Vec<String>,
    /// One-time links.
    pub links: Links,
    /// The quota of prepaid transactions.
    pub quota: Quota,
    /// Mail addresses that are told of the account's affairs.
    pub contacts: Vec<String>,
    /// The language of messages, where the user has none.
    pub locale: Locale,
}

/// When a second factor is asked for, and which there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// Whether internal users need one outside the allowlist. External users always do.
    pub internal_required: bool,
    /// Which may be used. At least one stays on.
    pub methods: Methods,
}

/// Which second factors may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Methods {
    /// A code by SMS.
    pub sms: bool,
    /// An authenticator app.
    pub totp: bool,
    /// A code by e-mail: weaker than the others, and off unless the account wants it.
    pub email: bool,
}

impl Methods {
    /// Whether any is on.
    pub const fn any(self) -> bool {
        self.sms || self.totp || self.email
    }
}

/// The issuer of ID tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sso {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

/// Knowledge-based authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kba {
    /// Whether senders may choose it. Needs plan `business` or `enterprise`.
    pub enabled: bool,
    /// After so many failures the agreement is cancelled: 1 to 10, or null for no limit.
    pub max_attempts: Option<u8>,
    /// Whether the sender has to give the recipient's name.
    pub require_recipient_name: bool,
    /// Whether viewing a completed agreement asks again.
    pub on_view_after_signing: bool,
    /// How many questions are asked.
    pub difficulty: Difficulty,
}

/// How many questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// Three questions.
    Default,
    /// Four questions.
    Hard,
}

/// One-time links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Where a link may lead to.
    pub redirect_uris: Vec<String>,
}

/// The quota of prepaid transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Below so many the contacts are told.
    pub low_balance: u32,
}

/// A language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "ISO 639-1")]
pub enum Locale {
    En,
    Fr,
    De,
    Es,
    It,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            second_factor: SecondFactor {
                internal_required: true,
                methods: Methods {
                    sms: true,
                    totp: true,
                    email: false,
                },
            },
            ip_allowlist: Vec::new(),
            sso: None,
            kba: Kba {
                enabled: false,
                max_attempts: Some(3),
                require_recipient_name: false,
                on_view_after_signing: false,
                difficulty: Difficulty::Default,
            },
            origins: Vec::new(),
            links: Links {
                redirect_uris: Vec::new(),
            },
            quota: Quota { low_balance: 10 },
            contacts: Vec::new(),
            locale: Locale::En,
        }
    }
}
