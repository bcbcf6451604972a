//! An account's settings: the defaults, what the account has set over them, and the rules that a change is held to as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Host, Url};
use utoipa::ToSchema;

use super::Plan;
use super::allowlist::{self, BadNetwork};
use crate::http::FieldError;
use crate::user::contact;

/// The most networks of an allowlist.
const NETWORKS_MAX: usize = 150;
/// The most origins: each is an item that the same transaction writes.
pub const ORIGINS_MAX: usize = 20;
/// The most redirect URIs, and the most contacts.
const LIST_MAX: usize = 20;
/// The longest URI taken. With the lists' lengths it keeps the account's item, which every sign-in reads, small.
const URI_MAX: usize = 512;

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// When a second factor is asked for, and which there are.
    pub second_factor: SecondFactor,
    /// Networks (CIDR) from which internal users need no second factor: at most 150, no wider than /16 or /32.
    #[schema(example = json!(["203.0.113.0/24"]))]
    pub ip_allowlist: Vec<String>,
    /// The issuer of ID tokens that are taken for a password.
    pub sso: Option<Sso>,
    /// Knowledge-based authentication.
    pub kba: Kba,
    /// Web origins whose pages may read answers (CORS); the first is named in texts. At most 20.
    #[schema(example = json!(["https://portal.example"]))]
    pub origins: Vec<String>,
    /// One-time links.
    pub links: Links,
    /// The quota of prepaid transactions.
    pub quota: Quota,
    /// Mail addresses that are told of the account's affairs.
    pub contacts: Vec<String>,
    /// The language of messages, where the user has none.
    pub locale: Locale,
}

/// When a second factor is asked for, and which there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// Whether internal users need one outside the allowlist. External users always do.
    pub internal_required: bool,
    /// Which may be used. At least one stays on.
    pub methods: Methods,
}

/// Which second factors may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Methods {
    /// A code by SMS.
    pub sms: bool,
    /// An authenticator app.
    pub totp: bool,
    /// A code by e-mail: weaker than the others, and off unless the account wants it.
    pub email: bool,
}

/// The issuer of ID tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sso {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

/// Knowledge-based authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kba {
    /// Whether senders may choose it. Needs plan `business` or `enterprise`.
    pub enabled: bool,
    /// After so many failures the agreement is cancelled: 1 to 10, or null for no limit.
    pub max_attempts: Option<u8>,
    /// Whether the sender has to give the recipient's name.
    pub require_recipient_name: bool,
    /// Whether viewing a completed agreement asks again.
    pub on_view_after_signing: bool,
    /// How many questions are asked.
    pub difficulty: Difficulty,
}

/// How many questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// Three questions.
    Default,
    /// Four questions.
    Hard,
}

/// One-time links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Where a link may lead to.
    pub redirect_uris: Vec<String>,
}

/// The quota of prepaid transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Below so many the contacts are told.
    pub low_balance: u32,
}

/// A language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "ISO 639-1")]
pub enum Locale {
    En,
    Fr,
    De,
    Es,
    It,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            second_factor: SecondFactor { internal_required: true, methods: Methods { sms: true, totp: true, email: false } },
            ip_allowlist: Vec::new(),
            sso: None,
            kba: Kba {
                enabled: false,
                max_attempts: Some(3),
                require_recipient_name: false,
                on_view_after_signing: false,
                difficulty: Difficulty::Default,
            },
            origins: Vec::new(),
            links: Links { redirect_uris: Vec::new() },
            quota: Quota { low_balance: 10 },
            contacts: Vec::new(),
            locale: Locale::En,
        }
    }
}

/// What was set over the defaults: a part of the document, as it was set.
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

/// Why a change is refused. Nothing of it is written.
#[derive(Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Fields that are not what they have to be.
    Fields(Vec<FieldError>),
    /// Networks that cover too much.
    TooWide(Vec<FieldError>),
    /// The plan does not include what was switched on.
    Plan,
}

