//! The steps of a send.

use std::sync::Arc;

use shared::account::{Account, Settings};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::messaging::courier::{CodeMessage, CodePurpose, NotSent, bound_to};
use shared::signin::challenge::{ChallengeRefusal, Ticket};
use shared::signin::code::claim::CodeSendCase;
use shared::signin::code::counters::{Full, Trims};
use shared::signin::code::{self, Draft, SendRefusal};
use shared::signin::refusals::resend_too_soon;
use shared::signin::reserved::Requester;
use shared::signin::user::known::HashedIp;
use shared::signin::user::{Method, User};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::{IdempotencyKey, complete, refused_unless_answered};

use crate::{Request, Response, State};

/// What is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// A claim whose message was not taken.
    Claimed,
    /// A claim of which we do not know whether it was made.
    IfClaimed,
}

/// A send that is asked for.
struct Asked<'a> {
    state: &'a State,
    call: &'a Call,
    ticket: Ticket,
    keyring: Arc<Keyring>,
    method: Method,
    key: Option<IdempotencyKey>,
    now: Timestamp,
}

/// Sends a code, once per `Idempotency-Key` where there is one.
pub async fn issue(state: &State, call: &Call, request: &Request) -> Outcome {
    let now = call.arrived_at;
    let keyring = state.app.keyrings.current(now).await;
    let ticket = Ticket::read(request.challenge.expose(), &keyring)
        .map_err(|refusal| refusal.problem(now))?;
    let asked = Asked {
        state,
        call,
        key: IdempotencyKey::of(call, &ticket.name)?,
        ticket,
        keyring,
        method: request.method.method(),
        now,
    };
    asked.carry_out().await
}

/// What is known of a request before it is decided.
enum Known {
    /// It was carried out before, and this was the answer.
    Answered(Reply),
    /// It is to be decided, with when codes were sent at the wish of its client IP.
    Open(Box<CodeSendCase>, Vec<Timestamp>),
}

impl Asked<'_> {
    /// Claims the send, and sends the code.
    async fn carry_out(&self) -> Outcome {
        let (state, call, key) = (self.state, self.call, self.key.as_ref());
        let app = &state.app;
        let (mut retries, mut trims) = (RetryPolicy::default(), Trims::default());
        loop {
            let (case, sends) = match self.read().await? {
                Known::Answered(reply) => return Ok(reply),
                Known::Open(case, sends) => (case, sends),
            };
            if let Err(refusal) = case.decide(&app.config.sms_countries, &sends) {
                let problem = problem(refusal, self.now);
                return refused_unless_answered(app, key, problem, self.now).await;
            }
            let (ticket, keyring) = (&self.ticket, &self.keyring);
            let draft = code::draw(ticket, case.method, keyring, &app.entropy, self.now)?;
            let answer = answer(&case, &draft);
            let body = serde_json::to_string(&answer).unwrap_or_default();
            let writes = case.claim(&draft, &trims, key.map(|key| (key, body.as_str())))?;
            match app.table.transact(writes).await {
                Ok(()) => return send(state, call, &case, &draft, key, &answer).await,
                // It may have taken effect all the same: nothing was sent, so nothing may stand.
                Err(failure @ Failure::Unavailable(_)) => {
                    undo(state, &case, &draft, key, Undo::IfClaimed).await;
                    return Err(failure.into());
                }
                Err(failure) => {
                    let lost = case.counters().lost(&failure);
                    trims = lost.map_err(|full| refused(&case, full))?;
                    retries.wait(&app.entropy).await?;
                }
            }
        }
    }

    /// Reads, in one request, what the rules look at.
    async fn read(&self) -> Result<Known, Problem> {
        let (table, now) = (&self.state.app.table, self.now);
        let wanted = (
            keys::user(self.ticket.user).holding::<User>(),
            keys::client_ip_sends(&client_ip_key(self.call.client_ip)),
            self.key.as_ref().map(IdempotencyKey::record),
            self.ticket.settings_wanted(self.call),
        );
        let (user, sends, record, (account, group)) = table.find(wanted).await?;
        let known = user.zip(account);
        let (user, account) = known.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
        let settings = account
            .settings_in(user.group.as_deref(), group, table)
            .await?;
        let answered = self.key.as_ref().map(|key| key.answer_again(record, now));
        if let Some(reply) = answered.transpose()?.flatten() {
            return Ok(Known::Answered(reply));
        }
        let sends = sends.as_ref().map(Window::moments).unwrap_or_default();
        let case = self.case(user, account, settings)?;
        Ok(Known::Open(Box::new(case), sends))
    }

    fn case(
        &self,
        user: User,
        account: Account,
        settings: Settings,
    ) -> Result<CodeSendCase, Problem> {
        let (client_ip, now) = (self.call.client_ip, self.now);
        let hashed_ip = HashedIp::of(user.id, client_ip, &self.keyring, now)?;
        Ok(CodeSendCase {
            ticket: self.ticket.clone(),
            method: self.method,
            account,
            settings,
            origin: user.known.origin(&hashed_ip),
            requester: Requester::of(&user.known, &hashed_ip, now),
            user,
            client_ip,
            now,
        })
    }
}

