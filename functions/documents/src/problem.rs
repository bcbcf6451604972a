//! `GET /problems/{slug}`: what stands at the `type` of a problem. A page for people, JSON for the
//! rest.

use askama::Template;
use serde::Serialize;
use shared::web::http::accept::quality;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::{CACHE, json};

/// What a problem means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemMeaning)]
pub struct Response {
    /// The last part of the problem's `type`.
    #[schema(example = "code-invalid")]
    pub slug: &'static str,
    /// A short summary, the same for every occurrence.
    #[schema(example = "Invalid code")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 401)]
    pub status: u16,
    /// What it means and what to do. Words between backticks are names.
    #[schema(
        example = "The code is wrong or was already used. `attempts_left` says how many attempts this challenge still has."
    )]
    pub meaning: &'static str,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    problem: Response,
    meaning: Vec<Part>,
}

/// A stretch of the meaning: words, or a name.
#[derive(Debug, PartialEq)]
struct Part {
    is_name: bool,
    text: &'static str,
}

/// The page takes its style from the sign-in page, and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn handle(call: &Call) -> Outcome {
    let named = call.path_parameter("slug");
    let slug = Slug::ALL
        .iter()
        .find(|slug| named.as_deref() == Some(slug.name()))
        .ok_or_else(|| Problem::new(Slug::NotFound))?;
    let problem = Response {
        slug: slug.name(),
        title: slug.title(),
        status: slug.status(),
        meaning: slug.meaning(),
    };
    let reply = if prefers_html(call.header("accept").unwrap_or_default()) {
        page(problem)?
    } else {
        json(&problem)
    };
    Ok(reply.header("vary", "accept".into()))
}

fn page(problem: Response) -> Outcome {
    let meaning = parts(problem.meaning);
    let html = Page { problem, meaning }
        .render()
        .map_err(|error| Problem::internal("rendering a page", &error.to_string()))?;
    let reply = Reply::document("text/html; charset=utf-8", html, CACHE);
    Ok(reply
        .header("content-security-policy", POLICY.into())
        .header("referrer-policy", "no-referrer".into()))
}

fn parts(meaning: &'static str) -> Vec<Part> {
    let stretches = meaning.split('`').enumerate();
    stretches
        .map(|(place, text)| Part {
            is_name: place % 2 == 1,
            text,
        })
        .filter(|part| !part.text.is_empty())
        .collect()
}

/// Whether `accept` wants HTML more than JSON. Whoever wants either as much is a program.
fn prefers_html(accept: &str) -> bool {
    quality(accept, "text", "html") > quality(accept, "application", "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_shown_a_page_and_a_program_json() {
        assert!(prefers_html(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(prefers_html("text/html"));
        assert!(prefers_html("application/json;q=0.5, TEXT/HTML;q=0.7"));
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/html;q=0, */*",
            "application/json, text/html;q=0.9",
            "é;q=x",
            "text/html;q=0.é",
        ] {
            assert!(!prefers_html(accept), "{accept:?}");
        }
    }

    #[test]
    fn every_problem_has_a_page() {
        for slug in Slug::ALL {
            let problem = Response {
                slug: slug.name(),
                title: slug.title(),
                status: slug.status(),
                meaning: slug.meaning(),
            };
            let page = String::from_utf8(page(problem).unwrap().body().to_vec()).unwrap();
            assert!(
                page.contains(slug.name()) && !page.contains('`'),
                "{}",
                slug.name()
            );
        }
    }

    #[test]
    fn names_stand_between_backticks() {
        let part = |is_name, text| Part { is_name, text };
        assert_eq!(
            parts("`Allow` lists `GET`."),
            [
                part(true, "Allow"),
                part(false, " lists "),
                part(true, "GET"),
                part(false, ".")
            ]
        );
    }
}
