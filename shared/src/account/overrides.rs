//! What an account has set over the defaults, and how a patch changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Plan, Settings};
use crate::web::http::{Body, FieldError};
use crate::web::http::{Problem, Slug};

/// What was set over the defaults, or by a group over its account: a part of the document, as it
/// was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Overrides(Map<String, Value>);

/// The settings in force, and where each value comes from.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = EffectiveSettings)]
pub struct Effective {
    /// The settings in force.
    pub value: Settings,
    /// For each value, by JSON Pointer: `default`, `account` or `group`.
    pub source: BTreeMap<String, &'static str>,
}

/// What settings may be depends on more than themselves.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The account's plan.
    pub plan: Plan,
    /// Whether this is the local stack, where an issuer may be on this machine.
    pub local: bool,
}

/// Why a change is refused. Nothing of it is written.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidSettings {
    /// Fields that are not what they have to be.
    Fields(Vec<FieldError>),
    /// Networks that cover too much.
    TooWide(Vec<FieldError>),
    /// The plan does not include what was switched on.
    Plan,
}

impl Overrides {
    /// The settings that come of these over the defaults.
    pub fn settings(&self) -> Result<Settings, InvalidSettings> {
        layered(&[self])
    }

    /// The settings that come of a group's over these over the defaults.
    pub fn settings_with(&self, group: &Self) -> Result<Settings, InvalidSettings> {
        layered(&[self, group])
    }

    /// The settings in force, each with its source.
    pub fn effective(&self) -> Result<Effective, InvalidSettings> {
        Ok(Effective {
            value: self.settings()?,
            source: sources(&[("account", self)]),
        })
    }

    /// The settings in force in a group, each with its source.
    pub fn effective_with(&self, group: &Self) -> Result<Effective, InvalidSettings> {
        Ok(Effective {
            value: self.settings_with(group)?,
            source: sources(&[("group", group), ("account", self)]),
        })
    }

    /// What comes of a JSON Merge Patch, held against every rule as a whole.
    ///
    /// `null` takes a setting back to its default, except where null is itself a value:
    /// `kba.max_attempts` without a limit.
    pub fn patched(
        &self,
        patch: &Value,
        terms: Terms,
    ) -> Result<(Self, Settings), InvalidSettings> {
        known_fields(patch, &defaults(), None, "")?;
        let patched = self.merged(patch)?;
        let settings = patched.settings()?;
        settings.check(terms.local)?;
        // Only switching it on needs the plan: an account that was downgraded can still change the
        // rest.
        let switched_on = settings.kba.enabled && !self.settings()?.kba.enabled;
        if switched_on && !terms.plan.includes_kba() {
            Err(InvalidSettings::Plan)
        } else {
            Ok((patched, settings))
        }
    }

    /// What comes of a patch of a group's overrides, where `account` is what they are laid upon.
    /// `null` takes a setting back to the account's.
    pub fn patched_in(
        &self,
        account: &Self,
        patch: &Value,
        terms: Terms,
    ) -> Result<(Self, Settings), InvalidSettings> {
        known_fields(patch, &group_level(), Some(&defaults()), "")?;
        let patched = self.merged(patch)?;
        let settings = account.settings_with(&patched)?;
        settings.check_group_level()?;
        let switched_on = settings.kba.enabled && !account.settings_with(self)?.kba.enabled;
        if switched_on && !terms.plan.includes_kba() {
            Err(InvalidSettings::Plan)
        } else {
            Ok((patched, settings))
        }
    }

    fn merged(&self, patch: &Value) -> Result<Self, InvalidSettings> {
        let mut document = Value::Object(self.0.clone());
        json_patch::merge(&mut document, patch);
        if patch.pointer("/kba/max_attempts") == Some(&Value::Null) {
            overlay(
                &mut document,
                &serde_json::json!({"kba": {"max_attempts": null}}),
            );
        }
        let Value::Object(map) = document else {
            return Err(not_an_object(""));
        };
        Ok(Self(map))
    }
}

fn layered(layers: &[&Overrides]) -> Result<Settings, InvalidSettings> {
    let mut document = defaults();
    for layer in layers {
        overlay(&mut document, &Value::Object(layer.0.clone()));
    }
    Body::parse(document).map_err(|error| InvalidSettings::Fields(vec![error]))
}

/// The part of the document that a group may set.
fn group_level() -> Value {
    let mut document = defaults();
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| matches!(name.as_str(), "second_factor" | "kba" | "locale"));
    }
    if let Some(members) = document
        .pointer_mut("/second_factor")
        .and_then(Value::as_object_mut)
    {
        members.retain(|name, _| name == "methods");
    }
    document
}

