//! What has no noun of the product in it: time, randomness, names, keys, secrets, the environment,
//! and requests to the outside.

mod cause;
pub mod client_ip;
pub mod clock;
pub mod config;
pub mod contact;
pub mod entropy;
pub mod ids;
pub mod json;
pub mod keyring;
pub mod metric;
pub mod outbound;
pub mod sdk;
pub mod secret;

pub use cause::cause;
