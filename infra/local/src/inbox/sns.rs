//! SNS's `Publish` to a phone number: the query protocol, form-encoded in and XML out.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Channel, Desk, Message, trace};
use crate::refusals::sns_error;

/// The longest message that SNS takes for a phone, in characters.
const MESSAGE_MAX: usize = 1600;

/// Carries out the action that the form names.
pub(super) async fn act(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    match message(&form, desk.now()) {
        Ok(message) => {
            desk.outbox.take([Message {
                trace: trace(&headers),
                ..message
            }]);
            xml(
                StatusCode::OK,
                published(&desk.message_id(), &desk.message_id()),
            )
        }
        Err((code, reason)) => xml(StatusCode::BAD_REQUEST, sns_error(code, reason)),
    }
}

fn message(
    form: &HashMap<String, String>,
    at: String,
) -> Result<Message, (&'static str, &'static str)> {
    if form.get("Action").map(String::as_str) != Some("Publish") {
        return Err(("InvalidAction", "Only Publish is known here"));
    }
    let to = form.get("PhoneNumber").ok_or((
        "InvalidParameter",
        "Invalid parameter: PhoneNumber is required here",
    ))?;
    if !is_e164(to) {
        return Err((
            "InvalidParameter",
            "Invalid parameter: PhoneNumber Reason: it is not valid to publish to",
        ));
    }
    let text = form.get("Message").filter(|text| !text.is_empty());
    let text = text.ok_or(("InvalidParameter", "Invalid parameter: Empty message"))?;
    if text.chars().count() > MESSAGE_MAX {
        return Err(("InvalidParameter", "Invalid parameter: Message too long"));
    }
    let sms_type = attribute(form, "AWS.SNS.SMS.SMSType");
    if sms_type
        .as_deref()
        .is_some_and(|kind| kind != "Transactional" && kind != "Promotional")
    {
        return Err((
            "InvalidParameter",
            "Invalid parameter: SMSType must be Transactional or Promotional",
        ));
    }
    let from = attribute(form, "AWS.SNS.SMS.SenderID");
    let (to, text) = (to.clone(), text.clone());
    Ok(Message {
        channel: Channel::Sms,
        to,
        from,
        subject: None,
        text,
        html: None,
        sms_type,
        tags: BTreeMap::new(),
        at,
        trace: None,
    })
}

/// The value of `MessageAttributes.entry.N` whose name is `name`.
fn attribute(form: &HashMap<String, String>, name: &str) -> Option<String> {
    let (key, _) = form
        .iter()
        .find(|(key, value)| key.starts_with("MessageAttributes.entry.") && *value == name)?;
    form.get(&format!("{}.Value.StringValue", key.strip_suffix(".Name")?))
        .cloned()
}

fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn published(message_id: &str, request_id: &str) -> String {
    format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{message_id}</MessageId>\
         </PublishResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></PublishResponse>"
    )
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(change: &[(&str, &str)]) -> HashMap<String, String> {
        let text = [
            ("Action", "Publish"),
            ("PhoneNumber", "+12025550123"),
            ("Message", "123456 is your code"),
            ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SenderID"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "Alder"),
            ("MessageAttributes.entry.2.Name", "AWS.SNS.SMS.SMSType"),
            ("MessageAttributes.entry.2.Value.DataType", "String"),
            (
                "MessageAttributes.entry.2.Value.StringValue",
                "Transactional",
            ),
        ];
        text.iter()
            .chain(change)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_text_keeps_its_kind_and_its_sender() {
        let message = message(&form(&[]), "2026-11-01T00:00:00Z".into()).unwrap();
        assert_eq!(
            (message.to.as_str(), message.from.as_deref()),
            ("+12025550123", Some("Alder"))
        );
        assert_eq!(message.sms_type.as_deref(), Some("Transactional"));
    }

    #[test]
    fn a_text_that_sns_would_refuse_is_refused() {
        for change in [
            ("Action", "Subscribe"),
            ("PhoneNumber", "2025550123"),
            ("PhoneNumber", "+1 202 555 0123"),
            ("PhoneNumber", "+0025550123"),
            ("Message", ""),
            ("MessageAttributes.entry.2.Value.StringValue", "Urgent"),
        ] {
            assert!(
                message(&form(&[change]), String::new()).is_err(),
                "{change:?}"
            );
        }
    }
}
