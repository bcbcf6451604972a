//! An HTTP request as API Gateway hands it on: an HTTP API event, payload format 2.0.
//!
//! As there: headers are lowercase and joined by commas, cookies stand apart, path and path
//! parameters are decoded while the query is not, a body that does not say it is text goes as
//! base64, and the client IP is the connection's peer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::kernel::clock::Timestamp;
use shared::web::http::routes::{Function, ROUTES, Route};

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The connection's peer.
    pub peer: IpAddr,
}

/// What API Gateway does not pass on: it is about the connection.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The route that takes the request. A part of a path that is given goes before a parameter; `None`
/// is `$default`.
fn route(method: &Method, path: &str) -> Option<&'static Route> {
    let matching = ROUTES
        .iter()
        .filter(|route| route.method == method.as_str() && route.matches(path).is_some());
    matching.min_by_key(|route| route.path.matches('{').count())
}

/// The event that API Gateway makes of a request, and the function that it goes to.
pub fn event_of(incoming: &Incoming, request_id: &str, now: Timestamp) -> (Function, Value) {
    let route = route(&incoming.method, incoming.uri.path());
    (
        route.map_or(Function::Documents, |route| route.function),
        event(incoming, route, request_id, now),
    )
}

/// The event.
fn event(incoming: &Incoming, route: Option<&Route>, request_id: &str, now: Timestamp) -> Value {
    let Incoming {
        method,
        uri,
        headers,
        body,
        peer,
    } = incoming;
    let route_key = route.map_or_else(|| "$default".to_owned(), Route::key);
    let path = decode(uri.path());
    let domain = domain(headers);
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": uri.query().unwrap_or_default(),
        "headers": joined(headers, *peer, &domain),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next().unwrap_or_default(),
            "http": {
                "method": method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": peer.to_string(),
                "userAgent": headers.get(USER_AGENT).map(|agent| text(agent.as_bytes())).unwrap_or_default(),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": now.to_rfc3339(),
            "timeEpoch": now.as_millis(),
        },
        "isBase64Encoded": false,
    });
    let mut add = |name: &str, value: Value| {
        event
            .as_object_mut()
            .map(|event| event.insert(name.to_owned(), value))
    };
    let cookies = cookies(headers);
    if !cookies.is_empty() {
        add("cookies", json!(cookies));
    }
    let query = query(uri.query().unwrap_or_default());
    if !query.is_empty() {
        add("queryStringParameters", json!(query));
    }
    let parameters = route
        .and_then(|route| route.matches(uri.path()))
        .unwrap_or_default();
    if !parameters.is_empty() {
        let decoded: BTreeMap<_, _> = parameters
            .into_iter()
            .map(|(name, value)| (name, decode(&value)))
            .collect();
        add("pathParameters", json!(decoded));
    }
    if !body.is_empty() {
        let plain = std::str::from_utf8(body).ok().filter(|_| is_text(headers));
        add("isBase64Encoded", json!(plain.is_none()));
        add(
            "body",
            plain.map_or_else(|| json!(STANDARD.encode(body)), |plain| json!(plain)),
        );
    }
    event
}

/// The host without its port: what stands for the API's domain here.
fn domain(headers: &HeaderMap) -> String {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1");
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(host, _)| host)
        .to_owned()
}

fn joined(headers: &HeaderMap, peer: IpAddr, domain: &str) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    let passed = |name: &HeaderName| *name != COOKIE && !HOP_BY_HOP.contains(&name.as_str());
    for (name, value) in headers.iter().filter(|(name, _)| passed(name)) {
        add(&mut joined, name.as_str(), &text(value.as_bytes()));
    }
    joined
        .entry("host".into())
        .or_insert_with(|| domain.to_owned());
    // API Gateway adds the peer to what the caller claims.
    add(&mut joined, "x-forwarded-for", &peer.to_string());
    joined.insert("x-forwarded-proto".into(), "http".into());
    joined
}

fn add(headers: &mut BTreeMap<String, String>, name: &str, value: &str) {
    headers
        .entry(name.to_owned())
        .and_modify(|before| *before = format!("{before},{value}"))
        .or_insert_with(|| value.to_owned());
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let sent = headers
        .get_all(COOKIE)
        .iter()
        .map(|value| text(value.as_bytes()));
    sent.flat_map(|line| {
        line.split(';')
            .map(|cookie| cookie.trim().to_owned())
            .collect::<Vec<_>>()
    })
    .collect()
}

