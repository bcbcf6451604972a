//! The ledger in a storm: so many operations, from several clients at once, while calls to the table go wrong at random; and the sums
//! afterwards. The real code, the SDK's real retries; whoever is not told what came of an operation asks again under the same id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use futures_util::future::try_join_all;
use serde_json::json;
use shared::account::Account;
use shared::dynamo::{Failure, keys, read};
use shared::entropy::Entropy;
use shared::ids::AccountId;
use shared::quota::upkeep::Tools;
use shared::quota::{
    About, Balance, EntryId, Order, Plan, Refusal, SHARDS_MAX, Shards, Snapshot, Unit, Watch, balance, plan, reconcile,
};

use crate::{Incoming, Mode, Stack};

/// A storm.
#[derive(Clone, Copy, Debug)]
pub struct Forecast {
    /// What operations and faults are drawn from. With several clients their order is still the machine's.
    pub seed: u64,
    /// How many operations.
    pub operations: u32,
    /// How many clients at once.
    pub clients: u32,
    /// How many calls in a thousand go wrong.
    pub per_mille: u32,
}

/// What was done, what struck, and whether the sums are right.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What came of the operations, by what they were.
    pub done: BTreeMap<&'static str, u32>,
    /// How often an operation was asked for again because nobody said what had come of it.
    pub repeated: u32,
    /// The calls that went wrong, by how.
    pub struck: BTreeMap<Mode, u32>,
    /// Entries in the ledger.
    pub entries: u64,
    /// Operations that were answered as made and are not in the ledger.
    pub lost: u64,
    /// Entries in the ledger that nobody was told of.
    pub doubled: u64,
    /// Balances, shards or shares that are below zero or are not what their entries make of them.
    pub wrong: u64,
}

impl Outcome {
    /// Whether nothing was lost, doubled or wrong.
    pub const fn is_sound(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong == 0
    }

    fn add(&mut self, other: &Self) {
        other.done.iter().for_each(|(what, count)| *self.done.entry(what).or_default() += count);
        self.repeated += other.repeated;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operations: {}", list(self.done.iter().map(|(what, count)| format!("{count} {what}"))))?;
        writeln!(f, "asked for again: {}", self.repeated)?;
        writeln!(
            f,
            "faults that struck: {}",
            list(self.struck.iter().map(|(mode, count)| format!("{count} {mode:?}").to_lowercase()))
        )?;
        write!(f, "{} entries: {} lost, {} doubled, {} negative or wrong", self.entries, self.lost, self.doubled, self.wrong)
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Why a storm could not be gone through.
#[derive(Debug)]
pub struct Stranded(String);

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stranded {}

impl From<Failure> for Stranded {
    fn from(failure: Failure) -> Self {
        Self(format!("{failure:?}"))
    }
}

/// How often an operation is asked for before the run is given up.
const ASKED_MAX: u32 = 60;

/// Goes through a storm: one account on one shard, and one on eight.
pub async fn run(stack: &Stack, forecast: Forecast) -> Result<Outcome, Stranded> {
    let accounts = [open(stack, 1).await?, open(stack, SHARDS_MAX).await?].map(Arc::new);
    stack.faults().storm(forecast.seed, forecast.per_mille);
    let clients = (0..forecast.clients.max(1)).map(|number| {
        let [one, several] = &accounts;
        let account = if number % 2 == 0 { one } else { several };
        let share =
            forecast.operations / forecast.clients.max(1) + u32::from(number < forecast.operations % forecast.clients.max(1));
        Client::new(stack, Arc::clone(account), forecast.seed, number).operate(share)
    });
    let books = try_join_all(clients).await;
    let struck = stack.faults().calm();
    let mut outcome = Outcome { struck, ..Outcome::default() };
    let books = books?;
    for account in &accounts {
        let own: Vec<&Book> = books.iter().filter(|book| book.account == account.id).collect();
        for book in &own {
            outcome.add(&book.outcome);
        }
        settle(stack, account, &own, &mut outcome).await?;
    }
    Ok(outcome)
}

/// An account with so many shards.
async fn open(stack: &Stack, shards: u8) -> Result<Account, Stranded> {
    let body = json!({"name": format!("Storm {shards}"), "plan": "enterprise"});
    let answer = ask(stack, "/v1/accounts", &body, None).await?;
    let id: AccountId =
        answer.1.get("id").and_then(|id| id.as_str()?.parse().ok()).ok_or_else(|| Stranded("no account".into()))?;
    let app = stack.app();
    let shards = Shards::new(shards).unwrap_or_default();
    Tools { table: &app.table, entropy: &app.entropy, clock: &app.clock }.grow(id, shards).await?;
    let item = app.table.get(keys::account(id)).await?.ok_or_else(|| Stranded("the account is gone".into()))?;
    Ok(read(item)?)
}

/// A POST by the operator, through the gateway and the handler.
async fn ask(
    stack: &Stack,
    path: &str,
    body: &serde_json::Value,
    key: Option<&str>,
) -> Result<(u16, serde_json::Value), Stranded> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Stranded(error.to_string()));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value(&format!("Bearer {}", stack.operator_key().expose()))?);
    headers.insert("content-type", value("application/json")?);
    if let Some(key) = key {
        headers.insert("idempotency-key", value(key)?);
    }
    let uri = Uri::try_from(path).map_err(|error| Stranded(error.to_string()))?;
    let peer = std::net::IpAddr::from([198, 18, 0, 1]);
    let incoming = Incoming { method: Method::POST, uri, headers, body: Bytes::from(body.to_string()), peer };
    let (parts, body) = stack.gateway().answer(incoming).await.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.map_err(|error| Stranded(error.to_string()))?;
    Ok((parts.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default()))
}

