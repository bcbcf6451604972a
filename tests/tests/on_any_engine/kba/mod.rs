//! Knowledge-based authentication: sessions, the provider's answers, and what is too late.

mod flow;
mod late;
mod races;
