//! The real ledger on the embedded engine against a reference in plain Rust: sequences of steps
//! drawn at random, with duplicates and lost answers, on accounts of one and of several shards.
//! After every step both say the same, and the sums hold.

use std::collections::BTreeMap;

use local::{Mode, Service};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::account::Account;
use shared::account::Shards;
use shared::agreement::reconcile;
use shared::ledger::upkeep::{Done, Tools};
use shared::ledger::{
    About, Balance, EntryId, Exhausted, Hold, LedgerRefusal, Plan, Purchase, ReservationRequest,
    Snapshot, StaleRead, TopupTarget, Watch, balance, plan,
};
use shared::store::app::App;
use shared::store::dynamo::{keys, read};
use tests::World;
use tests::desk::{self, Begin};

/// What is done. Numbers name agreements, recipients and top-ups: the same again is the same step
/// again.
#[derive(Clone, Copy, Debug)]
enum Step {
    Topup { id: u8, transactions: u32 },
    Reserve { agreement: u8, count: u32 },
    Consume { agreement: u8, recipient: u8 },
    Release { agreement: u8 },
    Correct { id: u8, change: i64 },
    Grow { shards: u8 },
}

/// What happens to the requests of a step.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Good,
    /// The next call takes effect and its answer is lost; the SDK repeats it.
    LostOnce,
    /// Three in a row, which is all that the SDK tries: the caller repeats the step.
    LostAll,
    /// Other transactions are in the way.
    Conflicts,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u8, 1..30_u32).prop_map(|(id, transactions)| Step::Topup { id, transactions }),
        5 => (0..8_u8, 1..12_u32).prop_map(|(agreement, count)| Step::Reserve { agreement, count }),
        5 => (0..8_u8, 0..12_u8).prop_map(|(agreement, recipient)| Step::Consume { agreement, recipient }),
        3 => (0..8_u8).prop_map(|agreement| Step::Release { agreement }),
        1 => (0..3_u8, -6..6_i64).prop_filter("changes something", |(_, by)| *by != 0).prop_map(|(id, change)| Step::Correct { id, change }),
        1 => (1..=8_u8).prop_map(|shards| Step::Grow { shards }),
    ]
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![6 => Just(Luck::Good), 1 => Just(Luck::LostOnce), 1 => Just(Luck::LostAll), 1 => Just(Luck::Conflicts)]
}

/// What a step comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Made,
    Before,
    /// It stands, and of the attempts before this one nobody heard: made by one of them, or before.
    Known,
    Reused,
    TooFew(Exhausted),
}

/// The reference: sums and names, and nothing else.
#[derive(Debug, Default)]
struct Reference {
    balance: Balance,
    topups: BTreeMap<u8, u32>,
    corrections: BTreeMap<u8, i64>,
    reserved: BTreeMap<u8, u32>,
    /// Of each agreement, which recipients used theirs.
    used: BTreeMap<u8, Vec<u8>>,
    released: Vec<u8>,
}

impl Reference {
    fn short(&self, requested: i64) -> Option<Said> {
        let (requested, available) = (
            requested.unsigned_abs(),
            self.balance.available.unsigned_abs(),
        );
        (available < requested).then_some(Said::TooFew(Exhausted {
            requested,
            available,
        }))
    }

    fn topup(&mut self, id: u8, transactions: u32) -> Said {
        if let Some(before) = self.topups.get(&id) {
            return if *before == transactions {
                Said::Before
            } else {
                Said::Reused
            };
        }
        self.topups.insert(id, transactions);
        self.balance.available += i64::from(transactions);
        Said::Made
    }

    fn correct(&mut self, id: u8, change: i64) -> Said {
        if let Some(before) = self.corrections.get(&id) {
            return if *before == change {
                Said::Before
            } else {
                Said::Reused
            };
        }
        if let Some(short) = Some(change)
            .filter(|change| *change < 0)
            .and_then(|change| self.short(change))
        {
            return short;
        }
        self.corrections.insert(id, change);
        self.balance.available += change;
        Said::Made
    }

    fn reserve(&mut self, agreement: u8, count: u32) -> Said {
        // The balance is looked at first by whoever sees it, the name first by whoever writes: both
        // refuse, and neither changes anything.
        if let Some(before) = self.reserved.get(&agreement) {
            return if *before == count {
                Said::Before
            } else {
                Said::Reused
            };
        }
        if let Some(short) = self.short(i64::from(count)) {
            return short;
        }
        self.reserved.insert(agreement, count);
        self.balance.available -= i64::from(count);
        self.balance.reserved += i64::from(count);
        Said::Made
    }

    /// The recipient whose transaction is to be consumed, if the agreement has one that is reserved
    /// still, or has used it.
    fn consumable(&self, agreement: u8, recipient: u8) -> bool {
        let used = self
            .used
            .get(&agreement)
            .is_some_and(|used| used.contains(&recipient));
        let there = self
            .reserved
            .get(&agreement)
            .is_some_and(|count| u32::from(recipient) < *count);
        used || (there && !self.released.contains(&agreement))
    }

