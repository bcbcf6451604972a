//! The ledger on the engine: steps that stand, steps that are refused, and the same step twice.

use serde_json::json;
use shared::account::Account;
use shared::account::Shards;
use shared::agreement::reconcile;
use shared::ledger::upkeep::{Done, Tools};
use shared::ledger::{
    About, Balance, EntryId, Exhausted, Hold, LedgerRefusal, Plan, Purchase, ReservationRequest,
    Snapshot, StaleRead, TopupTarget, Watch, balance, plan,
};
use shared::messaging::outbox;
use shared::store::app::App;
use shared::store::dynamo::{Update, keys, read};
use tests::World;
use tests::desk::{self, Begin};
use tests::path;

async fn account(world: &World) -> Account {
    let id = world.account.parse().unwrap();
    read(
        world
            .stack
            .table()
            .get(keys::account(id))
            .await
            .unwrap()
            .unwrap(),
    )
    .unwrap()
}

async fn topup(
    app: &App,
    account: &Account,
    id: &str,
    transactions: u32,
) -> Result<Done, LedgerRefusal> {
    let watch = Watch::of(account, &account.settings().unwrap());
    let plan = |seen: Option<&_>| {
        let seen: &Snapshot = seen.expect("a top-up is planned over what stands");
        let (id, at) = (EntryId::named(id), app.clock.now());
        let purchase = Purchase {
            account: account.id,
            id,
            transactions,
            reference: None,
            watch: &watch,
            at,
        };
        Ok(plan::topup(
            &purchase,
            TopupTarget::All(seen.count),
            &StaleRead {
                shards: seen.shards.clone(),
            },
            seen.notice,
        )?)
    };
    desk::make((&app.table, &app.entropy), account, Begin::Seeing, plan).await
}

async fn reserve(
    app: &App,
    account: &Account,
    id: &str,
    count: u32,
) -> Result<Done, LedgerRefusal> {
    let about = About {
        agreement: Some(id.into()),
        recipient: None,
        group: Some("legal".into()),
        sequence: None,
    };
    let watch = Watch::of(account, &account.settings().unwrap());
    let order = ReservationRequest {
        account,
        id: EntryId::reserve(id),
        about,
        count,
        watch: &watch,
        at: app.clock.now(),
    };
    let make = |seen: Option<&_>| plan::reserve(&order, seen);
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make).await
}

async fn consume(
    app: &App,
    account: &Account,
    recipient: &str,
    hold: Hold,
) -> Result<Done, LedgerRefusal> {
    let about = About {
        recipient: Some(recipient.into()),
        group: Some("legal".into()),
        ..About::default()
    };
    let make = |_: Option<&_>| {
        Ok(plan::consume(
            account.id,
            EntryId::consume(recipient),
            &about,
            hold,
            app.clock.now(),
        )
        .plan()?)
    };
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make).await
}

async fn release(
    app: &App,
    account: &Account,
    whose: &str,
    holds: &[Hold],
) -> Result<Done, LedgerRefusal> {
    let about = About {
        agreement: Some(whose.into()),
        recipient: None,
        group: Some("legal".into()),
        sequence: None,
    };
    let id = EntryId::release(whose, "cancelled");
    let make = |_: Option<&_>| {
        Ok(plan::release(account.id, id.clone(), &about, holds, app.clock.now()).plan()?)
    };
    desk::make((&app.table, &app.entropy), account, Begin::Blindly, make).await
}

fn now(done: Result<Done, LedgerRefusal>) -> Plan {
    match done {
        Ok(Done::Now(plan)) => plan,
        other => panic!("{other:?}"),
    }
}

/// The balance, once it agrees with the entries.
async fn agreed(app: &App, account: &Account) -> Balance {
    let finding = reconcile::balances(&app.table, &app.entropy, account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
    finding.stands
}

#[tokio::test]
async fn what_is_reserved_is_consumed_or_goes_back() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    let holds = now(reserve(app, &account, "agr_1", 4).await).holds;
    assert_eq!(holds.len(), 4);
    assert_eq!(
        agreed(app, &account).await,
        Balance {
            available: 6,
            reserved: 4,
            consumed: 0
        }
    );
    now(consume(app, &account, "rcp_1", holds[0]).await);
    now(release(app, &account, "agr_1", &holds[1..]).await);
    assert_eq!(
        agreed(app, &account).await,
        Balance {
            available: 9,
            reserved: 0,
            consumed: 1
        }
    );
    let groups = balance::shares(&app.table, account.id, account.quota_shards)
        .await
        .unwrap();
    assert_eq!((groups["legal"].reserved, groups["legal"].consumed), (0, 1));
}

