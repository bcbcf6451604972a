//! The steps of taking the code of a new contact: the attempt is counted before anything is
//! compared; then one transaction puts the contact in its place, and completes the sign-in where it
//! is a first one.

use shared::kernel::contact;
use shared::kernel::secret;
use shared::messaging::send_budget::Budget;
use shared::messaging::send_budget::credit::Credit;
use shared::signin::challenge::ChallengeRefusal;
use shared::signin::code::{self, SentCodeVerdict};
use shared::signin::completion::Completion;
use shared::signin::notice::{Changed, Notices};
use shared::signin::user::pending::PendingContact;
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Update, Write};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use super::{Confirmed, Typed};
use crate::State;
use crate::who::Who;

/// Takes the code of a contact that waits.
pub async fn confirm(state: &State, call: &Call, typed: Typed) -> Outcome {
    let code = code::typed(&typed.code)
        .ok_or_else(|| Problem::invalid_field("/code", "must be 1 to 10 ASCII digits"))?;
    let app = &state.app;
    let mut who = Who::by_either(app, call, typed.challenge.as_ref()).await?;
    let pending = count(app, call, &mut who, &typed).await?;
    // The count answered with a newer user than the one that was asked.
    who.may_enrol(typed.method, pending.begun_at)?;
    let (user, keyring) = (who.user.id, &who.keyring);
    let verdict = pending.judge(user, typed.method, code.expose(), keyring, who.now);
    let why = match verdict {
        SentCodeVerdict::Right => return accept(state, call, who, &typed, &pending).await,
        SentCodeVerdict::Wrong => ("wrong-code", Slug::CodeInvalid),
        SentCodeVerdict::Superseded => ("superseded", Slug::CodeSuperseded),
        SentCodeVerdict::Expired => return Err(Problem::new(Slug::CodeExpired)),
    };
    refuse(app, call, who, &typed, &pending, why).await
}

/// The contact that is to be confirmed, if there is one whose code takes an attempt from who asks.
fn waiting<'a>(who: &'a Who, call: &Call, typed: &Typed) -> Result<&'a PendingContact, Problem> {
    let pending = who
        .user
        .pending(typed.method, who.now)
        .filter(|pending| pending.id == typed.factor);
    // Who may not set one up at all is told so first.
    who.may_enrol(
        typed.method,
        pending.map_or(who.now, |pending| pending.begun_at),
    )?;
    let pending = pending.ok_or_else(|| Problem::new(Slug::NotFound))?;
    may_prove(who, call, typed.method, pending)?;
    if pending.attempts_left() == 0 {
        return Err(ChallengeRefusal::AttemptsSpent(pending.expires_at)
            .problem(who.now)
            .detail("This contact has no attempts left. Ask for a new code."));
    }
    if pending.code.expires_at <= who.now {
        Err(Problem::new(Slug::CodeExpired))
    } else {
        Ok(pending)
    }
}

/// A locked factor answers right and wrong codes alike.
fn may_prove(
    who: &Who,
    call: &Call,
    method: Method,
    pending: &PendingContact,
) -> Result<(), Problem> {
    let may = who
        .user
        .may_prove(method, &pending.contact, who.origin(call)?, who.now);
    may.map_err(|refusal| refusal.problem(who.now))
}

/// Counts an attempt before anything is compared, and answers with what waited before it.
async fn count(
    app: &App,
    call: &Call,
    who: &mut Who,
    typed: &Typed,
) -> Result<PendingContact, Problem> {
    let _ = waiting(who, call, typed)?;
    let id = secret::encode(app.entropy.bytes::<9>());
    let attempt = who
        .user
        .count_contact_attempt(typed.method, typed.factor, &id, who.now);
    let Some(failure) = who.count(app, attempt).await? else {
        return waiting(who, call, typed).cloned();
    };
    // The answer to the first request was lost, and the SDK repeated it: the attempt is counted
    // already.
    if let Some(before) = who.user.pending_before(typed.method, &id, who.now) {
        return Ok(before);
    }
    let _ = waiting(who, call, typed)?;
    Err(failure.into())
}

