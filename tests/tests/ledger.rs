//! The ledger on the engine: steps that stand, steps that are refused, and the same step twice.

use shared::account::Account;
use shared::app::App;
use shared::dynamo::{keys, read};
use shared::quota::desk::{self, Begin, Done};
use shared::quota::{About, Balance, EntryId, Exhausted, Order, Plan, Refusal, Unit, Watch, balance, plan, reconcile};
use tests::World;

async fn account(world: &World) -> Account {
    let id = world.account.parse().unwrap();
    read(world.stack.table().get(keys::account(id)).await.unwrap().unwrap()).unwrap()
}

async fn topup(app: &App, account: &Account, id: &str, transactions: u32) -> Result<Done, Refusal> {
    let plan = |seen: Option<&_>| {
        let seen = seen.expect("a top-up is planned over what stands");
        let id = EntryId::named(id);
        Ok(plan::topup(account.id, id, transactions, None, &Watch::default(), seen, app.clock.now())?)
    };
    desk::make((&app.table, &app.entropy), account, Begin::Seeing, plan, |_, _| Ok(Vec::new())).await
}

async fn reserve(app: &App, account: &Account, id: &str, count: u32) -> Result<Done, Refusal> {
    let about = About { agreement: Some(id.into()), recipient: None, group: Some("legal".into()) };
    let watch = Watch::default();
    let order = Order { account, id: EntryId::reserve(id), about, count, watch: &watch, at: app.clock.now() };
    let make = |seen: Option<&_>| plan::reserve(&order, seen);
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make, |_, _| Ok(Vec::new())).await
}

async fn consume(app: &App, account: &Account, recipient: &str, unit: Unit) -> Result<Done, Refusal> {
    let about = About { recipient: Some(recipient.into()), group: Some("legal".into()), ..About::default() };
    let make = |_: Option<&_>| Ok(plan::consume(account.id, EntryId::consume(recipient), &about, unit, app.clock.now())?);
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make, |_, _| Ok(Vec::new())).await
}

async fn release(app: &App, account: &Account, whose: &str, units: &[Unit]) -> Result<Done, Refusal> {
    let about = About { agreement: Some(whose.into()), recipient: None, group: Some("legal".into()) };
    let id = EntryId::release(whose, "cancelled");
    let make = |_: Option<&_>| Ok(plan::release(account.id, id.clone(), &about, units, app.clock.now())?);
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make, |_, _| Ok(Vec::new())).await
}

fn now(done: Result<Done, Refusal>) -> Plan {
    match done {
        Ok(Done::Now(plan)) => plan,
        other => panic!("{other:?}"),
    }
}

/// The balance, once it agrees with the entries.
async fn agreed(app: &App, account: &Account) -> Balance {
    let finding = reconcile::account(&app.table, &app.entropy, account).await.unwrap().unwrap();
    assert_eq!(finding.differences, []);
    finding.stands
}

#[tokio::test]
async fn what_is_reserved_is_consumed_or_goes_back() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    let units = now(reserve(app, &account, "agr_1", 4).await).units;
    assert_eq!(units.len(), 4);
    assert_eq!(agreed(app, &account).await, Balance { available: 6, reserved: 4, consumed: 0 });
    now(consume(app, &account, "rcp_1", units[0]).await);
    now(release(app, &account, "agr_1", &units[1..]).await);
    assert_eq!(agreed(app, &account).await, Balance { available: 9, reserved: 0, consumed: 1 });
    let groups = balance::shares(&app.table, account.id, account.quota_shards).await.unwrap();
    assert_eq!((groups["legal"].reserved, groups["legal"].consumed), (0, 1));
}

#[tokio::test]
async fn the_same_step_twice_is_one_and_another_under_its_id_is_refused() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    assert!(matches!(topup(app, &account, "top_1", 10).await, Ok(Done::Before(entry)) if entry.transactions == 10));
    assert!(matches!(topup(app, &account, "top_1", 11).await, Err(Refusal::Reused)));
    let units = now(reserve(app, &account, "agr_1", 2).await).units;
    assert!(matches!(reserve(app, &account, "agr_1", 2).await, Ok(Done::Before(_))));
    now(consume(app, &account, "rcp_1", units[0]).await);
    assert!(matches!(consume(app, &account, "rcp_1", units[1]).await, Ok(Done::Before(_))));
    assert_eq!(agreed(app, &account).await, Balance { available: 8, reserved: 1, consumed: 1 });
}

#[tokio::test]
async fn more_than_there_is_is_refused_and_nothing_stands() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let refused = reserve(app, &account, "agr_0", 1).await;
    assert!(matches!(refused, Err(Refusal::Exhausted(Exhausted { requested: 1, available: 0 }))), "{refused:?}");
    now(topup(app, &account, "top_1", 3).await);
    let refused = reserve(app, &account, "agr_1", 4).await;
    assert!(matches!(refused, Err(Refusal::Exhausted(Exhausted { requested: 4, available: 3 }))), "{refused:?}");
    now(reserve(app, &account, "agr_1", 3).await);
    assert_eq!(agreed(app, &account).await, Balance { available: 0, reserved: 3, consumed: 0 });
}
