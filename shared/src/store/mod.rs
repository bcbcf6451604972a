//! The table and what stands in it for everybody: keys, writes, rate limits, the audit chain; and
//! the cold start that opens it.

pub mod app;
pub mod audit;
pub mod dynamo;
pub mod start;
pub mod throttle;
