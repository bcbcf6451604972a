//! What was asked and answered, and what arrived in inboxes: all that a judge gets to see.
//!
//! Each call has two moments, when it was asked and when its answer came, and took effect somewhere
//! between, if it did. Where no answer came, or one of a fault, it may have taken effect then,
//! later, or not at all.

use std::net::IpAddr;

use local::{Channel, Mode, Service, Struck};
use serde_json::{Value, json};
use shared::kernel::clock::Timestamp;

/// A moment: its place among all moments of the history, and what the service's clock said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The place. No two are the same.
    pub tick: u64,
    /// The service's clock.
    pub at: Timestamp,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body: null where there was none, a text where it is no JSON.
    pub body: Value,
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place among the calls, from 0.
    pub number: usize,
    /// What kind of client asked.
    pub who: &'static str,
    /// The address that it came from.
    pub source: IpAddr,
    /// Whom or what it is about, as the client knows: the id of a user, of an agreement, of a
    /// recipient or of an account.
    pub about: Option<String>,
    /// The route: `POST /v1/login`.
    pub route: &'static str,
    /// Path and query.
    pub path: String,
    /// The `Idempotency-Key`, or the `webhook-id` of the provider's message.
    pub key: Option<String>,
    /// The body.
    pub body: Value,
    /// When it was asked.
    pub asked: Moment,
    /// When its answer came, or it was clear that none would.
    pub answered: Option<Moment>,
    /// The answer.
    pub answer: Option<Answer>,
    /// Whether who worked on it died.
    pub died: bool,
    /// What befell the calls of who worked on it.
    pub struck: Vec<Struck>,
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    /// How.
    pub channel: Channel,
    /// Whom it is to: a mail address or a phone number.
    pub to: String,
    /// A mail's subject.
    pub subject: Option<String>,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Moment,
    /// The call in which it was sent.
    pub call: Option<usize>,
}

/// All of it, each in the order of its beginning.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The requests.
    pub calls: Vec<Call>,
    /// The messages.
    pub mails: Vec<Mail>,
}

impl Call {
    /// A text in the request.
    pub fn sent(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer)?.as_str()
    }

    /// A text in the answer.
    pub fn told(&self, pointer: &str) -> Option<&str> {
        self.value(pointer)?.as_str()
    }

    /// Something in the answer.
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        self.answer.as_ref()?.body.pointer(pointer)
    }

    /// The answer's status; 0 where there is none.
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// What a refusal is called.
    pub fn slug(&self) -> &str {
        self.told("/type")
            .and_then(|kind| kind.rsplit('/').next())
            .unwrap_or_default()
    }

    /// Whether it is answered that it took effect.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Whether it is answered that it did not take effect.
    pub fn was_refused(&self) -> bool {
        (400..500).contains(&self.status())
    }

    /// Whether nobody can say that it did not take effect.
    pub fn may_have_succeeded(&self) -> bool {
        !self.was_refused()
    }

    /// What a sign-in has come to, of an answer that tells it: of a first factor that was set up,
    /// beside what else is told.
    pub fn leads_to(&self) -> &str {
        self.told("/status")
            .or_else(|| self.told("/authenticated/status"))
            .unwrap_or_default()
    }

    /// Whether it is answered that somebody is let in: signed in, handed on to a portal, or let set
    /// a password.
    pub fn lets_in(&self) -> bool {
        self.status() == 200
            && matches!(
                self.leads_to(),
                "authenticated" | "redirect" | "new_password_required"
            )
    }

    /// Whether its answer had come before `other` was asked.
    pub fn precedes(&self, other: &Self) -> bool {
        self.answered
            .is_some_and(|answered| answered.tick < other.asked.tick)
    }

    /// The latest that it took effect, by the service's clock, if it did and was answered.
    pub fn latest(&self) -> Timestamp {
        self.answered
            .map_or(Timestamp::from_millis(i64::MAX), |answered| answered.at)
    }

    /// Whether it could not finish what it had begun: who worked on it died, could not reach the
    /// table, or never learned what became of a message.
    pub fn was_cut_short(&self) -> bool {
        let cuts = |struck: &Struck| match (struck.service, struck.mode) {
            (Service::Dynamodb, mode) => struck.was_last && mode != Mode::Torn,
            // A relay cannot refuse a connection but by breaking it, which is no answer.
            (Service::Ses | Service::Sns, mode) => matches!(mode, Mode::Lost | Mode::Refused),
            (Service::Provider | Service::Issuer, _) => false,
        };
        self.died || self.struck.iter().any(cuts)
    }
}

impl Mail {
    /// The token of the link in it.
    pub fn link(&self) -> Option<&str> {
        self.text
            .split_whitespace()
            .find_map(|word| word.split_once("/link#").map(|(_, token)| token))
    }

    /// The code in it: the last run of digits, where that is as long as a code is.
    pub fn code(&self) -> Option<&str> {
        let last = self
            .text
            .rsplit(|letter: char| !letter.is_ascii_digit())
            .find(|run| !run.is_empty())?;
        let length = if self.channel == Channel::Sms { 6 } else { 8 };
        (last.len() == length && self.link().is_none()).then_some(last)
    }
}

impl History {
    /// A line of JSON for each call, and for each message: for whoever looks into a finding. It
    /// holds codes, tokens and passwords, all of them of a service that is gone.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let calls = self.calls.iter().map(|call| {
            json!({
                "call": call.number, "who": call.who, "source": call.source, "about": call.about, "route": call.route, "path": call.path,
                "key": call.key, "body": call.body, "asked": line_of(call.asked), "answered": call.answered.map(line_of),
                "status": call.status(), "answer": call.answer.as_ref().map(|answer| &answer.body), "died": call.died,
                "struck": call.struck.iter().map(|struck| format!("{struck:?}")).collect::<Vec<_>>(),
            })
        });
        let mails = self.mails.iter().map(|mail| {
            json!({"mail": mail.to, "subject": mail.subject, "text": mail.text, "at": line_of(mail.at), "call": mail.call})
        });
        calls.chain(mails).map(|line| line.to_string())
    }

    /// The calls of a route.
    pub fn of<'a>(&'a self, route: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.route == route)
    }

    /// The call in which a message was sent.
    pub fn sender_of(&self, mail: &Mail) -> Option<&Call> {
        self.calls.get(mail.call?)
    }
}

fn line_of(moment: Moment) -> Value {
    json!({"tick": moment.tick, "at": moment.at.to_rfc3339()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(channel: Channel, text: &str) -> Mail {
        let at = Moment {
            tick: 0,
            at: Timestamp::from_millis(0),
        };
        Mail {
            channel,
            to: String::new(),
            subject: None,
            text: text.into(),
            at,
            call: None,
        }
    }

    #[test]
    fn a_message_has_a_code_or_a_link_or_neither() {
        let text = mail(
            Channel::Sms,
            "123456 is your code (KXTP).\n@sign.example #123456",
        );
        assert_eq!((text.code(), text.link()), (Some("123456"), None));
        let letter = mail(
            Channel::Email,
            "Open https://sign.example/link#lnk_12345678\nwithin 60 minutes",
        );
        assert_eq!((letter.code(), letter.link()), (None, Some("lnk_12345678")));
        assert_eq!(
            mail(Channel::Email, "Your password was changed.").code(),
            None
        );
    }
}
