//! A rush on one account: so many agreements a second are sent, each of which reserves a
//! transaction, while every transaction of the table holds its items for as long as a busy one
//! takes; then what was answered, and whether the sums are those of what was answered.
//!
//! It is to be run on a clock that is paused ([`crate::Options::apart`]): arrivals, holds and waits
//! take their time there, and the machine's own speed is no part of what comes out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use shared::account::Account;
use shared::account::Shards;
use shared::agreement::reconcile;
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::AccountId;
use shared::ledger::{Balance, upkeep};
use shared::store::dynamo::{keys, read};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Gateway, Incoming, Stack};

/// Where requests come from.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2));
/// The largest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// Why a rush did not take place.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// What the moments of the requests are drawn from.
    pub seed: u64,
    /// How many agreements are sent in a second, on the average: each comes when it comes.
    pub per_second: u32,
    /// For so long.
    pub seconds: u32,
    /// How long a transaction holds its items.
    pub hold: Duration,
    /// Whether each agreement that was sent is cancelled a second later, which gives its
    /// transaction back: as much again on the same shards.
    pub cancels: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many shards the account had.
    pub shards: u8,
    /// How the sends were answered, by status.
    pub sends: BTreeMap<u16, u32>,
    /// How the cancellations were.
    pub cancels: BTreeMap<u16, u32>,
    /// How long each request waited for others, the shortest first: reads and writes themselves
    /// take no time here.
    pub waits: Vec<Duration>,
    /// How many calls met an item that was held.
    pub conflicts: u32,
    /// What is not as it was answered, or not what the entries make of it.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// How many of a hundred requests were answered with `503`.
    pub fn refused(&self) -> f64 {
        let all = self
            .sends
            .values()
            .chain(self.cancels.values())
            .sum::<u32>();
        let refused = [&self.sends, &self.cancels]
            .into_iter()
            .filter_map(|answers| answers.get(&503))
            .sum::<u32>();
        100.0 * f64::from(refused) / f64::from(all.max(1))
    }

    /// How long the given part of the requests waited at most.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "some thousands"
    )]
    pub fn wait(&self, part: f64) -> Duration {
        let place = (self.waits.len() as f64 * part) as usize;
        self.waits
            .get(place)
            .or(self.waits.last())
            .copied()
            .unwrap_or_default()
    }
}

/// An account that has bought enough, with KBA on.
#[derive(Clone, Debug)]
pub struct Ground {
    id: AccountId,
    key: String,
    bought: i64,
}

impl Ground {
    /// Opens one that has bought so many transactions; with so many shards, or with those that it
    /// gets by itself.
    pub async fn open(stack: &Stack, bought: u32, shards: Option<Shards>) -> Result<Self, Fault> {
        let desk = Desk {
            gateway: stack.gateway().clone(),
            key: stack.operator_key().expose().clone(),
        };
        let opened = desk
            .post(
                "/v1/accounts",
                &json!({"name": "Rush", "plan": "enterprise"}),
                "",
            )
            .await?;
        let id: AccountId = opened
            .text("/id")?
            .parse()
            .map_err(|_| "the account's id is none")?;
        if let Some(shards) = shards {
            let app = stack.app();
            let tools = upkeep::Tools {
                table: &app.table,
                entropy: &app.entropy,
                clock: &app.clock,
            };
            tools
                .grow(id, shards)
                .await
                .map_err(|failure| format!("{failure:?}"))?;
        }
        desk.post(
            "/v1/quota/topups",
            &json!({"account": id, "transactions": bought}),
            &id.to_string(),
        )
        .await?
        .expect(201)?;
        let scopes = json!({"name": "rush", "scopes": ["settings:write", "agreements:write"]});
        let key = desk
            .post(&format!("/v1/accounts/{id}/api-keys"), &scopes, "")
            .await?
            .text("/key")?;
        let own = Desk {
            key: key.clone(),
            ..desk
        };
        own.ask(
            Method::PATCH,
            "/v1/settings",
            &json!({"kba": {"enabled": true}}),
            "",
        )
        .await?
        .expect(200)?;
        Ok(Self {
            id,
            key,
            bought: i64::from(bought),
        })
    }

    /// Goes through a rush, and looks at the sums.
    pub async fn bear(&self, stack: &Stack, rush: Rush) -> Result<Outcome, Fault> {
        stack.faults().hold_items(rush.hold);
        let came = self.come(stack, rush).await;
        let conflicts = stack.faults().let_items_go();
        let mut outcome = Outcome { conflicts, ..came? };
        outcome.waits.sort_unstable();
        self.settle(stack, &mut outcome).await?;
        Ok(outcome)
    }

