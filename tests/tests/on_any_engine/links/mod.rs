//! One-time links to a user.

mod flow;
mod races;
