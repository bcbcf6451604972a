//! What a code counts in when it is sent, beside its challenge: whose counts they are, and who can
//! fill them.
//!
//! | counter | limit | stands at | who can fill it | who suffers |
//! | --- | --- | --- | --- | --- |
//! | the account's, for a destination | [`PER_DESTINATION`] | `DESTINATION#…`, `SENDS#<account>` | whoever knows a password of the account's users there: not the kept half | strangers of that account |
//! | the account's, for a contact that waits for its first code | the same, and nothing is kept of it | `DESTINATION#…`, `PENDING#<account>` | a user of the account who says that the contact is theirs | who says so in that account: nobody whose contact counts |
//! | that of all accounts for a destination | [`PER_DESTINATION_OVERALL`] | `DESTINATION#…`, `SENDS` | users of several accounts | everybody but a verified contact that is asked for from a known address |
//! | the user's | `PER_USER` | the user's own item | whoever knows the password: not the kept half | strangers |
//! | the client IP's | [`PER_CLIENT_IP`] | `SOURCE#…`, `SENDS` | whoever sends from it | who shares it |
//! | the account's SMS to a country | [`crate::messaging::send_budget`] | `BUDGET#…` | who asks and does not answer | the account's users in that country, for the hour |
//!
//! All but the user's are blind writes: nothing has to be read before. What was refused or failed
//! does not count: the claim of a send is one transaction, and a message that was not taken is
//! [withdrawn](Counters::withdraw).

use std::net::IpAddr;

use super::{PER_CLIENT_IP, PER_DESTINATION, PER_DESTINATION_OVERALL};
use crate::kernel::client_ip::client_ip_key;
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::AccountId;
use crate::messaging::send_budget::Budget;
use crate::messaging::send_budget::out_of_budget;
use crate::signin::reserved::{self, Requester, ReservedWindow};
use crate::store::dynamo::{Failure, Item, Key, Stood, Write, keys};
use crate::store::rate_limit::{Limit, Window};
use crate::web::http::Problem;
use crate::web::http::refusals::too_many_sends;

/// How sure it is that a contact is its user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactStatus {
    /// A code that was sent to it was typed.
    Verified,
    /// An administrator entered it, or a sender.
    Entered,
    /// It waits for its first code, and counts for nothing until then.
    Pending,
}

/// The counters of one code.
#[derive(Clone, Copy, Debug)]
pub struct Counters<'a> {
    /// The account in whose name it is sent.
    pub account: AccountId,
    /// Where it goes.
    pub destination: &'a str,
    /// The destination's country, of an SMS.
    pub country: Option<&'a str>,
    /// How sure it is whose contact that is.
    pub standing: ContactStatus,
    /// Who asks.
    pub requester: Requester,
    /// The address that it is asked for from.
    pub client_ip: IpAddr,
    /// When.
    pub now: Timestamp,
}

/// Why a counter takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A window has reached its limit.
    Until(Timestamp, Limit),
    /// Too many SMS of the account to this country were not answered this hour.
    Budget,
}

/// The logs that have to be trimmed before anything is entered.
#[derive(Debug, Default)]
pub struct Trims {
    own: Option<reserved::Log>,
    client_ip: Option<Vec<Timestamp>>,
    overall: Option<Vec<Timestamp>>,
}

