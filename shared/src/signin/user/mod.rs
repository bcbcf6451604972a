//! Somebody who signs in: profile, factors, and the challenges that are open.
//!
//! All of it stands on one item, because an attempt at a code must count on the challenge and on
//! the factor in one write, and look at both, and at whether the user is disabled.

mod app;
pub mod attempts;
pub(in crate::signin) mod attribute;
pub mod change;
mod common_passwords;
mod contacts;
pub mod credential;
pub mod factor;
pub mod fields;
pub mod forgotten;
pub mod known;
mod lifecycle;
pub mod new_password;
pub mod password;
pub mod pending;
pub mod refused;
mod remembered;
pub mod sso_subject;
pub mod subject;
mod sweep;
mod tokens;
pub mod username;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::{Locale, Methods};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::contact;
use crate::kernel::ids::{AccountId, UserId};
use crate::signin::challenge::Challenge;
use crate::store::audit::{Chain, Event, Head};
use crate::store::dynamo::{Condition, Failure, Key, Stored, Update, Write, document, keys};
use crate::store::rate_limit::Allowed;
use crate::{signin::recovery, signin::reserved, signin::totp};
use known::{Known, Origin};
use pending::PendingContact;
use refused::RefusalReport;

pub use factor::{FACTOR_BACKOFF, Factor};
pub use sweep::Sweep;

/// How long an administrator's reset lets a user set up a new app with less than a second factor.
pub const RESET_LIFETIME: Span = Span::days(7);

/// Staff of the organisation, or a counterparty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserKind {
    /// Staff of the organisation.
    Internal,
    /// A counterparty: always proves a second factor.
    External,
}

/// What a user can prove with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A code by SMS.
    Sms,
    /// A code by e-mail.
    Email,
    /// An authenticator app.
    Totp,
    /// A recovery code.
    RecoveryCode,
}

impl Method {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Sms, Self::Totp, Self::Email, Self::RecoveryCode];

    /// The name in requests, answers and items.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
        }
    }

    /// Whether the account has it on. Recovery codes stand in for an app.
    pub const fn is_on(self, methods: Methods) -> bool {
        match self {
            Self::Sms => methods.sms,
            Self::Email => methods.email,
            Self::Totp | Self::RecoveryCode => methods.totp,
        }
    }
}

/// A user as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and stored as one"
)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its account.
    pub account: AccountId,
    /// What it signs in with, in canonical form.
    pub username: String,
    /// What the person is called, if the account says so: shown to people, and decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Staff or counterparty.
    pub kind: UserKind,
    /// The group, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The mail address, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The phone number in E.164, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The phone's country, ISO 3166-1 alpha-2: +1 alone is 25 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_country: Option<String>,
    /// Since when it is this number, where it was not from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_since: Option<Timestamp>,
    /// Since when it is this mail address, where it was not from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_since: Option<Timestamp>,
    /// Whether a code that was sent to the phone was typed. What an administrator enters counts at
    /// once, and is not verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phone_verified: bool,
    /// Whether a code that was sent to the mail address was typed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
    /// The phone number that waits for its code, if there is one: it counts for nothing until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_sms: Option<PendingContact>,
    /// The mail address that waits for its code, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_email: Option<PendingContact>,
    /// When the user changed the own phone recently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phone_changes: Vec<Timestamp>,
    /// When the user changed the own mail address recently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_changes: Vec<Timestamp>,
    /// When codes were sent recently, wherever they went.
    #[serde(default, skip_serializing_if = "reserved::Log::is_empty")]
    pub sends: reserved::Log,
    /// The language of messages, where it is not the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// `sub` of ID tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sso_subject: Option<String>,
    /// The issuer that it was given for: none where the account had none then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sso_issuer: Option<String>,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Counts the changes of the profile: the `ETag`.
    pub version: u64,
    /// Whether a factor was ever proved or set up: from then on enrolment is no way in.
    #[serde(default)]
    pub had_factor: bool,
    /// When an administrator reset the factors, if none was proved since: a new one may be set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<Timestamp>,
    /// Counts what has ended all proofs before: an access token of an earlier generation lets
    /// nobody in. A count, and no time: what was proved in the very second of a reset is told from
    /// what was proved after it.
    #[serde(default)]
    pub token_epoch: u64,
    /// The `jti` of the one access token that the user's own change has spared: the one that it was
    /// made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared: Option<String>,
    /// Counts the passwords: one that was right when it was compared may have been replaced since.
    #[serde(default)]
    pub password_version: u64,
    /// The authenticator app, if one is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<totp::App>,
    /// The app that is to be confirmed, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<totp::Enrolment>,
    /// The recovery codes, if any were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<recovery::Codes>,
    /// The factors' counts, by method.
    #[serde(default)]
    pub factors: BTreeMap<String, Factor>,
    /// The open challenges, and those lately closed, by the fingerprint of their token.
    #[serde(default)]
    pub challenges: BTreeMap<String, Challenge>,
    /// Counts what has ended all links that were mailed before: one of an earlier generation opens
    /// nothing.
    #[serde(default)]
    pub link_generation: u64,
    /// The client IPs that the user is known at.
    #[serde(default)]
    pub known: Known,
    /// What was told of passwords that were refused without a comparison.
    #[serde(default, skip_serializing_if = "RefusalReport::is_nothing")]
    pub refusals: RefusalReport,
    /// The head of the user's audit chain.
    #[serde(flatten)]
    pub head: Head,
}

impl Stored for User {
    fn key(&self) -> Key {
        keys::user(self.id)
    }
}

impl User {
    /// The count of a factor.
    pub fn factor(&self, method: Method) -> Factor {
        self.factors.get(method.name()).cloned().unwrap_or_default()
    }

