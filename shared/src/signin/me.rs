//! The signed-in user, as they see themselves.

use serde::Serialize;
use utoipa::ToSchema;

use crate::account::Locale;
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::ids::{AccountId, UserId};
use crate::signin::access_token::Acr;
use crate::signin::signed_in::SignedIn;
use crate::signin::user::{Method, UserKind};

/// The signed-in user. Destinations are masked: a token that was stolen is not to tell them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct Response {
    /// The user's id.
    pub id: UserId,
    /// The account's id.
    pub account: AccountId,
    /// What the user signs in with.
    #[schema(example = "ann@example.com")]
    pub username: String,
    /// What the person is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ann Alder", nullable = false)]
    pub name: Option<String>,
    /// Staff or counterparty.
    pub kind: UserKind,
    /// The mail address, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "a••••••••@example.com", nullable = false)]
    pub email: Option<String>,
    /// Whether a code that was sent there was typed; where there is a mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub email_verified: Option<bool>,
    /// The phone number, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+1••••••••00", nullable = false)]
    pub phone: Option<String>,
    /// Whether a code that was sent there was typed; where there is a phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub phone_verified: Option<bool>,
    /// The language of messages to this user.
    pub locale: Locale,
    /// The group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "escrow", nullable = false)]
    pub group: Option<String>,
    /// The factors that the user has and the account has on.
    pub factors: Vec<Factor>,
    /// How far the proof goes.
    pub acr: Acr,
    /// What was proved, RFC 8176.
    #[schema(example = json!(["pwd", "otp", "sms", "mfa"]))]
    pub amr: Vec<String>,
    /// When the token ends, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:45:00Z", format = DateTime)]
    pub expires_at: String,
}

/// A factor that can be used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MyFactor)]
pub struct Factor {
    /// The method.
    pub method: Method,
    /// Where its codes go, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+1••••••••00", nullable = false)]
    pub destination: Option<String>,
}

impl Response {
    /// What `signed_in` sees.
    pub fn of(signed_in: SignedIn) -> Self {
        let SignedIn {
            claims,
            user,
            settings,
            ..
        } = signed_in;
        let usable = Method::ALL
            .into_iter()
            .filter(|method| user.can_use(*method, settings.second_factor.methods));
        let factors = usable
            .map(|method| Factor {
                method,
                destination: user.masked_destination(method),
            })
            .collect();
        Self {
            id: user.id,
            account: user.account,
            email: user.masked_destination(Method::Email),
            email_verified: user.email.as_ref().map(|_| user.email_verified),
            phone: user.masked_destination(Method::Sms),
            phone_verified: user.phone.as_ref().map(|_| user.phone_verified),
            username: user.username,
            name: user.name,
            kind: user.kind,
            locale: user.locale.unwrap_or(settings.locale),
            group: user.group,
            factors,
            acr: claims.acr,
            amr: claims.amr,
            expires_at: Timestamp::default()
                .plus(Span::seconds(claims.exp))
                .to_rfc3339(),
        }
    }
}
