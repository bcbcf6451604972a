//! `PATCH /v1/groups/{group}/settings`: what a group overrides. The entry is in the account's
//! chain, whose head every change moves: so an administrator of the account and one of the group
//! are told apart, and neither overtakes the other unseen.

use shared::account::api_key::Caller;
use shared::account::{Account, Group};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{RetryPolicy, keys};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::changes::changed;
use crate::groups;
use crate::patch::terms;

pub(crate) async fn handle(app: &App, call: &Call, caller: Caller) -> Outcome {
    call.only_query(&["account"])?;
    let name = groups::named(call)?;
    let patch = call.merge_patch()?;
    let if_match = call.if_match()?;
    let Caller { actor, mut account } = caller;
    let event = Event::new(Action::SettingsChanged, actor).from(call.client_ip);
    let event = event.with("group", name.as_str());
    let mut group = app.table.find(Group::wanted(account.id, &name)).await?;
    let mut retries = RetryPolicy::default();
    loop {
        if if_match.is_some_and(|version| version != group.version) {
            return Err(Problem::new(Slug::PreconditionFailed));
        }
        let terms = terms(app, &account);
        let (overrides, _) = group
            .overrides
            .patched_in(&account.overrides, &patch, terms)?;
        let changed = changed(&group.overrides, &overrides);
        if changed.is_empty() {
            return Ok(Reply::json(&group.overrides).etag(group.version));
        }
        let event = event.clone().with("changed", changed);
        let mut writes = account.change(account.touch(), event, call.arrived_at)?;
        writes.push(group.set(account.id, &name, &overrides)?.into());
        let written = app.table.transact(writes).await;
        let settled = retries.settled(written, &app.entropy).await;
        if settled.map_err(contended)? {
            return Ok(Reply::json(&overrides).etag(group.version + 1));
        }
        (account, group) = read_again(app, &account, &name).await?;
    }
}

async fn read_again(app: &App, account: &Account, name: &str) -> Result<(Account, Group), Problem> {
    let stands = keys::account(account.id).holding::<Account>();
    let wanted = (stands, Group::wanted(account.id, name));
    let (account, group) = app.table.find(wanted).await?;
    let account = account.ok_or_else(|| Problem::new(Slug::NotFound))?;
    Ok((account, group))
}
