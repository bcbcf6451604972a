//! What is refused whatever the subject: too much, too often, too late, malformed.

mod abuse;
mod arrival;
mod bad_input;
mod flow;
mod leases;
