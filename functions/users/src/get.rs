//! `GET /v1/users/{id}`

use shared::account::api_key::Caller;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Reply};

use crate::user::{self, Response};

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    call.no_body()?;
    let user = user::find(app, call, caller.account.id).await?;
    Ok(Reply::json(&Response::of(&user, call.arrived_at)).etag(user.version))
}
