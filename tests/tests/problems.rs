//! The errors of every route, as callers see them: each refusal that a route declares is provoked over HTTP, and what was answered
//! is held against a snapshot. A refusal that nothing provokes, and one that nobody declared, fail.

use std::collections::{BTreeMap, BTreeSet};

use local::{Mode, Service};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::http::routes::{ANYWHERE, Authorisation, Function, ROUTES};
use shared::http::{Operation, Route, Slug};
use tests::agreements::{agreement, links, open_last, person, recipient_path, send_with};
use tests::{OPERATOR, PASSWORD, Person, World, another, token_of};

/// What no test can provoke over HTTP, and why.
const OUT_OF_REACH: &[(Operation, Slug, &str)] = &[(
    Operation::PatchMe,
    Slug::Forbidden,
    "a recipient's token is refused where it is read, before the route is looked at: that is seen of the route beside it",
)];

/// The headers that belong to a refusal. The others are the same for all, and asserted.
const TELLING: [&str; 6] = ["allow", "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate", "etag"];

/// More calls than any route makes, retries included.
const ALL: u32 = 10_000;

fn route(operation: Operation) -> &'static Route {
    ROUTES.iter().find(|route| route.operation == operation).unwrap()
}

/// Functions that ask DynamoDB nothing: they cannot be short of it.
fn is_alone(function: Function) -> bool {
    matches!(function, Function::Documents | Function::Pages)
}

/// What a route may refuse with.
fn declared(route: &Route) -> BTreeSet<Slug> {
    [route.refusals, route.body_refusals(), ANYWHERE].concat().into_iter().collect()
}

/// What a route has to be seen to refuse with. A fault of ours is nothing that a request could bring about.
fn owed(route: &Route) -> BTreeSet<Slug> {
    let mut owed = declared(route);
    owed.remove(&Slug::InternalError);
    if is_alone(route.function) {
        owed.remove(&Slug::ServiceUnavailable);
    }
    for (operation, slug, _) in OUT_OF_REACH {
        if *operation == route.operation {
            assert!(owed.remove(slug), "{} does not declare {}", route.key(), slug.name());
        }
    }
    owed
}

/// A world, and the refusals that were seen in it.
struct Walk {
    world: World,
    /// The access token of somebody who is signed in.
    token: String,
    /// The `Idempotency-Key` that requests carry, if any.
    key: Option<&'static str>,
    seen: BTreeSet<(String, Slug)>,
    told: Vec<Value>,
    schema: Schema,
}

/// What the OpenAPI document says that a problem has.
struct Schema {
    problem: Value,
    error: Value,
}

impl Schema {
    async fn of(world: &World) -> Self {
        let document = world.get("/openapi.json").await.expect(200).body;
        let properties = |name: &str| document["components"]["schemas"][name]["properties"].clone();
        Self { problem: properties("Problem"), error: properties("FieldError") }
    }

    /// Asserts that every member of a problem is told of, and that every pointer is one (RFC 6901).
    fn knows(&self, problem: &Value, route: &Route) {
        let told = |members: &Value, properties: &Value| {
            for name in members.as_object().unwrap().keys() {
                assert!(properties[name].is_object(), "{}: nothing tells of {name}: {problem}", route.key());
            }
        };
        told(problem, &self.problem);
        for error in problem["errors"].as_array().into_iter().flatten() {
            told(error, &self.error);
            let pointer = error["pointer"].as_str().unwrap();
            assert!(pointer.is_empty() || pointer.starts_with('/'), "{}: {problem}", route.key());
        }
    }
}

impl Walk {
    async fn new() -> Self {
        let world = World::new().await;
        let schema = Schema::of(&world).await;
        Self { world, token: String::new(), key: None, seen: BTreeSet::new(), told: Vec::new(), schema }
    }

    /// A request to a route by nobody. `path` is its path with the parameters filled in, and the query.
    fn anonymous(&self, operation: Operation, path: &str) -> RequestBuilder {
        let request = self.world.request(route(operation).method.parse().unwrap(), path);
        self.key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))
    }

    /// A request to a route by somebody who may.
    fn ask(&self, operation: Operation, path: &str) -> RequestBuilder {
        let request = self.anonymous(operation, path);
        match route(operation).authorisation {
            Authorisation::Operator => request.bearer_auth(OPERATOR),
            Authorisation::Scope(_) => request.bearer_auth(&self.world.key),
            Authorisation::AccessToken | Authorisation::AccessTokenOrProof => request.bearer_auth(&self.token),
            Authorisation::Public | Authorisation::Proof | Authorisation::Challenge | Authorisation::Signature => request,
        }
    }

    /// Sends a request that has to be refused so.
    async fn refuses(&mut self, operation: Operation, slug: Slug, request: RequestBuilder) {
        let answer = self.world.send(request).await;
        let route = route(operation);
        assert_eq!((answer.status, answer.slug()), (slug.status(), slug.name()), "{}: {}", route.key(), answer.body);
        assert!(declared(route).contains(&slug), "{} does not declare {}", route.key(), slug.name());
        let header = |name| answer.header(name).unwrap_or_default();
        assert_eq!((header("content-type"), header("cache-control")), ("application/problem+json", "no-store"));
        assert_eq!(answer.body["instance"], header("apigw-requestid"));
        self.schema.knows(&answer.body, route);
        let mut body = answer.body.clone();
        body["instance"] = json!("[request]");
        let headers: BTreeMap<&str, &str> = TELLING.into_iter().filter_map(|name| Some((name, answer.header(name)?))).collect();
        self.seen.insert((route.key(), slug));
        self.told.push(json!({"route": route.key(), "status": answer.status, "headers": headers, "body": body}));
    }

    /// The same, for a request of somebody who may, with this body.
    async fn refuses_body(&mut self, operation: Operation, slug: Slug, path: &str, body: Value) {
        self.refuses(operation, slug, self.ask(operation, path).json(&body)).await;
    }

    fn fail(&self, service: Service, mode: Mode, after: u32) {
        self.world.stack.faults().set(service, mode, after, ALL);
    }

    fn mend(&self) {
        self.world.stack.faults().clear();
    }

    /// What every route refuses that asks the table something.
    async fn refuses_without_a_table(&mut self, operation: Operation, path: &str, body: Option<&Value>) {
        self.fail(Service::Dynamodb, Mode::Refused, 0);
        self.refuses(operation, Slug::ServiceUnavailable, with(self.ask(operation, path), body)).await;
        self.mend();
    }

    /// What every route with a body refuses.
    async fn refuses_bodies(&mut self, operation: Operation, path: &str) {
        let ask = |walk: &Self, content_type: &str, body: &str| {
            walk.ask(operation, path).header("content-type", content_type).body(body.to_owned())
        };
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
        self.refuses(operation, Slug::PayloadTooLarge, ask(self, "application/json", &large)).await;
        self.refuses(operation, Slug::UnsupportedMediaType, ask(self, "text/plain", "{}")).await;
        for body in ["{\"colour\":1}", "{\"name\":", "[]"] {
            self.refuses(operation, Slug::InvalidRequest, ask(self, "application/json", body)).await;
        }
    }

    /// What every route refuses that takes an API key: no key, one without the scope, an unknown parameter, and no table.
    async fn refuses_keys(&mut self, operation: Operation, path: &str, body: Option<Value>) {
        let weak = self.weak_key().await;
        self.refuses(operation, Slug::Unauthorized, with(self.anonymous(operation, path), body.as_ref())).await;
        self.refuses(operation, Slug::Forbidden, with(self.anonymous(operation, path).bearer_auth(weak), body.as_ref())).await;
        let separator = if path.contains('?') { '&' } else { '?' };
        let odd = self.ask(operation, &format!("{path}{separator}colour=red"));
        self.refuses(operation, Slug::InvalidRequest, with(odd, body.as_ref())).await;
        self.refuses_without_a_table(operation, path, body.as_ref()).await;
        self.refuses_what_is_sent(operation, path).await;
    }

    /// What a route refuses because of its body alone, one that it takes or one that it takes none of.
    async fn refuses_what_is_sent(&mut self, operation: Operation, path: &str) {
        if route(operation).has_body() {
            self.refuses_bodies(operation, path).await;
        } else {
            for large in [" ".repeat(64 * 1024 + 1), format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024))] {
                self.refuses(operation, Slug::PayloadTooLarge, self.ask(operation, path).body(large)).await;
            }
        }
    }

    /// What a route refuses whose object others keep changing.
    async fn refuses_contention(&mut self, operation: Operation, path: &str, body: Option<Value>) {
        self.fail(Service::Dynamodb, Mode::Conflict, 0);
        self.refuses(operation, Slug::Conflict, with(self.ask(operation, path), body.as_ref())).await;
        self.mend();
    }

    async fn weak_key(&self) -> String {
        let path = format!("/v1/accounts/{}/api-keys", self.world.account);
        let body = json!({"name": "weak", "scopes": ["quota:read"]});
        self.world.operator(Method::POST, &path, Some(body)).await.expect(201).text("key")
    }

    /// Asserts that all of a function's refusals were seen, and tells them.
    fn told(self, function: Function) -> Vec<Value> {
        for route in ROUTES.iter().filter(|route| route.function == function) {
            let seen = self.seen.iter().filter(|(key, _)| *key == route.key()).map(|(_, slug)| *slug).collect();
            let missing: Vec<&str> = owed(route).difference(&seen).map(|slug| slug.name()).collect();
            assert!(missing.is_empty(), "{} was not seen to refuse with {missing:?}", route.key());
        }
        self.told
    }
}

