//! `GET /v1/groups/{group}/settings`

use shared::account::{Account, Group};
use shared::store::app::App;
use shared::web::http::{Call, Outcome, Problem, Reply};

use crate::groups;

pub(crate) async fn handle(app: &App, call: &Call, account: &Account) -> Outcome {
    call.only_query(&["account", "effective"])?;
    call.no_body()?;
    let name = groups::named(call)?;
    let group = app.table.find(Group::wanted(account.id, &name)).await?;
    let reply = match call.query("effective") {
        None | Some("false") => Reply::json(&group.overrides),
        Some("true") => Reply::json(&account.overrides.effective_with(&group.overrides)?),
        Some(_) => {
            return Err(Problem::invalid_parameter(
                "effective",
                "must be true or false",
            ));
        }
    };
    Ok(reply.etag(group.version))
}
