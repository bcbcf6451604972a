//! What a client does, and what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expiry_cleanup::Batch;
use serde_json::{Value, json};
use shared::clock::Span;
use shared::entropy::Entropy;
use shared::ids::AccountId;

use super::wire::{Answer, Wire};
use super::{Ground, Stranded};

/// How often an operation is asked for before the run is given up.
const ASKED_MAX: u32 = 60;
/// How many agreements a client looks after at once.
const KEPT: usize = 5;
const METHODS: [&str; 3] = ["kba", "none", "kba"];
const OUTCOMES: [&str; 7] = ["passed", "failed", "failed", "timed_out", "not_locatable", "provider_error", "passed"];

/// What a client was told.
#[derive(Debug)]
pub(super) struct Book {
    pub account: AccountId,
    pub done: BTreeMap<(&'static str, u16), u32>,
    pub repeated: u32,
    /// Top-ups, by id.
    pub topups: BTreeMap<String, i64>,
    pub agreements: Vec<Sent>,
}

/// An agreement that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub id: String,
    /// How many transactions were reserved with it.
    pub reserved: i64,
    /// Its time is over soon: what would come of it may be too late.
    pub short: bool,
    /// The client was told that it is cancelled; or an answer cancelled it, as the client sees when it asks.
    pub cancelled: bool,
    pub over: bool,
    pub recipients: Vec<Asked>,
    /// The messages that were answered with 204, of all its sessions.
    pub messages: BTreeSet<String>,
}

/// A recipient.
#[derive(Debug)]
pub(super) struct Asked {
    pub id: String,
    pub email: String,
    /// What the client was told last.
    pub method: &'static str,
    pub completed: bool,
    challenge: Option<String>,
    sessions: Vec<Session>,
    /// A transaction may have been used: an answer that could use it was sent.
    pub may_have_used: bool,
    /// It was used for certain: the latest session's first answer was a failure, while nothing else was going on.
    pub used: bool,
}

#[derive(Debug)]
struct Session {
    id: String,
    answered: bool,
}

pub(super) struct Client<'a> {
    wire: Wire<'a>,
    ground: Arc<Ground>,
    entropy: Entropy,
    number: u32,
    made: u32,
    /// Where in the book the agreements stand that are looked after.
    open: Vec<usize>,
    book: Book,
}

