//! What requests and answers look like.

use serde_json::{Value, json};
use shared::signin::access_token::{Acr, Claims};
use shared::web::http::{Operation as O, Slug};

use crate::types;

pub const ACCOUNT: &str = "acc_01jd3v7c3kq2m8x5t9r4w6y0ab";
pub const USER: &str = "usr_01jd3v8e5mz7p1c4n6h9k2s3df";
pub const KEY: &str = "key_5w8r2t6y1q9k3m7x4v0c8n2b6d";
const FACTOR: &str = "fac_01jd3v8e5mz7p1c4n6h9k2s3df";
pub const SESSION: &str = "kba_01jd3va1f7q4w9e2r6t8y5v3bn";
const CHALLENGE: &str = "chl_AQGTaHs….mX1.Uj6…";
pub const TOPUP: &str = "top_4k8w1r7m3x9q5v2c6n0b8t4y1s";
pub const AGREEMENT: &str = "agr_01jd3w2f6kq8m1x4t7r0w3y5ab";
const HASH: &str = "qCcU1xRrRiMOuJCQ4DSSCuS8mkMTmxkhn3TEGlhThnk";
pub const RECIPIENT: &str = "rcp_01jd3w2f6nz7p1c4n6h9k2s3df";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIs….….…";
const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ….….…";

/// A request.
pub fn request(operation: O) -> Option<Value> {
    Some(match operation {
        O::CreateAccount => json!({"name": "Alder & Pine", "plan": "business"}),
        O::PatchAccount => json!({"plan": "enterprise"}),
        O::CreateApiKey => {
            json!({"name": "portal back end", "scopes": ["users:write", "audit:read"]})
        }
        O::PatchSettings => json!({
            "second_factor": {"methods": {"email": true}}, "ip_allowlist": ["203.0.113.0/24"], "origins": ["https://portal.example"]
        }),
        O::PatchGroupSettings => {
            json!({"second_factor": {"methods": {"email": true}}, "locale": "fr"})
        }
        O::CreateUser => json!({
            "username": "ann@example.com", "name": "Ann Alder", "kind": "external", "password": "correct horse battery",
            "phone": "+12025550100", "email": "ann@example.com"
        }),
        O::PatchUser => json!({"phone": "+12025550123", "locale": null}),
        O::TopUpQuota => {
            json!({"account": ACCOUNT, "transactions": 500, "reference": "order 2026-1138"})
        }
        O::SendAgreement => json!({
            "title": "Lease, 12 Alder Street", "group": "mortgages", "sender": {"email": "sales@alder.example", "name": "Robin Alder"},
            "recipients": [
                {"email": "ann@example.com", "name": "Ann Smith", "country": "US", "authentication": "kba"},
                {"email": "ben@example.com", "phone": "+12025550123", "authentication": "sms"}
            ]
        }),
        O::PatchRecipient => json!({"authentication": "sms"}),
        O::CancelAgreement => json!({"reason": "the terms have changed"}),
        O::IssueCode => json!({"challenge": CHALLENGE, "method": "sms"}),
        O::VerifyCode => json!({"challenge": CHALLENGE, "method": "sms", "code": "048213"}),
        O::PatchMe => json!({"locale": "fr"}),
        O::EnrolApp | O::OpenKbaSession => json!({"challenge": CHALLENGE}),
        O::ConfirmApp => json!({"challenge": CHALLENGE, "factor": FACTOR, "code": "287082"}),
        O::EnrolPhone => json!({"phone": "+12025550100"}),
        O::EnrolMailbox => json!({"email": "ann@example.com"}),
        O::ConfirmPhone => json!({"factor": FACTOR, "code": "048213"}),
        O::ConfirmMailbox => json!({"factor": FACTOR, "code": "04821399"}),
        O::CreateLink => {
            json!({"user": USER, "redirect_uri": "https://portal.example/in", "expires_in": 3600})
        }
        O::RedeemLink => json!({"token": "lnk_…"}),
        O::RedeemCode => json!({"code": "otc_…"}),
        O::ForgetPassword => json!({"account": ACCOUNT, "username": "ann@example.com"}),
        O::SetPassword => json!({"challenge": CHALLENGE, "password": "another horse battery"}),
        O::TakeKbaCallback => json!({
            "type": "kba.session.completed", "timestamp": "2026-11-22T09:30:00Z",
            "data": {"session": SESSION, "outcome": "passed", "token": "tok_5yJ3c2Vzc2lvbg"}
        }),
        _ => return None,
    })
}

