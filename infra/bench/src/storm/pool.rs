//! The functions as Lambda has them: an environment takes one event at a time, another is started
//! where all are at work, and one whose worker dies is killed. What it had asked of the table or of
//! a sender has taken effect; its answer it never sees.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::storm::{InProcess, Scene, Service};
use axum::body::Body;
use axum::http::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use local::{Endpoints, Gateway, Incoming, Options, Relay, Stack, Worker, event_of};
use serde_json::{Value, json};
use shared::kernel::clock::Clock;
use shared::kernel::keyring::{Keyring, Keyrings};
use shared::kernel::secret::Secret;
use shared::web::http::routes::Function;

use super::clock::FakeClock;
use crate::Fault;
use crate::aws::{Aws, PROVIDER_API, PROVIDER_WEBHOOK, SECRET};
use crate::bootstraps::Bootstraps;
use crate::lambda::Environment;
use crate::report::hashes;
use crate::world::{dynamodb, holds_keys};

/// The clean-up, which stands behind no route.
const CLEANUP: &str = "expiry-cleanup";

/// The functions.
struct Pool {
    bootstraps: Bootstraps,
    /// What answers for those that cannot be reached here: see [`Pool::is_in_process`].
    handlers: InProcess,
    variables: Vec<(String, String)>,
    endpoints: Endpoints,
    faults: local::Faults,
    clock: Clock,
    fake: FakeClock,
    idle: Mutex<HashMap<&'static str, Vec<Room>>>,
    /// It answers for as long as this is kept.
    _aws: Aws,
}

/// An environment, and the relay that it reaches everything by.
struct Room {
    environment: Environment,
    relay: Relay,
}

/// Starts what the bootstraps meet, and the scene over them.
pub(super) async fn start(bootstraps: Bootstraps) -> Result<(Stack, Scene), Fault> {
    let (aws, dynamodb) = (Aws::start().await?, dynamodb().await?);
    let keyring = Keyring::parse(&aws.secret(SECRET)?)?;
    let options = Options {
        dynamodb_endpoint: Some(dynamodb.clone()),
        keyrings: Some(Keyrings::given(keyring)),
        ..Options::ephemeral()
    };
    let (stack, scene) = InProcess::start_with(options).await?;
    let vendor = stack.provider();
    aws.keep_secret(PROVIDER_API, vendor.api_secret().clone());
    aws.keep_secret(
        PROVIDER_WEBHOOK,
        Secret::new(json!([vendor.webhook_secret().expose()]).to_string()),
    );
    let fake = FakeClock::fixed_at(stack.clock().now())?;
    let variables = variables(&stack, &aws, &fake);
    let endpoints = Endpoints {
        dynamodb,
        inbox: stack.inbox().to_owned(),
    };
    let (faults, clock) = (stack.faults().clone(), stack.clock().clone());
    let handlers = InProcess::over(&stack);
    let idle = Mutex::default();
    let pool = Pool {
        bootstraps,
        handlers,
        variables,
        endpoints,
        faults,
        clock,
        fake,
        idle,
        _aws: aws,
    };
    Ok((
        stack,
        Scene {
            service: Box::new(pool),
            ..scene
        },
    ))
}

/// What every bootstrap is told, as infra/template.yaml has it.
fn variables(stack: &Stack, aws: &Aws, fake: &FakeClock) -> Vec<(String, String)> {
    let own = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.endpoint.as_str()),
        ("TABLE_NAME", stack.table().name()),
        (
            "BASE_URL",
            stack.app().config.base_url.as_deref().unwrap_or_default(),
        ),
        ("MAIL_FROM", "no-reply@bench.example"),
        ("PROVIDER_URL", "https://127.0.0.1:1"),
        ("PROVIDER_API_SECRET_ID", PROVIDER_API),
        ("PROVIDER_WEBHOOK_SECRET_ID", PROVIDER_WEBHOOK),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(fake.variables()).collect()
}

impl Pool {
    /// A bootstrap talks to no address of this machine but AWS's, and takes none into an account's
    /// settings: what opens sessions at the provider stays in this process, and what asks the
    /// issuer, or names it.
    fn is_in_process(function: Function, body: &[u8]) -> bool {
        let names = |member: &str| {
            body.windows(member.len())
                .any(|part| part == member.as_bytes())
        };
        match function {
            Function::KbaSession => true,
            Function::Login => names("\"id_token\""),
            Function::Settings => names("\"sso\""),
            _ => false,
        }
    }

    async fn room(&self, function: &'static str) -> Result<Room, Fault> {
        if let Some(room) = self.idle().get_mut(function).and_then(Vec::pop) {
            return Ok(room);
        }
        let relay = Relay::start(&self.endpoints, &self.faults).await?;
        let mut variables = self.variables.clone();
        for (name, service) in [("DYNAMODB", "dynamodb"), ("SESV2", "ses"), ("SNS", "sns")] {
            variables.push((format!("AWS_ENDPOINT_URL_{name}"), relay.endpoint(service)));
        }
        if holds_keys(function) {
            variables.push(("KEYRING_SECRET_ID".into(), SECRET.into()));
        }
        if hashes(function) {
            variables.push(("MALLOC_MMAP_THRESHOLD_".into(), "1048576".into()));
        }
        let environment = Environment::start(self.bootstraps.of(function)?, &variables).await?;
        Ok(Room { environment, relay })
    }

    /// Lets an environment of `function` take `event`. One that died is gone: dropping it kills the
    /// process.
    async fn invoke(
        &self,
        function: &'static str,
        event: &Value,
        worker: &Worker,
    ) -> Option<Value> {
        let mut room = self.room(function).await.ok()?;
        room.relay.at_work(worker.clone());
        let answer = tokio::select! {
            biased;
            () = worker.dies() => None,
            answer = room.environment.invoke_under(event, worker.trace()) => answer.ok(),
        };
        let (answer, _) = answer?;
        self.idle().entry(function).or_default().push(room);
        Some(answer)
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<&'static str, Vec<Room>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Pool {
    fn answer<'a>(
        &'a self,
        incoming: Incoming,
        worker: &'a Worker,
    ) -> BoxFuture<'a, Option<Response<Body>>> {
        let (function, event) = event_of(&incoming, worker.trace(), self.clock.now());
        if Self::is_in_process(function, &incoming.body) {
            return self.handlers.answer(incoming, worker);
        }
        async move {
            Some(Gateway::response(
                self.invoke(function.name(), &event, worker).await?,
            ))
        }
        .boxed()
    }

    fn clean_up<'a>(&'a self, worker: &'a Worker) -> BoxFuture<'a, Option<Value>> {
        async move { self.invoke(CLEANUP, &json!({}), worker).await }.boxed()
    }

    fn clock_moved(&self) {
        // A clock that cannot be set leaves the bootstraps behind, and every limit of time shows
        // it.
        let _ = self.fake.set(self.clock.now());
    }
}
