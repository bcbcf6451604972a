//! SMS and mail: what is said, by whom it is carried, what is written with the change that it tells
//! of and sent after it, and how much of it there may be.

pub mod courier;
pub mod outbox;
pub mod send_budget;
