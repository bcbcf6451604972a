//! `PATCH /v1/settings`: the patch is held against every rule as a whole before anything is
//! written.

use shared::account::api_key::Caller;
use shared::account::{Account, Overrides, Settings, Terms};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::AccountId;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Stored, Write, keys};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::changes::changed;
use crate::groups;

pub(crate) async fn handle(app: &App, call: &Call, caller: Caller) -> Outcome {
    call.only_query(&["account"])?;
    let patch = call.merge_patch()?;
    let if_match = call.if_match()?;
    let Caller { actor, mut account } = caller;
    let event = Event::new(Action::SettingsChanged, actor).from(call.client_ip);
    let mut retries = RetryPolicy::default();
    loop {
        if if_match.is_some_and(|version| version != account.settings_version) {
            return Err(Problem::new(Slug::PreconditionFailed));
        }
        let (overrides, settings) = account.overrides.patched(&patch, terms(app, &account))?;
        let changed = changed(&account.overrides, &overrides);
        if changed.is_empty() {
            return Ok(Reply::json(&settings).etag(account.settings_version));
        }
        leave_a_method(app, &account, (&overrides, &settings)).await?;
        let event = event.clone().with("changed", changed);
        let writes = writes(&account, &overrides, &settings, event, call.arrived_at)?;
        let version = account.after(&writes)?.settings_version;
        let written = app.table.transact(writes).await;
        let settled = retries.settled(written, &app.entropy).await;
        if settled.map_err(contended)? {
            return Ok(Reply::json(&settings).etag(version));
        }
        account = read_again(app, account.id).await?;
    }
}

/// What an account's settings are held against.
pub(crate) const fn terms(app: &App, account: &Account) -> Terms {
    Terms {
        plan: account.plan,
        local: app.config.local,
    }
}

/// Refuses other methods than before that would leave a group without one.
async fn leave_a_method(
    app: &App,
    account: &Account,
    (overrides, settings): (&Overrides, &Settings),
) -> Result<(), Problem> {
    if account.settings()?.second_factor.methods == settings.second_factor.methods {
        return Ok(());
    }
    groups::keep_a_method(app, account, overrides).await
}

async fn read_again(app: &App, account: AccountId) -> Result<Account, Problem> {
    let account = app.table.find(keys::account(account).holding()).await?;
    account.ok_or_else(|| Problem::new(Slug::NotFound))
}

fn writes(
    account: &Account,
    overrides: &Overrides,
    settings: &Settings,
    event: Event,
    now: Timestamp,
) -> Result<Vec<Write>, Failure> {
    let mut writes = account.change(account.override_settings(overrides)?, event, now)?;
    writes.extend(account.claim_origins(&account.settings()?.origins, &settings.origins)?);
    Ok(writes)
}