#[tokio::test]
async fn the_same_step_twice_is_one_and_another_under_its_id_is_refused() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    assert!(
        matches!(topup(app, &account, "top_1", 10).await, Ok(Done::Before(entry)) if entry.transactions == 10)
    );
    assert!(matches!(
        topup(app, &account, "top_1", 11).await,
        Err(LedgerRefusal::Reused)
    ));
    let holds = now(reserve(app, &account, "agr_1", 2).await).holds;
    assert!(matches!(
        reserve(app, &account, "agr_1", 2).await,
        Ok(Done::Before(_))
    ));
    now(consume(app, &account, "rcp_1", holds[0]).await);
    assert!(matches!(
        consume(app, &account, "rcp_1", holds[1]).await,
        Ok(Done::Before(_))
    ));
    assert_eq!(
        agreed(app, &account).await,
        Balance {
            available: 8,
            reserved: 1,
            consumed: 1
        }
    );
}

#[tokio::test]
async fn more_than_there_is_is_refused_and_nothing_stands() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    let refused = reserve(app, &account, "agr_0", 1).await;
    assert!(
        matches!(
            refused,
            Err(LedgerRefusal::Exhausted(Exhausted {
                requested: 1,
                available: 0
            }))
        ),
        "{refused:?}"
    );
    now(topup(app, &account, "top_1", 3).await);
    let refused = reserve(app, &account, "agr_1", 4).await;
    assert!(
        matches!(
            refused,
            Err(LedgerRefusal::Exhausted(Exhausted {
                requested: 4,
                available: 3
            }))
        ),
        "{refused:?}"
    );
    now(reserve(app, &account, "agr_1", 3).await);
    assert_eq!(
        agreed(app, &account).await,
        Balance {
            available: 0,
            reserved: 3,
            consumed: 0
        }
    );
}

fn tools(app: &App) -> Tools<'_> {
    Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    }
}

#[tokio::test]
async fn a_correction_counts_once_and_never_takes_what_is_reserved() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    now(reserve(app, &account, "agr_1", 4).await);
    let (id, fewer) = (account.id, EntryId::named("correction.1"));
    assert!(matches!(
        tools(app).correct(id, &fewer, -5, "entered twice").await,
        Ok(Some(Done::Now(_)))
    ));
    assert!(matches!(
        tools(app).correct(id, &fewer, -5, "entered twice").await,
        Ok(Some(Done::Before(_)))
    ));
    assert!(matches!(
        tools(app).correct(id, &fewer, -4, "entered twice").await,
        Err(LedgerRefusal::Reused)
    ));
    let too_many = tools(app)
        .correct(id, &EntryId::named("correction.2"), -2, "x")
        .await;
    assert!(
        matches!(
            too_many,
            Err(LedgerRefusal::Exhausted(Exhausted {
                requested: 2,
                available: 1
            }))
        ),
        "{too_many:?}"
    );
    assert!(matches!(
        tools(app)
            .correct(id, &EntryId::named("correction.3"), 3, "x")
            .await,
        Ok(Some(Done::Now(_)))
    ));
    assert_eq!(
        agreed(app, &account).await,
        Balance {
            available: 4,
            reserved: 4,
            consumed: 0
        }
    );
    assert_eq!(
        world
            .actions(&world.account)
            .await
            .iter()
            .filter(|action| action.starts_with("quota-corrected"))
            .count(),
        2
    );
}

