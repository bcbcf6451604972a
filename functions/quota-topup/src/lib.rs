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
use shared::ledger::{
    EntryId, Figures, Notice, Plan, Purchase, StaleRead, TopupTarget, Watch, plan,
};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Key, Put, RetryPolicy, Write, keys};
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

/// A top-up that is asked for.
struct Asked<'a> {
    app: &'a App,
    call: &'a Call,
    actor: Actor,
    request: &'a Request,
    id: TopupId,
    /// Where the record of it stands.
    named: Key,
}

/// All operators share one set of keys: who repeats a request may have a new API key by then.
async fn topup(app: &App, call: &Call, actor: Actor, key: &str, request: &Request) -> Outcome {
    let asked = Asked {
        app,
        call,
        actor,
        request,
        id: TopupId::from_bytes(Fingerprint::of(format!("topup\n{key}").as_bytes()).short()),
        named: keys::topup(key),
    };
    let (mut retries, mut attempts) = (RetryPolicy::default(), 0);
    loop {
        let (record, account) = asked.read().await?;
        if let Some(record) = record {
            return record.answer_again(request, &call.request_id);
        }
        let account = account.ok_or_else(|| Problem::new(Slug::NotFound))?;
        let (answer, writes) = asked.decide(&account, attempts).await?;
        let written = app.table.transact(writes).await;
        if retries.settled(written, &app.entropy).await? {
            return Ok(Reply::json(&answer));
        }
        attempts += 1;
    }
}

impl Asked<'_> {
    /// What was answered before, if it was; and the account.
    async fn read(&self) -> Result<(Option<Record>, Option<Account>), Failure> {
        let account = keys::account(self.request.account);
        let wanted = (self.named.clone().holding(), account.holding());
        self.app.table.find(wanted).await
    }

    /// The answer and the writes, after so many attempts.
    async fn decide(
        &self,
        account: &Account,
        attempts: u32,
    ) -> Result<(Response, Vec<Write>), Problem> {
        let (request, now) = (self.request, self.call.arrived_at);
        let watch = Watch::of(account, &account.settings()?);
        let (notice, seen) = seen(self.app, account).await?;
        let (onto, shards) = place(account, request.transactions.count(), attempts);
        let purchase = Purchase {
            account: account.id,
            id: EntryId::named(self.id),
            transactions: request.transactions.count(),
            reference: request.reference.clone(),
            watch: &watch,
            at: now,
        };
        let Plan { mut writes, .. } = plan::topup(&purchase, onto, &seen, notice)?;
        let answer = request.answer(self.id, &seen);
        let record = Record::new(&answer, &self.call.request_id, now);
        writes.push(Put::create(self.named.clone(), &record)?.into());
        let event = event(request, self.id, self.actor, self.call);
        writes.extend(account.change(account.spread_balance(shards), event, now)?);
        Ok((answer, writes))
    }
}

/// Where so many go, and how many shards the account has with them: who buys enough gets all in
/// this very transaction, so that nothing is to be set up for a busy account. Where somebody is
/// always at one of the shards, one of them is to be had: then there become no more.
fn place(account: &Account, transactions: u32, attempts: u32) -> (TopupTarget, Shards) {
    let stands = account.quota_shards;
    if attempts >= EVENLY {
        return (TopupTarget::One(stands), stands);
    }
    let shards = stands.after_buying(transactions);
    (TopupTarget::All(shards), shards)
}

/// What was told of the balance and what stands on the shards, each at a moment of its own: no
/// sending stands in the way of that.
async fn seen(app: &App, account: &Account) -> Result<(Notice, StaleRead), Failure> {
    let notice = keys::balance_notice(account.id).holding().or_default();
    app.table.find((notice, StaleRead::wanted(account))).await
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
