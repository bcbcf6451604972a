//! A response in the making.

use lambda_http::Response;
use serde::Serialize;

/// A response: status, headers, body.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cache: &'static str,
}

/// What must not be kept anywhere.
const NO_STORE: &str = "no-store";

impl Reply {
    /// A JSON body.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        // Our types are structs, maps and strings: they always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body,
            cache: NO_STORE,
        }
    }

    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(200, body)
    }

    /// 201 with a JSON body.
    pub fn created(body: &impl Serialize) -> Self {
        Self::json(201, body)
    }

    /// No body.
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cache: NO_STORE,
        }
    }

    /// A document that everybody may see, and keep for `cache`.
    pub fn document(content_type: &str, body: impl Into<Vec<u8>>, cache: &'static str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", content_type.into())],
            body: body.into(),
            cache,
        }
    }

    /// 200 with a text of this content type, that nobody may keep.
    pub fn text(content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.into())];
        Self {
            status: 200,
            headers,
            body: body.into_bytes(),
            cache: NO_STORE,
        }
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

    /// The status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The response as lambda_http takes it.
    pub fn into_response(self) -> Response<lambda_http::Body> {
        let mut response = Response::builder()
            .status(self.status)
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
            .fold(Reply::empty(204), |reply, value| {
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
