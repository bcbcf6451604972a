//! What the functions of Countersign have in common, by noun.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`account`], [`user`] | a client organisation and its settings; somebody who signs in |
//! | [`agreement`] | what recipients are asked to see and sign |
//! | [`api_key`], [`access_token`], [`signed_in`], [`me`] | what a back end, and what a signed-in person, shows; who that is |
//! | [`notice`] | who is told of a change to how they sign in |
//! | [`challenge`], [`code`], [`sign_in`] | proof in progress, the codes that end it, what each step answers |
//! | [`totp`], [`recovery`] | authenticator apps, and the codes for who has lost one |
//! | [`rejection`] | what a first factor leaves behind that lets nobody in |
//! | [`opening`], [`completion`] | how a challenge begins, and what its end brings about |
//! | [`link`], [`exchange`] | one-time links, and the codes that portals exchange for a token |
//! | [`throttle`], [`reserved`] | limits that hold under races: delays after failures, so many in a span; windows of which a part is kept for known addresses |
//! | [`audit`], [`report`] | the chain of what happened, per subject; what an agreement's says to somebody outside |
//! | [`quota`] | the ledger of prepaid transactions |
//! | [`idempotency`] | the same request twice, carried out once |
//! | [`kba`], [`provider`] | sessions of knowledge-based authentication, and the vendor that holds them |
//! | [`courier`], [`owed`] | SMS and mail; mails that are written with the change that they tell of, and sent after it |
//! | [`sso`] | ID tokens of an account's own issuer |
//! | [`send_budget`] | texts that nobody verified, and how many there may be |
//! | [`http`] | event in, problem out |
//! | [`json`] | JSON in which each name stands once |
//! | [`outbound`] | requests to addresses that somebody configured |
//! | [`dynamo`] | the table, every key, every SDK error |
//! | [`secret`], [`ids`] | values that cannot be printed, and names that say what they name |
//! | [`metric`] | what is counted for the people who run this |
//! | [`clock`], [`entropy`], [`keyring`], [`config`] | the only sources of time, randomness, keys and environment |
//! | [`app`], [`start`], [`sdk`] | what a function holds, and its cold start |
//!
//! Invariants that hold everywhere:
//! 1. A rule is a pure function of (state, input, now). The one write that follows repeats, as its condition, what the rule assumed: of
//!    the very copies that it looked at, and of each of them.
//! 2. An attempt is counted before it is compared.
//! 3. The audit entry is in the transaction of what it tells of.
//! 4. Expiry stands in a condition or a comparison; nothing relies on an item having been removed.
//! 5. What is told by mail is owed in the transaction of what it tells of.
//! 6. A secret has a type that cannot be printed.
//! 7. A request is judged by the moment at which it arrived ([`http::Call::arrived_at`]), read once from the clock. What begins for
//!    somebody later than that, a lease or the time for the provider's questions, begins with a look at the clock of its own.

pub mod access_token;
pub mod account;
pub mod agreement;
pub mod api_key;
pub mod app;
pub mod audit;
pub mod challenge;
pub mod clock;
pub mod code;
pub mod completion;
pub mod config;
pub mod courier;
pub mod dynamo;
pub mod entropy;
pub mod exchange;
pub mod http;
pub mod idempotency;
pub mod ids;
pub mod json;
pub mod kba;
pub mod keyring;
pub mod link;
pub mod me;
pub mod metric;
pub mod notice;
pub mod opening;
pub mod outbound;
pub mod owed;
pub mod provider;
pub mod quota;
pub mod recovery;
pub mod rejection;
pub mod report;
pub mod reserved;
pub mod sdk;
pub mod secret;
pub mod send_budget;
pub mod sign_in;
pub mod signed_in;
pub mod sso;
pub mod start;
pub mod throttle;
pub mod totp;
pub mod user;