/// The ways to ask, by name, where there is more than one.
pub fn ways(operation: O) -> Vec<(&'static str, Value)> {
    if operation != O::Login {
        return Vec::new();
    }
    let password = json!({"account": ACCOUNT, "username": "ann@example.com", "password": "correct horse battery"});
    let id_token = json!({"account": ACCOUNT, "id_token": ID_TOKEN, "nonce": "n-0S6_WzA2Mj"});
    let step_up = with(password.clone(), json!({"second_factor": true}));
    vec![
        ("password", password),
        ("id_token", id_token),
        ("second_factor", step_up),
    ]
}

/// An object with the members of another.
fn with(object: Value, more: Value) -> Value {
    match (object, more) {
        (Value::Object(mut object), Value::Object(more)) => {
            object.extend(more);
            Value::Object(object)
        }
        (object, _) => object,
    }
}

/// Answers, each with a name.
#[expect(
    clippy::too_many_lines,
    reason = "a table: an entry for each operation"
)]
pub fn answers(operation: O) -> Vec<(&'static str, Value)> {
    let one = |value| vec![("answer", value)];
    match operation {
        O::CreateAccount | O::GetAccount => one(account("business")),
        O::PatchAccount => one(account("enterprise")),
        O::CreateApiKey => one(json!({
            "id": KEY, "name": "portal back end", "scopes": ["users:write", "audit:read"],
            "key": "csk_01jd3v7c3kq2m8x5t9r4w6y0ab_…", "created_at": "2026-11-22T09:30:00Z"
        })),
        O::ListApiKeys => one(json!({"api_keys": [
            {"id": KEY, "name": "portal back end", "scopes": ["users:write", "audit:read"], "created_at": "2026-11-22T09:30:00Z"}
        ]})),
        O::GetSettings => vec![
            ("settings", settings()),
            (
                "effective",
                json!({"value": settings(), "source": {"/locale": "default", "/origins": "account"}}),
            ),
        ],
        O::PatchSettings => one(settings()),
        O::GetGroupSettings => vec![
            (
                "overrides",
                json!({"second_factor": {"methods": {"email": true}}, "locale": "fr"}),
            ),
            (
                "effective",
                json!({"value": settings(), "source": {"/locale": "group", "/origins": "account", "/sso": "default"}}),
            ),
        ],
        O::PatchGroupSettings => {
            one(json!({"second_factor": {"methods": {"email": true}}, "locale": "fr"}))
        }
        O::ExplainAllowlist => one(json!({
            "allowed": true, "matched": "203.0.113.0/24", "address": "203.0.113.7", "reason": "203.0.113.7 is in 203.0.113.0/24"
        })),
        O::CreateUser | O::GetUser | O::PatchUser | O::UnlockUser => one(user()),
        O::ListUsers => one(json!({"users": [user()]})),
        O::SendAgreement => one(json!({
            "id": AGREEMENT, "status": "out_for_signature",
            "recipients": [{"id": RECIPIENT, "email": "ann@example.com", "authentication": "kba", "status": "pending"}],
            "quota": {"available": 499, "reserved": 1, "consumed": 0, "purchased": 500}
        })),
        O::GetAgreement => one(agreement("out_for_signature")),
        O::CancelAgreement => {
            let ended =
                json!({"ended_at": "2026-11-23T09:30:00Z", "reason": "the terms have changed"});
            one(with(agreement("cancelled"), ended))
        }
        O::ListAgreements => {
            let mut listed = agreement("out_for_signature");
            listed
                .as_object_mut()
                .map(|members| members.remove("recipients"));
            one(json!({"agreements": [listed]}))
        }
        O::PatchRecipient | O::CompleteRecipient | O::ResendLink | O::ReopenViewing => {
            one(recipient())
        }
        O::ListAuthenticationMethods => one(json!({"methods": [
            {"method": "none", "premium": false}, {"method": "email", "premium": false}, {"method": "sms", "premium": false},
            {"method": "kba", "premium": true}
        ]})),
        O::Login => vec![
            (
                "second_factor_required",
                json!({
                    "status": "second_factor_required", "challenge": CHALLENGE, "expires_in": 600,
                    "methods": [{"method": "sms", "destination": "+1••••••••00"}]
                }),
            ),
            (
                "enrolment_required",
                json!({
                    "status": "enrolment_required", "challenge": CHALLENGE, "expires_in": 600,
                    "methods": [{"method": "totp"}, {"method": "sms"}]
                }),
            ),
            (
                "authenticated",
                authenticated(&json!(["pwd"]), "allowlisted-network"),
            ),
        ],
        O::IssueCode => one(json!({
            "method": "sms", "destination": "+1••••••••00", "reference": "KXTP", "expires_in": 300, "resend_in": 30, "code_length": 6
        })),
        O::EnrolApp => one(json!({
            "factor": FACTOR, "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "otpauth_uri": "otpauth://totp/Alder%20%26%20Pine:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
                            &issuer=Alder%20%26%20Pine&algorithm=SHA1&digits=6&period=30",
            "qr_svg": "<svg …></svg>", "expires_in": 600
        })),
        O::ConfirmApp => vec![
            ("signed_in", json!({"recovery_codes": recovery_codes()})),
            (
                "first_sign_in",
                json!({
                    "recovery_codes": recovery_codes(), "authenticated": authenticated(&json!(["pwd", "otp", "mfa"]), "two-factor")
                }),
            ),
        ],
        O::EnrolPhone => one(json!({
            "factor": FACTOR, "destination": "+1••••••••00", "reference": "KXTP", "expires_in": 300, "resend_in": 30, "code_length": 6
        })),
        O::EnrolMailbox => one(json!({
            "factor": FACTOR, "destination": "a••••••••@example.com", "reference": "KXTP", "expires_in": 300, "resend_in": 30,
            "code_length": 8
        })),
        O::ConfirmPhone => vec![
            (
                "signed_in",
                json!({"method": "sms", "destination": "+1••••••••00"}),
            ),
            (
                "first_sign_in",
                json!({
                    "method": "sms", "destination": "+1••••••••00",
                    "authenticated": authenticated(&json!(["pwd", "otp", "sms", "mfa"]), "two-factor")
                }),
            ),
        ],
        O::ConfirmMailbox => {
            one(json!({"method": "email", "destination": "a••••••••@example.com"}))
        }
        O::ListFactors => one(json!({"factors": [
            {"method": "sms", "enrolled_at": "2026-11-22T09:30:00Z"}, {"method": "totp", "enrolled_at": "2026-11-22T09:31:00Z"},
            {"method": "recovery_code", "enrolled_at": "2026-11-22T09:31:00Z", "remaining": 9}
        ]})),
        O::MakeRecoveryCodes => one(json!({"recovery_codes": recovery_codes()})),
        O::VerifyCode => vec![
            (
                "authenticated",
                authenticated(&json!(["pwd", "otp", "sms", "mfa"]), "two-factor"),
            ),
            (
                "redirect",
                json!({
                    "status": "redirect", "redirect_uri": "https://portal.example/in?code=otc_…", "code": "otc_…", "expires_in": 60
                }),
            ),
            (
                "new_password_required",
                json!({"status": "new_password_required", "challenge": CHALLENGE, "expires_in": 600}),
            ),
        ],
        O::CreateLink => one(json!({
            "id": "link_01jd3v9h2rt6w8y0b3d5f7g9jk", "destination": "a••••••••@example.com", "expires_in": 3600
        })),
        O::RedeemLink => one(json!({
            "status": "second_factor_required", "challenge": CHALLENGE, "expires_in": 600,
            "methods": [{"method": "sms", "destination": "+1••••••••00"}]
        })),
        O::RedeemCode => one(authenticated(&json!(["otp", "sms", "mfa"]), "two-factor")),
        O::ForgetPassword => one(json!({"expires_in": 1800})),
        O::GetMe | O::PatchMe => one(json!({
            "id": USER, "account": ACCOUNT, "username": "ann@example.com", "kind": "external", "phone": "+1••••••••00", "phone_verified": true,
            "factors": [{"method": "sms", "destination": "+1••••••••00"}], "acr": "two-factor", "amr": ["pwd", "otp", "sms", "mfa"],
            "expires_at": "2026-11-22T09:45:00Z"
        })),
        O::ReadAudit => one(json!({"entries": [{
            "account": ACCOUNT, "subject": USER, "sequence": 3, "at": "2026-11-22T09:30:01Z", "action": "code-sent", "outcome": "success",
            "actor": USER, "source": "203.0.113.7",
            "details": {"method": "sms", "destination": "+1••••••••00", "reference": "KXTP"},
            "previous": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", "hash": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
        }], "next_cursor": "MTAw"})),
        O::ReportAgreement => one(report()),
        O::LinkReport => one(
            json!({"url": format!("https://sign.example.com/report/{AGREEMENT}#rpl_…"), "expires_in": 300}),
        ),
        O::TopUpQuota => one(json!({
            "id": TOPUP, "account": ACCOUNT, "transactions": 500, "reference": "order 2026-1138",
            "quota": {"available": 500, "reserved": 0, "consumed": 0, "purchased": 500}
        })),
        O::GetQuota => one(json!({
            "available": 480, "reserved": 3, "consumed": 17, "purchased": 500,
            "groups": [{"group": "mortgages", "reserved": 2, "consumed": 11}]
        })),
        O::ListQuotaEntries => one(json!({"entries": [
            {"id": format!("consume.{RECIPIENT}"), "kind": "consume", "transactions": 1, "agreement": AGREEMENT, "recipient": RECIPIENT,
             "group": "mortgages", "at": "2026-11-22T09:41:12Z"},
            {"id": format!("reserve.{AGREEMENT}"), "kind": "reserve", "transactions": 3, "agreement": AGREEMENT, "group": "mortgages",
             "at": "2026-11-22T09:32:07Z"},
            {"id": TOPUP, "kind": "topup", "transactions": 500, "reference": "order 2026-1138", "at": "2026-11-22T09:30:00Z"}
        ]})),
        O::OpenKbaSession => one(json!({
            "session": SESSION, "iframe_url": "https://kba.example/verify/8f1c", "expires_in": 600, "attempts_left": 3
        })),
        O::GetKbaSession => vec![
            ("pending", json!({"status": "pending", "attempts_left": 3})),
            (
                "failed for the last time",
                json!({"status": "failed", "attempts_left": 0, "closed": "agreement-closed"}),
            ),
            (
                "passed",
                json!({"status": "passed", "attempts_left": 3, "authenticated": {
                    "access_token": TOKEN, "token_type": "Bearer", "expires_in": 897, "amr": ["otp", "kba", "mfa"], "acr": "kba"
                }}),
            ),
        ],
        O::Health => one(json!({"status": "ok"})),
        O::ShowProblem => one(json!({
            "slug": "not-found", "title": Slug::NotFound.title(), "status": 404, "meaning": Slug::NotFound.meaning()
        })),
        O::Jwks => one(json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "sKq2m8x5t", "n": "xjlR4G0lQ0cWqk…", "e": "AQAB"
        }]})),
        O::Discovery => one(json!({
            "issuer": "https://id.example", "jwks_uri": "https://id.example/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["none"],
            "subject_types_supported": ["public"], "claims_supported": Claims::NAMES, "acr_values_supported": Acr::ALL
        })),
        O::OpenApi => one(json!({
            "openapi": "3.1.0", "info": {"title": "Countersign", "version": "1.0.0"}, "paths": {"/health": {"get": {"operationId": "health"}}}
        })),
        O::SignInPage | O::LinkPage | O::ReportPage | O::Asset => match types::answer(operation) {
            Some((content_type, _)) => one(form(operation, content_type)),
            None => Vec::new(),
        },
        O::DeleteApiKey
        | O::DeleteUser
        | O::ResetApp
        | O::RemoveApp
        | O::RemovePhone
        | O::RemoveMailbox
        | O::SetPassword
        | O::TakeKbaCallback => Vec::new(),
    }
}

