//! Which access tokens, and which sign-ins under way, let a user in. What ends them all counts the
//! token epoch up (`end_tokens`, `end_others`, and a patch by
//! `Change::ends_challenges`); decision 0020 lists it: another phone, mail address, password, subject
//! or kind, being disabled, a reset; and in the user's own hands, an app that is removed or replaced,
//! and new recovery codes.

use super::User;
use super::attribute::{SPARED, TOKEN_EPOCH};
use crate::signin::access_token::Claims;
use crate::signin::challenge::attribute::CHALLENGES;
use crate::store::dynamo::{Update, empty_map};

impl User {
    /// Whether this user is let in by what was proved in this generation.
    pub const fn honours(&self, generation: u64) -> bool {
        !self.disabled && generation == self.token_epoch
    }

    /// Whether this user is let in by an access token that says this.
    pub fn takes(&self, claims: &Claims) -> bool {
        let spared = !self.disabled && self.spared.as_deref() == Some(claims.jti.as_str());
        spared
            || claims
                .generation
                .is_some_and(|generation| self.honours(generation))
    }

    /// Adds to an update the conditions of [`User::takes`].
    #[must_use]
    pub fn guard_token(update: Update, claims: &Claims) -> Update {
        // Without a generation it is of none that there is.
        let is_of_epoch = TOKEN_EPOCH.is(claims.generation.unwrap_or(u64::MAX));
        let is_spared = SPARED.is(claims.jti.as_str());
        update
            .when(Self::is_enabled())
            .when(is_of_epoch.or(is_spared))
    }

    /// Adds to an update of this user's item that the access tokens that were signed so far are no
    /// longer taken.
    #[must_use]
    pub(super) fn end_tokens(&self, update: Update) -> Update {
        let update = update.set(TOKEN_EPOCH, self.token_epoch + 1);
        if self.spared.is_some() {
            update.remove(SPARED)
        } else {
            update
        }
    }

    /// Adds to an update of this user's item, which is made with an access token, that this token
    /// alone is taken from now on, and that the sign-ins under way are over: who changes a factor
    /// means to be alone with it.
    #[must_use]
    pub fn end_others(&self, update: Update, own: &Claims) -> Update {
        Self::end_challenges(update)
            .set(TOKEN_EPOCH, self.token_epoch + 1)
            .set(SPARED, own.jti.as_str())
    }

    /// Adds to an update of a user's item that the sign-ins under way are over.
    #[must_use]
    pub(super) fn end_challenges(update: Update) -> Update {
        update.set(CHALLENGES, empty_map())
    }
}
