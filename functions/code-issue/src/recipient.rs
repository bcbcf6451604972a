//! A code by SMS for a recipient of an agreement: under the same limits as a user's, on the
//! recipient's item.

use std::sync::Arc;

use shared::account::Account;
use shared::agreement::{self, Agreement, Authentication, Recipient, Standing, Ticket};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::messaging::courier::{CodeMessage, NotSent, Use, bound_to};
use shared::signin::challenge::{Challenge, Place, Refusal};
use shared::signin::code::counters::{self, Counters, Full, Trims};
use shared::signin::code::{self, Draft, PER_SOURCE, Sent};
use shared::signin::reserved::Asker;
use shared::signin::user::known::Origin;
use shared::signin::user::{Method, factor};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Item, RetryPolicy, Write, document, keys, read};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;

use crate::claim::{Denial, Undo};
use crate::{Request, Response, State};

const METHOD: Method = Method::Sms;

/// What is known when a send is decided.
struct Case<'a> {
    state: &'a State,
    call: &'a Call,
    ticket: &'a Ticket,
    account: Account,
    standing: Standing,
    sends_of_source: Vec<Timestamp>,
    now: Timestamp,
}

/// Sends a code to a recipient, once per `Idempotency-Key` where there is one.
pub async fn issue(
    state: &State,
    call: &Call,
    request: &Request,
    ticket: &Ticket,
    keyring: Arc<Keyring>,
    now: Timestamp,
) -> Outcome {
    let app = &state.app;
    if request.method.method() != METHOD {
        return Err(Problem::new(Slug::MethodNotEnabled));
    }
    let key = IdempotencyKey::of(call, &ticket.name)?;
    let mut retries = RetryPolicy::default();
    let mut trims = Trims::default();
    loop {
        let (case, record) = Case::read(state, call, ticket, key.as_ref(), now).await?;
        if let Some(reply) = key
            .as_ref()
            .map(|key| key.answer_again(record, now))
            .transpose()?
            .flatten()
        {
            return Ok(reply);
        }
        if let Err(problem) = case.decide() {
            // The items were not read at one instant: the send that stands in the way may be this
            // very request's.
            let overtaken = (problem.slug() == Slug::ResendTooSoon)
                .then_some(key.as_ref())
                .flatten();
            let Some(key) = overtaken else {
                return Err(problem);
            };
            return key
                .answer_again(app.table.get(key.record()).await?, now)?
                .ok_or(problem);
        }
        let draft = code::draw(ticket, METHOD, &keyring, &app.entropy, now)?;
        let answer = case.answer(&draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(&draft, &trims, key.as_ref().map(|key| (key, body.as_str())))?;
        match app.table.transact(writes).await {
            Ok(()) => return case.send(&draft, key.as_ref(), &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                case.undo(&draft, key.as_ref(), Undo::IfClaimed).await;
                return Err(failure.into());
            }
            Err(failure) => {
                trims = case
                    .counters()
                    .lost(&failure)
                    .map_err(|full| case.refused(full))?;
                retries.wait(&app.entropy).await?;
            }
        }
    }
}

impl<'a> Case<'a> {
    /// Reads, in one request, what the rules look at.
    async fn read(
        state: &'a State,
        call: &'a Call,
        ticket: &'a Ticket,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<(Self, Option<Item>), Problem> {
        let source = keys::client_ip_sends(&client_ip_key(call.client_ip));
        let mut wanted = Standing::keys(ticket.agreement, ticket.recipient).to_vec();
        wanted.extend([keys::account(ticket.account), source]);
        wanted.extend(key.map(IdempotencyKey::record));
        let mut items = state.app.table.get_all(wanted).await?.into_iter();
        let standing = Standing::read(&mut items)?;
        let mut next = || items.next().flatten();
        let (Some(standing), Some(account)) = (standing, next()) else {
            return Err(Refusal::Unknown.problem(now));
        };
        let account: Account = read(account)?;
        call.allow_origins(&account.settings()?.origins);
        let sends_of_source = next().as_ref().map(Window::moments).unwrap_or_default();
        Ok((
            Self {
                state,
                call,
                ticket,
                account,
                standing,
                sends_of_source,
                now,
            },
            next(),
        ))
    }

    const fn agreement(&self) -> &Agreement {
        self.standing.agreement()
    }

    const fn recipient(&self) -> &Recipient {
        self.standing.recipient()
    }

    /// Whether a code may be sent, as far as what was read tells.
    fn decide(&self) -> Result<(), Problem> {
        let (agreement, recipient, now) = (self.agreement(), self.recipient(), &self.now);
        self.standing
            .accessible(*now)
            .map_err(agreement::Refusal::problem_of_recipient)?;
        let challenge = self
            .ticket
            .trial(recipient, METHOD, Origin::Stranger, *now)
            .map_err(|refusal| refusal.problem(*now))?;
        let refusal =
            if recipient.asked(agreement) != Authentication::Sms || recipient.phone.is_none() {
                Some(Denial::MethodNotEnabled)
            } else if !recipient
                .phone_country
                .as_ref()
                .is_some_and(|at| self.state.app.config.sms_countries.contains(at))
            {
                Some(Denial::DestinationNotAllowed)
            } else if let Some(at) = challenge.sent(METHOD).resend_at(*now) {
                Some(Denial::TooSoon(at))
            } else {
                PER_SOURCE
                    .full_until(&self.sends_of_source, *now)
                    .map(|(until, limit)| Denial::Full(Full::Until(until, limit)))
            };
        refusal.map_or(Ok(()), |denial| Err(denial.problem(*now)))
    }

    /// The refusal of a counter that is full.
    fn refused(&self, full: Full) -> Problem {
        if full == Full::Budget {
            let country = self.recipient().phone_country.as_deref();
            tracing::warn!(account.id = %self.account.id, sms.country = country, "the budget of texts is used up");
        }
        full.problem(self.now)
    }

    /// What the code counts in: the windows and the budget that the account's users have. A
    /// recipient is known at no address, and has all that known addresses have left.
    fn counters(&self) -> Counters<'_> {
        Counters {
            account: self.account.id,
            destination: self.phone(),
            country: Some(
                self.recipient()
                    .phone_country
                    .as_deref()
                    .unwrap_or_default(),
            ),
            standing: counters::Standing::Entered,
            asker: Asker::Anybody,
            source: self.call.client_ip,
            now: self.now,
        }
    }

    fn phone(&self) -> &str {
        self.recipient().phone.as_deref().unwrap_or_default()
    }

    fn challenge(&self) -> Option<&Challenge> {
        self.recipient().challenges.get(&self.ticket.name)
    }

    /// The codes that were sent before this one.
    fn sent(&self) -> Sent {
        self.challenge()
            .map(|challenge| challenge.sent(METHOD))
            .unwrap_or_default()
    }

    /// The writes of the claim: the counters', the recipient's, the agreement's with its entry, and
    /// the record's of an idempotency key.
    fn claim(
        &self,
        draft: &Draft,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let event = self
            .event(Action::CodeSent)
            .with("reference", draft.stored.reference.as_str());
        let mut writes = self.counters().enter(trims);
        writes.extend(
            self.standing
                .step(self.code_update(draft)?, [event], self.now)?,
        );
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?);
        }
        Ok(writes)
    }

    /// The update that puts the new code in the place of the one before.
    fn code_update(&self, draft: &Draft) -> Result<Write, Failure> {
        let update = self
            .standing
            .update()
            .and(", #challenges.#c.#codes.#m = :code, #challenges.#c.#sent.#m = :sent, #challenges.#c.#texts = :texts")
            .name("m", METHOD.name())
            .value("code", document(&draft.stored)?)
            .value("sent", document(&self.sent().and_now(self.now))?)
            .value("texts", self.challenge().map(|challenge| challenge.texts_with(METHOD, self.now)).unwrap_or_default());
        let update = factor::unmoved(update, &self.recipient().factor(METHOD), Origin::Stranger);
        let update = unmoved(update, self.sent().count);
        let before = self
            .challenge()
            .and_then(|challenge| challenge.codes.get(METHOD.name()));
        let update = match before {
            Some(before) => update
                .and(", #challenges.#c.#superseded.#m = list_append(#challenges.#c.#superseded.#m, :superseded)")
                .value("superseded", document(&[&before.mac])?),
            None => update,
        };
        Ok(self.ticket.guard(update, self.now))
    }

    async fn send(
        &self,
        draft: &Draft,
        key: Option<&IdempotencyKey>,
        answer: &Response,
    ) -> Outcome {
        match self.deliver(draft).await {
            Ok(()) => {}
            Err(NotSent::Unknown) => code::unanswered(self.account.id, METHOD, self.now),
            Err(not_sent @ NotSent::Refused) => {
                self.undo(draft, key, Undo::Claimed).await;
                return Err(not_sent.into());
            }
        }
        if let Some(key) = key {
            // Should this fail, the same request is told to wait until its lease is over, which is
            // when its code is.
            if self
                .state
                .app
                .table
                .update_with_retries(key.complete(), &self.state.app.entropy)
                .await
                .is_err()
            {
                tracing::warn!("an idempotency record could not be completed");
            }
        }
        Ok(Reply::json(202, answer))
    }

    async fn deliver(&self, draft: &Draft) -> Result<(), NotSent> {
        let base = self
            .call
            .base_url(self.state.app.config.base_url.as_deref());
        // The code is typed on this service's own page, which the link leads to.
        let host = bound_to(&[], &base);
        let message = CodeMessage {
            used_for: Use::SignIn,
            organisation: &self.account.name,
            locale: self.agreement().locale,
            code: &draft.digits,
            reference: &draft.stored.reference,
            expires_in: code::LIFETIME,
            host: &host,
        };
        self.state.courier.sms(self.phone(), &message.sms()).await
    }

    /// Takes back a claim whose message was not taken, or one that may have been made: the code,
    /// the wait, the count and the counters. Where even that fails, the send stays counted: it errs
    /// on the side of fewer.
    async fn undo(&self, draft: &Draft, key: Option<&IdempotencyKey>, what: Undo) {
        let app = &self.state.app;
        if app
            .table
            .transact_anew(|| self.undoing(draft, key, what), &app.entropy)
            .await
            .is_err()
        {
            tracing::error!("a send to a recipient that failed stays counted");
        }
    }

    /// The writes that take the claim back, over what stands now; none where it was not made. Where
    /// the challenge has ended meanwhile, the counters and the key are given back all the same.
    async fn undoing(
        &self,
        draft: &Draft,
        key: Option<&IdempotencyKey>,
        what: Undo,
    ) -> Result<Option<Vec<Write>>, Failure> {
        let standing = Standing::keys(self.ticket.agreement, self.ticket.recipient).into_iter();
        let wanted = standing.chain(self.counters().logs()).collect();
        let mut items = self.state.app.table.get_all(wanted).await?.into_iter();
        let Some(standing) = Standing::read(&mut items)? else {
            return Ok(None);
        };
        let challenge = standing.recipient().challenges.get(&self.ticket.name);
        // Who has completed the challenge by a text meanwhile was given back all of its texts with
        // that. A pass of KBA gives back none.
        let used = challenge.is_some_and(|challenge| challenge.used_at.is_some());
        let typed = used
            && standing
                .recipient()
                .factor(METHOD)
                .was_cleared_since(&self.recipient().factor(METHOD));
        let live = challenge.and_then(|challenge| challenge.codes.get(METHOD.name()));
        let stands = live.is_some_and(|code| code.mac == draft.stored.mac);
        if what == Undo::IfClaimed && !stands {
            return Ok(None);
        }
        let event = self
            .event(Action::CodeNotSent)
            .failed()
            .with("reference", draft.stored.reference.as_str());
        let recipient = if stands {
            self.restoration(&standing, draft)?
        } else {
            standing.unchanged()
        };
        let mut writes = standing.step(recipient, [event], self.now)?;
        writes.extend(self.counters().withdraw(&items.collect::<Vec<_>>(), !typed));
        writes.extend(key.map(IdempotencyKey::free));
        Ok(Some(writes))
    }

    /// The update that gives the send back, and the code before.
    fn restoration(&self, stands: &Standing, draft: &Draft) -> Result<Write, Failure> {
        let update = stands
            .update()
            .and(", #challenges.#c.#texts = :texts")
            .value(
                "texts",
                self.challenge()
                    .map(|challenge| challenge.texts.clone())
                    .unwrap_or_default(),
            )
            .when("#challenges.#c.#codes.#m.#mac.#h = :digest")
            .name("c", self.ticket.name.as_str())
            .name("m", METHOD.name())
            .value("digest", draft.stored.mac.digest.as_str());
        let update = unmoved(update, self.sent().count + 1);
        let update = match self.sent() {
            Sent { count: 0, .. } => update.remove("#challenges.#c.#sent.#m"),
            sent => update
                .and(", #challenges.#c.#sent.#m = :sent")
                .value("sent", document(&sent)?),
        };
        let before = self
            .challenge()
            .and_then(|challenge| challenge.codes.get(METHOD.name()));
        let Some(before) = before else {
            return Ok(update.remove("#challenges.#c.#codes.#m"));
        };
        let place = self
            .challenge()
            .and_then(|challenge| challenge.superseded.get(METHOD.name()))
            .map_or(0, Vec::len);
        Ok(update
            .and(", #challenges.#c.#codes.#m = :before")
            .value("before", document(before)?)
            .remove(format!("#challenges.#c.#superseded.#m[{place}]")))
    }

    fn event(&self, action: Action) -> Event {
        let event =
            Event::new(action, Actor::Recipient(self.recipient().id)).from(self.call.client_ip);
        event.with("method", METHOD.name()).with(
            "destination",
            self.recipient().masked_phone().unwrap_or_default(),
        )
    }

    fn answer(&self, draft: &Draft) -> Response {
        Response {
            method: METHOD,
            destination: self.recipient().masked_phone().unwrap_or_default(),
            reference: draft.stored.reference.clone(),
            expires_in: code::LIFETIME.as_secs(),
            resend_in: self.sent().and_now(self.now).cooldown().as_secs(),
            code_length: code::length(METHOD),
        }
    }
}

/// Adds the condition that so many codes were sent for the challenge.
fn unmoved(update: Write, count: u32) -> Write {
    match count {
        0 => update.when("attribute_not_exists(#challenges.#c.#sent.#m)"),
        count => update
            .when("#challenges.#c.#sent.#m.#count = :sent_before")
            .value("sent_before", count),
    }
}
