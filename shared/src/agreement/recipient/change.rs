//! What becomes of a recipient. Each adds to an update that says where the recipient was read
//! ([`crate::agreement::Standing::update`]): the condition of its version stands for all that the
//! rule looked at.

use super::{Authentication, OPENINGS, RESENDS, Recipient, RecipientStatus};
use crate::agreement::attribute;
use crate::agreement::kba::{self, Session};
use crate::agreement::viewing::ViewingEntry;
use crate::kernel::clock::Timestamp;
use crate::ledger::Hold;
use crate::signin::challenge::attribute::CHALLENGES;
use crate::signin::user::{Method, factor, known::Origin};
use crate::store::dynamo::{Condition, Failure, Key, Stored, Update, document, empty_map, keys};

/// What becomes of the transaction that is reserved for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// It stays as it is.
    Stays,
    /// This one is reserved.
    Made(Hold),
    /// It is given back.
    GivenBack,
}

impl Stored for Recipient {
    fn key(&self) -> Key {
        keys::recipient(self.agreement, self.id)
    }
}

impl Recipient {
    /// An update of this recipient's item that changes nothing yet, under the condition that the
    /// recipient stands as it was read. It is made for what was judged over the recipient alone:
    /// see [`crate::agreement::Standing`].
    ///
    /// It raises the version, and whatever a rule decides of a recipient is written with it: so the
    /// version that was read says that all stands there that the rule looked at. The agreement's
    /// chain does not say it, where the two items were not read at one instant: the recipient may
    /// be older than the agreement that it was read beside. What counts attempts, and what is in
    /// the outbox, changes without it, under conditions of its own.
    pub(in crate::agreement) fn touch(&self) -> Update {
        self.under_version(self.version + 1)
    }

    /// That the recipient stands as it was read, and goes on to.
    pub(in crate::agreement) fn unchanged(&self) -> Update {
        self.under_version(self.version)
    }

    fn under_version(&self, next: u64) -> Update {
        let is_there = attribute::VERSION.is(self.version);
        let stands = match self.version {
            0 => Condition::item_exists().and(attribute::VERSION.is_absent().or(is_there)),
            _ => is_there,
        };
        Update::of(self.key())
            .set(attribute::VERSION, next)
            .when(stands)
    }

    /// The recipient has proved who they are.
    pub fn prove(&self, update: Update) -> Update {
        update.set(attribute::STATUS, self.proved().name())
    }

    /// An attempt failed: who was there last did not prove who they are, whatever was proved
    /// before.
    pub(in crate::agreement) fn doubt(&self, update: Update) -> Update {
        update.set(attribute::STATUS, self.doubted().name())
    }

    /// The recipient has failed for good.
    pub(in crate::agreement) fn fail(update: Update) -> Update {
        update.set(attribute::STATUS, RecipientStatus::Failed.name())
    }

    /// The recipient has signed.
    pub(in crate::agreement) fn sign(update: Update) -> Update {
        update.set(attribute::STATUS, RecipientStatus::Completed.name())
    }

    /// The link was opened.
    pub fn note_opening(&self, update: Update, now: Timestamp) -> Update {
        update.set(attribute::OPENINGS, OPENINGS.entered(&self.openings, now))
    }

    /// What was signed is viewed; and whether that has an entry.
    pub fn note_viewing(
        &self,
        update: Update,
        now: Timestamp,
    ) -> Result<(Update, ViewingEntry), Failure> {
        let (viewings, telling) = self.viewings.another(now);
        Ok((
            update.set(attribute::VIEWINGS, document(&viewings)?),
            telling,
        ))
    }

    /// Another link is mailed.
    pub fn note_resend(&self, update: Update, now: Timestamp) -> Update {
        update.set(attribute::RESENDS, RESENDS.entered(&self.resends, now))
    }

    /// The link with this fingerprint leads here as well.
    pub(in crate::agreement) fn hold_link(
        &self,
        update: Update,
        fingerprint: String,
    ) -> Result<Update, Failure> {
        Ok(update.set(attribute::LINKS, document(&self.links_with(fingerprint))?))
    }

    /// The recipient is to prove something else. Whatever was open for the method before is over:
    /// its challenges, and the session that would answer for it.
    pub fn change_method(
        &self,
        update: Update,
        to: Authentication,
        reservation: Reservation,
    ) -> Result<Update, Failure> {
        let update = update
            .set(attribute::AUTHENTICATION, to.name())
            .set(attribute::STATUS, RecipientStatus::Pending.name())
            .set(CHALLENGES, empty_map())
            .remove(attribute::session());
        Ok(match reservation {
            Reservation::Stays => update,
            Reservation::Made(hold) => update.set(attribute::hold(), document(&hold)?),
            Reservation::GivenBack => update.remove(attribute::hold()),
        })
    }

    /// A session of knowledge-based authentication is opened: it is the one that is waited for.
    pub fn open_session(
        &self,
        update: Update,
        session: &Session,
        now: Timestamp,
    ) -> Result<Update, Failure> {
        let sessions = kba::OPENINGS.entered(&self.kba.sessions, now);
        Ok(update
            .set(attribute::session(), document(&session.id)?)
            .set(attribute::sessions(), sessions)
            .set(attribute::opened(), session.number))
    }

    /// So many sessions have failed.
    pub(in crate::agreement) fn count_failed_session(update: Update, attempts: u32) -> Update {
        update.set(attribute::attempts(), attempts)
    }

    /// The session of that number was passed.
    pub(in crate::agreement) fn pass_session(&self, update: Update, number: u32) -> Update {
        self.prove(update).set(attribute::passed(), number)
    }

    /// The reserved transaction was used.
    pub(in crate::agreement) fn consume(update: Update) -> Update {
        update
            .set(attribute::consumed(), true)
            .remove(attribute::hold())
    }

    /// Nobody views what was signed until the sender reopens it.
    pub(in crate::agreement) fn lock_viewing(update: Update, now: Timestamp) -> Update {
        update.set(attribute::VIEWING_LOCKED_AT, now)
    }

    /// What was signed may be viewed again, and the next attempt is the first.
    pub fn reopen_viewing(update: Update) -> Update {
        update
            .set(attribute::attempts(), 0_u32)
            .remove(attribute::VIEWING_LOCKED_AT)
            .when(attribute::VIEWING_LOCKED_AT.exists())
    }

    /// Codes of this method are taken again.
    pub fn unlock_factor(update: Update, method: Method) -> Update {
        factor::clear(update, method, Origin::Stranger)
    }
}
