//! A request, taken out of its API Gateway event.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use serde::de::DeserializeOwned;

use super::routes::{self, Route};
use super::{FieldError, Problem, Slug};
use crate::kernel::client_ip::TrustedProxies;
use crate::kernel::clock::Timestamp;
use crate::kernel::json::{self, Unreadable};
use crate::kernel::secret::Secret;

/// The largest body taken.
const BODY_MAX: usize = 64 * 1024;

/// A request as the handlers see it.
#[derive(Debug)]
pub struct Call {
    /// The route that API Gateway matched, if it was one of ours.
    pub route: Option<&'static Route>,
    /// `GET`, `POST`, ...
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The address that the request comes from, canonical: the connection's peer, or, where that is
    /// a proxy which the deployment names, whom it was talking to. Never what anybody else writes
    /// into `X-Forwarded-For`.
    pub client_ip: IpAddr,
    /// When it arrived, by this service's own clock: the `now` of every rule that the request is
    /// held against, however long it then waits for the keyring, for the table or for others.
    /// Whoever was in time is not too late because we were slow.
    ///
    /// The clock is read once a request, here. It is read again only for what the moment of arrival
    /// would tell wrong: how much is left of something when the caller is told, what begins once
    /// somebody else has answered, and a lease, which holds from when it is taken. A test lists each
    /// such place, with the reason: `CLOCK_IS_READ_AT` of `without_an_engine::workspace`.
    pub arrived_at: Timestamp,
    /// API Gateway's id of this request: the `instance` of a problem.
    pub request_id: String,
    domain: String,
    request: Request,
    body: Vec<u8>,
    origins: Mutex<Vec<String>>,
}

impl Call {
    /// Reads the event that `request` was made of, which came at `arrived_at`.
    ///
    /// The event tells a time of its own, `timeEpoch`, which is API Gateway's. It is not taken:
    /// what is compared with it was written down by this clock.
    pub fn new(request: Request, arrived_at: Timestamp) -> Result<Self, Problem> {
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref().cloned()
        else {
            return Err(Problem::internal(
                "reading the event",
                "the event is not an HTTP API 2.0 event",
            ));
        };
        let peer = context
            .http
            .source_ip
            .as_deref()
            .unwrap_or_default()
            .parse::<IpAddr>();
        let peer =
            peer.map_err(|_| Problem::internal("reading the event", "the event has no client IP"))?;
        let body = match request.body() {
            lambda_http::Body::Empty => Vec::new(),
            lambda_http::Body::Text(text) => text.clone().into_bytes(),
            lambda_http::Body::Binary(bytes) => bytes.clone(),
            _ => {
                return Err(Problem::internal(
                    "reading the event",
                    "the event's body is of an unknown kind",
                ));
            }
        };
        Ok(Self {
            route: context.route_key.as_deref().and_then(routes::by_key),
            method: context.http.method.to_string(),
            path: context.http.path.unwrap_or_default(),
            client_ip: origin_of(&request, peer),
            arrived_at,
            request_id: context.request_id.unwrap_or_default(),
            domain: context.domain_name.unwrap_or_default(),
            request,
            body,
            origins: Mutex::default(),
        })
    }

