//! A code that is sent for a challenge: it is entered before its message goes, in the place of the
//! one before, and taken back where the message was not taken.

use super::attribute::Attributes;
use super::{Challenge, ChallengeRefusal, Holder, Place};
use crate::kernel::clock::Timestamp;
use crate::signin::code::{Draft, LiveCode, SendRefusal, Sent};
use crate::signin::user::known::Origin;
use crate::signin::user::{Method, factor};
use crate::store::dynamo::{Condition, Failure, Update, document};

/// One send, as it was decided.
#[derive(Debug)]
pub struct CodeSend<'a, P: Place> {
    /// For which challenge.
    pub place: &'a P,
    /// Its holder, as they stood when it was decided.
    pub holder: &'a P::Holder,
    /// By which method.
    pub method: Method,
    /// From what kind of address it is asked for.
    pub origin: Origin,
    /// When.
    pub now: Timestamp,
}

impl<'a, P: Place> CodeSend<'a, P> {
    /// The challenge, if it takes a code.
    pub fn trial(&self) -> Result<&'a Challenge, ChallengeRefusal> {
        self.place
            .trial(self.holder, self.method, self.origin, self.now)
    }

    /// Whether the wait after the code before is over. What repeats it in the write: the head of a
    /// user's chain, and for a recipient [`CodeSend::counts`].
    pub fn is_due(&self) -> Result<(), SendRefusal> {
        match self.sent_before().resend_at(self.now) {
            Some(at) => Err(SendRefusal::TooSoon(at)),
            None => Ok(()),
        }
    }

    /// Adds to an update of the holder's item that the drafted code is the one that is good, and
    /// counts for the challenge. Its conditions are those of [`Place::trial`]: that the challenge
    /// can be gone on with and has an attempt left, and that the factor has no other wrong codes
    /// than were judged.
    pub fn enter(&self, update: Update, draft: &Draft) -> Result<Update, Failure> {
        let (own, method) = (self.own(), self.method);
        let update = update
            .set(own.code(method), document(&draft.stored)?)
            .set(own.sent(method), document(&self.sent())?)
            .set(own.sms(), self.sms());
        let update = match self.code_before() {
            Some(before) => update.append(own.superseded(method), document(&[&before.mac])?),
            None => update,
        };
        let judged = self.holder.factor(method);
        let update = factor::unmoved(update, method, &judged, self.origin);
        let update = update.when(self.place.has_attempt());
        Ok(self.place.guard(update, self.now))
    }

    /// Whether the drafted code is the one that is good for `holder`, as they stand now.
    pub fn stands(&self, draft: &Draft, holder: &P::Holder) -> bool {
        let challenge = holder.challenges().get(self.place.name());
        challenge
            .and_then(|challenge| challenge.codes.get(self.method.name()))
            .is_some_and(|code| code.mac == draft.stored.mac)
    }

    /// Adds to an update of the holder's item that the send is taken back: the wait, the count and
    /// the SMS are what they were, and the code before is good again. The condition is that the
    /// drafted code [stands](Self::stands).
    pub fn take_back(&self, update: Update, draft: &Draft) -> Result<Update, Failure> {
        let (own, method) = (self.own(), self.method);
        let challenge = self.challenge();
        let sent = challenge.and_then(|challenge| challenge.sent.get(method.name()));
        let sms = challenge.map(|challenge| challenge.sms.clone());
        let update = update
            .when(own.code_digest(method).is(&draft.stored.mac.digest))
            .set(own.sms(), sms.unwrap_or_default())
            .set_or_remove(own.sent(method), sent.map(document).transpose()?);
        let Some(before) = self.code_before() else {
            return Ok(update.remove(own.code(method)));
        };
        let superseded = challenge.and_then(|challenge| challenge.superseded.get(method.name()));
        let place = superseded.map_or(0, Vec::len);
        Ok(update
            .set(own.code(method), document(before)?)
            .remove(own.superseded(method).element(place)))
    }

    /// Whether `holder`, as they stand now, has completed the challenge by this method since: who
    /// has was given back the challenge's SMS with that. Another factor gives back none.
    pub fn was_typed(&self, holder: &P::Holder) -> bool {
        let challenge = holder.challenges().get(self.place.name());
        let used = challenge.is_some_and(|challenge| !challenge.stage.is_open());
        let before = self.holder.factor(self.method);
        used && holder.factor(self.method).was_cleared_since(&before)
    }

    /// That so many codes were sent, by this method.
    pub fn counts(&self, sent: Sent) -> Condition {
        match sent.count {
            0 => self.own().sent(self.method).is_absent(),
            count => self.own().sent_count(self.method).is(count),
        }
    }

    /// The codes that were sent before this one.
    pub fn sent_before(&self) -> Sent {
        self.challenge()
            .map(|challenge| challenge.sent(self.method))
            .unwrap_or_default()
    }

    /// The codes that were sent, with this one.
    pub fn sent(&self) -> Sent {
        self.sent_before().and_now(self.now)
    }

    fn sms(&self) -> Vec<Timestamp> {
        self.challenge()
            .map(|challenge| challenge.sms_with(self.method, self.now))
            .unwrap_or_default()
    }

    fn challenge(&self) -> Option<&'a Challenge> {
        self.holder.challenges().get(self.place.name())
    }

    fn code_before(&self) -> Option<&'a LiveCode> {
        self.challenge()?.codes.get(self.method.name())
    }

    fn own(&self) -> Attributes<'_> {
        Attributes(self.place.name())
    }
}
