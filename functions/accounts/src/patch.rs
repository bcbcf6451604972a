//! `PATCH /v1/accounts/{account}`

use serde::Deserialize;
use shared::account::api_key;
use shared::account::{Account, Plan};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Stored, Write};
use shared::web::http::patch::given;
use shared::web::http::{Body, Call, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};
use utoipa::ToSchema;

use crate::account::{self, Response};
use crate::name;

/// A JSON Merge Patch of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchAccount)]
pub struct Request {
    /// The organisation's name: 1 to 100 characters, none of them a control character.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        example = "Acme Escrow",
        min_length = 1,
        max_length = 100,
        nullable = false
    )]
    pub name: Option<String>,
    /// What the organisation has subscribed to.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub plan: Option<Plan>,
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let actor = api_key::operator(app, call).await?;
    call.only_query(&[])?;
    let request: Request = Body::read(call.merge_patch()?)?;
    if let Some(fault) = request.name.as_deref().and_then(name::fault) {
        return Err(Problem::invalid(vec![fault]));
    }
    let if_match = call.if_match()?;
    let account = settle(app, || change(app, call, actor, (&request, if_match)))
        .await
        .map_err(Unsettled::of_an_object)?;
    Ok(Reply::json(&Response::from(&account)).etag(account.version))
}

/// The writes that make the change, and the account with it; the account as it stands, where the
/// request changes nothing.
async fn change(
    app: &App,
    call: &Call,
    actor: Actor,
    (request, if_match): (&Request, Option<u64>),
) -> Result<Decision<Account>, Problem> {
    let account = account::find(app, call).await?;
    if if_match.is_some_and(|version| version != account.version) {
        return Err(Problem::new(Slug::PreconditionFailed));
    }
    let patched = request.over(&account);
    if patched.version == account.version {
        return Ok(Decision::Stands(account));
    }
    let writes = writes(call, actor, &account, &patched)?;
    let next = account.after(&writes)?;
    Ok(Decision::Write(writes, next))
}

impl Request {
    /// What comes of `account`: another version of it only where something changes.
    fn over(&self, account: &Account) -> Account {
        let name = self.name.as_ref().unwrap_or(&account.name);
        let plan = self.plan.unwrap_or(account.plan);
        let changes = *name != account.name || plan != account.plan;
        Account {
            name: name.clone(),
            plan,
            version: account.version + u64::from(changes),
            ..account.clone()
        }
    }
}

fn writes(
    call: &Call,
    actor: Actor,
    account: &Account,
    patched: &Account,
) -> Result<Vec<Write>, Failure> {
    let mut event = Event::new(Action::AccountChanged, actor).from(call.client_ip);
    if patched.name != account.name {
        event = event.with("name", patched.name.as_str());
    }
    if patched.plan != account.plan {
        event = event.with("plan", serde_json::json!(patched.plan));
    }
    account.change(account.patch(patched)?, event, call.arrived_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::account::Overrides;
    use shared::account::Shards;
    use shared::kernel::clock::Timestamp;
    use shared::kernel::ids::AccountId;
    use shared::store::audit::Head;

    fn account() -> Account {
        Account {
            id: AccountId::from_bytes([1; 16]),
            name: "Acme".into(),
            plan: Plan::Starter,
            created_at: Timestamp::default(),
            version: 3,
            settings_version: 1,
            overrides: Overrides::default(),
            quota_shards: Shards::default(),
            head: Head::default(),
        }
    }

    #[test]
    fn a_patch_that_changes_nothing_makes_no_version() {
        let none = Request {
            name: None,
            plan: None,
        };
        assert_eq!(none.over(&account()).version, 3);
        let same = Request {
            name: Some("Acme".into()),
            plan: Some(Plan::Starter),
        };
        assert_eq!(same.over(&account()).version, 3);
        let other = Request {
            name: None,
            plan: Some(Plan::Business),
        };
        assert_eq!(other.over(&account()).version, 4);
    }
}