fn with(request: RequestBuilder, body: Option<&Value>) -> RequestBuilder {
    body.into_iter().fold(request, RequestBuilder::json)
}

/// Holds what was told against the snapshot of the function.
fn snapshot(walk: Walk, function: Function) {
    let told = walk.told(function);
    insta::with_settings!({sort_maps => true, omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!(format!("problems-{}", function.name()), told);
    });
}

const NO_ACCOUNT: &str = "acc_00000000000000000000000001";
const NO_USER: &str = "/v1/users/usr_00000000000000000000000001";
const NO_KEY: &str = "key_00000000000000000000000001";

#[tokio::test]
async fn the_errors_of_accounts_and_api_keys() {
    let mut walk = Walk::new().await;
    let create = Operation::CreateAccount;
    walk.refuses_keys(create, "/v1/accounts", Some(json!({"name": "A", "plan": "starter"}))).await;
    for body in [json!({"name": "", "plan": "starter"}), json!({"plan": "starter"}), json!({"name": "A", "plan": "gold"})] {
        walk.refuses_body(create, Slug::InvalidRequest, "/v1/accounts", body).await;
    }

    let (account, none) = (format!("/v1/accounts/{}", walk.world.account), format!("/v1/accounts/{NO_ACCOUNT}"));
    walk.refuses_keys(Operation::GetAccount, &account, None).await;
    walk.refuses(Operation::GetAccount, Slug::NotFound, walk.ask(Operation::GetAccount, &none)).await;

    let (patch, body) = (Operation::PatchAccount, json!({"name": "B"}));
    walk.refuses_keys(patch, &account, Some(body.clone())).await;
    walk.refuses_body(patch, Slug::NotFound, &none, body.clone()).await;
    walk.refuses_body(patch, Slug::InvalidRequest, &account, json!({"plan": null})).await;
    let stale = walk.ask(patch, &account).header("if-match", "\"7\"").json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, &account, Some(body)).await;

    let (keys, no_keys) = (format!("{account}/api-keys"), format!("{none}/api-keys"));
    let (create, body) = (Operation::CreateApiKey, json!({"name": "key", "scopes": ["audit:read"]}));
    walk.refuses_keys(create, &keys, Some(body.clone())).await;
    for scopes in [json!([]), json!(["operator"]), json!(["audit:read", "audit:read"]), json!(["everything"])] {
        walk.refuses_body(create, Slug::InvalidRequest, &keys, json!({"name": "key", "scopes": scopes})).await;
    }
    walk.refuses_body(create, Slug::NotFound, &no_keys, body.clone()).await;
    walk.refuses_contention(create, &keys, Some(body.clone())).await;

    walk.refuses_keys(Operation::ListApiKeys, &keys, None).await;
    walk.refuses(Operation::ListApiKeys, Slug::NotFound, walk.ask(Operation::ListApiKeys, &no_keys)).await;

    let delete = Operation::DeleteApiKey;
    let made = walk.world.operator(Method::POST, &keys, Some(body.clone())).await.expect(201).text("id");
    walk.refuses_keys(delete, &format!("{keys}/{made}"), None).await;
    walk.refuses(delete, Slug::NotFound, walk.ask(delete, &format!("{keys}/{NO_KEY}"))).await;
    walk.refuses_contention(delete, &format!("{keys}/{made}"), None).await;

    // The limit is another reason for the same refusal.
    while walk.world.operator(Method::POST, &keys, Some(body.clone())).await.status == 201 {}
    walk.refuses_body(create, Slug::Conflict, &keys, body).await;
    snapshot(walk, Function::Accounts);
}

async fn the_errors_of_groups(walk: &mut Walk, other: &str) {
    let (get, patch, path) = (Operation::GetGroupSettings, Operation::PatchGroupSettings, "/v1/groups/escrow/settings");
    let body = json!({"locale": "fr"});
    walk.refuses_keys(get, path, None).await;
    walk.refuses_keys(patch, path, Some(body.clone())).await;
    for wrong in [
        json!({"ip_allowlist": [], "second_factor": {"internal_required": false}, "colour": 1}),
        json!({"second_factor": {"methods": {"sms": false, "totp": false}}, "kba": {"max_attempts": 11}}),
    ] {
        walk.refuses_body(patch, Slug::InvalidRequest, path, wrong).await;
    }
    for unknown in ["/v1/groups/Escrow/settings".to_owned(), format!("{path}?account={other}")] {
        walk.refuses(get, Slug::NotFound, walk.ask(get, &unknown)).await;
        walk.refuses_body(patch, Slug::NotFound, &unknown, body.clone()).await;
    }
    walk.refuses(patch, Slug::PreconditionFailed, walk.ask(patch, path).header("if-match", "\"7\"").json(&body)).await;
    let (others, operator) = (format!("{path}?account={other}"), OPERATOR);
    let enabled = walk.anonymous(patch, &others).bearer_auth(operator).json(&json!({"kba": {"enabled": true}}));
    walk.refuses(patch, Slug::PlanRequired, enabled).await;
    walk.refuses_contention(patch, path, Some(body)).await;
}

#[tokio::test]
async fn the_errors_of_settings() {
    let mut walk = Walk::new().await;
    let (other, _) = walk.world.open_account("starter").await;
    let others = format!("/v1/settings?account={other}");
    walk.refuses_keys(Operation::GetSettings, "/v1/settings", None).await;
    walk.refuses(Operation::GetSettings, Slug::InvalidRequest, walk.ask(Operation::GetSettings, "/v1/settings?effective=1"))
        .await;
    walk.refuses(Operation::GetSettings, Slug::NotFound, walk.ask(Operation::GetSettings, &others)).await;

    the_errors_of_groups(&mut walk, &other).await;
    let (patch, path, body) = (Operation::PatchSettings, "/v1/settings", json!({"locale": "fr"}));
    walk.refuses_keys(patch, path, Some(body.clone())).await;
    for wrong in [
        json!({"second_factor": {"methods": {"sms": false, "totp": false}}}),
        json!({"kba": {"max_attempts": 11, "difficulty": "default"}, "contacts": ["nobody"], "origins": ["https://a.example/"]}),
        json!({"kba": {"max_attempts": -1}}),
        json!({"kba": {"difficulty": "impossible"}}),
        json!({"kba": {"enabled": "yes"}}),
        json!({"contacts": "desk@example.com"}),
        json!({"sso": {"issuer": "https://id.example"}}),
        json!({"ip_allowlist": ["10.0.0.1/24", "office"]}),
        json!({"ip_allowlist": (0..151).map(|number| format!("10.0.{number}.0/24")).collect::<Vec<_>>()}),
    ] {
        walk.refuses_body(patch, Slug::InvalidRequest, path, wrong).await;
    }
    walk.refuses_body(patch, Slug::AllowlistTooWide, path, json!({"ip_allowlist": ["10.0.0.0/16", "10.0.0.0/15", "::/0"]})).await;
    walk.refuses_body(patch, Slug::NotFound, &others, body.clone()).await;
    let stale = walk.ask(patch, path).header("if-match", "\"7\"").json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, path, Some(body)).await;
    let account = format!("/v1/accounts/{}", walk.world.account);
    let _ = walk.world.operator(Method::PATCH, &account, Some(json!({"plan": "starter"}))).await.expect(200);
    walk.refuses_body(patch, Slug::PlanRequired, path, json!({"kba": {"enabled": true}})).await;

    let (explain, path) = (Operation::ExplainAllowlist, "/v1/ip-allowlist/explain");
    walk.refuses_keys(explain, &format!("{path}?ip=127.0.0.1"), None).await;
    for query in ["", "?ip=office"] {
        walk.refuses(explain, Slug::InvalidRequest, walk.ask(explain, &format!("{path}{query}"))).await;
    }
    walk.refuses(explain, Slug::NotFound, walk.ask(explain, &format!("{path}?ip=127.0.0.1&account={other}"))).await;
    snapshot(walk, Function::Settings);
}

