//! Provokes a route's refusals, and keeps what was answered.

use std::collections::{BTreeMap, BTreeSet};

use local::{Mode, Service};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::web::http::routes::{ANYWHERE, Authorisation, Function, ROUTES};
use shared::web::http::{Operation, Route, Slug};
use tests::{OPERATOR, World};

/// What no test can provoke over HTTP, and why.
const OUT_OF_REACH: &[(Operation, Slug, &str)] = &[(
    Operation::PatchMe,
    Slug::Forbidden,
    "a recipient's token is refused where it is read, before the route is looked at: that is seen of the route beside it",
)];

/// The headers that belong to a refusal. The others are the same for all, and asserted.
const TELLING: [&str; 6] = [
    "allow",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "etag",
];

/// More calls than any route makes, retries included.
pub const ALL: u32 = 10_000;

fn route(operation: Operation) -> &'static Route {
    ROUTES
        .iter()
        .find(|route| route.operation == operation)
        .unwrap()
}

/// Functions that ask DynamoDB nothing: they cannot be short of it.
fn is_alone(function: Function) -> bool {
    matches!(function, Function::Documents | Function::Pages)
}

/// What a route may refuse with.
pub fn declared(route: &Route) -> BTreeSet<Slug> {
    [route.refusals, route.body_refusals(), ANYWHERE]
        .concat()
        .into_iter()
        .collect()
}

/// What a route has to be seen to refuse with. A fault of ours is nothing that a request could
/// bring about.
fn owed(route: &Route) -> BTreeSet<Slug> {
    let mut owed = declared(route);
    owed.remove(&Slug::InternalError);
    if is_alone(route.function) {
        owed.remove(&Slug::ServiceUnavailable);
    }
    for (operation, slug, _) in OUT_OF_REACH {
        if *operation == route.operation {
            assert!(
                owed.remove(slug),
                "{} does not declare {}",
                route.key(),
                slug.name()
            );
        }
    }
    owed
}

/// A world, and the refusals that were seen in it.
pub struct Walk {
    pub world: World,
    /// The access token of somebody who is signed in.
    pub token: String,
    /// The `Idempotency-Key` that requests carry, if any.
    pub key: Option<&'static str>,
    seen: BTreeSet<(String, Slug)>,
    told: Vec<Value>,
    schema: Schema,
}

/// What the OpenAPI document says that a problem has, and that a route's refusals have.
struct Schema {
    problem: Value,
    error: Value,
    paths: Value,
}

impl Schema {
    async fn of(world: &World) -> Self {
        let document = world.get("/openapi.json").await.expect(200).body;
        let properties = |name: &str| document["components"]["schemas"][name]["properties"].clone();
        Self {
            problem: properties("Problem"),
            error: properties("FieldError"),
            paths: document["paths"].clone(),
        }
    }

    /// Asserts that the headers of a refusal are told of.
    fn knows_headers(&self, headers: &BTreeMap<&str, &str>, status: u16, route: &Route) {
        let told = &self.paths[route.path][route.method.to_lowercase()]["responses"]
            [status.to_string()]["headers"];
        let names: BTreeSet<String> = told
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.to_lowercase())
            .collect();
        for name in headers.keys() {
            assert!(
                names.contains(*name),
                "{}: nothing tells of {name} of a {status}",
                route.key()
            );
        }
    }

    /// Asserts that every member of a problem is told of, and that every pointer is one (RFC 6901).
    fn knows(&self, problem: &Value, route: &Route) {
        let told = |members: &Value, properties: &Value| {
            for name in members.as_object().unwrap().keys() {
                assert!(
                    properties[name].is_object(),
                    "{}: nothing tells of {name}: {problem}",
                    route.key()
                );
            }
        };
        told(problem, &self.problem);
        for error in problem["errors"].as_array().into_iter().flatten() {
            told(error, &self.error);
            let pointer = error["pointer"].as_str().unwrap();
            assert!(
                pointer.is_empty() || pointer.starts_with('/'),
                "{}: {problem}",
                route.key()
            );
        }
    }
}

impl Walk {
    pub async fn new() -> Self {
        let world = World::new().await;
        let schema = Schema::of(&world).await;
        Self {
            world,
            token: String::new(),
            key: None,
            seen: BTreeSet::new(),
            told: Vec::new(),
            schema,
        }
    }

    /// A request to a route by nobody. `path` is its path with the parameters filled in, and the
    /// query.
    pub fn anonymous(&self, operation: Operation, path: &str) -> RequestBuilder {
        let request = self
            .world
            .request(route(operation).method.parse().unwrap(), path);
        self.key.into_iter().fold(request, |request, key| {
            request.header("idempotency-key", key)
        })
    }

    /// A request to a route by somebody who may.
    pub fn ask(&self, operation: Operation, path: &str) -> RequestBuilder {
        let request = self.anonymous(operation, path);
        match route(operation).authorisation {
            Authorisation::Operator => request.bearer_auth(OPERATOR),
            Authorisation::Scope(_) | Authorisation::ScopeOrLink(_) => {
                request.bearer_auth(&self.world.key)
            }
            Authorisation::AccessToken | Authorisation::AccessTokenOrProof => {
                request.bearer_auth(&self.token)
            }
            Authorisation::Public
            | Authorisation::Proof
            | Authorisation::Challenge
            | Authorisation::Signature => request,
        }
    }

