//! Windows of which half is kept for known addresses: what a stranger does never uses up all of
//! one.
//!
//! A count that many share has a victim. Whoever knows a user's password, or a number that an
//! account sends to, would otherwise use up what the user in the right needs. So of each limit a
//! half is *kept*: strangers together have what is not kept, and from a known address the kept part
//! can be used whoever has used up the rest. Who has no known address yet has all of it, as far as
//! there is any.
//!
//! A log stands on an item of its own ([`ReservedWindow::enter`], which is exact under races as a
//! blind write), or on the item of its user ([`ReservedWindow::full_until`] and `Log::entered`,
//! under the condition that the copy that was judged has not changed).

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::kernel::clock::{Span, Timestamp};
use crate::signin::user::known::{HashedIp, Known, Origin};
use crate::store::dynamo::{Condition, Item, Key, Path, Update};
use crate::store::rate_limit::{Limit, MOMENTS};

/// Those of known addresses.
const OF_KNOWN: Path = Path::new("known");
/// Those of strangers.
const OF_STRANGERS: Path = Path::new("strangers");

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// The user, at an address that they are known at.
    Known,
    /// Somebody at another address than those that the user is known at.
    Stranger,
    /// Somebody for a user who is known at no address yet, or a recipient of an agreement, who
    /// never is.
    Anybody,
}

/// At most `quota` in any stretch of `span`, of which [half](Share::kept) is kept for known
/// addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub quota: usize,
    /// In how long.
    pub span: Span,
}

/// The moments of a window, the newest first: all of them, and beside them those of known addresses
/// and those of strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    moments: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strangers: Vec<Timestamp>,
}

/// One or more limits over a log; the last is the longest.
#[derive(Clone, Copy, Debug)]
pub struct ReservedWindow {
    /// The limits.
    pub shares: &'static [Share],
}

impl Share {
    /// How many are kept for known addresses: half, and of an odd number the greater part.
    pub const fn kept(&self) -> usize {
        self.quota.div_ceil(2)
    }

    /// How many strangers have together.
    const fn strangers(&self) -> usize {
        self.quota - self.kept()
    }

    /// Until when the `quota`th of these moments keeps the next one waiting.
    fn taken_until(
        &self,
        moments: &[Timestamp],
        quota: usize,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let until = moments.get(quota.checked_sub(1)?)?.plus(self.span);
        (until > now).then_some(until)
    }

    /// Until when this limit allows `requester` no more, if it does not allow one now.
    fn full_until(&self, log: &Log, requester: Requester, now: Timestamp) -> Option<Timestamp> {
        let all = self.taken_until(&log.moments, self.quota, now);
        match requester {
            Requester::Anybody => all,
            // Both have to be over.
            Requester::Stranger => all.max(self.taken_until(&log.strangers, self.strangers(), now)),
            // Either will do.
            Requester::Known => all
                .zip(self.taken_until(&log.known, self.kept(), now))
                .map(|(all, kept)| all.min(kept)),
        }
    }
}

impl Log {
    fn lists(&self) -> [(Path, &[Timestamp]); 3] {
        [
            (MOMENTS, &self.moments),
            (OF_KNOWN, &self.known),
            (OF_STRANGERS, &self.strangers),
        ]
    }

    /// Whether nothing was entered.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// The log of an item: empty where there is none.
    pub fn of(item: Option<&Item>) -> Self {
        let list = |path: &Path| {
            item.and_then(|item| moments(item.get(path.attribute())?))
                .unwrap_or_default()
        };
        Self {
            moments: list(&MOMENTS),
            known: list(&OF_KNOWN),
            strangers: list(&OF_STRANGERS),
        }
    }

    /// The same without what `requester` entered at this moment, if it is in it.
    #[must_use]
    pub fn without(&self, requester: Requester, moment: Timestamp) -> Self {
        let without = |path: &Path, list: &[Timestamp]| {
            let is_entered = requester.lists().any(|entered| entered == *path);
            let place = list.iter().position(|entry| *entry == moment && is_entered);
            list.iter()
                .enumerate()
                .filter(|(index, _)| Some(*index) != place)
                .map(|(_, entry)| *entry)
                .collect()
        };
        let [moments, known, strangers] = self.lists().map(|(path, list)| without(&path, list));
        Self {
            moments,
            known,
            strangers,
        }
    }
}

/// The moments of a list; none where it is something else.
fn moments(list: &AttributeValue) -> Option<Vec<Timestamp>> {
    let moment =
        |value: &AttributeValue| value.as_n().ok()?.parse().ok().map(Timestamp::from_millis);
    list.as_l().ok()?.iter().map(moment).collect()
}

impl Requester {
    /// Whoever asks from `hashed_ip` for the user who is known at these addresses.
    pub fn of(known: &Known, hashed_ip: &HashedIp, now: Timestamp) -> Self {
        match known.origin(hashed_ip) {
            Origin::Known => Self::Known,
            Origin::Stranger if known.is_empty(now) => Self::Anybody,
            Origin::Stranger => Self::Stranger,
        }
    }