#[tokio::test]
async fn the_errors_of_users() {
    let mut walk = Walk::new().await;
    let ann = walk.world.user("ann", json!({})).await;
    let _ = walk.world.user("ben", json!({"sso_subject": "00u1"})).await;
    let (other, _) = walk.world.open_account("starter").await;
    let others = format!("/v1/users?account={other}");
    let (create, body) = (Operation::CreateUser, json!({"username": "new", "kind": "external"}));
    walk.refuses_keys(create, "/v1/users", Some(body.clone())).await;
    let wrong = json!({
        "username": "a b", "kind": "external", "password": "short", "email": "nobody", "phone": "12", "group": "-", "sso_subject": "",
    });
    for wrong in
        [wrong, json!({"username": "a", "kind": "robot"}), json!({"username": "a", "kind": "internal", "phone": "+99912345678"})]
    {
        walk.refuses_body(create, Slug::InvalidRequest, "/v1/users", wrong).await;
    }
    let own = walk.anonymous(create, "/v1/users").bearer_auth(OPERATOR).json(&body);
    walk.refuses(create, Slug::InvalidRequest, own).await;
    walk.refuses_body(create, Slug::NotFound, &others, body).await;
    walk.refuses_body(create, Slug::UsernameTaken, "/v1/users", json!({"username": "Ann", "kind": "internal"})).await;
    let taken = json!({"username": "cat", "kind": "internal", "sso_subject": "00u1"});
    walk.refuses_body(create, Slug::SsoSubjectTaken, "/v1/users", taken).await;

    let list = Operation::ListUsers;
    walk.refuses_keys(list, "/v1/users", None).await;
    walk.refuses(list, Slug::InvalidRequest, walk.ask(list, "/v1/users?cursor=forged")).await;
    walk.refuses(list, Slug::NotFound, walk.ask(list, &others)).await;

    let path = format!("/v1/users/{}", ann.id);
    walk.refuses_keys(Operation::GetUser, &path, None).await;
    walk.refuses(Operation::GetUser, Slug::NotFound, walk.ask(Operation::GetUser, NO_USER)).await;

    let (patch, body) = (Operation::PatchUser, json!({"group": "escrow"}));
    walk.refuses_keys(patch, &path, Some(body.clone())).await;
    walk.refuses_body(patch, Slug::InvalidRequest, &path, json!({"kind": null})).await;
    walk.refuses_body(patch, Slug::InvalidRequest, &path, json!({"disabled": "no"})).await;
    walk.refuses_body(patch, Slug::NotFound, NO_USER, body.clone()).await;
    walk.refuses_body(patch, Slug::UsernameTaken, &path, json!({"username": "ben"})).await;
    walk.refuses_body(patch, Slug::SsoSubjectTaken, &path, json!({"sso_subject": "00u1"})).await;
    let stale = walk.ask(patch, &path).header("if-match", "\"7\"").json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, &path, Some(body)).await;

    let unlock = Operation::UnlockUser;
    walk.refuses_keys(unlock, &format!("{path}/unlock"), None).await;
    walk.refuses_body(unlock, Slug::InvalidRequest, &format!("{path}/unlock"), json!({"factor": "sms"})).await;
    walk.refuses(unlock, Slug::NotFound, walk.ask(unlock, &format!("{NO_USER}/unlock"))).await;
    walk.refuses_contention(unlock, &format!("{path}/unlock"), None).await;

    let reset = Operation::ResetApp;
    walk.refuses_keys(reset, &format!("{path}/factors/totp"), None).await;
    walk.refuses(reset, Slug::NotFound, walk.ask(reset, &format!("{NO_USER}/factors/totp"))).await;
    walk.refuses_contention(reset, &format!("{path}/factors/totp"), None).await;

    let delete = Operation::DeleteUser;
    walk.refuses_keys(delete, &path, None).await;
    walk.refuses(delete, Slug::NotFound, walk.ask(delete, NO_USER)).await;
    walk.refuses_contention(delete, &path, None).await;
    snapshot(walk, Function::Users);
}

#[tokio::test]
async fn the_errors_of_login() {
    let mut walk = Walk::new().await;
    let (login, path) = (Operation::Login, "/v1/login");
    let _ = walk.world.user("ann", json!({})).await;
    let account = walk.world.account.clone();
    let body = |username: &str, password: &str| json!({"account": account, "username": username, "password": password});
    walk.refuses_without_a_table(login, path, Some(&body("ann", PASSWORD))).await;
    walk.refuses_bodies(login, path).await;
    for wrong in [body("", PASSWORD), body("ann", ""), json!({"account": "acme", "username": "ann", "password": PASSWORD})] {
        walk.refuses_body(login, Slug::InvalidRequest, path, wrong).await;
    }
    walk.refuses(login, Slug::InvalidRequest, walk.ask(login, "/v1/login?next=/").json(&body("ann", PASSWORD))).await;
    walk.refuses_body(login, Slug::InvalidCredentials, path, body("ann", "wrong password")).await;
    let elsewhere = json!({"account": NO_ACCOUNT, "username": "ann", "password": PASSWORD});
    walk.refuses_body(login, Slug::InvalidCredentials, path, elsewhere).await;

    let _ = walk.world.settings(json!({"second_factor": {"methods": {"sms": false}}})).await;
    walk.refuses_body(login, Slug::NoUsableFactor, path, body("ann", PASSWORD)).await;
    for _ in 0..6 {
        let _ = walk.world.login("ann", "wrong password").await;
    }
    walk.refuses_body(login, Slug::TooManyAttempts, path, body("ann", PASSWORD)).await;
    // The source address has failed seven times by now: it has 93 left.
    for number in 0..93 {
        let _ = walk.world.login(&format!("nobody{number}"), "wrong password").await.refused(401, "invalid-credentials");
    }
    walk.refuses_body(login, Slug::TooManyAttempts, path, body("nobody", PASSWORD)).await;
    snapshot(walk, Function::Login);
}

/// Seconds after which neither a cooldown nor a share of sends stands in the way.
const LATER: i64 = 3_600;

#[tokio::test]
async fn the_errors_of_sending_a_code() {
    let mut walk = Walk::new().await;
    let (issue, path) = (Operation::IssueCode, "/v1/codes");
    let ann = walk.world.user("ann", json!({"phone": "+12025550123"})).await;
    let body = |challenge: &str| json!({"challenge": challenge, "method": "sms"});
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_without_a_table(issue, path, Some(&body(&challenge))).await;
    walk.refuses_bodies(issue, path).await;
    walk.refuses_body(issue, Slug::InvalidRequest, path, json!({"challenge": challenge, "method": "totp"})).await;
    walk.refuses(issue, Slug::InvalidRequest, walk.ask(issue, path).header("idempotency-key", "\"\"").json(&body(&challenge)))
        .await;
    walk.refuses_body(issue, Slug::ChallengeUnknown, path, body("chl_x.y.z")).await;
    walk.refuses_body(issue, Slug::MethodNotEnabled, path, json!({"challenge": challenge, "method": "email"})).await;
    walk.fail(Service::Sns, Mode::Refused, 0);
    walk.refuses_body(issue, Slug::SenderUnavailable, path, body(&challenge)).await;
    walk.mend();

    // A request whose end is not yet written down is still running, as far as anybody can tell.
    let with_key = |walk: &Walk, body: Value| walk.ask(issue, path).header("idempotency-key", "\"k1\"").json(&body);
    walk.fail(Service::Dynamodb, Mode::Refused, 2);
    let _ = walk.world.send(with_key(&walk, body(&challenge))).await.expect(202);
    walk.mend();
    walk.refuses(issue, Slug::IdempotencyConflict, with_key(&walk, body(&challenge))).await;
    let other = json!({"method": "email", "challenge": challenge});
    walk.refuses(issue, Slug::IdempotencyKeyReused, with_key(&walk, other)).await;
    walk.refuses_body(issue, Slug::ResendTooSoon, path, body(&challenge)).await;

    let code = walk.world.last_code().await;
    let _ = walk.world.verify(&challenge, "sms", &code).await.expect(200);
    walk.refuses_body(issue, Slug::ChallengeUsed, path, body(&challenge)).await;
    let challenge = walk.world.challenge(&ann).await;
    walk.world.advance(LATER);
    walk.refuses_body(issue, Slug::ChallengeExpired, path, body(&challenge)).await;

    let abroad = walk.world.user("abroad", json!({"phone": "+33612345678"})).await;
    let challenge = walk.world.challenge(&abroad).await;
    walk.refuses_body(issue, Slug::DestinationNotAllowed, path, body(&challenge)).await;
    for _ in 0..5 {
        let _ = walk.world.challenge_and_code(&ann).await;
    }
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(issue, Slug::TooManySends, path, body(&challenge)).await;
    for _ in 0..5 {
        let _ = walk.world.verify(&challenge, "sms", "000000").await.refused(401, "code-invalid");
    }
    walk.refuses_body(issue, Slug::TooManyAttempts, path, body(&challenge)).await;
    let challenge = walk.world.challenge(&ann).await;
    for _ in 0..5 {
        let _ = walk.world.verify(&challenge, "sms", "000000").await.refused(401, "code-invalid");
    }
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(issue, Slug::TooManyAttempts, path, body(&challenge)).await;
    let closed = closed_challenge(&walk.world).await;
    walk.refuses_body(issue, Slug::AgreementClosed, path, body(&closed)).await;
    snapshot(walk, Function::CodeIssue);
}