/// An answer that is no JSON: its beginning, where it is a long one.
pub fn form(operation: O, content_type: &str) -> Value {
    let page = |title: &str| {
        json!(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n…"
        ))
    };
    match (operation, content_type) {
        (O::SignInPage, _) => page("Sign in · Countersign"),
        (O::LinkPage, _) => page("Continue with your link · Countersign"),
        (O::ShowProblem, _) => page(&format!("{} · Countersign", Slug::NotFound.title())),
        (O::ReportAgreement, "text/csv") => json!(format!(
            "record,sequence,time,action,actor,method,source,outcome,provider_token,details,previous,hash,recipient\r\n\
             entry,1,2026-11-22T09:30:00Z,agreement-sent,key_01jd3w2f6kq8m1x4t7r0w3y5ab,,203.0.113.7,success,,\
             \"{{\"\"title\"\":\"\"Lease, 12 Alder Street\"\"}}\",,{HASH},\r\n"
        )),
        (O::ReportAgreement, _) => page("Audit report: Lease, 12 Alder Street"),
        (O::ReportPage, _) => page("Audit report · Countersign"),
        (_, "text/css") => json!(":root {\n  color-scheme: light dark;\n…"),
        (_, "text/javascript") => json!("import { call } from \"./api.js\";\n…"),
        _ => json!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">…</svg>"),
    }
}

