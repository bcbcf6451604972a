//! Items that transactions hold while they run. DynamoDB has no waiting: whoever wants such an item
//! is told of the conflict at once, and nothing of that call is done. A transaction of the embedded
//! engine takes microseconds, so that two hardly ever meet.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling>:
//! a write of one item conflicts with a transaction that writes it; so does an item of another
//! transaction, and of a `TransactGetItems`. Reads by `GetItem`, `BatchGetItem` and `Query` do not.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;

use crate::refusals;

/// Which items are held, shared by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How long every transaction holds its items.
    standing: Option<Duration>,
    /// The token of the transaction that holds each item.
    held: HashMap<String, String>,
    /// The tokens of transactions that were handed on to the table, whatever became of the answer:
    /// whoever asks again is told their outcome, and meets nobody else's.
    asked: HashSet<String>,
    conflicts: u32,
}

/// What a call meets.
#[derive(Debug)]
pub(crate) enum Met {
    /// Nothing that concerns it.
    Nothing,
    /// Items at these places are held by others.
    Conflict(Vec<usize>),
    /// It was asked for before, with the same token, and runs.
    UnderWay,
    /// It runs, for so long, and holds its items meanwhile.
    Held(Hold),
}

/// A transaction that runs. Its items are let go when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    holdings: Holdings,
    items: Vec<String>,
    /// How long it takes.
    pub lasting: Duration,
}

impl Holdings {
    /// From now on every transaction holds its items for so long.
    pub fn stand(&self, lasting: Duration) {
        self.state().standing = Some(lasting);
    }

    /// No transaction holds its items longer than it takes, but for those that run.
    pub fn end(&self) {
        self.state().standing = None;
    }

    /// How many calls met an item that was held; counted anew from now on.
    pub fn take_conflicts(&self) -> u32 {
        std::mem::take(&mut self.state().conflicts)
    }

    /// How many calls met an item that was held.
    pub fn conflicts(&self) -> u32 {
        self.state().conflicts
    }

    /// Whether `request` is a transaction that was handed on before: DynamoDB tells the outcome
    /// again for ten minutes, and no other transaction is in its way.
    pub fn is_repeat(&self, request: &HttpRequest) -> bool {
        refusals::is_transaction(request)
            && self
                .state()
                .asked
                .contains(&token(&refusals::body(request)))
    }

