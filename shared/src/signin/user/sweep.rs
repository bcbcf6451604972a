//! What is over on a user's item, and goes.

use super::attribute::ENROLMENT;
use super::{Method, User, pending};
use crate::kernel::clock::Timestamp;
use crate::signin::challenge::attribute::CHALLENGES;
use crate::store::audit::Chain;
use crate::store::dynamo::{Condition, Path, Update, keys};

/// The most challenges removed with one write: an expression has its limits.
const AT_ONCE: usize = 50;

/// The removal of what is over, as far as it goes with one write.
#[derive(Debug)]
pub struct Sweep {
    /// The write, under the condition that nothing was opened since the user was read and that
    /// nobody else has removed the same.
    pub write: Update,
    /// How many challenges go.
    pub challenges: usize,
    /// How many goes of what was begun and not confirmed: an app, contacts.
    pub unconfirmed: usize,
    /// When the next of what is left is over.
    pub next: Option<Timestamp>,
}

impl User {
    /// Removes the challenges that are over, and the app and the contacts that nobody confirmed in
    /// time; lets the clean-up look again while there are others.
    pub fn sweep(&self, now: Timestamp) -> Sweep {
        let over = self
            .challenges
            .iter()
            .filter(|(_, challenge)| challenge.expires_at <= now);
        let over: Vec<&String> = over.map(|(name, _)| name).take(AT_ONCE).collect();
        let (abandoned, pending): (Vec<_>, Vec<_>) = self
            .unconfirmed()
            .into_iter()
            .partition(|(_, expires_at)| *expires_at <= now);
        let left = self
            .challenges
            .iter()
            .filter(|(name, _)| !over.contains(name));
        let left = left.map(|(_, challenge)| challenge.expires_at);
        let next = left
            .chain(pending.into_iter().map(|(_, expires_at)| expires_at))
            .min();
        let update = self.entered_anew(next);
        // Another run that was faster has removed them: it counts them.
        let update = match over.first() {
            Some(first) => update.when(CHALLENGES.member(first.as_str()).exists()),
            None => update,
        };
        let update = abandoned.iter().fold(update, |update, (path, _)| {
            update.when(path.clone().exists()).remove(path.clone())
        });
        let challenges = over.len();
        let write = over.into_iter().fold(update, |update, name| {
            update.remove(CHALLENGES.member(name.as_str()))
        });
        Sweep {
            write,
            challenges,
            unconfirmed: abandoned.len(),
            next,
        }
    }

    /// An update of the index. Every sign-in moves the audit chain: nothing was opened since the
    /// read, or the index would forget a challenge.
    fn entered_anew(&self, next: Option<Timestamp>) -> Update {
        let update = Update::of(keys::user(self.id))
            .when(Condition::item_exists())
            .when(Chain::of(self.account, self.id, &self.head).unmoved());
        match next {
            Some(next) => update.look_again_at(next),
            None => update.remove_due(),
        }
    }

    /// What was begun and not confirmed, and when it is over.
    fn unconfirmed(&self) -> Vec<(Path, Timestamp)> {
        let app = self
            .enrolment
            .as_ref()
            .map(|begun| (ENROLMENT, begun.expires_at));
        let contacts = [
            (Method::Sms, &self.pending_sms),
            (Method::Email, &self.pending_email),
        ];
        let contacts = contacts.into_iter().filter_map(|(method, begun)| {
            Some((
                pending::Attributes(method).whole(),
                begun.as_ref()?.expires_at,
            ))
        });
        app.into_iter().chain(contacts).collect()
    }
}