fn account(plan: &str) -> Value {
    json!({"id": ACCOUNT, "name": "Alder & Pine", "plan": plan, "created_at": "2026-11-22T09:30:00Z"})
}

fn user() -> Value {
    json!({
        "id": USER, "username": "ann@example.com", "name": "Ann Alder", "kind": "external", "email": "ann@example.com",
        "email_verified": false, "phone": "+12025550100", "phone_verified": true,
        "disabled": false, "created_at": "2026-11-22T09:30:00Z", "factors": ["sms", "email"],
        "locks": []
    })
}

/// The first two of ten.
fn recovery_codes() -> Value {
    json!([
        "7k3w-9q2m-x5t8-r4b6-y0ad-h1zc",
        "2m9e-c7tf-v4n0-s8gj-p6kx-q3hy"
    ])
}

fn authenticated(amr: &Value, acr: &str) -> Value {
    json!({"status": "authenticated", "access_token": TOKEN, "token_type": "Bearer", "expires_in": 900, "amr": amr, "acr": acr})
}

fn settings() -> Value {
    let mut settings = serde_json::to_value(settings::Settings::default()).unwrap_or_default();
    if let Some(members) = settings.as_object_mut() {
        members.insert("origins".into(), json!(["https://portal.example"]));
        members.insert("ip_allowlist".into(), json!(["203.0.113.0/24"]));
    }
    settings
}

