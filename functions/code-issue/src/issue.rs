//! The steps of a send.

use shared::account::Account;
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::messaging::courier::{CodeMessage, NotSent, Use, bound_to};
use shared::signin::challenge::{Refusal, Ticket};
use shared::signin::code::counters::{Full, Trims};
use shared::signin::code::{self, Draft};
use shared::signin::refusals::resend_too_soon;
use shared::signin::reserved::Asker;
use shared::signin::user::known::Source;
use shared::signin::user::{Method, User};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys, read};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;

use crate::claim::{Case, Denial, Left, Undo};
use crate::{Request, Response, State};

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
        let (case, source) = match read_case(
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
            Known::Open(case, source) => (case, source),
        };
        if let Err(denial) = case.decide(&app.config, &source) {
            // The items were not read at one instant: the send that stands in the way may be this
            // very request's.
            let overtaken = matches!(denial, Denial::TooSoon(_))
                .then_some(key.as_ref())
                .flatten();
            let Some(key) = overtaken else {
                return Err(denial.problem(now));
            };
            let answered = key.answer_again(app.table.get(key.record()).await?, now)?;
            return answered.ok_or_else(|| denial.problem(now));
        }
        let draft = code::draw(&ticket, case.method, &keyring, &app.entropy, now)?;
        let answer = answer(&case, &draft);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(
            &draft,
            call,
            &trims,
            key.as_ref().map(|key| (key, body.as_str())),
        )?;
        match app.table.transact(writes).await {
            Ok(()) => return send(state, call, &case, &draft, key.as_ref(), &answer).await,
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                undo(state, call, &case, &draft, key.as_ref(), Undo::IfClaimed).await;
                return Err(failure.into());
            }
            Err(failure) => {
                trims = case
                    .counters(call)
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
    /// It is to be decided, with the sends of its source address.
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
    let source = keys::client_ip_sends(&client_ip_key(call.client_ip));
    let mut wanted = vec![keys::user(ticket.user), source];
    wanted.extend(key.map(IdempotencyKey::record));
    wanted.extend(ticket.settings_keys());
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let mut next = || items.next().flatten();
    let (user, source) = (next(), next());
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
    let sends_of_source = source.as_ref().map(Window::moments).unwrap_or_default();
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
        now,
    };
    Ok(Known::Open(Box::new(case), sends_of_source))
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
            undo(state, call, case, draft, key, Undo::Claimed).await;
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
async fn undo(
    state: &State,
    call: &Call,
    case: &Case,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    what: Undo,
) {
    let app = &state.app;
    if app
        .table
        .transact_anew(
            || undoing(state, call, case, draft, key, what),
            &app.entropy,
        )
        .await
        .is_err()
    {
        tracing::error!("a send that failed stays counted");
    }
}

/// The writes that take it back, over what stands now; none where the claim was not made.
async fn undoing(
    state: &State,
    call: &Call,
    case: &Case,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    what: Undo,
) -> Result<Option<Vec<Write>>, Failure> {
    let Some(now) = left(state, call, case).await? else {
        return Ok(None);
    };
    if what == Undo::IfClaimed && !case.stands(draft, &now.user) {
        return Ok(None);
    }
    case.undo(draft, call, &now, key).map(Some)
}

/// What stands of the claim; nothing, where the user is gone.
async fn left(state: &State, call: &Call, case: &Case) -> Result<Option<Left>, Failure> {
    let wanted = std::iter::once(keys::user(case.user.id))
        .chain(case.counters(call).logs())
        .collect();
    let mut items = state.app.table.get_all(wanted).await?.into_iter();
    let Some(user) = items.next().flatten() else {
        return Ok(None);
    };
    Ok(Some(Left {
        user: read(user)?,
        logs: items.collect(),
    }))
}

fn answer(case: &Case, draft: &Draft) -> Response {
    let challenge = case.user.challenges.get(&case.ticket.name);
    let sent = challenge
        .map(|challenge| challenge.sent(case.method))
        .unwrap_or_default()
        .and_now(case.now);
    Response {
        method: case.method,
        destination: case.masked(),
        reference: draft.stored.reference.clone(),
        expires_in: code::LIFETIME.as_secs(),
        resend_in: sent.cooldown().as_secs(),
        code_length: code::length(case.method),
    }
}

impl Denial {
    pub(crate) fn problem(self, now: Timestamp) -> Problem {
        match self {
            Self::Challenge(refusal) => refusal.problem(now),
            Self::MethodNotEnabled => Problem::new(Slug::MethodNotEnabled),
            Self::DestinationNotAllowed => Problem::new(Slug::DestinationNotAllowed),
            Self::TooSoon(at) => resend_too_soon(at, now),
            Self::Full(full) => full.problem(now),
        }
    }
}
