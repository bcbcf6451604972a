//! What walks over every route, counts requests and units, waits, or follows a reference at random:
//! on the embedded engine alone. Why Amazon's would add nothing, `workspace` says for each.
//!
//! One program, since each is linked with all that the stack is made of; and apart from the flows,
//! which run on Amazon's engine as well. One suite alone:
//! `cargo test -p tests --test on_the_embedded_engine faults::`.

mod cleanup_contention;
mod contention;
mod contract;
mod cost;
mod documents;
mod faults;
mod kba_machine;
mod latency;
mod ledger_machine;
mod problems;
mod serial;
mod unreached;
mod waits;
