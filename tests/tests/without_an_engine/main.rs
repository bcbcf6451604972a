//! Models in memory, judgements of files, and what the workspace says of itself.
//!
//! One program, and apart from the others, because no stack is linked with it: it is there soonest
//! after a change of a file that it reads.

mod forgeries;
mod holdings_model;
mod ledger_model;
mod workspace;
