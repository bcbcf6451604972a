//! A route as an OpenAPI operation.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::web::http::routes::Scope;
use shared::web::http::routes::{ANYWHERE, Authorisation, Operation, Route};
use shared::web::http::{Problem, Slug};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, Ref, RefOr, Required, Response, ResponseBuilder,
};

use crate::{examples, headers, parameters, types};

/// The route's method.
pub fn method(route: &Route) -> HttpMethod {
    match route.method {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The route as an operation.
pub fn operation(route: &Route) -> utoipa::openapi::path::Operation {
    let id = format!("{:?}", route.operation);
    let id = id
        .chars()
        .take(1)
        .map(|first| first.to_ascii_lowercase())
        .chain(id.chars().skip(1))
        .collect::<String>();
    let mut builder = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(route.function.name())
        .summary(Some(route.summary))
        .description(description(route))
        .parameters(Some(parameters::parameters(route)));
    if let Some(requirement) = security(route) {
        builder = builder.security(requirement);
        if route.authorisation == Authorisation::AccessTokenOrProof {
            builder = builder.security(SecurityRequirement::default());
        }
        if matches!(route.authorisation, Authorisation::ScopeOrLink(_)) {
            builder =
                builder.security(SecurityRequirement::new("reportLink", Vec::<String>::new()));
        }
    }
    if let Some(schema) = types::request(route.operation) {
        builder = builder.request_body(Some(request_body(route, &schema)));
    }
    builder = builder.response(route.success.to_string(), success(route));
    for (status, slugs) in refusals(route) {
        builder = builder.response(status.to_string(), refusal(&slugs));
    }
    builder.build()
}

/// Whom it is for, and what its summary has no room for.
fn description(route: &Route) -> Option<String> {
    let parts: Vec<String> = authorisation(route)
        .into_iter()
        .chain(notes(route.operation).map(str::to_owned))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// What somebody who builds on the route would otherwise find out.
const fn notes(operation: Operation) -> Option<&'static str> {
    Some(match operation {
        Operation::Login => {
            "An attempt is counted for its username before the password is compared, and the count is taken back if the password is right. So right \
             passwords of one username that are sent at the same time count until then: up to five are let in if none was wrong before, and of more, \
             some may be answered with 429 and a `Retry-After` of a second or two (of eight at once we have seen three, of 32 twenty-two). Right \
             passwords that are sent one after the other do not count."
        }
        Operation::ForgetPassword => {
            "Every request is answered the same after two seconds. The link needs a second factor besides the mailbox: a user without a usable phone \
             or app is mailed whom to ask instead. With an `Idempotency-Key`, which belongs to the client IP, the same \
             request again is answered at once, counts for no limit and mails nothing."
        }
        Operation::ReportAgreement => {
            "A report of more than 2,500 entries is exported in parts: `?part=1` to the number that `parts` says, each of which verifies by itself. Without \
             `part` such a report is `report-in-parts`. A part begins at the same entry whenever it is requested, and the last one grows: parts that were \
             fetched one after another fit together, and `operate verify-report` takes them in any order, up to the end of the longest. \
             `Link` names the previous and the next part. Opening a signed agreement again within a day has no entry of its own: the next entry says how \
             often that was."
        }
        Operation::LinkReport => {
            "The address opens the report and each of its parts, as a page, as JSON and as CSV, and nothing else. It cannot be revoked: do not give it \
             to anybody for later use. The report has an entry that the link was created."
        }
        Operation::ReadAudit => {
            "Requests that are refused before anything is compared write no entry: a password while its username is delayed or its client IP is \
             blocked; a code for a challenge that is used or expired, for a factor that is delayed or disabled, or that is typed after it expired; \
             a send that a limit refuses; and a malformed request. The attempt that causes a delay writes an entry, which tells of the delay."
        }
        _ => return None,
    })
}

fn authorisation(route: &Route) -> Option<String> {
    match route.authorisation {
        Authorisation::Scope(scope) => Some(format!("Needs the scope `{}`.", name(scope))),
        Authorisation::ScopeOrLink(scope) => Some(format!("Needs the scope `{}`, or the token of a link to it.", name(scope))),
        Authorisation::Operator => Some("For the operator.".into()),
        Authorisation::AccessToken => Some("For the signed-in user.".into()),
        Authorisation::AccessTokenOrProof => {
            Some("For the signed-in user, or for who signs in for the first time, with `challenge` in the body.".into())
        }
        Authorisation::Challenge => Some("For whoever holds the challenge that opened the session.".into()),
        Authorisation::Signature => Some("For the provider: Standard Webhooks, over the body as it is sent.".into()),
        Authorisation::Public | Authorisation::Proof => None,
    }
}

fn name(scope: Scope) -> String {
    serde_json::to_value(scope)
        .ok()
        .and_then(|scope| scope.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn security(route: &Route) -> Option<SecurityRequirement> {
    let scheme = match route.authorisation {
        Authorisation::Scope(_) | Authorisation::ScopeOrLink(_) => "apiKey",
        Authorisation::Operator => "operatorKey",
        Authorisation::AccessToken | Authorisation::AccessTokenOrProof => "accessToken",
        Authorisation::Challenge => "challenge",
        Authorisation::Signature => "webhookSignature",
        Authorisation::Public | Authorisation::Proof => return None,
    };
    Some(SecurityRequirement::new(scheme, Vec::<String>::new()))
}

fn request_body(
    route: &Route,
    schema: &RefOr<Schema>,
) -> utoipa::openapi::request_body::RequestBody {
    let content = || {
        let content = ContentBuilder::new().schema(Some(schema.clone()));
        match examples::ways(route.operation) {
            ways if ways.is_empty() => content.example(examples::request(route.operation)).build(),
            ways => content.examples_from_iter(named(ways)).build(),
        }
    };
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content());
    if route.method == "PATCH" {
        body.content("application/merge-patch+json", content())
            .build()
    } else {
        body.build()
    }
}

fn named(
    examples: Vec<(&'static str, Value)>,
) -> impl Iterator<Item = (&'static str, RefOr<Example>)> {
    examples.into_iter().map(|(name, value)| {
        (
            name,
            ExampleBuilder::new().value(Some(value)).build().into(),
        )
    })
}

fn success(route: &Route) -> Response {
    let response = ResponseBuilder::new().description(route.summary);
    let response = match types::answer(route.operation) {
        None => response,
        Some((content_type, schema)) => {
            let content = ContentBuilder::new().schema(Some(schema));
            let content = match examples::answers(route.operation) {
                answers if answers.is_empty() => content,
                answers => content.examples_from_iter(named(answers)),
            };
            let response = response.content(content_type, content.build());
            types::other_forms(route.operation)
                .iter()
                .fold(response, |response, other| {
                    let example = examples::form(route.operation, other);
                    response.content(
                        *other,
                        ContentBuilder::new()
                            .schema(Some(text()))
                            .example(Some(example))
                            .build(),
                    )
                })
        }
    };
    headers::of_success(route)
        .fold(response, |response, name| {
            response.header_ref(name, headers::reference(name))
        })
        .build()
}

/// The slugs of each status, those that any route may give included.
fn refusals(route: &Route) -> BTreeMap<u16, Vec<Slug>> {
    let mut by_status: BTreeMap<u16, Vec<Slug>> = BTreeMap::new();
    for slug in route
        .refusals
        .iter()
        .chain(route.body_refusals())
        .chain(ANYWHERE)
    {
        by_status.entry(slug.status()).or_default().push(*slug);
    }
    by_status
}

fn refusal(slugs: &[Slug]) -> Response {
    let names = slugs
        .iter()
        .map(|slug| format!("`{}`", slug.name()))
        .collect::<Vec<_>>()
        .join(", ");
    let examples = slugs.iter().map(|slug| {
        (
            slug.name(),
            ExampleBuilder::new()
                .summary(slug.title())
                .value(Some(example(*slug)))
                .build(),
        )
    });
    let content = ContentBuilder::new()
        .schema(Some(RefOr::from(Ref::from_schema_name("Problem"))))
        .examples_from_iter(examples);
    let response = ResponseBuilder::new()
        .description(names)
        .content("application/problem+json", content.build());
    headers::of_refusal(slugs)
        .fold(response, |response, name| {
            response.header_ref(name, headers::reference(name))
        })
        .build()
}

/// What is answered where no route is: under the name of each in `components`, because no path has
/// them.
pub fn unrouted() -> [(&'static str, Response); 2] {
    let mut not_allowed = refusal(&[Slug::MethodNotAllowed]);
    not_allowed
        .headers
        .insert("Allow".into(), RefOr::Ref(headers::reference("Allow")));
    let mut not_found = refusal(&[Slug::NotFound]);
    not_found.description = "No path of this document, whatever the method: `not-found`".into();
    not_allowed.description =
        "A path of this document with another method than it has, HEAD among them: `method-not-allowed`".into();
    [("NoSuchPath", not_found), ("NoSuchMethod", not_allowed)]
}

/// The problem as it is answered.
fn example(slug: Slug) -> Value {
    let problem = match slug {
        Slug::InvalidRequest => Problem::invalid_field("/username", "is missing"),
        Slug::CodeInvalid | Slug::CodeSuperseded => Problem::new(slug).with("attempts_left", 4),
        Slug::ResendTooSoon => Problem::new(slug).with("resend_in", 42),
        Slug::ReportInParts => Problem::new(slug).with("count", 7012).with("parts", 3),
        Slug::UnexpectedField => {
            Problem::new(slug).field("/data", "has a field that this message does not allow")
        }
        Slug::AllowlistTooWide => {
            Problem::new(slug).field("/ip_allowlist/0", "is wider than /16 (IPv4) or /32 (IPv6)")
        }
        Slug::AgreementNotOpen => Problem::new(slug).with("agreement_status", "cancelled"),
        Slug::RecipientNameRequired => {
            Problem::new(slug).field("/recipients/0/name", "is required for `kba`")
        }
        Slug::RecipientNotInUs => {
            Problem::new(slug).field("/recipients/0/country", "must be US for `kba`")
        }
        slug => Problem::new(slug),
    };
    serde_json::from_slice(problem.into_reply("ZFq4YgbXIAMEJWg=").body())
        .unwrap_or_else(|_| json!({}))
}

fn text() -> RefOr<Schema> {
    Schema::Object(Object::with_type(Type::String)).into()
}
