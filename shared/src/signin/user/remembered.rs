//! What a sign-in that is completed leaves behind of where it came from: see [`super::known`].

use super::attribute::KNOWN;
use super::known::{HashedIp, Origin};
use super::{User, attempts, credential};
use crate::store::dynamo::{Delete, Failure, Update, document};

impl User {
    /// Adds to an update of this user's item that a sign-in from `hashed_ip` is completed: the user
    /// is known there from now on. The write beside it, where there is one, takes the list to the
    /// credential; the head of the user's chain, which moves with the update, says for both that
    /// the list stands as it was read.
    pub fn remember(
        &self,
        update: Update,
        hashed_ip: &HashedIp,
    ) -> Result<(Update, Option<Update>), Failure> {
        let known = self.known.with(hashed_ip);
        let is_to_be_copied = self.known.is_to_be_copied(hashed_ip);
        let copy = is_to_be_copied.then(|| credential::set_known(credential::update(self), &known));
        Ok((update.set(KNOWN, document(&known)?), copy.transpose()?))
    }

    /// The write that a sign-in from `hashed_ip` by another way than the password makes beside:
    /// from a known address it lets strangers try the password again.
    pub fn signed_in_from(&self, hashed_ip: &HashedIp) -> Option<Delete> {
        let is_known = self.known.origin(hashed_ip) == Origin::Known;
        is_known.then(|| attempts::end_of_strangers(self.account, &self.username))
    }
}
