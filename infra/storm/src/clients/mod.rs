//! Who asks. Each client goes on for as long as the storm lasts, draws what it does from its own
//! seed, and is told no more than anybody in its place would be.
//!
//! | module | who |
//! | --- | --- |
//! | `user`, `proof`, `factors` | people who sign in, one after another, from addresses of their own; how they prove a second factor, come by one, and lose it |
//! | `deal`, `signer` | who sends agreements, and their recipients, with the provider's answers |
//! | `stranger` | who knows a username |
//! | `insider` | who has got hold of a password |
//! | `nuisance` | who is signed in, and uses the own number and mailbox as a weapon; who does so from another account |
//! | `operator` | who sells, cleans up, and looks after accounts |
//! | `auditor` | who reads |
//! | `time` | nobody: time |

mod auditor;
mod deal;
mod factors;
mod insider;
mod nuisance;
mod operator;
mod proof;
mod provider;
mod signer;
mod stranger;
mod time;
mod user;

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;

use crate::desk::Desk;

pub(crate) use proof::another;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// What kind of client, and what it does.
type ClientKind = (&'static str, fn(Desk, u32) -> Running);

/// In the order in which they come, over and over: the first nine are of every kind.
const KINDS: [ClientKind; 20] = [
    ("time", |desk, _| Box::pin(time::go(desk))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
    ("operator", |desk, _| Box::pin(operator::go(desk))),
    ("stranger", |desk, _| Box::pin(stranger::go(desk))),
    ("insider", |desk, _| Box::pin(insider::go(desk))),
    ("spammer", |desk, number| {
        Box::pin(nuisance::spam(desk, number))
    }),
    ("rival", |desk, _| Box::pin(nuisance::rival(desk))),
    ("auditor", |desk, _| Box::pin(auditor::go(desk))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
    ("stranger", |desk, _| Box::pin(stranger::go(desk))),
    ("user", |desk, number| Box::pin(user::go(desk, number))),
    ("sender", |desk, number| Box::pin(deal::go(desk, number))),
];

/// Lets so many clients go, until the storm is over.
pub(crate) async fn go(desk: impl Fn(&'static str, u64) -> Desk, clients: u32) {
    let each = (0..clients)
        .zip(KINDS.iter().cycle())
        .map(|(number, (who, run))| {
            let client = run(desk(who, u64::from(number)), number);
            tokio::spawn(client)
        });
    join_all(each.collect::<Vec<_>>()).await;
}