    /// Everybody comes, and is answered.
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock of the rush, which is paused"
    )]
    async fn come(&self, stack: &Stack, rush: Rush) -> Result<Outcome, Fault> {
        let entropy = Entropy::seeded(rush.seed);
        let desk = Desk {
            gateway: stack.gateway().clone(),
            key: self.key.clone(),
        };
        let mut running = JoinSet::new();
        let mut at = Instant::now();
        for number in 0..rush.per_second * rush.seconds {
            at += gap(&entropy, rush.per_second);
            tokio::time::sleep_until(at).await;
            running.spawn(one(
                desk.clone(),
                format!("rush-{}-{number}", rush.seed),
                rush.cancels,
            ));
        }
        let mut outcome = Outcome::default();
        while let Some(done) = running.join_next().await {
            let One {
                sent,
                cancelled,
                waited,
            } = done??;
            *outcome.sends.entry(sent).or_default() += 1;
            if let Some(status) = cancelled {
                *outcome.cancels.entry(status).or_default() += 1;
            }
            outcome.waits.extend(waited);
        }
        Ok(outcome)
    }

    /// What stands, held against what was answered, and against its own entries.
    async fn settle(&self, stack: &Stack, outcome: &mut Outcome) -> Result<(), Fault> {
        let app = stack.app();
        let failed = |failure| format!("{failure:?}");
        let account = app
            .table
            .get(keys::account(self.id))
            .await
            .map_err(failed)?
            .ok_or("the account is gone")?;
        let account: Account = read(account).map_err(failed)?;
        outcome.shards = account.quota_shards.count();
        let finding = reconcile::balances(&app.table, &app.entropy, &account)
            .await
            .map_err(failed)?;
        let finding = finding.ok_or("the balance does not stand still")?;
        outcome.wrong.extend(
            finding
                .differences
                .iter()
                .map(|difference| format!("{difference:?}")),
        );
        let count = |answers: &BTreeMap<u16, u32>, status| {
            i64::from(answers.get(&status).copied().unwrap_or_default())
        };
        let reserved = count(&outcome.sends, 201) - count(&outcome.cancels, 200);
        let expected = Balance {
            available: self.bought - reserved,
            reserved,
            consumed: 0,
        };
        if finding.stands != expected {
            outcome.wrong.push(format!(
                "{:?} stands, and what was answered comes to {expected:?}",
                finding.stands
            ));
        }
        Ok(())
    }
}

/// How long it takes until the next comes, where so many come in a second and none knows of
/// another.
fn gap(entropy: &Entropy, per_second: u32) -> Duration {
    let drawn = (f64::from(entropy.below(1_000_000)) + 1.0) / 1_000_001.0;
    Duration::from_secs_f64(-drawn.ln() / f64::from(per_second))
}

/// What came of one agreement.
struct One {
    sent: u16,
    cancelled: Option<u16>,
    waited: Vec<Duration>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the rush, which is paused"
)]
async fn one(desk: Desk, key: String, cancels: bool) -> Result<One, Fault> {
    let recipient = json!({"email": "r@example.com", "name": "Ann Smith", "country": "US", "authentication": "kba"});
    let body = json!({"title": "Lease", "sender": {"email": "sales@example.com"}, "recipients": [recipient]});
    let began = Instant::now();
    let sent = desk.post("/v1/agreements", &body, &key).await?;
    let mut done = One {
        sent: sent.status,
        cancelled: None,
        waited: vec![began.elapsed()],
    };
    if cancels && sent.status == 201 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let path = format!("/v1/agreements/{}/cancel", sent.text("/id")?);
        done.cancelled = Some(
            desk.post(&path, &json!({"reason": "rush"}), "")
                .await?
                .status,
        );
        done.waited.push(began.elapsed());
    }
    Ok(done)
}

/// The way to the handlers, with a key.
#[derive(Clone, Debug)]
struct Desk {
    gateway: Gateway,
    key: String,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn text(&self, pointer: &str) -> Result<String, Fault> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| format!("no {pointer} in {} {}", self.status, self.body).into())
    }

    fn expect(self, status: u16) -> Result<Self, Fault> {
        if self.status == status {
            Ok(self)
        } else {
            Err(format!("{} {}", self.status, self.body).into())
        }
    }
}

impl Desk {
    async fn post(&self, path: &str, body: &Value, key: &str) -> Result<Answer, Fault> {
        self.ask(Method::POST, path, body, key).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert(
            "authorization",
            HeaderValue::try_from(format!("Bearer {}", self.key))?,
        );
        if !key.is_empty() {
            headers.insert(
                "idempotency-key",
                HeaderValue::try_from(format!("\"{key}\""))?,
            );
        }
        let incoming = Incoming {
            method,
            uri: Uri::try_from(path)?,
            headers,
            body: Bytes::from(body.to_string()),
            peer: PEER,
        };
        let (parts, body) = self.gateway.answer(incoming).await.into_parts();
        let body = axum::body::to_bytes(body, ANSWER_MAX).await?;
        Ok(Answer {
            status: parts.status.as_u16(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}