/// Puts the contact in its place: whoever writes first has it.
async fn accept(
    state: &State,
    call: &Call,
    mut who: Who,
    typed: &Typed,
    pending: &PendingContact,
) -> Outcome {
    let app = &state.app;
    let completion = who.completion(typed.method, app, call).await?;
    let end = completion.as_ref().map(|(end, _)| end);
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    let mut credit = Credit::new(given_back(&who, pending));
    loop {
        let (reached, mut writes) = placement(&who, call, typed.method, pending, end)?;
        if who.user.is_another(typed.method, &pending.contact) {
            writes.extend(who.notices(app, &mut notices, &reached, told(typed.method, pending))?);
        }
        writes.extend(credit.within().map(Write::from));
        let learn = |written: &Result<(), Failure>| {
            notices.learn(written);
            credit.learn(written);
        };
        if who.settle(app, writes, &mut retries, learn).await? {
            break;
        }
        still_good(&who, call, typed, pending)?;
    }
    credit.give(app).await;
    notices.deliver(app, &state.courier).await;
    Ok(Reply::json(&Confirmed {
        method: typed.method,
        destination: masked(typed.method, pending),
        authenticated: who.authenticated(app, call, completion.as_ref())?,
    }))
}

/// Whether a right code is still right on the user as it stands now: the attempt itself is counted.
fn still_good(
    who: &Who,
    call: &Call,
    typed: &Typed,
    judged: &PendingContact,
) -> Result<(), Problem> {
    who.may_enrol(typed.method, judged.begun_at)?;
    let stands = who
        .user
        .pending(typed.method, who.now)
        .filter(|now| now.id == judged.id);
    let stands = stands.ok_or_else(|| Problem::new(Slug::NotFound))?;
    may_prove(who, call, typed.method, judged)?;
    if stands.code.mac == judged.code.mac {
        return Ok(());
    }
    Err(Problem::new(Slug::CodeSuperseded)
        .with("attempts_left", judged.attempts_left().saturating_sub(1)))
}

/// The user as they are reached once the contact is in its place, and the writes that put it there,
/// and end the sign-in where it is a first one.
fn placement(
    who: &Who,
    call: &Call,
    method: Method,
    pending: &PendingContact,
    end: Option<&Completion>,
) -> Result<(User, Vec<Write>), Problem> {
    let origin = who.origin(call)?;
    let (reached, update) = who.user.confirm_contact(method, pending, origin, who.now);
    let update = if who.user.replaces(method, &pending.contact) {
        who.end_others(update)
    } else {
        update
    };
    let writes = who.proved(update, event(who, call, method, pending), end)?;
    Ok((reached, writes))
}

/// What an SMS whose code was typed gives back to the SMS budget.
fn given_back(who: &Who, pending: &PendingContact) -> Option<Update> {
    let country = pending.country.as_deref()?;
    Some(
        Budget {
            account: who.account.id,
            country,
        }
        .verified(&pending.sms, who.now),
    )
}

/// Writes down a code that is not the right one.
async fn refuse(
    app: &App,
    call: &Call,
    mut who: Who,
    typed: &Typed,
    pending: &PendingContact,
    (reason, slug): (&'static str, Slug),
) -> Outcome {
    let mut retries = RetryPolicy::default();
    loop {
        let event = event(&who, call, typed.method, pending)
            .failed()
            .with("reason", reason);
        let writes = who.user.change(who.user.touch(), [event], who.now)?;
        if who.settle(app, writes, &mut retries, |_| {}).await? {
            return Err(
                Problem::new(slug).with("attempts_left", pending.attempts_left().saturating_sub(1))
            );
        }
    }
}

fn masked(method: Method, pending: &PendingContact) -> String {
    match method {
        Method::Sms => contact::mask_phone(&pending.contact),
        _ => contact::mask_email(&pending.contact),
    }
}

fn told(method: Method, pending: &PendingContact) -> Changed {
    let masked = Some(masked(method, pending));
    if method == Method::Sms {
        Changed::Phone(masked)
    } else {
        Changed::Email(masked)
    }
}

fn event(who: &Who, call: &Call, method: Method, pending: &PendingContact) -> Event {
    let event = who
        .event(Action::FactorEnrolled, call)
        .with("method", method.name());
    event
        .with("factor", pending.id.to_string())
        .with("destination", masked(method, pending))
}
