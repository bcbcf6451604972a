//! Agreements and their recipients, from the sending to the end.

mod completion_races;
mod ends;
mod flow;
mod mails;
mod method_races;
mod recipient_locks;
mod recipients;
mod viewings;
