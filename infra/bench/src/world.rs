//! The table, an account, people, and what a person sends: through the bootstraps, or through the
//! same handlers in this process.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::BodyExt;
use local::{Incoming, Options, Stack};
use serde_json::{Value, json};
use shared::kernel::secret::Secret;
use shared::web::http::routes::ROUTES;
use tokio::net::TcpListener;

use crate::Fault;
use crate::aws::{Aws, PROVIDER_API, PROVIDER_WEBHOOK, SECRET};
use crate::bootstraps::Bootstraps;
pub(crate) use crate::cases::{BenchCase, CASES};
use crate::event::Event;
use crate::iam::Guard;
use crate::lambda::{Answer, Environment};
use crate::report::hashes;
use crate::stopwatch::Stopwatch;

/// The password of all people.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Area codes of the United States, in each of which a hundred numbers are set aside for fiction.
const AREAS: [&str; 8] = ["202", "212", "303", "312", "404", "415", "503", "617"];

/// Everything that the bootstraps meet.
pub(crate) struct World {
    pub bootstraps: Bootstraps,
    pub stack: Stack,
    pub account: String,
    pub key: String,
    /// Between the bootstraps and DynamoDB, where it is the policies that are tried.
    pub guard: Option<Guard>,
    pub aws: Aws,
    pub dynamodb: String,
    people: AtomicUsize,
}

/// Somebody who signs in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub number: usize,
    pub id: String,
    pub username: String,
    phone: String,
}

impl World {
    pub async fn build(bootstraps: Bootstraps, guarded: bool) -> Result<Self, Fault> {
        let aws = Aws::start().await?;
        let dynamodb = dynamodb().await?;
        let options = Options {
            metered: true,
            dynamodb_endpoint: Some(dynamodb.clone()),
            ..Options::ephemeral()
        };
        let stack = Stack::start(options).await?;
        let vendor = stack.provider();
        aws.keep_secret(PROVIDER_API, vendor.api_secret().clone());
        aws.keep_secret(
            PROVIDER_WEBHOOK,
            Secret::new(json!([vendor.webhook_secret().expose()]).to_string()),
        );
        let guard = if guarded {
            Some(Guard::start(dynamodb.clone()).await?)
        } else {
            None
        };
        let people = AtomicUsize::new(0);
        let mut world = Self {
            bootstraps,
            stack,
            account: String::new(),
            key: String::new(),
            guard,
            aws,
            dynamodb,
            people,
        };
        world.open_account().await?;
        Ok(world)
    }

    /// Goes on with an account of its own, which has sent nothing yet.
    pub async fn open_account(&mut self) -> Result<(), Fault> {
        let operator = self.stack.operator_key().expose().clone();
        let account = Event::post(
            "/v1/accounts",
            json!({ "name": "Alder & Pine", "plan": "business" }),
        )
        .bearer(&operator);
        self.account = self.ask(&account).await?.expect(201)?.text("id")?;
        let scopes = json!({ "name": "bench", "scopes": ["settings:write", "users:write", "audit:read", "quota:read", "links:write", "tokens:redeem", "agreements:write"] });
        let key = Event::post(format!("/v1/accounts/{}/api-keys", self.account), scopes)
            .bearer(&operator);
        self.key = self.ask(&key).await?.expect(201)?.text("key")?;
        Ok(())
    }

    /// Somebody new.
    pub async fn person(&self) -> Result<Person, Fault> {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let username = format!("person-{number}");
        let area = AREAS
            .get(number / 100 % AREAS.len())
            .ok_or("there is no such area")?;
        let phone = format!("+1{area}55501{:02}", number % 100);
        let user = json!({ "username": username, "kind": "external", "password": PASSWORD, "phone": phone });
        let made = self
            .ask(&Event::post("/v1/users", user).bearer(&self.key))
            .await?
            .expect(201)?;
        Ok(Person {
            number,
            id: made.text("id")?,
            username,
            phone,
        })
    }