fn defaults() -> Value {
    // A struct of plain fields always serialises.
    serde_json::to_value(Settings::default()).unwrap_or_default()
}

/// Lays `over` upon `document`: objects are merged, everything else, null included, replaces.
fn overlay(document: &mut Value, over: &Value) {
    match (document, over) {
        (Value::Object(document), Value::Object(over)) => {
            for (name, value) in over {
                overlay(document.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (document, over) => over.clone_into(document),
    }
}

/// Where each value comes from: the first of `layers` that sets it, or the defaults.
fn sources(layers: &[(&'static str, &Overrides)]) -> BTreeMap<String, &'static str> {
    let mut source = BTreeMap::new();
    name_pointers(&defaults(), "", &mut source);
    for (name, layer) in layers.iter().rev() {
        let set = Value::Object(layer.0.clone());
        let sets = |pointer: &String| set.pointer(pointer).is_some();
        source
            .iter_mut()
            .filter(|(pointer, _)| sets(pointer))
            .for_each(|(_, source)| *source = *name);
    }
    source
}

fn name_pointers(document: &Value, pointer: &str, source: &mut BTreeMap<String, &'static str>) {
    match document {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| {
                name_pointers(member, &format!("{pointer}/{name}"), source);
            });
        }
        _ => {
            source.insert(pointer.to_owned(), "default");
        }
    }
}

/// Refuses members that no setting has, before anything is merged: a merge would drop an unknown
/// member that is null. Those of `elsewhere` are settings, but none that can be set here.
fn known_fields(
    patch: &Value,
    known: &Value,
    elsewhere: Option<&Value>,
    pointer: &str,
) -> Result<(), InvalidSettings> {
    let Value::Object(members) = patch else {
        let object_expected = pointer.is_empty() || (known.is_object() && !patch.is_null());
        return if object_expected {
            Err(not_an_object(pointer))
        } else {
            Ok(())
        };
    };
    let Value::Object(known) = known else {
        return Ok(());
    };
    let mut errors = Vec::new();
    for (name, value) in members {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        let elsewhere = elsewhere.and_then(|elsewhere| elsewhere.get(name));
        match (known.get(name), elsewhere) {
            (None, None) => errors.push(FieldError::new(shown(&pointer), "is not a setting")),
            (None, Some(_)) => errors.push(FieldError::new(
                pointer,
                "can be set for the account only, not for a group",
            )),
            (Some(known), _) => known_fields(value, known, elsewhere, &pointer)?,
        }
        if errors.len() >= 20 {
            break;
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(InvalidSettings::Fields(errors))
    }
}

fn not_an_object(pointer: &str) -> InvalidSettings {
    InvalidSettings::Fields(vec![FieldError::new(pointer, "must be a JSON object")])
}

fn shown(pointer: &str) -> String {
    pointer
        .chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect()
}

impl From<InvalidSettings> for Problem {
    fn from(invalid: InvalidSettings) -> Self {
        match invalid {
            InvalidSettings::Fields(errors) => Self::invalid(errors),
            InvalidSettings::TooWide(errors) => errors
                .into_iter()
                .fold(Self::new(Slug::AllowlistTooWide), |problem, error| {
                    problem.field(error.pointer, error.detail)
                }),
            InvalidSettings::Plan => Self::new(Slug::PlanRequired)
                .field("/kba/enabled", "needs the plan business or enterprise"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Locale;
    use proptest::prelude::*;
    use serde_json::json;

    const BUSINESS: Terms = Terms {
        plan: Plan::Business,
        local: false,
    };
    const STARTER: Terms = Terms {
        plan: Plan::Starter,
        local: false,
    };

    /// JSON in which the names of settings are likely.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!("10.0.0.0/24")),
            Just(json!("https://a.example"))
        ];
        let name = prop_oneof![
            Just("second_factor"),
            Just("methods"),
            Just("sms"),
            Just("email"),
            Just("kba"),
            Just("max_attempts"),
            Just("ip_allowlist"),
            Just("origins"),
            Just("sso"),
            Just("locale"),
            Just("x")
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_is_taken_whole_or_refused_whole(patch in any_json()) {
            if let Ok((set, settings)) = Overrides::default().patched(&patch, BUSINESS) {
                prop_assert_eq!(set.settings().unwrap(), settings.clone());
                // What was taken is taken again, and changes nothing more.
                prop_assert_eq!(set.patched(&patch, BUSINESS).unwrap(), (set, settings));
            }
        }
    }

    fn patch(patch: &Value) -> Result<Settings, InvalidSettings> {
        Overrides::default()
            .patched(patch, BUSINESS)
            .map(|(_, settings)| settings)
    }

    fn refused(patched: &Value) -> (String, String) {
        match patch(patched) {
            Err(InvalidSettings::Fields(errors)) => {
                (errors[0].pointer.clone(), errors[0].detail.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_issuer_is_public_and_spoken_to_by_https_unless_it_is_this_machine() {
        let on_this_machine = Terms {
            local: true,
            ..BUSINESS
        };
        for address in [
            "http://id.example",
            "http://127.0.0.1:9000",
            "https://127.0.0.1",
            "https://10.0.0.7",
            "https://[::1]",
        ] {
            for name in ["issuer", "jwks_uri"] {
                let mut sso = json!({"issuer": "https://id.example", "audience": "portal", "jwks_uri": "https://id.example/keys"});
                sso[name] = json!(address);
                let sso = json!({ "sso": sso });
                assert_eq!(refused(&sso).0, format!("/sso/{name}"), "{address}");
                assert!(
                    Overrides::default().patched(&sso, on_this_machine).is_ok(),
                    "{address}"
                );
            }
        }
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(
            Overrides::default().settings().unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_it_back() {
        let (set, settings) = Overrides::default()
            .patched(
                &json!({"second_factor": {"methods": {"email": true}}, "locale": "fr"}),
                STARTER,
            )
            .unwrap();
        assert!(settings.second_factor.methods.email && settings.second_factor.methods.sms);
        assert_eq!(settings.locale, Locale::Fr);
        let (back, settings) = set
            .patched(&json!({"second_factor": null, "locale": null}), STARTER)
            .unwrap();
        assert_eq!(
            (back, settings),
            (Overrides::default(), Settings::default())
        );
    }

    #[test]
    fn no_limit_of_attempts_is_a_value_of_its_own() {
        assert_eq!(
            patch(&json!({"kba": {"max_attempts": null}}))
                .unwrap()
                .kba
                .max_attempts,
            None
        );
        assert_eq!(Settings::default().kba.max_attempts, Some(3));
    }

    #[test]
    fn each_value_tells_its_source() {
        let (set, _) = Overrides::default()
            .patched(&json!({"kba": {"max_attempts": null}}), STARTER)
            .unwrap();
        let source = set.effective().unwrap().source;
        assert_eq!(source["/kba/max_attempts"], "account");
        assert_eq!(source["/kba/enabled"], "default");
        assert_eq!(source["/sso"], "default");
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(refused(&json!([])).0, "");
        assert_eq!(
            refused(&json!({"colour": null})),
            ("/colour".into(), "is not a setting".into())
        );
        assert_eq!(
            refused(&json!({"kba": {"max_attempts": 11}})).0,
            "/kba/max_attempts"
        );
        assert_eq!(
            refused(&json!({"kba": {"max_attempts": 1.5}})).0,
            "/kba/max_attempts"
        );
        assert_eq!(
            refused(&json!({"contacts": [7]})),
            ("/contacts/0".into(), "must be a string".into())
        );
        assert_eq!(
            refused(&json!({"sso": {"issuer": "https://id.example", "audience": "a"}})),
            ("/sso/jwks_uri".into(), "is missing".into())
        );
        assert_eq!(
            refused(&json!({"sso": {"secret": "x"}})),
            (
                "/sso/secret".into(),
                "is not a field of this request".into()
            )
        );
        assert_eq!(
            refused(&json!({"kba": 3})),
            ("/kba".into(), "must be a JSON object".into())
        );
        assert_eq!(
            refused(&json!({"origins": ["https://a.example/x"]})).0,
            "/origins/0"
        );
        assert_eq!(
            refused(&json!({"origins": ["https://a.example", "https://a.example"]})).0,
            "/origins/1"
        );
        assert_eq!(
            refused(&json!({"links": {"redirect_uris": ["http://portal.example/"]}})).0,
            "/links/redirect_uris/0"
        );
        assert_eq!(
            refused(&json!({"ip_allowlist": ["10.0.0.1/24"]})).0,
            "/ip_allowlist/0"
        );
        assert_eq!(refused(&json!({"contacts": ["nobody"]})).0, "/contacts/0");
        let none = json!({"second_factor": {"methods": {"sms": false, "totp": false}}});
        assert_eq!(refused(&none).0, "/second_factor/methods");
        assert!(matches!(
            patch(&json!({"ip_allowlist": ["10.0.0.0/8"]})),
            Err(InvalidSettings::TooWide(_))
        ));
        let kba = json!({"kba": {"enabled": true}});
        assert_eq!(
            Overrides::default().patched(&kba, STARTER).unwrap_err(),
            InvalidSettings::Plan
        );
        assert!(patch(&kba).is_ok());
    }
}
