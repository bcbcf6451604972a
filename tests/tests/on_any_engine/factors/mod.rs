//! A user's factors: apps and recovery codes, the own profile, and who is told of a change.

mod flow;
mod notices;
mod profile;
mod races;
