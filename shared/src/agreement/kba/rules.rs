//! Pure: what an answer of the provider comes to, given where the session, the recipient and the
//! agreement stand.
//!
//! Only the first answer of a session counts, whatever it came to. `failed` and `timed_out` use up
//! an attempt even where the session was superseded or its time was over: nobody walks away from
//! hard questions for free. `passed` counts where the session is the recipient's latest and was
//! over in time: by when it was passed, and not by when we are told ([`over_at`]). A pass resets
//! the attempts, those of earlier sessions included whose answers come after it.

use super::callback::{Answer, Outcome};
use super::session::Session;
use super::webhook::TOLERANCE;
use crate::agreement::{Agreement, AgreementRefusal, Authentication, Recipient};
use crate::kernel::clock::Timestamp;

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Nothing but an entry, and why.
    Nothing(NoEffect),
    /// The session is over. It costs nothing.
    Over,
    /// The recipient is who they say.
    Pass,
    /// An attempt is used up, so many in all.
    Attempt(u32),
    /// The last attempt is used up: the agreement is cancelled.
    Cancel(u32),
    /// The last attempt is used up by somebody who has completed: they see it no more until the
    /// sender reopens it.
    Lock(u32),
}

/// Why an answer comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEffect {
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

impl NoEffect {
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
            Self::Attempt(attempts) | Self::Cancel(attempts) | Self::Lock(attempts) => {
                Some(attempts)
            }
            Self::Nothing(_) | Self::Over => None,
        }
    }
}

/// When the session was over, by our clock, as a message tells that was sent at `sent_at` and comes
/// now.
///
/// The provider's clock may be [`TOLERANCE`] from ours, as the message's signature has it. So what
/// is taken of it is a span between two of its own times: how long the session had been over when
/// the message was sent. A span that would have ended the session before it was opened is none;
/// then the message's coming is all that there is to go by.
pub fn over_at(
    session: &Session,
    answer: &Answer,
    sent_at: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let over_at = now.minus(sent_at.until(answer.ended_at));
    if over_at < session.opened_at.minus(TOLERANCE) {
        now
    } else {
        over_at
    }
}

/// What `outcome` of `session` comes to, which was over at `over_at`.
pub fn decide(
    session: &Session,
    agreement: &Agreement,
    recipient: &Recipient,
    (outcome, over_at): (Outcome, Timestamp),
    now: Timestamp,
) -> Effect {
    match standing(session, agreement, recipient, now) {
        Some(idle) => Effect::Nothing(idle),
        None if outcome.is_failure() => failure(session, agreement, recipient),
        None => match stale(session, recipient, over_at) {
            Some(idle) => Effect::Nothing(idle),
            None if outcome == Outcome::Passed => Effect::Pass,
            None => Effect::Over,
        },
    }
}

/// Why nothing at all can come of an answer.
fn standing(
    session: &Session,
    agreement: &Agreement,
    recipient: &Recipient,
    now: Timestamp,
) -> Option<NoEffect> {
    if session.answer.is_some() {
        return Some(NoEffect::AnsweredBefore);
    }
    let open = if recipient.views() {
        agreement.accessible(recipient, now)
    } else {
        agreement.open(now)
    };
    match open {
        Err(AgreementRefusal::ViewingLocked) => Some(NoEffect::ViewingLocked),
        Err(_) => Some(NoEffect::AgreementClosed),
        Ok(()) if recipient.authentication != Authentication::Kba => Some(NoEffect::MethodChanged),
        Ok(()) => None,
    }
}

/// Why an answer that uses up no attempt comes too late. That the clean-up has written the session
/// off meanwhile is no reason.
fn stale(session: &Session, recipient: &Recipient, over_at: Timestamp) -> Option<NoEffect> {
    if !session.is_latest(recipient) {
        return Some(NoEffect::Superseded);
    }
    (session.expires_at <= over_at).then_some(NoEffect::Expired)
}

