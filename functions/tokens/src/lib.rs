//! `POST /v1/tokens`: the portal's back end exchanges the one-time code that its `redirect_uri` was
//! given.
//!
//! Four waits: key and account; the code; its user; one transaction uses the code up. The token is
//! made then: it is never stored.

use std::sync::Arc;

use serde::Deserialize;
use shared::account::api_key::{self, Caller};
use shared::kernel::secret::Secret;
use shared::signin::access_token::{self, Subject};
use shared::signin::exchange::{self, Exchange, ExchangeRefusal};
use shared::signin::sign_in::{Answer, Authenticated};
use shared::signin::user::User;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Key, keys};
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};
use utoipa::ToSchema;

/// A code to be exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedeemCodeRequest)]
pub struct Request {
    /// What came with `?code=`.
    #[schema(value_type = String, example = "otc_…")]
    pub code: Secret<String>,
}

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    let caller = api_key::caller(&app, &call, Scope::TokensRedeem).await?;
    call.only_query(&["account"])?;
    let request: Request = call.json()?;
    redeem(&app, &call, &caller, &request.code).await
}

async fn redeem(app: &App, call: &Call, caller: &Caller, code: &Secret<String>) -> Outcome {
    let key = exchange::key(code).ok_or(ExchangeRefusal::Unknown)?;
    let (exchange, user) = settle(app, || redemption(app, call, caller, &key))
        .await
        .map_err(Unsettled::of_an_object)?;
    let (proof, now) = (exchange.proof(), call.arrived_at);
    let token = access_token::sign(
        &Subject::of(&user),
        &proof,
        &call.base_url(app.config.base_url.as_deref()),
        &*app.keyrings.current(now).await,
        &app.entropy,
        now,
    )?;
    let answer = Answer::Authenticated(Authenticated::new(token, &proof));
    Ok(Reply::json(&answer))
}

/// The writes that use the code up, with what it was exchanged for and for whom.
async fn redemption(
    app: &App,
    call: &Call,
    caller: &Caller,
    key: &Key,
) -> Result<Decision<(Exchange, User)>, Problem> {
    let now = call.arrived_at;
    let found = app.table.find(key.clone().holding::<Exchange>()).await?;
    let exchange = found.ok_or(ExchangeRefusal::Unknown)?;
    let user = keys::user(exchange.user).holding::<User>();
    let user = app.table.find(user).await?;
    exchange.admits(caller.account.id, user.as_ref(), now)?;
    let user = user.ok_or(ExchangeRefusal::Expired)?;
    let event = Event::new(Action::TokenRedeemed, caller.actor)
        .from(call.client_ip)
        .with("link", exchange.link.to_string());
    let writes = exchange.redeem(key.clone(), &user, event, now)?;
    Ok(Decision::Write(writes, (exchange, user)))
}
