//! Somebody signs in: who they are, the challenge that is put to them, what they prove it by, and
//! what they get for it.

pub mod access_token;
pub mod challenge;
pub mod code;
pub mod completion;
pub mod exchange;
pub mod link;
pub mod me;
pub mod notice;
pub mod opening;
pub mod recovery;
pub mod refusals;
pub mod rejection;
pub mod reserved;
pub mod sign_in;
pub mod signed_in;
pub mod sso;
pub mod totp;
pub mod user;
