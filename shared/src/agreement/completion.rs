//! A recipient has signed; the last one to do so completes the agreement.

use super::attribute::COMPLETED;
use super::{AgreementRefusal, Closure, Occasion, Recipient, Standing, Status, whole};
use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::keyring::Keyring;
use crate::messaging::outbox;
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Key, Update, Write, keys};
use crate::web::http::Problem;

/// That a recipient may sign, as they were read.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    standing: &'a Standing,
    now: Timestamp,
}

/// What the links to the signed agreement are made of.
#[derive(Clone, Copy, Debug)]
pub struct Invitations<'a> {
    /// The address of this service.
    pub base: &'a str,
    /// What seals the links until they are mailed.
    pub keyring: &'a Keyring,
    /// Randomness.
    pub entropy: &'a Entropy,
}

impl Standing {
    /// Whether the recipient may sign at `now`.
    pub fn complete(&self, now: Timestamp) -> Result<Completion<'_>, AgreementRefusal> {
        self.agreement().open(now)?;
        self.recipient().completable()?;
        Ok(Completion {
            standing: self,
            now,
        })
    }
}

impl Completion<'_> {
    /// Whether nobody else is still to sign.
    pub const fn is_last(&self) -> bool {
        self.standing.agreement().is_last()
    }

    /// The writes of one recipient who signs, while others are still to.
    pub fn writes(&self, event: Event) -> Result<Vec<Write>, Failure> {
        self.standing.step_of(
            self.counted(self.standing.agreement().touch()),
            self.signed(),
            [event],
            self.now,
        )
    }

    /// The writes of the last one: the agreement is completed, each recipient has a message in the
    /// outbox with the link to it, and what was reserved and not used is given back. Answers with
    /// where the mails stand as well.
    pub fn last_writes(
        &self,
        others: &[Recipient],
        invitations: &Invitations<'_>,
        event: Event,
    ) -> Result<(Vec<Write>, Vec<Key>), Problem> {
        let (agreement, own) = (self.standing.agreement(), self.standing.recipient());
        let closure = Closure {
            at: self.now,
            reason: None,
            recipient: None,
            by: None,
        };
        let all = Event::new(Action::AgreementCompleted, Actor::System);
        let update = self.counted(agreement.end(Status::Completed, &closure)?);
        let own_update = self.owing(own, self.signed(), invitations)?;
        let events = [event, all];
        let mut writes = self
            .standing
            .step_of(update, own_update, events, self.now)?;
        for other in others {
            writes.push(self.owing(other, other.touch(), invitations)?.into());
        }
        let everybody = || std::iter::once(own).chain(others);
        writes.extend(whole::release(agreement, everybody(), self.now)?);
        let mail = |recipient: &Recipient| keys::recipient(agreement.id, recipient.id);
        Ok((writes, everybody().map(mail).collect()))
    }

    /// The update of the recipient who signs.
    fn signed(&self) -> Update {
        Recipient::sign(self.standing.update())
    }

    /// Adds to the agreement's update that one more has signed.
    fn counted(&self, update: Update) -> Update {
        update.set(COMPLETED, self.standing.agreement().completed + 1)
    }

    /// Adds to a recipient's update the message with the link to what was signed.
    fn owing(
        &self,
        recipient: &Recipient,
        update: Update,
        invitations: &Invitations<'_>,
    ) -> Result<Update, Problem> {
        let (agreement, base) = (self.standing.agreement(), invitations.base);
        let drawn_from = (invitations.keyring, invitations.entropy);
        let invited = agreement.invite(recipient, Occasion::Signed, base, drawn_from, self.now)?;
        let update = recipient.hold_link(update, invited.link.fingerprint)?;
        Ok(outbox::on(update, &invited.message, self.now)?)
    }
}
