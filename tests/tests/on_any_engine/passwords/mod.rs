//! Passwords: forgotten ones, wrong ones, and which may be chosen.

mod attempts;
mod flow;
mod rules;
