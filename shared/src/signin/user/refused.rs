//! The passwords for a username that were refused without a comparison, because of a delay or
//! because its count has reached its end: how many there were, and what of it the user's audit
//! tells.
//!
//! The count stands on an item beside the username and only grows: who signs in writes nothing
//! there, so that no flood of refused passwords is in a sign-in's way. How much of it was told
//! stands on the item that has the chain. An entry is written with the first that is refused, and
//! one with their number at the next sign-in, by whichever way it is: with a right password or ID
//! token, and with what completes a sign-in. It ends the series. [`REPORTS_MAX`] an hour, what is
//! more waits for the next. Names that nobody has are treated alike: nobody signs in with one, so
//! that the first is all that is told.
//!
//! What is refused between the moment in which a sign-in reads the count and the moment in which it
//! tells it, is told at the one after. So the count is looked at for as long as a series is open,
//! which each that is refused may prolong, and else for as long as it can stand after the last
//! entry; a sign-in of whom no password was refused within that time waits for nothing
//! ([`RefusedPasswords::unreported`]). A series whose count has gone, because nobody signed in for
//! as long as it stood, is ended with nothing to tell. A password's count is read before the
//! password is compared.

use serde::{Deserialize, Serialize};

use crate::kernel::clock::{Span, Timestamp};
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Key, Path, Table, Update, document, keys};
use crate::store::rate_limit::Limit;

use super::User;
use super::attempts::REMEMBERED;
use super::attribute::REFUSALS;

const REFUSED: Path = Path::new("refused");
const SINCE: Path = Path::new("since");

/// The entries about refused passwords in a user's audit.
pub const REPORTS_MAX: Limit = Limit {
    quota: 20,
    span: Span::hours(1),
};

/// How many were refused, as it is stored beside the username.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusedPasswords {
    /// How many.
    #[serde(rename = "refused")]
    pub count: u64,
    /// Since when they are counted: the item ends a while after the last, and another begins anew.
    pub since: Timestamp,
}

/// How much of it was told, as it is stored with the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusalReport {
    /// Of which count.
    pub since: Timestamp,
    /// How many of it.
    pub count: u64,
    /// Whether a series was told of whose number is not told yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
    /// When the latest entries about them were written, the newest first.
    pub at: Vec<Timestamp>,
}

impl RefusedPasswords {
    /// The write that counts one more at `key`, whatever stands there.
    pub fn one_more(key: Key, now: Timestamp) -> Update {
        Update::of(key)
            .count(REFUSED, 0_u32, 1_u32)
            .set_unless_present(SINCE, now)
            .set_expiry(now.plus(REMEMBERED))
    }

    /// The same for the first of a series, under the condition that the count stands as it was
    /// read.
    pub fn first(&self, key: Key, now: Timestamp) -> Update {
        let stands_as_read = match self.count {
            0 => REFUSED.is_absent(),
            count => REFUSED.is(count),
        };
        Self::one_more(key, now).when(stands_as_read)
    }

    /// How many were refused of a user's name, where the user's item says that it may be more than
    /// was told; none otherwise.
    pub async fn unreported(user: &User, table: &Table, now: Timestamp) -> Result<Self, Failure> {
        if !user.refusals.may_have_untold(now) {
            return Ok(Self::default());
        }
        let count = keys::name_refused(user.account, &user.username);
        table.find(count.holding().or_default()).await
    }
}

impl User {
    /// Adds to an update of the user's item that so many as were refused are told, and the entry
    /// that tells it, if there is anything to tell.
    pub fn report_refused(
        &self,
        update: Update,
        refused: &RefusedPasswords,
        now: Timestamp,
    ) -> Result<(Update, Option<Event>), Failure> {
        let (told, number) = match self.refusals.number(refused, now) {
            Some((told, number)) => (Some(told), Some(number)),
            None => (self.refusals.ended(refused, now), None),
        };
        let event = Event::new(Action::PasswordRefused, Actor::System).failed();
        let event = number.map(|number| event.with("refused", number));
        let update = match told {
            Some(told) => told.write(update)?,
            None => update,
        };
        Ok((update, event))
    }
}

impl RefusalReport {
    /// Whether nothing was told yet.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How many were refused since a number was told.
    pub const fn unreported(&self, refused: &RefusedPasswords) -> u64 {
        let told = if self.since.as_millis() == refused.since.as_millis() {
            self.count
        } else {
            0
        };
        refused.count.saturating_sub(told)
    }

    /// Whether there may be some that were not told.
    fn may_have_untold(&self, now: Timestamp) -> bool {
        self.is_open || self.is_recent(now)
    }

    /// Whether what was refused after the latest entry, and opened no series, can still stand:
    /// within the hour there may have been no room.
    fn is_recent(&self, now: Timestamp) -> bool {
        self.at
            .first()
            .is_some_and(|at| at.plus(REPORTS_MAX.span).plus(REMEMBERED) > now)
    }

    /// What stands there once a series is ended whose count has gone. What was read may be older
    /// than a first that has just been told, so that none ends before its count could go.
    fn ended(&self, refused: &RefusedPasswords, now: Timestamp) -> Option<Self> {
        let is_over = self.is_open && self.unreported(refused) == 0 && !self.is_recent(now);
        is_over.then(|| Self {
            is_open: false,
            ..self.clone()
        })
    }

