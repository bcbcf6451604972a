//! `GET /v1/ip-allowlist/explain`

use std::net::IpAddr;

use shared::account::{self, Settings};
use shared::web::http::{Call, Outcome, Problem, Reply};

pub(crate) fn handle(call: &Call, settings: &Settings) -> Outcome {
    call.only_query(&["account", "ip"])?;
    call.no_body()?;
    let text = call
        .query("ip")
        .ok_or_else(|| Problem::invalid_parameter("ip", "is missing"))?;
    let address: IpAddr = text
        .parse()
        .map_err(|_| Problem::invalid_parameter("ip", "must be an IPv4 or IPv6 address"))?;
    Ok(Reply::json(&account::explain(
        &settings.ip_allowlist,
        address,
    )))
}