impl<'a> Client<'a> {
    pub fn new(wire: Wire<'a>, ground: Arc<Ground>, seed: u64, number: u32) -> Self {
        let (done, topups) = (BTreeMap::new(), BTreeMap::new());
        let book = Book { account: ground.id, done, repeated: 0, topups, agreements: Vec::new() };
        let entropy = Entropy::seeded(seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { wire, ground, entropy, number, made: 0, open: Vec::new(), book }
    }

    /// So many operations.
    pub async fn operate(mut self, operations: u32) -> Result<Book, Stranded> {
        while self.made < operations {
            match self.entropy.below(100) {
                0..7 => self.topup().await?,
                7..20 => self.send().await?,
                20..36 => self.open().await?,
                36..54 => self.begin().await?,
                54..78 => self.answer().await?,
                78..86 => self.change().await?,
                86..90 => self.complete().await?,
                90..94 => self.cancel().await?,
                94..97 => self.resend().await?,
                97..99 => self.look().await?,
                _ => self.pass_time().await,
            }
        }
        Ok(self.book)
    }

    fn count(&mut self, what: &'static str, status: u16) {
        self.made += 1;
        *self.book.done.entry((what, status)).or_default() += 1;
    }

    /// Asks until it is answered with something else than that nobody can say: with one of `expected`.
    async fn ask(
        &mut self,
        what: &'static str,
        expected: &[u16],
        (method, path): (&str, &str),
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Stranded> {
        let bearer = format!("Bearer {}", self.ground.key);
        let headers: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
        for asked in 0..ASKED_MAX {
            let answer = self.wire.send(method, path, body, &headers).await?;
            match answer.status {
                503 => self.book.repeated += 1,
                // What an earlier one of these did, of which nobody heard, is not done again.
                409 if asked > 0 && what == "cancel" => {
                    self.count(what, 200);
                    return Ok(Answer { status: 200, ..answer });
                }
                status if expected.contains(&status) => {
                    self.count(what, status);
                    return Ok(answer);
                }
                status => return Err(Stranded(format!("{what} was answered with {status}: {}", answer.body))),
            }
        }
        Err(Stranded(format!("{what} was never answered")))
    }

    async fn topup(&mut self) -> Result<(), Stranded> {
        let transactions = self.entropy.below(24) + 1;
        let key = format!("storm-{}-{}-{}", self.ground.id, self.number, self.made);
        let body = json!({"account": self.ground.id, "transactions": transactions});
        for _ in 0..ASKED_MAX {
            let answer = self.wire.operator("/v1/quota/topups", &body, Some(&key)).await?;
            match answer.status {
                201 => {
                    self.book.topups.insert(answer.text("/id")?, i64::from(transactions));
                    self.count("top-up", 201);
                    // Some ask once more, though they were told.
                    if self.entropy.below(10) == 0 {
                        self.wire.operator("/v1/quota/topups", &body, Some(&key)).await?;
                    }
                    return Ok(());
                }
                503 => self.book.repeated += 1,
                status => return Err(Stranded(format!("a top-up was answered with {status}"))),
            }
        }
        Err(Stranded("a top-up was never answered".into()))
    }

    async fn send(&mut self) -> Result<(), Stranded> {
        let count = self.entropy.below(4) + 1;
        let mut asked = Vec::new();
        for place in 0..count {
            let email = format!("r{}-{}-{place}@storm.example", self.number, self.made);
            asked.push((email, self.method()));
        }
        let recipients: Vec<Value> = asked
            .iter()
            .map(|(email, method)| json!({"email": email, "name": "Ann", "country": "US", "authentication": method}))
            .collect();
        let short = self.entropy.below(4) == 0;
        let expires_in = if short { 900 } else { 300 * 86_400 };
        let mut body = json!({
            "title": "Lease", "sender": {"email": "sales@storm.example"}, "recipients": recipients, "expires_in": expires_in,
        });
        if let Some(body) = body.as_object_mut().filter(|_| !self.number.is_multiple_of(3)) {
            body.insert("group".into(), json!(format!("group-{}", self.number % 3)));
        }
        let key = format!("\"{}-{}\"", self.number, self.made);
        let headers = [("idempotency-key", key.as_str())];
        let answer = self.ask("send", &[201, 402], ("POST", "/v1/agreements"), Some(&body), &headers).await?;
        if answer.status != 201 {
            return Ok(());
        }
        let mut recipients = Vec::new();
        for (place, (email, method)) in asked.into_iter().enumerate() {
            let id = answer.text(&format!("/recipients/{place}/id"))?;
            let (challenge, sessions) = (None, Vec::new());
            let asked = Asked { id, email, method, completed: false, challenge, sessions, may_have_used: false, used: false };
            recipients.push(asked);
        }
        let reserved = recipients.iter().filter(|asked| asked.method == "kba").count();
        let reserved = i64::try_from(reserved).unwrap_or_default();
        let (id, messages) = (answer.text("/id")?, BTreeSet::new());
        self.book.agreements.push(Sent { id, reserved, short, cancelled: false, over: false, recipients, messages });
        if self.open.len() >= KEPT {
            self.open.remove(0);
        }
        self.open.push(self.book.agreements.len() - 1);
        Ok(())
    }

    fn method(&self) -> &'static str {
        let drawn = usize::try_from(self.entropy.below(3)).unwrap_or_default();
        METHODS.get(drawn).copied().unwrap_or("kba")
    }

    /// Somewhere among what is looked after: where the agreement stands in the book, and one of its recipients.
    fn pick(&self) -> Option<(usize, usize)> {
        let drawn =
            |many: usize| usize::try_from(self.entropy.below(u32::try_from(many.max(1)).unwrap_or(1))).unwrap_or_default();
        let place = *self.open.get(drawn(self.open.len()))?;
        Some((place, drawn(self.book.agreements.get(place)?.recipients.len())))
    }

    fn recipient(&mut self, (place, which): (usize, usize)) -> Option<&mut Asked> {
        self.book.agreements.get_mut(place)?.recipients.get_mut(which)
    }

    /// Where the agreement's recipient is changed.
    fn path(&self, (place, which): (usize, usize)) -> String {
        let sent = self.book.agreements.get(place);
        let recipient = sent.and_then(|sent| sent.recipients.get(which)).map(|asked| asked.id.clone()).unwrap_or_default();
        format!("/v1/agreements/{}/recipients/{recipient}", sent.map(|sent| sent.id.clone()).unwrap_or_default())
    }

    /// A recipient opens the link that was mailed.
    async fn open(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let Some(token) = self.recipient(at).map(|asked| asked.email.clone()).and_then(|email| self.wire.link(&email)) else {
            return Ok(());
        };
        let expected = [200, 404, 409, 410, 423, 429];
        let body = json!({"token": token});
        let answer = self.ask("open", &expected, ("POST", "/v1/links/redeem"), Some(&body), &[]).await?;
        let challenge = answer.body.get("challenge").and_then(Value::as_str).map(str::to_owned);
        if let Some(asked) = self.recipient(at) {
            asked.challenge = challenge;
        }
        Ok(())
    }

    /// A recipient asks to be asked the questions.
    async fn begin(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let Some(challenge) = self.recipient(at).and_then(|asked| asked.challenge.clone()) else { return Ok(()) };
        let expected = [201, 401, 403, 404, 409, 410, 423, 429];
        let body = json!({"challenge": challenge});
        let answer = self.ask("begin", &expected, ("POST", "/v1/kba/sessions"), Some(&body), &[]).await?;
        let opened = (answer.status == 201).then(|| answer.text("/session")).transpose()?;
        if let Some(asked) = self.recipient(at) {
            match opened {
                Some(id) => asked.sessions.push(Session { id, answered: false }),
                None => asked.challenge = None,
            }
        }
        Ok(())
    }

    /// The provider tells how a session went: mostly of the latest, now and then of an older one; now and then twice.
    async fn answer(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let older = usize::from(self.entropy.below(5) == 0);
        let outcome = OUTCOMES.get(usize::try_from(self.entropy.below(7)).unwrap_or_default()).copied().unwrap_or("failed");
        let id = format!("msg_{}_{}", self.number, self.made);
        let open = self.book.agreements.get(at.0).is_some_and(|sent| !sent.short && !sent.over && !sent.cancelled);
        let Some(asked) = self.recipient(at) else { return Ok(()) };
        let many = asked.sessions.len();
        let Some(session) = many.checked_sub(1 + older).and_then(|place| asked.sessions.get_mut(place)) else { return Ok(()) };
        let first = !std::mem::replace(&mut session.answered, true);
        let name = session.id.clone();
        let certain = first && older == 0 && open && asked.method == "kba" && !asked.completed;
        if matches!(outcome, "passed" | "failed" | "timed_out") {
            asked.may_have_used = true;
        }
        self.deliver(&id, &name, outcome).await?;
        if self.entropy.below(8) == 0 {
            self.deliver(&id, &name, outcome).await?;
        }
        let Some(sent) = self.book.agreements.get_mut(at.0) else { return Ok(()) };
        sent.messages.insert(id);
        let asked = sent.recipients.get_mut(at.1);
        if let Some(asked) = asked.filter(|_| certain && matches!(outcome, "failed" | "timed_out")) {
            asked.used = true;
        }
        // It may have been the last attempt, which cancels the agreement.
        if matches!(outcome, "failed" | "timed_out") {
            self.look_at(at.0).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, id: &str, session: &str, outcome: &str) -> Result<(), Stranded> {
        for _ in 0..ASKED_MAX {
            match self.wire.callback(id, session, outcome).await?.status {
                204 => {
                    self.count("callback", 204);
                    return Ok(());
                }
                // The clock was moved on its way: it is signed anew.
                401 | 503 => self.book.repeated += 1,
                status => return Err(Stranded(format!("a callback was answered with {status}"))),
            }
        }
        Err(Stranded("a callback was never answered".into()))
    }

    /// The sender changes a recipient's method.
    async fn change(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let (to, path) = (self.method(), self.path(at));
        let body = json!({"authentication": to});
        let answer = self.ask("change", &[200, 402, 409], ("PATCH", &path), Some(&body), &[]).await?;
        if let Some(asked) = self.recipient(at).filter(|_| answer.status == 200) {
            asked.method = to;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let path = format!("{}/complete", self.path(at));
        let answer = self.ask("complete", &[200, 409], ("POST", &path), None, &[]).await?;
        if let Some(asked) = self.recipient(at).filter(|_| answer.status == 200) {
            asked.completed = true;
        }
        Ok(())
    }

    async fn cancel(&mut self) -> Result<(), Stranded> {
        let Some((place, _)) = self.pick() else { return Ok(()) };
        let id = self.book.agreements.get(place).map(|sent| sent.id.clone()).unwrap_or_default();
        let body = json!({"reason": "the terms have changed"});
        let path = format!("/v1/agreements/{id}/cancel");
        let answer = self.ask("cancel", &[200, 409], ("POST", &path), Some(&body), &[]).await?;
        // Asked for again, it says no more than that the agreement has ended: by its time, it may be.
        if let Some(sent) = self.book.agreements.get_mut(place) {
            sent.over = true;
            sent.cancelled |= answer.status == 200 && !sent.short;
        }
        Ok(())
    }

    async fn resend(&mut self) -> Result<(), Stranded> {
        let Some(at) = self.pick() else { return Ok(()) };
        let path = format!("{}/resend", self.path(at));
        self.ask("resend", &[202, 409, 410], ("POST", &path), None, &[]).await.map(drop)
    }

    /// The sender looks how an agreement stands.
    async fn look(&mut self) -> Result<(), Stranded> {
        let Some((place, _)) = self.pick() else { return Ok(()) };
        self.look_at(place).await
    }

    async fn look_at(&mut self, place: usize) -> Result<(), Stranded> {
        let id = self.book.agreements.get(place).map(|sent| sent.id.clone()).unwrap_or_default();
        let answer = self.ask("look", &[200], ("GET", &format!("/v1/agreements/{id}")), None, &[]).await?;
        let status = answer.text("/status")?;
        if let Some(sent) = self.book.agreements.get_mut(place) {
            sent.over |= status != "out_for_signature";
            sent.cancelled |= status == "cancelled";
        }
        Ok(())
    }

    /// Time passes, or the clean-up runs, which may break off.
    async fn pass_time(&mut self) {
        if self.entropy.below(2) == 0 {
            self.wire.stack.clock().advance(Span::seconds(i64::from(self.entropy.below(150) + 1)));
            self.count("wait", 0);
        } else {
            let (app, courier) = (self.wire.stack.app(), self.wire.stack.courier());
            let broken_off = expiry_cleanup::run(app, courier, Batch::default()).await.failed > 0;
            self.count(if broken_off { "clean-up that broke off" } else { "clean-up" }, 0);
        }
    }
}
