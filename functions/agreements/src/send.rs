//! `POST /v1/agreements`: all in one transaction, or nothing.
//!
//! Forty recipients who are all to be verified are one record of the request, one agreement, forty
//! recipients with the message in the outbox of each, one audit entry, one ledger entry with at
//! most eight shards and one share: 53 of the 100 actions that DynamoDB takes. The agreement's id
//! is made of the account and the key, and the record stands beside it for as long as it does: the
//! same key can never send twice.

use serde::{Deserialize, Serialize};
use shared::account::api_key::Caller;
use shared::account::{Account, PrefetchedGroup, Settings};
use shared::agreement::{Agreement, Authentication, Occasion, Recipient, RecipientStatus};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, AgreementId, RecipientId};
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::Fingerprint;
use shared::ledger::plan::{self, Plan, ReservationRequest};
use shared::ledger::{self, Balance, EntryId, Figures, Snapshot, StaleRead, Watch, balance, watch};
use shared::messaging::outbox::{self, OutboxMessage};
use shared::store::app::App;
use shared::store::audit::{Action, Chain, Event};
use shared::store::dynamo::{Failure, Item, Key, Put, RetryPolicy, Write, keys, read};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;
use utoipa::ToSchema;

use crate::State;
use crate::choice::{self, Choice};
use crate::draft::{Draft, Request};
use crate::list::Place;

/// An agreement that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SentAgreement)]
pub struct Response {
    /// Its id.
    pub id: AgreementId,
    /// `out_for_signature`
    pub status: shared::agreement::Status,
    /// Its recipients, as they were listed.
    pub recipients: Vec<Sent>,
    /// The account's quota with it. What others did in the same instant may not be in it.
    pub quota: Figures,
}

/// A recipient of an agreement that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SentRecipient)]
pub struct Sent {
    /// Its id.
    pub id: RecipientId,
    /// Where the link was mailed.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// What the recipient has to prove.
    pub authentication: Authentication,
    /// `pending`
    pub status: RecipientStatus,
}

/// What was asked and answered: kept for as long as the agreement.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The fingerprint of the request's body.
    request: String,
    /// The answer.
    answer: String,
    /// The request that made it: its own repetition by the SDK is no replay.
    made_by: String,
}

/// What is drawn for one attempt at sending, and what is answered if it is made.
struct Made {
    recipients: Vec<Recipient>,
    answer: Response,
}

/// A sending that is under way.
struct Sending<'a> {
    call: &'a Call,
    caller: &'a Caller,
    draft: &'a Draft,
    id: AgreementId,
    base: String,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let account = caller.account.id;
    let key = IdempotencyKey::of(call, &format!("agreements\n{account}"))?;
    let key = key.ok_or_else(|| Problem::new(Slug::IdempotencyKeyRequired))?;
    let draft = call.json::<Request>()?.read()?;
    let base = call.base_url(state.app.config.base_url.as_deref());
    let sending = Sending {
        call,
        caller,
        draft: &draft,
        id: id_of(account, &key),
        base,
    };
    Box::pin(sending.send(state)).await
}

/// The id of the agreement that a key of an account stands for.
fn id_of(account: AccountId, key: &IdempotencyKey) -> AgreementId {
    AgreementId::from_bytes(
        Fingerprint::of(format!("agreement\n{account}\n{}", key.record().pk).as_bytes()).short(),
    )
}

/// The settings that hold for a sender of `group`.
pub(crate) async fn settings(
    app: &App,
    account: &Account,
    group: Option<&str>,
) -> Result<Settings, Failure> {
    account
        .settings_in(group, PrefetchedGroup::default(), &app.table)
        .await
}

/// What the ledger holds on all shards at one instant, where that is to be `sighted`.
pub(crate) async fn look(
    app: &App,
    account: &Account,
    sighted: bool,
) -> Result<Option<Snapshot>, Failure> {
    if sighted {
        balance::snapshot(&app.table, &app.entropy, account)
            .await
            .map(Some)
    } else {
        Ok(None)
    }
}

