//! Access tokens: JWTs (RS256) that say who proved themselves, and how.
//!
//! They are read with `jsonwebtoken`. They are signed with aws-lc directly: the library would parse
//! the private key anew for every signature, and checking it costs more than signing.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, AgreementId, RecipientId, UserId};
use crate::kernel::keyring::{Keyring, KeyringError, PublicKey};
use crate::kernel::secret::{self, Secret};
use crate::signin::challenge::PrimaryFactor;
use crate::signin::user::{Method, User, UserKind};

/// How long a token is good.
pub const LIFETIME: Span = Span::minutes(15);
/// How long after a second factor was proved it is fresh enough to change factors with.
pub const FRESH: Span = Span::minutes(5);
/// RFC 9068's type: an ID token, or a token of another purpose, is not taken for one.
const TYPE: &str = "at+jwt";

/// How somebody proved themselves, as `acr` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acr {
    /// One factor, where the account asks for no second.
    SingleFactor,
    /// One factor, from a network of the allowlist.
    AllowlistedNetwork,
    /// Two, of which the second was a code by e-mail.
    TwoFactorEmail,
    /// Two.
    TwoFactor,
    /// A recipient of an agreement answered questions about themselves.
    Kba,
}

impl Acr {
    /// All of them, as discovery tells them.
    pub const ALL: [Self; 5] = [
        Self::SingleFactor,
        Self::AllowlistedNetwork,
        Self::TwoFactorEmail,
        Self::TwoFactor,
        Self::Kba,
    ];
}

/// What was proved, when.
#[derive(Clone, Debug)]
pub struct Proof {
    /// RFC 8176.
    pub amr: Vec<&'static str>,
    /// How far it goes.
    pub acr: Acr,
    /// When the person last proved something.
    pub auth_time: Timestamp,
}

impl Proof {
    /// A password alone.
    pub fn password(acr: Acr, now: Timestamp) -> Self {
        Self {
            amr: vec!["pwd"],
            acr,
            auth_time: now,
        }
    }

    /// The first factor of a challenge, then `method`.
    pub fn of(primary: &PrimaryFactor, method: Method, now: Timestamp) -> Self {
        match primary {
            PrimaryFactor::Password => Self::password_then(method, now),
            PrimaryFactor::Link(_) => Self::link_then(method, now),
            PrimaryFactor::IdToken { .. } => Self::id_token_then(method, now),
        }
    }

    /// An ID token alone. RFC 8176 has no word for what another issuer vouches for, so `amr` says
    /// nothing of it.
    pub fn id_token(acr: Acr, auth_time: Timestamp) -> Self {
        Self {
            amr: Vec::new(),
            acr,
            auth_time,
        }
    }

    /// An ID token, then a code of `method`.
    pub fn id_token_then(method: Method, now: Timestamp) -> Self {
        let mut proof = Self::password_then(method, now);
        proof.amr.retain(|reference| *reference != "pwd");
        proof
    }

    /// A mailed link, then a code of `method`. A code that goes to the same mailbox proves nothing
    /// more.
    pub fn link_then(method: Method, now: Timestamp) -> Self {
        let (amr, acr) = match method {
            Method::Sms => (vec!["otp", "sms", "mfa"], Acr::TwoFactor),
            Method::Email => (vec!["otp"], Acr::SingleFactor),
            Method::Totp | Method::RecoveryCode => (vec!["otp", "mfa"], Acr::TwoFactor),
        };
        Self {
            amr,
            acr,
            auth_time: now,
        }
    }

    /// The link that was mailed to a recipient: the mailbox, and nothing more.
    pub fn recipients_link(now: Timestamp) -> Self {
        Self {
            amr: vec!["otp"],
            acr: Acr::SingleFactor,
            auth_time: now,
        }
    }

    /// The link, then a code by SMS.
    pub fn recipients_code(now: Timestamp) -> Self {
        Self {
            amr: vec!["otp", "sms", "mfa"],
            acr: Acr::TwoFactor,
            auth_time: now,
        }
    }

    /// The link, then questions about the recipient.
    pub fn recipients_answers(now: Timestamp) -> Self {
        Self {
            amr: vec!["otp", "kba", "mfa"],
            acr: Acr::Kba,
            auth_time: now,
        }
    }

    /// A password, then a code of `method`.
    pub fn password_then(method: Method, now: Timestamp) -> Self {
        let (amr, acr) = match method {
            Method::Sms => (vec!["pwd", "otp", "sms", "mfa"], Acr::TwoFactor),
            Method::Email => (vec!["pwd", "otp", "mfa"], Acr::TwoFactorEmail),
            Method::Totp | Method::RecoveryCode => (vec!["pwd", "otp", "mfa"], Acr::TwoFactor),
        };
        Self {
            amr,
            acr,
            auth_time: now,
        }
    }
}

