//! Signing in: the password or an ID token, the second factor, and what a proof is good for.

mod ambiguous;
mod flow;
mod known_addresses;
mod proofs;
mod sso;
mod three_persons;