    fn consume(&mut self, agreement: u8, recipient: u8) -> Said {
        let used = self.used.entry(agreement).or_default();
        if used.contains(&recipient) {
            return Said::Before;
        }
        used.push(recipient);
        self.balance.reserved -= 1;
        self.balance.consumed += 1;
        Said::Made
    }

    /// Which recipients have not used theirs: none once it was released.
    fn unused(&self, agreement: u8) -> Vec<u8> {
        let used = self.used.get(&agreement).cloned().unwrap_or_default();
        let count = self.reserved.get(&agreement).copied().unwrap_or_default();
        (0..u8::try_from(count).unwrap())
            .filter(|recipient| !used.contains(recipient))
            .collect()
    }

    fn release(&mut self, agreement: u8) -> Said {
        if self.released.contains(&agreement) {
            return Said::Before;
        }
        let unused = i64::try_from(self.unused(agreement).len()).unwrap();
        self.released.push(agreement);
        self.balance.reserved -= unused;
        self.balance.available += unused;
        Said::Made
    }
}

/// The real one.
struct Real {
    world: World,
    account: Account,
    /// Of each agreement, what its recipients hold, as it would stand on their items.
    holds: BTreeMap<u8, Vec<Hold>>,
    /// Of each agreement, what was released: a repetition asks for the same.
    released: BTreeMap<u8, Vec<Hold>>,
}

impl Real {
    async fn new() -> Self {
        let world = World::new().await;
        let account = read_account(&world).await;
        Self {
            world,
            account,
            holds: BTreeMap::new(),
            released: BTreeMap::new(),
        }
    }

    fn app(&self) -> &App {
        self.world.stack.app()
    }

    async fn desk(
        &self,
        begin: Begin,
        plan: impl Fn(Option<&Snapshot>) -> Result<Plan, LedgerRefusal>,
    ) -> Result<Done, LedgerRefusal> {
        let app = self.app();
        desk::make((&app.table, &app.entropy), &self.account, begin, plan).await
    }

    async fn make(&mut self, step: Step) -> Result<Done, LedgerRefusal> {
        let (account, now) = (self.account.clone(), self.app().clock.now());
        let watch = Watch::of(&account, &account.settings()?);
        match step {
            Step::Topup { id, transactions } => {
                let id = EntryId::named(format!("top_{id}"));
                let purchase = Purchase {
                    account: account.id,
                    id,
                    transactions,
                    reference: None,
                    watch: &watch,
                    at: now,
                };
                let plan = |seen: Option<&Snapshot>| {
                    let seen = seen.expect("seen");
                    // Large ones are spread, small ones go to one shard, as where somebody is
                    // always at one of them.
                    let onto = if transactions > 9 {
                        TopupTarget::All(seen.count)
                    } else {
                        TopupTarget::One(seen.count)
                    };
                    let stale = StaleRead {
                        shards: seen.shards.clone(),
                    };
                    Ok(plan::topup(&purchase, onto, &stale, seen.notice)?)
                };
                self.desk(Begin::Seeing, plan).await
            }
            Step::Correct { id, change } => {
                let app = self.app();
                let tools = Tools {
                    table: &app.table,
                    entropy: &app.entropy,
                    clock: &app.clock,
                };
                let done = tools
                    .correct(
                        account.id,
                        &EntryId::named(format!("correction.{id}")),
                        change,
                        "a reason",
                    )
                    .await?;
                Ok(done.expect("the account is there"))
            }
            Step::Reserve { agreement, count } => {
                let about = About {
                    agreement: Some(agreement.to_string()),
                    recipient: None,
                    group: group(agreement),
                    sequence: None,
                };
                let order = ReservationRequest {
                    account: &account,
                    id: EntryId::reserve(agreement),
                    about,
                    count,
                    watch: &watch,
                    at: now,
                };
                self.desk(Begin::Blindly, |seen| plan::reserve(&order, seen))
                    .await
            }
            Step::Consume {
                agreement,
                recipient,
            } => {
                let named = format!("{agreement}-{recipient}");
                let about = About {
                    agreement: None,
                    recipient: Some(named.clone()),
                    group: group(agreement),
                    sequence: None,
                };
                let hold = self.holds[&agreement][usize::from(recipient)];
                self.desk(Begin::Blindly, |_| {
                    Ok(
                        plan::consume(account.id, EntryId::consume(&named), &about, hold, now)
                            .plan()?,
                    )
                })
                .await
            }
            Step::Release { agreement } => {
                let about = About {
                    agreement: Some(agreement.to_string()),
                    recipient: None,
                    group: group(agreement),
                    sequence: None,
                };
                let holds = self.released[&agreement].clone();
                let id = EntryId::release(agreement, "over");
                self.desk(Begin::Blindly, |_| {
                    Ok(plan::release(account.id, id.clone(), &about, &holds, now).plan()?)
                })
                .await
            }
            Step::Grow { .. } => unreachable!("it is no entry that anybody names"),
        }
    }

