//! What runs on a schedule, and after an answer: the clean-up and the outbox.

mod cleanup;
mod outbox;
