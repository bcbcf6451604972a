//! `GET /v1/quota/entries`

use serde::Serialize;
use shared::account::api_key;
use shared::kernel::ids::AccountId;
use shared::ledger;
use shared::store::app::App;
use shared::store::dynamo::keys;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Reply, cursor};
use utoipa::ToSchema;

/// How many entries a page has.
const PAGE: usize = 100;

/// A page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaEntries)]
pub struct Response {
    /// At most 100, the newest first.
    pub entries: Vec<Entry>,
    /// What `?cursor=` goes on with; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "MTc5NTMzOTgwMDAwMCN0b3BfMDFqZA", nullable = false)]
    pub next_cursor: Option<String>,
}

/// An entry of the ledger: it never changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaEntry)]
pub struct Entry {
    /// What it is named by.
    #[schema(example = "consume.rcp_01jd3v8e5mz7p1c4n6h9k2s3df")]
    pub id: String,
    /// What it did.
    pub kind: QuotaEntryKind,
    /// How many; negative for a correction that takes away.
    #[schema(example = 1)]
    pub transactions: i64,
    /// The agreement it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agreement: Option<String>,
    /// The recipient it was for, where it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub recipient: Option<String>,
    /// The group it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mortgages", nullable = false)]
    pub group: Option<String>,
    /// The operator's own name for a top-up, or the reason of a correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reference: Option<String>,
    /// When, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub at: String,
}

/// What an entry did.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = QuotaEntryKind, rename_all = "lowercase")]
pub enum QuotaEntryKind {
    /// Transactions were bought.
    Topup,
    /// Put aside for recipients.
    Reserve,
    /// Used by a recipient.
    Consume,
    /// Put aside and not used.
    Release,
    /// An operator set right what was bought.
    Correction,
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let caller = api_key::caller(app, call, Scope::QuotaRead).await?;
    let account = &caller.account;
    call.only_query(&["account", "cursor"])?;
    call.no_body()?;
    let before: Option<String> = cursor::of(call)?;
    let (places, more) = places(app, account.id, account.quota_shards, before).await?;
    let key_at = |place: &String| ledger::Entry::key_at(account.id, place);
    let listed = places.iter().filter_map(key_at).collect();
    let stored: Vec<ledger::Entry> = app.table.find_listed(listed).await?;
    let next_cursor = places.last().filter(|_| more).map(cursor::after);
    Ok(Reply::json(&Response {
        entries: stored.into_iter().filter_map(Entry::of).collect(),
        next_cursor,
    }))
}

/// The places of the newest entries before `before`, and whether there are older ones. Each shard
/// lists those that began at it.
async fn places(
    app: &App,
    account: AccountId,
    shards: shared::account::Shards,
    before: Option<String>,
) -> Result<(Vec<String>, bool), shared::store::dynamo::Failure> {
    let limit = i32::try_from(PAGE).unwrap_or(i32::MAX);
    let lists = shards
        .each()
        .map(|shard| keys::ledger_listing(account, shard));
    let pages = lists.map(|list| app.table.list_back(list, before.clone(), limit));
    let pages = futures_util::future::try_join_all(pages).await?;
    let older = pages.iter().any(|page| page.next.is_some());
    let listed = pages.into_iter().flat_map(|page| page.items);
    let place =
        |item: shared::store::dynamo::Item| item.get(keys::LISTING_SK)?.as_s().ok().cloned();
    let mut places: Vec<String> = listed.filter_map(place).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    let more = older || places.len() > PAGE;
    places.truncate(PAGE);
    Ok((places, more))
}

impl Entry {
    /// The entry as people see it; none where it is not for them.
    fn of(entry: ledger::Entry) -> Option<Self> {
        let kind = match entry.kind {
            ledger::EntryKind::Topup => QuotaEntryKind::Topup,
            ledger::EntryKind::Reserve => QuotaEntryKind::Reserve,
            ledger::EntryKind::Consume => QuotaEntryKind::Consume,
            ledger::EntryKind::Release => QuotaEntryKind::Release,
            ledger::EntryKind::Correction => QuotaEntryKind::Correction,
            ledger::EntryKind::Move => return None,
        };
        let ledger::Entry {
            id,
            transactions,
            agreement,
            recipient,
            group,
            reference,
            at,
            ..
        } = entry;
        let (id, at) = (id.to_string(), at.to_rfc3339());
        Some(Self {
            id,
            kind,
            transactions,
            agreement,
            recipient,
            group,
            reference,
            at,
        })
    }
}
