//! A code by SMS for a recipient of an agreement: under the same limits as a user's, on the recipient's item.

use std::sync::Arc;

use shared::account::Account;
use shared::agreement::{self, Agreement, Authentication, Recipient, Standing, Ticket};
use shared::audit::{Action, Actor, Event};
use shared::challenge::{Challenge, Refusal};
use shared::clock::Timestamp;
use shared::code::{self, Draft, PER_DESTINATION, PER_SOURCE};
use shared::config::source_key;
use shared::courier::{CodeMessage, NotSent};
use shared::dynamo::{Failure, Item, Patience, Write, document, keys, read};
use shared::http::{Call, Outcome, Problem, Reply, Slug};
use shared::idempotency::IdempotencyKey;
use shared::keyring::Keyring;
use shared::send_budget::Budget;
use shared::throttle::Window;
use shared::user::Method;

use crate::claim::{Denial, Place, Trims, read_log};
use crate::{Request, Response, State, unanswered};

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
    let mut patience = Patience::default();
    let mut trims = Trims::default();
    loop {
        let (case, record) = Case::read(state, call, ticket, key.as_ref(), now).await?;
        if let Some(reply) = key.as_ref().map(|key| key.answer_again(record, now)).transpose()?.flatten() {
            return Ok(reply);
        }
        if let Err(problem) = case.decide() {
            // The items were not read at one instant: the send that stands in the way may be this very request's.
            let overtaken = (problem.slug() == Slug::ResendTooSoon).then_some(key.as_ref()).flatten();
            let Some(key) = overtaken else { return Err(problem) };
            return key.answer_again(app.table.get(key.record()).await?, now)?.ok_or(problem);
        }
        let draft = code::draw(ticket, METHOD, &keyring, &app.entropy, now)?;
        let answer = case.answer(&draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(&draft, &trims, key.as_ref().map(|key| (key, body.as_str())))?;
        match app.table.transact(writes).await {
            Ok(()) => return case.send(&draft, key.as_ref(), &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                case.undo(&draft, key.as_ref()).await;
                return Err(failure.into());
            }
            Err(failure) => {
                trims = case.lost(&failure)?;
                patience.wait(&app.entropy).await?;
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
        let source = keys::source_sends(&source_key(call.source));
        let mut wanted = Standing::keys(ticket.agreement, ticket.recipient).to_vec();
        wanted.extend([keys::account(ticket.account), source]);
        wanted.extend(key.map(IdempotencyKey::record));
        let mut items = state.app.table.get_all(wanted).await?.into_iter();
        let standing = Standing::read(&mut items)?;
        let mut next = || items.next().flatten();
        let (Some(standing), Some(account)) = (standing, next()) else { return Err(Refusal::Unknown.problem(now)) };
        let account: Account = read(account)?;
        call.allow_origins(&account.settings()?.origins);
        let sends_of_source = next().as_ref().map(Window::moments).unwrap_or_default();
        Ok((Self { state, call, ticket, account, standing, sends_of_source, now }, next()))
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
        self.standing.accessible(*now).map_err(agreement::Refusal::problem_of_recipient)?;
        let challenge = self.ticket.trial(recipient, METHOD, *now).map_err(|refusal| refusal.problem(*now))?;
        let refusal = if recipient.asked(agreement) != Authentication::Sms || recipient.phone.is_none() {
            Some(Denial::MethodNotEnabled)
        } else if !recipient.phone_country.as_ref().is_some_and(|at| self.state.app.config.sms_countries.contains(at)) {
            Some(Denial::DestinationNotAllowed)
        } else if let Some(at) = code::resend_at(challenge, *now) {
            Some(Denial::TooSoon(at))
        } else {
            PER_SOURCE.full_until(&self.sends_of_source, *now).map(|(until, limit)| Denial::TooMany(until, limit))
        };
        refusal.map_or(Ok(()), |denial| Err(denial.problem(*now)))
    }

    /// Why a claim did not go through: a limit says so, or what it was decided from has changed.
    fn lost(&self, failure: &Failure) -> Result<Trims, Problem> {
        let destination = read_log(failure, Place::Destination, &PER_DESTINATION, self.now);
        let source = read_log(failure, Place::Source, &PER_SOURCE, self.now);
        let Failure::Condition(reasons) = failure else { return Ok(Trims::default()) };
        let Some((budget, others)) = reasons.split_last() else { return Ok(Trims::default()) };
        // What the challenge has to say comes first: the next read finds it.
        if others.iter().skip(Place::User as usize).any(Option::is_some) {
            return Ok(Trims { destination: destination.ok().flatten(), source: source.ok().flatten() });
        }
        let told = |denial: Denial| denial.problem(self.now);
        let trims = Trims { destination: destination.map_err(told)?, source: source.map_err(told)? };
        if budget.is_some() && trims.destination.is_none() && trims.source.is_none() {
            let country = self.recipient().phone_country.as_deref();
            tracing::warn!(account.id = %self.account.id, sms.country = country, "the budget of texts is used up");
            return Err(Denial::OutOfBudget.problem(self.now));
        }
        Ok(trims)
    }

    /// The budget that the text is taken from: the same that the account's users have.
    fn budget(&self) -> Budget<'_> {
        Budget { account: self.account.id, country: self.recipient().phone_country.as_deref().unwrap_or_default() }
    }

    fn phone(&self) -> &str {
        self.recipient().phone.as_deref().unwrap_or_default()
    }

    fn challenge(&self) -> Option<&Challenge> {
        self.recipient().challenges.get(&self.ticket.name)
    }

    fn sends(&self) -> u32 {
        self.challenge().map_or(0, |challenge| challenge.sends)
    }

    /// The writes of the claim, in the order of [`Place`]; the budget's is the last.
    fn claim(&self, draft: &Draft, trims: &Trims, key: Option<(&IdempotencyKey, &str)>) -> Result<Vec<Write>, Failure> {
        let source = keys::source_sends(&source_key(self.call.source));
        let event = self.event(Action::CodeSent).with("reference", draft.stored.reference.as_str());
        let mut writes = vec![
            PER_DESTINATION.enter(keys::destination_sends(self.phone()), self.now, trims.destination.as_deref()),
            PER_SOURCE.enter(source, self.now, trims.source.as_deref()),
        ];
        writes.extend(self.standing.step(self.code_update(draft)?, [event], self.now)?);
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?);
        }
        writes.push(self.budget().take(self.now));
        Ok(writes)
    }

    /// The update that puts the new code in the place of the one before.
    fn code_update(&self, draft: &Draft) -> Result<Write, Failure> {
        let update = self
            .standing
            .update()
            .and(", #challenges.#c.#codes.#m = :code, #challenges.#c.#sends = :sends, #challenges.#c.#sent_at = :now")
            .and(", #challenges.#c.#texts = :texts")
            .value("texts", self.challenge().map(|challenge| challenge.texts_with(METHOD, self.now)).unwrap_or_default())
            .when("#challenges.#c.#sends = :sends_before")
            // A wrong code is counted without a new version, and may have been the one that locks the factor.
            .when("attribute_not_exists(#factors.#m.#failures) OR #factors.#m.#failures = :failures")
            .value("failures", self.recipient().factor(METHOD).failures)
            .name("m", METHOD.name())
            .value("code", document(&draft.stored)?)
            .value("sends", self.sends() + 1)
            .value("sends_before", self.sends())
            .value("now", self.now);
        let before = self.challenge().and_then(|challenge| challenge.codes.get(METHOD.name()));
        let update = match before {
            Some(before) => update
                .and(", #challenges.#c.#superseded.#m = list_append(#challenges.#c.#superseded.#m, :superseded)")
                .value("superseded", document(&[&before.mac])?),
            None => update,
        };
        Ok(self.ticket.guard(update, self.now))
    }

    async fn send(&self, draft: &Draft, key: Option<&IdempotencyKey>, answer: &Response) -> Outcome {
        match self.deliver(draft).await {
            Ok(()) => {}
            Err(NotSent::Unknown) => unanswered(self.account.id, METHOD, self.now),
            Err(not_sent @ NotSent::Refused) => {
                self.undo(draft, key).await;
                return Err(not_sent.into());
            }
        }
        if let Some(key) = key {
            // Should this fail, the same request is told to wait until its lease is over, which is when its code is.
            if self.state.app.table.update_patiently(key.complete(), &self.state.app.entropy).await.is_err() {
                tracing::warn!("an idempotency record could not be completed");
            }
        }
        Ok(Reply::json(202, answer))
    }

    async fn deliver(&self, draft: &Draft) -> Result<(), NotSent> {
        let base = self.call.base_url(self.state.app.config.base_url.as_deref());
        // The code is typed on this service's own page, which the link leads to.
        let host = url::Url::parse(&base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let message = CodeMessage {
            organisation: &self.account.name,
            locale: self.agreement().locale,
            code: &draft.digits,
            reference: &draft.stored.reference,
            expires_in: code::LIFETIME,
            host: &host,
        };
        self.state.courier.text(self.phone(), &message.sms()).await
    }

    /// Takes back a claim whose message was not taken: the code, the cooldown, the count and both counters. Where even that fails, the send
    /// stays counted: it errs on the side of fewer.
    async fn undo(&self, draft: &Draft, key: Option<&IdempotencyKey>) {
        let app = &self.state.app;
        let mut patience = Patience::default();
        loop {
            let undone = match self.undoing(draft, key).await {
                Ok(None) => return,
                Ok(Some(writes)) => app.table.transact(writes).await,
                Err(failure) => Err(failure),
            };
            match undone {
                Ok(()) => return,
                Err(Failure::Unavailable(_)) => break,
                Err(_) if patience.wait(&app.entropy).await.is_err() => break,
                Err(_) => {}
            }
        }
        tracing::error!("a send to a recipient that failed stays counted");
    }

    /// The writes that take the claim back, over what stands now; none where it was not made.
    async fn undoing(&self, draft: &Draft, key: Option<&IdempotencyKey>) -> Result<Option<Vec<Write>>, Failure> {
        let logs = [keys::destination_sends(self.phone()), keys::source_sends(&source_key(self.call.source))];
        let [destination, source] = logs.clone();
        let standing = Standing::keys(self.ticket.agreement, self.ticket.recipient).into_iter();
        let mut items = self.state.app.table.get_all(standing.chain([destination, source]).collect()).await?.into_iter();
        let Some(standing) = Standing::read(&mut items)? else { return Ok(None) };
        let challenge = standing.recipient().challenges.get(&self.ticket.name);
        // Who has proved themselves otherwise meanwhile was given back what the challenge had taken.
        let given_back = challenge.is_some_and(|challenge| challenge.used_at.is_some());
        let stands = challenge.and_then(|challenge| challenge.codes.get(METHOD.name()));
        if stands.is_none_or(|code| code.mac != draft.stored.mac) {
            return Ok(None);
        }
        let event = self.event(Action::CodeNotSent).failed().with("reference", draft.stored.reference.as_str());
        let mut writes = standing.step(self.restoration(&standing, draft)?, [event], self.now)?;
        for key in logs {
            let moments = items.next().flatten().as_ref().map(Window::moments).unwrap_or_default();
            writes.extend(Window::withdraw(key, self.now, &moments));
        }
        writes.extend(key.map(IdempotencyKey::free));
        if !given_back {
            writes.push(self.budget().give_back(self.now));
        }
        Ok(Some(writes))
    }

    /// The update that gives the send back, and the code before.
    fn restoration(&self, stands: &Standing, draft: &Draft) -> Result<Write, Failure> {
        let sent_at = self.challenge().map_or(Timestamp::default(), |challenge| challenge.sent_at);
        let update = stands
            .update()
            .and(", #challenges.#c.#sends = :sends, #challenges.#c.#sent_at = :sent_at, #challenges.#c.#texts = :texts")
            .value("texts", self.challenge().map(|challenge| challenge.texts.clone()).unwrap_or_default())
            .when("#challenges.#c.#codes.#m.#mac.#h = :digest AND #challenges.#c.#sends = :claimed")
            .name("c", self.ticket.name.as_str())
            .name("m", METHOD.name())
            .value("digest", draft.stored.mac.digest.as_str())
            .value("claimed", self.sends() + 1)
            .value("sends", self.sends())
            .value("sent_at", sent_at);
        let before = self.challenge().and_then(|challenge| challenge.codes.get(METHOD.name()));
        let Some(before) = before else { return Ok(update.remove("#challenges.#c.#codes.#m")) };
        let place = self.challenge().and_then(|challenge| challenge.superseded.get(METHOD.name())).map_or(0, Vec::len);
        Ok(update
            .and(", #challenges.#c.#codes.#m = :before")
            .value("before", document(before)?)
            .remove(format!("#challenges.#c.#superseded.#m[{place}]")))
    }

    fn event(&self, action: Action) -> Event {
        let event = Event::new(action, Actor::Recipient(self.recipient().id)).from(self.call.source);
        event.with("method", METHOD.name()).with("destination", self.recipient().masked_phone().unwrap_or_default())
    }

    fn answer(&self, draft: &Draft) -> Response {
        Response {
            method: METHOD,
            destination: self.recipient().masked_phone().unwrap_or_default(),
            reference: draft.stored.reference.clone(),
            expires_in: code::LIFETIME.as_secs(),
            resend_in: code::cooldown(self.sends() + 1).as_secs(),
            code_length: code::length(METHOD),
        }
    }
}