impl Sending<'_> {
    async fn send(&self, state: &State) -> Outcome {
        let (app, account, now) = (&state.app, &self.caller.account, self.call.arrived_at);
        let keyring = app.keyrings.current(now).await;
        let mut retries = RetryPolicy::default();
        // What the ledger holds on all shards at one instant is looked at only once it has stood in
        // the way: reading it conflicts with whoever writes any of them.
        let mut sighted = false;
        loop {
            let group = self.draft.group.as_deref();
            let (before, settings) = tokio::join!(self.before(app), settings(app, account, group));
            let ((record, stale_read), settings) = (before?, settings?);
            if let Some(record) = record {
                return self.answered(state, record).await;
            }
            self.permit(&settings)?;
            let watch = Watch::of(account, &settings);
            let order = self.order(&watch, now);
            sighted |= !order.may_go_blindly(&stale_read);
            let seen = look(app, account, sighted).await?;
            let plan = match plan::reserve(&order, seen.as_ref()) {
                Ok(plan) => plan,
                Err(refusal) => return self.refused(state, refusal, &watch, seen.as_ref()).await,
            };
            let stood = seen.map_or_else(|| stale_read.total(), |seen| seen.total());
            let (made, writes) = self.make(app, &keyring, &settings, (&plan, stood))?;
            let Err(failure) = app.table.transact(writes).await else {
                return Ok(self.sent(state, &made, &plan).await);
            };
            if let Some(record) = self.taken(app, &failure).await {
                return self.answered(state, record).await;
            }
            sighted |= plan.failed(&failure);
            let _ = retries.settled(Err(failure), &app.entropy).await?;
        }
    }

    /// Draws the recipients and their links, and decides on the answer and the writes; `stood` is
    /// the account's balance before.
    fn make(
        &self,
        app: &App,
        keyring: &Keyring,
        settings: &Settings,
        (plan, stood): (&Plan, Balance),
    ) -> Result<(Made, Vec<Write>), Problem> {
        let now = self.call.arrived_at;
        let mut agreement = self
            .draft
            .agreement(self.id, &self.caller.account, settings, now);
        let mut recipients = self.draft.recipients(self.id, &app.entropy, now);
        assign(&mut recipients, plan);
        let answer = self.answer(&recipients, stood);
        let owed = self.invite(&agreement, &mut recipients, app, keyring, now)?;
        let writes = self.writes(&mut agreement, &recipients, &owed, plan, &answer, now)?;
        let made = Made { recipients, answer };
        Ok((made, writes))
    }

    /// What the same request was answered before, if it was; and what the account has, at a glance.
    async fn before(&self, app: &App) -> Result<(Option<Item>, StaleRead), Failure> {
        let record = keys::agreement_request(self.id);
        let wanted = (record, StaleRead::wanted(&self.caller.account));
        app.table.find(wanted).await
    }

    /// The record, where it stood in a transaction's way, or where nobody said what became of the
    /// transaction and there is one by now: an earlier attempt of this very request may have made
    /// it. Who the recipients are stands there, and not in what this attempt has drawn.
    async fn taken(&self, app: &App, failure: &Failure) -> Option<Item> {
        if let Failure::Unavailable(_) = failure {
            return app
                .table
                .get(keys::agreement_request(self.id))
                .await
                .ok()
                .flatten();
        }
        failure
            .stood_at(&keys::agreement_request(self.id))
            .filter(|item| !item.is_empty())
            .cloned()
    }

    /// It was sent: the mails go, and what is left of them the clean-up sends.
    async fn sent(&self, state: &State, made: &Made, plan: &Plan) -> Reply {
        let key = |recipient: &Recipient| keys::recipient(self.id, recipient.id);
        let mut mails: Vec<Key> = made.recipients.iter().map(key).collect();
        mails.extend(watch::tell(plan.crossing.as_ref(), self.call.arrived_at));
        outbox::deliver_all(&state.app, &state.courier, mails).await;
        Reply::json(&made.answer)
    }

    /// What the same request was answered before. Where that was this very request, in an attempt
    /// of which no answer came, it goes on from there: the mails go, and it is no replay.
    async fn answered(&self, state: &State, record: Item) -> Outcome {
        let record: Record = read(record)?;
        if record.request != Fingerprint::of(self.call.raw_body()).encode() {
            return Err(Problem::new(Slug::IdempotencyKeyReused));
        }
        let answer: serde_json::Value = serde_json::from_str(&record.answer).unwrap_or_default();
        let reply = Reply::json(&answer);
        if record.made_by != self.call.request_id {
            return Ok(reply.header("idempotency-replayed", "true".into()));
        }
        outbox::deliver_all(&state.app, &state.courier, self.mails(&answer)).await;
        Ok(reply)
    }

    /// The keys of the messages in the outbox for the recipients of an answer.
    fn mails(&self, answer: &serde_json::Value) -> Vec<Key> {
        let recipients = answer["recipients"].as_array().into_iter().flatten();
        let ids = recipients
            .filter_map(|recipient| recipient["id"].as_str()?.parse::<RecipientId>().ok());
        ids.map(|recipient| keys::recipient(self.id, recipient))
            .collect()
    }

    /// The reservation was refused; unless what stands in its way is this very request's.
    async fn refused(
        &self,
        state: &State,
        refusal: ledger::LedgerRefusal,
        watch: &Watch,
        seen: Option<&Snapshot>,
    ) -> Outcome {
        let app = &state.app;
        if let Some(record) = app.table.find(keys::agreement_request(self.id)).await? {
            return self.answered(state, record).await;
        }
        tell_overdue(
            state,
            watch,
            self.caller.account.id,
            seen,
            self.call.arrived_at,
        )
        .await;
        Err(refusal.into())
    }

    fn permit(&self, settings: &Settings) -> Result<(), Problem> {
        let pointers: Vec<String> = (0..self.draft.recipients.len())
            .map(|place| format!("/recipients/{place}"))
            .collect();
        let choices = self
            .draft
            .recipients
            .iter()
            .zip(&pointers)
            .map(|(recipient, pointer)| Choice {
                pointer,
                authentication: recipient.authentication,
                name: recipient.name.as_deref(),
                country: recipient.country.as_deref(),
            });
        choice::permit(&self.caller.account, settings, &choices.collect::<Vec<_>>())
    }

    fn order<'a>(&'a self, watch: &'a Watch, at: Timestamp) -> ReservationRequest<'a> {
        let group = self.draft.group.clone();
        let about = plan::About {
            agreement: Some(self.id.to_string()),
            recipient: None,
            group,
            sequence: Some(1),
        };
        let count = u32::try_from(self.draft.premium()).unwrap_or(u32::MAX);
        ReservationRequest {
            account: &self.caller.account,
            id: EntryId::reserve(self.id),
            about,
            count,
            watch,
            at,
        }
    }

    fn answer(&self, recipients: &[Recipient], stood: Balance) -> Response {
        let reserved = i64::try_from(self.draft.premium()).unwrap_or(i64::MAX);
        let quota = stood
            + Balance {
                available: -reserved,
                reserved,
                consumed: 0,
            };
        let sent = |recipient: &Recipient| Sent {
            id: recipient.id,
            email: recipient.email.clone(),
            authentication: recipient.authentication,
            status: recipient.status,
        };
        let recipients = recipients.iter().map(sent).collect();
        Response {
            id: self.id,
            status: shared::agreement::Status::OutForSignature,
            recipients,
            quota: quota.into(),
        }
    }

    /// Makes each recipient's link.
    fn invite(
        &self,
        agreement: &Agreement,
        recipients: &mut [Recipient],
        app: &App,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<OutboxMessage>, Problem> {
        let invite = |recipient: &mut Recipient| {
            let invited = agreement.invite(
                recipient,
                Occasion::Signing,
                &self.base,
                (keyring, &app.entropy),
                now,
            )?;
            recipient.links.push(invited.link.fingerprint);
            Ok(invited.message)
        };
        recipients.iter_mut().map(invite).collect()
    }

    fn writes(
        &self,
        agreement: &mut Agreement,
        recipients: &[Recipient],
        outbox: &[OutboxMessage],
        plan: &Plan,
        answer: &Response,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(agreement.account, agreement.id, &agreement.head);
        chain.append(self.event(agreement, recipients), now)?;
        chain.head().clone_into(&mut agreement.head);
        let record = Record {
            request: Fingerprint::of(self.call.raw_body()).encode(),
            answer: serde_json::to_string(answer).unwrap_or_default(),
            made_by: self.call.request_id.clone(),
        };
        let place = Place::of(agreement.id, agreement.created_at).into_text();
        let put = Put::create(keys::agreement(self.id), agreement)?
            .listed(keys::agreements(agreement.account), place)
            .look_at(agreement.expires_at);
        let record = Put::create(keys::agreement_request(self.id), &record)?;
        let mut writes = vec![record.into(), put.into()];
        for (recipient, message) in recipients.iter().zip(outbox) {
            let item = Invited {
                recipient,
                outbox: message,
            };
            let put = Put::create(keys::recipient(self.id, recipient.id), &item)?;
            writes.push(put.look_at(now).into());
        }
        writes.extend(chain.writes()?);
        writes.extend(plan.writes.iter().cloned());
        Ok(writes)
    }

    fn event(&self, agreement: &Agreement, recipients: &[Recipient]) -> Event {
        let told = recipients.iter().map(|recipient| {
            let method = recipient.authentication.name();
            serde_json::json!({"id": recipient.id, "email": recipient.masked_email(), "authentication": method})
        });
        let event = Event::new(Action::AgreementSent, self.caller.actor)
            .from(self.call.client_ip)
            .with("title", agreement.title.as_str())
            .with("expires_at", agreement.expires_at.to_rfc3339())
            .with("recipients", told.collect::<Vec<_>>());
        agreement
            .group
            .iter()
            .fold(event, |event, group| event.with("group", group.as_str()))
    }
}

/// Where a reservation is refused, the contacts are told that the balance is low, if nobody has
/// told them.
pub(crate) async fn tell_overdue(
    state: &State,
    watch: &Watch,
    account: AccountId,
    seen: Option<&Snapshot>,
    now: Timestamp,
) {
    if let Some(seen) = seen {
        let mails = watch::overdue(&state.app, watch, account, seen, now).await;
        outbox::deliver_all(&state.app, &state.courier, mails).await;
    }
}

/// A new recipient, with its message of the outbox.
#[derive(Serialize)]
struct Invited<'a> {
    #[serde(flatten)]
    recipient: &'a Recipient,
    outbox: &'a OutboxMessage,
}

/// Gives each recipient who is to be verified one of the reserved transactions.
fn assign(recipients: &mut [Recipient], plan: &Plan) {
    let premium = recipients
        .iter_mut()
        .filter(|recipient| recipient.authentication == Authentication::Kba);
    premium
        .zip(&plan.holds)
        .for_each(|(recipient, hold)| recipient.kba.hold = Some(*hold));
}
