//! The world that the flows are tried in: a local stack of its own for each test, driven over HTTP,
//! on a clock that only the test moves.

pub mod agreements;
mod authenticator;
pub mod chains;
pub mod contacts;
pub mod desk;
pub mod elsewhere;
pub mod issuer;
mod kba;
mod memory;
mod reading;
pub mod strain;
mod world;

pub use authenticator::{Authenticator, codes};
pub use kba::Asked;
pub use memory::Memory;
pub use reading::{claims, token_of};
pub use world::{Answer, Exchange, OPERATOR, PASSWORD, Person, World, another};
