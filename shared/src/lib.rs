//! What the functions of Countersign have in common, in layers: each imports from itself and from
//! those above it in this table.
//!
//! | layer | what is in it |
//! | --- | --- |
//! | [`kernel`] | what has no noun of the product in it: the only sources of time, randomness, keys and environment; names, secrets, contacts, client addresses, requests to the outside |
//! | [`store`] | the table: every key, every write, every SDK error; rate limits; the audit chain; what a function holds of all this |
//! | [`web`] | event in, problem out; the routes; the same request twice, carried out once |
//! | [`account`] | a client organisation, its settings and groups, and the keys of its back ends |
//! | [`messaging`] | SMS and mail, what may be sent, and what is written with the change that it tells of and sent after it |
//! | [`ledger`] | prepaid transactions: balances in shards, entries, plans, the low balance |
//! | [`signin`] | somebody signs in: users, first and second factors, challenges, codes, links, tokens |
//! | [`agreement`] | what recipients are asked to see and sign: links, methods, knowledge-based authentication, reports, and whether the ledger agrees with them |
//! | [`edge`] | how a function starts and serves |
//!
//! Invariants that hold everywhere:
//! 1. A rule is a pure function of (state, input, now). The one write that follows repeats, as its
//!    condition, what the rule assumed: of the very copies that it looked at, and of each of them.
//! 2. An attempt is counted before it is compared.
//! 3. The audit entry is in the transaction of what it tells of.
//! 4. Expiry stands in a condition or a comparison; nothing relies on an item having been removed.
//! 5. What is told by mail is owed in the transaction of what it tells of.
//! 6. A secret has a type that cannot be printed.
//! 7. A request is judged by the moment at which it arrived ([`http::Call::arrived_at`]), read once
//!    from the clock. What begins for somebody later than that, a lease or the time for the
//!    provider's questions, begins with a look at the clock of its own.

pub mod account;
pub mod agreement;
pub mod edge;
pub mod kernel;
pub mod ledger;
pub mod messaging;
pub mod signin;
pub mod store;
pub mod web;
