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
/// The path `a.b.c` of an item, as a test names what it reaches into.
pub fn path(text: &'static str) -> shared::store::dynamo::Path {
    let (attribute, rest) = text.split_once('.').unwrap_or((text, ""));
    let members = rest.split('.').filter(|member| !member.is_empty());
    members.fold(
        shared::store::dynamo::Path::new(attribute),
        shared::store::dynamo::Path::member,
    )
}

pub use world::{Answer, Exchange, OPERATOR, PASSWORD, Person, World, another};
