//! Every route stands in four places, and they agree: the table of routes, the OpenAPI document,
//! the SAM template with its policies, and the handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use shared::web::http::routes::{Audit, Authorisation, ROUTES};
use tests::World;

const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
const OPENAPI: &str = include_str!("../../../functions/documents/openapi.json");

/// The template's resources, read from its YAML.
fn resources() -> BTreeMap<String, Value> {
    let template = untagged(yaml_serde::from_str(TEMPLATE).unwrap());
    serde_json::from_value(template["Resources"].clone()).unwrap()
}

/// The same as JSON, without CloudFormation's tags: `!Sub x` is `x`.
fn untagged(value: yaml_serde::Value) -> Value {
    use yaml_serde::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) => untagged(tagged.value),
        Yaml::Sequence(items) => items.into_iter().map(untagged).collect(),
        Yaml::Mapping(members) => members
            .into_iter()
            .map(|(name, value)| {
                (
                    name.as_str().unwrap_or_default().to_owned(),
                    untagged(value),
                )
            })
            .collect(),
        scalar => serde_json::to_value(scalar).unwrap(),
    }
}

/// The folder of a function's code.
fn folder(function: &Value) -> String {
    function["Properties"]["CodeUri"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}

fn functions() -> BTreeMap<String, Value> {
    let functions = resources()
        .into_values()
        .filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    functions
        .map(|function| (folder(&function), function))
        .collect()
}

fn events(function: &Value) -> Vec<(String, String)> {
    let events = function["Properties"]["Events"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let routes = events
        .into_values()
        .filter(|event| event["Type"] == "HttpApi");
    routes
        .map(|event| {
            let of = |name: &str| {
                event["Properties"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            (of("Method").to_uppercase(), of("Path"))
        })
        .collect()
}

/// The statements of a function's own policies.
fn statements(function: &Value) -> Vec<Value> {
    fn collect(value: &Value, found: &mut Vec<Value>) {
        match value {
            Value::Object(members) => match members.get("Statement") {
                Some(Value::Array(statements)) => found.extend(statements.iter().cloned()),
                _ => members.values().for_each(|value| collect(value, found)),
            },
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&function["Properties"]["Policies"], &mut found);
    found
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_route_is_an_event_of_its_function_and_every_event_a_route() {
    let mut declared: BTreeSet<(String, String, String)> = BTreeSet::new();
    for (folder, function) in functions() {
        declared.extend(
            events(&function)
                .into_iter()
                .map(|(method, path)| (folder.clone(), method, path)),
        );
    }
    let routed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| {
            (
                route.function.name().to_owned(),
                route.method.to_owned(),
                route.path.to_owned(),
            )
        })
        .collect();
    let rest: Vec<_> = declared.difference(&routed).collect();
    assert!(
        rest.iter()
            .all(|(folder, _, path)| folder == "documents"
                && (path == "$default" || path.is_empty())),
        "{rest:?}"
    );
    assert_eq!(rest.len(), 1, "what no route takes goes to documents");
    assert_eq!(
        routed.difference(&declared).collect::<Vec<_>>(),
        Vec::<&(String, String, String)>::new()
    );
}

#[test]
fn every_route_is_in_the_openapi_document_and_the_other_way_round() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        documented.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone())),
        );
    }
    let routed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(documented, routed);
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let secured = operation["security"].is_array();
        let open = matches!(
            route.authorisation,
            Authorisation::Public | Authorisation::Proof
        );
        assert_eq!(secured, !open, "{}", route.key());
    }
}

#[tokio::test]
async fn a_route_that_needs_a_key_or_a_token_refuses_who_has_none() {
    let world = World::new().await;
    for route in ROUTES {
        let path = route
            .path
            .replace("{account}", &world.account)
            .replace("{id}", "usr_00000000000000000000000000");
        let path = path
            .replace("{slug}", "not-found")
            .replace("{name}", "sign-in.css");
        let request = world.request(route.method.parse().unwrap(), &path);
        let request = if route.has_body() {
            request.json(&serde_json::json!({}))
        } else {
            request
        };
        let answer = world.send(request).await;
        match route.authorisation {
            Authorisation::Public => assert_eq!(answer.status, route.success, "{}", route.key()),
            Authorisation::Proof => assert_eq!(answer.status, 400, "{}", route.key()),
            Authorisation::Signature => assert_eq!(
                (answer.status, answer.slug()),
                (401, "signature-invalid"),
                "{}",
                route.key()
            ),
            // Whether its body is looked at before there is a token is its own affair.
            Authorisation::AccessTokenOrProof => {
                assert!([400, 401].contains(&answer.status), "{}", route.key());
            }
            Authorisation::Operator
            | Authorisation::Scope(_)
            | Authorisation::ScopeOrLink(_)
            | Authorisation::Challenge
            | Authorisation::AccessToken => {
                assert_eq!(
                    (answer.status, answer.slug()),
                    (401, "unauthorized"),
                    "{}",
                    route.key()
                );
            }
        }
    }
}

