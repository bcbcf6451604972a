//! Secrets Manager, SNS and SES, as far as a bootstrap asks: the keyring is handed out, and what is sent is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::entropy::Entropy;
use shared::secret::Secret;
use tokio::net::TcpListener;

use crate::Fault;

/// The secret's name.
pub(crate) const SECRET: &str = "keyring";

/// The stand-in.
#[derive(Clone)]
pub(crate) struct Aws {
    pub endpoint: String,
    inside: Arc<Inside>,
}

struct Inside {
    keyring: Secret<String>,
    texts: Mutex<Vec<String>>,
    mails: Mutex<Vec<String>>,
    refusing: AtomicBool,
}

impl Aws {
    /// Starts it, with a keyring of its own.
    pub async fn start() -> Result<Self, Fault> {
        let keyring = shared::keyring::make(Clock::system().now(), &Entropy::system())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let inside =
            Arc::new(Inside { keyring, texts: Mutex::default(), mails: Mutex::default(), refusing: AtomicBool::new(false) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { endpoint, inside })
    }

    /// Whether the next text is refused.
    pub fn refuse_next(&self) {
        self.inside.refusing.store(true, Ordering::Relaxed);
    }

    /// The token of the link in the last mail that has one.
    pub fn last_link(&self) -> Result<String, Fault> {
        let mails = self.inside.mails.lock().unwrap_or_else(PoisonError::into_inner);
        let token =
            |text: &String| text.split_whitespace().find_map(|word| word.split_once("/link#").map(|(_, token)| token.to_owned()));
        mails.iter().rev().find_map(token).ok_or_else(|| "no link was mailed".into())
    }

    /// The code in the last text.
    pub fn last_code(&self) -> Result<String, Fault> {
        let texts = self.inside.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.last().ok_or("no text was sent")?;
        let run = text.rsplit(|letter: char| !letter.is_ascii_digit()).find(|run| run.len() >= 6);
        run.map(str::to_owned).ok_or_else(|| "the text has no code".into())
    }
}

async fn answer(State(inside): State<Arc<Inside>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if uri.path() == "/v2/email/outbound-emails" {
        let mail: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = mail.pointer("/Content/Simple/Body/Text/Data").and_then(Value::as_str).unwrap_or_default();
        inside.mails.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        return ([("content-type", "application/json")], json!({ "MessageId": "m" }).to_string()).into_response();
    }
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if target == "secretsmanager.GetSecretValue" {
        let value = json!({ "ARN": SECRET, "Name": SECRET, "VersionId": "bench", "SecretString": inside.keyring.expose() });
        return ([("content-type", "application/x-amz-json-1.1")], value.to_string()).into_response();
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    if field("Action").as_deref() == Some("Publish") {
        if inside.refusing.swap(false, Ordering::Relaxed) {
            let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>refused</Message></Error></ErrorResponse>";
            return (StatusCode::BAD_REQUEST, [("content-type", "text/xml")], xml).into_response();
        }
        inside.texts.lock().unwrap_or_else(PoisonError::into_inner).push(field("Message").unwrap_or_default());
        let xml = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId>\
                   </PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>";
        return ([("content-type", "text/xml")], xml).into_response();
    }
    (StatusCode::BAD_REQUEST, "this stand-in knows GetSecretValue, Publish and SendEmail").into_response()
}
