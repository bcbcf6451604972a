//! How a client asks: over HTTP, from an address of its own, and every request stands in the
//! history.

use std::net::IpAddr;
use std::sync::Arc;

use local::{Channel, Service};
use reqwest::{Client, Method};
use serde_json::Value;
use shared::kernel::clock::Span;
use shared::kernel::entropy::Entropy;
use tokio::sync::RwLock;

use crate::front::{CALL, FATE, Fate, Front, SOURCE};
use crate::ground::Ground;
use crate::history::{Answer, Mail};
use crate::log::{Asked, Log};
use crate::sky::Sky;

/// How often a request is sent again whose answer nobody knows, where it can be.
const AGAIN_MAX: u32 = 25;

/// What all clients share.
pub(crate) struct Place {
    pub log: Log,
    pub front: Front,
    pub sky: Sky,
    pub ground: Ground,
    pub base_url: String,
    pub http: Client,
    /// Held by every request, and by whoever is so much faster than others that nothing else
    /// happens meanwhile.
    pub stage: RwLock<()>,
}

/// A client's desk.
#[derive(Clone)]
pub(crate) struct Desk {
    pub place: Arc<Place>,
    pub entropy: Entropy,
    pub who: &'static str,
    /// Whether the stage is its own.
    pub alone: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    route: &'static str,
    path: String,
    body: Value,
    bearer: Option<String>,
    key: Option<String>,
    /// What a message of the provider is known by.
    message: Option<String>,
    about: Option<String>,
    source: IpAddr,
    headers: Vec<(&'static str, String)>,
}

/// What a request was answered.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its number in the history.
    pub call: usize,
    pub answer: Option<Answer>,
}

impl Ask {
    /// A request of a route without parameters.
    pub fn new(route: &'static str) -> Self {
        let path = route
            .split_once(' ')
            .map_or(route, |(_, path)| path)
            .to_owned();
        let source = IpAddr::from([192, 0, 2, 10]);
        Self {
            route,
            path,
            body: Value::Null,
            bearer: None,
            key: None,
            message: None,
            about: None,
            source,
            headers: Vec::new(),
        }
    }

    /// At this path and query.
    pub fn at(self, path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..self
        }
    }

    /// With this body.
    pub fn with(self, body: Value) -> Self {
        Self { body, ..self }
    }

    /// With this key or token.
    pub fn by(self, bearer: &str) -> Self {
        Self {
            bearer: Some(bearer.to_owned()),
            ..self
        }
    }

    /// With this `Idempotency-Key`.
    pub fn keyed(self, key: impl std::fmt::Display) -> Self {
        Self {
            key: Some(format!("\"{key}\"")),
            ..self
        }
    }

    /// About this user, agreement, recipient or account.
    pub fn about(self, about: &str) -> Self {
        Self {
            about: Some(about.to_owned()),
            ..self
        }
    }

    /// From this address.
    pub fn from(self, source: IpAddr) -> Self {
        Self { source, ..self }
    }

    /// A message that is known by this.
    pub fn message(self, id: &str) -> Self {
        Self {
            message: Some(id.to_owned()),
            ..self
        }
        .header("webhook-id", id)
    }

    /// With this header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Told {
    /// The answer's status; 0 where there is none.
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// Something in the answer.
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        self.answer.as_ref()?.body.pointer(pointer)
    }

    /// A text in the answer.
    pub fn text(&self, pointer: &str) -> Option<String> {
        self.value(pointer)?.as_str().map(str::to_owned)
    }

    /// A text in an answer of success.
    pub fn good(&self, pointer: &str) -> Option<String> {
        (200..300)
            .contains(&self.status())
            .then(|| self.text(pointer))
            .flatten()
    }

    /// Whether nobody knows what came of it.
    pub fn is_uncertain(&self) -> bool {
        !(200..500).contains(&self.status())
    }
}

impl Desk {
    /// Whether the client goes on.
    pub fn goes_on(&self) -> bool {
        self.place.log.goes_on()
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u32) -> u32 {
        self.entropy.below(bound.max(1))
    }

