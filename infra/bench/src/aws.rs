//! Secrets Manager, SNS and SES, as far as a bootstrap asks: secrets are handed out, and what is
//! sent is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::kernel::secret::Secret;
use tokio::net::TcpListener;

use crate::Fault;

/// The secret that holds the keyring.
pub(crate) const SECRET: &str = "keyring";
/// The secret that the KBA provider knows us by.
pub(crate) const PROVIDER_API: &str = "provider-api";
/// The secret that holds what the KBA provider signs with.
pub(crate) const PROVIDER_WEBHOOK: &str = "provider-webhook";

/// The stand-in.
#[derive(Clone)]
pub(crate) struct Aws {
    pub endpoint: String,
    inside: Arc<Inside>,
}

struct Inside {
    secrets: Mutex<BTreeMap<&'static str, Secret<String>>>,
    texts: Mutex<Vec<String>>,
    mails: Mutex<Vec<Mail>>,
    refusing: AtomicBool,
    refusing_mails: AtomicBool,
}

/// A mail that was taken for sending.
struct Mail {
    to: String,
    text: String,
}

impl Aws {
    /// Starts it, with a keyring of its own.
    pub async fn start() -> Result<Self, Fault> {
        let keyring = shared::kernel::keyring::make(Clock::system().now(), &Entropy::system())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let secrets = Mutex::new(BTreeMap::from([(SECRET, keyring)]));
        let (texts, mails, refusing, refusing_mails) = Default::default();
        let inside = Arc::new(Inside {
            secrets,
            texts,
            mails,
            refusing,
            refusing_mails,
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inside));
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { endpoint, inside })
    }

    /// Keeps a secret, as an engineer puts it there by hand.
    pub fn keep_secret(&self, id: &'static str, value: Secret<String>) {
        lock(&self.inside.secrets).insert(id, value);
    }

    /// A secret that is kept here.
    pub fn secret(&self, id: &str) -> Result<String, Fault> {
        let secrets = lock(&self.inside.secrets);
        secrets
            .get(id)
            .map(|secret| secret.expose().clone())
            .ok_or_else(|| format!("there is no secret {id}").into())
    }

    /// Refuses every mail from now on, or none.
    pub fn refuse_mails(&self, refused: bool) {
        self.inside.refusing_mails.store(refused, Ordering::Relaxed);
    }

    /// Whether the next text is refused.
    pub fn refuse_next(&self) {
        self.inside.refusing.store(true, Ordering::Relaxed);
    }

    /// The token of the link in the last mail that has one.
    pub fn last_link(&self) -> Result<String, Fault> {
        self.link(|_| true)
    }

    /// The same, of a mail to `address`.
    pub fn last_link_to(&self, address: &str) -> Result<String, Fault> {
        self.link(|mail| mail.to == address)
    }

    fn link(&self, fits: impl Fn(&Mail) -> bool) -> Result<String, Fault> {
        let mails = lock(&self.inside.mails);
        let token = |mail: &Mail| {
            mail.text
                .split_whitespace()
                .find_map(|word| word.split_once("/link#").map(|(_, token)| token.to_owned()))
        };
        mails
            .iter()
            .rev()
            .filter(|mail| fits(mail))
            .find_map(token)
            .ok_or_else(|| "no link was mailed".into())
    }

    /// The code in the last text.
    pub fn last_code(&self) -> Result<String, Fault> {
        let texts = lock(&self.inside.texts);
        let text = texts.last().ok_or("no text was sent")?;
        let run = text
            .rsplit(|letter: char| !letter.is_ascii_digit())
            .find(|run| run.len() >= 6);
        run.map(str::to_owned)
            .ok_or_else(|| "the text has no code".into())
    }
}

async fn answer(
    State(inside): State<Arc<Inside>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() == "/v2/email/outbound-emails" {
        if inside.refusing_mails.load(Ordering::Relaxed) {
            let refused = [
                ("content-type", "application/json"),
                ("x-amzn-errortype", "SendingPausedException"),
            ];
            return (
                StatusCode::BAD_REQUEST,
                refused,
                json!({ "message": "refused" }).to_string(),
            )
                .into_response();
        }
        let mail: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |pointer: &str| {
            mail.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mail = Mail {
            to: text("/Destination/ToAddresses/0"),
            text: text("/Content/Simple/Body/Text/Data"),
        };
        lock(&inside.mails).push(mail);
        return (
            [("content-type", "application/json")],
            json!({ "MessageId": "m" }).to_string(),
        )
            .into_response();
    }
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if target == "secretsmanager.GetSecretValue" {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = request
            .get("SecretId")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let secret = lock(&inside.secrets)
            .get(id)
            .map(|secret| secret.expose().clone());
        let Some(secret) = secret else {
            let missing = json!({ "__type": "ResourceNotFoundException", "message": "there is no such secret" }).to_string();
            return (
                StatusCode::BAD_REQUEST,
                [("content-type", "application/x-amz-json-1.1")],
                missing,
            )
                .into_response();
        };
        let value = json!({ "ARN": id, "Name": id, "VersionId": "bench", "SecretString": secret });
        return (
            [("content-type", "application/x-amz-json-1.1")],
            value.to_string(),
        )
            .into_response();
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.clone())
    };
    if field("Action").as_deref() == Some("Publish") {
        if inside.refusing.swap(false, Ordering::Relaxed) {
            let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>refused</Message></Error></ErrorResponse>";
            return (StatusCode::BAD_REQUEST, [("content-type", "text/xml")], xml).into_response();
        }
        lock(&inside.texts).push(field("Message").unwrap_or_default());
        let xml = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId>\
                   </PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>";
        return ([("content-type", "text/xml")], xml).into_response();
    }
    (
        StatusCode::BAD_REQUEST,
        "this stand-in knows GetSecretValue, Publish and SendEmail",
    )
        .into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
