//! The headers of answers. Each stands once, in `components`, and the answers refer to it.

use serde_json::Value;
use shared::web::http::Slug;
use shared::web::http::routes::{Idempotency, Operation, Route};
use utoipa::openapi::header::Header;
use utoipa::openapi::{HeaderBuilder, Ref};

use crate::parameters;

/// All of them, by name.
pub fn all() -> [(&'static str, Header); 8] {
    let challenged =
        "With `unauthorized`: the scheme, and for an access token what is wrong with it.";
    let neighbours = "Where the parts before (`prev`) and after (`next`) this one are (RFC 8288); not there where there is one part.";
    let replayed =
        "`true` where this is the answer to the same request before; otherwise it is not there.";
    [
        (
            "Allow",
            header("The methods that the path takes.", "GET, PATCH"),
        ),
        ("ETag", header("The object's version.", parameters::VERSION)),
        ("Idempotency-Replayed", header(replayed, true)),
        (
            "Link",
            header(
                neighbours,
                "</v1/agreements/agr_01jd3w2f6kq8m1x4t7r0w3y5ab/audit?part=2>; rel=\"next\"",
            ),
        ),
        (
            "RateLimit",
            header("What is left of the limit.", "\"login\";r=0;t=42"),
        ),
        (
            "RateLimit-Policy",
            header("The limit.", "\"login\";q=100;w=300"),
        ),
        (
            "Retry-After",
            header("Seconds until it makes sense to try again.", 42),
        ),
        (
            "WWW-Authenticate",
            header(challenged, "Bearer error=\"invalid_token\""),
        ),
    ]
}

fn header(what: &str, example: impl Into<Value>) -> Header {
    let example = example.into();
    HeaderBuilder::new()
        .schema(Some(parameters::schema_of(&example)))
        .description(Some(what))
        .example(Some(example))
        .build()
}

/// Where `name` stands.
pub fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// Those of the route's success.
pub fn of_success(route: &Route) -> impl Iterator<Item = &'static str> {
    let version = shows_a_version(route).then_some("ETag");
    let replayed = (route.idempotency != Idempotency::Ignored).then_some("Idempotency-Replayed");
    let neighbours = (route.operation == Operation::ReportAgreement).then_some("Link");
    version.into_iter().chain(replayed).chain(neighbours)
}

/// Whether what it answers with can be patched.
fn shows_a_version(route: &Route) -> bool {
    use Operation as O;
    let shown = matches!(
        route.operation,
        O::GetAccount
            | O::GetMe
            | O::GetSettings
            | O::GetGroupSettings
            | O::GetUser
            | O::GetAgreement
    );
    shown || route.method == "PATCH"
}

/// Those of a refusal that may be any of `slugs`.
pub fn of_refusal(slugs: &[Slug]) -> impl Iterator<Item = &'static str> {
    let challenged = slugs
        .contains(&Slug::Unauthorized)
        .then_some("WWW-Authenticate");
    let waits = slugs
        .iter()
        .copied()
        .any(says_when)
        .then_some("Retry-After");
    let limited = slugs
        .iter()
        .any(|slug| slug.status() == 429)
        .then_some(["RateLimit", "RateLimit-Policy"]);
    challenged
        .into_iter()
        .chain(waits)
        .chain(limited.into_iter().flatten())
}

/// Whether it says when to try again: a limit, a service that is gone, or something else that is
/// being done at this moment.
fn says_when(slug: Slug) -> bool {
    matches!(slug.status(), 429 | 503) || matches!(slug, Slug::Conflict | Slug::IdempotencyConflict)
}
