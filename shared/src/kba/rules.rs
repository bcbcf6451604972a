//! Pure: what an answer of the provider comes to, given where the session, the recipient and the agreement stand.
//!
//! Only the first answer of a session counts, whatever it came to. `failed` and `timed_out` use up an attempt even where the session
//! was superseded or its time was over: nobody walks away from hard questions for free. `passed` counts only while it is waited for.
//! A pass resets the attempts, those of earlier sessions included whose answers come after it.

use super::callback::Outcome;
use super::session::{Session, Status};
use crate::agreement::{self, Agreement, Authentication, Recipient};
use crate::clock::Timestamp;

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Nothing but an entry, and why.
    Nothing(Idle),
    /// The session is over. It costs nothing.
    Over,
    /// The recipient is who they say.
    Pass,
    /// An attempt is used up, so many in all.
    Attempt(u32),
    /// The last attempt is used up: the agreement is cancelled.
    Cancel(u32),
    /// The last attempt is used up by somebody who has completed: they see it no more until the sender reopens it.
    Lock(u32),
}

/// Why an answer comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The session was answered before.
    AnsweredBefore,
    /// A newer session has taken its place.
    Superseded,
    /// Its time was over.
    Expired,
    /// The agreement is no longer asked about.
    AgreementClosed,
    /// The recipient is asked something else by now.
    MethodChanged,
    /// The recipient has passed a later session.
    PassedSince,
    /// Viewing is locked.
    ViewingLocked,
}

impl Idle {
    /// The name in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnsweredBefore => "answered-before",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::AgreementClosed => "agreement-closed",
            Self::MethodChanged => "method-changed",
            Self::PassedSince => "passed-since",
            Self::ViewingLocked => "viewing-locked",
        }
    }
}

impl Effect {
    /// Whether it uses up the recipient's transaction, if that is not used up.
    pub const fn consumes(self) -> bool {
        matches!(self, Self::Pass | Self::Attempt(_) | Self::Cancel(_))
    }

    /// How many failed attempts there are after it, where it says.
    pub const fn attempts(self) -> Option<u32> {
        match self {
            Self::Pass => Some(0),
            Self::Attempt(attempts) | Self::Cancel(attempts) | Self::Lock(attempts) => Some(attempts),
            Self::Nothing(_) | Self::Over => None,
        }
    }
}

/// What `outcome` of `session` comes to.
pub fn decide(session: &Session, agreement: &Agreement, recipient: &Recipient, outcome: Outcome, now: Timestamp) -> Effect {
    match standing(session, agreement, recipient, now) {
        Some(idle) => Effect::Nothing(idle),
        None if outcome.is_failure() => failure(session, agreement, recipient),
        None => match stale(session, recipient, now) {
            Some(idle) => Effect::Nothing(idle),
            None if outcome == Outcome::Passed => Effect::Pass,
            None => Effect::Over,
        },
    }
}

/// Why nothing at all can come of an answer.
fn standing(session: &Session, agreement: &Agreement, recipient: &Recipient, now: Timestamp) -> Option<Idle> {
    if session.answer.is_some() {
        return Some(Idle::AnsweredBefore);
    }
    let open = if recipient.views() { agreement.accessible(recipient, now) } else { agreement.open(now) };
    match open {
        Err(agreement::Refusal::ViewingLocked) => Some(Idle::ViewingLocked),
        Err(_) => Some(Idle::AgreementClosed),
        Ok(()) if recipient.authentication != Authentication::Kba => Some(Idle::MethodChanged),
        Ok(()) => None,
    }
}

/// Why an answer that uses up no attempt comes too late.
fn stale(session: &Session, recipient: &Recipient, now: Timestamp) -> Option<Idle> {
    match session.status(recipient, now) {
        Status::Pending => None,
        Status::Superseded => Some(Idle::Superseded),
        _ => Some(Idle::Expired),
    }
}