    /// Whether it happens, in so many cases of a hundred.
    pub fn happens(&self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(
            usize::try_from(self.below(u32::try_from(of.len()).unwrap_or(u32::MAX)))
                .unwrap_or_default(),
        )
    }

    /// Asks.
    pub async fn ask(&self, ask: Ask) -> Told {
        let Place {
            log,
            sky,
            front,
            stage,
            ..
        } = &*self.place;
        let _turn = if self.alone {
            None
        } else {
            Some(stage.read().await)
        };
        sky.change(log.len());
        let fate = sky.fate(&self.entropy);
        let Ask {
            route,
            path,
            body,
            key,
            message,
            about,
            source,
            ..
        } = ask.clone();
        let key = key.or(message);
        let call = log.ask(Asked {
            who: self.who,
            source,
            about,
            route,
            path,
            key,
            body,
        });
        let answer = self.send(ask, call, fate).await;
        log.answer(call, answer.clone(), front.trouble(call));
        Told { call, answer }
    }

    /// Asks until somebody can say what came of it.
    pub async fn insist(&self, ask: Ask) -> Told {
        let mut told = self.ask(ask.clone()).await;
        for _ in 0..AGAIN_MAX {
            if !told.is_uncertain() && told.status() != 409 {
                break;
            }
            told = self.ask(ask.clone()).await;
        }
        told
    }

    /// Does `work` while nobody else asks for anything: what a program does in seconds, between two
    /// steps of a person.
    pub async fn rush<T>(&self, work: impl AsyncFnOnce(&Self) -> T) -> T {
        let _stage = self.place.stage.write().await;
        work(&Self {
            alone: true,
            ..self.clone()
        })
        .await
    }

    /// Lets time pass, while no request runs and nobody rushes.
    pub async fn pass_time(&self, span: Span) {
        let _turn = self.place.stage.read().await;
        self.place.front.pass_time(span).await;
    }

    /// Asks twice at once.
    pub async fn twice(&self, ask: Ask) -> (Told, Told) {
        tokio::join!(self.ask(ask.clone()), self.ask(ask))
    }

    async fn send(&self, ask: Ask, call: usize, fate: Fate) -> Option<Answer> {
        let method = ask
            .route
            .split(' ')
            .next()
            .and_then(|method| Method::from_bytes(method.as_bytes()).ok())?;
        let url = format!("{}{}", self.place.base_url, ask.path);
        let mut request = self.place.http.request(method, url);
        let told = [
            (CALL, call.to_string()),
            (SOURCE, ask.source.to_string()),
            (FATE, fate.header()),
        ];
        let bearer = ask
            .bearer
            .map(|bearer| ("authorization", format!("Bearer {bearer}")));
        let key = ask.key.map(|key| ("idempotency-key", key));
        for (name, value) in told.into_iter().chain(bearer).chain(key).chain(ask.headers) {
            request = request.header(name, value);
        }
        if !ask.body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(ask.body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Answer { status, body })
    }

    /// The code that a call sent, if it did.
    pub async fn code(&self, told: &Told, channel: Channel) -> Option<String> {
        let mail = self.place.log.mailed_by(told.call, channel).await?;
        mail.code().map(str::to_owned)
    }

    /// The newest link that was mailed to somebody.
    pub async fn link(&self, to: &str) -> Option<String> {
        let mail = self
            .place
            .log
            .newest(to, |mail: &Mail| mail.link().is_some())
            .await?;
        mail.link().map(str::to_owned)
    }

    /// Lets others go on for so many calls.
    pub async fn linger(&self, calls: u32) {
        self.place.log.linger(calls).await;
    }
}

/// The services that weather strikes, as people call them.
pub(crate) const fn name_of(service: Service) -> &'static str {
    match service {
        Service::Dynamodb => "table",
        Service::Ses => "SES",
        Service::Sns => "SNS",
        Service::Provider => "provider",
        Service::Issuer => "issuer",
    }
}
