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
//! Glossary. Each word means one thing here; where a standard defines it, the standard is named:
//!
//! | word | meaning |
//! | --- | --- |
//! | attempt | a password or code that somebody submits; it is counted before it is compared |
//! | challenge | proof in progress: opened by a primary factor, ended by a second factor (OWASP, NIST SP 800-63B) |
//! | client IP | the address that a request comes from, behind trusted proxies; limits count its IPv4 address or IPv6 /64 |
//! | crossing | an account's balance falls below its threshold |
//! | decoy | the stand-in for an unknown username: it costs and answers what a user does |
//! | deferred notice | changes that wait until a destination may be sent a notice again |
//! | hashed IP | a client IP as a user's list of known addresses has it: MACs bound to the user |
//! | hold | one reserved transaction, and the shard that it goes back to (as a payment's authorisation) |
//! | known address | a client IP from which a user signed in within ninety days; strangers are limited apart from it |
//! | outbox | messages that are written in the transaction that they tell of, and sent after it (transactional outbox) |
//! | primary factor | what opens a challenge: a password, an ID token or a link |
//! | rate limit | so many in a span (`RateLimit-Policy`), or a delay after failures in a row (exponential backoff) |
//! | refusal | why a rule does not permit something, before it becomes a problem (RFC 9457) |
//! | requester | who asks for something that is limited: the user at a known address, a stranger, or anybody |
//! | retry policy | how often, and after which waits, what lost a race is decided again |
//! | shard | a part of a balance, on an item of its own, so that many may reserve at once |
//! | snapshot | items read at one instant (`TransactGetItems`) |
//! | stale read | items read each at an instant of its own (`BatchGetItem`) |
//! | stood in the way | what a write's condition found in place of what was judged |
//! | stranger | a request for a user from a client IP that is not a known address |
//! | threshold | the balance below which an account wants to be told |
//! | token epoch | the count that an access token carries and that a revocation raises |
//! | verdict | what a submitted password, code or token turns out to be |
//!
//! Invariants that hold everywhere:
//! 1. A rule is a pure function of (state, input, now). The one write that follows repeats, as its
//!    condition, what the rule assumed: of the very copies that it looked at, and of each of them.
//! 2. An attempt is counted before it is compared.
//! 3. The audit entry is in the transaction of what it tells of.
//! 4. Expiry stands in a condition or a comparison; nothing relies on an item having been removed.
//! 5. What is told by mail is in the outbox in the transaction of what it tells of.
//! 6. A secret has a type that cannot be printed.
//! 7. A request is judged by the moment at which it arrived ([`web::http::Call::arrived_at`]),
//!    read once from the clock. What begins for somebody later than that, a lease or the time for
//!    the provider's questions, begins with a look at the clock of its own.

pub mod account;
pub mod agreement;
pub mod edge;
pub mod kernel;
pub mod ledger;
pub mod messaging;
pub mod signin;
pub mod store;
pub mod web;