fn failure(session: &Session, agreement: &Agreement, recipient: &Recipient) -> Effect {
    // A pass resets what was before it, whenever that is told.
    if session.number < recipient.kba.passed || session.viewing != recipient.views() {
        return Effect::Nothing(NoEffect::PassedSince);
    }
    let attempts = recipient.kba.attempts + 1;
    let last = agreement
        .kba
        .max_attempts
        .is_some_and(|most| attempts >= u32::from(most));
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
    use crate::agreement::kba::{LIFETIME, Status};
    use crate::agreement::tests::{agreement, recipient};
    use crate::kernel::clock::Span;
    use crate::kernel::ids::{AccountId, SessionId};

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
        decide(session, &agreement(), recipient, (outcome, NOW), NOW)
    }

    #[test]
    fn each_outcome_of_the_session_that_is_waited_for_has_its_effect() {
        let effects = Outcome::ALL.map(|outcome| effect(&session(1), &asked(1, 0), outcome));
        assert_eq!(
            effects,
            [
                Effect::Pass,
                Effect::Attempt(1),
                Effect::Attempt(1),
                Effect::Over,
                Effect::Over
            ]
        );
        assert!(effects.map(Effect::consumes) == [true, true, true, false, false]);
    }

    #[test]
    fn of_a_superseded_session_failures_count_and_nothing_else_does() {
        let effects = Outcome::ALL.map(|outcome| effect(&session(1), &asked(2, 0), outcome));
        let nothing = Effect::Nothing(NoEffect::Superseded);
        assert_eq!(
            effects,
            [
                nothing,
                Effect::Attempt(1),
                Effect::Attempt(1),
                nothing,
                nothing
            ]
        );
    }

    #[test]
    fn of_a_session_whose_time_was_over_failures_count_and_nothing_else_does() {
        let late = NOW.plus(LIFETIME).plus(Span::hours(1));
        let effects = Outcome::ALL.map(|outcome| {
            decide(
                &session(1),
                &agreement(),
                &asked(1, 0),
                (outcome, late),
                late,
            )
        });
        let nothing = Effect::Nothing(NoEffect::Expired);
        assert_eq!(
            effects,
            [
                nothing,
                Effect::Attempt(1),
                Effect::Attempt(1),
                nothing,
                nothing
            ]
        );
    }

    #[test]
    fn when_a_session_was_over_is_told_by_the_providers_own_clock() {
        // Seconds after the opening: ended and sent by the provider's clock, arrived by ours; when
        // it was over by ours.
        let cases = [
            ("told at once", 300, 300, 300, 300),
            ("told at once, on its way for a second", 300, 300, 301, 301),
            ("told late", 300, 1_300, 1_300, 300),
            ("told a day late", 599, 86_999, 86_999, 599),
            (
                "told at once by a clock that is five minutes ahead",
                600,
                600,
                300,
                300,
            ),
            (
                "told late by a clock that is five minutes ahead",
                600,
                1_600,
                1_300,
                300,
            ),
            (
                "told at once by a clock that is five minutes behind",
                0,
                0,
                300,
                300,
            ),
            (
                "told late by a clock that is five minutes behind",
                0,
                1_000,
                1_300,
                300,
            ),
            (
                "over when it was too late, told later",
                700,
                1_300,
                1_300,
                700,
            ),
            (
                "over after it was sent, which cannot be",
                900,
                300,
                300,
                300,
            ),
            (
                "over well before it was opened, which cannot be",
                -100_000,
                900,
                900,
                900,
            ),
            (
                "over just before it was opened: clocks that were set",
                -200,
                900,
                900,
                -200,
            ),
        ];
        let at = |seconds| NOW.plus(Span::seconds(seconds));
        for (what, ended, sent, came, over) in cases {
            let answer = Answer {
                session: id(1),
                outcome: Outcome::Passed,
                token: None,
                ended_at: at(ended),
            };
            assert_eq!(
                over_at(&session(1), &answer, at(sent), at(came)),
                at(over),
                "{what}"
            );
        }
    }

    #[test]
    fn a_pass_in_time_counts_whenever_it_is_told_while_nothing_has_taken_its_place() {
        let (in_time, too_late) = (NOW.plus(Span::seconds(599)), NOW.plus(LIFETIME));
        let told = NOW.plus(Span::hours(5));
        let latest = asked(1, 2);
        let superseded = asked(2, 0);
        // The clean-up has written it off meanwhile.
        let expired = Session {
            status: Status::Expired,
            ..session(1)
        };
        for session in [&session(1), &expired] {
            let of = |recipient, outcome, over_at| {
                decide(session, &agreement(), recipient, (outcome, over_at), told)
            };
            assert_eq!(of(&latest, Outcome::Passed, in_time), Effect::Pass);
            assert_eq!(of(&latest, Outcome::NotLocatable, in_time), Effect::Over);
            assert_eq!(of(&latest, Outcome::ProviderError, in_time), Effect::Over);
            assert_eq!(
                of(&latest, Outcome::Passed, too_late),
                Effect::Nothing(NoEffect::Expired)
            );
            assert_eq!(
                of(&superseded, Outcome::Passed, in_time),
                Effect::Nothing(NoEffect::Superseded)
            );
            for over_at in [in_time, too_late] {
                assert_eq!(of(&latest, Outcome::Failed, over_at), Effect::Cancel(3));
                assert_eq!(
                    of(&superseded, Outcome::TimedOut, over_at),
                    Effect::Attempt(1)
                );
            }
        }
        // Nothing comes of it once the agreement has ended.
        let ended = agreement().expires_at;
        let of = decide(
            &session(1),
            &agreement(),
            &latest,
            (Outcome::Passed, in_time),
            ended,
        );
        assert_eq!(of, Effect::Nothing(NoEffect::AgreementClosed));
    }

    #[test]
    fn the_last_attempt_cancels_before_completing_and_locks_after() {
        assert_eq!(
            effect(&session(1), &asked(1, 1), Outcome::Failed),
            Effect::Attempt(2)
        );
        assert_eq!(
            effect(&session(1), &asked(1, 2), Outcome::TimedOut),
            Effect::Cancel(3)
        );
        let viewing = Session {
            viewing: true,
            ..session(1)
        };
        let completed = Recipient {
            status: RecipientStatus::Completed,
            ..asked(1, 2)
        };
        assert_eq!(
            effect(&viewing, &completed, Outcome::Failed),
            Effect::Lock(3)
        );
        let mut unlimited = agreement();
        unlimited.kba.max_attempts = None;
        assert_eq!(
            decide(
                &session(1),
                &unlimited,
                &asked(1, 99),
                (Outcome::Failed, NOW),
                NOW
            ),
            Effect::Attempt(100)
        );
    }

    #[test]
    fn a_pass_resets_what_was_before_it_whenever_that_is_told() {
        let mut passed = asked(3, 0);
        passed.kba.passed = 2;
        assert_eq!(
            effect(&session(1), &passed, Outcome::Failed),
            Effect::Nothing(NoEffect::PassedSince)
        );
        assert_eq!(
            effect(&session(3), &passed, Outcome::Failed),
            Effect::Attempt(1)
        );
        let completed = Recipient {
            status: RecipientStatus::Completed,
            ..asked(2, 0)
        };
        assert_eq!(
            effect(&session(1), &completed, Outcome::Failed),
            Effect::Nothing(NoEffect::PassedSince)
        );
    }

    #[test]
    fn only_the_first_answer_counts() {
        let answered = Session {
            answer: Some(Outcome::NotLocatable),
            status: Status::NotLocatable,
            ..session(1)
        };
        for outcome in Outcome::ALL {
            assert_eq!(
                effect(&answered, &asked(1, 0), outcome),
                Effect::Nothing(NoEffect::AnsweredBefore)
            );
        }
    }

    #[test]
    fn nothing_comes_of_an_answer_that_nobody_waits_for() {
        let mut closed = agreement();
        closed.status = crate::agreement::Status::Cancelled;
        let locked = Recipient {
            status: RecipientStatus::Completed,
            viewing_locked_at: Some(NOW),
            ..asked(1, 3)
        };
        let changed = Recipient {
            authentication: Authentication::Sms,
            ..asked(1, 0)
        };
        for outcome in Outcome::ALL {
            let of = |agreement: &Agreement, recipient: &Recipient, now| {
                decide(&session(1), agreement, recipient, (outcome, now), now)
            };
            assert_eq!(
                of(&closed, &asked(1, 0), NOW),
                Effect::Nothing(NoEffect::AgreementClosed)
            );
            assert_eq!(
                of(&agreement(), &asked(1, 0), agreement().expires_at),
                Effect::Nothing(NoEffect::AgreementClosed)
            );
            assert_eq!(
                of(&agreement(), &locked, NOW),
                Effect::Nothing(NoEffect::ViewingLocked)
            );
            assert_eq!(
                of(&agreement(), &changed, NOW),
                Effect::Nothing(NoEffect::MethodChanged)
            );
        }
    }
}
