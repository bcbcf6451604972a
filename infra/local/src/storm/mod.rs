//! The service in a storm: so many requests, from several clients at once, through the gateway and the handlers, while calls to the table
//! go wrong at random; and the books afterwards. The SDK's real retries; whoever is not told what came of a request asks again, as a
//! client would.
//!
//! | module | what it is |
//! | --- | --- |
//! | `wire` | a request through the gateway, and a message as the provider signs it |
//! | `client` | what a client does, and what it was told |
//! | `settle` | what clients were told, held against what stands |

mod client;
mod settle;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::try_join_all;
use serde_json::json;
use shared::dynamo::Failure;
use shared::ids::AccountId;
use shared::quota::upkeep::Tools;
use shared::quota::{SHARDS_MAX, Shards};

use crate::{Mode, Stack};
use client::Client;
use wire::Wire;

/// A storm.
#[derive(Clone, Copy, Debug)]
pub struct Forecast {
    /// What operations and faults are drawn from. With several clients their order is still the machine's.
    pub seed: u64,
    /// How many operations: requests that are answered, those left out that only ask again.
    pub operations: u32,
    /// How many clients at once.
    pub clients: u32,
    /// How many calls in a thousand go wrong.
    pub per_mille: u32,
}

/// What was done, what struck, and whether the books are right.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How operations were answered: by what was asked for, and the status.
    pub done: BTreeMap<(&'static str, u16), u32>,
    /// How often an operation was asked for again because nobody said what had come of it.
    pub repeated: u32,
    /// The calls that went wrong, by how.
    pub struck: BTreeMap<Mode, u32>,
    /// Entries in the ledgers.
    pub entries: u64,
    /// What a client was told, and is not so.
    pub lost: Vec<String>,
    /// What is so, and nobody asked for.
    pub doubled: Vec<String>,
    /// Balances, shards, shares and holdings that are below zero or are not what their entries make of them.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// Whether nothing was lost, doubled or wrong.
    pub const fn is_sound(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    /// How many operations were answered with this status.
    pub fn count(&self, what: &str, status: u16) -> u32 {
        self.done.iter().filter(|((name, answered), _)| *name == what && *answered == status).map(|(_, count)| *count).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: Vec<String>| parts.join(", ");
        let done = self.done.iter().map(|((what, status), count)| match status {
            0 => format!("{count} {what}"),
            _ => format!("{count} {what} ({status})"),
        });
        writeln!(f, "operations: {}", joined(done.collect()))?;
        writeln!(f, "asked for again: {}", self.repeated)?;
        let struck = self.struck.iter().map(|(mode, count)| format!("{count} {mode:?}").to_lowercase());
        writeln!(f, "faults that struck: {}", joined(struck.collect()))?;
        for found in self.lost.iter().chain(&self.doubled).chain(&self.wrong).take(20) {
            writeln!(f, "  {found}")?;
        }
        let [lost, doubled, wrong] = [&self.lost, &self.doubled, &self.wrong].map(Vec::len);
        write!(f, "{} entries: {lost} lost, {doubled} doubled, {wrong} negative or wrong", self.entries)
    }
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

/// An account that the storm goes over.
#[derive(Clone, Debug)]
struct Ground {
    id: AccountId,
    key: String,
}

/// Goes through a storm: one account on one shard, and one on eight.
pub async fn run(stack: &Stack, forecast: Forecast) -> Result<Outcome, Stranded> {
    let wire = Wire::new(stack);
    let grounds = [open(wire, 1).await?, open(wire, SHARDS_MAX).await?].map(Arc::new);
    stack.faults().storm(forecast.seed, forecast.per_mille);
    let count = forecast.clients.max(1);
    let clients = (0..count).map(|number| {
        let [one, several] = &grounds;
        let ground = if number % 2 == 0 { one } else { several };
        let share = forecast.operations / count + u32::from(number < forecast.operations % count);
        Client::new(wire, Arc::clone(ground), forecast.seed, number).operate(share)
    });
    let books = try_join_all(clients).await;
    let struck = stack.faults().calm();
    let mut outcome = Outcome { struck, ..Outcome::default() };
    let books = books?;
    for book in &books {
        book.done.iter().for_each(|(what, count)| *outcome.done.entry(*what).or_default() += count);
        outcome.repeated += book.repeated;
    }
    for ground in &grounds {
        let own: Vec<_> = books.iter().filter(|book| book.account == ground.id).collect();
        settle::settle(wire, ground, &own, &mut outcome).await?;
    }
    Ok(outcome)
}

/// An account with so many shards, and KBA on.
async fn open(wire: Wire<'_>, shards: u8) -> Result<Ground, Stranded> {
    let body = json!({"name": format!("Storm {shards}"), "plan": "enterprise"});
    let opened = wire.operator("/v1/accounts", &body, None).await?;
    let id: AccountId = opened.text("/id")?.parse().map_err(|_| Stranded("no account".into()))?;
    let scopes = json!({"name": "storm", "scopes": ["settings:write", "agreements:write", "quota:read"]});
    let key = wire.operator(&format!("/v1/accounts/{id}/api-keys"), &scopes, None).await?.text("/key")?;
    let on = json!({"kba": {"enabled": true}, "contacts": ["ops@storm.example"], "quota": {"low_balance": 40}});
    wire.send("PATCH", "/v1/settings", Some(&on), &[("authorization", &format!("Bearer {key}"))]).await?;
    let app = wire.stack.app();
    let tools = Tools { table: &app.table, entropy: &app.entropy, clock: &app.clock };
    tools.grow(id, Shards::new(shards).unwrap_or_default()).await?;
    Ok(Ground { id, key })
}
