//! Event in, problem out; and the same request twice, carried out once.

pub mod http;
pub mod idempotency;
pub mod settle;
