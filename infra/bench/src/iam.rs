//! The policies of `infra/template.yaml`, enforced: no emulator does that. What a bootstrap asks of
//! DynamoDB passes here, and what its function's role does not allow is denied as AWS would deny
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use yaml_serde::Value as Yaml;

use crate::Fault;

const TEMPLATE: &str = include_str!("../../template.yaml");

/// What the walk cannot need: when two requests meet, the user is read anew where another was
/// faster, or the answer where the other was the same, and each part of the balance by itself where
/// somebody is always at one of them.
const OUT_OF_REACH: [&str; 5] = [
    "code-verify Read USER#*",
    "factors ReadAgain USER#*",
    "factors ReadAgain NAME#*",
    "factors ReadAgain IDEMPOTENCY#*",
    "quota Read BALANCE#*",
];

/// What one statement grants.
#[derive(Debug)]
struct Grant {
    name: String,
    actions: Vec<String>,
    /// The index, or none for the table itself.
    index: Option<String>,
    /// Beginnings of partition keys, with `*` at the end, or whole keys.
    keys: Vec<String>,
    /// The actions and keys that something has needed.
    used: BTreeSet<String>,
}

/// One thing that was asked for, of all these keys at once: one statement has to allow them
/// together.
#[derive(Debug)]
struct Need {
    action: String,
    index: Option<String>,
    keys: Vec<String>,
}

/// The guard between the bootstraps and DynamoDB.
#[derive(Clone)]
pub(crate) struct Guard {
    endpoint: String,
    inside: Arc<Inside>,
}

struct Inside {
    dynamodb: String,
    client: reqwest::Client,
    grants: Mutex<BTreeMap<String, Vec<Grant>>>,
    denied: Mutex<Vec<String>>,
}

impl Guard {
    /// Starts a guard before `dynamodb`.
    pub async fn start(dynamodb: String) -> Result<Self, Fault> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let inside = Inside {
            dynamodb,
            client: reqwest::Client::new(),
            grants: Mutex::new(grants(&template()?)?),
            denied: Mutex::default(),
        };
        let inside = Arc::new(inside);
        let router = Router::new()
            .route("/{function}/", post(pass))
            .route("/{function}", post(pass))
            .with_state(Arc::clone(&inside));
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { endpoint, inside })
    }

    /// The endpoint at which `function` finds DynamoDB.
    pub fn endpoint(&self, function: &str) -> String {
        format!("{}/{function}", self.endpoint)
    }

    /// What was denied.
    pub fn denied(&self) -> Vec<String> {
        lock(&self.inside.denied).clone()
    }

    /// What is granted and nothing has needed: actions and keys, by statement.
    pub fn unused(&self) -> Vec<String> {
        self.idle()
            .into_iter()
            .filter(|grant| !OUT_OF_REACH.contains(&grant.as_str()))
            .collect()
    }

    /// What is said to be out of reach, and was needed all the same, or is granted nowhere.
    pub fn within_reach(&self) -> Vec<String> {
        let idle = self.idle();
        OUT_OF_REACH
            .into_iter()
            .filter(|wanted| !idle.iter().any(|grant| grant == wanted))
            .map(str::to_owned)
            .collect()
    }

    fn idle(&self) -> Vec<String> {
        let grants = lock(&self.inside.grants);
        let statements = grants
            .iter()
            .flat_map(|(function, grants)| grants.iter().map(move |grant| (function, grant)));
        let idle = statements.flat_map(|(function, grant)| {
            let parts = grant
                .actions
                .iter()
                .chain(&grant.keys)
                .filter(|part| !grant.used.contains(*part));
            parts.map(move |part| format!("{function} {} {part}", grant.name))
        });
        idle.collect()
    }

    /// The functions of the template that were asked for nothing: of their policies nothing is
    /// known.
    pub fn not_driven(&self) -> Vec<String> {
        let grants = lock(&self.inside.grants);
        grants
            .iter()
            .filter(|(_, grants)| !is_used(grants))
            .map(|(function, _)| function.clone())
            .collect()
    }
}

impl Grant {
    /// Whether it allows `need` by itself; what of it was needed is kept.
    fn allows(&mut self, need: &Need) -> bool {
        let fits = self.index == need.index && self.actions.contains(&need.action);
        let Some(keys) = need
            .keys
            .iter()
            .map(|key| self.key_for(key))
            .collect::<Option<Vec<_>>>()
            .filter(|_| fits)
        else {
            return false;
        };
        self.used.extend(keys);
        self.used.insert(need.action.clone());
        true
    }

