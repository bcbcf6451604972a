//! Every route of the API in one table: who may use it, what it writes into the audit, which
//! refusals it knows. The functions dispatch by it, the OpenAPI document is made from it, and a
//! test holds `infra/template.yaml` against it.

use super::Slug;
use super::Slug as S;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// The operator routes, and any account's with `?account=`. Only operators' keys have it.
    #[serde(rename = "operator")]
    Operator,
    /// Settings.
    #[serde(rename = "settings:write")]
    SettingsWrite,
    /// Users.
    #[serde(rename = "users:write")]
    UsersWrite,
    /// Agreements.
    #[serde(rename = "agreements:write")]
    AgreementsWrite,
    /// One-time links.
    #[serde(rename = "links:write")]
    LinksWrite,
    /// Exchanging a one-time code for a token.
    #[serde(rename = "tokens:redeem")]
    TokensRedeem,
    /// The audit.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// The quota.
    #[serde(rename = "quota:read")]
    QuotaRead,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorisation {
    /// Everybody.
    Public,
    /// Everybody; what is asked for is proved by what the body carries: a password or a challenge.
    Proof,
    /// An API key with the operator's scope.
    Operator,
    /// An API key of the account with this scope; the operator's, with `?account=`.
    Scope(Scope),
    /// The same, or the token of a link that opens what is asked for.
    ScopeOrLink(Scope),
    /// An access token.
    AccessToken,
    /// An access token, or the challenge of a first sign-in in the body.
    AccessTokenOrProof,
    /// `Authorization: Bearer` with the challenge that opened what is asked for.
    Challenge,
    /// The provider, by Standard Webhooks.
    Signature,
}

/// What a route writes into the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Nothing: it changes nothing.
    Nothing,
    /// An entry with each effect, in the same transaction.
    WithEffect,
}

/// How a route treats `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// It ignores it.
    Ignored,
    /// It honours one.
    Honoured,
    /// It must have one, and keeps it for ever.
    Required,
}

/// The function that serves a route: one Lambda, one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each is the folder of that name under functions/"
)]
pub enum Function {
    Accounts,
    Agreements,
    Audit,
    CodeIssue,
    CodeVerify,
    Documents,
    Factors,
    LinkRedeem,
    Links,
    KbaCallback,
    KbaSession,
    Login,
    Me,
    Pages,
    Quota,
    QuotaTopup,
    Report,
    Password,
    Settings,
    Tokens,
    Users,
}

impl Function {
    /// The folder, package and binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Agreements => "agreements",
            Self::Audit => "audit",
            Self::CodeIssue => "code-issue",
            Self::CodeVerify => "code-verify",
            Self::Documents => "documents",
            Self::Factors => "factors",
            Self::LinkRedeem => "link-redeem",
            Self::Links => "links",
            Self::KbaCallback => "kba-callback",
            Self::KbaSession => "kba-session",
            Self::Login => "login",
            Self::Me => "me",
            Self::Pages => "pages",
            Self::Quota => "quota",
            Self::QuotaTopup => "quota-topup",
            Self::Report => "report",
            Self::Password => "password",
            Self::Settings => "settings",
            Self::Tokens => "tokens",
            Self::Users => "users",
        }
    }

    /// Whether it uses a key of the keyring. Whoever gets code to run in one that does not, signs
    /// and opens nothing.
    pub const fn holds_keys(self) -> bool {
        !matches!(
            self,
            Self::Accounts
                | Self::Audit
                | Self::KbaCallback
                | Self::Pages
                | Self::Quota
                | Self::QuotaTopup
                | Self::Settings
                | Self::Users
        )
    }
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// What it does.
    pub operation: Operation,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// The function that serves it.
    pub function: Function,
    /// Who may use it.
    pub authorisation: Authorisation,
    /// What it writes into the audit.
    pub audit: Audit,
    /// How it treats `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// The status of its success.
    pub success: u16,
    /// The refusals it knows, beside those that any route may give.
    pub refusals: &'static [Slug],
    /// One line for people.
    pub summary: &'static str,
}

