//! Proof of agreements: sent, proved in each way, completed, viewed, locked, cancelled, and what
//! the clean-up finds of them.

use serde_json::{Value, json};
use shared::kernel::clock::{Clock, Span, Timestamp};
use shared::kernel::ids::AccountId;
use shared::ledger::EntryId;
use shared::ledger::upkeep::Tools;
use shared::store::dynamo::keys::{DUE_SHARDS, due_shard};
use shared::store::dynamo::{Failure, Key, Path, Update};

use crate::Fault;
use crate::event::Event;
use crate::kba::Vendor;
use crate::world::{Way, World, next};

/// An agreement that was sent.
struct Sent {
    path: String,
    recipients: Vec<String>,
}

impl Sent {
    fn recipient(&self, place: usize) -> Result<String, Fault> {
        let id = self
            .recipients
            .get(place)
            .ok_or("there is no such recipient")?;
        Ok(format!("{}/recipients/{id}", self.path))
    }
}

/// Two recipients prove themselves by questions and by an SMS, and complete; then one views, until
/// that is locked.
pub(crate) async fn completed(way: &mut Way<'_>) -> Result<(), Fault> {
    let vendor = Vendor::of(way.world()).await?;
    let kba =
        json!({ "kba": { "enabled": true, "max_attempts": 2, "on_view_after_signing": true } });
    backend(way, "settings", 200, Event::patch("/v1/settings", kba)).await?;
    backend(
        way,
        "agreements",
        200,
        Event::get("/v1/authentication-methods?group=escrow"),
    )
    .await?;
    let sent = send(
        way,
        "completed",
        &[person("gwen", "kba"), person("hugo", "none")],
    )
    .await?;
    backend(way, "agreements", 200, Event::get(sent.path.clone())).await?;
    for method in ["kba", "sms"] {
        let change = Event::patch(sent.recipient(1)?, json!({ "authentication": method }));
        backend(way, "agreements", 200, change).await?;
    }
    backend(
        way,
        "agreements",
        202,
        Event::post(format!("{}/resend", sent.recipient(0)?), json!({})),
    )
    .await?;

    answered(way, &vendor, "gwen", &["failed", "not_locatable", "passed"]).await?;
    let challenge = redeemed(way, "hugo").await?;
    let issue = json!({ "challenge": challenge, "method": "sms" });
    way.ask("code-issue", &Event::post("/v1/codes", issue))
        .await?
        .expect(202)?;
    let verify =
        json!({ "challenge": challenge, "method": "sms", "code": way.world().aws.last_code()? });
    way.ask("code-verify", &Event::post("/v1/codes/verify", verify))
        .await?
        .expect(200)?;
    for place in [0, 1] {
        backend(
            way,
            "agreements",
            200,
            Event::post(format!("{}/complete", sent.recipient(place)?), json!({})),
        )
        .await?;
    }
    answered(way, &vendor, "gwen", &["failed", "timed_out"]).await?;
    backend(
        way,
        "agreements",
        200,
        Event::post(format!("{}/reopen", sent.recipient(0)?), json!({})),
    )
    .await?;
    answered(way, &vendor, "gwen", &["passed"]).await?;
    backend(
        way,
        "report",
        200,
        Event::get(format!("{}/audit", sent.path)),
    )
    .await?;
    read_by_a_link(way, &sent).await?;
    backend(way, "quota", 200, Event::get("/v1/quota")).await?;
    backend(way, "quota", 200, Event::get("/v1/quota/entries")).await
}

/// Somebody makes a link to the report, and reads it by that.
async fn read_by_a_link(way: &mut Way<'_>, sent: &Sent) -> Result<(), Fault> {
    let path = format!("{}/audit", sent.path);
    let key = way.world().key.clone();
    let made = way
        .ask(
            "agreements",
            &Event::post(format!("{path}/links"), json!({})).bearer(&key),
        )
        .await?
        .expect(201)?;
    let made: Value = serde_json::from_str(&made.body)?;
    let token = made
        .get("url")
        .and_then(Value::as_str)
        .and_then(|url| url.split_once('#'))
        .ok_or("the link has no token")?
        .1
        .to_owned();
    way.ask("report", &Event::get(path).bearer(&token))
        .await?
        .expect(200)?;
    Ok(())
}

/// An agreement takes the balance over the mark at which the account's contacts are told.
pub(crate) async fn low(way: &mut Way<'_>) -> Result<(), Fault> {
    let world = way.world();
    let quota = world
        .ask(&Event::get("/v1/quota").bearer(&world.key))
        .await?
        .expect(200)?;
    let quota: Value = serde_json::from_str(&quota.body)?;
    let available = quota
        .get("available")
        .and_then(Value::as_i64)
        .ok_or("the quota has no number")?;
    let contacts =
        json!({ "contacts": ["contact@example.com"], "quota": { "low_balance": available - 1 } });
    backend(way, "settings", 200, Event::patch("/v1/settings", contacts)).await?;
    send(
        way,
        "low",
        &[person("paul", "kba"), person("quentin", "kba")],
    )
    .await?;
    backend(
        way,
        "settings",
        200,
        Event::patch("/v1/settings", json!({ "contacts": [], "quota": null })),
    )
    .await
}