#[tokio::test]
async fn the_errors_of_a_code() {
    let mut walk = Walk::new().await;
    let (verify, path) = (Operation::VerifyCode, "/v1/codes/verify");
    let ann = walk.world.user("ann", json!({})).await;
    let body = |challenge: &str, code: &str| json!({"challenge": challenge, "method": "sms", "code": code});
    let (challenge, old) = walk.world.challenge_and_code(&ann).await;
    walk.refuses_without_a_table(verify, path, Some(&body(&challenge, &old))).await;
    walk.refuses_bodies(verify, path).await;
    walk.refuses_body(verify, Slug::InvalidRequest, path, body(&challenge, "12 34")).await;
    walk.refuses_body(verify, Slug::InvalidRequest, path, json!({"challenge": challenge, "method": "fax", "code": "1"})).await;
    walk.refuses_body(verify, Slug::ChallengeUnknown, path, body("chl_x.y.z", "123456")).await;
    let by_mail = json!({"challenge": challenge, "method": "email", "code": "12345678"});
    walk.refuses_body(verify, Slug::MethodNotEnabled, path, by_mail).await;
    walk.refuses_body(verify, Slug::CodeInvalid, path, body(&challenge, &another(&old))).await;
    walk.world.advance(60);
    let _ = walk.world.issue(&challenge, "sms").await.expect(202);
    walk.refuses_body(verify, Slug::CodeSuperseded, path, body(&challenge, &old)).await;
    let code = walk.world.last_code().await;
    walk.world.advance(300);
    walk.refuses_body(verify, Slug::CodeExpired, path, body(&challenge, &code)).await;
    walk.world.advance(300);
    walk.refuses_body(verify, Slug::ChallengeExpired, path, body(&challenge, &code)).await;

    let (challenge, code) = walk.world.challenge_and_code(&ann).await;
    let _ = walk.world.verify(&challenge, "sms", &code).await.expect(200);
    walk.refuses_body(verify, Slug::ChallengeUsed, path, body(&challenge, &code)).await;
    let mut challenge = String::new();
    for _ in 0..2 {
        challenge = walk.world.challenge(&ann).await;
        for _ in 0..5 {
            let _ = walk.world.verify(&challenge, "sms", "000000").await.refused(401, "code-invalid");
        }
    }
    walk.refuses_body(verify, Slug::TooManyAttempts, path, body(&challenge, "000000")).await;
    let challenge = walk.world.challenge(&ann).await;
    walk.refuses_body(verify, Slug::TooManyAttempts, path, body(&challenge, "000000")).await;
    let closed = closed_challenge(&walk.world).await;
    walk.refuses_body(verify, Slug::AgreementClosed, path, body(&closed, "123456")).await;
    snapshot(walk, Function::CodeVerify);
}

async fn sign_in(world: &World, person: &Person) -> String {
    let (challenge, code) = world.challenge_and_code(person).await;
    world.verify(&challenge, "sms", &code).await.expect(200).text("access_token")
}

#[tokio::test]
async fn the_errors_of_who_is_signed_in() {
    let mut walk = Walk::new().await;
    let (me, path) = (Operation::GetMe, "/v1/me");
    let ann = walk.world.user("ann", json!({})).await;
    walk.token = sign_in(&walk.world, &ann).await;
    walk.refuses_without_a_table(me, path, None).await;
    walk.refuses(me, Slug::InvalidRequest, walk.ask(me, "/v1/me?colour=red")).await;
    walk.refuses(me, Slug::Unauthorized, walk.anonymous(me, path)).await;
    walk.refuses(me, Slug::Unauthorized, walk.anonymous(me, path).bearer_auth(&walk.world.key)).await;
    let recipients = recipients_token(&walk.world).await;
    walk.refuses(me, Slug::Forbidden, walk.anonymous(me, path).bearer_auth(recipients)).await;
    walk.refuses_what_is_sent(me, path).await;
    walk.world.advance(900);
    walk.refuses(me, Slug::Unauthorized, walk.ask(me, path)).await;
    snapshot(walk, Function::Me);
}

#[tokio::test]
async fn the_errors_of_factors() {
    let mut walk = Walk::new().await;
    let (enrol, confirm) = (Operation::EnrolApp, Operation::ConfirmApp);
    let (begin, end) = ("/v1/factors/totp", "/v1/factors/totp/confirm");
    let ann = walk.world.user("ann", json!({})).await;
    let _ = walk.world.user("new", json!({"phone": null})).await;
    walk.token = sign_in(&walk.world, &ann).await;
    let none = json!({"factor": "fac_00000000000000000000000000", "code": "123456"});
    let recipients = recipients_token(&walk.world).await;
    for (operation, path, body) in [
        (enrol, begin, Some(json!({}))),
        (confirm, end, Some(none.clone())),
        (Operation::ListFactors, "/v1/factors", None),
        (Operation::RemoveApp, begin, None),
        (Operation::MakeRecoveryCodes, "/v1/factors/recovery-codes", None),
    ] {
        let body = body.as_ref();
        walk.refuses_without_a_table(operation, path, body).await;
        walk.refuses(operation, Slug::Unauthorized, with(walk.anonymous(operation, path), body)).await;
        let by_recipient = walk.anonymous(operation, path).bearer_auth(&recipients);
        walk.refuses(operation, Slug::Forbidden, with(by_recipient, body)).await;
        let odd = format!("{path}?colour=red");
        walk.refuses(operation, Slug::InvalidRequest, with(walk.ask(operation, &odd), body)).await;
        walk.refuses_what_is_sent(operation, path).await;
    }
    walk.refuses_body(confirm, Slug::NotFound, end, none.clone()).await;
    walk.refuses_body(confirm, Slug::InvalidRequest, end, json!({"factor": "app", "code": "123456"})).await;
    walk.refuses(Operation::RemoveApp, Slug::NotFound, walk.ask(Operation::RemoveApp, begin)).await;
    let codes = "/v1/factors/recovery-codes";
    let make = Operation::MakeRecoveryCodes;
    walk.refuses(make, Slug::MethodNotEnabled, walk.ask(make, codes)).await;

    let (patch, me) = (Operation::PatchMe, "/v1/me");
    let body = json!({"locale": "fr"});
    walk.refuses_without_a_table(patch, me, Some(&body)).await;
    walk.refuses(patch, Slug::Unauthorized, walk.anonymous(patch, me).json(&body)).await;
    walk.refuses(patch, Slug::InvalidRequest, walk.ask(patch, "/v1/me?colour=red").json(&body)).await;
    walk.refuses_bodies(patch, me).await;
    walk.refuses_body(patch, Slug::InvalidRequest, me, json!({"email": "nobody", "phone": "12", "password": "short"})).await;
    walk.refuses(patch, Slug::PreconditionFailed, walk.ask(patch, me).header("if-match", "\"7\"").json(&body)).await;
    walk.refuses_contention(patch, me, Some(body.clone())).await;

    // A first sign-in.
    let challenge = walk.world.login("new", PASSWORD).await.expect(200).text("challenge");
    let begun = walk.world.post(begin, json!({"challenge": challenge})).await.expect(201);
    let with_challenge =
        |challenge: &str, code: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    walk.refuses_body(enrol, Slug::ChallengeUnknown, begin, json!({"challenge": "chl_x.y.z"})).await;
    walk.refuses_body(confirm, Slug::ChallengeUnknown, end, with_challenge("chl_x.y.z", "123456")).await;
    for _ in 0..5 {
        walk.refuses_body(confirm, Slug::CodeInvalid, end, with_challenge(&challenge, "0000000")).await;
    }
    walk.refuses_body(confirm, Slug::TooManyAttempts, end, with_challenge(&challenge, "0000000")).await;
    let off = json!({"second_factor": {"methods": {"totp": false}}});
    let _ = walk.world.settings(off.clone()).await;
    walk.refuses_body(enrol, Slug::MethodNotEnabled, begin, json!({"challenge": challenge})).await;
    walk.refuses_body(confirm, Slug::MethodNotEnabled, end, with_challenge(&challenge, "123456")).await;
    let _ = walk.world.settings(json!({"second_factor": {"methods": {"totp": true}}})).await;
    walk.world.advance(600);
    walk.refuses_body(enrol, Slug::ChallengeExpired, begin, json!({"challenge": challenge})).await;
    walk.refuses_body(confirm, Slug::ChallengeExpired, end, with_challenge(&challenge, "123456")).await;
    let (used, code) = walk.world.challenge_and_code(&ann).await;
    let _ = walk.world.verify(&used, "sms", &code).await.expect(200);
    walk.refuses_body(enrol, Slug::ChallengeUsed, begin, json!({"challenge": used})).await;
    walk.refuses_body(confirm, Slug::ChallengeUsed, end, with_challenge(&used, "123456")).await;

    // Ten minutes have passed since the token's second factor.
    let stale = Slug::FreshSecondFactorRequired;
    walk.refuses_body(enrol, stale, begin, json!({})).await;
    walk.refuses_body(confirm, stale, end, none).await;
    walk.refuses(Operation::RemoveApp, stale, walk.ask(Operation::RemoveApp, begin)).await;
    walk.refuses(make, stale, walk.ask(make, codes)).await;
    walk.refuses_body(patch, stale, me, body).await;
    snapshot(walk, Function::Factors);
}

