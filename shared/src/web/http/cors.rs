//! CORS: an answer may be read by the origins of the account that it concerns, and by no others.
//!
//! A preflight names no account. It is answered for origins that some account claims; whether the
//! answer proper may be read is decided when the account is known.

use super::Reply;

/// The status of a preflight, which no route has.
const PREFLIGHT: u16 = 204;
const HEADERS: &str = "authorization, content-type, idempotency-key, if-match";
const EXPOSED: &str = "etag, idempotency-replayed, link, ratelimit, ratelimit-policy, retry-after";

/// Lets `origin` read `reply`.
pub fn allow(reply: Reply, origin: Option<String>) -> Reply {
    let reply = reply.header("vary", "origin".into());
    match origin {
        Some(origin) => reply
            .header("access-control-allow-origin", origin)
            .header("access-control-expose-headers", EXPOSED.into()),
        None => reply,
    }
}

/// The answer to a preflight of an origin that some account claims, or that none does.
pub fn preflight(claimed: Option<&str>, methods: &[&str]) -> Reply {
    let reply = Reply::empty().with_status(PREFLIGHT);
    let reply = reply.header("vary", "origin".into());
    match claimed {
        Some(origin) => reply
            .header("access-control-allow-origin", origin.to_owned())
            .header("access-control-allow-methods", methods.join(", "))
            .header("access-control-allow-headers", HEADERS.into())
            .header("access-control-max-age", "600".into()),
        None => reply,
    }
}
