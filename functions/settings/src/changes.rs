//! What a patch changed: what the audit tells, without the values.

use serde_json::Value;
use shared::account::Overrides;

/// The JSON Pointers of the settings that differ.
pub fn changed(before: &Overrides, after: &Overrides) -> Vec<String> {
    // A map of JSON values always serialises.
    let json = |overrides| serde_json::to_value(overrides).unwrap_or_default();
    pointers(&json(before), &json(after))
}

fn pointers(before: &Value, after: &Value) -> Vec<String> {
    let mut pointers = Vec::new();
    name_changes(Some(before), Some(after), "", &mut pointers);
    pointers
}

fn name_changes(
    before: Option<&Value>,
    after: Option<&Value>,
    pointer: &str,
    pointers: &mut Vec<String>,
) {
    if before == after {
        return;
    }
    let objects: Vec<_> = [before, after]
        .into_iter()
        .filter_map(|value| value?.as_object())
        .collect();
    if objects.is_empty() {
        pointers.push(pointer.to_owned());
        return;
    }
    // An object that is set for the first time, or no more, is told by its members.
    let mut names: Vec<&String> = objects
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (before, after) = (
            before.and_then(|value| value.get(name)),
            after.and_then(|value| value.get(name)),
        );
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
        assert_eq!(
            pointers(&before, &after),
            [
                "/kba/max_attempts",
                "/links/redirect_uris",
                "/locale",
                "/origins"
            ]
        );
        assert_eq!(pointers(&after, &after), [""; 0]);
    }
}
