//! SES v2's `SendEmail`: JSON over REST.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Channel, Desk, Message, trace};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    content: Option<EmailContent>,
    #[serde(default)]
    email_tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailContent {
    simple: Option<Simple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Content,
    body: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Content>,
    html: Option<Content>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    data: String,
}

/// Takes a mail: one message for each of its destinations, of which SES takes 50.
pub(super) async fn send_email(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match messages(&body, &desk.now()) {
        Ok(messages) => {
            desk.outbox
                .take(messages.into_iter().map(|message| Message {
                    trace: trace(&headers),
                    ..message
                }));
            Json(json!({ "MessageId": desk.message_id() })).into_response()
        }
        Err(reason) => {
            let kind = [("x-amzn-errortype", "BadRequestException")];
            (
                StatusCode::BAD_REQUEST,
                kind,
                Json(json!({ "message": reason })),
            )
                .into_response()
        }
    }
}

fn messages(body: &[u8], at: &str) -> Result<Vec<Message>, String> {
    let request: SendEmail = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let from = request
        .from_email_address
        .ok_or("FromEmailAddress is required")?;
    let simple = request
        .content
        .and_then(|content| content.simple)
        .ok_or("Content.Simple is required")?;
    let Destination { to, cc, bcc } = request.destination;
    let to = [to, cc, bcc].concat();
    if to.is_empty() || to.len() > 50 {
        return Err("A message has 1 to 50 destinations".into());
    }
    if !std::iter::once(&from)
        .chain(&to)
        .all(|address| is_address(address))
    {
        return Err("Missing final '@domain'".into());
    }
    if simple.subject.data.contains(['\r', '\n']) {
        return Err("A subject is one line".into());
    }
    let tags = request
        .email_tags
        .into_iter()
        .map(|Tag { name, value }| (name, value))
        .collect::<BTreeMap<_, _>>();
    if !tags
        .iter()
        .flat_map(|(name, value)| [name, value])
        .all(|text| is_tag(text))
    {
        return Err("A tag has 1 to 256 ASCII letters, digits, underscores and dashes".into());
    }
    let html = simple.body.html.map(|content| content.data);
    let text = simple.body.text.map(|content| content.data);
    if text.is_none() && html.is_none() {
        return Err("Content.Simple.Body needs Text or Html".into());
    }
    let message = |to| Message {
        channel: Channel::Email,
        to,
        from: Some(from.clone()),
        subject: Some(simple.subject.data.clone()),
        text: text.clone().unwrap_or_default(),
        html: html.clone(),
        sms_type: None,
        tags: tags.clone(),
        at: at.to_owned(),
        trace: None,
    };
    Ok(to.into_iter().map(message).collect())
}

/// A tag's name or value, as SES takes them.
fn is_tag(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// As far as SES looks: `local@domain`, perhaps in `Name <...>`.
fn is_address(text: &str) -> bool {
    let address = text
        .rsplit_once('<')
        .map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let parts = address.rsplit_once('@');
    parts.is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn mail() -> Value {
        json!({
            "FromEmailAddress": "Countersign <no-reply@countersign.example>",
            "Destination": { "ToAddresses": ["ann@example.com", "ben@example.com"] },
            "EmailTags": [{ "Name": "account", "Value": "acc_1" }],
            "Content": { "Simple": {
                "Subject": { "Data": "Your code", "Charset": "UTF-8" },
                "Body": { "Text": { "Data": "12345678" }, "Html": { "Data": "<b>12345678</b>" } },
            } },
        })
    }

    fn taken(mail: &Value) -> Result<Vec<Message>, String> {
        messages(mail.to_string().as_bytes(), "2026-11-01T00:00:00Z")
    }

    #[test]
    fn a_mail_is_one_message_for_each_destination() {
        let messages = taken(&mail()).unwrap();
        assert_eq!(
            messages
                .iter()
                .map(|message| message.to.as_str())
                .collect::<Vec<_>>(),
            ["ann@example.com", "ben@example.com"]
        );
        assert_eq!(messages[0].subject.as_deref(), Some("Your code"));
        assert_eq!(messages[0].html.as_deref(), Some("<b>12345678</b>"));
    }

    #[test]
    fn a_mail_that_ses_would_refuse_is_refused() {
        for (pointer, value) in [
            ("/FromEmailAddress", Value::Null),
            ("/FromEmailAddress", json!("nobody")),
            ("/Destination/ToAddresses", json!([])),
            ("/Destination/ToAddresses/0", json!("ann")),
            ("/EmailTags/0/Value", json!("acc 1")),
            ("/Content/Simple", Value::Null),
            ("/Content/Simple/Body", json!({})),
            (
                "/Content/Simple/Subject/Data",
                json!("a\r\nBcc: eve@example.com"),
            ),
        ] {
            let mut mail = mail();
            *mail.pointer_mut(pointer).unwrap() = value;
            assert!(taken(&mail).is_err(), "{pointer}");
        }
    }
}
