//! `POST /v1/agreements/{id}/recipients/{recipient}/reopen`: lets a recipient in again who failed
//! too often: to view what they had signed, or to type the code that was sent to their phone.

use shared::account::api_key::Caller;
use shared::agreement::{AgreementRefusal, Recipient, Standing};
use shared::kernel::clock::Timestamp;
use shared::signin::user::Method;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, Stored, Write};
use shared::web::http::{Call, Outcome, Problem, Reply};
use shared::web::settle::{Decision, Unsettled, settle};

use crate::{find, shown};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let recipient = settle(app, || reopening(app, call, caller))
        .await
        .map_err(Unsettled::of_an_object)?;
    Ok(Reply::json(&shown::Recipient::from(&recipient)))
}

/// The writes that let the recipient in again, and the recipient with them; the recipient as they
/// stand, where nothing keeps them out.
async fn reopening(
    app: &App,
    call: &Call,
    caller: &Caller,
) -> Result<Decision<Recipient>, Problem> {
    let now = call.arrived_at;
    let standing = find::standing(app, call, caller.account.id).await?;
    let recipient = standing.recipient();
    let locked = Locked::of(recipient);
    if !locked.viewing && locked.factors.is_empty() {
        return Ok(Decision::Stands(recipient.clone()));
    }
    let ended = AgreementRefusal::NotOpen(standing.agreement().status(now));
    if standing.accessible(now) == Err(ended) {
        return Err(ended.problem());
    }
    let event = |action| {
        let event = Event::new(action, caller.actor).from(call.client_ip);
        event.with("recipient", recipient.id.to_string())
    };
    let writes = locked.lift(&standing, event, now)?;
    let reopened = recipient.after(&writes)?;
    Ok(Decision::Write(writes, reopened))
}

/// What keeps a recipient out until the sender lifts it.
struct Locked {
    viewing: bool,
    factors: Vec<Method>,
}

impl Locked {
    fn of(recipient: &Recipient) -> Self {
        Self {
            viewing: recipient.viewing_locked_at.is_some(),
            factors: recipient.locked_factors().collect(),
        }
    }

    /// The writes that lift all of it, each with its entry.
    fn lift(
        &self,
        standing: &Standing,
        event: impl Fn(Action) -> Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut update = standing.update();
        let mut events = Vec::new();
        if self.viewing {
            update = Recipient::reopen_viewing(update);
            events.push(event(Action::ViewingReopened));
        }
        for method in &self.factors {
            update = Recipient::unlock_factor(update, *method);
            events.push(event(Action::FactorUnlocked).with("method", method.name()));
        }
        standing.step(update, events, now)
    }
}
