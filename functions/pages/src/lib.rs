//! The sign-in page, the pages that mailed links and links to a report lead to, and their parts.
//! They ask nobody anything: what the page knows it asks the API for.
//!
//! Query parameters are the page's own affair (`?account=` names the organisation), and whatever a
//! mailer adds must not break a link.

use std::sync::Arc;

use shared::web::http::{Call, Operation, Outcome, Problem, Reply, Slug};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const SIGN_IN: &[u8] = include_bytes!("../assets/sign-in.html");
const LINK: &[u8] = include_bytes!("../assets/link.html");
const REPORT: &[u8] = include_bytes!("../assets/report.html");

/// The parts of the page: name, type, content.
const ASSETS: &[(&str, &str, &[u8])] = &[
    ("sign-in.css", CSS, include_bytes!("../assets/sign-in.css")),
    ("mark.svg", SVG, include_bytes!("../assets/mark.svg")),
    ("sign-in.js", JS, include_bytes!("../assets/sign-in.js")),
    ("api.js", JS, include_bytes!("../assets/api.js")),
    ("code.js", JS, include_bytes!("../assets/code.js")),
    (
        "credentials.js",
        JS,
        include_bytes!("../assets/credentials.js"),
    ),
    ("enrolment.js", JS, include_bytes!("../assets/enrolment.js")),
    ("factors.js", JS, include_bytes!("../assets/factors.js")),
    ("identity.js", JS, include_bytes!("../assets/identity.js")),
    ("kba.js", JS, include_bytes!("../assets/kba.js")),
    ("link.js", JS, include_bytes!("../assets/link.js")),
    ("methods.js", JS, include_bytes!("../assets/methods.js")),
    ("page.js", JS, include_bytes!("../assets/page.js")),
    ("problems.js", JS, include_bytes!("../assets/problems.js")),
    ("report.css", CSS, include_bytes!("../assets/report.css")),
    ("report.js", JS, include_bytes!("../assets/report.js")),
    ("session.js", JS, include_bytes!("../assets/session.js")),
    ("waits.js", JS, include_bytes!("../assets/waits.js")),
];

/// What the page may do: run our own scripts, and talk to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What this function holds.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The origin that the KBA provider asks its questions on, if the deployment has a provider.
    pub frame_origin: Option<String>,
}

impl State {
    /// The page that links lead to may frame the provider's, and no other.
    fn frames(&self) -> String {
        self.frame_origin
            .as_ref()
            .map(|origin| format!("; frame-src {origin}"))
            .unwrap_or_default()
    }
}

/// Answers a request.
#[expect(clippy::unused_async, reason = "every handler has this shape")]
pub async fn handle(state: Arc<State>, call: Arc<Call>) -> Outcome {
    match call.route.map(|route| route.operation) {
        Some(Operation::SignInPage) => Ok(guarded(Reply::document(HTML, SIGN_IN, "no-cache"), "")),
        Some(Operation::LinkPage) => Ok(guarded(
            Reply::document(HTML, LINK, "no-cache"),
            &state.frames(),
        )),
        Some(Operation::ReportPage) => Ok(guarded(Reply::document(HTML, REPORT, "no-cache"), "")),
        Some(Operation::Asset) => asset(call.path_parameter("name").as_deref().unwrap_or_default()),
        _ => Err(Problem::new(Slug::NotFound)),
    }
}

fn asset(named: &str) -> Outcome {
    let found = ASSETS.iter().find(|(name, ..)| *name == named);
    let (_, content_type, content) = found.ok_or_else(|| Problem::new(Slug::NotFound))?;
    Ok(guarded(
        Reply::document(content_type, *content, "public, max-age=300"),
        "",
    ))
}

/// `more`: what the page may do besides.
fn guarded(reply: Reply, more: &str) -> Reply {
    reply
        .header("content-security-policy", format!("{POLICY}{more}"))
        .header("referrer-policy", "no-referrer".into())
        .header(
            "permissions-policy",
            "camera=(), microphone=(), geolocation=()".into(),
        )
        .header("cross-origin-opener-policy", "same-origin".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_served_and_every_module_that_is_imported() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(
                path.extension().is_some_and(|kind| kind == "html") || asset(&name).is_ok(),
                "{name}"
            );
        }
        for (name, _, content) in ASSETS {
            let text = std::str::from_utf8(content).unwrap();
            let imported = text.lines().filter_map(|line| {
                line.strip_prefix("import ")?
                    .split_once("\"./")?
                    .1
                    .strip_suffix("\";")
            });
            for module in imported {
                assert!(asset(module).is_ok(), "{name} imports {module}");
            }
        }
        assert!(asset("../Cargo.toml").is_err());
    }
}
