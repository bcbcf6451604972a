//! The parameters of a route: of its path, its query and its headers, each with an example.

use serde_json::Value;
use shared::web::http::routes::{Authorisation, Idempotency, Operation, Route};
use shared::web::http::{Slug, cursor};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{RefOr, Required};

use crate::examples::{ACCOUNT, AGREEMENT, KEY, RECIPIENT, SESSION, TOPUP, USER};

/// The example of an `ETag`, and of what `If-Match` insists on.
pub const VERSION: &str = "\"7\"";

/// A parameter, before it is known where it stands.
struct Named {
    name: &'static str,
    required: bool,
    what: &'static str,
    example: Value,
}

/// All of them, in the order of a request.
pub fn parameters(route: &Route) -> Vec<Parameter> {
    let in_path = in_path(route.path)
        .into_iter()
        .map(|named| parameter(named, ParameterIn::Path));
    let in_query = in_query(route)
        .into_iter()
        .map(|named| parameter(named, ParameterIn::Query));
    let headers = headers(route)
        .into_iter()
        .map(|named| parameter(named, ParameterIn::Header));
    in_path.chain(in_query).chain(headers).collect()
}

fn in_path(path: &'static str) -> Vec<Named> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parts = names.map(|name| {
        let (what, example) = part(path, name);
        required(name, what, example)
    });
    parts.collect()
}

/// What the part `{name}` of `path` is, and one such.
fn part(path: &str, name: &str) -> (&'static str, &'static str) {
    match name {
        "account" => ("The account's id.", ACCOUNT),
        "group" => (
            "The group's name: lowercase letters, digits and hyphens, at most 64.",
            "mortgages",
        ),
        "recipient" => ("The recipient's id, as the agreement has it.", RECIPIENT),
        "session" => ("The session's id.", SESSION),
        "slug" => (
            "The last part of the problem's `type`.",
            Slug::NotFound.name(),
        ),
        "name" => ("The file's name, as the page refers to it.", "sign-in.css"),
        _ if path.contains("/api-keys/") => ("The API key's id; it is no part of the key.", KEY),
        _ if path.starts_with("/v1/agreements/") || path.starts_with("/report/") => {
            ("The agreement's id.", AGREEMENT)
        }
        _ => ("The user's id.", USER),
    }
}

fn in_query(route: &Route) -> Vec<Named> {
    let account = matches!(
        route.authorisation,
        Authorisation::Scope(_) | Authorisation::ScopeOrLink(_)
    )
    .then(|| {
        optional(
            "account",
            "The account's id, where the key is an operator's.",
            ACCOUNT,
        )
    });
    account
        .into_iter()
        .chain(of_the_operation(route.operation))
        .collect()
}

fn of_the_operation(operation: Operation) -> Vec<Named> {
    match operation {
        Operation::GetSettings | Operation::GetGroupSettings => {
            vec![optional(
                "effective",
                "`true` answers with the settings in force, and with each value's source.",
                true,
            )]
        }
        Operation::ExplainAllowlist => vec![required(
            "ip",
            "The address to be explained, v4 or v6.",
            "203.0.113.7",
        )],
        Operation::ListUsers => vec![page_after(USER)],
        Operation::ListAgreements => vec![page_after(&format!("1795339800000#{AGREEMENT}"))],
        Operation::ListQuotaEntries => vec![page_after(&format!("1795339800000#{TOPUP}"))],
        Operation::ListAuthenticationMethods => vec![optional(
            "group",
            "The name of the group that is sent from.",
            "mortgages",
        )],
        Operation::ReportAgreement => {
            vec![optional(
                "part",
                "Which part of the report, from 1; the whole where it has one part.",
                1,
            )]
        }
        Operation::ReadAudit => vec![
            required("subject", "A user's id, or the account's own.", USER),
            page_after("100"),
        ],
        Operation::SignInPage => vec![optional(
            "account",
            "The id of the organisation that is signed in to.",
            ACCOUNT,
        )],
        _ => Vec::new(),
    }
}

fn page_after(last: &str) -> Named {
    optional(
        "cursor",
        "`next_cursor` of the page before.",
        cursor::after(last),
    )
}

fn headers(route: &Route) -> Vec<Named> {
    let mut headers = Vec::new();
    if route.idempotency != Idempotency::Ignored {
        let what = "A String of RFC 8941 (IETF draft-07) of 1 to 255 characters. The same request again is answered as before, with `Idempotency-Replayed: true`.";
        let header = optional("Idempotency-Key", what, "\"order-2026-1138\"");
        headers.push(Named {
            required: route.idempotency == Idempotency::Required,
            ..header
        });
    }
    if route.authorisation == Authorisation::Signature {
        headers.extend(of_a_webhook());
    }
    if route.method == "PATCH" {
        headers.push(optional(
            "If-Match",
            "The `ETag` of what is to be changed.",
            VERSION,
        ));
    }
    headers
}

fn of_a_webhook() -> [Named; 3] {
    let signed = "`v1,` and the base 64 of the HMAC-SHA-256 over id, timestamp and body, joined by full stops.";
    [
        required(
            "webhook-id",
            "The message's id: the same when it is sent again. It is taken once.",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
        ),
        required(
            "webhook-timestamp",
            "When it is sent, in seconds; at most five minutes from our time.",
            1_795_339_800,
        ),
        required(
            "webhook-signature",
            signed,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ]
}

fn required<T: Into<Value>>(name: &'static str, what: &'static str, example: T) -> Named {
    Named {
        name,
        required: true,
        what,
        example: example.into(),
    }
}

fn optional<T: Into<Value>>(name: &'static str, what: &'static str, example: T) -> Named {
    Named {
        required: false,
        ..required(name, what, example)
    }
}

fn parameter(named: Named, place: ParameterIn) -> Parameter {
    ParameterBuilder::new()
        .name(named.name)
        .parameter_in(place)
        .required(if named.required {
            Required::True
        } else {
            Required::False
        })
        .description(Some(named.what))
        .schema(Some(schema_of(&named.example)))
        .example(Some(named.example))
        .build()
}

/// The type of what stands in a path, a query or a header, as its example has it.
pub fn schema_of(example: &Value) -> RefOr<Schema> {
    let kind = match example {
        Value::Bool(_) => Type::Boolean,
        Value::Number(_) => Type::Integer,
        _ => Type::String,
    };
    Schema::Object(Object::with_type(kind)).into()
}