#[tokio::test]
async fn the_errors_of_the_audit() {
    let mut walk = Walk::new().await;
    let audit = Operation::ReadAudit;
    let path = format!("/v1/audit?subject={}", walk.world.account);
    walk.refuses_keys(audit, &path, None).await;
    for query in ["", "?subject=ann", "?subject=usr_00000000000000000000000001&cursor=forged"] {
        walk.refuses(audit, Slug::InvalidRequest, walk.ask(audit, &format!("/v1/audit{query}"))).await;
    }
    walk.refuses(audit, Slug::NotFound, walk.ask(audit, "/v1/audit?subject=usr_00000000000000000000000001")).await;
    walk.refuses(audit, Slug::NotFound, walk.ask(audit, &format!("/v1/audit?subject={NO_ACCOUNT}"))).await;
    snapshot(walk, Function::Audit);
}

#[tokio::test]
async fn the_errors_of_the_report() {
    let mut walk = Walk::new().await;
    let sent = send_with(&walk.world, "k", &agreement(&json!([person(1, "none")]))).await.expect(201);
    let (report, path) = (Operation::ReportAgreement, format!("/v1/agreements/{}/audit", sent.text("id")));
    walk.refuses_keys(report, &path, None).await;
    walk.refuses(report, Slug::InvalidRequest, walk.ask(report, &path).header("accept", "application/pdf")).await;
    for id in ["agr_00000000000000000000000001", "lease"] {
        walk.refuses(report, Slug::NotFound, walk.ask(report, &format!("/v1/agreements/{id}/audit"))).await;
    }
    snapshot(walk, Function::Report);
}

const NOBODY: &str = "usr_00000000000000000000000001";
const PORTAL: &str = "https://portal.example/in";

async fn redeem(world: &World, token: &str) -> tests::Answer {
    world.post("/v1/links/redeem", json!({"token": token})).await
}

/// Opens a challenge with the link that was mailed last, and has a code sent.
async fn opened(world: &World) -> (String, String) {
    let token = token_of(&world.outbox().await.pop().unwrap());
    let challenge = redeem(world, &token).await.expect(200).text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    (challenge, world.last_code().await)
}

#[tokio::test]
async fn the_errors_of_making_a_link() {
    let mut walk = Walk::new().await;
    let (create, path) = (Operation::CreateLink, "/v1/links");
    let ann = walk.world.user("ann", json!({})).await;
    let mute = walk.world.user("mute", json!({"email": null})).await;
    let body = json!({"user": ann.id});
    walk.refuses_keys(create, path, Some(body.clone())).await;
    for wrong in [
        json!({"user": ann.id, "redirect_uri": PORTAL}),
        json!({"user": ann.id, "expires_in": 86_401}),
        json!({"user": "ann"}),
        json!({}),
    ] {
        walk.refuses_body(create, Slug::InvalidRequest, path, wrong).await;
    }
    walk.refuses_body(create, Slug::NotFound, path, json!({"user": NOBODY})).await;
    walk.refuses_body(create, Slug::LinkNotPossible, path, json!({"user": mute.id})).await;
    let with_key = |walk: &Walk, body: &Value| walk.ask(create, path).header("idempotency-key", "\"k\"").json(body);
    let _ = walk.world.send(with_key(&walk, &body)).await.expect(202);
    walk.refuses(create, Slug::IdempotencyKeyReused, with_key(&walk, &json!({"user": mute.id}))).await;
    walk.refuses_contention(create, path, Some(body)).await;
    snapshot(walk, Function::Links);
}

#[tokio::test]
async fn the_errors_of_opening_a_link() {
    let mut walk = Walk::new().await;
    let (redeem, path) = (Operation::RedeemLink, "/v1/links/redeem");
    let ann = walk.world.user("ann", json!({})).await;
    let link = || Some(json!({"user": ann.id}));
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let _ = walk.world.backend(Method::POST, "/v1/links", link()).await.expect(202);
        tokens.push(token_of(&walk.world.outbox().await.pop().unwrap()));
    }
    let body = |token: &str| json!({"token": token});
    walk.refuses_without_a_table(redeem, path, Some(&body(&tokens[0]))).await;
    walk.refuses_bodies(redeem, path).await;
    walk.refuses(redeem, Slug::InvalidRequest, walk.ask(redeem, "/v1/links/redeem?next=/").json(&body(&tokens[0]))).await;
    walk.refuses_body(redeem, Slug::LinkUnknown, path, body("lnk_x")).await;
    let (challenge, code) = opened(&walk.world).await;
    let _ = walk.world.verify(&challenge, "sms", &code).await.expect(200);
    walk.refuses_body(redeem, Slug::LinkUsed, path, body(&tokens[1])).await;
    let _ = walk.world.settings(json!({"second_factor": {"methods": {"sms": false}}})).await;
    walk.refuses_body(redeem, Slug::NoUsableFactor, path, body(&tokens[0])).await;
    walk.world.advance(LATER);
    walk.refuses_body(redeem, Slug::LinkExpired, path, body(&tokens[0])).await;

    // A recipient's link.
    let sent = send_with(&walk.world, "k", &agreement(&json!([person(1, "none")]))).await.expect(201);
    let link = links(&walk.world, "r1@example.com").await.pop().unwrap();
    walk.refuses_without_a_table(redeem, path, Some(&body(&link))).await;
    walk.refuses_body(redeem, Slug::LinkUnknown, path, body("agl_x.y.z")).await;
    for _ in 0..20 {
        let _ = walk.world.post(path, body(&link)).await.expect(200);
    }
    walk.refuses_body(redeem, Slug::TooManyAttempts, path, body(&link)).await;
    lock_viewing(&walk.world, &sent).await;
    walk.refuses_body(redeem, Slug::ViewingLocked, path, body(&link)).await;
    cancel(&walk.world, &sent).await;
    walk.refuses_body(redeem, Slug::AgreementClosed, path, body(&link)).await;
    snapshot(walk, Function::LinkRedeem);
}

