//! What strangers send, whatever it is: read or refused, and never a panic; and what we gave out
//! ourselves reads back.

use lambda_http::Body;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

use super::routes::{ROUTES, methods};
use super::{Call, Problem, accept, cursor};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::UserId;
use crate::web::idempotency::IdempotencyKey;

/// A request with this body, these headers and this query, as it stands in the URL.
fn call(body: &[u8], headers: &Value, query: &str) -> Call {
    let event = json!({
        "version": "2.0", "routeKey": "POST /v1/codes", "rawPath": "/v1/codes", "rawQueryString": query,
        "headers": headers, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "example.com", "domainPrefix": "a", "requestId": "r", "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_i64, "routeKey": "POST /v1/codes",
            "http": { "method": "POST", "path": "/v1/codes", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "" },
        },
    });
    let mut request = lambda_http::request::from_str(&event.to_string()).unwrap();
    *request.body_mut() = Body::Binary(body.to_vec());
    Call::new(request, Timestamp::default()).unwrap()
}

fn document(body: &[u8]) -> Result<Value, Problem> {
    call(body, &json!({"content-type": "application/json"}), "").document()
}

fn with_header(name: &str, value: &str) -> Call {
    call(b"", &json!({name: value}), "")
}

/// A request that goes on after this.
fn with_cursor(text: &str) -> Call {
    let escaped: String = text
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    call(b"", &json!({}), &format!("cursor={escaped}"))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Text that looks like JSON, and mostly is none.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let torn =
        (any_json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, place, byte)| {
            let mut text = value.to_string().into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            text
        });
    let letters = prop::sample::select(br#"{}[]:,"\ue0-9.tfn "#.to_vec());
    prop_oneof![
        torn,
        prop::collection::vec(letters, 0..40),
        prop::collection::vec(any::<u8>(), 0..60)
    ]
}

/// A header's value as it can come over the wire, from what it is made of.
fn header(made_of: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        prop::collection::vec(
            prop::sample::select(made_of.chars().collect::<Vec<_>>()),
            0..30
        )
        .prop_map(|letters| letters.into_iter().collect::<String>())
    ]
}

/// Whether that is a key of 1 to 255 characters: in quotes, with its own quotes and backslashes
/// escaped, or without any of them.
fn is_a_key(value: &str) -> bool {
    let is_plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    let (text, may_be_blank) = match value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) => (quoted.replace(r"\\", "x").replace(r#"\""#, "x"), true),
        None => (value.to_owned(), false),
    };
    (1..=255).contains(&text.len())
        && text
            .chars()
            .all(|c| is_plain(c) && (may_be_blank || c != ' '))
}

