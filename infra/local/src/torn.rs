//! Reads of several items that are no snapshot, as DynamoDB's `BatchGetItem` and `Query` are none.

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::refusals;

/// Reads twice, with `gap` between. A batch is answered with the item that was asked for at the
/// place `young` as it stands the second time, and with all others as they stood the first time; a
/// query, which goes from item to item, with the first item as it stood the first time.
pub(crate) async fn read(
    inner: SharedHttpConnector,
    request: HttpRequest,
    young: usize,
    gap: impl Future<Output = ()>,
) -> Result<HttpResponse, ConnectorError> {
    let (asked, is_query) = (refusals::body(&request), refusals::is_query(&request));
    let Some(again) = request.try_clone() else {
        return inner.call(request).await;
    };
    let before = inner.call(request).await?;
    if !before.status().is_success() {
        return Ok(before);
    }
    let (_, before) = collect(before).await?;
    gap.await;
    let (response, after) = collect(inner.call(again).await?).await?;
    let status = response.status();
    let body = match status.is_success() {
        true if is_query => queried(&before, after),
        true => merged(&asked, young, &before, after),
        false => after,
    };
    let mut torn = HttpResponse::new(status, SdkBody::from(body.to_string()));
    for (name, value) in response.headers() {
        // What is said of the bytes is not true of these.
        if !matches!(name, "content-length" | "x-amz-crc32") {
            torn.headers_mut().insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(torn)
}

async fn collect(mut response: HttpResponse) -> Result<(HttpResponse, Value), ConnectorError> {
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let bytes = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
    Ok((response, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// `after`, with all items but the one that was `asked` for at the place `young` as they stand in
/// `before`.
fn merged(asked: &Value, young: usize, before: &Value, mut after: Value) -> Value {
    let tables = after.get_mut("Responses").and_then(Value::as_object_mut);
    for (table, items) in tables.into_iter().flatten() {
        let asked = asked.pointer(&format!("/RequestItems/{table}/Keys/{young}"));
        let is_young = |item: &&Value| asked.is_some_and(|asked| same_place(asked, item));
        let of = |answer: &Value| {
            answer
                .pointer(&format!("/Responses/{table}"))
                .and_then(Value::as_array)
                .cloned()
        };
        let old = of(before).unwrap_or_default();
        let new = items.as_array().cloned().unwrap_or_default();
        let chosen = new
            .iter()
            .filter(is_young)
            .chain(old.iter().filter(|item| !is_young(item)));
        *items = chosen.cloned().collect();
    }
    after
}

/// Whether two items stand at the same place.
fn same_place(one: &Value, other: &Value) -> bool {
    ["pk", "sk"]
        .iter()
        .all(|name| one.get(*name) == other.get(*name))
}

/// `after`, with the first item of `before` as it stands there.
fn queried(before: &Value, mut after: Value) -> Value {
    let first = before.pointer("/Items/0");
    let items = after.get_mut("Items").and_then(Value::as_array_mut);
    let place = items.and_then(|items| {
        items
            .iter_mut()
            .find(|item| first.is_some_and(|first| same_place(first, item)))
    });
    if let (Some(place), Some(first)) = (place, first) {
        place.clone_from(first);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_item_is_younger_than_the_others() {
        let key = |sk: &str| json!({"pk": {"S": "A"}, "sk": {"S": sk}});
        let item =
            |sk: &str, version: u32| json!({"pk": {"S": "A"}, "sk": {"S": sk}, "v": version});
        let answer =
            |version| json!({"Responses": {"t": [item("two", version), item("one", version)]}});
        let asked = json!({"RequestItems": {"t": {"Keys": [key("one"), key("two")]}}});
        let torn = |young| merged(&asked, young, &answer(1), answer(2))["Responses"]["t"].clone();
        assert_eq!(torn(0), json!([item("one", 2), item("two", 1)]));
        assert_eq!(torn(1), json!([item("two", 2), item("one", 1)]));
    }

    #[test]
    fn the_first_item_of_a_query_is_older_than_the_others() {
        let item =
            |sk: &str, version: u32| json!({"pk": {"S": "A"}, "sk": {"S": sk}, "v": version});
        let answer =
            |version| json!({"Items": [item("one", version), item("two", version)], "Count": 2});
        assert_eq!(
            queried(&answer(1), answer(2))["Items"],
            json!([item("one", 1), item("two", 2)])
        );
        let none = json!({"Items": [], "Count": 0});
        assert_eq!(
            (queried(&answer(1), none.clone()), queried(&none, answer(2))),
            (none.clone(), answer(2))
        );
    }
}