#[tokio::test]
async fn the_errors_of_exchanging_a_code() {
    let mut walk = Walk::new().await;
    let (exchange, path) = (Operation::RedeemCode, "/v1/tokens");
    let _ = walk.world.settings(json!({"links": {"redirect_uris": [PORTAL]}})).await;
    let ann = walk.world.user("ann", json!({})).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let link = json!({"user": ann.id, "redirect_uri": PORTAL});
        let _ = walk.world.backend(Method::POST, "/v1/links", Some(link)).await.expect(202);
        let (challenge, code) = opened(&walk.world).await;
        codes.push(walk.world.verify(&challenge, "sms", &code).await.expect(200).text("code"));
    }
    let body = |code: &str| json!({"code": code});
    walk.refuses_keys(exchange, path, Some(body(&codes[0]))).await;
    walk.refuses_body(exchange, Slug::NotFound, path, body("otc_x")).await;
    walk.refuses_contention(exchange, path, Some(body(&codes[0]))).await;
    let _ = walk.world.backend(Method::POST, path, Some(body(&codes[0]))).await.expect(200);
    walk.refuses_body(exchange, Slug::CodeUsed, path, body(&codes[0])).await;
    walk.world.advance(60);
    walk.refuses_body(exchange, Slug::CodeExpired, path, body(&codes[1])).await;
    snapshot(walk, Function::Tokens);
}

#[tokio::test]
async fn the_errors_of_a_forgotten_password() {
    let mut walk = Walk::new().await;
    let (forget, path) = (Operation::ForgetPassword, "/v1/password/forgotten");
    let ann = walk.world.user("ann", json!({})).await;
    let account = walk.world.account.clone();
    let body = |username: &str| json!({"account": account, "username": username});
    walk.refuses_without_a_table(forget, path, Some(&body("ann"))).await;
    walk.refuses_bodies(forget, path).await;
    for wrong in [body(""), body("a\u{0}"), json!({"account": "acme", "username": "ann"})] {
        walk.refuses_body(forget, Slug::InvalidRequest, path, wrong).await;
    }
    let with_key = |walk: &Walk, key: &str, body: Value| walk.ask(forget, path).header("idempotency-key", key).json(&body);
    walk.refuses(forget, Slug::InvalidRequest, with_key(&walk, "\"\"", body("nobody"))).await;
    let _ = walk.world.send(with_key(&walk, "\"k1\"", body("nobody"))).await.expect(202);
    walk.refuses(forget, Slug::IdempotencyKeyReused, with_key(&walk, "\"k1\"", body("somebody"))).await;
    let (set, path) = (Operation::SetPassword, "/v1/password");
    let body = |challenge: &str, password: &str| json!({"challenge": challenge, "password": password});
    let mut challenges = Vec::new();
    for _ in 0..2 {
        let forgotten = json!({"account": account, "username": "ann"});
        let _ = walk.world.post("/v1/password/forgotten", forgotten).await.expect(202);
        let (challenge, code) = opened(&walk.world).await;
        let _ = walk.world.verify(&challenge, "sms", &code).await.expect(200);
        challenges.push(challenge);
    }
    walk.refuses_without_a_table(set, path, Some(&body(&challenges[0], PASSWORD))).await;
    walk.refuses_bodies(set, path).await;
    walk.refuses_body(set, Slug::InvalidRequest, path, body(&challenges[0], "short")).await;
    walk.refuses_body(set, Slug::ChallengeUnknown, path, body("chl_x.y.z", PASSWORD)).await;
    let signing_in = walk.world.challenge(&ann).await;
    walk.refuses_body(set, Slug::Forbidden, path, body(&signing_in, PASSWORD)).await;
    let _ = walk.world.post(path, body(&challenges[0], PASSWORD)).await.expect(204);
    walk.refuses_body(set, Slug::ChallengeUsed, path, body(&challenges[0], PASSWORD)).await;
    walk.refuses_body(set, Slug::ChallengeExpired, path, body(&challenges[1], PASSWORD)).await;
    let forgotten = json!({"account": account, "username": "ann"});
    for _ in 0..3 {
        let _ = walk.world.post("/v1/password/forgotten", forgotten.clone()).await.expect(202);
    }
    walk.refuses_body(forget, Slug::TooManySends, "/v1/password/forgotten", forgotten).await;
    snapshot(walk, Function::Password);
}

#[tokio::test]
async fn the_errors_of_topups() {
    let mut walk = Walk::new().await;
    let (topup, path) = (Operation::TopUpQuota, "/v1/quota/topups");
    let body = json!({"account": walk.world.account, "transactions": 5});
    walk.refuses(topup, Slug::Unauthorized, with(walk.anonymous(topup, path), Some(&body))).await;
    let key = walk.world.key.clone();
    walk.refuses(topup, Slug::Forbidden, with(walk.anonymous(topup, path).bearer_auth(key), Some(&body))).await;
    walk.refuses(topup, Slug::InvalidRequest, with(walk.ask(topup, &format!("{path}?colour=red")), Some(&body))).await;
    walk.refuses(topup, Slug::IdempotencyKeyRequired, with(walk.ask(topup, path), Some(&body))).await;
    walk.refuses(topup, Slug::InvalidRequest, with(walk.ask(topup, path).header("idempotency-key", "a b"), Some(&body))).await;
    let ask = |walk: &Walk| walk.ask(topup, path).header("idempotency-key", "\"one\"");
    let large = format!("{{\"account\":\"{}\"}}", "x".repeat(64 * 1024));
    for (slug, content_type, body) in [
        (Slug::PayloadTooLarge, "application/json", large.as_str()),
        (Slug::UnsupportedMediaType, "text/plain", "{}"),
        (Slug::InvalidRequest, "application/json", "{\"account\":"),
        (Slug::InvalidRequest, "application/json", "[]"),
    ] {
        walk.refuses(topup, slug, ask(&walk).header("content-type", content_type).body(body.to_owned())).await;
    }
    let account = walk.world.account.clone();
    for transactions in [json!(0), json!(-1), json!(1.5), json!(10_000_000_000_000_000_000_u64), json!(1_000_001)] {
        let body = json!({"account": account, "transactions": transactions});
        walk.refuses(topup, Slug::InvalidRequest, ask(&walk).json(&body)).await;
    }
    let no_account = json!({"account": NO_ACCOUNT, "transactions": 5});
    walk.refuses(topup, Slug::NotFound, ask(&walk).json(&no_account)).await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(topup, Slug::ServiceUnavailable, ask(&walk).json(&body)).await;
    walk.mend();
    let _ = walk.world.send(ask(&walk).json(&body)).await.expect(201);
    let other = json!({"account": account, "transactions": 6});
    walk.refuses(topup, Slug::IdempotencyKeyReused, ask(&walk).json(&other)).await;
    snapshot(walk, Function::QuotaTopup);
}

#[tokio::test]
async fn the_errors_of_the_quota() {
    let mut walk = Walk::new().await;
    for (operation, path) in [(Operation::GetQuota, "/v1/quota"), (Operation::ListQuotaEntries, "/v1/quota/entries")] {
        let weak = json!({"name": "weak", "scopes": ["audit:read"]});
        let keys = format!("/v1/accounts/{}/api-keys", walk.world.account);
        let weak = walk.world.operator(Method::POST, &keys, Some(weak)).await.expect(201).text("key");
        walk.refuses(operation, Slug::Unauthorized, walk.anonymous(operation, path)).await;
        walk.refuses(operation, Slug::Forbidden, walk.anonymous(operation, path).bearer_auth(weak)).await;
        walk.refuses(operation, Slug::InvalidRequest, walk.ask(operation, &format!("{path}?colour=red"))).await;
        let elsewhere = walk.ask(operation, &format!("{path}?account={NO_ACCOUNT}"));
        walk.refuses(operation, Slug::NotFound, elsewhere).await;
        walk.refuses_without_a_table(operation, path, None).await;
        walk.refuses_what_is_sent(operation, path).await;
    }
    let entries = Operation::ListQuotaEntries;
    walk.refuses(entries, Slug::InvalidRequest, walk.ask(entries, "/v1/quota/entries?cursor=*")).await;
    snapshot(walk, Function::Quota);
}