    /// The header `name`, if it was sent once and is text. Of several, nobody can say which is
    /// meant; API Gateway joins them by commas.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.request.headers().get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() {
            None
        } else {
            value.to_str().ok()
        }
    }

    /// Whether the header `name` was sent, readable or not.
    pub fn has_header(&self, name: &str) -> bool {
        self.request.headers().contains_key(name)
    }

    /// The credential of `Authorization: Bearer`.
    pub fn bearer(&self) -> Result<Secret<String>, Problem> {
        let unauthorized =
            || Problem::new(Slug::Unauthorized).header("www-authenticate", "Bearer".into());
        let value = self.header("authorization").ok_or_else(unauthorized)?;
        let (scheme, credential) = value.split_once(' ').ok_or_else(unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") || credential.trim().is_empty() {
            return Err(unauthorized());
        }
        Ok(Secret::new(credential.trim().to_owned()))
    }

    /// The part `{name}` of the path.
    pub fn path_parameter(&self, name: &str) -> Option<String> {
        self.request
            .path_parameters_ref()?
            .first(name)
            .map(str::to_owned)
    }

    /// The id in the path. What is no id names nothing: 404.
    pub fn path_id<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path_parameter(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Problem::new(Slug::NotFound))
    }

    /// The query parameter `name`.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.request.query_string_parameters_ref()?.first(name)
    }

    /// Refuses query parameters other than `known`, and one that is given twice.
    pub fn only_query(&self, known: &[&str]) -> Result<(), Problem> {
        let Some(parameters) = self.request.query_string_parameters_ref() else {
            return Ok(());
        };
        let mut errors = Vec::new();
        for (name, _) in parameters.iter() {
            if !known.contains(&name) {
                errors.push(FieldError::parameter(
                    json::shown(name),
                    "is not a parameter of this route",
                ));
            } else if parameters.all(name).is_some_and(|all| all.len() > 1) {
                errors.push(FieldError::parameter(name, "is given more than once"));
            }
        }
        errors.dedup();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(errors))
        }
    }

    /// The body as it was sent.
    pub fn raw_body(&self) -> &[u8] {
        &self.body
    }

    /// The JSON body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let value = self.json_value(&["application/json"])?;
        Body::read(value)
    }

    /// The JSON body, whatever it says.
    pub fn document(&self) -> Result<serde_json::Value, Problem> {
        self.json_value(&["application/json"])
    }

    /// Refuses a body that is too large or of another type, without a look into it.
    pub fn expect_json(&self) -> Result<(), Problem> {
        self.expect(&["application/json"])
    }

    /// The JSON Merge Patch.
    pub fn merge_patch(&self) -> Result<serde_json::Value, Problem> {
        self.json_value(&["application/merge-patch+json", "application/json"])
    }

    /// Refuses a body where the route takes none, for its size before anything else.
    pub fn no_body(&self) -> Result<(), Problem> {
        if self.body.len() > BODY_MAX {
            return Err(Problem::new(Slug::PayloadTooLarge));
        }
        let blank = self.body.iter().all(u8::is_ascii_whitespace);
        if blank || self.body == b"{}" {
            Ok(())
        } else {
            Err(Problem::invalid_field("", "this route takes no body"))
        }
    }

    /// The version that `If-Match` insists on. `*` and nothing insist on none.
    pub fn if_match(&self) -> Result<Option<u64>, Problem> {
        if !self.has_header("if-match") {
            return Ok(None);
        }
        // What cannot be read, or was sent twice, insists on something all the same: on nothing
        // that we ever gave out.
        let value = self.header("if-match").unwrap_or_default().trim();
        if value == "*" {
            return Ok(None);
        }
        let quoted = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let version = quoted.and_then(|text| text.parse().ok());
        // An ETag that we never gave out cannot be the current one.
        let stale = || Problem::new(Slug::PreconditionFailed);
        version.map(Some).ok_or_else(stale)
    }

    /// The address at which this service is reached: the configured one, or the API's own.
    pub fn base_url(&self, configured: Option<&str>) -> String {
        configured.map_or_else(
            || format!("https://{}", self.domain),
            |base| base.trim_end_matches('/').to_owned(),
        )
    }

    /// The origins that may read the answer: those of the account that the call is about, as it was
    /// read last.
    pub(crate) fn allow_origins(&self, origins: Vec<String>) {
        *self.origins() = origins;
    }

    fn origins(&self) -> MutexGuard<'_, Vec<String>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request's origin, if it may read the answer.
    pub(crate) fn allowed_origin(&self) -> Option<String> {
        let origin = self.header("origin")?;
        self.origins()
            .iter()
            .any(|allowed| allowed == origin)
            .then(|| origin.to_owned())
    }

    fn expect(&self, types: &[&str]) -> Result<(), Problem> {
        if self.body.len() > BODY_MAX {
            return Err(Problem::new(Slug::PayloadTooLarge));
        }
        let sent = self.header("content-type").unwrap_or_default();
        let essence = sent
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if !types.contains(&essence.as_str()) {
            return Err(Problem::new(Slug::UnsupportedMediaType));
        }
        Ok(())
    }

    fn json_value(&self, types: &[&str]) -> Result<serde_json::Value, Problem> {
        self.expect(types)?;
        json::read(&self.body).map_err(|why| match why {
            // Places are not told: their names are whatever was sent.
            Unreadable::Twice(_) => {
                Problem::invalid_field("", "is not JSON: a field appears twice")
            }
            Unreadable::TooDeep(_) => {
                Problem::invalid_field("", "is not JSON: it is nested too deeply")
            }
            why => Problem::invalid_field("", format!("is not JSON: {why}")),
        })
    }
}

