//! A stack, and what a test does with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use local::{Options, Stack};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shared::kernel::clock::{Clock, Span, Timestamp};
use shared::kernel::entropy::Entropy;
use shared::kernel::secret::Secret;
use shared::store::dynamo::{Key, read};

/// The operator's key of every world.
pub const OPERATOR: &str = "operator-key-of-the-tests";
/// The password of every user that a test does not give another.
pub const PASSWORD: &str = "correct horse battery";

/// A stack of its own, an account in it, and a key of that account with every scope.
pub struct World {
    /// The stack.
    pub stack: Stack,
    /// The account.
    pub account: String,
    /// The account's API key.
    pub key: String,
    client: Client,
    exchanges: Mutex<Vec<Exchange>>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// A user and how to reach them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The id.
    pub id: String,
    /// The username.
    pub username: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body: null where there was none.
    pub body: Value,
}

impl Answer {
    /// The slug of a problem.
    pub fn slug(&self) -> &str {
        self.body["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("/problems/"))
            .unwrap_or("")
    }

    /// A header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A member of the body, as text.
    pub fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member} in {}", self.body))
            .to_owned()
    }

    /// The answer, if it has this status.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The answer, if it is this problem.
    #[must_use]
    pub fn refused(self, status: u16, slug: &str) -> Self {
        assert_eq!((self.status, self.slug()), (status, slug), "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        for header in ["retry-after", "ratelimit", "ratelimit-policy"] {
            assert!(
                status != 429 || self.header(header).is_some(),
                "a 429 has {header}"
            );
        }
        self
    }

    /// The pointers of the refused fields; of parameters their names, as `?name`.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let place = |error: &Value| {
            let pointer = error["pointer"]
                .as_str()
                .unwrap_or_else(|| panic!("no pointer in {error}"));
            let Some(parameter) = error["parameter"].as_str() else {
                return pointer.to_owned();
            };
            assert_eq!(pointer, "", "a parameter is no part of the body");
            format!("?{parameter}")
        };
        errors.iter().map(place).collect()
    }
}