    /// Which of its keys `wanted` is one of.
    fn key_for(&self, wanted: &str) -> Option<String> {
        let covers = |key: &&String| {
            key.strip_suffix('*')
                .map_or(*key == wanted, |start| wanted.starts_with(start))
        };
        self.keys.iter().find(covers).cloned()
    }
}

fn is_used(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| !grant.used.is_empty())
}

async fn pass(
    State(inside): State<Arc<Inside>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let action = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok()?.split('.').next_back())
        .unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    for need in needs(action, &request) {
        if !inside.allows(&function, &need) {
            let text = format!(
                "{function} may not {} {:?} {}",
                need.action,
                need.index.unwrap_or_default(),
                need.keys.join(" ")
            );
            lock(&inside.denied).push(text);
            let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized"}"#;
            return (
                StatusCode::BAD_REQUEST,
                [("content-type", "application/x-amz-json-1.0")],
                denied,
            )
                .into_response();
        }
    }
    match inside.forward(headers, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Inside {
    fn allows(&self, function: &str, need: &Need) -> bool {
        let mut grants = lock(&self.grants);
        grants
            .get_mut(function)
            .into_iter()
            .flatten()
            .any(|grant| grant.allows(need))
    }

    /// The signature no longer fits the address; an engine of this machine does not check it.
    async fn forward(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, reqwest::Error> {
        headers.remove(HOST);
        let answer = self
            .client
            .post(&self.dynamodb)
            .headers(headers)
            .body(body)
            .send()
            .await?;
        let status =
            StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        Ok((
            status,
            [("content-type", "application/x-amz-json-1.0")],
            answer.bytes().await?,
        )
            .into_response())
    }
}

/// What IAM is asked for a request: for a transaction item by item, for a batch once for all its
/// keys.
fn needs(action: &str, request: &Value) -> Vec<Need> {
    let partition = |key: Option<&Value>| {
        key.and_then(|key| key.pointer("/pk/S"))
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let need = |action: &str, key: Option<&Value>| Need {
        action: format!("dynamodb:{action}"),
        index: None,
        keys: vec![partition(key)],
    };
    match action {
        "TransactWriteItems" => {
            let parts = request
                .get("TransactItems")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let parts = parts.filter_map(Value::as_object).flatten();
            parts
                .map(|(kind, part)| match kind.as_str() {
                    "Put" => need("PutItem", part.get("Item")),
                    "ConditionCheck" => need("ConditionCheckItem", part.get("Key")),
                    kind => need(&format!("{kind}Item"), part.get("Key")),
                })
                .collect()
        }
        "TransactGetItems" => {
            let parts = request
                .get("TransactItems")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            parts
                .map(|part| need("GetItem", part.pointer("/Get/Key")))
                .collect()
        }
        "BatchGetItem" => {
            let tables = request
                .get("RequestItems")
                .and_then(Value::as_object)
                .into_iter()
                .flatten();
            let keys = tables
                .filter_map(|(_, table)| table.get("Keys")?.as_array())
                .flatten();
            vec![Need {
                action: format!("dynamodb:{action}"),
                index: None,
                keys: keys.map(|key| partition(Some(key))).collect(),
            }]
        }
        "Query" => {
            let text = |name: &str| {
                request
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            // `#pk = :pk AND ...`: the partition's value is the first.
            let value = text("KeyConditionExpression")
                .split([' ', '='])
                .find(|word| word.starts_with(':'))
                .unwrap_or_default();
            let value = request
                .pointer(&format!("/ExpressionAttributeValues/{value}/S"))
                .and_then(Value::as_str)
                .unwrap_or("?");
            let index = request
                .get("IndexName")
                .and_then(Value::as_str)
                .map(str::to_owned);
            vec![Need {
                action: "dynamodb:Query".into(),
                index,
                keys: vec![value.to_owned()],
            }]
        }
        "PutItem" => vec![need(action, request.get("Item"))],
        _ => vec![need(action, request.get("Key"))],
    }
}

/// The template as JSON, without CloudFormation's tags: `!Sub x` is `x`.
fn template() -> Result<Value, Fault> {
    fn untagged(value: Yaml) -> Result<Value, Fault> {
        match value {
            Yaml::Tagged(tagged) => untagged(tagged.value),
            Yaml::Sequence(items) => items.into_iter().map(untagged).collect(),
            Yaml::Mapping(members) => {
                let member = |(name, value): (Yaml, Yaml)| {
                    Ok((
                        name.as_str().unwrap_or_default().to_owned(),
                        untagged(value)?,
                    ))
                };
                members.into_iter().map(member).collect()
            }
            scalar => Ok(serde_json::to_value(scalar)?),
        }
    }
    untagged(yaml_serde::from_str(TEMPLATE)?)
}

/// The grants on the table, by function.
fn grants(template: &Value) -> Result<BTreeMap<String, Vec<Grant>>, Fault> {
    let resources = template
        .get("Resources")
        .and_then(Value::as_object)
        .ok_or("the template has no resources")?;
    let functions = resources
        .values()
        .filter_map(|resource| resource.get("Properties"))
        .filter_map(|properties| {
            let folder = properties
                .get("CodeUri")?
                .as_str()?
                .split('/')
                .next_back()?;
            let statements = properties.pointer("/Policies/0/Statement")?.as_array()?;
            Some((
                folder.to_owned(),
                statements.iter().filter_map(grant).collect(),
            ))
        });
    Ok(functions.collect())
}

fn grant(statement: &Value) -> Option<Grant> {
    let strings = |value: &Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let keys = statement
        .get("Condition")?
        .get("ForAllValues:StringLike")?
        .get("dynamodb:LeadingKeys")?;
    let resource = statement.get("Resource")?.as_str()?;
    Some(Grant {
        name: statement.get("Sid")?.as_str()?.to_owned(),
        actions: strings(statement.get("Action")?),
        index: resource
            .split_once("/index/")
            .map(|(_, index)| index.to_owned()),
        keys: strings(keys),
        used: BTreeSet::new(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_template_grants_by_function() {
        let grants = grants(&template().unwrap()).unwrap();
        assert_eq!(
            grants.len(),
            crate::bootstraps::FUNCTIONS.len() - 1,
            "every function but pages"
        );
        assert!(grants.values().all(|grants| !grants.is_empty()));
        assert!(
            grants["users"]
                .iter()
                .any(|grant| grant.index.as_deref() == Some("listing"))
        );
    }

    #[test]
    fn a_transaction_is_asked_for_write_by_write() {
        let request = json!({ "TransactItems": [
            { "Put": { "Item": { "pk": { "S": "AUDIT#a" } } } }, { "Delete": { "Key": { "pk": { "S": "NAME#b" } } } },
        ] });
        let needs = needs("TransactWriteItems", &request);
        let asked: Vec<_> = needs
            .iter()
            .map(|need| (need.action.as_str(), need.keys.concat()))
            .collect();
        assert_eq!(
            asked,
            [
                ("dynamodb:PutItem", "AUDIT#a".into()),
                ("dynamodb:DeleteItem", "NAME#b".into())
            ]
        );
    }

    #[test]
    fn a_batch_is_allowed_by_one_statement_or_not_at_all() {
        let grant = |name: &str, keys: &[&str]| Grant {
            name: name.into(),
            actions: vec!["dynamodb:BatchGetItem".into()],
            index: None,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            used: BTreeSet::new(),
        };
        let key = |key: &str| json!({ "pk": { "S": key } });
        let request =
            json!({ "RequestItems": { "table": { "Keys": [key("USER#a"), key("ACCOUNT#b")] } } });
        let [need] = needs("BatchGetItem", &request).try_into().unwrap();
        assert_eq!(need.keys, ["USER#a", "ACCOUNT#b"]);
        let mut apart = [
            grant("Users", &["USER#*"]),
            grant("Accounts", &["ACCOUNT#*"]),
        ];
        assert!(!apart.iter_mut().any(|grant| grant.allows(&need)) && !is_used(&apart));
        let mut both = grant("Read", &["ACCOUNT#*", "USER#*", "NAME#*"]);
        assert!(both.allows(&need));
        assert_eq!(
            both.used.into_iter().collect::<Vec<_>>(),
            ["ACCOUNT#*", "USER#*", "dynamodb:BatchGetItem"]
        );
    }

    #[test]
    fn a_query_is_asked_for_by_its_partition() {
        let request = json!({
            "IndexName": "due", "KeyConditionExpression": "#shard = :shard AND #at <= :now",
            "ExpressionAttributeValues": { ":shard": { "S": "DUE#1" }, ":now": { "N": "1" } },
        });
        let [need] = needs("Query", &request).try_into().unwrap();
        assert_eq!(
            (need.index.as_deref(), need.keys),
            (Some("due"), vec!["DUE#1".to_owned()])
        );
    }
}
