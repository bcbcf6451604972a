//! A code by SMS for a recipient of an agreement: under the same limits as a user's, on the
//! recipient's item.

use std::sync::Arc;

use shared::account::Account;
use shared::agreement::{self, Agreement, Authentication, Recipient, Standing, Ticket};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::messaging::courier::{CodeMessage, CodePurpose, NotSent, bound_to};
use shared::signin::challenge::{ChallengeRefusal, CodeSend};
use shared::signin::code::counters::{self, Counters, Full, Trims};
use shared::signin::code::{self, Draft, SendRefusal, allow_client_ip, allow_country};
use shared::signin::reserved::Requester;
use shared::signin::user::Method;
use shared::signin::user::known::Origin;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Item, RetryPolicy, Update, Write, keys};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::{IdempotencyKey, complete, refused_unless_answered};

use crate::issue::{Undo, problem};
use crate::{Request, Response, State};

const METHOD: Method = Method::Sms;

/// What is known when a send is decided.
struct RecipientSendCase<'a> {
    state: &'a State,
    call: &'a Call,
    ticket: &'a Ticket,
    account: Account,
    standing: Standing,
    /// When codes were sent at the wish of the client IP.
    sends: Vec<Timestamp>,
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
    let key = key.as_ref();
    let (mut retries, mut trims) = (RetryPolicy::default(), Trims::default());
    loop {
        let (case, record) = RecipientSendCase::read(state, call, ticket, key, now).await?;
        let answered = key.map(|key| key.answer_again(record, now));
        if let Some(reply) = answered.transpose()?.flatten() {
            return Ok(reply);
        }
        if let Err(problem) = case.decide() {
            return refused_unless_answered(app, key, problem, now).await;
        }
        let draft = code::draw(ticket, METHOD, &keyring, &app.entropy, now)?;
        let answer = case.answer(&draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(&draft, &trims, key.map(|key| (key, body.as_str())))?;
        match app.table.transact(writes).await {
            Ok(()) => return case.send(&draft, key, &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                case.undo(&draft, key, Undo::IfClaimed).await;
                return Err(failure.into());
            }
            Err(failure) => {
                let lost = case.counters().lost(&failure);
                trims = lost.map_err(|full| case.refused(full))?;
                retries.wait(&app.entropy).await?;
            }
        }
    }
}

impl<'a> RecipientSendCase<'a> {
    /// Reads, in one request, what the rules look at.
    async fn read(
        state: &'a State,
        call: &'a Call,
        ticket: &'a Ticket,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<(Self, Option<Item>), Problem> {
        let wanted = (
            Standing::wanted(ticket.agreement, ticket.recipient),
            Account::concerned(call, ticket.account),
            keys::client_ip_sends(&client_ip_key(call.client_ip)),
            key.map(IdempotencyKey::record),
        );
        let (standing, account, sends, record) = state.app.table.find(wanted).await?;
        let known = standing.zip(account);
        let (standing, account) = known.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
        let case = Self {
            state,
            call,
            ticket,
            account,
            standing,
            sends: sends.as_ref().map(Window::moments).unwrap_or_default(),
            now,
        };
        Ok((case, record))
    }

    const fn agreement(&self) -> &Agreement {
        self.standing.agreement()
    }

    const fn recipient(&self) -> &Recipient {
        self.standing.recipient()
    }

    /// Whether a code may be sent, as far as what was read tells.
    fn decide(&self) -> Result<(), Problem> {
        self.standing
            .accessible(self.now)
            .map_err(agreement::AgreementRefusal::problem_of_recipient)?;
        self.allow().map_err(|refusal| problem(refusal, self.now))
    }

    fn allow(&self) -> Result<(), SendRefusal> {
        let recipient = self.recipient();
        self.code().trial()?;
        if recipient.asked(self.agreement()) != Authentication::Sms || recipient.phone.is_none() {
            return Err(SendRefusal::MethodNotEnabled);
        }
        let countries = &self.state.app.config.sms_countries;
        allow_country(recipient.phone_country.as_ref(), countries)?;
        self.code().is_due()?;
        allow_client_ip(&self.sends, self.now)
    }

