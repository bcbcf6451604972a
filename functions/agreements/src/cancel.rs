//! `POST /v1/agreements/{id}/cancel`, once per `Idempotency-Key` where there is one.

use serde::Deserialize;
use shared::account::api_key::Caller;
use shared::agreement::{AgreementRefusal, Closure, FullAgreement, Status};
use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;
use shared::web::settle::{Decision, Unsettled, settle};
use utoipa::ToSchema;

use crate::{fields, find, shown};

/// Why an agreement is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancelAgreement)]
pub struct Request {
    /// The reason, as the audit report gives it: 1 to 500 characters.
    #[schema(example = "the terms have changed", min_length = 1, max_length = 500)]
    pub reason: String,
}

/// A cancellation that is asked for.
struct Cancelling<'a> {
    call: &'a Call,
    caller: &'a Caller,
    reason: String,
    /// What the closure is known by, so that the same request finds it again.
    by: String,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let request: Request = call.json()?;
    let reason = fields::reason(&request.reason)
        .map_err(|detail| Problem::invalid_field("/reason", detail))?;
    let key = IdempotencyKey::of(call, &format!("cancel\n{}", caller.account.id))?;
    let cancelling = Cancelling {
        call,
        caller,
        reason,
        by: key.map_or_else(|| call.request_id.clone(), |key| key.record().pk),
    };
    settle(app, || cancelling.decide(app))
        .await
        .map_err(Unsettled::of_an_object)
}

impl Cancelling<'_> {
    /// The writes that cancel the agreement, and the answer; the answer alone, where this request
    /// has cancelled it before.
    async fn decide(&self, app: &App) -> Result<Decision<Reply>, Problem> {
        let now = self.call.arrived_at;
        let ending = find::ending(app, self.call, self.caller.account.id).await?;
        let agreement = &ending.whole().agreement;
        if let Some(closure) = agreement.closure.as_ref().filter(|it| self.made(it)) {
            let reply = answered(ending.whole(), closure, &self.reason, self.call, now)?;
            return Ok(Decision::Stands(reply));
        }
        agreement.open(now).map_err(AgreementRefusal::problem)?;
        let closure = self.closure();
        let writes = ending.writes(Status::Cancelled, &closure, self.event(), now)?;
        let ended = ending.after(&writes)?;
        let reply = Reply::json(&shown::Agreement::whole(&ended, now));
        Ok(Decision::Write(writes, reply))
    }

    fn made(&self, closure: &Closure) -> bool {
        closure.by.as_ref() == Some(&self.by)
    }

    fn closure(&self) -> Closure {
        Closure {
            at: self.call.arrived_at,
            reason: Some(self.reason.clone()),
            recipient: None,
            by: Some(self.by.clone()),
        }
    }

    fn event(&self) -> Event {
        Event::new(Action::AgreementCancelled, self.caller.actor)
            .from(self.call.client_ip)
            .with("reason", self.reason.as_str())
    }
}

/// What the same request is answered that has cancelled the agreement before: its answer was lost,
/// between the table and here or between here and the caller.
fn answered(
    whole: &FullAgreement,
    closure: &Closure,
    reason: &str,
    call: &Call,
    now: Timestamp,
) -> Outcome {
    if closure.reason.as_deref() != Some(reason) {
        return Err(Problem::new(Slug::IdempotencyKeyReused));
    }
    let reply = Reply::json(&shown::Agreement::whole(whole, now));
    let replayed = call.has_header("idempotency-key");
    Ok(if replayed {
        reply.header("idempotency-replayed", "true".into())
    } else {
        reply
    })
}
