//! `POST /v1/agreements/{id}/audit/links`: a link that opens the audit report of an agreement in a
//! browser.

use serde::Serialize;
use shared::account::api_key::Caller;
use shared::agreement::Agreement;
use shared::agreement::report::link::ReportLink;
use shared::kernel::secret::{self, Secret};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::web::http::{Call, Outcome, Reply};
use shared::web::settle::{Decision, Unsettled, settle};
use utoipa::ToSchema;

use crate::find;

/// A link that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportLink)]
pub struct Response {
    /// The page that shows the report. Whoever has the address reads it: what opens it stands
    /// behind the `#`, which a browser sends to nobody, and opens this report alone.
    #[serde(serialize_with = "secret::exposed")]
    #[schema(value_type = String, example = "https://sign.example.com/report/agr_01jd3w2f6kq8m1x4t7r0w3y5ab#rpl_…")]
    pub url: Secret<String>,
    /// Seconds until it is over: 300, less what its making took.
    #[schema(example = 300)]
    pub expires_in: i64,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let now = call.arrived_at;
    let decide = || async {
        let agreement = find::agreement(app, call, caller.account.id).await?;
        let link = ReportLink::new(agreement.account, agreement.id, now);
        let event = Event::new(Action::ReportLinkCreated, caller.actor).from(call.client_ip);
        let event = event.with("expires_at", link.expires_at.to_rfc3339());
        let writes = agreement.tell([event], now)?;
        Ok(Decision::Write(writes, (agreement, link)))
    };
    let settled = settle(app, decide).await;
    let (agreement, link) = settled.map_err(Unsettled::of_an_object)?;
    let keyring = app.keyrings.current(now).await;
    let token = link.token(&keyring, now)?;
    let expires_in = link.expires_at.until(app.clock.now()).as_secs();
    Ok(Reply::json(&Response {
        url: address(app, call, &agreement, &token),
        expires_in,
    }))
}

fn address(
    app: &App,
    call: &Call,
    agreement: &Agreement,
    token: &Secret<String>,
) -> Secret<String> {
    let base = call.base_url(app.config.base_url.as_deref());
    Secret::new(format!("{base}/report/{}#{}", agreement.id, token.expose()))
}