    /// The step, with luck or without: whoever is told nothing asks again, as any caller would.
    async fn carry_out(&mut self, step: Step, luck: Luck) -> Said {
        let faults = self.world.stack.faults().clone();
        match luck {
            Luck::Good => {}
            Luck::LostOnce => faults.set(Service::Dynamodb, Mode::Lost, 0, 1),
            Luck::LostAll => faults.set(Service::Dynamodb, Mode::Lost, 0, 3),
            Luck::Conflicts => faults.set(Service::Dynamodb, Mode::Conflict, 0, 4),
        }
        for tried in 0..4 {
            let done = self.make(step).await;
            let said = match &done {
                Ok(Done::Now(plan)) => {
                    self.keep(step, plan.holds.clone());
                    Said::Made
                }
                Ok(Done::Before(entry)) => {
                    self.keep(step, plan::holds(entry));
                    // Made by the attempt before, of which nobody heard, or before that.
                    if tried > 0 { Said::Known } else { Said::Before }
                }
                Err(LedgerRefusal::Exhausted(few)) => Said::TooFew(*few),
                Err(LedgerRefusal::Reused) => Said::Reused,
                Err(LedgerRefusal::Failure(_)) => continue,
            };
            faults.clear();
            return said;
        }
        panic!("{step:?} was never answered")
    }

    fn keep(&mut self, step: Step, holds: Vec<Hold>) {
        if let Step::Reserve { agreement, .. } = step {
            self.holds.entry(agreement).or_insert(holds);
        }
    }
}

fn group(agreement: u8) -> Option<String> {
    (!agreement.is_multiple_of(3)).then(|| format!("group-{}", agreement % 3))
}

async fn read_account(world: &World) -> Account {
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

async fn run(steps: Vec<(Step, Luck)>) {
    let (mut real, mut reference) = (Real::new().await, Reference::default());
    for (step, luck) in steps {
        let expected = match step {
            Step::Topup { id, transactions } => reference.topup(id, transactions),
            Step::Correct { id, change } => reference.correct(id, change),
            Step::Reserve { agreement, count } => reference.reserve(agreement, count),
            Step::Consume {
                agreement,
                recipient,
            } => {
                if !reference.consumable(agreement, recipient) {
                    continue;
                }
                reference.consume(agreement, recipient)
            }
            Step::Release { agreement } => {
                let unused = reference.unused(agreement);
                if unused.is_empty() {
                    continue;
                }
                let holds = &real.holds[&agreement];
                let left = unused
                    .iter()
                    .map(|recipient| holds[usize::from(*recipient)])
                    .collect();
                real.released.entry(agreement).or_insert(left);
                reference.release(agreement)
            }
            Step::Grow { shards } => {
                let app = real.app();
                let tools = Tools {
                    table: &app.table,
                    entropy: &app.entropy,
                    clock: &app.clock,
                };
                tools
                    .grow(real.account.id, Shards::new(shards).unwrap())
                    .await
                    .unwrap();
                // Now and then a step is made by somebody who has not heard of it.
                if shards.is_multiple_of(2) {
                    real.account = read_account(&real.world).await;
                }
                holds(&real, &reference).await;
                continue;
            }
        };
        let said = real.carry_out(step, luck).await;
        let known = said == Said::Known && matches!(expected, Said::Made | Said::Before);
        assert!(
            known || said == expected,
            "{step:?} {luck:?}: {said:?}, and the reference says {expected:?}"
        );
        holds(&real, &reference).await;
    }
}

/// The invariant: the sums are the reference's, nothing is negative, and every balance is what its
/// entries make of it.
async fn holds(real: &Real, reference: &Reference) {
    let app = real.app();
    let seen = balance::snapshot(&app.table, &app.entropy, &real.account)
        .await
        .unwrap();
    assert_eq!(seen.total(), reference.balance);
    assert!(
        seen.shards.iter().all(|shard| shard.balance.is_sound()),
        "{seen:?}"
    );
    let finding = reconcile::balances(&app.table, &app.entropy, &real.account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finding.differences, []);
}

#[test]
fn the_ledger_says_what_the_reference_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases = shared::kernel::config::env("COUNTERSIGN_LEDGER_CASES")
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(12);
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec((step(), luck()), 10..40);
    let ran = TestRunner::new(config).run(&steps, |steps| {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(run(steps));
        }));
        ran.map_err(|cause| {
            let text = cause
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_else(|| "a panic".into());
            TestCaseError::fail(text)
        })
    });
    ran.unwrap();
}