fn failure(session: &Session, agreement: &Agreement, recipient: &Recipient) -> Effect {
    // A pass resets what was before it, whenever that is told.
    if session.number < recipient.kba.passed || session.viewing != recipient.views() {
        return Effect::Nothing(Idle::PassedSince);
    }
    let attempts = recipient.kba.attempts + 1;
    let last = agreement.kba.max_attempts.is_some_and(|most| attempts >= u32::from(most));
    match (last, recipient.views()) {
        (false, _) => Effect::Attempt(attempts),
        (true, false) => Effect::Cancel(attempts),
        (true, true) => Effect::Lock(attempts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::RecipientStatus;
    use crate::agreement::tests::{agreement, recipient};
    use crate::clock::Span;
    use crate::ids::{AccountId, SessionId};
    use crate::kba::LIFETIME;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn id(number: u32) -> SessionId {
        SessionId::from_bytes([u8::try_from(number).unwrap(); 16])
    }

    fn session(number: u32) -> Session {
        Session {
            id: id(number),
            account: AccountId::from_bytes([1; 16]),
            agreement: agreement().id,
            recipient: recipient(Authentication::Kba, RecipientStatus::Pending).id,
            challenge: "c".into(),
            number,
            viewing: false,
            status: Status::Pending,
            opened_at: NOW,
            expires_at: NOW.plus(LIFETIME),
            answer: None,
            answered_at: None,
        }
    }

    /// A recipient whose latest session is `latest`, after so many failed attempts.
    fn asked(latest: u32, attempts: u32) -> Recipient {
        let mut asked = recipient(Authentication::Kba, RecipientStatus::Pending);
        asked.kba.session = Some(id(latest));
        asked.kba.opened = latest;
        asked.kba.attempts = attempts;
        asked
    }

    fn effect(session: &Session, recipient: &Recipient, outcome: Outcome) -> Effect {
        decide(session, &agreement(), recipient, outcome, NOW)
    }

    #[test]
    fn each_outcome_of_the_session_that_is_waited_for_has_its_effect() {
        let effects = Outcome::ALL.map(|outcome| effect(&session(1), &asked(1, 0), outcome));
        assert_eq!(effects, [Effect::Pass, Effect::Attempt(1), Effect::Attempt(1), Effect::Over, Effect::Over]);
        assert!(effects.map(Effect::consumes) == [true, true, true, false, false]);
    }

    #[test]
    fn of_a_superseded_session_failures_count_and_nothing_else_does() {
        let effects = Outcome::ALL.map(|outcome| effect(&session(1), &asked(2, 0), outcome));
        let nothing = Effect::Nothing(Idle::Superseded);
        assert_eq!(effects, [nothing, Effect::Attempt(1), Effect::Attempt(1), nothing, nothing]);
    }

    #[test]
    fn of_a_session_whose_time_was_over_failures_count_and_nothing_else_does() {
        let late = NOW.plus(LIFETIME).plus(Span::hours(1));
        let effects = Outcome::ALL.map(|outcome| decide(&session(1), &agreement(), &asked(1, 0), outcome, late));
        let nothing = Effect::Nothing(Idle::Expired);
        assert_eq!(effects, [nothing, Effect::Attempt(1), Effect::Attempt(1), nothing, nothing]);
    }

    #[test]
    fn the_last_attempt_cancels_before_completing_and_locks_after() {
        assert_eq!(effect(&session(1), &asked(1, 1), Outcome::Failed), Effect::Attempt(2));
        assert_eq!(effect(&session(1), &asked(1, 2), Outcome::TimedOut), Effect::Cancel(3));
        let viewing = Session { viewing: true, ..session(1) };
        let completed = Recipient { status: RecipientStatus::Completed, ..asked(1, 2) };
        assert_eq!(effect(&viewing, &completed, Outcome::Failed), Effect::Lock(3));
        let mut unlimited = agreement();
        unlimited.kba.max_attempts = None;
        assert_eq!(decide(&session(1), &unlimited, &asked(1, 99), Outcome::Failed, NOW), Effect::Attempt(100));
    }

    #[test]
    fn a_pass_resets_what_was_before_it_whenever_that_is_told() {
        let mut passed = asked(3, 0);
        passed.kba.passed = 2;
        assert_eq!(effect(&session(1), &passed, Outcome::Failed), Effect::Nothing(Idle::PassedSince));
        assert_eq!(effect(&session(3), &passed, Outcome::Failed), Effect::Attempt(1));
        let completed = Recipient { status: RecipientStatus::Completed, ..asked(2, 0) };
        assert_eq!(effect(&session(1), &completed, Outcome::Failed), Effect::Nothing(Idle::PassedSince));
    }

    #[test]
    fn only_the_first_answer_counts() {
        let answered = Session { answer: Some(Outcome::NotLocatable), status: Status::NotLocatable, ..session(1) };
        for outcome in Outcome::ALL {
            assert_eq!(effect(&answered, &asked(1, 0), outcome), Effect::Nothing(Idle::AnsweredBefore));
        }
    }

    #[test]
    fn nothing_comes_of_an_answer_that_nobody_waits_for() {
        let mut closed = agreement();
        closed.status = agreement::Status::Cancelled;
        let locked = Recipient { status: RecipientStatus::Completed, viewing_locked_at: Some(NOW), ..asked(1, 3) };
        let changed = Recipient { authentication: Authentication::Sms, ..asked(1, 0) };
        for outcome in Outcome::ALL {
            let of = |agreement: &Agreement, recipient: &Recipient, now| decide(&session(1), agreement, recipient, outcome, now);
            assert_eq!(of(&closed, &asked(1, 0), NOW), Effect::Nothing(Idle::AgreementClosed));
            assert_eq!(of(&agreement(), &asked(1, 0), agreement().expires_at), Effect::Nothing(Idle::AgreementClosed));
            assert_eq!(of(&agreement(), &locked, NOW), Effect::Nothing(Idle::ViewingLocked));
            assert_eq!(of(&agreement(), &changed, NOW), Effect::Nothing(Idle::MethodChanged));
        }
    }
}
