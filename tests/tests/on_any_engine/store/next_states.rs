//! The next state that a write says is the one that it leaves in the table.
//!
//! Decisions are answered from [`Stored::after`], which applies a write as DynamoDB does. Whether
//! it does is asked of the engine: any update of any item, and both come to the same.

use aws_sdk_dynamodb::types::AttributeValue;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Item, Path, Put, Update, keys};
use tests::agreements::{
    agreement, complete, open_last, person, recipient_path, send_with, with_kba,
};
use tests::{Answer, World};

/// What an update does to a place.
#[derive(Clone, Debug)]
enum Act {
    Set(AttributeValue),
    SetUnlessPresent(AttributeValue),
    Count(u64, u64),
    Increase(u64),
    Add(i64),
    Append(Vec<u64>),
    Prepend(Vec<u64>),
    Remove,
}

/// A place in an item: those that the rules of this service assign to, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Whole(usize),
    Member(usize, usize),
    Inner(usize, usize, usize),
    Element(usize, usize),
}

const ATTRIBUTES: [&str; 4] = ["number", "several", "map", "absent"];
const MEMBERS: [&str; 4] = ["number", "list", "map", "absent"];

impl Place {
    fn path(&self) -> Path {
        match self {
            Self::Whole(attribute) => Path::new(ATTRIBUTES[*attribute]),
            Self::Member(attribute, member) => {
                Path::new(ATTRIBUTES[*attribute]).member(MEMBERS[*member])
            }
            Self::Inner(attribute, member, inner) => Path::new(ATTRIBUTES[*attribute])
                .member(MEMBERS[*member])
                .member(MEMBERS[*inner]),
            Self::Element(attribute, place) => Path::new(ATTRIBUTES[*attribute]).element(*place),
        }
    }

    /// DynamoDB refuses an expression that names a place and one within it.
    const fn attribute(&self) -> usize {
        match self {
            Self::Whole(attribute)
            | Self::Member(attribute, _)
            | Self::Inner(attribute, ..)
            | Self::Element(attribute, _) => *attribute,
        }
    }

    const fn is_inner(&self) -> bool {
        matches!(self, Self::Inner(..))
    }

    const fn is_element(&self) -> bool {
        matches!(self, Self::Element(..))
    }

