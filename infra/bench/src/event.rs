//! HTTP API 2.0 events, as API Gateway makes them.

use serde_json::{Map, Value, json};
use shared::web::http::routes::ROUTES;

/// The API's own name: the issuer of the tokens made here.
const DOMAIN: &str = "bench.execute-api.us-east-1.amazonaws.com";

/// A request on its way to a function.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    method: &'static str,
    path: String,
    query: String,
    source: String,
    headers: Map<String, Value>,
    body: Option<Value>,
}

impl Event {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        let mut event = Self::new("POST", path).header("content-type", "application/json");
        event.body = Some(body);
        event
    }

    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        let mut event =
            Self::new("PATCH", path).header("content-type", "application/merge-patch+json");
        event.body = Some(body);
        event
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    pub fn preflight(path: impl Into<String>, origin: &str) -> Self {
        Self::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
    }

    fn new(method: &'static str, path: impl Into<String>) -> Self {
        let path = path.into();
        let (path, query) = path
            .split_once('?')
            .map_or((path.clone(), String::new()), |(path, query)| {
                (path.into(), query.into())
            });
        let headers = Map::from_iter([
            ("host".to_owned(), json!(DOMAIN)),
            ("accept".into(), json!("*/*")),
        ]);
        Self {
            method,
            path,
            query,
            source: "198.18.0.1".into(),
            headers,
            body: None,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), json!(value));
        self
    }

    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// From the `number`th of many addresses: limits by address are not what is measured.
    pub fn from(mut self, number: usize) -> Self {
        self.source = format!("198.18.{}.{}", number / 250 % 250, number % 250 + 1);
        self
    }

    /// What people call it.
    pub fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// What the Runtime API hands over.
    pub fn json(&self) -> Value {
        let route = ROUTES
            .iter()
            .filter(|route| route.method == self.method)
            .find_map(|route| Some((route, route.matches(&self.path)?)));
        let key = route
            .as_ref()
            .map_or_else(|| "$default".to_owned(), |(route, _)| route.key());
        let parameters: Map<_, _> = route
            .into_iter()
            .flat_map(|(_, parameters)| parameters)
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let mut event = json!({
            "version": "2.0", "routeKey": key, "rawPath": self.path, "rawQueryString": self.query, "headers": self.headers,
            "requestContext": {
                "accountId": "123456789012", "apiId": "bench", "domainName": DOMAIN, "domainPrefix": "bench",
                "http": {
                    "method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": self.source, "userAgent": "bench",
                },
                "requestId": "JKJaXmPLvHcESHA=", "routeKey": key, "stage": "$default",
                "time": "22/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_305_600_000_i64,
            },
            "isBase64Encoded": false,
        });
        let Some(members) = event.as_object_mut() else {
            return event;
        };
        if !parameters.is_empty() {
            members.insert("pathParameters".into(), Value::Object(parameters));
        }
        if !self.query.is_empty() {
            let pairs = url::form_urlencoded::parse(self.query.as_bytes());
            let query: Map<_, _> = pairs
                .map(|(name, value)| (name.into_owned(), json!(value)))
                .collect();
            members.insert("queryStringParameters".into(), Value::Object(query));
        }
        if let Some(body) = &self.body {
            members.insert("body".into(), json!(body.to_string()));
        }
        event
    }
}