#[tokio::test]
async fn more_shards_change_no_sum_and_who_goes_by_the_old_number_is_refused_nothing() {
    let world = World::new().await;
    let (app, before) = (world.stack.app(), account(&world).await);
    now(topup(app, &before, "top_1", 100).await);
    let holds = now(reserve(app, &before, "agr_1", 5).await).holds;
    assert_eq!(
        tools(app)
            .grow(before.id, Shards::new(8).unwrap())
            .await
            .unwrap(),
        Shards::new(8)
    );
    let after = account(&world).await;
    let seen = balance::snapshot(&app.table, &app.entropy, &after)
        .await
        .unwrap();
    assert!(
        seen.shards
            .iter()
            .all(|shard| (11..=12).contains(&shard.balance.available)),
        "{seen:?}"
    );
    assert_eq!(
        agreed(app, &after).await,
        Balance {
            available: 95,
            reserved: 5,
            consumed: 0
        }
    );
    // Two that have not heard of it: one for more than its shard has, one for all that is left.
    now(reserve(app, &before, "agr_2", 40).await);
    let all = now(reserve(app, &before, "agr_3", 55).await).holds;
    assert!(matches!(
        reserve(app, &before, "agr_4", 1).await,
        Err(LedgerRefusal::Exhausted(_))
    ));
    // What was reserved before goes back to where it came from.
    now(release(app, &after, "agr_1", &holds).await);
    now(release(app, &before, "agr_3", &all).await);
    assert_eq!(
        agreed(app, &after).await,
        Balance {
            available: 60,
            reserved: 40,
            consumed: 0
        }
    );
    // It never shrinks, and twice is once.
    assert_eq!(
        tools(app)
            .grow(before.id, Shards::new(2).unwrap())
            .await
            .unwrap(),
        Shards::new(8)
    );
}

#[tokio::test]
async fn a_difference_is_found() {
    let world = World::new().await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 10).await);
    now(reserve(app, &account, "agr_1", 4).await);
    let bent = Update::of(keys::balance(account.id, 0)).add(path("available"), 1);
    app.table.transact(vec![bent.into()]).await.unwrap();
    let finding = reconcile::balances(&app.table, &app.entropy, &account)
        .await
        .unwrap()
        .unwrap();
    let entries = Balance {
        available: 6,
        reserved: 4,
        consumed: 0,
    };
    let stands = Balance {
        available: 7,
        ..entries
    };
    assert_eq!(
        finding.differences,
        [reconcile::Difference::Shard {
            shard: 0,
            stands,
            entries
        }]
    );
}

#[tokio::test]
async fn a_low_balance_is_told_once_for_each_crossing() {
    let world = World::new().await;
    let contacts = ["ops@alder.example", "cfo@alder.example"];
    let _ = world
        .settings(json!({"contacts": contacts, "quota": {"low_balance": 10}, "locale": "fr"}))
        .await;
    let (app, account) = (world.stack.app(), account(&world).await);
    now(topup(app, &account, "top_1", 12).await);
    let crossing = |plan: &Plan| {
        plan.crossing
            .as_ref()
            .map(|crossing| (crossing.number, crossing.available))
    };
    let at_the_mark = now(reserve(app, &account, "agr_1", 2).await);
    assert_eq!(
        crossing(&at_the_mark),
        None,
        "at the threshold is not below it"
    );
    let first = at_the_mark.holds;
    let low = now(reserve(app, &account, "agr_2", 1).await);
    assert_eq!(crossing(&low), Some((1, 9)));
    assert_eq!(
        crossing(&now(reserve(app, &account, "agr_3", 1).await)),
        None
    );
    outbox::deliver_all(app, world.stack.courier(), low.crossing.unwrap().mails).await;
    let sent = world.outbox().await;
    let to: Vec<_> = sent
        .iter()
        .map(|mail| mail["to"].as_str().unwrap())
        .collect();
    assert_eq!(
        to.iter().collect::<std::collections::BTreeSet<_>>(),
        contacts.iter().collect()
    );
    assert!(
        sent[0]["subject"].as_str().unwrap().contains("il reste 9"),
        "{}",
        sent[0]
    );
    // Back at the threshold by a release, and by a top-up: below it again is another crossing.
    now(release(app, &account, "agr_1", &first).await);
    assert_eq!(
        crossing(&now(reserve(app, &account, "agr_4", 1).await)),
        Some((2, 9))
    );
    now(topup(app, &account, "top_2", 1).await);
    assert_eq!(
        crossing(&now(reserve(app, &account, "agr_5", 1).await)),
        Some((3, 9))
    );
    let _ = agreed(app, &account).await;
}
