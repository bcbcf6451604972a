//! `POST /v1/links`: a one-time link is mailed to a user.
//!
//! Three waits: key and account; the user (and the idempotency record); one transaction makes the
//! link, puts its mail into the outbox, and keeps the answer. The mail goes then; where that fails
//! it remains there still, and the clean-up sends it.

mod create;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::account::api_key;
use shared::kernel::ids::{LinkId, UserId};
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Outcome, Problem, Slug};
use utoipa::ToSchema;

/// What this function holds: the app, and the hands that take messages.
#[derive(Clone, Debug)]
pub struct State {
    /// The app.
    pub app: App,
    /// SES and SNS.
    pub courier: Courier,
}

/// A wish for a link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateLinkRequest)]
pub struct Request {
    /// Whom it is mailed to.
    pub user: UserId,
    /// Where the browser goes with a one-time code once the second factor is proved: exactly one of
    /// the account's `links.redirect_uris`. Without one it stays on the hosted page.
    #[serde(default)]
    #[schema(example = "https://portal.example/in")]
    pub redirect_uri: Option<String>,
    /// For how many seconds it is good: an hour unless this says otherwise, and a day at most.
    #[serde(default)]
    #[schema(example = 3600, minimum = 1, maximum = 86400)]
    pub expires_in: Option<u32>,
}

/// A link that is mailed. The link itself is in the mail alone.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CreatedLink)]
pub struct Response {
    /// What the audit calls it.
    pub id: LinkId,
    /// Where it goes, masked.
    #[schema(example = "a••••••••@example.com")]
    pub destination: String,
    /// For how many seconds it is good.
    #[schema(example = 3600)]
    pub expires_in: i64,
}

/// Answers a request.
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    let caller = api_key::caller(&state.app, &call, Scope::LinksWrite).await?;
    call.only_query(&["account"])?;
    create::create(&state, &call, &caller, &call.json()?).await
}
