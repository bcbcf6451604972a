//! `PATCH /v1/settings`: the patch is held against every rule as a whole before anything is
//! written.

use shared::account::api_key::Caller;
use shared::account::{Account, Overrides, Settings, Terms};
use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys, read};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::changes::changed;
use crate::groups;

pub(crate) async fn handle(app: &App, call: &Call, caller: Caller) -> Outcome {
    call.only_query(&["account"])?;
    let patch = call.merge_patch()?;
    let if_match = call.if_match()?;
    let Caller { actor, mut account } = caller;
    let mut retries = RetryPolicy::default();
    loop {
        if if_match.is_some_and(|version| version != account.settings_version) {
            return Err(Problem::new(Slug::PreconditionFailed));
        }
        let (overrides, settings) = account.overrides.patched(
            &patch,
            Terms {
                plan: account.plan,
                local: app.config.local,
            },
        )?;
        let before = account.settings()?;
        let changed = changed(&account.overrides, &overrides);
        if changed.is_empty() {
            return Ok(Reply::ok(&settings).etag(account.settings_version));
        }
        if before.second_factor.methods != settings.second_factor.methods {
            groups::keep_a_method(app, &account, &overrides).await?;
        }
        let event = Event::new(Action::SettingsChanged, actor)
            .from(call.client_ip)
            .with("changed", changed);
        let written = app
            .table
            .transact(writes(
                &account,
                &overrides,
                &settings,
                event,
                call.arrived_at,
            )?)
            .await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            call.allow_origins(&settings.origins);
            return Ok(Reply::ok(&settings).etag(account.settings_version + 1));
        }
        account = read(
            app.table
                .get(keys::account(account.id))
                .await?
                .ok_or_else(|| Problem::new(Slug::NotFound))?,
        )?;
    }
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