/// The address that a request comes from. The proxies that are believed come with it, from the
/// configuration.
fn origin_of(request: &Request, peer: IpAddr) -> IpAddr {
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.to_str().unwrap_or("unreadable"));
    let entries: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    let none = TrustedProxies::default();
    request
        .extensions()
        .get::<TrustedProxies>()
        .unwrap_or(&none)
        .client_ip(peer, entries.into_iter())
}

/// Reading a body into its type, with errors that name the field.
#[derive(Debug)]
pub enum Body {}

impl Body {
    /// Reads `value`; an error names the field by a JSON Pointer and never repeats what was sent.
    pub fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
        Self::parse(value).map_err(|error| Problem::invalid(vec![error]))
    }

    /// The same, for what is refused together with other fields.
    pub fn parse<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, FieldError> {
        if !value.is_object() {
            return Err(FieldError::new("", "must be a JSON object"));
        }
        serde_path_to_error::deserialize(super::plain::Plain(value)).map_err(|error| {
            let mut pointer = pointer(error.path());
            let text = error.inner().to_string();
            // serde names an unknown or missing field in the message, and the path of the object
            // around it.
            if let Some(field) = text
                .strip_prefix("missing field `")
                .and_then(|rest| rest.split('`').next())
            {
                return FieldError::new(json::member(&pointer, field), "is missing");
            }
            if let Some(field) = text
                .strip_prefix("unknown field `")
                .and_then(|rest| rest.split("`, expected").next())
            {
                if !pointer.ends_with(&json::member("", field)) {
                    pointer = json::member(&pointer, field);
                }
                return FieldError::new(json::shown(&pointer), "is not a field of this request");
            }
            FieldError::new(json::shown(&pointer), detail(&text))
        })
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => json::member("", key),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// serde's messages, without the value that was sent: it may be a secret.
fn detail(text: &str) -> String {
    let after = |start: &str, before: &str| {
        let (_, expected) = text.strip_prefix(start)?.split_once(before)?;
        Some(expected)
    };
    let mismatch = after("invalid type: ", ", expected ");
    if let Some(expected) = mismatch.or_else(|| after("invalid value: ", ", expected ")) {
        return format!("must be {}", plain(expected));
    }
    if let Some(expected) = after("unknown variant `", "`, expected ") {
        return format!("must be {}", expected.replace('`', "\""));
    }
    if let Some(expected) = after("invalid length ", ", expected ") {
        return format!("must be {expected}");
    }
    text.to_owned()
}

/// What serde expected, in words that are not Rust's.
fn plain(expected: &str) -> String {
    match expected {
        "u8" => "a whole number, 0 to 255".into(),
        "u16" => "a whole number, 0 to 65535".into(),
        "u32" => "a whole number, 0 to 4294967295".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading it is tried")]
    struct Request {
        username: String,
        limits: Limits,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading it is tried")]
    struct Limits {
        per_day: u32,
    }

    fn refused(json: &serde_json::Value) -> serde_json::Value {
        let problem = Body::read::<Request>(json.clone()).unwrap_err();
        let reply = problem.into_reply("req");
        let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
        body["errors"][0].clone()
    }

    #[test]
    fn an_error_names_its_field() {
        use serde_json::json;
        assert_eq!(
            refused(&json!([])),
            json!({"pointer": "", "detail": "must be a JSON object"})
        );
        assert_eq!(
            refused(&json!({"username": "a"})),
            json!({"pointer": "/limits", "detail": "is missing"})
        );
        assert_eq!(
            refused(&json!({"username": "a", "limits": {"per_day": 1, "a/b": 2}})),
            json!({"pointer": "/limits/a~1b", "detail": "is not a field of this request"})
        );
        assert_eq!(
            refused(&json!({"username": 7, "limits": {"per_day": 1}})),
            json!({"pointer": "/username", "detail": "must be a string"})
        );
        assert_eq!(
            refused(&json!({"username": "a", "limits": {"per_day": -1}})),
            json!({"pointer": "/limits/per_day", "detail": "must be a whole number, 0 to 4294967295"})
        );
    }

    /// A request with these headers, as they stand on the wire.
    fn with_headers(headers: &[(&'static str, &'static [u8])]) -> Call {
        let event = serde_json::json!({
            "version": "2.0", "routeKey": "PATCH /v1/me", "rawPath": "/v1/me", "rawQueryString": "", "headers": {}, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "example.com", "domainPrefix": "a", "requestId": "r", "stage": "$default",
                "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_i64, "routeKey": "PATCH /v1/me",
                "http": { "method": "PATCH", "path": "/v1/me", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "" },
            },
        });
        let mut request = lambda_http::request::from_str(&event.to_string()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(
                *name,
                lambda_http::http::HeaderValue::from_bytes(value).unwrap(),
            );
        }
        Call::new(request, Timestamp::default()).unwrap()
    }

    #[test]
    fn a_header_that_was_sent_twice_or_is_no_text_says_nothing() {
        assert_eq!(
            with_headers(&[("origin", b"https://a.example")]).header("origin"),
            Some("https://a.example")
        );
        assert_eq!(
            with_headers(&[
                ("origin", b"https://a.example"),
                ("origin", b"https://a.example")
            ])
            .header("origin"),
            None
        );
        assert_eq!(with_headers(&[("origin", b"\xff")]).header("origin"), None);
        assert_eq!(with_headers(&[]).header("origin"), None);
    }

    #[test]
    fn nobody_gets_in_and_nothing_goes_through_by_one_of_two_headers() {
        let slug = |problem: Problem| problem.slug();
        let twice = |name, one, other| with_headers(&[(name, one), (name, other)]);
        assert_eq!(
            twice("authorization", b"Bearer a", b"Bearer b")
                .bearer()
                .map_err(slug)
                .err(),
            Some(Slug::Unauthorized)
        );
        assert_eq!(
            twice("if-match", b"\"1\"", b"*").if_match().map_err(slug),
            Err(Slug::PreconditionFailed)
        );
        assert_eq!(
            with_headers(&[("if-match", b"\xff")])
                .if_match()
                .map_err(slug),
            Err(Slug::PreconditionFailed)
        );
        let json = twice("content-type", b"application/json", b"application/json");
        assert_eq!(
            json.expect_json().map_err(slug),
            Err(Slug::UnsupportedMediaType)
        );
        let keys = twice("idempotency-key", b"a", b"b");
        assert_eq!(
            crate::web::idempotency::required_key(&keys).map_err(slug),
            Err(Slug::InvalidRequest)
        );
        let origins = twice("origin", b"https://a.example", b"https://b.example");
        origins.allow_origins(vec!["https://a.example".into(), "https://b.example".into()]);
        assert_eq!(origins.allowed_origin(), None);
    }

    #[test]
    fn a_precondition_is_the_version_or_none() {
        let of = |value| {
            with_headers(&[("if-match", value)])
                .if_match()
                .map_err(|problem| problem.slug())
        };
        assert_eq!((of(b"\"7\""), of(b"*")), (Ok(Some(7)), Ok(None)));
        assert_eq!(of(b"\"1\", \"2\""), Err(Slug::PreconditionFailed));
        assert_eq!(
            with_headers(&[])
                .if_match()
                .map_err(|problem| problem.slug()),
            Ok(None)
        );
    }
}