    /// A new environment of `function`.
    pub async fn environment(&self, function: &str) -> Result<Environment, Fault> {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let dynamodb = self
            .guard
            .as_ref()
            .map_or_else(|| self.dynamodb.clone(), |guard| guard.endpoint(function));
        let mut variables = vec![
            variable("AWS_REGION", "us-east-1"),
            variable("AWS_ACCESS_KEY_ID", "bench"),
            variable("AWS_SECRET_ACCESS_KEY", "bench"),
            variable("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb),
            variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.aws.endpoint),
            variable("AWS_ENDPOINT_URL_SNS", &self.aws.endpoint),
            variable("AWS_ENDPOINT_URL_SESV2", &self.aws.endpoint),
            variable("TABLE_NAME", self.stack.table().name()),
            variable("MAIL_FROM", "no-reply@bench.example"),
            // The bootstraps talk to no address of this machine but AWS's: see `kba`.
            variable("PROVIDER_URL", "https://127.0.0.1:1"),
            variable("PROVIDER_API_SECRET_ID", PROVIDER_API),
            variable("PROVIDER_WEBHOOK_SECRET_ID", PROVIDER_WEBHOOK),
        ];
        // As infra/template.yaml has it: who uses no key is not told where they are.
        if holds_keys(function) {
            variables.push(variable("KEYRING_SECRET_ID", SECRET));
        }
        if hashes(function) {
            variables.push(variable("MALLOC_MMAP_THRESHOLD_", "1048576"));
        }
        Environment::start(self.bootstraps.of(function)?, &variables).await
    }

    /// Asks the handlers in this process.
    pub async fn ask(&self, event: &Event) -> Result<Answer, Fault> {
        let event = event.json();
        let at = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in event
            .get("headers")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let value = HeaderValue::from_str(value.as_str().unwrap_or_default())?;
            headers.insert(HeaderName::try_from(name.as_str())?, value);
        }
        let query = Some(at("/rawQueryString"))
            .filter(|query| !query.is_empty())
            .map(|query| format!("?{query}"));
        let incoming = Incoming {
            method: Method::from_bytes(at("/requestContext/http/method").as_bytes())?,
            uri: Uri::try_from(format!("{}{}", at("/rawPath"), query.unwrap_or_default()))?,
            headers,
            body: at("/body").to_owned().into(),
            peer: at("/requestContext/http/sourceIp").parse::<IpAddr>()?,
        };
        let watch = Stopwatch::start();
        let (parts, body) = self.stack.gateway().answer(incoming).await.into_parts();
        let body = body.collect().await?.to_bytes();
        let status = u64::from(parts.status.as_u16());
        Ok(Answer {
            status,
            headers: Value::Null,
            body: String::from_utf8_lossy(&body).into_owned(),
            took: watch.elapsed(),
        })
    }
}

/// Whether the template lets `function` read the keyring. What stands behind no route is the
/// clean-up, which opens the links that it mails.
pub(crate) fn holds_keys(function: &str) -> bool {
    ROUTES
        .iter()
        .find(|route| route.function.name() == function)
        .is_none_or(|route| route.function.holds_keys())
}

/// The engine of the local stack, on a port that the bootstraps reach as well.
pub(crate) async fn dynamodb() -> Result<String, Fault> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let database = dynoxide::Database::memory()?;
    tokio::spawn(async move {
        drop(
            dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await,
        );
    });
    Ok(endpoint)
}

impl Person {
    pub fn login(&self, world: &World, password: Option<&str>) -> Event {
        let password = password.unwrap_or(PASSWORD);
        let body =
            json!({ "account": world.account, "username": self.username, "password": password });
        Event::post("/v1/login", body).from(self.number)
    }

    pub fn code(&self, challenge: &str) -> Event {
        Event::post(
            "/v1/codes",
            json!({ "challenge": challenge, "method": "sms" }),
        )
        .from(self.number)
    }

    pub fn verify(&self, challenge: &str, code: &str) -> Event {
        Event::post(
            "/v1/codes/verify",
            json!({ "challenge": challenge, "method": "sms", "code": code }),
        )
        .from(self.number)
    }
}