fn report() -> Value {
    json!({
        "agreement": {
            "id": AGREEMENT, "account": ACCOUNT, "organisation": "Alder & Pine", "title": "Lease, 12 Alder Street", "group": "mortgages",
            "sender": {"email": "sales@alder.example", "name": "Robin Alder"}, "status": "out_for_signature",
            "sent_at": "2026-11-22T09:30:00Z", "expires_at": "2026-12-22T09:30:00Z"
        },
        "recipients": [{"id": RECIPIENT, "email": "ann@example.com", "name": "Ann Smith", "authentication": "kba", "status": "verified"}],
        "part": {"number": 1, "of": 1, "first": 1, "last": 1, "hash": HASH},
        "entries": [{
            "account": ACCOUNT, "subject": AGREEMENT, "sequence": 1, "at": "2026-11-22T09:30:00Z", "action": "agreement-sent",
            "outcome": "success", "actor": "key_01jd3w2f6kq8m1x4t7r0w3y5ab", "source": "203.0.113.7",
            "details": {"title": "Lease, 12 Alder Street"}, "previous": "", "hash": HASH
        }],
        "count": 1, "head": HASH, "issued_at": "2026-11-22T09:45:00Z",
        "signature": "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF1ZGl0LXJlcG9ydCtqd3QifQ.eyJjb3VudCI6MX0.c2lnbmF0dXJl"
    })
}

fn agreement(status: &str) -> Value {
    json!({
        "id": AGREEMENT, "title": "Lease, 12 Alder Street", "group": "mortgages",
        "sender": {"email": "sales@alder.example", "name": "Robin Alder"}, "status": status,
        "created_at": "2026-11-22T09:30:00Z", "expires_at": "2026-12-22T09:30:00Z", "recipients": [recipient()]
    })
}

fn recipient() -> Value {
    json!({
        "id": RECIPIENT, "email": "ann@example.com", "name": "Ann Smith", "country": "US", "authentication": "kba",
        "status": "pending", "viewing_locked": false
    })
}
