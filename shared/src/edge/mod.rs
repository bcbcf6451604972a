//! How a function starts and serves.

pub mod serve;
pub mod start;
