//! What a rule decides of one stored item: how it is next, and the write that makes it so.

use super::dynamo::Update;

/// The next state of an item, and the write whose condition repeats what was judged of the last.
#[derive(Clone, Debug)]
#[must_use]
pub struct Transition<T> {
    /// How the item is once the write has taken effect.
    pub next: T,
    /// The write. It has taken effect, or another state than the one judged was found.
    pub write: Update,
}
