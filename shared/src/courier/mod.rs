//! SMS and mail: the messages, and the hands they are given to.

mod gsm7;
mod messages;

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sesv2::error::ProvideErrorMetadata as _;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_sns::types::MessageAttributeValue;

use crate::config::Config;

pub use messages::{CodeMessage, Mail};

/// The sender did not take the message. Why is in the log, without whom it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;

/// SES and SNS.
#[derive(Clone, Debug)]
pub struct Courier {
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    mail_from: Option<String>,
    configuration_set: Option<String>,
    sender_id: Option<String>,
}

impl Courier {
    /// A courier that sends as the deployment has it.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self {
            ses: aws_sdk_sesv2::Client::new(sdk),
            sns: aws_sdk_sns::Client::new(sdk),
            mail_from: config.mail_from.clone(),
            configuration_set: config.ses_configuration_set.clone(),
            sender_id: config.sms_sender_id.clone(),
        }
    }

    /// A courier over these clients.
    pub fn over(ses: aws_sdk_sesv2::Client, sns: aws_sdk_sns::Client, config: &Config) -> Self {
        Self {
            ses,
            sns,
            mail_from: config.mail_from.clone(),
            configuration_set: config.ses_configuration_set.clone(),
            sender_id: config.sms_sender_id.clone(),
        }
    }

    /// Sends a text, as SNS's transactional kind: it goes before promotions, and to those who take none.
    pub async fn text(&self, number: &str, text: &str) -> Result<(), NotSent> {
        let mut attributes = HashMap::from([("AWS.SNS.SMS.SMSType".to_owned(), attribute("Transactional")?)]);
        if let Some(sender) = &self.sender_id {
            attributes.insert("AWS.SNS.SMS.SenderID".into(), attribute(sender)?);
        }
        let request = self.sns.publish().phone_number(number).message(text).set_message_attributes(Some(attributes));
        let sent = request.send().await;
        sent.map(|_| ()).map_err(|error| not_sent("sns", error.code()))
    }

    /// Sends a mail.
    pub async fn mail(&self, address: &str, mail: &Mail) -> Result<(), NotSent> {
        let Some(from) = &self.mail_from else {
            tracing::error!("MAIL_FROM is not set");
            return Err(NotSent);
        };
        let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
        let message = Message::builder().subject(content(&mail.subject)?).body(body).build();
        let request = self
            .ses
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(address).build())
            .content(EmailContent::builder().simple(message).build())
            .set_configuration_set_name(self.configuration_set.clone());
        let sent = request.send().await;
        sent.map(|_| ()).map_err(|error| not_sent("ses", error.code()))
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, NotSent> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|_| not_sent("sns", Some("a message attribute could not be built")))
}

fn content(text: &str) -> Result<Content, NotSent> {
    Content::builder().data(text).charset("UTF-8").build().map_err(|_| not_sent("ses", Some("a message could not be built")))
}

/// The provider's message may name the destination; its code does not.
fn not_sent(service: &'static str, code: Option<&str>) -> NotSent {
    tracing::warn!(service, code = code.unwrap_or("no answer"), "a message was not taken");
    NotSent
}
