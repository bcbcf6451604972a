//! `GET /v1/settings`

use shared::account::{Account, Settings};
use shared::web::http::{Call, Outcome, Problem, Reply};

pub(crate) fn handle(call: &Call, account: &Account, settings: &Settings) -> Outcome {
    call.only_query(&["account", "effective"])?;
    call.no_body()?;
    let reply = match call.query("effective") {
        None | Some("false") => Reply::json(settings),
        Some("true") => Reply::json(&account.overrides.effective()?),
        Some(_) => {
            return Err(Problem::invalid_parameter(
                "effective",
                "must be true or false",
            ));
        }
    };
    Ok(reply.etag(account.settings_version))
}