#[test]
fn every_function_has_the_statements_that_its_routes_need() {
    let functions = functions();
    for route in ROUTES {
        let statements = statements(&functions[route.function.name()]);
        let may = |action: &str, leading: &str| {
            statements.iter().any(|statement| {
                strings(&statement["Action"])
                    .iter()
                    .any(|allowed| allowed == action)
                    && strings(&statement["Condition"])
                        .iter()
                        .any(|key| key.starts_with(leading))
            })
        };
        if route.audit == Audit::WithEffect {
            assert!(
                may("dynamodb:PutItem", "AUDIT#"),
                "{} writes its audit",
                route.key()
            );
        }
        if matches!(
            route.authorisation,
            Authorisation::Scope(_) | Authorisation::ScopeOrLink(_) | Authorisation::Operator
        ) {
            assert!(
                may("dynamodb:BatchGetItem", "KEYS#") || may("dynamodb:GetItem", "KEYS#"),
                "{} reads its key",
                route.key()
            );
        }
    }
}

/// The sources of a function, without its tests' data.
fn sources(folder: &str) -> Vec<(String, String)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../functions")
        .join(folder)
        .join("src");
    let files = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// The local stack serves a function that holds no keys without any, so that every flow proves that
/// it needs none.
#[test]
fn who_uses_a_key_may_read_the_keyring_and_nobody_else() {
    let listed: BTreeMap<_, _> = ROUTES
        .iter()
        .map(|route| (route.function.name(), route.function.holds_keys()))
        .collect();
    for (folder, function) in functions() {
        // No route leads to the clean-up. It opens the links that it mails, as whoever owes a mail
        // with a link does.
        let cleans_up = folder == "expiry-cleanup";
        let holds = cleans_up || listed[folder.as_str()];
        let reads = statements(&function).into_iter().any(|statement| {
            strings(&statement["Action"])
                .iter()
                .any(|action| action == "secretsmanager:GetSecretValue")
                && strings(&statement["Resource"])
                    .iter()
                    .any(|resource| resource == "Keyring")
        });
        let is_told =
            function["Properties"]["Environment"]["Variables"]["KEYRING_SECRET_ID"].is_string();
        let sources = sources(&folder);
        let fetches = sources
            .iter()
            .any(|(file, text)| file == "main.rs" && text.contains("App::start("));
        let uses = sources.iter().any(|(_, text)| text.contains("keyring")) || cleans_up;
        assert_eq!(
            (reads, is_told, fetches, uses),
            (holds, holds, holds, holds),
            "{folder}"
        );
    }
}

#[test]
fn no_policy_grants_more_than_it_names() {
    for (folder, function) in functions() {
        let statements = statements(&function);
        if folder == "pages" {
            assert!(statements.is_empty(), "pages touches nothing");
            continue;
        }
        assert!(!statements.is_empty(), "{folder}");
        for statement in statements {
            let actions = strings(&statement["Action"]);
            assert!(
                actions.iter().all(|action| !action.contains('*')),
                "{folder}: {actions:?}"
            );
            assert!(
                !actions
                    .iter()
                    .any(|action| action == "dynamodb:Scan" || action == "dynamodb:DeleteTable"),
                "{folder}"
            );
            if actions.iter().any(|action| action.starts_with("dynamodb:")) {
                let keys = strings(
                    &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"],
                );
                assert!(
                    !keys.is_empty() && keys.iter().all(|key| key != "*"),
                    "{folder}: {statement}"
                );
            }
        }
    }
}

#[test]
fn the_table_of_the_template_is_the_one_that_the_tests_run_on() {
    use shared::store::dynamo::keys;
    let table = resources()
        .into_values()
        .find(|resource| resource["Type"] == "AWS::DynamoDB::Table")
        .unwrap();
    let properties = &table["Properties"];
    let schema = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["AttributeName"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(schema(&properties["KeySchema"]), [keys::PK, keys::SK]);
    let indexes: BTreeMap<String, Vec<String>> = properties["GlobalSecondaryIndexes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|index| {
            (
                index["IndexName"].as_str().unwrap().to_owned(),
                schema(&index["KeySchema"]),
            )
        })
        .collect();
    assert_eq!(indexes[keys::LISTING], [keys::LISTING_PK, keys::LISTING_SK]);
    assert_eq!(indexes[keys::DUE], [keys::DUE_PK, keys::DUE_SK]);
    assert_eq!(indexes.len(), 2);
    assert_eq!(
        properties["TimeToLiveSpecification"]["AttributeName"],
        keys::TTL
    );
    for on in [
        &properties["DeletionProtectionEnabled"],
        &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
    ] {
        assert_eq!(on, &Value::Bool(true));
    }
}