    /// Where a code of `method` goes, in full.
    pub fn destination(&self, method: Method) -> Option<&str> {
        match method {
            Method::Sms => self.phone.as_deref(),
            Method::Email => self.email.as_deref(),
            Method::Totp | Method::RecoveryCode => None,
        }
    }

    /// Where a code of `method` goes, as it is shown.
    pub fn masked_destination(&self, method: Method) -> Option<String> {
        match method {
            Method::Sms => self.phone.as_deref().map(contact::mask_phone),
            Method::Email => self.email.as_deref().map(contact::mask_email),
            Method::Totp | Method::RecoveryCode => None,
        }
    }

    /// Whether a code of `method` that went where the next one goes was typed.
    pub const fn is_verified(&self, method: Method) -> bool {
        match method {
            Method::Sms => self.phone_verified,
            Method::Email => self.email_verified,
            Method::Totp | Method::RecoveryCode => false,
        }
    }

    /// Whether this user has `method`, wherever it is on.
    pub fn has(&self, method: Method) -> bool {
        match method {
            Method::Sms | Method::Email => self.destination(method).is_some(),
            Method::Totp => self.app.is_some(),
            Method::RecoveryCode => self
                .recovery
                .as_ref()
                .is_some_and(|codes| codes.remaining() > 0),
        }
    }

    /// Whether this user has `method` and the account has it on.
    pub fn can_use(&self, method: Method, methods: Methods) -> bool {
        self.has(method) && method.is_on(methods)
    }

    /// The methods that can be offered to an origin: a factor that takes no code of it until
    /// somebody unlocks it is none.
    pub fn offered_methods(&self, methods: Methods, origin: Origin, now: Timestamp) -> Vec<Method> {
        let takes_codes =
            |method: Method| self.factor(method).allowed(origin, now) != Allowed::Never;
        let offered = |method: &Method| self.can_use(*method, methods) && takes_codes(*method);
        Method::ALL.into_iter().filter(offered).collect()
    }

    /// Whether the first factor alone lets this user set up `method`: never as a way round a factor
    /// that exists.
    ///
    /// Who never had one may; a mail address is one where codes go to it. After an administrator's
    /// reset it takes a mailed link, or, for who has no mail address, what the first factor
    /// otherwise is; a phone that no code goes to then stands in nobody's way. A reset that nobody
    /// made use of is over after [`RESET_LIFETIME`]: what it lets in is less than what guards
    /// everybody else.
    pub fn may_enrol(
        &self,
        method: Method,
        methods: Methods,
        by_link: bool,
        now: Timestamp,
    ) -> bool {
        let is_recent = |at: Timestamp| now < at.plus(RESET_LIFETIME);
        let reset = self.reset_at.is_some_and(is_recent);
        let kept_phone = self.phone.is_some() && !reset;
        let can_use = |method: &Method| self.can_use(*method, methods);
        let has_one = kept_phone || self.app.is_some() || Method::ALL.iter().any(can_use);
        let was_reset = reset && (by_link || self.email.is_none());
        method.is_on(methods) && !has_one && (!self.had_factor || was_reset)
    }

    /// Whether `method` is the last factor that an external user can sign in with: without it there
    /// is no way in. Recovery codes go with the app that they stand in for.
    pub fn is_last(&self, method: Method, methods: Methods) -> bool {
        let others = [Method::Sms, Method::Totp, Method::Email]
            .into_iter()
            .filter(|other| *other != method);
        let left = others.into_iter().any(|other| self.can_use(other, methods));
        self.kind == UserKind::External && self.can_use(method, methods) && !left
    }

    /// The writes that change this user, as `update` of their item does, and tell of it.
    pub fn change(
        &self,
        update: Update,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.account, self.id, &self.head);
        events
            .into_iter()
            .try_for_each(|event| chain.append(event, now))?;
        let update = chain.advance(update.when(Condition::item_exists()));
        let mut writes = vec![update.into()];
        writes.extend(chain.writes()?);
        Ok(writes)
    }

    /// Since when this user has `method`, if at all.
    pub fn enrolled_at(&self, method: Method) -> Option<Timestamp> {
        match method {
            Method::Sms => self
                .phone
                .as_ref()
                .map(|_| self.phone_since.unwrap_or(self.created_at)),
            Method::Email => self
                .email
                .as_ref()
                .map(|_| self.email_since.unwrap_or(self.created_at)),
            Method::Totp => self.app.as_ref().map(|app| app.enrolled_at),
            Method::RecoveryCode => self.recovery.as_ref().map(|codes| codes.made_at),
        }
    }

    /// An update of this user's item that changes nothing yet.
    pub fn touch(&self) -> Update {
        Update::of(self.key())
    }

    /// That the user is not disabled.
    pub fn is_enabled() -> Condition {
        attribute::DISABLED.is(false)
    }

    /// Adds to an update of a user's item that they have had a factor: from now on enrolment is no
    /// way in.
    #[must_use]
    pub fn keep_had_factor(update: Update) -> Update {
        update.set(attribute::HAD_FACTOR, true)
    }

    /// Adds to an update of this user's item that these are the codes which were sent recently.
    pub fn count_sends(&self, update: Update, sends: &reserved::Log) -> Result<Update, Failure> {
        Ok(update.set(attribute::SENDS, document(sends)?))
    }

    /// Whether `contact` is another than the one that codes of `method` go to. The one that an
    /// administrator has entered is only proved: nothing is changed by it.
    pub fn is_another(&self, method: Method, contact: &str) -> bool {
        self.destination(method) != Some(contact)
    }
}