fn query(raw: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
        add(&mut parameters, &name, &value);
    }
    parameters
}

/// The content types whose bodies API Gateway passes on as they are.
fn is_text(headers: &HeaderMap) -> bool {
    let sent = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = sent
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.starts_with("text/")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `%41` and the like stand for. What is no such sequence stands for itself.
fn decode(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok());
        // `from_str_radix` alone would take a sign.
        let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    text(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(
        method: Method,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Incoming {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
        Incoming {
            method,
            uri: uri.parse().unwrap(),
            headers,
            body: Bytes::copy_from_slice(body),
            peer: "203.0.113.7".parse().unwrap(),
        }
    }

    fn event_of(incoming: &Incoming) -> Value {
        let route = route(&incoming.method, incoming.uri.path());
        event(
            incoming,
            route,
            "id",
            Timestamp::from_millis(1_700_000_000_000),
        )
    }

    #[test]
    fn headers_are_joined_and_cookies_stand_apart() {
        let headers = [
            ("x-a", "1"),
            ("x-a", "2"),
            ("cookie", "a=1; b=2"),
            ("connection", "close"),
            ("host", "localhost:9000"),
        ];
        let event = event_of(&incoming(Method::GET, "/health", &headers, b""));
        assert_eq!(event["headers"]["x-a"], "1,2");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["headers"].get("connection"), None);
        assert_eq!(event["requestContext"]["domainName"], "localhost");
        assert_eq!(event.get("body"), None);
    }

    #[test]
    fn the_source_is_the_peer_whatever_the_caller_claims() {
        let event = event_of(&incoming(
            Method::GET,
            "/health",
            &[("x-forwarded-for", "198.51.100.1")],
            b"",
        ));
        assert_eq!(event["requestContext"]["http"]["sourceIp"], "203.0.113.7");
        assert_eq!(
            event["headers"]["x-forwarded-for"],
            "198.51.100.1,203.0.113.7"
        );
    }

    #[test]
    fn a_body_that_does_not_say_it_is_text_goes_as_base64() {
        let body = |headers: &[(&'static str, &str)], body: &[u8]| {
            let event = event_of(&incoming(Method::POST, "/v1/login", headers, body));
            (
                event["isBase64Encoded"].as_bool().unwrap(),
                event["body"].as_str().unwrap().to_owned(),
            )
        };
        assert_eq!(
            body(
                &[("content-type", "application/json; charset=utf-8")],
                b"{}"
            ),
            (false, "{}".into())
        );
        assert_eq!(
            body(&[("content-type", "application/merge-patch+json")], b"{}"),
            (false, "{}".into())
        );
        assert_eq!(
            body(&[("content-type", "application/octet-stream")], b"{}"),
            (true, "e30=".into())
        );
        assert_eq!(body(&[], b"{}"), (true, "e30=".into()));
        assert_eq!(
            body(&[("content-type", "application/json")], b"\xff"),
            (true, "/w==".into())
        );
    }

    #[test]
    fn path_parameters_are_decoded_and_the_raw_query_is_not() {
        let event = event_of(&incoming(
            Method::GET,
            "/problems/a%20b%2Fc?x=1%202&x=3&y",
            &[],
            b"",
        ));
        assert_eq!(event["routeKey"], "GET /problems/{slug}");
        assert_eq!(event["pathParameters"]["slug"], "a b/c");
        assert_eq!(event["rawPath"], "/problems/a b/c");
        assert_eq!(event["rawQueryString"], "x=1%202&x=3&y");
        assert_eq!(
            event["queryStringParameters"],
            json!({"x": "1 2,3", "y": ""})
        );
    }

    #[test]
    fn what_no_route_takes_goes_to_the_default_route() {
        for (method, path) in [
            (Method::GET, "/nowhere"),
            (Method::PUT, "/v1/login"),
            (Method::HEAD, "/health"),
            (Method::OPTIONS, "/v1/login"),
        ] {
            assert_eq!(
                event_of(&incoming(method, path, &[], b""))["routeKey"],
                "$default",
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (encoded, decoded) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("a+b", "a+b"),
            ("%41%e2%82%ac", "A€"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(encoded), decoded);
        }
    }
}
