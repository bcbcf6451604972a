//! `POST /v1/accounts`

use serde::Deserialize;
use shared::account::Shards;
use shared::account::api_key;
use shared::account::{Account, Overrides, Plan};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::AccountId;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Chain, Event, Head};
use shared::store::dynamo::{Failure, Put, Write, keys};
use shared::web::http::{Call, Outcome, Problem, Reply};
use utoipa::ToSchema;

use crate::account::Response;
use crate::name;

/// An account to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateAccount)]
pub struct Request {
    /// The organisation's name, as messages give it: 1 to 100 characters, none of them a control
    /// character. A text, which is of one part, has room for 30 of GSM-7: a longer name is cut
    /// between words, letters lose their accents, and where a name has others or would be cut to
    /// less than 8, the text names the host that the code is for.
    #[schema(example = "Acme Escrow", min_length = 1, max_length = 100)]
    pub name: String,
    /// What the organisation has subscribed to.
    pub plan: Plan,
}

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    let actor = api_key::operator(app, call).await?;
    call.only_query(&[])?;
    let request: Request = call.json()?;
    if let Some(fault) = name::fault(&request.name) {
        return Err(Problem::invalid(vec![fault]));
    }
    let now = call.arrived_at;
    let id = AccountId::new(now, &app.entropy);
    let (account, writes) = open(id, request, actor, call, now)?;
    match app.table.transact_with_retries(writes, &app.entropy).await {
        // The id was drawn here: where it stands, an earlier attempt of this request was done after
        // all.
        Err(failure) if failure.stood_at(&keys::account(id)).is_none() => {
            return Err(failure.into());
        }
        _ => {}
    }
    Ok(Reply::json(&Response::from(&account)).etag(account.version))
}

fn open(
    id: AccountId,
    request: Request,
    actor: Actor,
    call: &Call,
    now: Timestamp,
) -> Result<(Account, Vec<Write>), Failure> {
    let event = Event::new(Action::AccountCreated, actor)
        .from(call.client_ip)
        .with("name", request.name.as_str());
    let mut chain = Chain::of(id, id, &Head::default());
    chain.append(event, now)?;
    let account = Account {
        id,
        name: request.name,
        plan: request.plan,
        created_at: now,
        version: 1,
        settings_version: 1,
        overrides: Overrides::default(),
        quota_shards: Shards::default(),
        head: chain.head().clone(),
    };
    let mut writes = vec![Put::create(keys::account(id), &account)?.into()];
    writes.extend(chain.writes()?);
    Ok((account, writes))
}
