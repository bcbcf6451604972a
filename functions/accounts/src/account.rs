//! An account as operators see it.

use serde::Serialize;
use shared::account::{Account, Plan};
use shared::kernel::ids::AccountId;
use shared::store::app::App;
use shared::web::http::{Call, Problem, Slug};
use utoipa::ToSchema;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct Response {
    /// Its id.
    pub id: AccountId,
    /// The organisation's name, as messages give it.
    #[schema(example = "Acme Escrow")]
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// When it was opened, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub created_at: String,
}

impl From<&Account> for Response {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            name: account.name.clone(),
            plan: account.plan,
            created_at: account.created_at.to_rfc3339(),
        }
    }
}

/// The account that the path names, as it stands now.
pub async fn find(app: &App, call: &Call) -> Result<Account, Problem> {
    let id: AccountId = call.path_id("account")?;
    let account = app.table.find(Account::concerned(call, id)).await?;
    let account = account.ok_or_else(|| Problem::new(Slug::NotFound))?;
    Ok(account)
}
