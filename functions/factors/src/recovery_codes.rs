//! `POST /v1/factors/recovery-codes`: ten new ones. Those before are no longer good, nor is what
//! anybody else has proved.

use serde::Serialize;
use shared::kernel::secret::{Secret, exposed_all};
use shared::signin::notice::{Changed, Notices};
use shared::signin::recovery;
use shared::signin::user::Method;
use shared::store::audit::Action;
use shared::store::dynamo::{Failure, RetryPolicy};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;
use crate::who::Who;

/// New recovery codes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub struct Response {
    /// Ten, shown once. Those before are no longer good.
    #[serde(serialize_with = "exposed_all")]
    #[schema(value_type = Vec<String>, example = json!(["7k3w-9q2m-x5t8-r4b6-y0ad-h1zc"]))]
    pub recovery_codes: Vec<Secret<String>>,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    let app = &state.app;
    let mut who = Who::by_token(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        may_have(&who)?;
        let (recovery_codes, stored) = recovery::draw(who.user.id, &app.entropy, who.now);
        let event = who
            .event(Action::RecoveryCodesMade, call)
            .with("count", recovery_codes.len());
        let update = who.user.replace_recovery_codes(&stored)?;
        let update = who.end_others(who.guard(update));
        let mut writes = who.user.change(update, [event], who.now)?;
        writes.extend(who.notices(app, &mut notices, &who.user, Changed::RecoveryCodes)?);
        let learn = |written: &Result<(), Failure>| notices.learn(written);
        if who.settle(app, writes, &mut retries, learn).await? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::json(&Response { recovery_codes }));
        }
    }
}

/// Whether the user may have new ones. They stand in for an app: without one there is nothing to
/// stand in for.
fn may_have(who: &Who) -> Result<(), Problem> {
    who.may_change()?;
    let methods = who.settings.second_factor.methods;
    if who.user.can_use(Method::Totp, methods) {
        Ok(())
    } else {
        Err(Problem::new(Slug::MethodNotEnabled))
    }
}