    /// Sends a request that has to be refused so.
    pub async fn refuses(&mut self, operation: Operation, slug: Slug, request: RequestBuilder) {
        let answer = self.world.send(request).await;
        let route = route(operation);
        assert_eq!(
            (answer.status, answer.slug()),
            (slug.status(), slug.name()),
            "{}: {}",
            route.key(),
            answer.body
        );
        assert!(
            declared(route).contains(&slug),
            "{} does not declare {}",
            route.key(),
            slug.name()
        );
        let header = |name| answer.header(name).unwrap_or_default();
        assert_eq!(
            (header("content-type"), header("cache-control")),
            ("application/problem+json", "no-store")
        );
        assert_eq!(answer.body["instance"], header("apigw-requestid"));
        self.schema.knows(&answer.body, route);
        let mut body = answer.body.clone();
        body["instance"] = json!("[request]");
        let headers: BTreeMap<&str, &str> = TELLING
            .into_iter()
            .filter_map(|name| Some((name, answer.header(name)?)))
            .collect();
        self.schema.knows_headers(&headers, answer.status, route);
        self.seen.insert((route.key(), slug));
        self.told.push(json!({"route": route.key(), "status": answer.status, "headers": headers, "body": body}));
    }

    /// The same, for a request of somebody who may, with this body.
    pub async fn refuses_body(
        &mut self,
        operation: Operation,
        slug: Slug,
        path: &str,
        body: Value,
    ) {
        self.refuses(operation, slug, self.ask(operation, path).json(&body))
            .await;
    }

    pub fn fail(&self, service: Service, mode: Mode, after: u32) {
        self.world.stack.faults().set(service, mode, after, ALL);
    }

    pub fn mend(&self) {
        self.world.stack.faults().clear();
    }

    /// What every route refuses that asks the table something.
    pub async fn refuses_without_a_table(
        &mut self,
        operation: Operation,
        path: &str,
        body: Option<&Value>,
    ) {
        self.fail(Service::Dynamodb, Mode::Refused, 0);
        self.refuses(
            operation,
            Slug::ServiceUnavailable,
            with(self.ask(operation, path), body),
        )
        .await;
        self.mend();
    }

    /// What every route with a body refuses.
    pub async fn refuses_bodies(&mut self, operation: Operation, path: &str) {
        let ask = |walk: &Self, content_type: &str, body: &str| {
            walk.ask(operation, path)
                .header("content-type", content_type)
                .body(body.to_owned())
        };
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
        self.refuses(
            operation,
            Slug::PayloadTooLarge,
            ask(self, "application/json", &large),
        )
        .await;
        self.refuses(
            operation,
            Slug::UnsupportedMediaType,
            ask(self, "text/plain", "{}"),
        )
        .await;
        for body in ["{\"colour\":1}", "{\"name\":", "[]"] {
            self.refuses(
                operation,
                Slug::InvalidRequest,
                ask(self, "application/json", body),
            )
            .await;
        }
    }

    /// What every route refuses that takes an API key: no key, one without the scope, an unknown
    /// parameter, and no table.
    pub async fn refuses_keys(&mut self, operation: Operation, path: &str, body: Option<Value>) {
        let weak = self.weak_key().await;
        self.refuses(
            operation,
            Slug::Unauthorized,
            with(self.anonymous(operation, path), body.as_ref()),
        )
        .await;
        self.refuses(
            operation,
            Slug::Forbidden,
            with(
                self.anonymous(operation, path).bearer_auth(weak),
                body.as_ref(),
            ),
        )
        .await;
        let separator = if path.contains('?') { '&' } else { '?' };
        let odd = self.ask(operation, &format!("{path}{separator}colour=red"));
        self.refuses(operation, Slug::InvalidRequest, with(odd, body.as_ref()))
            .await;
        self.refuses_without_a_table(operation, path, body.as_ref())
            .await;
        self.refuses_what_is_sent(operation, path).await;
    }

    /// What a route refuses because of its body alone, one that it takes or one that it takes none
    /// of.
    pub async fn refuses_what_is_sent(&mut self, operation: Operation, path: &str) {
        if route(operation).has_body() {
            self.refuses_bodies(operation, path).await;
        } else {
            for large in [
                " ".repeat(64 * 1024 + 1),
                format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024)),
            ] {
                self.refuses(
                    operation,
                    Slug::PayloadTooLarge,
                    self.ask(operation, path).body(large),
                )
                .await;
            }
        }
    }

    /// What a route refuses whose object others keep changing.
    pub async fn refuses_contention(
        &mut self,
        operation: Operation,
        path: &str,
        body: Option<Value>,
    ) {
        self.fail(Service::Dynamodb, Mode::Conflict, 0);
        self.refuses(
            operation,
            Slug::Conflict,
            with(self.ask(operation, path), body.as_ref()),
        )
        .await;
        self.mend();
    }

    pub async fn weak_key(&self) -> String {
        let path = format!("/v1/accounts/{}/api-keys", self.world.account);
        let body = json!({"name": "weak", "scopes": ["quota:read"]});
        self.world
            .operator(Method::POST, &path, Some(body))
            .await
            .expect(201)
            .text("key")
    }

    /// Asserts that all of a function's refusals were seen, and tells them.
    fn told(self, function: Function) -> Vec<Value> {
        for route in ROUTES.iter().filter(|route| route.function == function) {
            let seen = self
                .seen
                .iter()
                .filter(|(key, _)| *key == route.key())
                .map(|(_, slug)| *slug)
                .collect();
            let missing: Vec<&str> = owed(route)
                .difference(&seen)
                .map(|slug| slug.name())
                .collect();
            assert!(
                missing.is_empty(),
                "{} was not seen to refuse with {missing:?}",
                route.key()
            );
        }
        self.told
    }
}

pub fn with(request: RequestBuilder, body: Option<&Value>) -> RequestBuilder {
    body.into_iter().fold(request, RequestBuilder::json)
}

/// Holds what was told against the snapshot of the function.
pub fn snapshot(walk: Walk, function: Function) {
    let told = walk.told(function);
    insta::with_settings!({sort_maps => true, omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!(format!("problems-{}", function.name()), told);
    });
}
