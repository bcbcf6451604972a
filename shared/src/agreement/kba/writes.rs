//! What an answer comes to, as one transaction: the message's id, the session, the recipient, the
//! agreement with its audit entries, the ledger, and the message for the outbox. Each write repeats
//! as its condition what the rule looked at: the recipient's version as well where nothing becomes
//! of the recipient.

use std::net::IpAddr;

use super::callback::Answer;
use super::rules::{Effect, NoEffect};
use super::session::{Session, Status};
use super::webhook::{MessageId, REMEMBERED};
use crate::agreement::{Agreement, Closure, Recipient, Standing};
use crate::kernel::clock::{Span, Timestamp};
use crate::ledger::{EntryId, Hold, plan};
use crate::messaging::courier::{Message, NotVerified};
use crate::messaging::outbox::{self, Mail, OutboxMessage};
use crate::signin::challenge;
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Key, Put, Update, Write, keys};

/// For how long it is tried to tell a sender that an agreement was cancelled on account of a
/// recipient: nobody else is told.
const NOTICE_FOR: Span = Span::days(30);

/// An answer, and what it was decided over.
#[derive(Clone, Debug)]
pub struct CallbackCase<'a> {
    /// The message it came with.
    pub message: &'a MessageId,
    /// What the provider said.
    pub answer: &'a Answer,
    /// Where it came from.
    pub client_ip: IpAddr,
    /// The session.
    pub session: &'a Session,
    /// The agreement, and the session's recipient.
    pub standing: &'a Standing,
    /// The transactions that are reserved for the agreement's other recipients: they matter where
    /// it is cancelled.
    pub others: &'a [Hold],
    /// When it came.
    pub now: Timestamp,
}

