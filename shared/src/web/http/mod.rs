//! Event in, problem out: the only place that knows of status codes and headers.

pub mod accept;
mod call;
pub mod cors;
pub mod cursor;
mod field_errors;
pub mod patch;
mod plain;
pub mod problem;
#[cfg(test)]
mod properties;
pub mod refusals;
mod reply;
pub mod routes;

pub use call::{Body, Call};
pub use field_errors::FieldErrors;
pub use problem::{FieldError, Problem, Slug};
pub use reply::Reply;
pub use routes::{Operation, Route};

/// What a handler comes back with.
pub type Outcome = Result<Reply, Problem>;