    /// What `request` meets, a transaction that holds its items for so long if it runs; as long as
    /// every one does, where that is not said.
    pub fn meet(&self, request: &HttpRequest, lasting: Option<Duration>) -> Met {
        let nature = refusals::nature(request);
        let mut state = self.state();
        let lasting = lasting.or(state.standing).filter(|_| nature.is_transaction);
        if !nature.can_conflict || (!nature.is_transaction && state.held.is_empty()) {
            return Met::Nothing;
        }
        let body = refusals::body(request);
        let (items, token) = (items(&body), token(&body));
        let holders: Vec<_> = items.iter().map(|item| state.held.get(item)).collect();
        if !token.is_empty() && holders.iter().flatten().any(|holder| **holder == token) {
            return Met::UnderWay;
        }
        if nature.is_transaction && state.asked.contains(&token) {
            return Met::Nothing;
        }
        let places: Vec<usize> = holders
            .iter()
            .enumerate()
            .filter(|(_, holder)| holder.is_some())
            .map(|(place, _)| place)
            .collect();
        if !places.is_empty() {
            state.conflicts += 1;
            return Met::Conflict(places);
        }
        if nature.is_transaction && !token.is_empty() {
            state.asked.insert(token.clone());
        }
        let Some(lasting) = lasting else {
            return Met::Nothing;
        };
        state
            .held
            .extend(items.iter().map(|item| (item.clone(), token.clone())));
        Met::Held(Hold {
            holdings: self.clone(),
            items,
            lasting,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holdings.state();
        for item in &self.items {
            state.held.remove(item);
        }
    }
}

/// What a transaction is known by when it is asked for again.
fn token(body: &Value) -> String {
    body.get("ClientRequestToken")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The items that a call is about, in its order: of a transaction its parts, of any other call the
/// one.
pub(crate) fn items(body: &Value) -> Vec<String> {
    match body.get("TransactItems").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(item).collect(),
        None => ["/Key", "/Item"]
            .into_iter()
            .filter_map(|place| body.pointer(place))
            .map(name)
            .collect(),
    }
}

/// Which item a part of a transaction is of.
fn item(part: &Value) -> String {
    let places = [
        "/Put/Item",
        "/Update/Key",
        "/Delete/Key",
        "/ConditionCheck/Key",
        "/Get/Key",
    ];
    places
        .into_iter()
        .find_map(|place| part.pointer(place))
        .map(name)
        .unwrap_or_default()
}

fn name(key: &Value) -> String {
    let text = |name: &str| {
        key.pointer(&format!("/{name}/S"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!("{} {}", text("pk"), text("sk"))
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;
    use serde_json::json;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(1));

    fn key(pk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"S": "BALANCE"}})
    }

    fn request(operation: &'static str, body: &Value) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
        request
            .headers_mut()
            .insert("x-amz-target", format!("DynamoDB_20120810.{operation}"));
        request
    }

    fn transaction(token: &str, keys: &[&str]) -> HttpRequest {
        let parts: Vec<_> = keys
            .iter()
            .map(|pk| json!({"Update": {"Key": key(pk)}}))
            .collect();
        request(
            "TransactWriteItems",
            &json!({"TransactItems": parts, "ClientRequestToken": token}),
        )
    }

    #[test]
    fn who_wants_an_item_that_is_held_conflicts_until_it_is_let_go() {
        let holdings = Holdings::default();
        let Met::Held(hold) = holdings.meet(&transaction("one", &["a", "b"]), LONG) else {
            panic!("it runs")
        };
        assert!(
            matches!(holdings.meet(&transaction("two", &["c", "b"]), LONG), Met::Conflict(places) if places == [1])
        );
        assert!(
            matches!(holdings.meet(&request("UpdateItem", &json!({"Key": key("a")})), None), Met::Conflict(places) if places == [0])
        );
        assert!(matches!(
            holdings.meet(&request("PutItem", &json!({"Item": key("a")})), None),
            Met::Conflict(_)
        ));
        let read = request(
            "TransactGetItems",
            &json!({"TransactItems": [{"Get": {"Key": key("b")}}]}),
        );
        assert!(matches!(holdings.meet(&read, None), Met::Conflict(_)));
        assert_eq!(holdings.conflicts(), 4);
        drop(hold);
        assert!(matches!(holdings.meet(&read, None), Met::Nothing));
        assert!(matches!(
            holdings.meet(&transaction("two", &["c", "b"]), LONG),
            Met::Held(_)
        ));
    }

    #[test]
    fn other_items_and_plain_reads_are_not_kept() {
        let holdings = Holdings::default();
        let Met::Held(_hold) = holdings.meet(&transaction("one", &["a"]), LONG) else {
            panic!("it runs")
        };
        assert!(matches!(
            holdings.meet(&request("GetItem", &json!({"Key": key("a")})), None),
            Met::Nothing
        ));
        assert!(matches!(
            holdings.meet(&transaction("two", &["b"]), None),
            Met::Nothing
        ));
        assert!(matches!(
            holdings.meet(&request("DeleteItem", &json!({"Key": key("b")})), None),
            Met::Nothing
        ));
    }

    #[test]
    fn a_transaction_that_is_asked_for_again_is_under_way_and_holds_once() {
        let holdings = Holdings::default();
        holdings.stand(Duration::from_secs(1));
        let Met::Held(hold) = holdings.meet(&transaction("one", &["a"]), None) else {
            panic!("it runs")
        };
        assert!(matches!(
            holdings.meet(&transaction("one", &["a"]), None),
            Met::UnderWay
        ));
        assert_eq!(
            (hold.lasting, holdings.take_conflicts()),
            (Duration::from_secs(1), 0)
        );
        drop(hold);
        assert!(
            matches!(
                holdings.meet(&transaction("one", &["a"]), None),
                Met::Nothing
            ),
            "its outcome is known"
        );
        assert!(matches!(
            holdings.meet(&transaction("two", &["a"]), None),
            Met::Held(_)
        ));
    }

    #[test]
    fn the_outcome_of_a_transaction_is_told_again_whoever_holds_its_items_by_then() {
        let (holdings, first) = (Holdings::default(), transaction("one", &["a"]));
        assert!(!holdings.is_repeat(&first));
        assert!(matches!(holdings.meet(&first, None), Met::Nothing));
        let Met::Held(_hold) = holdings.meet(&transaction("two", &["a"]), LONG) else {
            panic!("it runs")
        };
        assert!(matches!(
            holdings.meet(&transaction("three", &["a"]), None),
            Met::Conflict(_)
        ));
        assert!(matches!(holdings.meet(&first, LONG), Met::Nothing));
        assert!(
            holdings.is_repeat(&first) && !holdings.is_repeat(&transaction("three", &["a"])),
            "what conflicts is not handed on"
        );
    }
}