impl CallbackCase<'_> {
    /// The transaction.
    pub fn writes(&self, effect: Effect) -> Result<Vec<Write>, Failure> {
        let mut writes = vec![self.seen()?.into()];
        writes.extend(self.session_update(effect).map(Write::from));
        writes.extend(self.standing_writes(effect)?);
        writes.extend(self.ledger(effect)?);
        if let Effect::Cancel(attempts) = effect {
            let id = mail_id(self.agreement());
            writes.push(outbox::standalone(&id, self.mail(attempts), self.now)?.into());
        }
        Ok(writes)
    }

    /// The key of the message to the sender.
    pub fn mail_key(&self) -> Key {
        keys::outbox(&mail_id(self.agreement()))
    }

    const fn agreement(&self) -> &Agreement {
        self.standing.agreement()
    }

    const fn recipient(&self) -> &Recipient {
        self.standing.recipient()
    }

    /// What becomes of the agreement and the recipient, with the entries that tell of it.
    fn standing_writes(&self, effect: Effect) -> Result<Vec<Write>, Failure> {
        let events = self.events(effect);
        // That a session was answered before stands on the session alone, and for ever.
        if let Effect::Nothing(NoEffect::AnsweredBefore) = effect {
            return self.standing.tell(events, self.now);
        }
        let recipient = match effect.attempts() {
            Some(attempts) => self.recipient_update(effect, attempts)?,
            None => self.standing.unchanged(),
        };
        match effect {
            Effect::Cancel(attempts) => {
                self.standing
                    .end(&self.closure(attempts), recipient, events, self.now)
            }
            _ => self.standing.step(recipient, events, self.now),
        }
    }

    /// How the last attempt ends the agreement.
    fn closure(&self, attempts: u32) -> Closure {
        Closure {
            at: self.now,
            reason: Some(reason(attempts)),
            recipient: Some(self.recipient().id),
            by: None,
        }
    }

    /// Whether a transaction failed because the message was taken before: at the same moment, or
    /// before an answer that was lost.
    pub fn was_taken(&self, failure: &Failure) -> bool {
        failure.stood_at(&self.message_key()).is_some()
    }

    fn message_key(&self) -> Key {
        keys::webhook(&self.message.about(self.session.id))
    }

    fn seen(&self) -> Result<Put, Failure> {
        let seen = serde_json::json!({ "session": self.session.id });
        Ok(Put::create(self.message_key(), &seen)?.due(self.now.plus(REMEMBERED)))
    }

    /// The session keeps the first answer it has, whatever that comes to.
    fn session_update(&self, effect: Effect) -> Option<Update> {
        let status = match effect {
            Effect::Nothing(NoEffect::AnsweredBefore) => return None,
            _ if !self.session.is_latest(self.recipient()) => Status::Superseded,
            // It was waited for when nothing could come of it any more, or was over too late.
            Effect::Nothing(_) => Status::Expired,
            _ => self.answer.outcome.into(),
        };
        Some(self.session.answer(self.answer.outcome, status, self.now))
    }

    fn recipient_update(&self, effect: Effect, attempts: u32) -> Result<Update, Failure> {
        let recipient = self.recipient();
        let update = Recipient::count_failed_session(self.standing.update(), attempts);
        let update = match self.consumes(effect) {
            Some(_) => Recipient::consume(update),
            None => update,
        };
        Ok(match effect {
            Effect::Pass => {
                self.close_challenge(recipient.pass_session(update, self.session.number))?
            }
            Effect::Cancel(_) => Recipient::fail(update),
            Effect::Lock(_) => Recipient::lock_viewing(update, self.now),
            Effect::Attempt(_) => recipient.doubt(update),
            Effect::Nothing(_) | Effect::Over => update,
        })
    }

    /// A pass ends the challenge: it opens no other session. What has been displaced is gone
    /// anyway.
    fn close_challenge(&self, update: Update) -> Result<Update, Failure> {
        let name = self.session.challenge.as_str();
        if self.recipient().challenges.contains_key(name) {
            challenge::complete_named(update, name, self.now)
        } else {
            Ok(update)
        }
    }

    fn events(&self, effect: Effect) -> Vec<Event> {
        let consequence = match effect {
            Effect::Cancel(attempts) => {
                Some(self.consequence(Action::AgreementCancelled, attempts))
            }
            Effect::Lock(attempts) => Some(self.consequence(Action::ViewingLocked, attempts)),
            _ => None,
        };
        std::iter::once(self.answered(effect))
            .chain(consequence)
            .collect()
    }

    /// The entry of what the provider has said.
    fn answered(&self, effect: Effect) -> Event {
        let told = self.told(Action::KbaSessionAnswered);
        match effect {
            Effect::Pass => self
                .told(Action::RecipientVerified)
                .with("viewing", self.recipient().views())
                .with("token", self.answer.token.clone().unwrap_or_default()),
            Effect::Nothing(idle) => told.with("effect", "none").with("because", idle.name()),
            Effect::Over => told.failed(),
            Effect::Attempt(attempts) if self.recipient().doubted() != self.recipient().status => {
                let told = told.failed().with("attempts", attempts);
                told.with("verified_before", true)
            }
            Effect::Attempt(attempts) | Effect::Cancel(attempts) | Effect::Lock(attempts) => {
                told.failed().with("attempts", attempts)
            }
        }
    }

    fn told(&self, action: Action) -> Event {
        Event::new(action, Actor::Provider)
            .from(self.client_ip)
            .with("method", "kba")
            .with("recipient", self.recipient().id.to_string())
            .with("session", self.session.id.to_string())
            .with("outcome", self.answer.outcome.name())
    }

    fn consequence(&self, action: Action, attempts: u32) -> Event {
        Event::new(action, Actor::System)
            .with("recipient", self.recipient().id.to_string())
            .with("reason", reason(attempts))
    }

    /// The recipient's transaction, where this answer consumes it.
    fn consumes(&self, effect: Effect) -> Option<Hold> {
        self.recipient().reserved().filter(|_| effect.consumes())
    }

    fn ledger(&self, effect: Effect) -> Result<Vec<Write>, Failure> {
        let (agreement, recipient) = (self.agreement(), self.recipient());
        let consumed = self.consumes(effect).map(|hold| {
            let about = agreement.about(Some(recipient.id));
            plan::consume(
                agreement.account,
                EntryId::consume(recipient.id),
                &about,
                hold,
                self.now,
            )
        });
        let released =
            matches!(effect, Effect::Cancel(_)).then(|| agreement.release(self.others, self.now));
        plan::together(consumed.into_iter().chain(released))
    }

    fn mail(&self, attempts: u32) -> OutboxMessage {
        let message = Message::NotVerified(NotVerified {
            title: self.agreement().title.clone(),
            name: self.recipient().name.clone(),
            email: self.recipient().email.clone(),
            attempts,
        });
        let mail = Mail {
            account: self.agreement().account,
            organisation: self.agreement().organisation.clone(),
            to: self.agreement().sender.email.clone(),
            locale: self.agreement().locale,
            message,
        };
        OutboxMessage::new(mail, self.now).good_until(self.now.plus(NOTICE_FOR))
    }
}

/// One mail for each agreement, however many answers race.
fn mail_id(agreement: &Agreement) -> String {
    format!("not-verified.{}", agreement.id)
}

/// As the audit report has it.
fn reason(attempts: u32) -> String {
    let times = if attempts == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{attempts} attempts")
    };
    format!("the recipient did not pass knowledge-based authentication in {times}")
}
