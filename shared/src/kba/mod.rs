//! Knowledge-based authentication: a recipient answers questions in the provider's own frame, and the provider tells us how it went.

pub mod webhook;
