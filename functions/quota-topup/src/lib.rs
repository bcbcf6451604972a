//! `POST /v1/quota/topups`: the operator enters what an account has bought. Once per
//! `Idempotency-Key`, for ever.

mod record;
mod request;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::account::Account;
use shared::account::Shards;
use shared::kernel::ids::{AccountId, TopupId};
use shared::kernel::secret::Fingerprint;
use shared::ledger::{EntryId, Figures, Notice, Onto, Plan, Purchase, StaleRead, Watch, plan};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Put, RetryPolicy, keys, read};
use shared::web::http::{Call, Operation, Outcome, Problem, Reply, Slug};
use shared::{account::api_key, web::idempotency};
use utoipa::ToSchema;

use record::Record;
pub use request::Request;

/// How often it is tried to spread what was bought over all shards.
const EVENLY: u32 = 2;

/// A top-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Topup)]
pub struct Response {
    /// Its id, and that of its ledger entry.
    pub id: TopupId,
    /// Whose balance it was added to.
    pub account: AccountId,
    /// How many transactions.
    #[schema(example = 500)]
    pub transactions: u32,
    /// The operator's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "order 2026-1138", nullable = false)]
    pub reference: Option<String>,
    /// The account's balance with it. What others did in the same instant may not be in it.
    pub quota: Figures,
}

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call
        .route
        .is_none_or(|route| route.operation != Operation::TopUpQuota)
    {
        return Err(Problem::new(Slug::NotFound));
    }
    let actor = api_key::operator(&app, &call).await?;
    call.only_query(&[])?;
    let key = idempotency::required_key(&call)?;
    let request: Request = call.json()?;
    request.check()?;
    topup(&app, &call, actor, &key, &request).await
}

async fn topup(app: &App, call: &Call, actor: Actor, key: &str, request: &Request) -> Outcome {
    // All operators share one set of keys: who repeats a request may have a new API key by then.
    let named = keys::topup(key);
    let id = TopupId::from_bytes(Fingerprint::of(format!("topup\n{key}").as_bytes()).short());
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    let mut tried = 0;
    loop {
        let mut items = app
            .table
            .get_all(vec![named.clone(), keys::account(request.account)])
            .await?
            .into_iter();
        if let Some(item) = items.next().flatten() {
            return read::<Record>(item)?.answer_again(request, &call.request_id);
        }
        let account: Account = read(
            items
                .next()
                .flatten()
                .ok_or_else(|| Problem::new(Slug::NotFound))?,
        )?;
        let watch = Watch::of(&account, &account.settings()?);
        let (seen, notice) = seen(app, &account).await?;
        let (onto, shards) = place(&account, request.transactions.count(), tried);
        let purchase = Purchase {
            account: account.id,
            id: EntryId::named(id),
            transactions: request.transactions.count(),
            reference: request.reference.clone(),
            watch: &watch,
            at: now,
        };
        let Plan { mut writes, .. } = plan::topup(&purchase, onto, &seen, notice)?;
        let answer = request.answer(id, &seen);
        let record = Record::new(&answer, &call.request_id, now);
        writes.push(Put::create(named.clone(), &record)?.into());
        let event = event(request, id, actor, call);
        writes.extend(account.change(account.spread_balance(shards), event, now)?);
        let written = app.table.transact(writes).await;
        if retries.settled(written, &app.entropy).await? {
            return Ok(Reply::created(&answer));
        }
        tried += 1;
    }
}

/// Where so many go, and how many shards the account has with them: who buys enough gets all in
/// this very transaction, so that nothing is to be set up for a busy account. Where somebody is
/// always at one of the shards, one of them is to be had: then there become no more.
fn place(account: &Account, transactions: u32, tried: u32) -> (Onto, Shards) {
    let stands = account.quota_shards;
    if tried >= EVENLY {
        return (Onto::One(stands), stands);
    }
    let shards = stands.after_buying(transactions);
    (Onto::All(shards), shards)
}

/// What stands on the shards and what was told of it, each at a moment of its own: no sending
/// stands in the way of that.
async fn seen(app: &App, account: &Account) -> Result<(StaleRead, Notice), Failure> {
    let wanted = std::iter::once(keys::balance_notice(account.id))
        .chain(StaleRead::keys(account))
        .collect();
    let mut items = app.table.get_all(wanted).await?.into_iter();
    let notice = items
        .next()
        .flatten()
        .map(read)
        .transpose()?
        .unwrap_or_default();
    Ok((StaleRead::of(items)?, notice))
}

fn event(request: &Request, id: TopupId, actor: Actor, call: &Call) -> Event {
    let event = Event::new(Action::QuotaToppedUp, actor).from(call.client_ip);
    let event = event
        .with("topup", id.to_string())
        .with("transactions", request.transactions.count());
    request.reference.iter().fold(event, |event, reference| {
        event.with("reference", reference.as_str())
    })
}