/// What a client was told.
struct Book {
    account: AccountId,
    balance: Balance,
    entries: u64,
    outcome: Outcome,
}

/// An agreement that the client has sent.
struct Open {
    name: String,
    units: Vec<Unit>,
    used: usize,
}

struct Client<'a> {
    stack: &'a Stack,
    account: Arc<Account>,
    entropy: Entropy,
    number: u32,
    open: Vec<Open>,
    book: Book,
}

impl<'a> Client<'a> {
    fn new(stack: &'a Stack, account: Arc<Account>, seed: u64, number: u32) -> Self {
        let book = Book { account: account.id, balance: Balance::default(), entries: 0, outcome: Outcome::default() };
        let entropy = Entropy::seeded(seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { stack, account, entropy, number, open: Vec::new(), book }
    }

    async fn operate(mut self, operations: u32) -> Result<Book, Stranded> {
        for operation in 0..operations {
            match self.entropy.below(20) {
                0..2 => self.topup(operation).await?,
                2..8 => self.reserve(operation).await?,
                8..17 => self.consume().await?,
                _ => self.release().await?,
            }
        }
        Ok(self.book)
    }

    /// Enters an operation that was answered as made.
    fn enter(&mut self, what: &'static str, effect: Balance) {
        self.book.balance = self.book.balance + effect;
        self.book.entries += 1;
        self.count(what);
    }

    fn count(&mut self, what: &'static str) {
        *self.book.outcome.done.entry(what).or_default() += 1;
    }

    async fn topup(&mut self, operation: u32) -> Result<(), Stranded> {
        let transactions = self.entropy.below(30) + 1;
        let key = format!("storm-{}-{}-{operation}", self.account.id, self.number);
        let body = json!({"account": self.account.id, "transactions": transactions});
        for _ in 0..ASKED_MAX {
            match ask(self.stack, "/v1/quota/topups", &body, Some(&key)).await?.0 {
                201 => {
                    self.enter("top-ups", Balance { available: i64::from(transactions), ..Balance::default() });
                    // Some ask once more, though they were told.
                    if self.entropy.below(10) == 0 {
                        ask(self.stack, "/v1/quota/topups", &body, Some(&key)).await?;
                    }
                    return Ok(());
                }
                503 => self.book.outcome.repeated += 1,
                status => return Err(Stranded(format!("a top-up was answered with {status}"))),
            }
        }
        Err(Stranded("a top-up was never answered".into()))
    }

    async fn reserve(&mut self, operation: u32) -> Result<(), Stranded> {
        let (count, name) = (self.entropy.below(5) + 1, format!("{}-{operation}", self.number));
        let account = Arc::clone(&self.account);
        let watch = Watch::of(&account, &account.settings()?);
        let about = About { agreement: Some(name.clone()), recipient: None, group: self.group() };
        let order = Order { account: &account, id: EntryId::reserve(&name), about, count, watch: &watch, at: self.now() };
        match self.make(|seen| plan::reserve(&order, seen)).await? {
            None => self.count("refused for want of transactions"),
            Some(entry) => {
                let units = plan::units(&entry);
                self.enter("reservations", Balance { available: -i64::from(count), reserved: i64::from(count), consumed: 0 });
                self.open.push(Open { name, units, used: 0 });
            }
        }
        Ok(())
    }

    async fn consume(&mut self) -> Result<(), Stranded> {
        let Some((place, open)) = self.open.iter().enumerate().find(|(_, open)| open.used < open.units.len()) else {
            self.count("with nothing to consume");
            return Ok(());
        };
        let (recipient, unit) = (format!("{}-{}", open.name, open.used), open.units.get(open.used).copied());
        let Some(unit) = unit else { return Ok(()) };
        let about = About { recipient: Some(recipient.clone()), group: self.group(), ..About::default() };
        let (account, at) = (self.account.id, self.now());
        let id = EntryId::consume(&recipient);
        self.make(|_| Ok(plan::consume(account, id.clone(), &about, unit, at)?)).await?;
        // A second answer of the same session, now and then.
        if self.entropy.below(10) == 0 {
            self.make(|_| Ok(plan::consume(account, id.clone(), &about, unit, at)?)).await?;
        }
        if let Some(open) = self.open.get_mut(place) {
            open.used += 1;
        }
        self.enter("consumptions", Balance { available: 0, reserved: -1, consumed: 1 });
        Ok(())
    }

    async fn release(&mut self) -> Result<(), Stranded> {
        let Some(open) = self.open.pop() else {
            self.count("with nothing to release");
            return Ok(());
        };
        let left = open.units.get(open.used..).unwrap_or_default().to_vec();
        if left.is_empty() {
            self.count("with nothing to release");
            return Ok(());
        }
        let about = About { agreement: Some(open.name.clone()), recipient: None, group: self.group() };
        let (account, at, id) = (self.account.id, self.now(), EntryId::release(&open.name, "over"));
        self.make(|_| Ok(plan::release(account, id.clone(), &about, &left, at)?)).await?;
        let count = i64::try_from(left.len()).unwrap_or_default();
        self.enter("releases", Balance { available: count, reserved: -count, consumed: 0 });
        Ok(())
    }

    /// Makes a step, asking again until it is known what came of it. None where there were too few.
    async fn make(
        &mut self,
        plan: impl Fn(Option<&Snapshot>) -> Result<Plan, Refusal>,
    ) -> Result<Option<shared::quota::Entry>, Stranded> {
        let app = self.stack.app();
        let mut seen = None;
        for _ in 0..ASKED_MAX {
            let planned = match plan(seen.as_ref()) {
                Ok(planned) => planned,
                Err(Refusal::Exhausted(_)) => return Ok(None),
                Err(refusal) => return Err(Stranded(format!("{refusal:?}"))),
            };
            match app.table.transact(planned.writes.clone()).await {
                Ok(()) => return Ok(Some(planned.entry)),
                Err(failure) => {
                    if let Some(stood) = failure.stood_at(0) {
                        return Ok(Some(read(stood.clone())?));
                    }
                    self.book.outcome.repeated += 1;
                    seen = balance::snapshot(&app.table, &app.entropy, &self.account).await.ok();
                }
            }
        }
        Err(Stranded("a step was never answered".into()))
    }

    fn group(&self) -> Option<String> {
        (!self.number.is_multiple_of(3)).then(|| format!("group-{}", self.number % 3))
    }

    fn now(&self) -> shared::clock::Timestamp {
        self.stack.app().clock.now()
    }
}

/// Holds what the clients were told against what stands.
async fn settle(stack: &Stack, account: &Account, books: &[&Book], outcome: &mut Outcome) -> Result<(), Stranded> {
    let app = stack.app();
    let finding = reconcile::balances(&app.table, &app.entropy, account).await?;
    let finding = finding.ok_or_else(|| Stranded("the balance does not stand still".into()))?;
    let told: Balance = books.iter().map(|book| book.balance).sum();
    let entries: u64 = books.iter().map(|book| book.entries).sum();
    outcome.entries += finding.entries;
    outcome.lost += entries.saturating_sub(finding.entries);
    outcome.doubled += finding.entries.saturating_sub(entries);
    outcome.wrong += finding.differences.len() as u64 + u64::from(finding.stands != told) + u64::from(!finding.stands.is_sound());
    Ok(())
}