/// A code of the same length that is not `code`.
pub(crate) fn another(code: &str) -> String {
    code.chars()
        .map(|digit| if digit == '0' { '1' } else { '0' })
        .collect()
}

/// How requests are answered: by bootstraps, each in an environment that lives on, or by the same
/// handlers in this process.
pub(crate) enum Way<'a> {
    Bootstraps {
        world: &'a World,
        running: BTreeMap<String, Environment>,
    },
    Handlers(&'a World),
}

impl<'a> Way<'a> {
    pub const fn bootstraps(world: &'a World) -> Self {
        Self::Bootstraps {
            world,
            running: BTreeMap::new(),
        }
    }

    pub const fn world(&self) -> &'a World {
        match self {
            Self::Bootstraps { world, .. } | Self::Handlers(world) => world,
        }
    }

    /// The environment of `function`.
    pub async fn environment(&mut self, function: &str) -> Result<&mut Environment, Fault> {
        let Self::Bootstraps { world, running } = self else {
            return Err("there is no environment in this process".into());
        };
        if !running.contains_key(function) {
            running.insert(function.to_owned(), world.environment(function).await?);
        }
        running
            .get_mut(function)
            .ok_or_else(|| "the environment is gone".into())
    }

    pub async fn ask(&mut self, function: &str, event: &Event) -> Result<Answer, Fault> {
        match self {
            Self::Handlers(world) => world.ask(event).await,
            Self::Bootstraps { .. } => {
                self.environment(function)
                    .await?
                    .request(&event.json())
                    .await
            }
        }
    }

    /// Somebody new who has given the right password, and the challenge.
    pub async fn challenge(&mut self) -> Result<(Person, String), Fault> {
        let person = self.world().person().await?;
        let answer = self
            .ask("login", &person.login(self.world(), None))
            .await?
            .expect(200)?;
        Ok((person, answer.text("challenge")?))
    }

    /// The same, and a code was sent.
    pub async fn code(&mut self) -> Result<(Person, String, String), Fault> {
        let (person, challenge) = self.challenge().await?;
        self.ask("code-issue", &person.code(&challenge))
            .await?
            .expect(202)?;
        let code = self.code_to(&person)?;
        Ok((person, challenge, code))
    }

    /// The code in the last text to somebody.
    pub fn code_to(&self, person: &Person) -> Result<String, Fault> {
        self.code_sent_to(&person.phone)
    }

    /// The code in the last message to a phone number or a mail address.
    pub fn code_sent_to(&self, contact: &str) -> Result<String, Fault> {
        let world = match self {
            Self::Bootstraps { world, .. } => return world.aws.last_code(),
            Self::Handlers(world) => world,
        };
        let message = world
            .stack
            .outbox()
            .latest_to(contact)
            .ok_or("no message was sent")?;
        let run = message
            .text
            .rsplit(|letter: char| !letter.is_ascii_digit())
            .find(|run| run.len() >= 6);
        run.map(str::to_owned)
            .ok_or_else(|| "the message has no code".into())
    }

    /// The token of the link in the last mail to `address`.
    pub fn link_to(&self, address: &str) -> Result<String, Fault> {
        let world = match self {
            Self::Bootstraps { world, .. } => return world.aws.last_link_to(address),
            Self::Handlers(world) => world,
        };
        let message = world
            .stack
            .outbox()
            .latest_to(address)
            .ok_or("no mail was sent")?;
        let token = message
            .text
            .split_whitespace()
            .find_map(|word| word.split_once("/link#").map(|(_, token)| token.to_owned()));
        token.ok_or_else(|| "the mail has no link".into())
    }

    /// An access token of somebody who has signed in.
    pub async fn token(&mut self) -> Result<String, Fault> {
        let (person, challenge, code) = self.code().await?;
        self.ask("code-verify", &person.verify(&challenge, &code))
            .await?
            .expect(200)?
            .text("access_token")
    }
}

impl Way<'_> {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bootstraps { .. } => "under-lambda",
            Self::Handlers(_) => "in-process",
        }
    }
}

/// A number that was not given before.
pub(crate) fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
