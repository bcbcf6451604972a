//! The errors of every route, as callers see them: each refusal that a route declares is provoked
//! over HTTP, and what was answered is held against a snapshot. A refusal that nothing provokes,
//! and one that nobody declared, fail.

mod back_end;
mod contacts;
mod kba;
mod links;
mod sign_in;
mod walk;

use std::collections::BTreeSet;

use crate::problems::back_end::NO_KEY;
use crate::problems::sign_in::sign_in;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use shared::web::http::routes::{Function, ROUTES};
use shared::web::http::{Operation, Slug};
use tests::{OPERATOR, World};
use walk::{Walk, declared, snapshot};

#[tokio::test]
async fn the_errors_of_documents_and_pages() {
    let mut walk = Walk::new().await;
    walk.refuses(
        Operation::ShowProblem,
        Slug::NotFound,
        walk.ask(Operation::ShowProblem, "/problems/nothing"),
    )
    .await;
    snapshot(walk, Function::Documents);
    let mut walk = Walk::new().await;
    walk.refuses(
        Operation::Asset,
        Slug::NotFound,
        walk.ask(Operation::Asset, "/assets/nothing.js"),
    )
    .await;
    snapshot(walk, Function::Pages);
}

#[test]
fn every_function_with_a_route_has_its_errors_told() {
    let told = [
        Function::Accounts,
        Function::Agreements,
        Function::Settings,
        Function::Users,
        Function::Login,
        Function::CodeIssue,
        Function::CodeVerify,
        Function::Factors,
        Function::Me,
        Function::Audit,
        Function::Links,
        Function::LinkRedeem,
        Function::Tokens,
        Function::Password,
        Function::Documents,
        Function::KbaCallback,
        Function::KbaSession,
        Function::Pages,
        Function::Quota,
        Function::QuotaTopup,
        Function::Report,
    ];
    let functions: BTreeSet<Function> = ROUTES.iter().map(|route| route.function).collect();
    assert_eq!(functions, BTreeSet::from(told));
}

/// What somebody may send along, whoever they are.
fn oddities(request: impl Fn(&str) -> RequestBuilder) -> Vec<RequestBuilder> {
    let json = |body: &str| {
        request("")
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    vec![
        request(""),
        request("?colour=red"),
        request("?account=acc_00000000000000000000000001"),
        request("?account=x&account=y"),
        request("?cursor=x&effective=x&ip=x&subject=x"),
        request("")
            .header("if-match", "\"999\"")
            .header("content-type", "application/json")
            .body("{}"),
        request("")
            .header("if-match", "x")
            .header("idempotency-key", "a b"),
        request("")
            .header("accept", "text/csv")
            .header("origin", "https://evil.example"),
        request("").header("content-type", "text/plain").body("{}"),
        request("")
            .header("content-type", "application/merge-patch+json")
            .body("{\"name\":null}"),
        json("{}"),
        json("[]"),
        json("{\"colour\":\"red\"}"),
        json("\u{0}"),
        json(&format!("\"{}\"", "x".repeat(64 * 1024))),
    ]
}

#[tokio::test]
async fn no_route_answers_what_it_does_not_declare() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let token = sign_in(&world, &ann).await;
    let keys = format!("/v1/accounts/{}/api-keys", world.account);
    let weak = json!({"name": "weak", "scopes": ["quota:read"]});
    let weak = world
        .operator(Method::POST, &keys, Some(weak))
        .await
        .expect(201);
    let credentials = [
        None,
        Some("x"),
        Some(weak.body["key"].as_str().unwrap()),
        Some(&world.key),
        Some(OPERATOR),
        Some(&token),
    ];
    for route in ROUTES {
        let path = route
            .path
            .replace("{account}", &world.account)
            .replace("{slug}", "conflict")
            .replace("{name}", "api.js");
        let id = if route.function == Function::Users {
            ann.id.as_str()
        } else {
            NO_KEY
        };
        let path = path.replace("{id}", id);
        for credential in credentials {
            let request = |query: &str| {
                let request =
                    world.request(route.method.parse().unwrap(), &format!("{path}{query}"));
                credential
                    .into_iter()
                    .fold(request, RequestBuilder::bearer_auth)
            };
            for request in oddities(request) {
                let answer = world.send(request).await;
                let known = declared(route)
                    .iter()
                    .any(|slug| (slug.status(), slug.name()) == (answer.status, answer.slug()));
                assert!(
                    known || (answer.status == route.success && answer.slug().is_empty()),
                    "{}: {answer:?}",
                    route.key()
                );
                assert_ne!(
                    answer.slug(),
                    Slug::InternalError.name(),
                    "{}: {answer:?}",
                    route.key()
                );
                assert_ne!(
                    answer.slug(),
                    Slug::ServiceUnavailable.name(),
                    "{}: {answer:?}",
                    route.key()
                );
            }
        }
    }
}