    /// What stands there once the first of a series is told, if it is told: no series is open, and
    /// the hour has room.
    ///
    /// Some may be untold where none is open: they were refused while their number was told.
    pub fn first(&self, refused: &RefusedPasswords, now: Timestamp) -> Option<Self> {
        let is_first = !self.is_open || self.unreported(refused) == 0;
        self.with_entry(now).filter(|_| is_first).map(|told| Self {
            is_open: true,
            ..told
        })
    }

    /// What stands there once the number is told, and the number, if there is one to tell and the
    /// hour has room.
    pub fn number(&self, refused: &RefusedPasswords, now: Timestamp) -> Option<(Self, u64)> {
        let unreported = self.unreported(refused);
        let told = self.with_entry(now).filter(|_| unreported > 0)?;
        Some((
            Self {
                since: refused.since,
                count: refused.count,
                is_open: false,
                ..told
            },
            unreported,
        ))
    }

    fn with_entry(&self, now: Timestamp) -> Option<Self> {
        let has_room = REPORTS_MAX.full_until(&self.at, now).is_none();
        let at = std::iter::once(now)
            .chain(self.at.iter().copied())
            .take(REPORTS_MAX.quota)
            .collect();
        has_room.then_some(Self { at, ..*self })
    }

    /// Adds to an update of the item with the chain that so much is told.
    pub fn write(&self, update: Update) -> Result<Update, Failure> {
        Ok(update.set(REFUSALS, document(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn refused(count: u64) -> RefusedPasswords {
        RefusedPasswords { count, since: NOW }
    }

    #[test]
    fn the_first_is_told_and_then_their_number() {
        let told = RefusalReport::default()
            .first(&RefusedPasswords::default(), NOW)
            .unwrap();
        assert_eq!(
            (told.first(&refused(1), NOW), told.first(&refused(7), NOW)),
            (None, None),
            "the second is not the first"
        );
        let (told, number) = told.number(&refused(7), NOW).unwrap();
        assert_eq!((number, told.number(&refused(7), NOW)), (7, None));
        let told = told.first(&refused(7), NOW).unwrap();
        assert_eq!(
            told.number(&refused(9), NOW).map(|(_, number)| number),
            Some(2)
        );
    }

    #[test]
    fn an_open_series_is_looked_at_for_as_long_as_it_is_open_and_another_while_its_count_can_stand()
    {
        let over = NOW.plus(REPORTS_MAX.span).plus(REMEMBERED);
        let open = RefusalReport::default()
            .first(&RefusedPasswords::default(), NOW)
            .unwrap();
        let (told, _) = open.number(&refused(7), NOW).unwrap();
        for (moment, may) in [(over.minus(Span::seconds(1)), true), (over, false)] {
            assert_eq!(
                (
                    open.may_have_untold(moment),
                    told.may_have_untold(moment),
                    RefusalReport::default().may_have_untold(moment)
                ),
                (true, may, false)
            );
        }
    }

    #[test]
    fn a_series_is_ended_with_nothing_to_tell_once_its_count_has_gone() {
        let over = NOW.plus(REPORTS_MAX.span).plus(REMEMBERED);
        let open = RefusalReport::default()
            .first(&RefusedPasswords::default(), NOW)
            .unwrap();
        let gone = RefusedPasswords::default();
        assert_eq!(
            open.ended(&gone, over),
            Some(RefusalReport {
                is_open: false,
                ..open.clone()
            })
        );
        assert_eq!(
            open.ended(&gone, over.minus(Span::seconds(1))),
            None,
            "what was read may be older than the first"
        );
        assert_eq!(
            open.ended(&refused(7), over),
            None,
            "there is something to tell"
        );
        assert!(
            open.first(&gone, over).is_some(),
            "where nobody has signed in, the next begins all the same"
        );
        assert_eq!(
            RefusalReport {
                is_open: false,
                ..open
            }
            .ended(&gone, over),
            None
        );
    }

    #[test]
    fn what_is_refused_while_a_number_is_told_is_looked_for_and_keeps_no_first_from_being_told() {
        let told = RefusalReport::default()
            .first(&RefusedPasswords::default(), NOW)
            .unwrap();
        // Nine stand by the time that seven are told.
        let (told, _) = told.number(&refused(7), NOW).unwrap();
        assert!(told.may_have_untold(NOW));
        let told = told.first(&refused(9), NOW).unwrap();
        assert_eq!(told.first(&refused(10), NOW), None);
        assert_eq!(
            told.number(&refused(12), NOW).map(|(_, number)| number),
            Some(5)
        );
    }

    #[test]
    fn a_count_that_began_anew_is_another() {
        let (told, _) = RefusalReport::default().number(&refused(7), NOW).unwrap();
        let anew = RefusedPasswords {
            count: 1,
            since: NOW.plus(Span::days(40)),
        };
        assert_eq!(told.unreported(&anew), 1);
        assert!(told.first(&RefusedPasswords::default(), NOW).is_some());
    }

    #[test]
    fn twenty_entries_an_hour_and_what_is_more_waits() {
        let mut told = RefusalReport::default();
        let mut count = 0;
        for _ in 0..10 {
            told = told.first(&refused(count), NOW).unwrap();
            count += 3;
            told = told.number(&refused(count), NOW).unwrap().0;
        }
        assert_eq!(
            (
                told.first(&refused(count), NOW),
                told.number(&refused(count + 3), NOW)
            ),
            (None, None)
        );
        assert!(told.may_have_untold(NOW), "what had no room is looked for");
        let later = NOW.plus(Span::hours(1));
        assert_eq!(
            told.number(&refused(count + 3), later)
                .map(|(_, number)| number),
            Some(3),
            "nothing is lost"
        );
    }
}
