//! `POST /v1/factors/totp/confirm`: the app shows a code, and is a factor from then on.
//!
//! Three waits: what the rules look at is read; the attempt is counted, before anything is
//! compared; one transaction puts the app in its place, with ten recovery codes, and completes the
//! sign-in where it is a first one.

use serde::{Deserialize, Serialize};
use shared::kernel::ids::FactorId;
use shared::kernel::secret::{self, Secret, exposed_all};
use shared::signin::challenge::ChallengeRefusal;
use shared::signin::code;
use shared::signin::completion::Completion;
use shared::signin::notice::{Changed, Notices};
use shared::signin::recovery::{self, Codes};
use shared::signin::sign_in::Answer;
use shared::signin::totp::{Enrolment, Key, TotpVerdict};
use shared::signin::user::Method;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;
use crate::who::Who;

/// The code that an app shows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfirmApp)]
pub struct Request {
    /// The challenge of a first sign-in, in place of an access token.
    #[schema(value_type = Option<String>, nullable = false)]
    pub challenge: Option<Secret<String>>,
    /// The app that was begun.
    pub factor: FactorId,
    /// The code that it shows, as ASCII digits. Spaces and hyphens make no difference.
    #[schema(value_type = String, example = "287082")]
    pub code: Secret<String>,
}

/// The app is a factor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfirmedApp)]
pub struct Response {
    /// Ten recovery codes, shown once. Those before are no longer good.
    #[serde(serialize_with = "exposed_all")]
    #[schema(value_type = Vec<String>, example = json!(["7k3w-9q2m-x5t8-r4b6-y0ad-h1zc"]))]
    pub recovery_codes: Vec<Secret<String>>,
    /// With a challenge: the sign-in is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub authenticated: Option<Answer>,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let request: Request = call.json()?;
    let code = code::typed(&request.code)
        .ok_or_else(|| Problem::invalid_field("/code", "must be 1 to 10 ASCII digits"))?;
    let app = &state.app;
    let mut who = Who::by_either(app, call, request.challenge.as_ref()).await?;
    // Before the attempt is counted: where the key that sealed the secret is gone, nothing can be
    // compared.
    let sealed = &pending(&who, request.factor)?.sealed;
    let key = Key::open(sealed, who.user.id, request.factor, &who.keyring)?;
    let enrolment = count(app, &mut who, request.factor).await?;
    // The count answered with a newer user than the one that was asked: another factor may have
    // come since.
    may_confirm(&who, Some(&enrolment))?;
    match key.judge(code.expose(), None, who.now) {
        TotpVerdict::Right(step) => accept(state, call, who, &enrolment, step).await,
        TotpVerdict::Used | TotpVerdict::Wrong => refuse(app, call, who, &enrolment).await,
    }
}

/// Whether the app may be confirmed: how fresh the second factor was is judged as of when it was
/// begun.
fn may_confirm(who: &Who, pending: Option<&Enrolment>) -> Result<(), Problem> {
    who.may_enrol(Method::Totp, pending.map_or(who.now, Enrolment::begun_at))
}

/// The enrolment that is to be confirmed, if there is one that takes an attempt from who asks.
fn pending(who: &Who, factor: FactorId) -> Result<&Enrolment, Problem> {
    let pending = who.user.unconfirmed_app(factor, who.now);
    // Who may not set one up at all is told so first.
    may_confirm(who, pending)?;
    let pending = pending.ok_or_else(|| Problem::new(Slug::NotFound))?;
    if pending.attempts_left() == 0 {
        return Err(ChallengeRefusal::AttemptsSpent(pending.expires_at)
            .problem(who.now)
            .detail("This app has no attempts left. Start setting it up again."));
    }
    Ok(pending)
}

/// Counts an attempt before anything is compared, and answers with the enrolment as it stood
/// before.
async fn count(app: &App, who: &mut Who, factor: FactorId) -> Result<Enrolment, Problem> {
    pending(who, factor)?;
    let id = secret::encode(app.entropy.bytes::<9>());
    let attempt = who.user.count_app_attempt(factor, &id, who.now);
    let Some(failure) = who.count(app, attempt).await? else {
        return pending(who, factor).cloned();
    };
    // The answer to the first request was lost, and the SDK repeated it: the attempt is counted
    // already.
    if let Some(before) = who.user.app_before(&id) {
        return Ok(before);
    }
    pending(who, factor)?;
    Err(failure.into())
}

/// Puts the app in its place: whoever writes first has it.
async fn accept(
    state: &State,
    call: &Call,
    mut who: Who,
    enrolment: &Enrolment,
    step: u64,
) -> Outcome {
    let app = &state.app;
    let (recovery_codes, stored) = recovery::draw(who.user.id, &app.entropy, who.now);
    let completion = who.completion(Method::Totp, app, call).await?;
    let end = completion.as_ref().map(|(end, _)| end);
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        let event = event(&who, call, enrolment);
        let mut writes = placement(&who, event, (enrolment, step), &stored, end)?;
        writes.extend(who.notices(app, &mut notices, &who.user, Changed::AppEnrolled)?);
        let learn = |written: &Result<(), Failure>| notices.learn(written);
        if who.settle(app, writes, &mut retries, learn).await? {
            break;
        }
        may_confirm(&who, Some(enrolment))?;
        if !who.user.awaits_app(enrolment.id) {
            return Err(Problem::new(Slug::NotFound));
        }
    }
    notices.deliver(app, &state.courier).await;
    Ok(Reply::json(&Response {
        recovery_codes,
        authenticated: who.authenticated(app, call, completion.as_ref())?,
    }))
}

/// The writes that make the app a factor, in the place of an earlier one, and end the sign-in where
/// it is a first one.
fn placement(
    who: &Who,
    event: Event,
    (enrolment, step): (&Enrolment, u64),
    stored: &Codes,
    end: Option<&Completion>,
) -> Result<Vec<Write>, Problem> {
    let update = who.user.confirm_app(enrolment, step, stored, who.now)?;
    // An app that takes the place of another says that the other is no longer trusted, nor what was
    // proved with it. A first one says nothing of the factors beside it.
    let update = if who.user.app.is_some() {
        who.end_others(update)
    } else {
        update
    };
    who.proved(update, event, end)
}

/// Writes down a wrong code.
async fn refuse(app: &App, call: &Call, mut who: Who, enrolment: &Enrolment) -> Outcome {
    let mut retries = RetryPolicy::default();
    loop {
        let event = event(&who, call, enrolment)
            .failed()
            .with("reason", "wrong-code");
        let writes = who.user.change(who.user.touch(), [event], who.now)?;
        if who.settle(app, writes, &mut retries, |_| {}).await? {
            let left = enrolment.attempts_left().saturating_sub(1);
            return Err(Problem::new(Slug::CodeInvalid).with("attempts_left", left));
        }
    }
}

fn event(who: &Who, call: &Call, enrolment: &Enrolment) -> Event {
    who.event(Action::FactorEnrolled, call)
        .with("method", "totp")
        .with("factor", enrolment.id.to_string())
}
