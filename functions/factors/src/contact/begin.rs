//! The steps of sending a code to a contact that somebody says is theirs: what the rules look at is
//! read in one request, one transaction claims the send, and then the message goes. What the sender
//! does not take is undone, as if nobody had asked.

use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::FactorId;
use shared::kernel::secret::Secret;
use shared::messaging::courier::{CodeMessage, CodePurpose, NotSent, bound_to};
use shared::signin::code::counters::{Full, Trims};
use shared::signin::code::{self, Draft};
use shared::signin::reserved::Requester;
use shared::signin::user::known::HashedIp;
use shared::signin::user::pending::{ClaimedContact, PendingContact};
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys};
use shared::store::rate_limit::Window;
use shared::web::http::{Call, Outcome, Problem, Reply};
use shared::web::idempotency::{IdempotencyKey, complete, refused_unless_answered};

use super::claim::ContactCase;
use crate::State;
use crate::who::Who;

/// What is known of a request before it is decided.
struct Known<'a> {
    case: ContactCase<'a>,
    key: Option<IdempotencyKey>,
    /// What was answered to the same request before.
    answered: Option<Reply>,
    sends_of_source: Vec<Timestamp>,
}

/// Sends a code to the contact, once per `Idempotency-Key` where there is one.
pub async fn begin(
    state: &State,
    call: &Call,
    wish: &ClaimedContact,
    challenge: Option<&Secret<String>>,
) -> Outcome {
    let app = &state.app;
    let id = FactorId::new(call.arrived_at, &app.entropy);
    let (mut retries, mut trims) = (RetryPolicy::default(), Trims::default());
    loop {
        let known = known(state, call, wish, challenge).await?;
        if let Some(reply) = known.answered {
            return Ok(reply);
        }
        let (case, key) = (known.case, known.key.as_ref());
        if let Err(problem) = case.decide(&app.config.sms_countries, &known.sends_of_source) {
            return refused_unless_answered(&state.app, key, problem, case.who.now).await;
        }
        let (pending, draft) = draw(app, &case, id)?;
        let answer = case.answer(&pending);
        let body = serde_json::to_string(&answer).unwrap_or_default();
        let writes = case.claim(&pending, &trims, key.map(|key| (key, body.as_str())))?;
        match app.table.transact(writes).await {
            Ok(()) => {
                send(state, &case, &pending, &draft, key).await?;
                return Ok(Reply::json(&answer));
            }
            // It may have taken effect all the same: nothing was sent, so nothing may stand.
            Err(failure @ Failure::Unavailable(_)) => {
                undo(state, &case, &pending, key, Undo::IfClaimed).await;
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

/// The contact that is to wait, and the code that is to be sent there.
fn draw(
    app: &App,
    case: &ContactCase<'_>,
    id: FactorId,
) -> Result<(PendingContact, Draft), Problem> {
    let Who {
        user, keyring, now, ..
    } = &case.who;
    let drawn_from = (&**keyring, &app.entropy);
    Ok(PendingContact::begin(
        user, case.wish, id, drawn_from, *now,
    )?)
}

/// Reads, in one request, what the rules look at.
async fn known<'a>(
    state: &State,
    call: &'a Call,
    wish: &'a ClaimedContact,
    challenge: Option<&Secret<String>>,
) -> Result<Known<'a>, Problem> {
    let mut key = None;
    let more = |caller: &str| {
        key = IdempotencyKey::of(call, caller)?;
        let sends = keys::client_ip_sends(&client_ip_key(call.client_ip));
        Ok((sends, key.as_ref().map(IdempotencyKey::record)))
    };
    let (who, (sends, record)) = Who::beside(&state.app, call, challenge, more).await?;
    let answered = key.as_ref().map(|key| key.answer_again(record, who.now));
    let answered = answered.transpose()?.flatten();
    let hashed_ip = HashedIp::of(who.user.id, call.client_ip, &who.keyring, who.now)?;
    let requester = Requester::of(&who.user.known, &hashed_ip, who.now);
    let case = ContactCase {
        who,
        wish,
        call,
        requester,
    };
    Ok(Known {
        case,
        key,
        answered,
        sends_of_source: sends.as_ref().map(Window::moments).unwrap_or_default(),
    })
}

/// The refusal of a counter that is full.
fn refused(case: &ContactCase<'_>, full: Full) -> Problem {
    if full == Full::Budget {
        let (account, country) = (case.who.account.id, case.wish.country.as_deref());
        tracing::warn!(account.id = %account, sms.country = country, "SMS send budget of this account and country is used up; the code was not sent; check the account for SMS pumping");
    }
    full.problem(case.who.now)
}

async fn send(
    state: &State,
    case: &ContactCase<'_>,
    pending: &PendingContact,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
) -> Result<(), Problem> {
    match deliver(state, case, draft).await {
        Ok(()) => {}
        Err(NotSent::Unknown) => {
            code::unanswered(case.who.account.id, case.wish.method, case.who.now);
        }
        Err(not_sent @ NotSent::Refused) => {
            undo(state, case, pending, key, Undo::Claimed).await;
            return Err(not_sent.into());
        }
    }
    complete(&state.app, key).await;
    Ok(())
}

async fn deliver(state: &State, case: &ContactCase<'_>, draft: &Draft) -> Result<(), NotSent> {
    let Who {
        user,
        account,
        settings,
        ..
    } = &case.who;
    let base = case.call.base_url(state.app.config.base_url.as_deref());
    let message = CodeMessage {
        purpose: CodePurpose::Contact,
        organisation: &account.name,
        code: &draft.digits,
        reference: &draft.stored.reference,
        expires_in: code::LIFETIME,
        host: &bound_to(&settings.origins, &base),
        locale: user.locale.unwrap_or(settings.locale),
    };
    if case.wish.method == Method::Sms {
        return state.courier.sms(&case.wish.contact, &message.sms()).await;
    }
    let mail = message.mail().map_err(|_| {
        tracing::error!(
            "code message could not be rendered; the code was not sent; fix the template"
        );
        NotSent::Refused
    })?;
    state
        .courier
        .mail(account.id, &case.wish.contact, &mail)
        .await
}

/// What is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    /// A claim whose message was not taken.
    Claimed,
    /// A claim of which we do not know whether it was made.
    IfClaimed,
}

/// Takes back a claim. Where even that fails, the send stays counted: it errs on the side of fewer.
async fn undo(
    state: &State,
    case: &ContactCase<'_>,
    pending: &PendingContact,
    key: Option<&IdempotencyKey>,
    what: Undo,
) {
    let app = &state.app;
    if app
        .table
        .transact_rebuilding(|| undoing(app, case, pending, key, what), &app.entropy)
        .await
        .is_err()
    {
        tracing::error!(
            "rollback of a failed send to a new contact did not commit; counters remain incremented; if repeated, check DynamoDB"
        );
    }
}

/// The writes that take it back, over what stands now; none where the claim was not made.
async fn undoing(
    app: &App,
    case: &ContactCase<'_>,
    pending: &PendingContact,
    key: Option<&IdempotencyKey>,
    what: Undo,
) -> Result<Option<Vec<Write>>, Failure> {
    let user = keys::user(case.who.user.id).holding::<User>();
    let wanted = (user, case.counters().logs());
    let (user, logs) = app.table.find(wanted).await?;
    let Some(user) = user else { return Ok(None) };
    if what == Undo::IfClaimed && !case.stands(pending, &user) {
        return Ok(None);
    }
    case.undo(pending, (&user, &logs), key).map(Some)
}