#[tokio::test]
async fn the_errors_of_kba_sessions() {
    let mut walk = Walk::new().await;
    let (open, show, path) = (Operation::OpenKbaSession, Operation::GetKbaSession, "/v1/kba/sessions");
    let asked = walk.world.asked(1, |kba| (kba.max_attempts, kba.on_view_after_signing) = (Some(1), true)).await;
    let challenge = asked.challenges[0].clone();
    let body = json!({"challenge": challenge});
    walk.refuses_bodies(open, path).await;
    walk.refuses_body(open, Slug::ChallengeUnknown, path, json!({"challenge": "chl_nobody"})).await;
    walk.refuses_without_a_table(open, path, Some(&body)).await;
    walk.fail(Service::Provider, Mode::Refused, 0);
    walk.refuses_body(open, Slug::ProviderUnavailable, path, body.clone()).await;
    walk.mend();
    let session = walk.world.session(&challenge).await;

    let shown = format!("{path}/{session}");
    let look = |walk: &Walk, path: &str, challenge: &str| walk.ask(show, path).bearer_auth(challenge);
    walk.refuses(show, Slug::Unauthorized, walk.ask(show, &shown)).await;
    walk.refuses(show, Slug::ChallengeUnknown, look(&walk, &shown, "chl_nobody")).await;
    walk.refuses(show, Slug::InvalidRequest, look(&walk, &format!("{shown}?wait=1"), &challenge)).await;
    walk.refuses(show, Slug::NotFound, look(&walk, &format!("{path}/kba_00000000000000000000000001"), &challenge)).await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(show, Slug::ServiceUnavailable, look(&walk, &shown, &challenge)).await;
    walk.mend();

    walk.world.provider_says(&session, "passed").await;
    walk.refuses_body(open, Slug::ChallengeUsed, path, body.clone()).await;
    walk.world.completed(&asked, 0).await;
    let viewing = walk.world.another_challenge(&asked, 0).await;
    let session = walk.world.session(&viewing).await;
    walk.world.provider_says(&session, "failed").await;
    walk.refuses_body(open, Slug::ViewingLocked, path, json!({"challenge": viewing})).await;

    let asked = walk.world.asked(1, |kba| kba.max_attempts = Some(1)).await;
    let body = json!({"challenge": asked.challenges[0]});
    for _ in 0..10 {
        let _ = walk.world.session(&asked.challenges[0]).await;
    }
    walk.refuses_body(open, Slug::TooManySessions, path, body.clone()).await;
    let another = walk.world.asked(1, |kba| kba.max_attempts = Some(1)).await;
    let session = walk.world.session(&another.challenges[0]).await;
    walk.world.provider_says(&session, "failed").await;
    walk.refuses_body(open, Slug::AgreementClosed, path, json!({"challenge": another.challenges[0]})).await;
    let viewed = walk.world.asked(1, |_| {}).await;
    walk.world.completed(&viewed, 0).await;
    walk.refuses_body(open, Slug::MethodNotEnabled, path, json!({"challenge": viewed.challenges[0]})).await;
    walk.world.advance(3600);
    walk.refuses_body(open, Slug::ChallengeExpired, path, body).await;
    snapshot(walk, Function::KbaSession);
}

#[tokio::test]
async fn the_errors_of_kba_callbacks() {
    let mut walk = Walk::new().await;
    let (take, path) = (Operation::TakeKbaCallback, "/v1/kba/callback");
    let asked = walk.world.asked(1, |_| {}).await;
    let session = walk.world.session(&asked.challenges[0]).await;
    let message = json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z",
        "data": {"session": session, "outcome": "failed"}});
    let signed = |walk: &Walk, body: &Value| walk.world.signed("msg_1", body.to_string().as_bytes());
    walk.refuses_body(take, Slug::SignatureInvalid, path, message.clone()).await;
    walk.refuses(take, Slug::PayloadTooLarge, walk.world.signed("msg_1", &vec![b' '; 65_537])).await;
    walk.refuses(take, Slug::UnsupportedMediaType, walk.ask(take, path).header("content-type", "text/plain").body("{}")).await;
    walk.refuses(take, Slug::InvalidRequest, walk.world.signed("msg_1", b"{\"type\":")).await;
    for (pointer, value) in [
        ("/type", json!("kba.session.begun")),
        ("/timestamp", json!("today")),
        ("/data/outcome", json!("maybe")),
        ("/data/outcome", json!("passed")),
        ("/data/session", json!("usr_00000000000000000000000001")),
    ] {
        let mut changed = message.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        walk.refuses(take, Slug::InvalidRequest, signed(&walk, &changed)).await;
    }
    let mut personal = message.clone();
    personal["data"]["address"] = json!("1 Main Street");
    walk.refuses(take, Slug::UnexpectedField, signed(&walk, &personal)).await;
    let mut unknown = message.clone();
    // As young as one that is there: whether there was an older one nobody knows any more.
    let other = if session.ends_with('0') { '1' } else { '0' };
    unknown["data"]["session"] = json!(format!("{}{other}", &session[..session.len() - 1]));
    walk.refuses(take, Slug::NotFound, signed(&walk, &unknown)).await;
    walk.fail(Service::Dynamodb, Mode::Refused, 0);
    walk.refuses(take, Slug::ServiceUnavailable, signed(&walk, &message)).await;
    walk.mend();
    // None of them was carried out.
    let _ = walk.world.send(signed(&walk, &message)).await.expect(204);
    snapshot(walk, Function::KbaCallback);
}

#[tokio::test]
async fn the_errors_of_documents_and_pages() {
    let mut walk = Walk::new().await;
    walk.refuses(Operation::ShowProblem, Slug::NotFound, walk.ask(Operation::ShowProblem, "/problems/nothing")).await;
    snapshot(walk, Function::Documents);
    let mut walk = Walk::new().await;
    walk.refuses(Operation::Asset, Slug::NotFound, walk.ask(Operation::Asset, "/assets/nothing.js")).await;
    snapshot(walk, Function::Pages);
}

async fn cancel(world: &World, sent: &tests::Answer) {
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    let _ = world.backend(Method::POST, &path, Some(json!({"reason": "changed"}))).await.expect(200);
}

/// A recipient's challenge whose agreement was cancelled since.
async fn closed_challenge(world: &World) -> String {
    let sent = send_with(world, "closed", &agreement(&json!([person(1, "sms")]))).await.expect(201);
    let challenge = open_last(world, "r1@example.com").await.expect(200).text("challenge");
    cancel(world, &sent).await;
    challenge
}

/// The token of a recipient of an agreement.
async fn recipients_token(world: &World) -> String {
    let _ = send_with(world, "token", &agreement(&json!([person(1, "none")]))).await.expect(201);
    open_last(world, "r1@example.com").await.expect(200).text("access_token")
}

/// What failing too often after having signed does.
async fn lock_viewing(world: &World, sent: &tests::Answer) {
    let (id, recipient) = (sent.text("id"), sent.body["recipients"][0]["id"].as_str().unwrap().to_owned());
    let key = shared::dynamo::keys::recipient(id.parse().unwrap(), recipient.parse().unwrap());
    let update = shared::dynamo::Write::update(key, "SET #viewing_locked_at = :at").value("at", world.stack.clock().now());
    let _ = world.stack.table().update(update).await.unwrap();
}