macro_rules! routes {
    ($($operation:ident $method:literal $path:literal $function:ident $authorisation:expr, $audit:ident $idempotency:ident $success:literal [$($refusal:expr),*] $summary:literal;)*) => {
        /// What a route does: the `operationId` of the OpenAPI document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = $summary] $operation,)*
        }

        /// All routes.
        pub const ROUTES: &[Route] = &[$(Route {
            operation: Operation::$operation,
            method: $method,
            path: $path,
            function: Function::$function,
            authorisation: $authorisation,
            audit: Audit::$audit,
            idempotency: Idempotency::$idempotency,
            success: $success,
            refusals: &[$($refusal),*],
            summary: $summary,
        },)*];
    };
}

const PUBLIC: Authorisation = Authorisation::Public;
const PROOF: Authorisation = Authorisation::Proof;
const OPERATOR: Authorisation = Authorisation::Operator;
const TOKEN: Authorisation = Authorisation::AccessToken;
const TOKEN_OR_PROOF: Authorisation = Authorisation::AccessTokenOrProof;
const CHALLENGE: Authorisation = Authorisation::Challenge;
const SIGNATURE: Authorisation = Authorisation::Signature;
const SETTINGS: Authorisation = Authorisation::Scope(Scope::SettingsWrite);
const USERS: Authorisation = Authorisation::Scope(Scope::UsersWrite);
const QUOTA: Authorisation = Authorisation::Scope(Scope::QuotaRead);
const LINKS: Authorisation = Authorisation::Scope(Scope::LinksWrite);
const TOKENS: Authorisation = Authorisation::Scope(Scope::TokensRedeem);
const AGREEMENTS: Authorisation = Authorisation::Scope(Scope::AgreementsWrite);
const AUDIT: Authorisation = Authorisation::Scope(Scope::AuditRead);
const REPORT: Authorisation = Authorisation::ScopeOrLink(Scope::AuditRead);

