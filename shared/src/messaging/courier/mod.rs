//! SMS and mail: the messages, and the hands they are given to.

mod change;
mod code;
mod gsm7;
pub mod languages;
mod letter;
mod message;

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{self as ses, Body, Content, Destination, EmailContent, MessageTag};
use aws_sdk_sns::types::MessageAttributeValue;

use crate::kernel::config::Config;
use crate::kernel::ids::AccountId;
use crate::web::http::{Problem, Slug};

pub use code::{CodeMail, CodeMessage, CodePurpose, bound_to};
pub use languages::Language;
pub use letter::{CallToAction, Letter, Mail};
pub use message::{
    AgreementMail, ChangeMail, Changed, Invitation, LinkMail, LowBalance, Message, NotVerified,
    SealedLink, Stage,
};

/// The sender did not take the message, as far as we know. Why is in the log, without whom it was
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It was certainly not taken: the sender said so, or was not reached.
    Refused,
    /// There was no answer in time, it was lost, or it told of a fault of the sender's: the person
    /// may have the message.
    Unknown,
}

/// How often a message that was certainly not taken is handed over again, within the sender's time.
const ATTEMPTS: u32 = 3;
/// The wait before the second time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How long a sender may take in all while somebody waits for our answer. SES and SNS answer within
/// some hundred milliseconds, and within some seconds when they are slow; a person who waits longer
/// has closed the page.
pub const HURRIED: Duration = Duration::from_secs(6);
/// How long it may take where nobody waits. The longer this is, the fewer mails go twice: one that
/// was given up may have been taken.
pub const UNHURRIED: Duration = Duration::from_secs(20);

/// SES and SNS.
#[derive(Clone, Debug)]
pub struct Courier {
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    /// How long a message may take to be handed over.
    within: Duration,
    mail_from: Option<String>,
    configuration_set: Option<String>,
    sender_id: Option<String>,
}

impl Courier {
    /// A courier that sends as the deployment has it.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self::over(
            &aws_sdk_sesv2::Config::from(sdk),
            &aws_sdk_sns::Config::from(sdk),
            config,
        )
    }

    /// A courier over these services.
    ///
    /// The SDK repeats nothing here: a message whose answer was lost may have been taken, and would
    /// be sent twice.
    pub fn over(ses: &aws_sdk_sesv2::Config, sns: &aws_sdk_sns::Config, config: &Config) -> Self {
        Self {
            ses: ses_within(ses, HURRIED),
            sns: sns_within(sns, HURRIED),
            within: HURRIED,
            mail_from: config.mail_from.clone(),
            configuration_set: config.ses_configuration_set.clone(),
            sender_id: config.sms_sender_id.clone(),
        }
    }

    /// The same for where nobody waits: each message may take [`UNHURRIED`].
    #[must_use]
    pub fn unhurried(&self) -> Self {
        let (ses, sns) = (
            ses_within(self.ses.config(), UNHURRIED),
            sns_within(self.sns.config(), UNHURRIED),
        );
        Self {
            ses,
            sns,
            within: UNHURRIED,
            ..self.clone()
        }
    }

    /// Sends an SMS, as SNS's transactional kind: it goes before promotions, and to those who take
    /// none.
    pub async fn sms(&self, number: &str, text: &str) -> Result<(), NotSent> {
        let mut attributes = HashMap::from([(
            "AWS.SNS.SMS.SMSType".to_owned(),
            attribute("Transactional")?,
        )]);
        if let Some(sender) = &self.sender_id {
            attributes.insert("AWS.SNS.SMS.SenderID".into(), attribute(sender)?);
        }
        let request = self
            .sns
            .publish()
            .phone_number(number)
            .message(text)
            .set_message_attributes(Some(attributes));
        self.handed_over("sns", || request.clone().send()).await
    }

    /// Sends a mail in the name of `account`. The tag is how SES's events of bounces and complaints
    /// tell whose users they are about.
    pub async fn mail(
        &self,
        account: AccountId,
        address: &str,
        mail: &Mail,
    ) -> Result<(), NotSent> {
        let Some(from) = &self.mail_from else {
            tracing::error!("MAIL_FROM is not set; the mail was not sent; set MAIL_FROM");
            return Err(NotSent::Refused);
        };
        let body = Body::builder()
            .text(content(&mail.text)?)
            .html(content(&mail.html)?)
            .build();
        let message = ses::Message::builder()
            .subject(content(&mail.subject)?)
            .body(body)
            .build();
        let request = self
            .ses
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(address).build())
            .content(EmailContent::builder().simple(message).build())
            .email_tags(tag("account", &account)?)
            .set_configuration_set_name(self.configuration_set.clone());
        self.handed_over("ses", || request.clone().send()).await
    }

    /// Hands a message over within the time that there is. What is broken off by its end may have
    /// been taken.
    async fn handed_over<T, E, F>(
        &self,
        service: &'static str,
        send: impl Fn() -> F,
    ) -> Result<(), NotSent>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        tokio::time::timeout(self.within, attempts(service, send))
            .await
            .unwrap_or_else(|_| Err(told(NotSent::Unknown, service, Some("no answer in time"))))
    }
}

fn ses_within(config: &aws_sdk_sesv2::Config, within: Duration) -> aws_sdk_sesv2::Client {
    let config = config
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(within))
        .build();
    aws_sdk_sesv2::Client::from_conf(config)
}

