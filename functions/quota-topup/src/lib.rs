//! `POST /v1/quota/topups`: the operator enters what an account has bought. Once per `Idempotency-Key`, for ever.

mod record;
mod request;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::account::Account;
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Patience, Write, keys, read};
use shared::http::{Call, Operation, Outcome, Problem, Reply, Slug};
use shared::ids::{AccountId, TopupId};
use shared::quota::{EntryId, Figures, Plan, Snapshot, Watch, balance, plan};
use shared::secret::Fingerprint;
use shared::{api_key, idempotency};
use utoipa::ToSchema;

use record::Record;
pub use request::Request;

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
    if call.route.is_none_or(|route| route.operation != Operation::TopUpQuota) {
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
    let mut patience = Patience::default();
    loop {
        let mut items = app.table.get_all(vec![named.clone(), keys::account(request.account)]).await?.into_iter();
        if let Some(item) = items.next().flatten() {
            return read::<Record>(item)?.answer_again(request, &call.request_id);
        }
        let account: Account = read(items.next().flatten().ok_or_else(|| Problem::new(Slug::NotFound))?)?;
        let now = app.clock.now();
        let watch = Watch::of(&account, &account.settings()?);
        let seen = balance::snapshot(&app.table, &app.entropy, &account).await?;
        let Plan { mut writes, .. } = planned(request, id, account.id, &watch, &seen, now)?;
        let answer = request.answer(id, &seen);
        writes.push(Write::create(named.clone(), &Record::new(&answer, &call.request_id, now))?);
        writes.extend(account.change(account.touch(), event(request, id, actor, call), now)?);
        let written = app.table.transact(writes).await;
        if patience.settled(written, &app.entropy).await? {
            return Ok(Reply::created(&answer));
        }
    }
}

fn planned(
    request: &Request,
    id: TopupId,
    account: AccountId,
    watch: &Watch,
    seen: &Snapshot,
    now: Timestamp,
) -> Result<Plan, Failure> {
    let id = EntryId::named(id);
    plan::topup(account, id, request.transactions.count(), request.reference.clone(), watch, seen, now)
}

fn event(request: &Request, id: TopupId, actor: Actor, call: &Call) -> Event {
    let event = Event::new(Action::QuotaToppedUp, actor).from(call.source);
    let event = event.with("topup", id.to_string()).with("transactions", request.transactions.count());
    request.reference.iter().fold(event, |event, reference| event.with("reference", reference.as_str()))
}
