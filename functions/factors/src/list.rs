//! `GET /v1/factors`

use serde::Serialize;
use shared::signin::user::{Method, User};
use shared::web::http::{Call, Outcome, Reply};
use utoipa::ToSchema;

use crate::State;
use crate::who::Who;

/// The factors that the user has and the account has on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Factors)]
pub struct Response {
    /// In the order in which they are offered.
    pub factors: Vec<Factor>,
}

/// A factor that is set up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnrolledFactor)]
pub struct Factor {
    /// The method.
    pub method: Method,
    /// Since when, RFC 3339 UTC.
    #[schema(example = "2026-11-22T09:30:00Z", format = DateTime)]
    pub enrolled_at: String,
    /// Of recovery codes, how many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 9, nullable = false)]
    pub remaining: Option<usize>,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    let who = Who::by_token(&state.app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let on = Method::ALL
        .into_iter()
        .filter(|method| method.is_on(who.settings.second_factor.methods));
    Ok(Reply::json(&Response {
        factors: on.filter_map(|method| factor(&who.user, method)).collect(),
    }))
}

fn factor(user: &User, method: Method) -> Option<Factor> {
    let enrolled_at = user.enrolled_at(method)?.to_rfc3339();
    let remaining = user
        .recovery
        .as_ref()
        .filter(|_| method == Method::RecoveryCode)
        .map(shared::signin::recovery::Codes::remaining);
    Some(Factor {
        method,
        enrolled_at,
        remaining,
    })
}