impl World {
    /// A new world.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A new world on a stack with other options.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            port: 0,
            operator_key: Some(Secret::new(OPERATOR.to_owned())),
            clock: Clock::fixed_at(Timestamp::from_millis(1_800_000_000_000)),
            metered: true,
            demo: false,
            ..Options::ephemeral()
        };
        // The same flows on another engine, where one is named: each world has a table of its own
        // there.
        if let Some(endpoint) = shared::kernel::config::env("COUNTERSIGN_DYNAMODB_ENDPOINT") {
            let name = shared::kernel::secret::encode(Entropy::system().bytes::<9>())
                .replace(['-', '_'], "0");
            options.config.table_name = format!("countersign-{name}");
            options.dynamodb_endpoint = Some(endpoint);
        }
        change(&mut options);
        let stack = Stack::start(options).await.unwrap();
        let exchanges = Mutex::default();
        let mut world = Self {
            stack,
            account: String::new(),
            key: String::new(),
            client: Client::new(),
            exchanges,
        };
        (world.account, world.key) = world.open_account("business").await;
        world
    }

    /// Opens another account; answers with its id and a key with every scope.
    pub async fn open_account(&self, plan: &str) -> (String, String) {
        let account = self
            .operator(
                Method::POST,
                "/v1/accounts",
                Some(json!({"name": "Alder & Pine", "plan": plan})),
            )
            .await;
        let account = account.expect(201).text("id");
        let scopes = json!([
            "settings:write",
            "users:write",
            "agreements:write",
            "links:write",
            "tokens:redeem",
            "audit:read",
            "quota:read"
        ]);
        let body = json!({"name": "all", "scopes": scopes});
        let key = self
            .operator(
                Method::POST,
                &format!("/v1/accounts/{account}/api-keys"),
                Some(body),
            )
            .await;
        (account, key.expect(201).text("key"))
    }

    /// A request by the operator.
    pub async fn operator(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path).bearer_auth(OPERATOR);
        self.send(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
        .await
    }

    /// A request by the account's back end.
    pub async fn backend(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path).bearer_auth(&self.key);
        self.send(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
        .await
    }

    /// A request by anybody.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// A GET by anybody.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// A request to be completed by the test.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.stack.base_url()))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (
            request.method().to_string(),
            request.url().path().to_owned(),
        );
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Exchange {
                method,
                path,
                status,
            });
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    /// The requests that were answered since this was asked last, in the order of their answers.
    pub fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(
            &mut self
                .exchanges
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Changes the account's settings.
    pub async fn settings(&self, patch: Value) -> Answer {
        self.backend(Method::PATCH, "/v1/settings", Some(patch))
            .await
            .expect(200)
    }

    /// Creates a user: external, with a phone and a mail address, unless `more` says otherwise.
    pub async fn user(&self, username: &str, more: Value) -> Person {
        let mut body = json!({
            "username": username, "kind": "external", "password": PASSWORD,
            "phone": phone_of(username), "email": format!("{username}@example.com"),
        });
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            if value.is_null() {
                body.as_object_mut().unwrap().remove(&name);
            } else {
                body[name] = value;
            }
        }
        let created = self
            .backend(Method::POST, "/v1/users", Some(body))
            .await
            .expect(201);
        Person {
            id: created.text("id"),
            username: username.to_owned(),
        }
    }

    /// Tries a password.
    pub async fn login(&self, username: &str, password: &str) -> Answer {
        self.post(
            "/v1/login",
            json!({"account": self.account, "username": username, "password": password}),
        )
        .await
    }

    /// Opens a challenge for a user.
    pub async fn challenge(&self, person: &Person) -> String {
        let answer = self.login(&person.username, PASSWORD).await.expect(200);
        assert_eq!(
            answer.body["status"], "second_factor_required",
            "{}",
            answer.body
        );
        answer.text("challenge")
    }

    /// Asks for a code.
    pub async fn issue(&self, challenge: &str, method: &str) -> Answer {
        self.post(
            "/v1/codes",
            json!({"challenge": challenge, "method": method}),
        )
        .await
    }

    /// Tries a code.
    pub async fn verify(&self, challenge: &str, method: &str, code: &str) -> Answer {
        self.post(
            "/v1/codes/verify",
            json!({"challenge": challenge, "method": method, "code": code}),
        )
        .await
    }

    /// What was sent so far, the oldest first.
    pub async fn outbox(&self) -> Vec<Value> {
        self.get("/_local/outbox")
            .await
            .expect(200)
            .body
            .as_array()
            .unwrap()
            .clone()
    }

    /// The code in the last message.
    pub async fn last_code(&self) -> String {
        let text = self.outbox().await.last().unwrap()["text"]
            .as_str()
            .unwrap()
            .to_owned();
        let digits = text
            .rsplit(|c: char| !c.is_ascii_digit())
            .find(|run| run.len() >= 6);
        digits
            .unwrap_or_else(|| panic!("no code in {text}"))
            .to_owned()
    }

    /// Opens a challenge and has a code sent by SMS; answers with both.
    pub async fn challenge_and_code(&self, person: &Person) -> (String, String) {
        let challenge = self.challenge(person).await;
        let _ = self.issue(&challenge, "sms").await.expect(202);
        (challenge, self.last_code().await)
    }

    /// What stands in the table, by key: the same, exactly, where nothing was written.
    pub async fn content(&self) -> BTreeMap<String, Value> {
        let table = self.stack.table();
        let (mut content, mut after) = (BTreeMap::new(), None);
        loop {
            let scan = table
                .client()
                .scan()
                .table_name(table.name())
                .consistent_read(true)
                .set_exclusive_start_key(after);
            let page = scan.send().await.unwrap();
            for item in page.items.unwrap_or_default() {
                let key = Key::of(&item).unwrap();
                content.insert(format!("{} {}", key.pk, key.sk), read(item).unwrap());
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return content;
            }
        }
    }

    /// Moves the clock.
    pub fn advance(&self, seconds: i64) {
        self.stack.clock().advance(Span::seconds(seconds));
    }

    /// The audit entries of a subject, the oldest first.
    pub async fn audit(&self, subject: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/audit?subject={subject}{cursor}");
            let page = self
                .backend(Method::GET, &path, None)
                .await
                .expect(200)
                .body;
            entries.extend(page["entries"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return entries,
            }
        }
    }

    /// The actions of a subject's audit entries, with the reason where there is one.
    pub async fn actions(&self, subject: &str) -> Vec<String> {
        let entries = self.audit(subject).await;
        let name = |entry: &Value| {
            let action = entry["action"].as_str().unwrap();
            entry["details"]["reason"]
                .as_str()
                .map_or_else(|| action.to_owned(), |reason| format!("{action}: {reason}"))
        };
        entries.iter().map(name).collect()
    }
}

/// A number of its own for each name, from those that are set aside for fiction in area codes of
/// the United States.
fn phone_of(username: &str) -> String {
    const AREAS: [&str; 8] = ["202", "212", "303", "312", "404", "415", "503", "617"];
    let sum = username.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    format!("+1{}55501{:02}", AREAS[(sum / 100 % 8) as usize], sum % 100)
}

/// A code of the same length that is not `code`.
pub fn another(code: &str) -> String {
    code.chars()
        .map(|digit| {
            if digit == '9' {
                '0'
            } else {
                char::from(digit as u8 + 1)
            }
        })
        .collect()
}
