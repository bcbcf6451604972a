//! `GET /v1/agreements/{id}`

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Reply};

use crate::{find, shown};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let whole = find::whole(app, call, caller.account.id).await?;
    Ok(
        Reply::json(&shown::Agreement::whole(&whole, call.arrived_at))
            .etag(whole.agreement.head.sequence),
    )
}