    /// The send, on the challenge. A recipient is known at no address.
    const fn code(&self) -> CodeSend<'_, Ticket> {
        CodeSend {
            place: self.ticket,
            holder: self.recipient(),
            method: METHOD,
            origin: Origin::Stranger,
            now: self.now,
        }
    }

    /// The refusal of a counter that is full.
    fn refused(&self, full: Full) -> Problem {
        if full == Full::Budget {
            let country = self.recipient().phone_country.as_deref();
            tracing::warn!(account.id = %self.account.id, sms.country = country, "SMS send budget of this account and country is used up; the code was not sent; check the account for SMS pumping");
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
            standing: counters::ContactStatus::Entered,
            requester: Requester::Anybody,
            client_ip: self.call.client_ip,
            now: self.now,
        }
    }

    fn phone(&self) -> &str {
        self.recipient().phone.as_deref().unwrap_or_default()
    }

    /// The writes of the claim: the counters', the recipient's, the agreement's with its entry, and
    /// the record's of an idempotency key.
    fn claim(
        &self,
        draft: &Draft,
        trims: &Trims,
        key: Option<(&IdempotencyKey, &str)>,
    ) -> Result<Vec<Write>, Failure> {
        let mut writes = self.counters().enter(trims);
        let event = self.event(Action::CodeSent, draft);
        writes.extend(self.standing.step(self.entry(draft)?, [event], self.now)?);
        if let Some((key, answer)) = key {
            writes.push(key.claim(answer, self.now)?.into());
        }
        Ok(writes)
    }

    /// The update that enters the code, under the condition as well that so many were sent before.
    fn entry(&self, draft: &Draft) -> Result<Update, Failure> {
        let code = self.code();
        let update = self.standing.update();
        let update = update.when(code.counts(code.sent_before()));
        code.enter(update, draft)
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
        complete(&self.state.app, key).await;
        Ok(Reply::json(answer))
    }

    async fn deliver(&self, draft: &Draft) -> Result<(), NotSent> {
        let base = self
            .call
            .base_url(self.state.app.config.base_url.as_deref());
        // The code is typed on this service's own page, which the link leads to.
        let host = bound_to(&[], &base);
        let message = CodeMessage {
            purpose: CodePurpose::SignIn,
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
            .transact_rebuilding(|| self.undoing(draft, key, what), &app.entropy)
            .await
            .is_err()
        {
            tracing::error!(
                "rollback of a failed send to a recipient did not commit; counters remain incremented; if repeated, check DynamoDB"
            );
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
        let standing = Standing::wanted(self.ticket.agreement, self.ticket.recipient);
        let wanted = (standing, self.counters().logs());
        let (standing, logs) = self.state.app.table.find(wanted).await?;
        let Some(standing) = standing else {
            return Ok(None);
        };
        let stands = self.code().stands(draft, standing.recipient());
        if what == Undo::IfClaimed && !stands {
            return Ok(None);
        }
        let update = self.restoration(&standing, stands.then_some(draft))?;
        let event = self.event(Action::CodeNotSent, draft).failed();
        let mut writes = standing.step(update, [event], self.now)?;
        let gives_back = !self.code().was_typed(standing.recipient());
        writes.extend(self.counters().withdraw(&logs, gives_back));
        writes.extend(key.map(|key| key.free().into()));
        Ok(Some(writes))
    }

    /// The update that takes the code back, under the condition as well that none was sent since;
    /// one that changes nothing, where the code does not stand.
    fn restoration(&self, standing: &Standing, draft: Option<&Draft>) -> Result<Update, Failure> {
        let Some(draft) = draft else {
            return Ok(standing.unchanged());
        };
        let code = self.code();
        let update = standing.update();
        let update = update.when(code.counts(code.sent()));
        code.take_back(update, draft)
    }

    fn event(&self, action: Action, draft: &Draft) -> Event {
        let masked = self.recipient().masked_phone().unwrap_or_default();
        Event::new(action, Actor::Recipient(self.recipient().id))
            .from(self.call.client_ip)
            .with("method", METHOD.name())
            .with("destination", masked)
            .with("reference", draft.stored.reference.as_str())
    }

    fn answer(&self, draft: &Draft) -> Response {
        Response {
            method: METHOD,
            destination: self.recipient().masked_phone().unwrap_or_default(),
            reference: draft.stored.reference.clone(),
            expires_in: code::LIFETIME.as_secs(),
            resend_in: self.code().sent().cooldown().as_secs(),
            code_length: code::length(METHOD),
        }
    }
}
