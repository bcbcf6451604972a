//! A response in the making.

use lambda_http::Response;
use serde::Serialize;

use super::Route;

/// A response: headers, body, and a status where it is not that of its route's success.
///
/// Who answers chooses none: a success has the status that [`super::routes::ROUTES`] gives the
/// route, and a refusal that of its [`super::Slug`].
#[derive(Debug)]
pub struct Reply {
    status: Option<u16>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cache: &'static str,
}

/// The status of what no route answers.
const OK: u16 = 200;
/// What must not be kept anywhere.
const NO_STORE: &str = "no-store";

impl Reply {
    /// A JSON body.
    pub fn json(body: &impl Serialize) -> Self {
        // Our types are structs, maps and strings: they always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::of("application/json", body, NO_STORE)
    }

    /// No body.
    pub const fn empty() -> Self {
        Self {
            status: None,
            headers: Vec::new(),
            body: Vec::new(),
            cache: NO_STORE,
        }
    }

    /// A document that everybody may see, and keep for `cache`.
    pub fn document(content_type: &str, body: impl Into<Vec<u8>>, cache: &'static str) -> Self {
        Self::of(content_type, body.into(), cache)
    }

    /// A text of this content type, that nobody may keep.
    pub fn text(content_type: &str, body: String) -> Self {
        Self::of(content_type, body.into_bytes(), NO_STORE)
    }

    fn of(content_type: &str, body: Vec<u8>, cache: &'static str) -> Self {
        Self {
            status: None,
            headers: vec![("content-type", content_type.into())],
            body,
            cache,
        }
    }

    /// The same with this status, for what is no success of a route.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same as a success of `route`, unless it has a status.
    #[must_use]
    pub(crate) fn answering(mut self, route: &Route) -> Self {
        self.status = self.status.or(Some(route.success));
        self
    }

    /// Another content type.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        self.headers.retain(|(name, _)| *name != "content-type");
        self.header("content-type", content_type.into())
    }

    /// A header more. One that is there already gets both values, as a list: an HTTP API 2.0 answer
    /// has each name once.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        match self
            .headers
            .iter_mut()
            .find(|(present, _)| *present == name)
        {
            Some((_, present)) if present.split(", ").any(|one| one == value) => {}
            Some((_, present)) => *present = format!("{present}, {value}"),
            None => self.headers.push((name, value)),
        }
        self
    }

    /// The version of what is shown, for `If-Match`.
    #[must_use]
    pub fn etag(self, version: u64) -> Self {
        self.header("etag", format!("\"{version}\""))
    }

    /// The status: 200 where there was no route to give one.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(OK)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The response as lambda_http takes it.
    pub fn into_response(self) -> Response<lambda_http::Body> {
        let mut response = Response::builder()
            .status(self.status())
            .header("cache-control", self.cache)
            .header("x-content-type-options", "nosniff")
            .header(
                "strict-transport-security",
                "max-age=63072000; includeSubDomains",
            );
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        // A body that is text goes as text; lambda_http would send bytes as base64.
        let body = match String::from_utf8(self.body) {
            Ok(text) if text.is_empty() => lambda_http::Body::Empty,
            Ok(text) => lambda_http::Body::Text(text),
            Err(bytes) => lambda_http::Body::Binary(bytes.into_bytes()),
        };
        response.body(body).unwrap_or_else(|_| {
            let mut failed = Response::new(lambda_http::Body::Empty);
            *failed.status_mut() = lambda_http::http::StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_there_already_becomes_a_list() {
        let reply = ["accept", "origin", "origin"]
            .into_iter()
            .fold(Reply::empty(), |reply, value| {
                reply.header("vary", value.into())
            });
        let values: Vec<_> = reply
            .into_response()
            .headers()
            .get_all("vary")
            .iter()
            .cloned()
            .collect();
        assert_eq!(values, ["accept, origin"]);
    }
}