/// One agreement is cancelled by its sender, others by the last attempt of a recipient: with a
/// mail, and while none gets through.
pub(crate) async fn cancelled(way: &mut Way<'_>) -> Result<(), Fault> {
    let vendor = Vendor::of(way.world()).await?;
    let sent = send(way, "withdrawn", &[person("iris", "kba")]).await?;
    let cancel = Event::post(
        format!("{}/cancel", sent.path),
        json!({ "reason": "Sent by mistake." }),
    );
    backend(way, "agreements", 200, cancel).await?;
    send(way, "failed", &[person("olga", "kba")]).await?;
    answered(way, &vendor, "olga", &["failed", "failed"]).await?;
    let sent = send(
        way,
        "failed-unheard",
        &[person("jack", "kba"), person("kate", "kba")],
    )
    .await?;
    way.world().aws.refuse_mails(true);
    let failed = answered(way, &vendor, "jack", &["failed", "failed"]).await;
    way.world().aws.refuse_mails(false);
    failed?;
    let ended = backend(
        way,
        "agreements",
        409,
        Event::post(
            format!("{}/cancel", sent.path),
            json!({ "reason": "Late." }),
        ),
    );
    ended.await
}

/// What the clean-up is to find: an agreement whose time is over, a session that nobody answered,
/// and mails that are owed.
pub(crate) async fn overdue(way: &mut Way<'_>) -> Result<(), Fault> {
    let vendor = Vendor::of(way.world()).await?;
    let expired = send(way, "expired", &[person("lena", "kba")]).await?;
    let _ = send(way, "abandoned", &[person("mark", "kba")]).await?;
    let challenge = redeemed(way, "mark").await?;
    let session = vendor.open(way, &challenge).await?;
    way.world().aws.refuse_mails(true);
    let owed = send(way, "owed", &[person("nora", "none")]).await;
    way.world().aws.refuse_mails(false);
    let owed = owed?;
    let id = |sent: &Sent| {
        format!(
            "AGREEMENT#{}",
            sent.path.rsplit('/').next().unwrap_or_default()
        )
    };
    let (expired, owed, session) = (id(&expired), id(&owed), format!("SESSION#{session}"));
    let over = move |key: &Key| {
        if (key.pk == expired && key.sk == "AGREEMENT") || key.pk == session {
            return Some(true);
        }
        (key.pk == owed || key.pk.starts_with("OUTBOX#")).then_some(false)
    };
    make_due(way.world(), over).await
}

/// Moves what stands in the index of what is due into the past, and the end of it as well where
/// `has_ended` says so of its key.
async fn make_due(world: &World, has_ended: impl Fn(&Key) -> Option<bool>) -> Result<(), Fault> {
    let table = world.stack.table();
    let (past, later) = (
        Clock::system().now().minus(Span::minutes(5)),
        Timestamp::from_millis(4_102_444_800_000),
    );
    for shard in 0..DUE_SHARDS {
        let due = table
            .due(due_shard(shard), later.as_secs() * 1000, None, 1000)
            .await
            .map_err(|failure| unusable(&failure))?;
        for key in due.iter().filter_map(Key::of) {
            let Some(has_ended) = has_ended(&key) else {
                continue;
            };
            let update = Update::of(key).look_again_at(past);
            let update = if has_ended {
                update.set(Path::new("expires_at"), past)
            } else {
                update
            };
            table
                .update(update)
                .await
                .map_err(|failure| unusable(&failure))?;
        }
    }
    Ok(())
}

fn unusable(failure: &Failure) -> Fault {
    format!("the table could not be prepared: {failure:?}").into()
}

fn person(name: &str, authentication: &str) -> Value {
    json!({
        "email": format!("{name}@example.com"), "name": format!("{name} Ward"), "country": "US", "phone": "+12025550144",
        "authentication": authentication,
    })
}

async fn send(way: &mut Way<'_>, key: &str, recipients: &[Value]) -> Result<Sent, Fault> {
    let body = json!({
        "title": "Lease", "group": "escrow", "sender": { "email": "sales@example.com" }, "recipients": recipients,
    });
    let event =
        Event::post("/v1/agreements", body).header("idempotency-key", &format!("\"{key}\""));
    let answer = way
        .ask("agreements", &event.bearer(&way.world().key))
        .await?
        .expect(201)?;
    let body: Value = serde_json::from_str(&answer.body)?;
    let ids = body
        .get("recipients")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let recipients = ids
        .filter_map(|recipient| recipient.get("id")?.as_str().map(str::to_owned))
        .collect();
    Ok(Sent {
        path: format!("/v1/agreements/{}", answer.text("id")?),
        recipients,
    })
}

async fn backend(
    way: &mut Way<'_>,
    function: &str,
    status: u64,
    event: Event,
) -> Result<(), Fault> {
    way.ask(function, &event.bearer(&way.world().key))
        .await?
        .expect(status)
        .map(drop)
}