/// What the access log has of a request, as the template's format writes it: what a variable of API
/// Gateway has no value for is `-`.
fn logged(format: &str, values: &[(&str, &str)]) -> Value {
    let value = |variable: &str| {
        values
            .iter()
            .find(|(name, _)| *name == variable)
            .map_or("-", |(_, value)| value)
    };
    let (start, rest) = format.split_once("\"$context.").unwrap();
    let parts = rest
        .split("\"$context.")
        .map(|part| part.split_once('"').unwrap());
    let filled = parts.map(|(variable, rest)| format!("\"{}\"{rest}", value(variable)));
    serde_json::from_str(&(start.to_owned() + &filled.collect::<Vec<_>>().concat())).unwrap()
}

/// Whether a metric filter takes an entry: `{ (… || …) && … }` of `$.name = "text"`, where a text
/// may end in `*`.
fn takes(pattern: &str, entry: &Value) -> bool {
    let all = pattern
        .strip_prefix("{ ")
        .and_then(|rest| rest.strip_suffix(" }"))
        .unwrap();
    all.split(" && ").all(|any| {
        any.trim_matches(['(', ')']).split(" || ").any(|equal| {
            let (name, text) = equal.split_once(" = ").unwrap();
            let found = entry
                .pointer(&name.strip_prefix('$').unwrap().replace('.', "/"))
                .and_then(Value::as_str);
            let (found, text) = (
                found.unwrap_or_else(|| panic!("no entry has {name}")),
                text.trim_matches('"'),
            );
            text.strip_suffix('*')
                .map_or(found == text, |beginning| found.starts_with(beginning))
        })
    })
}

#[test]
fn sign_in_that_fails_or_is_turned_away_is_counted_and_wakes_somebody() {
    let resources = resources();
    let api = &resources["Api"]["Properties"];
    let format = api["AccessLogSettings"]["Format"].as_str().unwrap();
    let throttled: BTreeSet<&str> = api["RouteSettings"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for (name, alarm) in
        ["SignInTurnedAway", "SignInFails"].map(|name| (name, &resources[name]["Properties"]))
    {
        let filter = &resources[&format!("{name}Filter")]["Properties"];
        let metric = &filter["MetricTransformations"][0];
        assert_eq!(
            (&filter["LogGroupName"], &metric["MetricValue"]),
            (&Value::from("ApiLog"), &Value::from("1"))
        );
        assert_eq!(
            (&alarm["Namespace"], &alarm["MetricName"]),
            (&metric["MetricNamespace"], &metric["MetricName"])
        );
        assert_eq!(
            (&alarm["TreatMissingData"], &alarm["Statistic"]),
            (&Value::from("notBreaching"), &Value::from("Sum"))
        );
        let pattern = filter["FilterPattern"].as_str().unwrap();
        for route in ROUTES {
            let key = route.key();
            let counts = |status: &str, function: &str| {
                takes(
                    pattern,
                    &logged(
                        format,
                        &[
                            ("routeKey", &key),
                            ("status", status),
                            ("integrationStatus", function),
                        ],
                    ),
                )
            };
            let (watched, turned_away) =
                (throttled.contains(key.as_str()), name == "SignInTurnedAway");
            assert_eq!(
                counts("429", "-"),
                watched && turned_away,
                "{name}: the gateway's 429 of {key}"
            );
            assert_eq!(
                counts("503", "503"),
                watched && !turned_away,
                "{name}: a 503 of {key}"
            );
            assert_eq!(
                counts("500", "-"),
                watched && !turned_away,
                "{name}: {key} that was not answered"
            );
            assert!(
                !counts("429", "429") && !counts("401", "401") && !counts("200", "200"),
                "{name}: what {key} should answer"
            );
        }
    }
    let watched: BTreeSet<_> = ROUTES
        .iter()
        .map(shared::web::http::routes::Route::key)
        .collect();
    assert!(
        throttled.len() == 9 && throttled.iter().all(|key| watched.contains(*key)),
        "{throttled:?}"
    );
}

#[test]
fn the_tables_document_has_an_example_of_each_kind_of_item() {
    let document = include_str!("../../../infra/table.md");
    let (_, items) = document.split_once("### Now\n").unwrap();
    let (items, rest) = items.split_once("\n\n").unwrap();
    let noun = |key: &str| key.split('#').next().unwrap().to_owned();
    let keys = items
        .lines()
        .filter_map(|line| line.split(" | ").nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // `…#0` … `#7` is the end of one.
    let nouns: BTreeSet<String> = keys.filter(|key| !key.starts_with('#')).map(noun).collect();
    let (_, examples) = rest.split_once("```json\n").unwrap();
    let examples = serde_json::Deserializer::from_str(examples.split_once("```").unwrap().0)
        .into_iter::<Value>();
    let shown: Vec<_> = examples.map(Result::unwrap).collect();
    assert!(shown.iter().all(|item| item["sk"].is_string()));
    assert_eq!(
        shown
            .iter()
            .map(|item| noun(item["pk"].as_str().unwrap()))
            .collect::<BTreeSet<_>>(),
        nouns
    );
    assert!(shown.len() >= 32 && nouns.len() > 20, "{nouns:?}");
}
