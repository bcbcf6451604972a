//! Countersign on this machine, in one process: the same handlers as in AWS, over embedded parts.
//!
//! | module | what it stands for |
//! | --- | --- |
//! | `stack` | the whole: what starts, in which order, and how it stops |
//! | `server`, `control` | the public port; the `/_local` routes |
//! | `gateway`, `event` | API Gateway: a request becomes an HTTP API event and passes through lambda_http |
//! | `dispatch` | the Lambda functions |
//! | `engine` | DynamoDB |
//! | `inbox` | SES and SNS |
//! | `provider` | the KBA vendor, on an origin of its own |
//! | `sdk`, `refusals` | the SDK's clients, and how AWS refuses |
//! | `faults`, `plan`, `order` | what goes wrong under them: what is planned, what there is to plan, and how it is asked for over HTTP |
//! | `holding`, `limits`, `torn` | what DynamoDB does and no emulator: items that transactions hold, their write units, reads that are no snapshot |
//! | `rush`, `apart` | one account that sends at a rate while transactions hold their items; calls that take no time of a paused clock |
//! | `weather` | calls that go wrong at random |
//! | `worker` | who works on a request: under which trace, and after which call it dies |
//! | `relay` | between an environment of a function in a process of its own and AWS's stand-ins: the same faults |
//! | `costs` | what the table's document says that each route costs |
//! | `keys`, `store`, `demo` | Secrets Manager; what is kept between runs; a ready-made account |
//!
//! A test starts a [`Stack`] of its own in milliseconds and talks to it over HTTP.

mod apart;
mod control;
mod costs;
mod demo;
mod dispatch;
mod engine;
mod event;
mod faults;
mod gateway;
mod holding;
mod inbox;
mod keys;
mod limits;
mod order;
mod plan;
mod provider;
mod refusals;
mod relay;
pub mod rush;
mod sdk;
mod server;
mod serving;
mod stack;
mod store;
mod torn;
mod watch;
mod weather;
mod worker;

pub use costs::{Row, costs};
pub use demo::{Demo, DemoUser};
pub use event::{Incoming, event_of};
pub use faults::{Faults, Held, Report};
pub use gateway::Gateway;
pub use inbox::{Channel, Message, Outbox};
pub use plan::{Mode, Plan, Service};
pub use provider::{Delivered, Outcome, Provider, Sent};
pub use relay::{Endpoints, Relay};
pub use stack::{Options, Stack, StartError};
pub use watch::{Calls, Watched, WriteCall};
pub use weather::{Odds, Weather};
pub use worker::{Struck, TRACE, Worker};