    /// The lists in which this requester's moments are entered: that of all, and one beside it.
    fn lists(self) -> impl Iterator<Item = Path> {
        let own = match self {
            Self::Known => Some(OF_KNOWN),
            Self::Stranger => Some(OF_STRANGERS),
            Self::Anybody => None,
        };
        std::iter::once(MOMENTS).chain(own)
    }

    /// Where it is asked for from, as the counts of wrong codes and passwords tell it.
    pub const fn origin(self) -> Origin {
        match self {
            Self::Known => Origin::Known,
            Self::Stranger | Self::Anybody => Origin::Stranger,
        }
    }
}

impl ReservedWindow {
    /// Until when `requester` is allowed no more, if not one now; and the limit that says so.
    pub fn full_until(
        &self,
        log: &Log,
        requester: Requester,
        now: Timestamp,
    ) -> Option<(Timestamp, Limit)> {
        let full = self.shares.iter().filter_map(|share| {
            let until = share.full_until(log, requester, now)?;
            Some((
                until,
                Limit {
                    quota: share.quota,
                    span: share.span,
                },
            ))
        });
        full.max_by_key(|(until, _)| *until)
    }

    /// The log with `now` in it: as much of it as the limits look at.
    #[must_use]
    pub fn entered(&self, log: &Log, requester: Requester, now: Timestamp) -> Log {
        let longest = self
            .shares
            .last()
            .map_or(Span::default(), |share| share.span);
        let add = |list: &[Timestamp], enters: bool, most: usize| {
            let of_use = list
                .iter()
                .copied()
                .filter(|moment| moment.plus(longest) > now);
            enters
                .then_some(now)
                .into_iter()
                .chain(of_use)
                .take(most)
                .collect()
        };
        let most = |of: fn(&Share) -> usize| self.shares.iter().map(of).max().unwrap_or_default();
        Log {
            moments: add(&log.moments, true, most(|share| share.quota)),
            known: add(&log.known, requester == Requester::Known, most(Share::kept)),
            strangers: add(
                &log.strangers,
                requester == Requester::Stranger,
                most(Share::strangers),
            ),
        }
    }

    /// The write that enters `now` in the log at `key`, under the condition that every limit allows
    /// it.
    ///
    /// `trim` rewrites the log. The write appends blindly until the log has grown to twice what is
    /// needed; it then fails though no limit is reached, and is made again with the log that its
    /// failure handed back.
    pub fn enter(
        &self,
        key: Key,
        requester: Requester,
        now: Timestamp,
        trim: Option<&Log>,
    ) -> Update {
        let update = match trim {
            None => self.append(key, requester, now),
            Some(log) => self.rewrite(key, log, requester, now),
        };
        let update = self.shares.iter().fold(update, |update, share| {
            let over = now.minus(share.span);
            allows(share, requester, over)
                .into_iter()
                .fold(update, Update::when)
        });
        let longest = self
            .shares
            .last()
            .map_or(Span::default(), |share| share.span);
        update.set_expiry(now.plus(longest))
    }

    fn append(&self, key: Key, requester: Requester, now: Timestamp) -> Update {
        let quotas = self.shares.iter().map(|share| share.quota);
        let most = 2 * quotas.max().unwrap_or_default();
        let update = requester.lists().fold(Update::of(key), |update, list| {
            update.prepend(list, vec![now])
        });
        update.when(MOMENTS.element(most).is_absent())
    }

    /// Every entry stands in the list of all: while that is as it was, so are the others.
    fn rewrite(&self, key: Key, log: &Log, requester: Requester, now: Timestamp) -> Update {
        let kept = self.entered(log, requester, now);
        let lists = kept.lists().into_iter();
        let update = lists.fold(Update::of(key), |update, (path, list)| {
            update.set(path, list.to_vec())
        });
        update.when(MOMENTS.is(log.moments.clone()))
    }

    /// The write that takes out of the log at `key` again what `requester` entered at `moment`,
    /// given the log as it stands. `None` if it is not in it. What another requester entered at the
    /// same moment stays.
    pub fn withdraw(
        key: Key,
        requester: Requester,
        moment: Timestamp,
        log: &Log,
    ) -> Option<Update> {
        let place = |list: &[Timestamp]| list.iter().position(|entry| *entry == moment);
        let _ = place(&log.moments)?;
        let entered = log
            .lists()
            .into_iter()
            .filter(|(path, _)| requester.lists().any(|list| list == *path));
        let places = entered.filter_map(|(path, list)| Some(path.element(place(list)?)));
        Some(places.fold(Update::of(key), |update, path| {
            update.remove(path.clone()).when(path.is(moment))
        }))
    }
}

