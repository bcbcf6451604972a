//! `POST /v1/agreements/{id}/cancel`, once per `Idempotency-Key` where there is one.

use serde::Deserialize;
use shared::account::api_key::Caller;
use shared::agreement::{Closure, Refusal, Status, Whole};
use shared::kernel::clock::Timestamp;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::RetryPolicy;
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;
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

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let request: Request = call.json()?;
    let reason = fields::reason(&request.reason)
        .map_err(|detail| Problem::invalid_field("/reason", detail))?;
    let key = IdempotencyKey::of(call, &format!("cancel\n{}", caller.account.id))?;
    let by = key.map_or_else(|| call.request_id.clone(), |key| key.record().pk);
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    loop {
        let ending = find::ending(app, call, caller.account.id).await?;
        let agreement = &ending.whole().agreement;
        if let Some(closure) = agreement
            .closure
            .as_ref()
            .filter(|closure| closure.by.as_ref() == Some(&by))
        {
            return answered(ending.whole(), closure, &reason, call, now);
        }
        agreement.open(now).map_err(Refusal::problem)?;
        let event = Event::new(Action::AgreementCancelled, caller.actor)
            .from(call.client_ip)
            .with("reason", reason.as_str());
        let closure = Closure {
            at: now,
            reason: Some(reason.clone()),
            recipient: None,
            by: Some(by.clone()),
        };
        let written = app
            .table
            .transact(ending.writes(Status::Cancelled, &closure, event, now)?)
            .await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            return Ok(Reply::ok(&shown::Agreement::whole(
                &ending.ended(Status::Cancelled, closure),
                now,
            )));
        }
    }
}

/// What the same request is answered that has cancelled the agreement before: its answer was lost,
/// between the table and here or between here and the caller.
fn answered(
    whole: &Whole,
    closure: &Closure,
    reason: &str,
    call: &Call,
    now: Timestamp,
) -> Outcome {
    if closure.reason.as_deref() != Some(reason) {
        return Err(Problem::new(Slug::IdempotencyKeyReused));
    }
    let reply = Reply::ok(&shown::Agreement::whole(whole, now));
    let replayed = call.has_header("idempotency-key");
    Ok(if replayed {
        reply.header("idempotency-replayed", "true".into())
    } else {
        reply
    })
}
