//! The steps of a send.

use shared::account::Account;
use shared::challenge::{Refusal, Ticket};
use shared::clock::Timestamp;
use shared::code::{self, Draft, PER_DESTINATION, PER_SOURCE};
use shared::config::source_key;
use shared::courier::{CodeMessage, NotSent};
use shared::dynamo::{Failure, Patience, keys, read};
use shared::http::problem::Policy;
use shared::http::refusals::too_many_sends;
use shared::http::{Call, Outcome, Problem, Reply, Slug};
use shared::idempotency::IdempotencyKey;
use shared::send_budget;
use shared::throttle::Window;
use shared::user::known::Source;
use shared::user::{Method, User};

use crate::claim::{Case, Denial, Place, Standing, Trims, read_log};
use crate::{Request, Response, State, unanswered};

/// Sends a code, once per `Idempotency-Key` where there is one.
pub async fn issue(state: &State, call: &Call, request: &Request) -> Outcome {
    let app = &state.app;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let ticket = Ticket::read(request.challenge.expose(), &keyring).map_err(|refusal| refusal.problem(now))?;
    let key = IdempotencyKey::of(call, &ticket.name)?;
    let mut patience = Patience::default();
    let mut trims = Trims::default();
    loop {
        let (case, source) = match read_case(state, call, &ticket, request.method.method(), key.as_ref(), now).await? {
            Known::Answered(reply) => return Ok(reply),
            Known::Open(case, source) => (case, source),
        };
        if let Err(denial) = case.decide(&app.config, &source) {
            // The items were not read at one instant: the send that stands in the way may be this very request's.
            let overtaken = matches!(denial, Denial::TooSoon(_)).then_some(key.as_ref()).flatten();
            let Some(key) = overtaken else { return Err(denial.problem(now)) };
            let answered = key.answer_again(app.table.get(key.record()).await?, now)?;
            return answered.ok_or_else(|| denial.problem(now));
        }
        let draft = code::draw(&ticket, case.method, &keyring, &app.entropy, now)?;
        let answer = answer(&case, &draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(&draft, call, &trims, key.as_ref().map(|key| (key, body.as_str())))?;
        match app.table.transact(writes).await {
            Ok(()) => return send(state, call, &case, &draft, key.as_ref(), &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                undo(state, call, &case, &draft, key.as_ref(), Undo::IfClaimed).await;
                return Err(failure.into());
            }
            Err(failure) => {
                trims = lost(&failure, key.is_some(), now)?;
                if case.is_out_of_budget(&failure) && is_the_only_reason(&failure) {
                    tracing::warn!(account.id = %case.account.id, sms.country = case.user.phone_country, "the budget of texts is used up");
                    return Err(Denial::OutOfBudget.problem(now));
                }
                patience.wait(&app.entropy).await?;
            }
        }
    }
}

/// What is known of a request before it is decided.
enum Known {
    /// It was carried out before, and this was the answer.
    Answered(Reply),
    /// It is to be decided, with the sends of its source address.
    Open(Box<Case>, Vec<Timestamp>),
}

/// Reads, in one request, what the rules look at.
async fn read_case(
    state: &State,
    call: &Call,
    ticket: &Ticket,
    method: Method,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Known, Problem> {
    let source = keys::source_sends(&source_key(call.source));
    let mut wanted = vec![keys::user(ticket.user), source];
    wanted.extend(key.map(IdempotencyKey::record));
    wanted.extend(ticket.settings_keys());
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let mut next = || items.next().flatten();
    let (user, source) = (next(), next());
    let record = key.map(|key| (key, next()));
    let (Some(user), Some(account)) = (user, next()) else { return Err(Refusal::Unknown.problem(now)) };
    let (user, account): (User, Account) = (read(user)?, read(account)?);
    let group = ticket.foreseen(next());
    let settings = account.settings_in(user.group.as_deref(), group, &state.app.table).await?;
    call.allow_origins(&settings.origins);
    let sends_of_source = source.as_ref().map(Window::moments).unwrap_or_default();
    if let Some(reply) = record.map(|(key, record)| key.answer_again(record, now)).transpose()?.flatten() {
        return Ok(Known::Answered(reply));
    }
    let keyring = state.app.keyrings.current(now).await;
    let origin = user.known.origin(&Source::of(user.id, call.source, &keyring, now)?);
    let case = Case { ticket: ticket.clone(), method, account, settings, user, origin, now };
    Ok(Known::Open(Box::new(case), sends_of_source))
}

/// Why a claim did not go through: a limit says so, or what it was decided from has changed.
fn lost(failure: &Failure, keyed: bool, now: Timestamp) -> Result<Trims, Problem> {
    let stood = |place: Place| failure.stood_at(place as usize).is_some();
    let moved_on = stood(Place::User) || (keyed && stood(Place::Idempotency));
    let destination = read_log(failure, Place::Destination, &PER_DESTINATION, now);
    let source = read_log(failure, Place::Source, &PER_SOURCE, now);
    // What the challenge has to say comes first: the next read finds it.
    if moved_on {
        return Ok(Trims { destination: destination.ok().flatten(), source: source.ok().flatten() });
    }
    let trims = Trims {
        destination: destination.map_err(|denial| denial.problem(now))?,
        source: source.map_err(|denial| denial.problem(now))?,
    };
    Ok(trims)
}

/// Whether nothing but the last write's condition failed: what else failed is read again first.
fn is_the_only_reason(failure: &Failure) -> bool {
    let Failure::Condition(reasons) = failure else { return false };
    reasons.iter().flatten().count() == 1
}

async fn send(
    state: &State,
    call: &Call,
    case: &Case,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    answer: &Response,
) -> Outcome {
    match deliver(state, call, case, draft).await {
        Ok(()) => {}
        Err(NotSent::Unknown) => unanswered(case.account.id, case.method, case.now),
        Err(not_sent @ NotSent::Refused) => {
            undo(state, call, case, draft, key, Undo::Claimed).await;
            return Err(not_sent.into());
        }
    }
    if let Some(key) = key {
        // Should this fail, the same request is told to wait until its lease is over, which is when its code is.
        if state.app.table.update_patiently(key.complete(), &state.app.entropy).await.is_err() {
            tracing::warn!("an idempotency record could not be completed");
        }
    }
    Ok(Reply::json(202, answer))
}

async fn deliver(state: &State, call: &Call, case: &Case, draft: &Draft) -> Result<(), NotSent> {
    let host = host(state, call, case);
    let message = CodeMessage {
        organisation: &case.account.name,
        code: &draft.digits,
        reference: &draft.stored.reference,
        expires_in: code::LIFETIME,
        host: &host,
        locale: case.user.locale.unwrap_or(case.settings.locale),
    };
    let rendered = |_| {
        tracing::error!("a message could not be rendered");
        NotSent::Refused
    };
    match case.method {
        Method::Email => state.courier.mail(case.account.id, case.destination(), &message.mail().map_err(rendered)?).await,
        _ => state.courier.text(case.destination(), &message.sms()).await,
    }
}

/// The host that a text binds its code to: that of the account's first origin, or this service's own.
fn host(state: &State, call: &Call, case: &Case) -> String {
    let base = call.base_url(state.app.config.base_url.as_deref());
    let origin = case.settings.origins.first().unwrap_or(&base);
    url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// What is to be taken back.
#[derive(Clone, Copy, Debug)]
enum Undo {
    /// A claim whose message was not taken.
    Claimed,
    /// A claim of which we do not know whether it was made.
    IfClaimed,
}

/// Takes back a claim. Where even that fails, the send stays counted: it errs on the side of fewer.
async fn undo(state: &State, call: &Call, case: &Case, draft: &Draft, key: Option<&IdempotencyKey>, what: Undo) {
    let app = &state.app;
    let mut patience = Patience::default();
    loop {
        let undone = match (standing(state, call, case).await, what) {
            (Ok(Some(now)), Undo::IfClaimed) if !case.stands(draft, &now.user) => return,
            (Ok(Some(now)), _) => match case.undo(draft, call, &now, key) {
                Ok(writes) => app.table.transact(writes).await,
                Err(failure) => Err(failure),
            },
            (Ok(None), _) => return,
            (Err(failure), _) => Err(failure),
        };
        match undone {
            Ok(()) => return,
            Err(Failure::Unavailable(_)) => break,
            Err(_) if patience.wait(&app.entropy).await.is_err() => break,
            Err(_) => {}
        }
    }
    tracing::error!("a send that failed stays counted");
}

async fn standing(state: &State, call: &Call, case: &Case) -> Result<Option<Standing>, Failure> {
    let wanted =
        vec![keys::user(case.user.id), keys::destination_sends(case.destination()), keys::source_sends(&source_key(call.source))];
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let Some(user) = items.next().flatten() else { return Ok(None) };
    let mut log = || items.next().flatten().as_ref().map(Window::moments).unwrap_or_default();
    Ok(Some(Standing { user: read(user)?, destination: log(), source: log() }))
}

fn answer(case: &Case, draft: &Draft) -> Response {
    let sends = case.user.challenges.get(&case.ticket.name).map_or(0, |challenge| challenge.sends);
    Response {
        method: case.method,
        destination: case.masked(),
        reference: draft.stored.reference.clone(),
        expires_in: code::LIFETIME.as_secs(),
        resend_in: code::cooldown(sends + 1).as_secs(),
        code_length: code::length(case.method),
    }
}

impl Denial {
    pub(crate) fn problem(self, now: Timestamp) -> Problem {
        match self {
            Self::Challenge(refusal) => refusal.problem(now),
            Self::MethodNotEnabled => Problem::new(Slug::MethodNotEnabled),
            Self::DestinationNotAllowed => Problem::new(Slug::DestinationNotAllowed),
            Self::TooSoon(at) => {
                let policy = Policy { name: "resend", quota: 1, window: code::COOLDOWN };
                Problem::new(Slug::ResendTooSoon).with("resend_in", at.until(now).as_secs()).retry_after(at.until(now), &policy)
            }
            Self::OutOfBudget => {
                let policy = Policy { name: "budget", quota: send_budget::ALLOWANCE, window: send_budget::HOUR };
                Problem::new(Slug::TooManySends)
                    .detail("Too many texts of this account to this country were not answered this hour. Another factor may still be used.")
                    .retry_after(send_budget::renewed_at(now).until(now), &policy)
            }
            Self::TooMany(until, limit) => too_many_sends(until, limit, now),
        }
    }
}
