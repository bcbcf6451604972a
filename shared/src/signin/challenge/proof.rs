//! A right code is spent: whoever writes first has it.

use super::Place;
use super::attribute::Attributes;
use crate::kernel::clock::Timestamp;
use crate::signin::user::known::Origin;
use crate::signin::user::{Method, factor};
use crate::store::dynamo::Update;

/// A factor that was proved for a challenge.
#[derive(Debug)]
pub struct Proven<'a, P: Place> {
    /// For which challenge.
    pub place: &'a P,
    /// Which factor.
    pub method: Method,
    /// From what kind of address.
    pub origin: Origin,
    /// When.
    pub now: Timestamp,
}

impl<P: Place> Proven<'_, P> {
    /// Adds to an update of the holder's item that the factor's wrong codes are over, under the
    /// conditions of [`Place::challenge`].
    #[must_use]
    pub fn clear(&self, update: Update) -> Update {
        let update = factor::clear(update, self.method, self.origin);
        self.place.guard(update, self.now)
    }

    /// The same, by the sent code with this digest, under the condition that it is still the one
    /// that is good.
    #[must_use]
    pub fn spend_code(&self, update: Update, digest: &str) -> Update {
        let own = Attributes(self.place.name());
        self.clear(update)
            .when(own.code_digest(self.method).is(digest))
    }
}