/// The claims of a token: a user's, or that of an agreement's recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are RFC 7519's, OpenID Connect's and the API's"
)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: i64,
    pub iat: i64,
    pub auth_time: i64,
    pub jti: String,
    pub acct: AccountId,
    pub kind: String,
    pub amr: Vec<String>,
    pub acr: Acr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementId>,
    /// The user's generation of proofs: this service takes no token of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

impl Claims {
    /// Their names, as discovery tells them.
    pub const NAMES: [&str; 13] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "jti",
        "acct",
        "kind",
        "amr",
        "acr",
        "agreement",
        "generation",
    ];

    /// Whether a second factor was proved, and lately enough to change factors with.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let second = !matches!(self.acr, Acr::SingleFactor | Acr::AllowlistedNetwork);
        second && now.as_secs() - self.auth_time <= FRESH.as_secs()
    }

    /// Whether it is the token of an agreement's recipient, who is no user.
    pub fn is_recipients(&self) -> bool {
        self.kind == RECIPIENT
    }

    /// What `aud` has to be: the account, and for a recipient its agreements alone.
    fn audience(&self) -> String {
        if self.is_recipients() {
            agreements(self.acct)
        } else {
            self.acct.to_string()
        }
    }
}

/// `kind` of a recipient.
const RECIPIENT: &str = "recipient";

/// `aud` of a recipient: whoever checks for the account's own takes none of these tokens.
fn agreements(account: AccountId) -> String {
    format!("{account}/agreements")
}

/// The recipient that a token is for, and the one agreement that it opens.
#[derive(Clone, Copy, Debug)]
pub struct RecipientSubject {
    /// The account.
    pub account: AccountId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The recipient.
    pub recipient: RecipientId,
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The user.
    pub user: UserId,
    /// Its account.
    pub account: AccountId,
    /// Staff or counterparty.
    pub kind: UserKind,
    /// The user's generation of proofs.
    pub generation: u64,
}

impl Subject {
    /// This user, as it stands.
    pub const fn of(user: &User) -> Self {
        Self {
            user: user.id,
            account: user.account,
            kind: user.kind,
            generation: user.token_epoch,
        }
    }
}

