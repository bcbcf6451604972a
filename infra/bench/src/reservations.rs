//! How many reservations a second one account's balance takes: as fast as the engine here goes, and under DynamoDB's limit for one item.

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use shared::account::Account;
use shared::dynamo::{Failure, Write, keys, read};
use shared::ids::AccountId;
use shared::quota::desk::{self, Begin};
use shared::quota::upkeep::Tools;
use shared::quota::{About, EntryId, Order, Plan, Refusal, Shards, Snapshot, Watch, plan};

use crate::Fault;
use crate::event::Event;
use crate::report::{Report, Reservations};
use crate::stopwatch::Stopwatch;
use crate::world::World;

/// A tenth of DynamoDB's 1,000 write units a second for one item, so that it is the limit and not this machine that is measured.
const UNITS_PER_SECOND: u32 = 100;

/// One account, 1, 8 and 32 in flight; then 1, 2, 4 and 8 shards under the limit.
pub(crate) async fn measure(world: &World, report: &mut Report, scale: usize) -> Result<(), Fault> {
    let account = account(world, 1).await?;
    for in_flight in [1, 8, 32] {
        let per_second = reserve(world, &account, &format!("free-{in_flight}"), 60 * scale, in_flight).await?;
        report.reservations.push(Reservations { shards: 1, in_flight, units_per_second: None, per_second });
    }
    for shards in [1, 2, 4, 8] {
        let account = self::account(world, shards).await?;
        world.stack.faults().limit_items(UNITS_PER_SECOND);
        let (count, in_flight) = (usize::from(shards) * 25 * scale, usize::from(shards) * 8);
        let measured = reserve(world, &account, &format!("limited-{shards}"), count, in_flight).await;
        world.stack.faults().lift_limit();
        let row = Reservations { shards, in_flight, units_per_second: Some(UNITS_PER_SECOND), per_second: measured? };
        report.reservations.push(row);
    }
    Ok(())
}

/// An account that has bought enough, with so many shards.
async fn account(world: &World, shards: u8) -> Result<Account, Fault> {
    let operator = world.stack.operator_key().expose().clone();
    let opened = Event::post("/v1/accounts", json!({ "name": "Busy", "plan": "enterprise" })).bearer(&operator);
    let id: AccountId = world.ask(&opened).await?.expect(201)?.text("id")?.parse().map_err(|_| "the account's id is none")?;
    let app = world.stack.app();
    let tools = Tools { table: &app.table, entropy: &app.entropy, clock: &app.clock };
    tools.grow(id, Shards::new(shards).unwrap_or_default()).await.map_err(fault)?;
    let bought = Event::post("/v1/quota/topups", json!({ "account": id, "transactions": 1_000_000 })).bearer(&operator);
    world.ask(&bought.header("idempotency-key", &format!("\"{id}\""))).await?.expect(201)?;
    let item = app.table.get(keys::account(id)).await.map_err(fault)?;
    read(item.ok_or("the account is gone")?).map_err(fault)
}

/// How many of `count` reservations are made in a second.
async fn reserve(world: &World, account: &Account, name: &str, count: usize, in_flight: usize) -> Result<f64, Fault> {
    let watch = Watch::of(account, &account.settings().map_err(fault)?);
    let stopwatch = Stopwatch::start();
    let each = stream::iter(0..count).map(|number| one(world, account, &watch, format!("{name}-{number}")));
    each.buffer_unordered(in_flight).try_collect::<Vec<()>>().await?;
    Ok(f64::from(u32::try_from(count)?) / stopwatch.elapsed().as_secs_f64())
}

async fn one(world: &World, account: &Account, watch: &Watch, name: String) -> Result<(), Fault> {
    let app = world.stack.app();
    let about = About { agreement: Some(name.clone()), ..About::default() };
    let order = Order { account, id: EntryId::reserve(&name), about, count: 1, watch, at: app.clock.now() };
    let make = |seen: Option<&Snapshot>| plan::reserve(&order, seen);
    // Whoever is refused for being too many asks again, as a client would.
    loop {
        let beside = |_: &Plan, _: Option<&Snapshot>| Ok(Vec::<Write>::new());
        match desk::make((&app.table, &app.entropy), account, Begin::Blindly, make, beside).await {
            Ok(_) => return Ok(()),
            Err(Refusal::Failure(Failure::Conflict)) => {}
            Err(refusal) => return Err(format!("{refusal:?}").into()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err has it")]
fn fault(failure: Failure) -> Fault {
    format!("{failure:?}").into()
}