routes! {
    CreateAccount "POST" "/v1/accounts" Accounts OPERATOR, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::Forbidden]
        "Create an account for an organisation";
    GetAccount "GET" "/v1/accounts/{account}" Accounts OPERATOR, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show an account";
    PatchAccount "PATCH" "/v1/accounts/{account}" Accounts OPERATOR, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::PreconditionFailed, S::Conflict]
        "Change an account's name or plan";
    CreateApiKey "POST" "/v1/accounts/{account}/api-keys" Accounts OPERATOR, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Create an API key; the key is shown once";
    ListApiKeys "GET" "/v1/accounts/{account}/api-keys" Accounts OPERATOR, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "List an account's API keys, without the keys";
    DeleteApiKey "DELETE" "/v1/accounts/{account}/api-keys/{id}" Accounts OPERATOR, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Revoke an API key, at once";

    GetSettings "GET" "/v1/settings" Settings SETTINGS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show the account's settings; with ?effective=true, where each value comes from";
    PatchSettings "PATCH" "/v1/settings" Settings SETTINGS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::PlanRequired, S::NotFound, S::PreconditionFailed, S::Conflict, S::AllowlistTooWide]
        "Change the account's settings by a JSON Merge Patch";
    GetGroupSettings "GET" "/v1/groups/{group}/settings" Settings SETTINGS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show what a group overrides; with ?effective=true, the settings in force and where each value comes from";
    PatchGroupSettings "PATCH" "/v1/groups/{group}/settings" Settings SETTINGS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::PlanRequired, S::NotFound, S::PreconditionFailed, S::Conflict]
        "Change what a group overrides by a JSON Merge Patch";
    ExplainAllowlist "GET" "/v1/ip-allowlist/explain" Settings SETTINGS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Explain whether an address is in the allowlist";

    CreateUser "POST" "/v1/users" Users USERS, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::UsernameTaken, S::SsoSubjectTaken]
        "Create a user";
    ListUsers "GET" "/v1/users" Users USERS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "List the account's users, the oldest first";
    GetUser "GET" "/v1/users/{id}" Users USERS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show a user";
    PatchUser "PATCH" "/v1/users/{id}" Users USERS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::UsernameTaken, S::SsoSubjectTaken, S::PreconditionFailed, S::Conflict]
        "Change a user by a JSON Merge Patch; `disabled` ends open challenges at once";
    DeleteUser "DELETE" "/v1/users/{id}" Users USERS, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Delete a user; the audit entries stay";
    UnlockUser "POST" "/v1/users/{id}/unlock" Users USERS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Unlock a user: remove the delays and locks of the password and factors";

    ResetApp "DELETE" "/v1/users/{id}/factors/totp" Users USERS, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Remove a user's authenticator app and recovery codes, so that a new one can be set up";

    Login "POST" "/v1/login" Login PROOF, WithEffect Ignored 200
        [S::InvalidRequest, S::InvalidCredentials, S::NoUsableFactor, S::TooManyAttempts]
        "Sign in with the primary factor";
    IssueCode "POST" "/v1/codes" CodeIssue PROOF, WithEffect Honoured 202
        [S::InvalidRequest, S::ChallengeUnknown, S::MethodNotEnabled, S::IdempotencyConflict, S::ChallengeExpired, S::ChallengeUsed,
         S::AgreementClosed, S::DestinationNotAllowed, S::IdempotencyKeyReused, S::ResendTooSoon, S::TooManySends, S::TooManyAttempts, S::SenderUnavailable]
        "Send a code by SMS or e-mail";
    VerifyCode "POST" "/v1/codes/verify" CodeVerify PROOF, WithEffect Ignored 200
        [S::InvalidRequest, S::ChallengeUnknown, S::CodeInvalid, S::CodeSuperseded, S::MethodNotEnabled, S::ChallengeExpired, S::ChallengeUsed,
         S::CodeExpired, S::AgreementClosed, S::TooManyAttempts]
        "Verify the second factor";
    CreateLink "POST" "/v1/links" Links LINKS, WithEffect Honoured 202
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict, S::IdempotencyKeyReused, S::LinkNotPossible]
        "Mail a one-time link to a user";
    RedeemLink "POST" "/v1/links/redeem" LinkRedeem PROOF, WithEffect Ignored 200
        [S::InvalidRequest, S::NoUsableFactor, S::ViewingLocked, S::LinkUnknown, S::LinkExpired, S::LinkUsed, S::AgreementClosed, S::TooManyAttempts]
        "Open a challenge with a mailed link; a user's link is used up by the second factor, a recipient's link stays valid until the agreement is closed";
    RedeemCode "POST" "/v1/tokens" Tokens TOKENS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict, S::CodeExpired, S::CodeUsed]
        "Exchange the one-time code that a link's `redirect_uri` received for an access token";
    ForgetPassword "POST" "/v1/password/forgotten" Password PROOF, WithEffect Honoured 202
        [S::InvalidRequest, S::IdempotencyKeyReused, S::TooManySends]
        "Mail a link to set a new password; the answer is the same for every username";
    SetPassword "POST" "/v1/password" Password PROOF, WithEffect Ignored 204
        [S::InvalidRequest, S::ChallengeUnknown, S::Forbidden, S::ChallengeExpired, S::ChallengeUsed]
        "Set a new password with the challenge of such a link, after its second factor is verified";
    GetMe "GET" "/v1/me" Me TOKEN, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden]
        "Show the signed-in user";
    PatchMe "PATCH" "/v1/me" Factors TOKEN, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::InvalidCredentials, S::Forbidden, S::FreshSecondFactorRequired, S::Conflict, S::PreconditionFailed,
         S::TooManyAttempts]
        "Change the signed-in user's password and language by a JSON Merge Patch";
    EnrolApp "POST" "/v1/factors/totp" Factors TOKEN_OR_PROOF, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::ChallengeUnknown, S::Forbidden, S::FreshSecondFactorRequired, S::MethodNotEnabled,
         S::ChallengeExpired, S::ChallengeUsed]
        "Start setting up an authenticator app";
    ConfirmApp "POST" "/v1/factors/totp/confirm" Factors TOKEN_OR_PROOF, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::ChallengeUnknown, S::CodeInvalid, S::Forbidden, S::FreshSecondFactorRequired,
         S::MethodNotEnabled, S::NotFound, S::ChallengeExpired, S::ChallengeUsed, S::TooManyAttempts]
        "Confirm the app with its code, which is then used; it replaces an earlier app, which ends the user's other tokens and open sign-ins";
    ListFactors "GET" "/v1/factors" Factors TOKEN, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden]
        "List the signed-in user's factors";
    RemoveApp "DELETE" "/v1/factors/totp" Factors TOKEN, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::FreshSecondFactorRequired, S::NotFound, S::LastFactor]
        "Remove the app and its recovery codes; the user's other tokens and open sign-ins end";
    EnrolPhone "POST" "/v1/factors/sms" Factors TOKEN_OR_PROOF, WithEffect Honoured 202
        [S::InvalidRequest, S::Unauthorized, S::ChallengeUnknown, S::Forbidden, S::FreshSecondFactorRequired, S::MethodNotEnabled,
         S::IdempotencyConflict, S::ChallengeExpired, S::ChallengeUsed, S::DestinationNotAllowed, S::IdempotencyKeyReused, S::ResendTooSoon,
         S::TooManyChanges, S::TooManySends, S::TooManyAttempts, S::SenderUnavailable]
        "Send a code to a new phone of the user; the phone counts once the code is confirmed";
    ConfirmPhone "POST" "/v1/factors/sms/confirm" Factors TOKEN_OR_PROOF, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::ChallengeUnknown, S::CodeInvalid, S::CodeSuperseded, S::Forbidden,
         S::FreshSecondFactorRequired, S::MethodNotEnabled, S::NotFound, S::ChallengeExpired, S::ChallengeUsed, S::CodeExpired,
         S::TooManyAttempts]
        "Confirm the phone with its code; it replaces an earlier one, which ends the user's other tokens and open sign-ins";
    RemovePhone "DELETE" "/v1/factors/sms" Factors TOKEN, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::FreshSecondFactorRequired, S::NotFound, S::LastFactor, S::TooManyChanges]
        "Remove the phone; the user's other tokens and open sign-ins end";
    EnrolMailbox "POST" "/v1/factors/email" Factors TOKEN, WithEffect Honoured 202
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::FreshSecondFactorRequired, S::IdempotencyConflict, S::IdempotencyKeyReused,
         S::ResendTooSoon, S::TooManyChanges, S::TooManySends, S::TooManyAttempts, S::SenderUnavailable]
        "Send a code to a new mail address of the user; the address counts once the code is confirmed";
    ConfirmMailbox "POST" "/v1/factors/email/confirm" Factors TOKEN, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::CodeInvalid, S::CodeSuperseded, S::Forbidden, S::FreshSecondFactorRequired, S::NotFound,
         S::CodeExpired, S::TooManyAttempts]
        "Confirm the mail address with its code; it replaces an earlier one, which ends the user's other tokens and open sign-ins";
    RemoveMailbox "DELETE" "/v1/factors/email" Factors TOKEN, WithEffect Ignored 204
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::FreshSecondFactorRequired, S::NotFound, S::LastFactor, S::TooManyChanges]
        "Remove the mail address; the user's other tokens, open sign-ins and mailed links end";
    MakeRecoveryCodes "POST" "/v1/factors/recovery-codes" Factors TOKEN, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::FreshSecondFactorRequired, S::MethodNotEnabled]
        "Replace the recovery codes by ten new ones; the user's other tokens and open sign-ins end";

    TopUpQuota "POST" "/v1/quota/topups" QuotaTopup OPERATOR, WithEffect Required 201
        [S::InvalidRequest, S::IdempotencyKeyRequired, S::Unauthorized, S::Forbidden, S::NotFound, S::IdempotencyKeyReused]
        "Add prepaid transactions to an account's balance";
    GetQuota "GET" "/v1/quota" Quota QUOTA, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show the account's balance of prepaid transactions, and each group's share";
    ListQuotaEntries "GET" "/v1/quota/entries" Quota QUOTA, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "List the account's ledger entries, the newest first";
    SendAgreement "POST" "/v1/agreements" Agreements AGREEMENTS, WithEffect Required 201
        [S::InvalidRequest, S::IdempotencyKeyRequired, S::Unauthorized, S::QuotaExhausted, S::Forbidden, S::PlanRequired, S::MethodNotEnabled, S::NotFound,
         S::RecipientNameRequired, S::RecipientNotInUs, S::IdempotencyKeyReused]
        "Send an agreement to its recipients, once per Idempotency-Key for ever; one transaction is reserved for each KBA recipient, all or none";
    ListAgreements "GET" "/v1/agreements" Agreements AGREEMENTS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "List the account's agreements, the oldest first";
    GetAgreement "GET" "/v1/agreements/{id}" Agreements AGREEMENTS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Show an agreement and its recipients";
    PatchRecipient "PATCH" "/v1/agreements/{id}/recipients/{recipient}" Agreements AGREEMENTS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::QuotaExhausted, S::Forbidden, S::PlanRequired, S::MethodNotEnabled, S::NotFound, S::AgreementNotOpen,
         S::RecipientCompleted, S::Conflict, S::PreconditionFailed, S::RecipientNameRequired, S::RecipientNotInUs]
        "Change a recipient's authentication method; the quota follows";
    CompleteRecipient "POST" "/v1/agreements/{id}/recipients/{recipient}/complete" Agreements AGREEMENTS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::AgreementNotOpen, S::RecipientNotVerified, S::Conflict]
        "Record that a recipient has completed; the last one completes the agreement";
    ResendLink "POST" "/v1/agreements/{id}/recipients/{recipient}/resend" Agreements AGREEMENTS, WithEffect Honoured 202
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::AgreementNotOpen, S::Conflict, S::IdempotencyKeyReused, S::TooManySends]
        "Mail a recipient another link: 5 in 10 minutes and 10 an hour. Earlier links stay valid";
    ReopenViewing "POST" "/v1/agreements/{id}/recipients/{recipient}/reopen" Agreements AGREEMENTS, WithEffect Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::AgreementNotOpen, S::Conflict]
        "Unlock a recipient who failed too often: viewing, or codes";
    CancelAgreement "POST" "/v1/agreements/{id}/cancel" Agreements AGREEMENTS, WithEffect Honoured 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::AgreementNotOpen, S::Conflict, S::IdempotencyKeyReused]
        "Cancel an agreement; unused reserved transactions are released";
    ListAuthenticationMethods "GET" "/v1/authentication-methods" Agreements AGREEMENTS, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "List the authentication methods that a sender of a group may choose";

    OpenKbaSession "POST" "/v1/kba/sessions" KbaSession PROOF, WithEffect Ignored 201
        [S::InvalidRequest, S::ChallengeUnknown, S::MethodNotEnabled, S::ViewingLocked, S::ChallengeExpired, S::ChallengeUsed,
         S::AgreementClosed, S::TooManySessions, S::ProviderUnavailable]
        "Open a session of knowledge-based authentication for a recipient";
    GetKbaSession "GET" "/v1/kba/sessions/{session}" KbaSession CHALLENGE, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::ChallengeUnknown, S::NotFound]
        "Show the status of a session and, for a minute after a pass, the access token";
    TakeKbaCallback "POST" "/v1/kba/callback" KbaCallback SIGNATURE, WithEffect Ignored 204
        [S::InvalidRequest, S::SignatureInvalid, S::NotFound, S::UnexpectedField]
        "Receive the provider's result of a session";

    ReadAudit "GET" "/v1/audit" Audit AUDIT, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound]
        "Read the audit entries of a user or of the account, the oldest first";
    ReportAgreement "GET" "/v1/agreements/{id}/audit" Report REPORT, Nothing Ignored 200
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::ReportInParts]
        "Export the audit report of an agreement, with a signed statement of the number of entries and the hash of the last one; as JSON, CSV or a page, by `Accept`";
    LinkReport "POST" "/v1/agreements/{id}/audit/links" Agreements AUDIT, WithEffect Ignored 201
        [S::InvalidRequest, S::Unauthorized, S::Forbidden, S::NotFound, S::Conflict]
        "Create a link that opens the report in a browser, for five minutes";

    Health "GET" "/health" Documents PUBLIC, Nothing Ignored 200 [] "Say that the service answers";
    OpenApi "GET" "/openapi.json" Documents PUBLIC, Nothing Ignored 200 [] "This document";
    ShowProblem "GET" "/problems/{slug}" Documents PUBLIC, Nothing Ignored 200 [S::NotFound] "What a problem means";
    Jwks "GET" "/.well-known/jwks.json" Documents PUBLIC, Nothing Ignored 200 [] "The public keys of the access tokens";
    Discovery "GET" "/.well-known/openid-configuration" Documents PUBLIC, Nothing Ignored 200 [] "OpenID Connect discovery, as far as a token's verifier needs it";

    SignInPage "GET" "/" Pages PUBLIC, Nothing Ignored 200 [] "The sign-in page";
    LinkPage "GET" "/link" Pages PUBLIC, Nothing Ignored 200 [] "The page that mailed links lead to";
    ReportPage "GET" "/report/{id}" Pages PUBLIC, Nothing Ignored 200 [] "The page that a link to a report leads to";
    Asset "GET" "/assets/{name}" Pages PUBLIC, Nothing Ignored 200 [S::NotFound] "A part of the pages";
}