/// Signs a token.
pub fn sign(
    subject: &Subject,
    proof: &Proof,
    issuer: &str,
    keyring: &Keyring,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Secret<String>, KeyringError> {
    let kind = match subject.kind {
        UserKind::Internal => "internal",
        UserKind::External => "external",
    };
    let who = json!({"sub": subject.user, "aud": subject.account, "acct": subject.account, "kind": kind, "generation": subject.generation});
    signed(who, proof, issuer, keyring, entropy, now)
}

/// Signs the token of an agreement's recipient.
pub fn sign_for_recipient(
    subject: &RecipientSubject,
    proof: &Proof,
    issuer: &str,
    keyring: &Keyring,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Secret<String>, KeyringError> {
    let who = json!({
        "sub": subject.recipient,
        "aud": agreements(subject.account),
        "acct": subject.account,
        "kind": RECIPIENT,
        "agreement": subject.agreement,
    });
    signed(who, proof, issuer, keyring, entropy, now)
}

/// Signs the claims of `who`, and how they proved themselves.
fn signed(
    who: serde_json::Value,
    proof: &Proof,
    issuer: &str,
    keyring: &Keyring,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Secret<String>, KeyringError> {
    let mut claims = json!({
        "iss": issuer,
        "exp": now.plus(LIFETIME).as_secs(),
        "iat": now.as_secs(),
        "auth_time": proof.auth_time.as_secs(),
        "jti": secret::encode(entropy.bytes::<16>()),
        "amr": proof.amr,
        "acr": proof.acr,
    });
    if let (Some(claims), serde_json::Value::Object(who)) = (claims.as_object_mut(), who) {
        claims.extend(who);
    }
    let unsigned = |kid: &str| {
        let header = json!({"alg": "RS256", "typ": TYPE, "kid": kid});
        format!(
            "{}.{}",
            secret::encode(header.to_string()),
            secret::encode(claims.to_string())
        )
    };
    let (message, signature) = keyring.sign(unsigned, now)?;
    Ok(Secret::new(format!("{message}.{signature}")))
}

/// The token is not one of ours, or no longer good.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidToken;

/// Reads a token that `issuer` signed and that is good now.
pub fn verify(
    token: &str,
    issuer: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Claims, InvalidToken> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken)?;
    let known = |key: &&PublicKey| header.kid.as_deref() == Some(key.id.as_str());
    let key = keyring.public_keys().find(known).ok_or(InvalidToken)?;
    if header.alg != Algorithm::RS256 || header.typ.as_deref() != Some(TYPE) {
        return Err(InvalidToken);
    }
    let key = DecodingKey::from_rsa_components(&key.n, &key.e).map_err(|_| InvalidToken)?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // Audience and time are looked at below: whose audience it is stands in the token, and the time
    // is our clock's.
    validation.validate_aud = false;
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
        .map_err(|_| InvalidToken)?
        .claims;
    let fits = claims.exp > now.as_secs() && claims.aud == claims.audience();
    if fits { Ok(claims) } else { Err(InvalidToken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::keyring;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const ISSUER: &str = "https://id.example";

    fn ring(seed: u64) -> Keyring {
        Keyring::parse(keyring::make(NOW, &Entropy::seeded(seed)).unwrap().expose()).unwrap()
    }

    fn token(ring: &Keyring) -> String {
        let subject = Subject {
            user: UserId::from_bytes([2; 16]),
            account: AccountId::from_bytes([1; 16]),
            kind: UserKind::External,
            generation: 7,
        };
        let proof = Proof::password_then(Method::Sms, NOW);
        sign(&subject, &proof, ISSUER, ring, &Entropy::seeded(9), NOW)
            .unwrap()
            .expose()
            .clone()
    }

    #[test]
    fn discovery_can_tell_every_acr_and_every_claim() {
        let schema = serde_json::to_value(<Acr as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(schema["enum"], json!(Acr::ALL));
        let claims = json!({
            "iss": "", "sub": "", "aud": "", "exp": 0, "iat": 0, "auth_time": 0, "jti": "", "kind": "", "amr": [], "acr": "kba",
            "acct": AccountId::from_bytes([1; 16]), "agreement": AgreementId::from_bytes([2; 16]),
            "generation": 7,
        });
        let claims =
            serde_json::to_value(serde_json::from_value::<Claims>(claims).unwrap()).unwrap();
        let mut names: Vec<&str> = claims
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_by_key(|name| Claims::NAMES.iter().position(|known| known == name));
        assert_eq!(names, Claims::NAMES);
    }

    #[test]
    fn a_token_says_who_and_how() {
        let ring = ring(1);
        let claims = verify(&token(&ring), ISSUER, &ring, NOW).unwrap();
        assert_eq!(claims.sub, UserId::from_bytes([2; 16]).to_string());
        assert_eq!(claims.amr, ["pwd", "otp", "sms", "mfa"]);
        assert_eq!((claims.acr, claims.generation), (Acr::TwoFactor, Some(7)));
        assert_eq!(claims.exp - claims.iat, 900);
    }

    #[test]
    fn a_recipients_token_is_for_one_agreement_and_for_nobody_who_wants_a_users() {
        let ring = ring(1);
        let subject = RecipientSubject {
            account: AccountId::from_bytes([1; 16]),
            agreement: AgreementId::from_bytes([2; 16]),
            recipient: RecipientId::from_bytes([3; 16]),
        };
        let proof = Proof::recipients_answers(NOW);
        let token =
            sign_for_recipient(&subject, &proof, ISSUER, &ring, &Entropy::seeded(9), NOW).unwrap();
        let claims = verify(token.expose(), ISSUER, &ring, NOW).unwrap();
        assert!(claims.is_recipients());
        assert_eq!(claims.aud, format!("{}/agreements", subject.account));
        assert_eq!(
            (claims.agreement, claims.acr),
            (Some(subject.agreement), Acr::Kba)
        );
        assert_eq!(claims.sub.parse::<UserId>().ok(), None);
    }

    #[test]
    fn a_second_factor_is_fresh_for_five_minutes_and_a_first_never() {
        let ring = ring(1);
        let claims = verify(&token(&ring), ISSUER, &ring, NOW).unwrap();
        assert!(claims.is_fresh(NOW) && claims.is_fresh(NOW.plus(FRESH)));
        assert!(!claims.is_fresh(NOW.plus(FRESH).plus(Span::seconds(1))));
        for acr in [Acr::SingleFactor, Acr::AllowlistedNetwork] {
            assert!(
                !Claims {
                    acr,
                    ..claims.clone()
                }
                .is_fresh(NOW)
            );
        }
    }

    #[test]
    fn a_token_of_another_issuer_key_time_or_algorithm_is_not_good() {
        let ring = ring(1);
        let good = token(&ring);
        assert!(verify(&good, "https://other.example", &ring, NOW).is_err());
        assert!(verify(&good, ISSUER, &self::ring(2), NOW).is_err());
        assert!(verify(&good, ISSUER, &ring, NOW.plus(LIFETIME)).is_err());
        let (_, rest) = good.split_once('.').unwrap();
        let none = format!(
            "{}.{rest}",
            secret::encode(r#"{"alg":"none","typ":"at+jwt"}"#)
        );
        assert!(verify(&none, ISSUER, &ring, NOW).is_err());
        let mut changed = good.clone();
        changed.replace_range(good.len() - 3.., "AAA");
        assert!(verify(&changed, ISSUER, &ring, NOW).is_err());
        assert!(verify("", ISSUER, &ring, NOW).is_err());
    }
}
