//! The steps of taking the code of a new contact: the attempt is counted before anything is
//! compared; then one transaction puts the contact in its place, and completes the sign-in where it
//! is a first one.

use shared::kernel::contact;
use shared::kernel::secret;
use shared::messaging::send_budget::Budget;
use shared::messaging::send_budget::credit::Credit;
use shared::signin::challenge::Refusal;
use shared::signin::code::{self, Verdict};
use shared::signin::completion::Completion;
use shared::signin::link;
use shared::signin::notice::{Changed, Notices};
use shared::signin::user::pending::{self, ATTEMPTS_MAX, PendingContact};
use shared::signin::user::{Method, User, factor};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, document, keys};
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
    match pending.judge(
        who.user.id,
        typed.method,
        code.expose(),
        &who.keyring,
        who.now,
    ) {
        Verdict::Right => accept(state, call, who, &typed, &pending).await,
        Verdict::Wrong => {
            refuse(
                app,
                call,
                who,
                &typed,
                &pending,
                ("wrong-code", Slug::CodeInvalid),
            )
            .await
        }
        Verdict::Superseded => {
            refuse(
                app,
                call,
                who,
                &typed,
                &pending,
                ("superseded", Slug::CodeSuperseded),
            )
            .await
        }
        Verdict::Expired => Err(Problem::new(Slug::CodeExpired)),
    }
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
        return Err(Refusal::AttemptsSpent(pending.expires_at)
            .problem(who.now)
            .detail("This contact has had its five attempts. Have another code sent there."));
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
    let write = Write::update(keys::user(who.user.id), "SET #pending.#attempts = list_append(#pending.#attempts, :attempts)")
        .when("#pending.#id = :factor AND #pending.#expires_at > :now AND size(#pending.#attempts) < :attempts_max")
        .when("NOT contains(#pending.#attempts, :attempt)")
        .name("pending", pending::attribute(typed.method))
        .value("factor", typed.factor.to_string())
        .value("now", who.now)
        .value("attempts_max", ATTEMPTS_MAX)
        .value("attempts", document(&[&id])?)
        .value("attempt", id.as_str());
    let Some(failure) = who.count(app, write).await? else {
        return waiting(who, call, typed).cloned();
    };
    // The answer to the first request was lost, and the SDK repeated it: the attempt is counted
    // already.
    let pending = who.user.pending(typed.method, who.now);
    let counted = pending.and_then(|pending| {
        Some((
            pending,
            pending.attempts.iter().position(|tried| *tried == id)?,
        ))
    });
    if let Some((pending, place)) = counted {
        return Ok(PendingContact {
            attempts: pending.attempts.iter().take(place).cloned().collect(),
            ..pending.clone()
        });
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
    let mut retries = RetryPolicy::default();
    let mut notices = Notices::default();
    let mut credit = Credit::new(given_back(&who, pending));
    loop {
        let mut writes = placement(&who, call, typed.method, pending, end)?;
        if changes(&who.user, typed.method, pending) {
            let after = changed(&who.user, typed.method, pending);
            writes.extend(who.notices(app, &mut notices, &after, told(typed.method, pending))?);
        }
        writes.extend(credit.within());
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
    let authenticated = match &completion {
        Some((end, token)) => Some(end.answer(app, call, &who.keyring, &who.user, token)?),
        None => None,
    };
    let destination = masked(typed.method, pending);
    Ok(Reply::ok(&Confirmed {
        method: typed.method,
        destination,
        authenticated,
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

/// Whether it is another contact than the user has. The one that an administrator has entered is
/// only proved: nothing is changed by it.
fn changes(user: &User, method: Method, pending: &PendingContact) -> bool {
    user.destination(method) != Some(pending.contact.as_str())
}

/// The writes that put the contact in its place, under the condition that the code which was judged
/// is the one that waits, and that the factor is as little locked as it was judged to be; and end
/// the sign-in where it is a first one.
fn placement(
    who: &Who,
    call: &Call,
    method: Method,
    pending: &PendingContact,
    end: Option<&Completion>,
) -> Result<Vec<Write>, Problem> {
    let update = pending::sent_as_drafted(placed(who, method, pending), pending)
        .and(", #version = #version + :one")
        .name("pending", pending::attribute(method))
        .remove("#pending")
        .remove("#reset_at")
        .when("#pending.#id = :factor")
        .value("factor", pending.id.to_string())
        .value("one", 1_u64);
    // It is the factor from now on, and proved: that ends of its counts what a right code ends at a
    // sign-in.
    let origin = who.origin(call)?;
    let update = factor::unmoved(
        update.name("m", method.name()),
        &who.user.factor(method),
        origin,
    );
    let update = factor::clear(update, method.name(), origin);
    let update = if changes(&who.user, method, pending) {
        replaced(who, update, method)?
    } else {
        update
    };
    who.proved(update, event(who, call, method, pending), end)
}

/// Adds to the update what another contact ends. It counts as a change, for which there was room
/// when it was begun: whatever else changes the contact takes away what waits. One that takes the
/// place of another says that the other is no longer trusted, nor what was proved with it; and what
/// was mailed to another address opens nothing.
fn replaced(who: &Who, update: Write, method: Method) -> Result<Write, Problem> {
    let update = who.user.count_change(update, method, who.now);
    let update = if method == Method::Email {
        link::end_all(update)
    } else {
        update
    };
    Ok(if who.user.destination(method).is_some() {
        who.end_others(update)?
    } else {
        update
    })
}

/// The update that makes the contact the user's, and verified.
fn placed(who: &Who, method: Method, pending: &PendingContact) -> Write {
    let user = &who.user;
    let (since, update) = match method {
        Method::Sms => {
            let country = pending.country.clone().unwrap_or_default();
            let update = user
                .touch()
                .and(", #phone = :contact, #phone_country = :country, #phone_verified = :verified");
            ("#phone_since", update.value("country", country))
        }
        _ => (
            "#email_since",
            user.touch()
                .and(", #email = :contact, #email_verified = :verified"),
        ),
    };
    let update = update
        .value("contact", pending.contact.as_str())
        .value("verified", true);
    if changes(user, method, pending) {
        update
            .and(&format!(", {since} = :since"))
            .value("since", who.now)
    } else {
        update
    }
}

/// The user once it is placed.
fn changed(user: &User, method: Method, pending: &PendingContact) -> User {
    let contact = Some(pending.contact.clone());
    match method {
        Method::Sms => User {
            phone: contact,
            ..user.clone()
        },
        _ => User {
            email: contact,
            ..user.clone()
        },
    }
}

/// What a text whose code was typed gives back to the budget of texts.
fn given_back(who: &Who, pending: &PendingContact) -> Option<Write> {
    let country = pending.country.as_deref()?;
    Some(
        Budget {
            account: who.account.id,
            country,
        }
        .verified(&pending.texts, who.now),
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
