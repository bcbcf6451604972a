//! How many agreements a second one account sends that each reserve a transaction: through `POST
//! /v1/agreements`, as fast as this machine and its engine go, and under a limit of write units for
//! one item, which no engine here has by itself.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use local::rush::{Ground, Outcome, Rush};
use local::{Options, Stack};
use serde_json::json;
use shared::account::Shards;
use shared::kernel::ids::AccountId;
use shared::ledger::upkeep::Tools;
use shared::store::dynamo::Failure;

use crate::Fault;
use crate::event::Event;
use crate::report::{Report, Reservations};
use crate::stopwatch::Stopwatch;
use crate::world::World;

/// DynamoDB's own limit for one item, and a part of it that this machine gets to before it gets to
/// its own: there it is the limit that is measured.
const UNITS_PER_SECOND: [u32; 2] = [1_000, 20];

/// How fast one account sends while transactions hold their items, on how many shards; none where
/// it has those that it gets by itself. The first is what is promised, and all that is measured in
/// short.
const RUSHES: [(u32, Option<u8>); 5] = [
    (200, None),
    (100, None),
    (100, Some(4)),
    (100, Some(1)),
    (20, Some(1)),
];

/// What an account buys that is to send so fast: enough to get its shards by that, and for ten
/// seconds.
const BOUGHT: u32 = 2_000;

/// What another buys: too few to get shards by it.
const FEW: u32 = 999;

/// How many are in flight whatever the number of shards: what grows from row to row is the shards
/// alone.
const IN_FLIGHT: usize = 64;

/// One account, 1, 8 and 32 in flight; then 1, 2, 4 and 8 shards under each limit. At DynamoDB's
/// own this machine is the limit, and not the item: there the rows show that sharding costs
/// nothing, and under the lower one what it gives.
pub(crate) async fn measure(world: &World, report: &mut Report, scale: usize) -> Result<(), Fault> {
    let account = account(world, 1).await?;
    for in_flight in [1, 8, 32] {
        let per_second = send(
            world,
            &account,
            &format!("free-{in_flight}"),
            30 * scale,
            in_flight,
        )
        .await?;
        report.reservations.push(Reservations {
            shards: 1,
            in_flight,
            units_per_second: None,
            per_second,
        });
    }
    for units in UNITS_PER_SECOND {
        for shards in [1, 2, 4, 8] {
            let account = self::account(world, shards).await?;
            world.stack.faults().limit_items(units);
            // As many as last for some seconds: the first of them meet an item that has not been
            // written to.
            let count = IN_FLIGHT + usize::from(shards) * 10 * scale;
            let measured = send(
                world,
                &account,
                &format!("limited-{units}-{shards}"),
                count,
                IN_FLIGHT,
            )
            .await;
            world.stack.faults().lift_limit();
            let (in_flight, units_per_second) = (IN_FLIGHT, Some(units));
            report.reservations.push(Reservations {
                shards,
                in_flight,
                units_per_second,
                per_second: measured?,
            });
        }
    }
    Ok(())
}

/// The same on a clock that holds and waits alone move, while each transaction holds its items for
/// 10 and 20 ms: how many are answered `503`, and whether the sums are those of what was answered.
/// Answers with how many are not.
///
/// The clock needs a runtime of its own, with nothing else on it.
pub(crate) fn rush(report: &mut Report, scale: usize) -> Result<usize, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut wrong = 0;
    let (rushes, seconds) = if scale > 1 { (RUSHES.len(), 5) } else { (1, 1) };
    for (per_second, shards) in RUSHES.into_iter().take(rushes) {
        for hold in [10, 20] {
            let rush = Rush {
                seed: 1,
                per_second,
                seconds,
                hold: Duration::from_millis(hold),
                cancels: false,
            };
            let outcome = runtime.block_on(borne(shards, rush))?;
            wrong += outcome.wrong.len();
            report.rushes.push((rush, outcome));
        }
    }
    Ok(wrong)
}

async fn borne(shards: Option<u8>, rush: Rush) -> Result<Outcome, Fault> {
    let stack = Stack::start(Options {
        apart: true,
        ..Options::ephemeral()
    })
    .await
    .map_err(|error| error.to_string())?;
    let bought = if shards.is_none() { BOUGHT } else { FEW };
    let ground = Ground::open(&stack, bought, shards.and_then(Shards::new)).await?;
    tokio::time::pause();
    let outcome = ground.bear(&stack, rush).await;
    tokio::time::resume();
    outcome
}

/// An account that has bought enough, with so many shards and KBA on; and a key of it.
struct Busy {
    key: String,
}

async fn account(world: &World, shards: u8) -> Result<Busy, Fault> {
    let operator = world.stack.operator_key().expose().clone();
    let opened = Event::post(
        "/v1/accounts",
        json!({ "name": "Busy", "plan": "enterprise" }),
    )
    .bearer(&operator);
    let id: AccountId = world
        .ask(&opened)
        .await?
        .expect(201)?
        .text("id")?
        .parse()
        .map_err(|_| "the account's id is none")?;
    let app = world.stack.app();
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    tools
        .grow(id, Shards::new(shards).unwrap_or_default())
        .await
        .map_err(fault)?;
    let bought = Event::post(
        "/v1/quota/topups",
        json!({ "account": id, "transactions": 1_000_000 }),
    )
    .bearer(&operator);
    world
        .ask(&bought.header("idempotency-key", &format!("\"{id}\"")))
        .await?
        .expect(201)?;
    let scopes = json!({ "name": "bench", "scopes": ["settings:write", "agreements:write"] });
    let key = Event::post(format!("/v1/accounts/{id}/api-keys"), scopes).bearer(&operator);
    let key = world.ask(&key).await?.expect(201)?.text("key")?;
    let on = Event::patch("/v1/settings", json!({ "kba": { "enabled": true } })).bearer(&key);
    world.ask(&on).await?.expect(200)?;
    Ok(Busy { key })
}

/// How many of `count` agreements with one recipient who is to be verified are sent in a second, as
/// `POST /v1/agreements` is answered by the handlers in this process.
async fn send(
    world: &World,
    account: &Busy,
    name: &str,
    count: usize,
    in_flight: usize,
) -> Result<f64, Fault> {
    let stopwatch = Stopwatch::start();
    let each =
        stream::iter(0..count).map(|number| one(world, account, format!("\"{name}-{number}\"")));
    each.buffer_unordered(in_flight)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(f64::from(u32::try_from(count)?) / stopwatch.elapsed().as_secs_f64())
}

async fn one(world: &World, account: &Busy, key: String) -> Result<(), Fault> {
    let recipient = json!({ "email": "r@example.com", "name": "Ann Smith", "country": "US", "authentication": "kba" });
    let body = json!({ "title": "Lease", "sender": { "email": "sales@example.com" }, "recipients": [recipient] });
    let sent = Event::post("/v1/agreements", body)
        .bearer(&account.key)
        .header("idempotency-key", &key);
    // Whoever is refused for being too many asks again, as a client does.
    loop {
        let answer = world.ask(&sent).await?;
        if answer.status != 503 {
            return answer.expect(201).map(drop);
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err has it")]
fn fault(failure: Failure) -> Fault {
    format!("{failure:?}").into()
}
