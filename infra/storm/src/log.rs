//! The history while it is written.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use local::{Channel, Message, Struck};
use serde_json::Value;
use shared::kernel::clock::{Clock, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::history::{Answer, Call, History, Mail, Moment};

/// How long a message may be on its way from the inbox to who reads it.
const POST: Duration = Duration::from_millis(200);
/// How long is waited between two looks.
const GLANCE: Duration = Duration::from_millis(2);
/// How long a client waits for the next call of anybody: when all wait for each other, somebody has
/// to go on.
const IDLE: Duration = Duration::from_millis(300);

/// The history, shared by all clients.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    clock: Clock,
    most: usize,
    ended: AtomicBool,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    history: History,
    tick: u64,
    /// The places of the messages to each destination.
    boxes: HashMap<String, Vec<usize>>,
}

/// A request, as its client sends it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub who: &'static str,
    pub source: IpAddr,
    pub about: Option<String>,
    pub route: &'static str,
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

/// What befell a call beside its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    pub died: bool,
    pub struck: Vec<Struck>,
}

impl Log {
    /// An empty history, which is over after so many calls.
    pub fn new(clock: Clock, most: usize) -> Self {
        Self(Arc::new(Inside {
            clock,
            most,
            ended: AtomicBool::new(false),
            pages: Mutex::default(),
        }))
    }

    /// Whether clients go on.
    pub fn goes_on(&self) -> bool {
        self.len() < self.0.most && !self.0.ended.load(Ordering::Relaxed)
    }

    /// It is over, however many calls there are.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }

    /// What the service's clock says.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.pages().history.calls.len()
    }

    /// Notes a call; answers with its number.
    pub fn ask(&self, asked: Asked) -> usize {
        let mut pages = self.pages();
        let moment = pages.moment(&self.0.clock);
        let number = pages.history.calls.len();
        let Asked {
            who,
            source,
            about,
            route,
            path,
            key,
            body,
        } = asked;
        let (answered, answer, died, struck) = (None, None, false, Vec::new());
        pages.history.calls.push(Call {
            number,
            who,
            source,
            about,
            route,
            path,
            key,
            body,
            asked: moment,
            answered,
            answer,
            died,
            struck,
        });
        number
    }

    /// Notes what came of a call.
    pub fn answer(&self, number: usize, answer: Option<Answer>, trouble: Trouble) {
        let mut pages = self.pages();
        let moment = pages.moment(&self.0.clock);
        if let Some(call) = pages.history.calls.get_mut(number) {
            (call.answered, call.answer) = (Some(moment), answer);
            (call.died, call.struck) = (trouble.died, trouble.struck);
        }
    }

    /// Notes whom or what a call turned out to be about.
    pub fn concerns(&self, number: usize, about: &str) {
        if let Some(call) = self.pages().history.calls.get_mut(number) {
            call.about = Some(about.to_owned());
        }
    }

    /// Writes down what arrives in inboxes, until nothing more will.
    pub async fn read_mail(self, mut messages: UnboundedReceiver<Message>) {
        while let Some(message) = messages.recv().await {
            self.arrived(message);
        }
    }

    fn arrived(&self, message: Message) {
        let mut pages = self.pages();
        let at = pages.moment(&self.0.clock);
        let Message {
            channel,
            to,
            subject,
            text,
            trace,
            ..
        } = message;
        let call = trace.as_deref().and_then(crate::front::call_of);
        let place = pages.history.mails.len();
        pages.boxes.entry(to.clone()).or_default().push(place);
        pages.history.mails.push(Mail {
            channel,
            to,
            subject,
            text,
            at,
            call,
        });
    }

    /// The message that a call sent to somebody, if it did.
    pub async fn mailed_by(&self, number: usize, channel: Channel) -> Option<Mail> {
        let by_call = |mail: &Mail| mail.call == Some(number) && mail.channel == channel;
        self.awaited(|pages| {
            pages
                .history
                .mails
                .iter()
                .rev()
                .take(500)
                .find(|mail| by_call(mail))
                .cloned()
        })
        .await
    }

    /// The newest message to somebody that is as wanted.
    pub async fn newest(&self, to: &str, wanted: impl Fn(&Mail) -> bool) -> Option<Mail> {
        self.awaited(|pages| {
            let places = pages.boxes.get(to)?;
            places
                .iter()
                .rev()
                .filter_map(|place| pages.history.mails.get(*place))
                .find(|mail| wanted(mail))
                .cloned()
        })
        .await
    }

    async fn awaited<T>(&self, look: impl Fn(&Pages) -> Option<T>) -> Option<T> {
        let mut waited = Duration::ZERO;
        loop {
            let found = look(&self.pages());
            if found.is_some() || waited >= POST {
                return found;
            }
            tokio::time::sleep(GLANCE).await;
            waited += GLANCE;
        }
    }

    /// Waits until so many more calls were asked by others, or nothing happens any more.
    pub async fn linger(&self, calls: u32) {
        let until = self.len() + usize::try_from(calls).unwrap_or_default();
        let (mut idle, mut last) = (Duration::ZERO, 0);
        while last < until && self.goes_on() && idle < IDLE {
            tokio::time::sleep(GLANCE).await;
            let now = self.len();
            idle = if now == last {
                idle + GLANCE
            } else {
                Duration::ZERO
            };
            last = now;
        }
    }

    /// What was written, which is taken out.
    pub fn take(&self) -> History {
        std::mem::take(&mut self.pages().history)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn moment(&mut self, clock: &Clock) -> Moment {
        self.tick += 1;
        Moment {
            tick: self.tick,
            at: clock.now(),
        }
    }
}
