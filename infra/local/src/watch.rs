//! Which items of the table the calls of some time were about, and what was to be written.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::faults::Faults;

/// The operations that write.
const WRITING: [&str; 4] = ["TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem"];

/// What was read and what was written, each item as its two keys with a blank between. A query
/// stands for the partition that it reads, with the items that were there; what it finds by an
/// index is not noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// What was read, and where a partition was.
    pub read: BTreeSet<String>,
    /// What was written, or would have been.
    pub written: BTreeSet<String>,
    /// The calls that write, as they were asked for and in that order; one that the SDK asks for
    /// again stands once.
    pub writes: Vec<WriteCall>,
}

/// A call that writes, as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCall {
    /// DynamoDB's operation: `TransactWriteItems`, `UpdateItem`, `PutItem` or `DeleteItem`.
    pub operation: String,
    /// What is asked for, in DynamoDB's JSON.
    pub body: Value,
    /// By what it is known when it is asked for again.
    name: String,
}

/// Calls that are being noted, from [`Faults::watch`] on.
#[derive(Debug)]
pub struct Watched(pub(crate) Faults);

impl Watched {
    /// What was noted; nothing is any more.
    pub fn taken(self) -> Calls {
        self.0.unwatch()
    }
}

impl Calls {
    /// Notes a call, which the SDK knows by `invocation` when it asks for it again.
    pub(crate) fn note(&mut self, operation: &str, invocation: &str, body: Value) {
        self.note_items(operation, &body);
        let token = body.get("ClientRequestToken").and_then(Value::as_str);
        let name = token.unwrap_or(invocation).to_owned();
        if WRITING.contains(&operation) && self.writes.iter().all(|known| known.name != name) {
            let operation = operation.to_owned();
            self.writes.push(WriteCall {
                operation,
                body,
                name,
            });
        }
    }

    fn note_items(&mut self, operation: &str, body: &Value) {
        let batches = || {
            body.get("RequestItems")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|tables| tables.values())
        };
        match operation {
            "GetItem" => self.read.extend(key(body, "/Key")),
            "BatchGetItem" => {
                let named = batches()
                    .filter_map(|batch| batch.get("Keys")?.as_array())
                    .flatten();
                self.read.extend(named.filter_map(|item| key(item, "")));
            }
            "TransactGetItems" => self
                .read
                .extend(parts(body).filter_map(|part| key(part, "/Get/Key"))),
            "Query" => self.read.extend(partition(body)),
            "UpdateItem" => {
                self.read.extend(key(body, "/Key"));
                self.written.extend(key(body, "/Key"));
            }
            "DeleteItem" => self.written.extend(key(body, "/Key")),
            "PutItem" => self.written.extend(key(body, "/Item")),
            "TransactWriteItems" => self.written.extend(parts(body).filter_map(written)),
            _ => {}
        }
    }
}

fn parts(body: &Value) -> impl Iterator<Item = &Value> {
    body.get("TransactItems")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Which partition of the table a query reads.
fn partition(body: &Value) -> Option<String> {
    let pk = body.pointer("/ExpressionAttributeValues/:pk/S")?.as_str()?;
    Some(format!("{pk} "))
}

/// Which item a part of a transaction writes.
fn written(part: &Value) -> Option<String> {
    ["/Put/Item", "/Update/Key", "/Delete/Key"]
        .into_iter()
        .find_map(|place| key(part, place))
}

/// The keys of the item that is named at `place`.
fn key(value: &Value, place: &str) -> Option<String> {
    let text = |name: &str| value.pointer(&format!("{place}/{name}/S"))?.as_str();
    Some(format!("{} {}", text("pk")?, text("sk")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_call_is_noted_by_the_items_that_it_is_about() {
        let key = |sk: &str| json!({"pk": {"S": "A"}, "sk": {"S": sk}});
        let calls = [
            ("GetItem", json!({"Key": key("1")})),
            (
                "BatchGetItem",
                json!({"RequestItems": {"t": {"Keys": [key("2"), key("3")]}}}),
            ),
            (
                "TransactGetItems",
                json!({"TransactItems": [{"Get": {"Key": key("4")}}]}),
            ),
            (
                "Query",
                json!({"ExpressionAttributeValues": {":pk": {"S": "B"}}}),
            ),
            ("UpdateItem", json!({"Key": key("5")})),
            ("DeleteItem", json!({"Key": key("6")})),
            (
                "TransactWriteItems",
                json!({"TransactItems": [
                    {"Put": {"Item": key("7")}}, {"Update": {"Key": key("8")}}, {"Delete": {"Key": key("9")}},
                ]}),
            ),
        ];
        let mut noted = Calls::default();
        for (operation, body) in calls {
            noted.note(operation, "once", body);
        }
        assert_eq!(
            noted.read.into_iter().collect::<Vec<_>>(),
            ["A 1", "A 2", "A 3", "A 4", "A 5", "B "]
        );
        assert_eq!(
            noted.written.into_iter().collect::<Vec<_>>(),
            ["A 5", "A 6", "A 7", "A 8", "A 9"]
        );
    }

    #[test]
    fn a_write_that_is_asked_for_again_is_noted_once() {
        let update = |at: u32| json!({"Key": {"pk": {"S": "A"}, "sk": {"S": at.to_string()}}});
        let transaction = |token: &str| json!({"TransactItems": [], "ClientRequestToken": token});
        let mut noted = Calls::default();
        noted.note("UpdateItem", "first", update(1));
        noted.note("UpdateItem", "first", update(1));
        noted.note("UpdateItem", "second", update(1));
        noted.note("GetItem", "third", update(1));
        noted.note("TransactWriteItems", "fourth", transaction("t"));
        noted.note("TransactWriteItems", "fifth", transaction("t"));
        let writes = noted
            .writes
            .into_iter()
            .map(|call| (call.operation, call.body));
        assert_eq!(
            writes.collect::<Vec<_>>(),
            [
                ("UpdateItem".to_owned(), update(1)),
                ("UpdateItem".to_owned(), update(1)),
                ("TransactWriteItems".to_owned(), transaction("t")),
            ]
        );
    }
}
