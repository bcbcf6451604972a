//! `GET /v1/quota`

use serde::Serialize;
use shared::account::api_key;
use shared::ledger::{Figures, balance};
use shared::store::app::App;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Reply};
use utoipa::ToSchema;

/// An account's prepaid transactions, as they stand now. While many are reserved at once, each part
/// of a balance is read at a moment of its own; the sum holds all the same.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct Response {
    /// The account's.
    #[serde(flatten)]
    pub figures: Figures,
    /// What of them each group has reserved and consumed; groups that never had any are not there.
    pub groups: Vec<Group>,
}

/// A group's part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaGroup)]
#[expect(clippy::struct_field_names, reason = "the names are the API's")]
pub struct Group {
    /// The group.
    #[schema(example = "mortgages")]
    pub group: String,
    /// Put aside for recipients of its agreements.
    #[schema(example = 2)]
    pub reserved: i64,
    /// Used by them.
    #[schema(example = 17)]
    pub consumed: i64,
}

impl From<(String, balance::Share)> for Group {
    fn from((group, share): (String, balance::Share)) -> Self {
        Self {
            group,
            reserved: share.reserved,
            consumed: share.consumed,
        }
    }
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let caller = api_key::caller(app, call, Scope::QuotaRead).await?;
    call.only_query(&["account"])?;
    call.no_body()?;
    let account = &caller.account;
    let (seen, shares) = futures_util::join!(
        balance::shown(&app.table, account),
        balance::shares(&app.table, account.id, account.quota_shards)
    );
    let (seen, mut shares) = (seen?, shares?);
    if seen.count > account.quota_shards {
        // The shards have grown since the caller was read: some of the groups' parts stand on new
        // ones.
        shares = balance::shares(&app.table, account.id, seen.count).await?;
    }
    Ok(Reply::json(&Response {
        figures: seen.total.into(),
        groups: shares.into_iter().map(Group::from).collect(),
    }))
}