impl Overrides {
    /// The settings that come of these over the defaults.
    pub fn settings(&self) -> Result<Settings, Invalid> {
        let mut document = defaults();
        overlay(&mut document, &Value::Object(self.0.clone()));
        serde_path_to_error::deserialize(document).map_err(|error| {
            let pointer = error.path().iter().fold(String::new(), |pointer, segment| pointer + "/" + &segment.to_string());
            Invalid::Fields(vec![FieldError::new(pointer, error.inner().to_string())])
        })
    }

    /// The settings in force, each with its source.
    pub fn effective(&self) -> Result<Effective, Invalid> {
        let value = self.settings()?;
        let mut source = BTreeMap::new();
        name_sources(&defaults(), Some(&Value::Object(self.0.clone())), "", &mut source);
        Ok(Effective { value, source })
    }

    /// What comes of a JSON Merge Patch, held against every rule as a whole.
    ///
    /// `null` takes a setting back to its default, except where null is itself a value: `kba.max_attempts` without a limit.
    pub fn patched(&self, patch: &Value, plan: Plan) -> Result<(Self, Settings), Invalid> {
        known_fields(patch, &defaults(), "")?;
        let mut document = Value::Object(self.0.clone());
        json_patch::merge(&mut document, patch);
        if patch.pointer("/kba/max_attempts") == Some(&Value::Null) {
            overlay(&mut document, &serde_json::json!({"kba": {"max_attempts": null}}));
        }
        let Value::Object(map) = document else { return Err(not_an_object("")) };
        let patched = Self(map);
        let settings = patched.settings().map_err(plain_words)?;
        settings.check()?;
        // Only switching it on needs the plan: an account that was downgraded can still change the rest.
        let switched_on = settings.kba.enabled && !self.settings()?.kba.enabled;
        if switched_on && !plan.includes_kba() { Err(Invalid::Plan) } else { Ok((patched, settings)) }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Invalid> {
        let mut errors = Vec::new();
        let methods = self.second_factor.methods;
        if !(methods.sms || methods.totp || methods.email) {
            errors.push(FieldError::new("/second_factor/methods", "at least one method stays on"));
        }
        if self.kba.max_attempts.is_some_and(|attempts| !(1..=10).contains(&attempts)) {
            errors.push(FieldError::new("/kba/max_attempts", "must be 1 to 10, or null for no limit"));
        }
        if self.quota.low_balance > 1_000_000 {
            errors.push(FieldError::new("/quota/low_balance", "must be at most 1000000"));
        }
        each("/origins", &self.origins, ORIGINS_MAX, &mut errors, |text| {
            is_origin(text).then_some(()).ok_or("must be a web origin such as https://portal.example, without a path")
        });
        each("/links/redirect_uris", &self.links.redirect_uris, LIST_MAX, &mut errors, |text| {
            is_redirect_uri(text)
                .then_some(())
                .ok_or("must be an absolute https address without a fragment; http only on this machine")
        });
        each("/contacts", &self.contacts, LIST_MAX, &mut errors, |text| {
            contact::email(text).map(|_| ()).map_err(|_| "must be a mail address")
        });
        if let Some(sso) = &self.sso {
            sso.check(&mut errors);
        }
        let too_wide = self.check_allowlist(&mut errors);
        if !errors.is_empty() {
            return Err(Invalid::Fields(errors));
        }
        if !too_wide.is_empty() {
            return Err(Invalid::TooWide(too_wide));
        }
        Ok(())
    }

    fn check_allowlist(&self, errors: &mut Vec<FieldError>) -> Vec<FieldError> {
        let mut too_wide = Vec::new();
        each("/ip_allowlist", &self.ip_allowlist, NETWORKS_MAX, errors, |_| Ok(()));
        for (index, text) in self.ip_allowlist.iter().enumerate() {
            let field = |detail| FieldError::new(format!("/ip_allowlist/{index}"), detail);
            match allowlist::network(text) {
                Ok(_) => {}
                Err(BadNetwork::Malformed) => errors.push(field("must be an IPv4 or IPv6 network in CIDR notation")),
                Err(BadNetwork::HostBits) => errors.push(field("has bits set behind its prefix")),
                Err(BadNetwork::TooWide) => too_wide.push(field("is wider than /16 (IPv4) or /32 (IPv6)")),
            }
        }
        too_wide
    }
}

impl Sso {
    fn check(&self, errors: &mut Vec<FieldError>) {
        for (name, text) in [("issuer", &self.issuer), ("jwks_uri", &self.jwks_uri)] {
            if !is_redirect_uri(text) {
                errors.push(FieldError::new(format!("/sso/{name}"), "must be an https address; http only on this machine"));
            }
        }
        if self.audience.is_empty() || self.audience.len() > 255 {
            errors.push(FieldError::new("/sso/audience", "must have 1 to 255 characters"));
        }
    }
}

/// Holds every entry of a list against a rule, and the list against its length and against repetition.
fn each(
    pointer: &str,
    list: &[String],
    most: usize,
    errors: &mut Vec<FieldError>,
    rule: impl Fn(&str) -> Result<(), &'static str>,
) {
    if list.len() > most {
        errors.push(FieldError::new(pointer, format!("has more than {most} entries")));
        return;
    }
    for (index, text) in list.iter().enumerate() {
        let repeated = list.iter().take(index).any(|earlier| earlier == text);
        let verdict = if repeated { Err("stands in the list already") } else { rule(text) };
        if let Err(detail) = verdict {
            errors.push(FieldError::new(format!("{pointer}/{index}"), detail));
        }
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    web && text.len() <= URI_MAX && url.origin().ascii_serialization() == text
}

fn is_redirect_uri(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    allowed && plain && url.host().is_some() && text.len() <= URI_MAX && !text.chars().any(char::is_whitespace)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    }
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

fn name_sources(default: &Value, set: Option<&Value>, pointer: &str, source: &mut BTreeMap<String, &'static str>) {
    match (default, set) {
        (Value::Object(members), set) if set.is_none_or(Value::is_object) => {
            for (name, member) in members {
                name_sources(member, set.and_then(|set| set.get(name)), &format!("{pointer}/{name}"), source);
            }
        }
        (_, set) => {
            source.insert(pointer.to_owned(), if set.is_some() { "account" } else { "default" });
        }
    }
}

/// Refuses members that no setting has, before anything is merged: a merge would drop an unknown member that is null.
fn known_fields(patch: &Value, known: &Value, pointer: &str) -> Result<(), Invalid> {
    let Value::Object(members) = patch else {
        let object_expected = pointer.is_empty() || (known.is_object() && !patch.is_null());
        return if object_expected { Err(not_an_object(pointer)) } else { Ok(()) };
    };
    let Value::Object(known) = known else { return Ok(()) };
    let mut errors = Vec::new();
    for (name, value) in members {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        match known.get(name) {
            None => errors.push(FieldError::new(shown(&pointer), "is not a setting")),
            Some(known) => known_fields(value, known, &pointer)?,
        }
        if errors.len() >= 20 {
            break;
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Invalid::Fields(errors)) }
}

fn not_an_object(pointer: &str) -> Invalid {
    Invalid::Fields(vec![FieldError::new(pointer, "must be a JSON object")])
}

fn shown(pointer: &str) -> String {
    pointer.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// serde's words, made ours; they may quote what was sent, and say no more than the type.
fn plain_words(invalid: Invalid) -> Invalid {
    let Invalid::Fields(errors) = invalid else { return invalid };
    let plain = |error: FieldError| {
        let expected = error
            .detail
            .split_once("expected ")
            .map(|(_, expected)| expected.replace('`', "\"").replace("string or map", "a string"));
        let detail = expected.map_or(error.detail, |expected| format!("must be {expected}"));
        FieldError { pointer: error.pointer, detail }
    };
    Invalid::Fields(errors.into_iter().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

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
            if let Ok((set, settings)) = Overrides::default().patched(&patch, Plan::Business) {
                prop_assert_eq!(set.settings().unwrap(), settings.clone());
                // What was taken is taken again, and changes nothing more.
                prop_assert_eq!(set.patched(&patch, Plan::Business).unwrap(), (set, settings));
            }
        }
    }

    fn patch(patch: &Value) -> Result<Settings, Invalid> {
        Overrides::default().patched(patch, Plan::Business).map(|(_, settings)| settings)
    }

    fn refused(patched: &Value) -> (String, String) {
        match patch(patched) {
            Err(Invalid::Fields(errors)) => (errors[0].pointer.clone(), errors[0].detail.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(Overrides::default().settings().unwrap(), Settings::default());
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_it_back() {
        let (set, settings) = Overrides::default()
            .patched(&json!({"second_factor": {"methods": {"email": true}}, "locale": "fr"}), Plan::Starter)
            .unwrap();
        assert!(settings.second_factor.methods.email && settings.second_factor.methods.sms);
        assert_eq!(settings.locale, Locale::Fr);
        let (back, settings) = set.patched(&json!({"second_factor": null, "locale": null}), Plan::Starter).unwrap();
        assert_eq!((back, settings), (Overrides::default(), Settings::default()));
    }

    #[test]
    fn no_limit_of_attempts_is_a_value_of_its_own() {
        assert_eq!(patch(&json!({"kba": {"max_attempts": null}})).unwrap().kba.max_attempts, None);
        assert_eq!(Settings::default().kba.max_attempts, Some(3));
    }

    #[test]
    fn each_value_tells_its_source() {
        let (set, _) = Overrides::default().patched(&json!({"kba": {"max_attempts": null}}), Plan::Starter).unwrap();
        let source = set.effective().unwrap().source;
        assert_eq!(source["/kba/max_attempts"], "account");
        assert_eq!(source["/kba/enabled"], "default");
        assert_eq!(source["/sso"], "default");
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(refused(&json!([])).0, "");
        assert_eq!(refused(&json!({"colour": null})), ("/colour".into(), "is not a setting".into()));
        assert_eq!(refused(&json!({"kba": {"max_attempts": 11}})).0, "/kba/max_attempts");
        assert_eq!(refused(&json!({"kba": {"max_attempts": 1.5}})).0, "/kba/max_attempts");
        assert_eq!(refused(&json!({"kba": 3})), ("/kba".into(), "must be a JSON object".into()));
        assert_eq!(refused(&json!({"origins": ["https://a.example/x"]})).0, "/origins/0");
        assert_eq!(refused(&json!({"origins": ["https://a.example", "https://a.example"]})).0, "/origins/1");
        assert_eq!(refused(&json!({"links": {"redirect_uris": ["http://portal.example/"]}})).0, "/links/redirect_uris/0");
        assert_eq!(refused(&json!({"ip_allowlist": ["10.0.0.1/24"]})).0, "/ip_allowlist/0");
        assert_eq!(refused(&json!({"contacts": ["nobody"]})).0, "/contacts/0");
        let none = json!({"second_factor": {"methods": {"sms": false, "totp": false}}});
        assert_eq!(refused(&none).0, "/second_factor/methods");
        assert!(matches!(patch(&json!({"ip_allowlist": ["10.0.0.0/8"]})), Err(Invalid::TooWide(_))));
        let kba = json!({"kba": {"enabled": true}});
        assert_eq!(Overrides::default().patched(&kba, Plan::Starter).unwrap_err(), Invalid::Plan);
        assert!(patch(&kba).is_ok());
    }
}