fn sns_within(config: &aws_sdk_sns::Config, within: Duration) -> aws_sdk_sns::Client {
    let config = config
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(within))
        .build();
    aws_sdk_sns::Client::from_conf(config)
}

/// Every time-out that there is: one that is left out here is inherited from the configuration that
/// this is made of, and an attempt would have the two seconds that one at DynamoDB has. What is
/// slow would be taken for lost, and sent again.
fn timeouts(within: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .read_timeout(within)
        .operation_attempt_timeout(within)
        .operation_timeout(within)
        .build()
}

fn attribute(value: &str) -> Result<MessageAttributeValue, NotSent> {
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build();
    attribute.map_err(|_| not_sent("sns", Some("a message attribute could not be built")))
}

fn tag(name: &str, value: &impl ToString) -> Result<MessageTag, NotSent> {
    let tag = MessageTag::builder()
        .name(name)
        .value(value.to_string())
        .build();
    tag.map_err(|_| not_sent("ses", Some("a tag could not be built")))
}

fn content(text: &str) -> Result<Content, NotSent> {
    Content::builder()
        .data(text)
        .charset("UTF-8")
        .build()
        .map_err(|_| not_sent("ses", Some("a message could not be built")))
}

/// Hands a message over, again where it was certainly not taken and may be the next time.
async fn attempts<T, E, F>(service: &'static str, send: impl Fn() -> F) -> Result<(), NotSent>
where
    F: Future<Output = Result<T, SdkError<E>>>,
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut wait = FIRST_WAIT;
    for attempt in 1..=ATTEMPTS {
        let Err(error) = send().await else {
            return Ok(());
        };
        let (verdict, again) = read(&error);
        told(verdict, service, error.code());
        if !again || attempt == ATTEMPTS {
            return Err(verdict);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Err(NotSent::Refused)
}

/// Whether the message may have been taken, and whether it makes sense to hand it over again.
fn read<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> (NotSent, bool) {
    match error {
        SdkError::ServiceError(answer) => {
            let throttled = matches!(
                answer.err().code(),
                Some(
                    "Throttling"
                        | "ThrottlingException"
                        | "ThrottledException"
                        | "TooManyRequestsException"
                )
            );
            // What a sender says after a fault of its own tells nothing of what it did before.
            let unknown = !throttled && answer.raw().status().is_server_error();
            (
                if unknown {
                    NotSent::Unknown
                } else {
                    NotSent::Refused
                },
                throttled,
            )
        }
        SdkError::DispatchFailure(_) if was_not_reached(error) => (NotSent::Refused, true),
        SdkError::ConstructionFailure(_) => (NotSent::Refused, false),
        _ => (NotSent::Unknown, false),
    }
}

/// Whether no connection came about, so that nothing was written: the name has no address, nobody
/// listens or answers in time, or TLS was not agreed on. The client says which part of a call
/// failed; a time-out while the answer is read is another error.
fn was_not_reached(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    causes.any(|cause| {
        let refused = |io: &std::io::Error| io.kind() == std::io::ErrorKind::ConnectionRefused;
        cause
            .downcast_ref()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
            || cause.downcast_ref().is_some_and(refused)
    })
}

fn not_sent(service: &'static str, code: Option<&str>) -> NotSent {
    told(NotSent::Refused, service, code)
}

/// Tells what came of a message. The provider's own words may name the destination; its code does
/// not.
fn told(verdict: NotSent, service: &'static str, code: Option<&str>) -> NotSent {
    let code = code.unwrap_or("no answer");
    match verdict {
        NotSent::Refused => tracing::warn!(
            service,
            code,
            "message was rejected by SES or SNS; it was not sent; see the error code"
        ),
        NotSent::Unknown => tracing::warn!(
            service,
            code,
            "SES or SNS did not confirm a message; it may have been sent; see the error code"
        ),
    }
    verdict
}

impl From<NotSent> for Problem {
    fn from(_: NotSent) -> Self {
        Self::new(Slug::SenderUnavailable).header("retry-after", "5".into())
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sns::error::ErrorMetadata;
    use aws_sdk_sns::operation::publish::PublishError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;

    fn answered(status: u16, code: &str) -> (NotSent, bool) {
        let error = PublishError::generic(ErrorMetadata::builder().code(code).build());
        read(&SdkError::service_error(
            error,
            HttpResponse::new(status.try_into().unwrap(), SdkBody::empty()),
        ))
    }

    #[test]
    fn what_a_sender_says_after_its_own_fault_is_no_refusal_and_is_not_repeated() {
        assert_eq!(answered(500, "InternalError"), (NotSent::Unknown, false));
        assert_eq!(
            answered(503, "ServiceUnavailable"),
            (NotSent::Unknown, false)
        );
        // Turned away, whatever the status: nothing was done, and it may be the next time.
        for (status, code) in [
            (400, "Throttling"),
            (429, "TooManyRequestsException"),
            (503, "ThrottlingException"),
        ] {
            assert_eq!(answered(status, code), (NotSent::Refused, true), "{code}");
        }
        assert_eq!(answered(400, "InvalidParameter"), (NotSent::Refused, false));
        assert_eq!(
            answered(403, "AuthorizationError"),
            (NotSent::Refused, false)
        );
    }
}
