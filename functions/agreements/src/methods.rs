//! `GET /v1/authentication-methods`

use serde::Serialize;
use shared::account::api_key::Caller;
use shared::agreement::Authentication;
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Reply};
use utoipa::ToSchema;

use crate::{choice, fields, send};

/// What a sender may choose from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthenticationMethods)]
pub struct Response {
    /// What is not enabled is not there.
    pub methods: Vec<Offered>,
}

/// A method that a sender may choose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthenticationMethod)]
pub struct Offered {
    /// The method.
    pub method: Authentication,
    /// Whether it costs a prepaid transaction for each recipient.
    pub premium: bool,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account", "group"])?;
    call.no_body()?;
    let group = call.query("group").map(fields::group).transpose();
    let group = group.map_err(|detail| Problem::invalid_parameter("group", detail))?;
    let settings = send::settings(app, &caller.account, group.as_deref()).await?;
    let enabled = choice::enabled(&caller.account, &settings).into_iter();
    let methods = enabled
        .map(|method| Offered {
            method,
            premium: method == Authentication::Kba,
        })
        .collect();
    Ok(Reply::json(&Response { methods }))
}