/// What has to hold of a log for a share of its limit to allow `requester` one more: `over` is the
/// moment that is just out of the span ([`Share::full_until`]).
fn allows(share: &Share, requester: Requester, over: Timestamp) -> Vec<Condition> {
    let free = |list: Path, quota: usize| {
        let oldest = list.element(quota.saturating_sub(1));
        oldest.clone().is_absent().or(oldest.is_at_most(over))
    };
    let all = free(MOMENTS, share.quota);
    match requester {
        Requester::Anybody => vec![all],
        Requester::Stranger => vec![all, free(OF_STRANGERS, share.strangers())],
        Requester::Known => vec![all.or(free(OF_KNOWN, share.kept()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: ReservedWindow = ReservedWindow {
        shares: &[
            Share {
                quota: 5,
                span: Span::minutes(10),
            },
            Share {
                quota: 10,
                span: Span::hours(1),
            },
        ],
    };
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// How many of these are allowed one after another at one moment.
    fn allowed(log: &mut Log, requester: Requester, now: Timestamp) -> usize {
        let mut count = 0;
        while WINDOW.full_until(log, requester, now).is_none() && count < 100 {
            *log = WINDOW.entered(log, requester, now);
            count += 1;
        }
        count
    }

    #[test]
    fn strangers_leave_what_is_kept_and_who_has_no_known_address_has_all() {
        for (requester, most) in [
            (Requester::Known, 5),
            (Requester::Stranger, 2),
            (Requester::Anybody, 5),
        ] {
            assert_eq!(
                allowed(&mut Log::default(), requester, NOW),
                most,
                "{requester:?}"
            );
        }
    }

    #[test]
    fn what_is_kept_is_there_whoever_has_used_up_the_rest() {
        for others in [Requester::Stranger, Requester::Anybody] {
            let mut log = Log::default();
            let _ = allowed(&mut log, others, NOW);
            assert_eq!(allowed(&mut log, Requester::Known, NOW), 3, "{others:?}");
            assert_eq!(allowed(&mut log, others, NOW), 0, "{others:?}");
        }
    }

    #[test]
    fn a_refusal_says_when_the_next_one_is_allowed() {
        let later = NOW.plus(Span::minutes(4));
        let mut log = Log::default();
        let _ = allowed(&mut log, Requester::Stranger, NOW);
        let _ = allowed(&mut log, Requester::Known, later);
        let until = |requester| {
            WINDOW
                .full_until(&log, requester, later)
                .map(|(until, _)| until)
        };
        for requester in [Requester::Stranger, Requester::Known, Requester::Anybody] {
            assert_eq!(
                until(requester),
                Some(NOW.plus(Span::minutes(10))),
                "{requester:?}"
            );
        }
    }

    #[test]
    fn what_is_taken_back_is_as_if_it_had_not_been() {
        let mut log = Log::default();
        let _ = allowed(&mut log, Requester::Stranger, NOW);
        let more = WINDOW.entered(&log, Requester::Known, NOW.plus(Span::seconds(1)));
        assert_eq!(
            more.without(Requester::Known, NOW.plus(Span::seconds(1))),
            log
        );
        assert_eq!(
            log.without(Requester::Stranger, NOW.plus(Span::days(1))),
            log
        );
        let key = crate::store::dynamo::keys::client_ip_sends("::1");
        assert!(
            ReservedWindow::withdraw(key, Requester::Stranger, NOW.plus(Span::days(1)), &log)
                .is_none()
        );
    }

    #[test]
    fn what_is_taken_back_leaves_what_another_entered_at_the_same_moment() {
        let by_stranger = WINDOW.entered(&Log::default(), Requester::Stranger, NOW);
        let both = WINDOW.entered(&by_stranger, Requester::Known, NOW);
        assert_eq!(both.without(Requester::Known, NOW), by_stranger);
        assert_eq!(
            both.without(Requester::Stranger, NOW),
            WINDOW.entered(&Log::default(), Requester::Known, NOW)
        );
        assert_eq!(
            both.without(Requester::Anybody, NOW)
                .without(Requester::Anybody, NOW)
                .moments,
            []
        );
    }

    fn any_asker() -> impl Strategy<Value = Requester> {
        prop::sample::select(vec![
            Requester::Known,
            Requester::Stranger,
            Requester::Anybody,
        ])
    }

    proptest! {
        /// The reference: count what lies in the stretch before `now`, by who asked.
        #[test]
        fn a_window_lets_through_what_its_sentence_says(asked in prop::collection::vec((0_i64..400, any_asker()), 1..80)) {
            let mut now = NOW;
            let (mut log, mut entries) = (Log::default(), Vec::new());
            for (gap, requester) in asked {
                now = now.plus(Span::seconds(gap));
                let count = |span: Span, of: Option<Requester>| {
                    let within = |(moment, by): &&(Timestamp, Requester)| moment.plus(span) > now && of.is_none_or(|of| of == *by);
                    entries.iter().filter(within).count()
                };
                let allows = |share: &Share| {
                    let rest = count(share.span, None) < share.quota;
                    // Of five strangers have two, and of ten five.
                    match requester {
                        Requester::Known => rest || count(share.span, Some(Requester::Known)) < share.quota - share.quota / 2,
                        Requester::Stranger => rest && count(share.span, Some(Requester::Stranger)) < share.quota / 2,
                        Requester::Anybody => rest,
                    }
                };
                let allowed = WINDOW.shares.iter().all(allows);
                prop_assert_eq!(WINDOW.full_until(&log, requester, now).is_none(), allowed);
                if allowed {
                    log = WINDOW.entered(&log, requester, now);
                    entries.push((now, requester));
                }
            }
        }
    }
}