    const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn list(values: &[u64]) -> AttributeValue {
    AttributeValue::L(values.iter().copied().map(number).collect())
}

fn item() -> impl Strategy<Value = Value> {
    let numbers = || prop::collection::vec(0_u64..9, 0..4);
    (0_u64..9, numbers(), 0_u64..9, numbers()).prop_map(|(one, several, inner, within)| {
        json!({"number": one, "several": several, "map": {
            "number": inner, "list": within, "map": {"number": one, "list": several},
        }})
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (0_usize..4).prop_map(Place::Whole),
        (0_usize..4, 0_usize..4).prop_map(|(attribute, member)| Place::Member(attribute, member)),
        (0_usize..4, 0_usize..4, 0_usize..4)
            .prop_map(|(attribute, member, inner)| Place::Inner(attribute, member, inner)),
        (0_usize..4, 0_usize..6).prop_map(|(attribute, place)| Place::Element(attribute, place)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let numbers = || prop::collection::vec(0_u64..9, 0..3);
    prop_oneof![
        (0_u64..9).prop_map(|value| Act::Set(number(value))),
        numbers().prop_map(|values| Act::Set(list(&values))),
        (0_u64..9).prop_map(|value| Act::SetUnlessPresent(number(value))),
        (0_u64..9, 0_u64..9).prop_map(|(from, by)| Act::Count(from, by)),
        (0_u64..9).prop_map(Act::Increase),
        (-9_i64..9).prop_map(Act::Add),
        numbers().prop_map(Act::Append),
        numbers().prop_map(Act::Prepend),
        Just(Act::Remove),
    ]
}

/// Some acts, of which no two meet. What sets an element and removes another of the same list is no
/// update of this service, and DynamoDB's guide does not say what comes first.
fn acts() -> impl Strategy<Value = Vec<(Place, Act)>> {
    prop::collection::btree_map(place(), act(), 1..3).prop_map(|acts| {
        let mut kept: Vec<(Place, Act)> = Vec::new();
        for (place, act) in acts {
            let meets = |(other, before): &(Place, Act)| {
                let removes = matches!((&act, before), (Act::Remove, Act::Remove));
                let both_in_a_list = place.is_element() && other.is_element() && !removes;
                let is_within = place.is_inner() != other.is_inner();
                other.attribute() == place.attribute()
                    && (is_within || other.is_whole() || place.is_whole() || both_in_a_list)
            };
            if !kept.iter().any(meets) {
                kept.push((place, act));
            }
        }
        kept
    })
}

fn update(acts: Vec<(Place, Act)>) -> Update {
    let start = Update::of(keys::client_ip_sends("192.0.2.1"));
    acts.into_iter().fold(start, |update, (place, act)| {
        let path = place.path();
        match act {
            Act::Set(value) => update.set(path, value),
            Act::SetUnlessPresent(value) => update.set_unless_present(path, value),
            Act::Count(from, by) => update.count(path, from, by),
            Act::Increase(by) => update.increase(path, by),
            Act::Add(by) => update.add(path, by),
            Act::Append(elements) => update.append(path, elements),
            Act::Prepend(elements) => update.prepend(path, elements),
            Act::Remove => update.remove(path),
        }
    })
}

#[tokio::test]
async fn what_an_update_leaves_in_the_table_is_what_it_says_it_leaves() {
    let world = World::new().await;
    let table = world.stack.table();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..600 {
        let (item, acts) = (item(), acts()).new_tree(&mut runner).unwrap().current();
        let update = update(acts.clone());
        let key = update.key().clone();
        let put = Put::replace(key.clone(), &item).unwrap();
        table.transact(vec![put.into()]).await.unwrap();
        let stood: Item = table.get(key.clone()).await.unwrap().unwrap();
        let said = update.applied_to(&stood);
        let written = table.update(update).await;
        let left = table.get(key).await.unwrap().unwrap();
        if let Ok(said) = said {
            assert!(written.is_ok(), "{acts:?} on {item:?}: {written:?}");
            assert_eq!(said, left, "{acts:?} on {item:?}");
            taken += 1;
        } else {
            assert!(written.is_err(), "{acts:?} on {item:?}");
            assert_eq!(stood, left);
            refused += 1;
        }
    }
    assert!(
        taken > 100 && refused > 50,
        "{taken} taken, {refused} refused"
    );
}

/// What stands of an agreement's recipient, as its sender reads it.
async fn shown(world: &World, sent: &Answer, place: usize) -> Value {
    let path = format!("/v1/agreements/{}", sent.text("id"));
    let read = world.backend(Method::GET, &path, None).await.expect(200);
    read.body["recipients"][place].clone()
}

#[tokio::test]
async fn what_is_answered_of_a_recipient_is_what_is_read_afterwards() {
    let world = with_kba(5).await;
    let people = json!([person(1, "kba"), person(2, "none"), person(3, "none")]);
    let sent = send_with(&world, "one", &agreement(&people))
        .await
        .expect(201);
    let to = json!({"authentication": "sms"});
    let path = recipient_path(&sent, 0);
    let patched = world
        .backend(Method::PATCH, &path, Some(to))
        .await
        .expect(200);
    assert_eq!(patched.body, shown(&world, &sent, 0).await);
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    let completed = complete(&world, &sent, 1).await.expect(200);
    assert_eq!(completed.body, shown(&world, &sent, 1).await);
    let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
    let reason = Some(json!({"reason": "changed"}));
    let cancelled = world.backend(Method::POST, &path, reason).await.expect(200);
    let path = format!("/v1/agreements/{}", sent.text("id"));
    let read = world.backend(Method::GET, &path, None).await.expect(200);
    assert_eq!(cancelled.body, read.body);
}

#[tokio::test]
async fn what_is_answered_of_a_user_and_an_account_is_what_is_read_afterwards() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    let patch = json!({"email": "ann.b@example.com", "phone": null, "locale": "fr"});
    let patched = world
        .backend(Method::PATCH, &path, Some(patch))
        .await
        .expect(200);
    let read = world.backend(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&patched.body, patched.header("etag")),
        (&read.body, read.header("etag"))
    );
    let unlock = format!("{path}/unlock");
    let unlocked = world.backend(Method::POST, &unlock, None).await.expect(200);
    let read = world.backend(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&unlocked.body, unlocked.header("etag")),
        (&read.body, read.header("etag"))
    );
    let path = format!("/v1/accounts/{}", world.account);
    let named = Some(json!({"name": "Another name"}));
    let renamed = world
        .operator(Method::PATCH, &path, named)
        .await
        .expect(200);
    let read = world.operator(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&renamed.body, renamed.header("etag")),
        (&read.body, read.header("etag"))
    );
}
