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
use shared::signin::exchange::{self, Exchange, Refusal};
use shared::signin::sign_in::{Answer, Authenticated};
use shared::signin::user::User;
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{RetryPolicy, keys, read};
use shared::web::http::refusals::contended;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
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
    call.allow_origins(&caller.account.settings()?.origins);
    call.only_query(&["account"])?;
    let request: Request = call.json()?;
    redeem(&app, &call, &caller, &request.code).await
}

async fn redeem(app: &App, call: &Call, caller: &Caller, code: &Secret<String>) -> Outcome {
    let key = exchange::key(code).ok_or(Refusal::Unknown)?;
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    loop {
        let exchange: Exchange = read(app.table.get(key.clone()).await?.ok_or(Refusal::Unknown)?)?;
        let user: Option<User> = app
            .table
            .get(keys::user(exchange.user))
            .await?
            .map(read)
            .transpose()?;
        exchange.admits(caller.account.id, user.as_ref(), now)?;
        let user = user.ok_or(Refusal::Expired)?;
        let event = Event::new(Action::TokenRedeemed, caller.actor)
            .from(call.client_ip)
            .with("link", exchange.link.to_string());
        let writes = exchange.redeem(key.clone(), &user, event, now)?;
        let written = app.table.transact(writes).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            let (proof, keyring) = (exchange.proof(), app.keyrings.current(now).await);
            let issuer = call.base_url(app.config.base_url.as_deref());
            let token = access_token::sign(
                &Subject::of(&user),
                &proof,
                &issuer,
                &keyring,
                &app.entropy,
                now,
            )?;
            return Ok(Reply::ok(&Answer::Authenticated(Authenticated::new(
                token, &proof,
            ))));
        }
    }
}