#[tokio::test]
async fn the_errors_of_agreements() {
    let mut walk = Walk::new().await;
    let _ = walk.world.settings(json!({"kba": {"enabled": true, "require_recipient_name": true}})).await;
    let (send, all) = (Operation::SendAgreement, "/v1/agreements");
    let sent = send_with(&walk.world, "k", &agreement(&json!([person(1, "sms"), person(2, "none")]))).await.expect(201);
    let one = format!("/v1/agreements/{}", sent.text("id"));
    let (first, second) = (recipient_path(&sent, 0), recipient_path(&sent, 1));
    let reason = json!({"reason": "changed"});
    let method = json!({"authentication": "none"});
    for (operation, path, body) in [
        (send, all.to_owned(), Some(agreement(&json!([person(1, "sms"), person(2, "none")])))),
        (Operation::ListAgreements, all.to_owned(), None),
        (Operation::GetAgreement, one.clone(), None),
        (Operation::PatchRecipient, first.clone(), Some(method.clone())),
        (Operation::CompleteRecipient, format!("{first}/complete"), None),
        (Operation::ResendLink, format!("{first}/resend"), None),
        (Operation::ReopenViewing, format!("{first}/reopen"), None),
        (Operation::CancelAgreement, format!("{one}/cancel"), Some(reason.clone())),
        (Operation::ListAuthenticationMethods, "/v1/authentication-methods".to_owned(), None),
    ] {
        walk.key = (operation == send).then_some("k");
        walk.refuses_keys(operation, &path, body.clone()).await;
        let elsewhere = if path.contains("agr_") {
            path.replace(&sent.text("id"), "agr_00000000000000000000000001")
        } else {
            format!("{path}?account={NO_ACCOUNT}")
        };
        let request = walk.ask(operation, &elsewhere);
        walk.refuses(operation, Slug::NotFound, with(request, body.as_ref())).await;
    }
    walk.key = None;
    let sending = agreement(&json!([person(1, "none")]));
    walk.refuses_body(send, Slug::IdempotencyKeyRequired, all, sending.clone()).await;
    walk.key = Some("k");
    walk.refuses_body(send, Slug::IdempotencyKeyReused, all, sending.clone()).await;
    walk.refuses_body(send, Slug::InvalidRequest, all, agreement(&json!([]))).await;
    walk.refuses_body(send, Slug::InvalidRequest, all, agreement(&json!([person(1, "none"), person(1, "none")]))).await;
    let kba = |more: Value| {
        let mut recipient = json!({"email": "a@example.com", "authentication": "kba"});
        recipient.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        agreement(&json!([recipient]))
    };
    walk.key = Some("another");
    walk.refuses_body(send, Slug::RecipientNameRequired, all, kba(json!({}))).await;
    walk.refuses_body(send, Slug::RecipientNotInUs, all, kba(json!({"name": "Ann", "country": "CA"}))).await;
    walk.refuses_body(send, Slug::QuotaExhausted, all, kba(json!({"name": "Ann", "country": "US"}))).await;
    let patch = Operation::PatchRecipient;
    walk.refuses_body(patch, Slug::QuotaExhausted, &first, json!({"authentication": "kba"})).await;
    let _ = walk.world.settings(json!({"kba": {"enabled": false}, "second_factor": {"methods": {"sms": false}}})).await;
    walk.refuses_body(send, Slug::MethodNotEnabled, all, kba(json!({}))).await;
    walk.refuses_body(patch, Slug::MethodNotEnabled, &second, json!({"authentication": "sms"})).await;
    let _ = walk.world.settings(json!({"kba": {"enabled": true}, "second_factor": {"methods": {"sms": true}}})).await;
    let bare = json!([{"email": "a@example.com", "authentication": "none"}, {"email": "b@example.com", "name": "B", "authentication": "none"}]);
    let bare = send_with(&walk.world, "bare", &agreement(&bare)).await.expect(201);
    walk.refuses_body(patch, Slug::RecipientNameRequired, &recipient_path(&bare, 0), json!({"authentication": "kba"})).await;
    walk.refuses_body(patch, Slug::RecipientNotInUs, &recipient_path(&bare, 1), json!({"authentication": "kba"})).await;
    walk.refuses_body(patch, Slug::InvalidRequest, &recipient_path(&bare, 0), json!({"authentication": "sms"})).await;
    let account = format!("/v1/accounts/{}", walk.world.account);
    let _ = walk.world.operator(Method::PATCH, &account, Some(json!({"plan": "starter"}))).await.expect(200);
    walk.refuses_body(send, Slug::PlanRequired, all, kba(json!({}))).await;
    walk.refuses_body(patch, Slug::PlanRequired, &first, json!({"authentication": "kba"})).await;

    let stale = walk.ask(patch, &first).header("if-match", "\"999\"").json(&method);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    let complete = Operation::CompleteRecipient;
    walk.refuses(complete, Slug::RecipientNotVerified, walk.ask(complete, &format!("{first}/complete"))).await;
    let _ = open_last(&walk.world, "r2@example.com").await.expect(200);
    walk.refuses_contention(complete, &format!("{second}/complete"), None).await;
    let _ = tests::agreements::complete(&walk.world, &sent, 1).await.expect(200);
    walk.refuses_body(patch, Slug::RecipientCompleted, &second, json!({"authentication": "sms"})).await;
    walk.refuses_contention(patch, &first, Some(method.clone())).await;
    let (resend, reopen) = (Operation::ResendLink, Operation::ReopenViewing);
    walk.refuses_contention(resend, &format!("{first}/resend"), None).await;
    let with_key = |walk: &Walk, path: &str| walk.ask(resend, &format!("{path}/resend")).header("idempotency-key", "\"r\"");
    walk.key = None;
    for _ in 0..5 {
        let _ = walk.world.send(with_key(&walk, &first)).await.expect(202);
    }
    walk.refuses(resend, Slug::IdempotencyKeyReused, with_key(&walk, &second)).await;
    for _ in 0..4 {
        let _ = walk.world.send(walk.ask(resend, &format!("{first}/resend"))).await.expect(202);
    }
    walk.refuses(resend, Slug::TooManySends, walk.ask(resend, &format!("{first}/resend"))).await;
    walk.key = Some("another");
    lock_viewing(&walk.world, &sent).await;
    walk.refuses_contention(reopen, &format!("{first}/reopen"), None).await;
    walk.refuses_contention(Operation::CancelAgreement, &format!("{one}/cancel"), Some(reason.clone())).await;
    walk.key = Some("cancel");
    let _ = walk.world.send(walk.ask(Operation::CancelAgreement, &format!("{one}/cancel")).json(&reason)).await.expect(200);
    let other = json!({"reason": "another reason"});
    walk.refuses_body(Operation::CancelAgreement, Slug::IdempotencyKeyReused, &format!("{one}/cancel"), other).await;
    walk.key = Some("another");
    walk.refuses_body(Operation::CancelAgreement, Slug::AgreementNotOpen, &format!("{one}/cancel"), reason).await;
    walk.refuses_body(patch, Slug::AgreementNotOpen, &first, method).await;
    for (operation, step) in [(complete, "complete"), (resend, "resend"), (reopen, "reopen")] {
        walk.refuses(operation, Slug::AgreementNotOpen, walk.ask(operation, &format!("{first}/{step}"))).await;
    }
    snapshot(walk, Function::Agreements);
}

#[test]
fn every_function_with_a_route_has_its_errors_told() {
    let told = [
        Function::Accounts,
        Function::Agreements,
        Function::Settings,
        Function::Users,
        Function::Login,
        Function::CodeIssue,
        Function::CodeVerify,
        Function::Factors,
        Function::Me,
        Function::Audit,
        Function::Links,
        Function::LinkRedeem,
        Function::Tokens,
        Function::Password,
        Function::Documents,
        Function::KbaCallback,
        Function::KbaSession,
        Function::Pages,
        Function::Quota,
        Function::QuotaTopup,
        Function::Report,
    ];
    let functions: BTreeSet<Function> = ROUTES.iter().map(|route| route.function).collect();
    assert_eq!(functions, BTreeSet::from(told));
}

/// What somebody may send along, whoever they are.
fn oddities(request: impl Fn(&str) -> RequestBuilder) -> Vec<RequestBuilder> {
    let json = |body: &str| request("").header("content-type", "application/json").body(body.to_owned());
    vec![
        request(""),
        request("?colour=red"),
        request("?account=acc_00000000000000000000000001"),
        request("?account=x&account=y"),
        request("?cursor=x&effective=x&ip=x&subject=x"),
        request("").header("if-match", "\"999\"").header("content-type", "application/json").body("{}"),
        request("").header("if-match", "x").header("idempotency-key", "a b"),
        request("").header("accept", "text/csv").header("origin", "https://evil.example"),
        request("").header("content-type", "text/plain").body("{}"),
        request("").header("content-type", "application/merge-patch+json").body("{\"name\":null}"),
        json("{}"),
        json("[]"),
        json("{\"colour\":\"red\"}"),
        json("\u{0}"),
        json(&format!("\"{}\"", "x".repeat(64 * 1024))),
    ]
}

#[tokio::test]
async fn no_route_answers_what_it_does_not_declare() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = sign_in(&world, &ann).await;
    let keys = format!("/v1/accounts/{}/api-keys", world.account);
    let weak = json!({"name": "weak", "scopes": ["quota:read"]});
    let weak = world.operator(Method::POST, &keys, Some(weak)).await.expect(201);
    let credentials = [None, Some("x"), Some(weak.body["key"].as_str().unwrap()), Some(&world.key), Some(OPERATOR), Some(&token)];
    for route in ROUTES {
        let path = route.path.replace("{account}", &world.account).replace("{slug}", "conflict").replace("{name}", "api.js");
        let id = if route.function == Function::Users { ann.id.as_str() } else { NO_KEY };
        let path = path.replace("{id}", id);
        for credential in credentials {
            let request = |query: &str| {
                let request = world.request(route.method.parse().unwrap(), &format!("{path}{query}"));
                credential.into_iter().fold(request, RequestBuilder::bearer_auth)
            };
            for request in oddities(request) {
                let answer = world.send(request).await;
                let known = declared(route).iter().any(|slug| (slug.status(), slug.name()) == (answer.status, answer.slug()));
                assert!(known || (answer.status == route.success && answer.slug().is_empty()), "{}: {answer:?}", route.key());
                assert_ne!(answer.slug(), Slug::InternalError.name(), "{}: {answer:?}", route.key());
                assert_ne!(answer.slug(), Slug::ServiceUnavailable.name(), "{}: {answer:?}", route.key());
            }
        }
    }
}
