//! Whether a refusal is believed.
//!
//! What is written is written under what it was decided from. A refusal is not written, and what it
//! was decided from are copies that may be of two moments: a recipient who has just completed, as
//! they stood before, beside an agreement that has ended by that. So nobody is refused before both
//! were read a second time.

/// How often what speaks against a step was seen.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    is_seen: bool,
}

impl Doubt {
    /// Notes a refusal. It is in doubt the first time: the step is to be decided anew.
    pub const fn is_raised(&mut self) -> bool {
        !std::mem::replace(&mut self.is_seen, true)
    }
}
