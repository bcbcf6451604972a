//! The demo account: made on the first start through the API itself, as an operator would make one.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::kernel::secret::Secret;

use crate::StartError;
use crate::event::Incoming;
use crate::gateway::Gateway;

/// All scopes that an account's key can have.
const SCOPES: [&str; 7] = [
    "settings:write",
    "users:write",
    "agreements:write",
    "links:write",
    "tokens:redeem",
    "audit:read",
    "quota:read",
];
/// How many transactions of knowledge-based authentication are bought.
const TRANSACTIONS: u32 = 100;
/// It guards nothing but this machine's demo.
const PASSWORD: &str = "correct horse battery";

/// A ready-made account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    /// The account's id.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: String,
    /// An API key with every scope of the account.
    pub api_key: String,
    /// Its users.
    pub users: Vec<DemoUser>,
    /// The password of each of them.
    pub password: String,
}

/// A user of the demo account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoUser {
    /// What they sign in with.
    pub username: String,
    /// `internal` or `external`.
    pub kind: String,
    /// Where SMS go.
    pub phone: String,
    /// Where mails go.
    pub email: String,
}

/// Makes the account, its key and its users.
pub(crate) async fn make(gateway: &Gateway, operator: &Secret<String>) -> Result<Demo, StartError> {
    let caller = Caller { gateway, operator };
    let (name, plan) = ("Alder & Pine", "business");
    let made = caller
        .send(
            Method::POST,
            "/v1/accounts",
            &json!({ "name": name, "plan": plan }),
        )
        .await?;
    let account = text(&made, "id")?;
    let methods =
        json!({ "second_factor": { "methods": { "email": true } }, "kba": { "enabled": true } });
    caller
        .send(
            Method::PATCH,
            &format!("/v1/settings?account={account}"),
            &methods,
        )
        .await?;
    let bought = json!({ "account": account, "transactions": TRANSACTIONS, "reference": "demo" });
    caller
        .send(Method::POST, "/v1/quota/topups", &bought)
        .await?;
    let key = json!({ "name": "Demo", "scopes": SCOPES });
    let made = caller
        .send(
            Method::POST,
            &format!("/v1/accounts/{account}/api-keys"),
            &key,
        )
        .await?;
    let api_key = text(&made, "key")?;
    let users = [
        DemoUser::new("ann", "external", "+12025550123"),
        DemoUser::new("ben", "internal", "+12025550124"),
    ];
    for DemoUser {
        username,
        kind,
        phone,
        email,
    } in &users
    {
        let user = json!({ "username": username, "kind": kind, "phone": phone, "email": email, "password": PASSWORD });
        caller
            .send(Method::POST, &format!("/v1/users?account={account}"), &user)
            .await?;
    }
    Ok(Demo {
        account,
        name: name.into(),
        plan: plan.into(),
        api_key,
        users: users.into(),
        password: PASSWORD.into(),
    })
}

impl DemoUser {
    fn new(username: &str, kind: &str, phone: &str) -> Self {
        let email = format!("{username}@example.com");
        Self {
            username: username.into(),
            kind: kind.into(),
            phone: phone.into(),
            email,
        }
    }
}

/// The operator, at the API.
struct Caller<'a> {
    gateway: &'a Gateway,
    operator: &'a Secret<String>,
}

impl Caller<'_> {
    async fn send(&self, method: Method, uri: &str, body: &Value) -> Result<Value, StartError> {
        let failed = |why: String| StartError::Demo(format!("{method} {uri}: {why}"));
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.operator.expose()));
        let headers = HeaderMap::from_iter([
            (HOST, HeaderValue::from_static("127.0.0.1")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (
                AUTHORIZATION,
                bearer.map_err(|error| failed(error.to_string()))?,
            ),
            (
                HeaderName::from_static("idempotency-key"),
                HeaderValue::from_static("demo"),
            ),
        ]);
        let incoming = Incoming {
            method: method.clone(),
            uri: Uri::try_from(uri).map_err(|error| failed(error.to_string()))?,
            headers,
            body: body.to_string().into(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let (parts, body) = self.gateway.answer(incoming).await.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?
            .to_bytes();
        if !parts.status.is_success() {
            return Err(failed(format!(
                "{} {}",
                parts.status,
                String::from_utf8_lossy(&body)
            )));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}

fn text(answer: &Value, field: &str) -> Result<String, StartError> {
    let found = answer.get(field).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| StartError::Demo(format!("an answer is without `{field}`")))
}
