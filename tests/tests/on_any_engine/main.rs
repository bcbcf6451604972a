//! The suites of whole flows, races and limits, through the handlers over HTTP, a folder for each
//! subject; and the reference of signing in. On the embedded engine, and by
//! `infra/scripts/real-components` on Amazon's.
//!
//! One program, since each is linked with all that the stack is made of, and so that no processor
//! waits for another suite's last test; and apart from the others, which Amazon's engine would add
//! nothing to. A subject's tests alone: `cargo test -p tests --test on_any_engine kba::`.

mod accounts;
mod agreements;
mod codes;
mod contacts;
mod factors;
mod kba;
mod ledger;
mod limits;
mod links;
mod model;
mod operations;
mod passwords;
mod reports;
mod sign_in;
mod store;
