//! The steps of a send.

use shared::account::Account;
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::messaging::courier::{CodeMessage, NotSent, Use, bound_to};
use shared::signin::challenge::{Refusal, Ticket};
use shared::signin::code::claim::Case;
use shared::signin::code::counters::{Full, Trims};
use shared::signin::code::{self, Denial, Draft};
use shared::signin::refusals::resend_too_soon;
use shared::signin::reserved::Asker;
use shared::signin::user::known::Source;
use shared::signin::user::{Method, User};
use shared::store::dynamo::{Failure, Item, RetryPolicy, Write, keys, read};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;

use crate::{Request, Response, State};

/// What is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// A claim whose message was not taken.
    Claimed,
    /// A claim of which we do not know whether it was made.
    IfClaimed,
}

/// Sends a code, once per `Idempotency-Key` where there is one.
pub async fn issue(state: &State, call: &Call, request: &Request) -> Outcome {
    let app = &state.app;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let ticket = Ticket::read(request.challenge.expose(), &keyring)
        .map_err(|refusal| refusal.problem(now))?;
    let key = IdempotencyKey::of(call, &ticket.name)?;
    let mut retries = RetryPolicy::default();
    let mut trims = Trims::default();
    loop {
        let (case, sends) = match read_case(
            state,
            call,
            (&ticket, &keyring),
            request.method.method(),
            key.as_ref(),
            now,
        )
        .await?
        {
            Known::Answered(reply) => return Ok(reply),
            Known::Open(case, sends) => (case, sends),
        };
        if let Err(denial) = case.decide(&app.config.sms_countries, &sends) {
            // The items were not read at one instant: the send that stands in the way may be this
            // very request's.
            let overtaken = matches!(denial, Denial::TooSoon(_))
                .then_some(key.as_ref())
                .flatten();
            let Some(key) = overtaken else {
                return Err(problem(denial, now));
            };
            let answered = key.answer_again(app.table.get(key.record()).await?, now)?;
            return answered.ok_or_else(|| problem(denial, now));
        }
        let draft = code::draw(&ticket, case.method, &keyring, &app.entropy, now)?;
        let answer = answer(&case, &draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let record = key.as_ref().map(|key| (key, body.as_str()));
        let writes = case.claim(&draft, &trims, record)?;
        match app.table.transact(writes).await {
            Ok(()) => return send(state, call, &case, &draft, key.as_ref(), &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                undo(state, &case, &draft, key.as_ref(), Undo::IfClaimed).await;
                return Err(failure.into());
            }
            Err(failure) => {
                trims = case
                    .counters()
                    .lost(&failure)
                    .map_err(|full| refused(&case, full))?;
                retries.wait(&app.entropy).await?;
            }
        }
    }
}

/// What is known of a request before it is decided.
enum Known {
    /// It was carried out before, and this was the answer.
    Answered(Reply),
    /// It is to be decided, with when codes were sent at the wish of its client IP.
    Open(Box<Case>, Vec<Timestamp>),
}

/// Reads, in one request, what the rules look at.
async fn read_case(
    state: &State,
    call: &Call,
    (ticket, keyring): (&Ticket, &Keyring),
    method: Method,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Known, Problem> {
    let sends = keys::client_ip_sends(&client_ip_key(call.client_ip));
    let mut wanted = vec![keys::user(ticket.user), sends];
    wanted.extend(key.map(IdempotencyKey::record));
    wanted.extend(ticket.settings_keys());
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let mut next = || items.next().flatten();
    let (user, sends) = (next(), next());
    let record = key.map(|key| (key, next()));
    let (Some(user), Some(account)) = (user, next()) else {
        return Err(Refusal::Unknown.problem(now));
    };
    let (user, account): (User, Account) = (read(user)?, read(account)?);
    let group = ticket.foreseen(next());
    let settings = account
        .settings_in(user.group.as_deref(), group, &state.app.table)
        .await?;
    call.allow_origins(&settings.origins);
    let sends = sends.as_ref().map(Window::moments).unwrap_or_default();
    if let Some(reply) = record
        .map(|(key, record)| key.answer_again(record, now))
        .transpose()?
        .flatten()
    {
        return Ok(Known::Answered(reply));
    }
    let source = Source::of(user.id, call.client_ip, keyring, now)?;
    let (origin, asker) = (
        user.known.origin(&source),
        Asker::of(&user.known, &source, now),
    );
    let case = Case {
        ticket: ticket.clone(),
        method,
        account,
        settings,
        user,
        origin,
        asker,
        client_ip: call.client_ip,
        now,
    };
    Ok(Known::Open(Box::new(case), sends))
}

/// The refusal of a counter that is full.
fn refused(case: &Case, full: Full) -> Problem {
    if full == Full::Budget {
        tracing::warn!(account.id = %case.account.id, sms.country = case.user.phone_country, "the budget of texts is used up");
    }
    full.problem(case.now)
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
        Err(NotSent::Unknown) => code::unanswered(case.account.id, case.method, case.now),
        Err(not_sent @ NotSent::Refused) => {
            undo(state, case, draft, key, Undo::Claimed).await;
            return Err(not_sent.into());
        }
    }
    if let Some(key) = key {
        // Should this fail, the same request is told to wait until its lease is over, which is when
        // its code is.
        if state
            .app
            .table
            .update_with_retries(key.complete(), &state.app.entropy)
            .await
            .is_err()
        {
            tracing::warn!("an idempotency record could not be completed");
        }
    }
    Ok(Reply::json(202, answer))
}

async fn deliver(state: &State, call: &Call, case: &Case, draft: &Draft) -> Result<(), NotSent> {
    let base = call.base_url(state.app.config.base_url.as_deref());
    let host = bound_to(&case.settings.origins, &base);
    let message = CodeMessage {
        used_for: Use::SignIn,
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
        Method::Email => {
            state
                .courier
                .mail(
                    case.account.id,
                    case.destination(),
                    &message.mail().map_err(rendered)?,
                )
                .await
        }
        _ => state.courier.sms(case.destination(), &message.sms()).await,
    }
}

/// Takes back a claim. Where even that fails, the send stays counted: it errs on the side of fewer.
async fn undo(state: &State, case: &Case, draft: &Draft, key: Option<&IdempotencyKey>, what: Undo) {
    let app = &state.app;
    let undoing = || undoing(state, case, draft, key, what);
    if app
        .table
        .transact_anew(undoing, &app.entropy)
        .await
        .is_err()
    {
        tracing::error!("a send that failed stays counted");
    }
}

/// The writes that take it back, over what stands now; none where the claim was not made, or the
/// user is gone.
async fn undoing(
    state: &State,
    case: &Case,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    what: Undo,
) -> Result<Option<Vec<Write>>, Failure> {
    let wanted = std::iter::once(keys::user(case.user.id))
        .chain(case.counters().logs())
        .collect();
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let Some(user) = items.next().flatten() else {
        return Ok(None);
    };
    let user: User = read(user)?;
    if what == Undo::IfClaimed && !case.send().stands(draft, &user) {
        return Ok(None);
    }
    let logs: Vec<Option<Item>> = items.collect();
    case.undo(draft, (&user, &logs), key).map(Some)
}

fn answer(case: &Case, draft: &Draft) -> Response {
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
pub(crate) fn problem(denial: Denial, now: Timestamp) -> Problem {
    match denial {
        Denial::Challenge(refusal) => refusal.problem(now),
        Denial::MethodNotEnabled => Problem::new(Slug::MethodNotEnabled),
        Denial::DestinationNotAllowed => Problem::new(Slug::DestinationNotAllowed),
        Denial::TooSoon(at) => resend_too_soon(at, now),
        Denial::Full(full) => full.problem(now),
    }
}
