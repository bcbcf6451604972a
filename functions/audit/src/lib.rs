//! `GET /v1/audit`: what happened to a user, or to the account itself.

use std::sync::Arc;

use serde::Serialize;
use shared::account::api_key;
use shared::kernel::ids::{AccountId, UserId};
use shared::store::app::App;
use shared::store::audit::Entry;
use shared::store::dynamo::{keys, read};
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Operation, Outcome, Problem, Reply, Slug, cursor};
use utoipa::ToSchema;

/// How many entries a page has.
const PAGE: i32 = 100;

/// A page of audit entries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntries)]
pub struct Response {
    /// At most 100, the oldest first.
    pub entries: Vec<Entry>,
    /// What `?cursor=` goes on with; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "MTAw", nullable = false)]
    pub next_cursor: Option<String>,
}

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call
        .route
        .is_none_or(|route| route.operation != Operation::ReadAudit)
    {
        return Err(Problem::new(Slug::NotFound));
    }
    let caller = api_key::caller(&app, &call, Scope::AuditRead).await?;
    let account = caller.account.id;
    call.only_query(&["account", "subject", "cursor"])?;
    call.no_body()?;
    let subject = subject(call.query("subject"), account)?;
    let page = page(&app, account, &subject, cursor::of(&call)?).await?;
    Ok(Reply::json(&page))
}

/// The entries of a subject after the one of that sequence.
async fn page(
    app: &App,
    account: AccountId,
    subject: &str,
    after: Option<u64>,
) -> Result<Response, Problem> {
    let after_key = after.map(|sequence| keys::audit_entry(account, subject, sequence).sk);
    let chain = keys::audit_chain(account, subject);
    let page = app.table.query(chain, after_key, PAGE).await?;
    // Every user's chain has a first entry. Where there is none, there never was such a user in
    // this account.
    if page.items.is_empty() && after.is_none() && subject != account.to_string() {
        return Err(Problem::new(Slug::NotFound));
    }
    let entries = page.items.into_iter().map(read::<Entry>);
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let last = page.next.and(entries.last());
    Ok(Response {
        next_cursor: last.map(|last| cursor::after(last.sequence)),
        entries,
    })
}

/// Whose entries are asked for: a user's, or the account's own.
fn subject(asked: Option<&str>, account: AccountId) -> Result<String, Problem> {
    let text = asked.ok_or_else(|| {
        Problem::invalid_parameter(
            "subject",
            "is missing: must be a user's id or the account's id",
        )
    })?;
    if text.parse::<UserId>().is_ok() || text == account.to_string() {
        return Ok(text.to_owned());
    }
    // Another account is as unknown here as one that does not exist.
    Err(text.parse::<AccountId>().map_or_else(
        |_| Problem::invalid_parameter("subject", "must be a user's id or the account's id"),
        |_| Problem::new(Slug::NotFound),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_user_or_the_account_itself() {
        let (own, other) = (
            AccountId::from_bytes([1; 16]),
            AccountId::from_bytes([2; 16]).to_string(),
        );
        let user = UserId::from_bytes([3; 16]).to_string();
        let slug = |asked| subject(asked, own).unwrap_err().slug();
        assert_eq!(subject(Some(&user), own).unwrap(), user);
        assert_eq!(
            subject(Some(&own.to_string()), own).unwrap(),
            own.to_string()
        );
        assert_eq!(slug(Some(&other)), Slug::NotFound);
        assert_eq!(slug(Some("everybody")), Slug::InvalidRequest);
        assert_eq!(slug(None), Slug::InvalidRequest);
    }
}
