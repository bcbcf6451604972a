//! Requests, their bodies, and the provider's callbacks.

use lambda_http::Request;
use lambda_http::http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use shared::account::{Overrides, Plan, Terms};
use shared::agreement::kba::webhook::{Headers, Secrets, TOLERANCE};
use shared::agreement::kba::{Answer, Outcome};
use shared::kernel::client_ip::TrustedProxies;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::UserId;
use shared::kernel::json;
use shared::kernel::secret::Secret;
use shared::web::http::accept::quality;
use shared::web::http::{Body, Call, Problem, cursor};
use shared::web::idempotency::IdempotencyKey;

use crate::lines;

/// A request as it comes over the wire: a line with the query, lines with headers, an empty line,
/// the body. It comes from one of our own proxies.
pub fn event(bytes: &[u8]) {
    let Some(call) = call(bytes) else {
        return;
    };
    assert_eq!(call.client_ip, call.client_ip.to_canonical());
    if let Ok(credential) = call.bearer() {
        assert!(!credential.expose().trim().is_empty());
    }
    if let Ok(Some(after)) = cursor::of::<UserId>(&call) {
        assert_eq!(call.query("cursor"), Some(cursor::after(after).as_str()));
    }
    if let Ok(Some(key)) = IdempotencyKey::of(&call, "acc_1") {
        assert_eq!(key.record().noun(), "IDEMPOTENCY");
    }
    let accept = call.header("accept").unwrap_or_default();
    assert!(quality(accept, "text", "csv") <= 1000);
    refused(call.only_query(&["cursor", "account"]));
    refused(call.if_match());
    refused(call.no_body());
    refused(call.document());
    refused(call.merge_patch());
}

/// A refusal is a problem whatever it is made of: JSON of a few lines.
fn refused<T>(read: Result<T, Problem>) {
    let Err(problem) = read else {
        return;
    };
    let reply = problem.into_reply("request");
    let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
    assert_eq!(body["status"], reply.status());
    assert!(reply.body().len() < 64 * 1024);
}

fn call(bytes: &[u8]) -> Option<Call> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let mut head = lines(head).into_iter();
    let query = head.next().unwrap_or_default();
    // The runtime's own reader panics on what no URI may have, which its caller catches and answers
    // with a 500; a browser and API Gateway send no such thing.
    let _: Uri = format!("https://example.com/?{query}").parse().ok()?;
    let headers: Map<String, Value> = head
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().into()))
        })
        .collect();
    let event = json!({
        "version": "2.0", "routeKey": "POST /v1/codes", "rawPath": "/v1/codes",
        "rawQueryString": query, "headers": headers, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "example.com", "domainPrefix": "a",
            "requestId": "r", "stage": "$default", "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_i64, "routeKey": "POST /v1/codes",
            "http": {
                "method": "POST", "path": "/v1/codes", "protocol": "HTTP/1.1",
                "sourceIp": "10.0.0.1", "userAgent": "",
            },
        },
    });
    let mut request: Request = lambda_http::request::from_str(&event.to_string()).ok()?;
    let proxies = TrustedProxies::read("10.0.0.0/8");
    request.extensions_mut().insert(proxies);
    let body = body.strip_prefix(b"\n\n").unwrap_or(body);
    *request.body_mut() = lambda_http::Body::Binary(body.to_vec());
    Call::new(request, Timestamp::default()).ok()
}

/// A JSON body, as each route reads it.
pub fn body(bytes: &[u8]) {
    let Ok(value) = json::read(bytes) else {
        return;
    };
    for read in [
        of::<accounts::CreateAccount>,
        of::<accounts::PatchAccount>,
        of::<accounts::CreateApiKey>,
        of::<agreements::SendAgreement>,
        of::<agreements::PatchRecipient>,
        of::<agreements::CancelAgreement>,
        of::<code_issue::Request>,
        of::<code_verify::Request>,
        of::<factors::EnrolApp>,
        of::<factors::ConfirmApp>,
        of::<factors::EnrolPhone>,
        of::<factors::EnrolMailbox>,
        of::<factors::ConfirmPhone>,
        of::<factors::ConfirmMailbox>,
        of::<factors::PatchMe>,
        of::<kba_session::Request>,
        of::<link_redeem::Request>,
        of::<links::Request>,
        of::<login::Request>,
        of::<password::ForgottenPassword>,
        of::<password::SetPassword>,
        of::<quota_topup::Request>,
        of::<tokens::Request>,
        of::<users::CreateUser>,
        of::<users::PatchUser>,
    ] {
        read(value.clone());
    }
}

fn of<T: DeserializeOwned>(value: Value) {
    refused(Body::read::<T>(value));
}

/// A JSON Merge Patch of settings: taken whole or refused whole, and what was taken is taken again
/// and changes nothing more.
pub fn settings(bytes: &[u8]) {
    let Ok(patch) = json::read(bytes) else {
        return;
    };
    let terms = Terms {
        plan: Plan::Business,
        local: false,
    };
    let none = Overrides::default();
    match none.patched(&patch, terms) {
        Ok((set, settings)) => {
            assert_eq!(set.settings().as_ref(), Ok(&settings));
            assert_eq!(set.patched(&patch, terms), Ok((set, settings)));
        }
        Err(invalid) => refused::<()>(Err(invalid.into())),
    }
    if let Ok((group, settings)) = none.patched_in(&none, &patch, terms) {
        assert_eq!(none.settings_with(&group), Ok(settings));
    }
}

/// What the provider says of a session: a token is a pass's, and nothing else's.
pub fn callback(bytes: &[u8]) {
    let Ok(value) = json::read(bytes) else {
        return;
    };
    match Answer::read(value) {
        Ok(answer) => {
            assert_eq!(answer.token.is_some(), answer.outcome == Outcome::Passed);
            assert!(!answer.ended_at.to_rfc3339().is_empty());
        }
        Err(problem) => refused::<()>(Err(problem)),
    }
}

/// A message of Standard Webhooks: three lines of headers, then the body. What is genuine was sent
/// within the tolerance, and says who it is.
pub fn webhook(bytes: &[u8]) {
    /// When the specification's own example was sent.
    const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_000);
    let text = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let Some(secrets) = Secrets::read([&text]) else {
        unreachable!("it is a secret of 24 bytes");
    };
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut header = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (id, timestamp, signature) = (header(), header(), header());
    let headers = Headers {
        id: &id,
        timestamp: &timestamp,
        signature: &signature,
    };
    let body = parts.next().unwrap_or_default();
    if let Ok(genuine) = secrets.verify(headers, body, NOW) {
        let apart = genuine.sent_at.as_secs() - NOW.as_secs();
        assert!(apart.abs() <= TOLERANCE.as_secs());
        assert!(!id.is_empty());
    }
    // What may be signed with is read from a list of the deployment's own.
    let listed: Vec<Secret<String>> = lines(bytes).into_iter().map(Secret::new).collect();
    let _ = Secrets::read(&listed);
}