/// Refusals that any route may give.
pub const ANYWHERE: &[Slug] = &[S::InternalError, S::ServiceUnavailable];
/// Refusals that any route with a body may give.
const WITH_BODY: &[Slug] = &[S::PayloadTooLarge, S::UnsupportedMediaType];
/// What a route may refuse besides that looks whether it was sent a body, and takes none.
const WITHOUT_BODY: &[Slug] = &[S::PayloadTooLarge];

impl Route {
    /// As API Gateway names it.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it is a POST that says all there is to say in its path.
    fn is_bare(&self) -> bool {
        use Operation as O;
        matches!(
            self.operation,
            O::UnlockUser
                | O::MakeRecoveryCodes
                | O::CompleteRecipient
                | O::ResendLink
                | O::ReopenViewing
                | O::LinkReport
        )
    }

    /// Whether it reads a body.
    pub fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PATCH") && !self.is_bare()
    }

    /// What it refuses because of the body alone: one that it reads, or one that it takes none of.
    pub fn body_refusals(&self) -> &'static [Slug] {
        let looks = matches!(
            self.authorisation,
            Authorisation::Scope(_)
                | Authorisation::ScopeOrLink(_)
                | Authorisation::Operator
                | Authorisation::AccessToken
                | Authorisation::AccessTokenOrProof
        );
        match (self.has_body(), looks) {
            (true, _) => WITH_BODY,
            (false, true) => WITHOUT_BODY,
            (false, false) => &[],
        }
    }

    /// The path's parameters, if `path` is one of this route.
    pub fn matches(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let mut parameters = Vec::new();
        let mut given = path.split('/');
        for part in self.path.split('/') {
            let given = given.next()?;
            match part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(_) if given.is_empty() => return None,
                Some(name) => parameters.push((name, given.to_owned())),
                None if part == given => {}
                None => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }
}

/// The route that API Gateway names `key`.
pub fn by_key(key: &str) -> Option<&'static Route> {
    let (method, path) = key.split_once(' ')?;
    ROUTES
        .iter()
        .find(|route| route.method == method && route.path == path)
}

/// The methods that `path` takes: none where no route takes it.
pub fn methods(path: &str) -> Vec<&'static str> {
    ROUTES
        .iter()
        .filter(|route| route.matches(path).is_some())
        .map(|route| route.method)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_its_route_alone() {
        assert!(methods("/v1/users/usr_1").contains(&"PATCH"));
        assert_eq!(methods("/v1/users/usr_1/unlock"), ["POST"]);
        assert_eq!(methods("/v1/users/"), Vec::<&str>::new());
        assert_eq!(methods("/v1/users/usr_1/unlock/"), Vec::<&str>::new());
        assert_eq!(methods("/"), ["GET"]);
    }

    #[test]
    fn what_changes_something_is_audited() {
        for route in ROUTES {
            assert_eq!(
                route.audit == Audit::WithEffect,
                route.method != "GET",
                "{}",
                route.key()
            );
        }
    }
}
