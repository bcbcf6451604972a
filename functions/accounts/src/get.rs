//! `GET /v1/accounts/{account}`

use shared::account::api_key;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Reply};

use crate::account::{self, Response};

pub(crate) async fn handle(app: &App, call: &Call) -> Outcome {
    api_key::operator(app, call).await?;
    call.only_query(&[])?;
    call.no_body()?;
    let account = account::find(app, call).await?;
    Ok(Reply::json(&Response::from(&account)).etag(account.version))
}