/// Opens the last link that was mailed to somebody; answers with the challenge.
async fn redeemed(way: &mut Way<'_>, name: &str) -> Result<String, Fault> {
    let token = way.link_to(&format!("{name}@example.com"))?;
    let event = Event::post("/v1/links/redeem", json!({ "token": token }));
    way.ask("link-redeem", &event)
        .await?
        .expect(200)?
        .text("challenge")
}

/// Switches questions on, and buys enough of them: once, however often it is asked for.
pub(crate) async fn prepare(world: &World) -> Result<(), Fault> {
    let kba = Event::patch("/v1/settings", json!({ "kba": { "enabled": true } }));
    world.ask(&kba.bearer(&world.key)).await?.expect(200)?;
    let (app, id) = (
        world.stack.app(),
        world
            .account
            .parse::<AccountId>()
            .map_err(|_| "the account's id is none")?,
    );
    let tools = Tools {
        table: &app.table,
        entropy: &app.entropy,
        clock: &app.clock,
    };
    // By a correction, which gives no shards: the table's costs are those of an account that has
    // one.
    let entered = tools
        .correct(id, &EntryId::named("bench"), 100_000, "bench")
        .await;
    entered
        .map(drop)
        .map_err(|refusal| Fault::from(format!("{refusal:?}")))
}

/// The request that sends an agreement to somebody who is asked questions.
pub(crate) fn sending(world: &World, key: &str) -> Event {
    let sender = json!({ "email": "sales@example.com" });
    let body = json!({ "title": "Lease", "sender": sender, "recipients": [person(key, "kba")] });
    Event::post("/v1/agreements", body)
        .header("idempotency-key", &format!("\"{key}\""))
        .bearer(&world.key)
}

/// Sends an agreement; answers with its path.
pub(crate) async fn one(way: &mut Way<'_>, key: &str) -> Result<String, Fault> {
    prepare(way.world()).await?;
    let sent = way
        .ask("agreements", &sending(way.world(), key))
        .await?
        .expect(201)?;
    Ok(format!("/v1/agreements/{}", sent.text("id")?))
}

/// The request that opens the link of an agreement that was just sent.
pub(crate) async fn opening(way: &mut Way<'_>, key: &str) -> Result<Event, Fault> {
    one(way, key).await?;
    Ok(Event::post(
        "/v1/links/redeem",
        json!({ "token": way.link_to(&format!("{key}@example.com"))? }),
    ))
}

/// What is done to an agreement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Its recipient is asked something else.
    Change,
    /// Its recipient has signed, who is the only one.
    Complete,
    /// Its recipient is mailed the link again.
    Resend,
    /// Its sender cancels it.
    Cancel,
    /// A link to its report is made.
    LinkReport,
}

/// The request that does this to an agreement that was just sent to somebody who has nothing to
/// prove.
pub(crate) async fn acting(way: &mut Way<'_>, act: Act) -> Result<Event, Fault> {
    let key = format!("acted-{}", next());
    let sent = send(way, &key, &[person(&key, "none")]).await?;
    let recipient = sent.recipient(0)?;
    let event = match act {
        Act::Change => Event::patch(recipient, json!({ "authentication": "sms" })),
        Act::Resend => Event::post(format!("{recipient}/resend"), json!({})),
        Act::Cancel => Event::post(
            format!("{}/cancel", sent.path),
            json!({ "reason": "Sent by mistake." }),
        ),
        Act::LinkReport => Event::post(format!("{}/audit/links", sent.path), json!({})),
        Act::Complete => {
            let token = way.link_to(&format!("{key}@example.com"))?;
            let opened = way
                .ask(
                    "link-redeem",
                    &Event::post("/v1/links/redeem", json!({ "token": token })),
                )
                .await?;
            opened.expect(200)?;
            Event::post(format!("{recipient}/complete"), json!({}))
        }
    };
    Ok(event.bearer(&way.world().key))
}

/// Somebody new who is being asked: the provider, the challenge and the session.
pub(crate) async fn asked(way: &mut Way<'_>) -> Result<(Vendor, String, String), Fault> {
    let event = opening(way, &format!("asked-{}", next())).await?;
    let challenge = way
        .ask("link-redeem", &event)
        .await?
        .expect(200)?
        .text("challenge")?;
    let vendor = Vendor::of(way.world()).await?;
    let session = vendor.session(way, &challenge).await?;
    Ok((vendor, challenge, session))
}

/// Opens the link and one session after the other, and has each answered; the last is looked at.
async fn answered(
    way: &mut Way<'_>,
    vendor: &Vendor,
    name: &str,
    outcomes: &[&str],
) -> Result<(), Fault> {
    let challenge = redeemed(way, name).await?;
    for outcome in outcomes {
        let session = vendor.open(way, &challenge).await?;
        vendor.say(way, &session, outcome).await?;
        let look = Event::get(format!("/v1/kba/sessions/{session}")).bearer(&challenge);
        let told = way
            .ask("kba-session", &look)
            .await?
            .expect(200)?
            .text("status")?;
        if told != *outcome {
            return Err(format!("{outcome} was said, and {told} is told").into());
        }
    }
    Ok(())
}
