//! The world that the flows are tried in: a local stack of its own for each test, driven over HTTP, on a clock that only the test
//! moves.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this crate is a test harness"
)]

mod world;

pub use world::{Answer, OPERATOR, PASSWORD, Person, World, another};
