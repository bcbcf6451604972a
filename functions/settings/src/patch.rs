//! `PATCH /v1/settings`: the patch is held against every rule as a whole before anything is written.

use serde::Serialize;
use serde_json::Value;
use shared::account::{Account, Overrides, Settings};
use shared::api_key::Caller;
use shared::app::App;
use shared::audit::{Action, Event};
use shared::clock::Timestamp;
use shared::dynamo::{Failure, Patience, Write, document, keys, read};
use shared::http::refusals::contended;
use shared::http::{Call, Outcome, Problem, Reply, Slug};
use shared::ids::AccountId;

/// An account's claim to an origin, as it is stored: CORS preflights are answered from it.
#[derive(Debug, Serialize)]
struct Claim {
    account: AccountId,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: Caller) -> Outcome {
    call.only_query(&["account"])?;
    let patch = call.merge_patch()?;
    let if_match = call.if_match()?;
    let Caller { actor, mut account } = caller;
    let mut patience = Patience::default();
    loop {
        if if_match.is_some_and(|version| version != account.settings_version) {
            return Err(Problem::new(Slug::PreconditionFailed));
        }
        let (overrides, settings) = account.overrides.patched(&patch, account.plan)?;
        let changed = changed(&json(&account.overrides), &json(&overrides));
        if changed.is_empty() {
            return Ok(Reply::ok(&settings).etag(account.settings_version));
        }
        let event = Event::new(Action::SettingsChanged, actor).from(call.source).with("changed", changed);
        let written = app.table.transact(writes(&account, &overrides, &settings, event, app.clock.now())?).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            call.allow_origins(&settings.origins);
            return Ok(Reply::ok(&settings).etag(account.settings_version + 1));
        }
        account = read(app.table.get(keys::account(account.id)).await?.ok_or_else(|| Problem::new(Slug::NotFound))?)?;
    }
}

fn writes(
    account: &Account,
    overrides: &Overrides,
    settings: &Settings,
    event: Event,
    now: Timestamp,
) -> Result<Vec<Write>, Failure> {
    let update = account.touch().and(", #overrides = :overrides, #settings_version = :version");
    let update = update.value("overrides", document(overrides)?).value("version", account.settings_version + 1);
    let update = update.when("#settings_version = :was").value("was", account.settings_version);
    let mut writes = account.change(update, event, now)?;
    let before = account.settings()?.origins;
    for origin in settings.origins.iter().filter(|origin| !before.contains(origin)) {
        writes.push(Write::replace(keys::origin(origin, account.id), &Claim { account: account.id })?);
    }
    for origin in before.iter().filter(|origin| !settings.origins.contains(origin)) {
        writes.push(Write::delete(keys::origin(origin, account.id)));
    }
    Ok(writes)
}

fn json(overrides: &Overrides) -> Value {
    // A map of JSON values always serialises.
    serde_json::to_value(overrides).unwrap_or_default()
}

/// The JSON Pointers of the settings that differ: what the audit tells, without the values.
fn changed(before: &Value, after: &Value) -> Vec<String> {
    let mut pointers = Vec::new();
    name_changes(Some(before), Some(after), "", &mut pointers);
    pointers
}

fn name_changes(before: Option<&Value>, after: Option<&Value>, pointer: &str, pointers: &mut Vec<String>) {
    if before == after {
        return;
    }
    let objects: Vec<_> = [before, after].into_iter().filter_map(|value| value?.as_object()).collect();
    if objects.is_empty() {
        pointers.push(pointer.to_owned());
        return;
    }
    // An object that is set for the first time, or no more, is told by its members.
    let mut names: Vec<&String> = objects.into_iter().flat_map(serde_json::Map::keys).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (before, after) = (before.and_then(|value| value.get(name)), after.and_then(|value| value.get(name)));
        name_changes(before, after, &format!("{pointer}/{name}"), pointers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_setting_that_differs_is_named_and_no_other() {
        let before = json!({"locale": "fr", "kba": {"enabled": true, "max_attempts": 3}, "origins": ["https://a.example"]});
        let after = json!({"kba": {"enabled": true, "max_attempts": null}, "origins": [], "links": {"redirect_uris": []}, "second_factor": {}});
        assert_eq!(changed(&before, &after), ["/kba/max_attempts", "/links/redirect_uris", "/locale", "/origins"]);
        assert_eq!(changed(&after, &after), [""; 0]);
    }
}