/// The refusal of a counter that is full.
fn refused(case: &CodeSendCase, full: Full) -> Problem {
    if full == Full::Budget {
        tracing::warn!(account.id = %case.account.id, sms.country = case.user.phone_country, "SMS send budget of this account and country is used up; the code was not sent; check the account for SMS pumping");
    }
    full.problem(case.now)
}

async fn send(
    state: &State,
    call: &Call,
    case: &CodeSendCase,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    answer: &Response,
) -> Outcome {
    match deliver(state, call, case, draft).await {
        Ok(()) => {}
        Err(NotSent::Unknown) => code::unanswered(case.account.id, case.method, case.now),
        Err(not_sent @ NotSent::Refused) => {
            undo(state, case, draft, key, Undo::Claimed).await;
            return Err(not_sent.into());
        }
    }
    complete(&state.app, key).await;
    Ok(Reply::json(answer))
}

async fn deliver(
    state: &State,
    call: &Call,
    case: &CodeSendCase,
    draft: &Draft,
) -> Result<(), NotSent> {
    let base = call.base_url(state.app.config.base_url.as_deref());
    let host = bound_to(&case.settings.origins, &base);
    let message = CodeMessage {
        purpose: CodePurpose::SignIn,
        organisation: &case.account.name,
        code: &draft.digits,
        reference: &draft.stored.reference,
        expires_in: code::LIFETIME,
        host: &host,
        locale: case.user.locale.unwrap_or(case.settings.locale),
    };
    let rendered = |_| {
        tracing::error!(
            "code message could not be rendered; the code was not sent; fix the template"
        );
        NotSent::Refused
    };
    match case.method {
        Method::Email => {
            let mail = message.mail().map_err(rendered)?;
            let (account, to) = (case.account.id, case.destination());
            state.courier.mail(account, to, &mail).await
        }
        _ => state.courier.sms(case.destination(), &message.sms()).await,
    }
}

/// Takes back a claim. Where even that fails, the send stays counted: it errs on the side of fewer.
async fn undo(
    state: &State,
    case: &CodeSendCase,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    what: Undo,
) {
    let app = &state.app;
    let undoing = || undoing(state, case, draft, key, what);
    if app
        .table
        .transact_rebuilding(undoing, &app.entropy)
        .await
        .is_err()
    {
        tracing::error!(
            "rollback of a failed send did not commit; counters remain incremented; if repeated, check DynamoDB"
        );
    }
}

/// The writes that take it back, over what stands now; none where the claim was not made, or the
/// user is gone.
async fn undoing(
    state: &State,
    case: &CodeSendCase,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    what: Undo,
) -> Result<Option<Vec<Write>>, Failure> {
    let user = keys::user(case.user.id).holding::<User>();
    let wanted = (user, case.counters().logs());
    let (user, logs) = state.app.table.find(wanted).await?;
    let Some(user) = user else { return Ok(None) };
    if what == Undo::IfClaimed && !case.send().stands(draft, &user) {
        return Ok(None);
    }
    case.undo(draft, (&user, &logs), key).map(Some)
}

fn answer(case: &CodeSendCase, draft: &Draft) -> Response {
    Response {
        method: case.method,
        destination: case.masked(),
        reference: draft.stored.reference.clone(),
        expires_in: code::LIFETIME.as_secs(),
        resend_in: case.send().sent().cooldown().as_secs(),
        code_length: code::length(case.method),
    }
}

/// The problem of a send that is denied.
pub(crate) fn problem(refusal: SendRefusal, now: Timestamp) -> Problem {
    match refusal {
        SendRefusal::Challenge(refusal) => refusal.problem(now),
        SendRefusal::MethodNotEnabled => Problem::new(Slug::MethodNotEnabled),
        SendRefusal::DestinationNotAllowed => Problem::new(Slug::DestinationNotAllowed),
        SendRefusal::TooSoon(at) => resend_too_soon(at, now),
        SendRefusal::Full(full) => full.problem(now),
    }
}
