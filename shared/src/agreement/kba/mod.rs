//! Knowledge-based authentication: a recipient answers questions in the provider's own frame, and
//! the provider tells us how it went.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`session`] | one attempt of one recipient, as it is stored |
//! | [`rules`] | pure: what an answer of the provider comes to |
//! | [`writes`] | what it comes to, as one transaction |
//! | [`callback`] | what the provider sends |
//! | [`webhook`] | whether it was the provider who sent it |

pub mod callback;
pub mod rules;
pub mod session;
pub mod webhook;
pub mod writes;

pub use callback::{Answer, Outcome};
pub use rules::{Effect, NoEffect};
pub use session::{LIFETIME, OPENINGS, Session, Status};