impl Counters<'_> {
    /// The write of each, under the condition that it takes one more.
    pub fn enter(&self, trims: &Trims) -> Vec<Write> {
        let (own, own_asker) = (self.own_key(), self.own_asker());
        let own = PER_DESTINATION.enter(own, own_asker, self.now, trims.own.as_ref());
        let client_ip = trims.client_ip.as_deref();
        let client_ip = PER_CLIENT_IP.enter(self.client_ip_key(), self.now, client_ip);
        let overall = self
            .overall_key()
            .map(|key| PER_DESTINATION_OVERALL.enter(key, self.now, trims.overall.as_deref()));
        let text = self.budget().map(|budget| budget.take(self.now));
        [own.into(), client_ip.into()]
            .into_iter()
            .chain(overall.map(Write::from))
            .chain(text.map(Write::from))
            .collect()
    }

    /// Whether an item is one of those that they count on.
    fn owns(&self, key: &Key) -> bool {
        let budget = self.budget().map(|budget| budget.key(self.now));
        self.logs().contains(key) || budget.as_ref() == Some(key)
    }

    /// What a transaction that has these writes, and failed, says of them: which is full, or which
    /// have to be trimmed.
    ///
    /// Where something else failed as well, that has to be looked at first, and nothing is said to
    /// be full.
    pub fn lost(&self, failure: &Failure) -> Result<Trims, Full> {
        let Failure::Condition(stood) = failure else {
            return Ok(Trims::default());
        };
        let looked_at_first = stood.each().any(|(key, _)| !self.owns(key));
        let own = stood.at(&self.own_key()).map(|item| {
            let log = reserved::Log::of(Some(item));
            (
                PER_DESTINATION.full_until(&log, self.own_asker(), self.now),
                log,
            )
        });
        let window = |key: &Key, window: &Window| {
            let moments = Window::moments(stood.at(key)?);
            Some((window.full_until(&moments, self.now), moments))
        };
        let client_ip = window(&self.client_ip_key(), &PER_CLIENT_IP);
        let overall = self
            .overall_key()
            .and_then(|key| window(&key, &PER_DESTINATION_OVERALL));
        let full = [own.as_ref().and_then(|(full, _)| *full)].into_iter();
        let mut full =
            full.chain([&client_ip, &overall].map(|log| log.as_ref().and_then(|(full, _)| *full)));
        match full.find_map(|full| full) {
            Some((until, limit)) if !looked_at_first => return Err(Full::Until(until, limit)),
            None if self.is_out_of_budget(stood) => return Err(Full::Budget),
            _ => {}
        }
        let moments = |log: Option<(Option<_>, Vec<Timestamp>)>| {
            log.filter(|(full, _)| full.is_none())
                .map(|(_, moments)| moments)
        };
        let own = own.filter(|(full, _)| full.is_none()).map(|(_, log)| log);
        Ok(Trims {
            own,
            client_ip: moments(client_ip),
            overall: moments(overall),
        })
    }

    /// Whether the budget's condition failed and nothing else did: what else failed is read again
    /// first.
    fn is_out_of_budget(&self, stood: &Stood) -> bool {
        let at_budget = |budget: Budget<'_>| stood.at(&budget.key(self.now)).is_some();
        self.budget().is_some_and(at_budget) && stood.each().count() == 1
    }

    /// The logs: what [`Counters::withdraw`] wants to see, in that order.
    pub fn logs(&self) -> Vec<Key> {
        [self.own_key(), self.client_ip_key()]
            .into_iter()
            .chain(self.overall_key())
            .collect()
    }

    /// The writes that take a send back, given the logs as they stand. `gives_back` says that its
    /// text is still to be given back to the budget.
    pub fn withdraw(&self, logs: &[Option<Item>], gives_back: bool) -> Vec<Write> {
        let read: Vec<(Key, &Option<Item>)> = self.logs().into_iter().zip(logs).collect();
        let at = |key: &Key| read.iter().find(|(of, _)| of == key)?.1.as_ref();
        let window = |key: Key| {
            let moments = at(&key).map(Window::moments).unwrap_or_default();
            Window::withdraw(key, self.now, &moments)
        };
        let own = ReservedWindow::withdraw(
            self.own_key(),
            self.own_asker(),
            self.now,
            &reserved::Log::of(at(&self.own_key())),
        );
        let overall = self.overall_key().and_then(window);
        let text = self.budget().filter(|_| gives_back);
        own.map(Write::from)
            .into_iter()
            .chain(window(self.client_ip_key()).map(Write::from))
            .chain(overall.map(Write::from))
            .chain(text.map(|budget| budget.give_back(self.now).into()))
            .collect()
    }

    fn own_key(&self) -> Key {
        match self.standing {
            ContactStatus::Verified | ContactStatus::Entered => {
                keys::account_sends(self.destination, self.account)
            }
            ContactStatus::Pending => keys::pending_sends(self.destination, self.account),
        }
    }

    /// Who asks, as the account's window has it. What is kept of one is kept for whose contact it
    /// is: of a contact that nobody has proved nothing is kept, or every user who says that it is
    /// theirs would be sent more than the window has, each from their own address.
    const fn own_asker(&self) -> Requester {
        match self.standing {
            ContactStatus::Verified | ContactStatus::Entered => self.requester,
            ContactStatus::Pending => Requester::Anybody,
        }
    }

    fn client_ip_key(&self) -> Key {
        keys::client_ip_sends(&client_ip_key(self.client_ip))
    }

    /// The window that all accounts share. It refuses no verified contact that is asked for from a
    /// known address, and is not written then.
    fn overall_key(&self) -> Option<Key> {
        let exempt = self.standing == ContactStatus::Verified && self.requester == Requester::Known;
        (!exempt).then(|| keys::destination_sends(self.destination))
    }

    fn budget(&self) -> Option<Budget<'_>> {
        self.country.map(|country| Budget {
            account: self.account,
            country,
        })
    }
}

impl Full {
    /// The problem, as of `now`.
    pub fn problem(self, now: Timestamp) -> Problem {
        match self {
            Self::Until(until, limit) => too_many_sends(until, limit, now),
            Self::Budget => out_of_budget(now),
        }
    }
}
