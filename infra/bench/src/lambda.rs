//! Lambda's Runtime API (2018-06-01), and one environment under it: a process that is started,
//! polls, and answers.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as Turn, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::Fault;
use crate::stopwatch::Stopwatch;

/// How long a function may take: what hangs is a fault and not a wait.
const PATIENCE: Duration = Duration::from_secs(15);

/// The trace of an invocation, where it has none of its own.
const TRACE: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0";

/// How an invocation ended.
type Ended = Result<Vec<u8>, String>;

/// What an environment is handed.
struct Event {
    id: String,
    trace: String,
    body: Vec<u8>,
}

/// What stands between the environment and whoever invokes it.
struct Desk {
    events: Turn<mpsc::UnboundedReceiver<Event>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Ended>>>,
    polled: Mutex<Option<oneshot::Sender<Duration>>>,
    started: Stopwatch,
}

/// A running environment.
pub(crate) struct Environment {
    desk: Arc<Desk>,
    events: mpsc::UnboundedSender<Event>,
    first_poll: Option<oneshot::Receiver<Duration>>,
    invocations: u64,
    process: Child,
    server: JoinHandle<()>,
}

/// An HTTP answer out of a function.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u64,
    pub headers: Value,
    pub body: String,
    /// How long it took, from handing the event over.
    pub took: Duration,
}

impl Answer {
    /// A member of the JSON body, as text.
    pub fn text(&self, member: &str) -> Result<String, Fault> {
        let body: Value = serde_json::from_str(&self.body)?;
        let text = body.get(member).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| format!("the answer ({}) has no {member}", self.status).into())
    }

    /// The answer, if it has this status.
    pub fn expect(self, status: u64) -> Result<Self, Fault> {
        if self.status == status {
            Ok(self)
        } else {
            Err(format!("{status} was expected: {} {}", self.status, self.body).into())
        }
    }
}

impl Environment {
    /// Starts `binary` as Lambda would, with nothing in its environment but `variables` and what
    /// Lambda itself sets.
    pub async fn start(binary: &Path, variables: &[(String, String)]) -> Result<Self, Fault> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (events, queue) = mpsc::unbounded_channel();
        let (polled, first_poll) = oneshot::channel();
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(variables.iter().cloned())
            .envs(lambda_variables(&address));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let desk = Arc::new(Desk {
            events: Turn::new(queue),
            answers: Mutex::default(),
            polled: Mutex::new(Some(polled)),
            started: Stopwatch::start(),
        });
        let router = router(Arc::clone(&desk));
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let process = command.spawn()?;
        Ok(Self {
            desk,
            events,
            first_poll: Some(first_poll),
            invocations: 0,
            process,
            server,
        })
    }

    /// How long after the start of the process it asked for its first event.
    pub async fn first_poll(&mut self) -> Result<Duration, Fault> {
        let waiting = self
            .first_poll
            .take()
            .ok_or("the first poll was asked for before")?;
        Ok(tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| "the function never asked for an event")??)
    }

    /// How long it has been since the start of the process.
    pub fn age(&self) -> Duration {
        self.desk.started.elapsed()
    }

    /// Hands over an event that is no request, and waits for the answer.
    pub async fn invoke(&mut self, event: &Value) -> Result<(Value, Duration), Fault> {
        self.invoke_under(event, TRACE).await
    }

    /// The same, under a trace of its own.
    pub async fn invoke_under(
        &mut self,
        event: &Value,
        trace: &str,
    ) -> Result<(Value, Duration), Fault> {
        self.invocations += 1;
        let id = format!("8476a536-e9f4-11e8-9739-{:012x}", self.invocations);
        let (sender, answer) = oneshot::channel();
        lock(&self.desk.answers).insert(id.clone(), sender);
        let watch = Stopwatch::start();
        self.events.send(Event {
            id,
            trace: trace.to_owned(),
            body: event.to_string().into_bytes(),
        })?;
        let ended = tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| "the function did not answer")??;
        let took = watch.elapsed();
        Ok((serde_json::from_slice(&ended?)?, took))
    }

    /// Hands over a request, and reads the HTTP answer.
    pub async fn request(&mut self, event: &Value) -> Result<Answer, Fault> {
        let (answer, took) = self.invoke(event).await?;
        let status = answer
            .get("statusCode")
            .and_then(Value::as_u64)
            .ok_or("the answer has no status")?;
        let body = answer
            .get("body")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Ok(Answer {
            status,
            headers: answer.get("headers").cloned().unwrap_or_default(),
            body,
            took,
        })
    }

    /// The process.
    pub fn pid(&self) -> Result<u32, Fault> {
        self.process
            .id()
            .ok_or_else(|| "the process has ended".into())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lambda_variables(runtime_api: &str) -> [(&'static str, &str); 6] {
    [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/countersign/bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ]
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    if let Some(polled) = lock(&desk.polled).take() {
        // Nobody may be waiting for it.
        let _ = polled.send(desk.started.elapsed());
    }
    let Some(Event { id, trace, body }) = desk.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", "4102444800000".into()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:bench".into(),
        ),
        ("lambda-runtime-trace-id", trace),
    ];
    (headers, body).into_response()
}

async fn response(
    State(desk): State<Arc<Desk>>,
    Segment(id): Segment<String>,
    body: Bytes,
) -> StatusCode {
    desk.end(&id, Ok(body.to_vec()))
}

async fn error(
    State(desk): State<Arc<Desk>>,
    Segment(id): Segment<String>,
    body: Bytes,
) -> StatusCode {
    desk.end(
        &id,
        Err(format!(
            "function returned an error: {}",
            String::from_utf8_lossy(&body)
        )),
    )
}

impl Desk {
    fn end(&self, id: &str, ended: Ended) -> StatusCode {
        match lock(&self.answers).remove(id) {
            Some(waiting) => {
                let _ = waiting.send(ended);
                StatusCode::ACCEPTED
            }
            None => StatusCode::NOT_FOUND,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
