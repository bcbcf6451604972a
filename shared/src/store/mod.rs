//! The table and what stands in it for everybody: keys, writes, rate limits, the audit chain; and
//! what a function holds of it all.

pub mod app;
pub mod audit;
pub mod dynamo;
pub mod rate_limit;
