//! The OpenAPI 3.1 document of the API.
//!
//! It is made from what the service itself goes by: the table of routes (paths, authorisation,
//! refusals), the table of problems, and the request and response types of the functions. What
//! `documents` serves is the file that the command of this crate writes; a test holds it against
//! what would be written now.

mod examples;
mod headers;
mod operations;
mod parameters;
mod types;

use shared::web::http::routes::ROUTES;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, Paths, ServerBuilder,
};

/// The document.
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    for route in ROUTES {
        let item = PathItem::new(operations::method(route), operations::operation(route));
        match paths.paths.get_mut(route.path) {
            Some(path) => path.merge_operations(item),
            None => {
                paths.paths.insert(route.path.to_owned(), item);
            }
        }
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Countersign")
                .version("1.0.0")
                .description(Some(include_str!("description.md")))
                .license(Some(
                    License::builder()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                )),
        )
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("Where this document was read from"))
            .build()]))
        .paths(paths)
        .components(Some(components()))
        .build()
}

/// The document as it is served.
pub fn text() -> String {
    // Maps of plain values always serialise.
    serde_json::to_string(&document()).unwrap_or_default()
}

fn components() -> Components {
    let mut components = Components::new();
    components.schemas.extend(types::schemas());
    components
        .headers
        .extend(headers::all().map(|(name, header)| (name.to_owned(), header.into())));
    components
        .responses
        .extend(operations::unrouted().map(|(name, response)| (name.to_owned(), response.into())));
    let bearer = |description: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build(),
        )
    };
    components.add_security_scheme(
        "apiKey",
        bearer("An API key of the account with the scope that the route names; or an operator's key, with `?account=`."),
    );
    components.add_security_scheme("operatorKey", bearer("An operator's API key."));
    components.add_security_scheme(
        "accessToken",
        bearer("An access token of a signed-in user."),
    );
    components.add_security_scheme(
        "reportLink",
        bearer("What stands behind the `#` of a link to the report."),
    );
    components.add_security_scheme(
        "challenge",
        bearer("The challenge that opened what is asked for."),
    );
    let signature = ApiKeyValue::with_description(
        "webhook-signature",
        "Standard Webhooks, by a secret that the provider and the deployment share.",
    );
    components.add_security_scheme(
        "webhookSignature",
        SecurityScheme::ApiKey(ApiKey::Header(signature)),
    );
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use shared::kernel::ids::{AccountId, AgreementId, KeyId, RecipientId, SessionId, UserId};
    use shared::web::http::Slug;
    use shared::web::http::routes::Idempotency;

    #[test]
    fn the_document_that_is_served_is_the_one_that_would_be_written() {
        let served = include_str!("../../../functions/documents/openapi.json");
        assert!(
            served == text(),
            "functions/documents/openapi.json is out of date: run `cargo run -p openapi`"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    members
                        .iter()
                        .for_each(|(name, value)| match value.as_str() {
                            Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                            _ => references(value, found),
                        });
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(&text()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            assert!(
                document
                    .pointer(reference.trim_start_matches('#'))
                    .is_some(),
                "{reference}"
            );
        }
    }

    #[test]
    fn every_route_is_there_with_its_refusals_and_examples() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation["operationId"].is_string(), "{}", route.key());
            assert_eq!(
                operation["requestBody"].is_object(),
                route.has_body(),
                "{}",
                route.key()
            );
            assert!(
                operation["responses"][route.success.to_string()].is_object(),
                "{}",
                route.key()
            );
            for slug in route.refusals {
                let response = &operation["responses"][slug.status().to_string()];
                let examples = &response["content"]["application/problem+json"]["examples"];
                assert!(
                    examples[slug.name()].is_object(),
                    "{} {}",
                    route.key(),
                    slug.name()
                );
            }
        }
    }

    #[test]
    fn every_answer_and_every_body_has_an_example() {
        fn content<'a>(place: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
            for (name, value) in value.as_object().into_iter().flatten() {
                if name == "content" {
                    found.extend(
                        value
                            .as_object()
                            .unwrap()
                            .iter()
                            .map(|(kind, media)| (format!("{place} {kind}"), media)),
                    );
                }
                content(&format!("{place}/{name}"), value, found);
            }
        }
        let document: Value = serde_json::from_str(&text()).unwrap();
        let mut found = Vec::new();
        content("", &document["paths"], &mut found);
        content("", &document["components"]["responses"], &mut found);
        assert!(found.len() > ROUTES.len());
        for (place, media) in found {
            let named = media["examples"]
                .as_object()
                .is_some_and(|examples| examples.values().all(|one| !one["value"].is_null()));
            assert!(named || !media["example"].is_null(), "{place} has none");
        }
    }

    /// Each parameter and each response header, with where it stands. Answers refer to those of
    /// `components`.
    fn parameters_and_headers(document: &Value) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            found.extend(
                parameters.map(|one| (format!("{} {}", route.key(), one["name"]), one.clone())),
            );
        }
        let headers = document["components"]["headers"]
            .as_object()
            .into_iter()
            .flatten();
        found.extend(headers.map(|(name, header)| (name.clone(), header.clone())));
        found
    }

    #[test]
    fn every_parameter_and_every_header_says_what_it_is_and_has_an_example_of_its_type() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        let found = parameters_and_headers(&document);
        assert!(found.len() > ROUTES.len());
        for (place, one) in found {
            let example = &one["example"];
            let fits = match one["schema"]["type"].as_str() {
                Some("boolean") => example.is_boolean(),
                Some("integer") => example.is_u64(),
                _ => example.as_str().is_some_and(|text| !text.is_empty()),
            };
            assert!(fits && one["description"].is_string(), "{place}: {one}");
        }
    }

    #[test]
    fn a_parameters_example_has_the_form_that_is_taken() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        for (place, one) in parameters_and_headers(&document) {
            let example = one["example"].as_str().unwrap_or_default();
            let taken = match example.split_once('_').map_or("", |(prefix, _)| prefix) {
                "acc" => example.parse::<AccountId>().is_ok(),
                "usr" => example.parse::<UserId>().is_ok(),
                "key" => example.parse::<KeyId>().is_ok(),
                "agr" => example.parse::<AgreementId>().is_ok(),
                "rcp" => example.parse::<RecipientId>().is_ok(),
                "kba" => example.parse::<SessionId>().is_ok(),
                _ => !one["description"].as_str().unwrap().contains(" id."),
            };
            assert!(taken, "{place}: {example}");
        }
    }

    #[test]
    fn an_answer_has_the_headers_that_its_route_gives_it() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        for route in ROUTES {
            let responses =
                &document["paths"][route.path][route.method.to_lowercase()]["responses"];
            let replayed = &responses[route.success.to_string()]["headers"]["Idempotency-Replayed"];
            assert_eq!(
                replayed.is_object(),
                route.idempotency != Idempotency::Ignored,
                "{}",
                route.key()
            );
            let challenge = &responses["401"]["headers"]["WWW-Authenticate"];
            assert_eq!(
                challenge.is_object(),
                route.refusals.contains(&Slug::Unauthorized),
                "{}",
                route.key()
            );
            for response in responses.as_object().unwrap().values() {
                let mut headers = response["headers"].as_object().into_iter().flatten();
                assert!(
                    headers.all(|(_, header)| header["$ref"].is_string()),
                    "{}: one stands by itself",
                    route.key()
                );
            }
        }
    }

    #[test]
    fn what_no_route_takes_is_there_with_its_headers() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        let responses = &document["components"]["responses"];
        assert!(responses["NoSuchMethod"]["headers"]["Allow"].is_object());
        for (name, status) in [("NoSuchPath", 404), ("NoSuchMethod", 405)] {
            let examples = responses[name]["content"]["application/problem+json"]["examples"]
                .as_object()
                .unwrap();
            assert!(
                examples
                    .values()
                    .all(|example| example["value"]["status"] == status)
                    && !examples.is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn every_field_says_what_it_is() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                let said = schema["description"].is_string()
                    || schema["$ref"].is_string()
                    || schema["oneOf"].is_array();
                assert!(said, "{name}.{field} says nothing");
            }
        }
    }
}