proptest! {
    #[test]
    fn what_is_json_is_read_as_everybody_reads_it(value in any_json()) {
        let text = value.to_string();
        // A number may lose its last digit on its way through the text; what everybody reads is the
        // measure.
        let everybodys: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(document(text.as_bytes()).ok(), Some(everybodys));
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_wherever_it_stands(
        name in "[a-z]{1,5}", values in (any_json(), any_json()), around in prop::collection::vec(any::<bool>(), 0..5), escaped: bool,
    ) {
        // The same name, spelt with escapes.
        let again: String =
            if escaped { name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat() } else { name.clone() };
        let (first, second) = values;
        let twice = format!(r#"{{"{name}":{first},"{again}":{second}}}"#);
        let text = around.into_iter().fold(twice, |text, list| if list { format!("[{text}]") } else { format!(r#"{{"a":{text}}}"#) });
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
        prop_assert!(document(text.as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused_without_a_word_of_it(body in nearly_json()) {
        let everybodys = serde_json::from_slice::<Value>(&body).ok();
        match document(&body) {
            Ok(value) => prop_assert_eq!(Some(value), everybodys),
            Err(problem) => {
                let reply = problem.into_reply("request");
                let shown: Value = serde_json::from_slice(reply.body()).unwrap();
                prop_assert_eq!(&shown["status"], 400);
                let detail = shown["errors"][0]["detail"].as_str().unwrap();
                prop_assert!(detail.starts_with("is not JSON: ") && detail.is_ascii() && detail.len() < 60, "{}", detail);
            }
        }
    }

    #[test]
    fn a_version_that_was_given_out_is_read_back_and_nothing_else_is_one(version: u64, value in header("\"*W/0123456789 ")) {
        prop_assert_eq!(with_header("if-match", &format!("\"{version}\"")).if_match().ok(), Some(Some(version)));
        if let Ok(Some(version)) = with_header("if-match", &value).if_match() {
            let digits = value.trim().trim_matches('"').trim_start_matches(['+', '0']).to_owned();
            prop_assert_eq!(digits, if version == 0 { String::new() } else { version.to_string() });
        }
    }

    #[test]
    fn a_cursor_that_was_given_out_is_read_back(bytes: [u8; 16]) {
        let id = UserId::from_bytes(bytes);
        let listed = with_cursor(&cursor::after(id));
        prop_assert_eq!(cursor::of::<UserId>(&listed).ok(), Some(Some(id)));
    }

    #[test]
    fn what_was_not_given_out_is_no_cursor(text in "\\PC{0,60}|[A-Za-z0-9_=-]{0,60}") {
        let listed = with_cursor(&text);
        if let Ok(Some(id)) = cursor::of::<UserId>(&listed) {
            prop_assert_eq!(cursor::after(id), text);
        }
    }

    #[test]
    fn a_key_is_the_same_quoted_and_bare_and_another_key_is_another(key in "[!#-\\[\\]-~]{1,255}", other in "[!#-\\[\\]-~]{1,255}") {
        let record = |value: &str| {
            let key = IdempotencyKey::of(&with_header("idempotency-key", value), "caller").ok().flatten();
            key.map(|key| key.record())
        };
        let bare = record(&key);
        prop_assert!(bare.is_some());
        prop_assert_eq!(record(&format!("\"{key}\"")), bare.clone());
        prop_assert_eq!(record(&other) == bare, key == other);
    }

    #[test]
    fn a_key_is_taken_if_it_is_a_string_of_rfc_8941_or_a_bare_token(value in header("\"\\ a")) {
        // What follows a semicolon are parameters, which say nothing.
        prop_assume!(!value.contains(';'));
        let taken = matches!(IdempotencyKey::of(&with_header("idempotency-key", &value), "caller"), Ok(Some(_)));
        prop_assert_eq!(taken, is_a_key(value.trim()), "{}", value);
    }

    #[test]
    fn a_weight_is_read_to_the_thousandth_and_the_closest_range_counts(weight in 0..1000_u16, other in 0..1000_u16) {
        let accept = format!("*/*;q=0.{other:03}, text/html; charset=utf-8;q=0.{weight:03}");
        prop_assert_eq!(accept::quality(&accept, "text", "html"), weight);
        prop_assert_eq!(accept::quality(&accept, "text", "csv"), other);
    }

    #[test]
    fn no_wish_weighs_more_than_one(accept in "(text/html|text/\\*|\\*/\\*|[a-z/*;=., ]{0,12})(; ?q=[0-9.é]{0,8}|,| ){0,6}|\\PC{0,60}") {
        prop_assert!(accept::quality(&accept, "text", "html") <= 1000);
    }

    #[test]
    fn a_path_is_what_its_route_is_made_of(which in any::<prop::sample::Index>(), parts in prop::collection::vec("[^/]{1,20}", 4)) {
        let route = which.get(ROUTES);
        let (mut parts, mut given) = (parts.into_iter().cycle(), Vec::new());
        let path: Vec<String> = route.path.split('/').map(|part| {
            let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return part.to_owned() };
            let value = parts.next().unwrap();
            given.push((name, value.clone()));
            value
        }).collect();
        prop_assert_eq!(route.matches(&path.join("/")), Some(given));
        prop_assert!(methods(&path.join("/")).contains(&route.method));
    }

    #[test]
    fn no_other_path_is_a_routes(path in "(/(v1|users|agreements|audit|[{}a-z%.]{0,6})){0,6}/?|\\PC{0,60}") {
        for route in ROUTES {
            let Some(parameters) = route.matches(&path) else { continue };
            let filled = parameters.iter().fold(route.path.to_owned(), |path, (name, value)| path.replacen(&format!("{{{name}}}"), value, 1));
            prop_assert_eq!(&filled, &path);
        }
    }
}
