//! What an item is once a write has taken effect: DynamoDB's rules for update expressions, as far
//! as [`Update`] has them. So a decision and its answer have one author: the write says what is
//! changed, and the next state is read from it.
//!
//! The rules, from the developer guide of DynamoDB ("Update expressions"): what is assigned is
//! computed from the item as it stood; a map or list that is changed within has to be there; an
//! element beyond the end of a list is appended; and elements are removed by the places that they
//! had. An update that sets an element and removes another of the same list is none of this
//! service's: the guide leaves it open.

use std::cmp::Reverse;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::path::{Path, Step};
use super::update::{Assignment, Update};
use super::{Failure, Item, Key, Write, read};

/// What stands on an item of its own.
pub trait Stored: Serialize + DeserializeOwned {
    /// Where it stands.
    fn key(&self) -> Key;

    /// The same as `writes` leave it: as it is, where none of them is of its item.
    fn after(&self, writes: &[Write]) -> Result<Self, Failure> {
        let (key, stood) = (self.key(), item_of(self)?);
        let Some(own) = writes.iter().find(|write| *write.key() == key) else {
            return read(stood);
        };
        let next = own.applied_to(&stood)?;
        read(next.ok_or_else(|| inapplicable("the item is removed"))?)
    }
}

fn item_of(state: &impl Serialize) -> Result<Item, Failure> {
    serde_dynamo::to_item(state).map_err(|error| Failure::unwritable("writing a state", &error))
}

fn inapplicable(why: &'static str) -> Failure {
    Failure::unavailable("applying a write", &why)
}

impl Write {
    /// The item that stood as `stood`, once this write has taken effect; none, where it is removed.
    pub fn applied_to(&self, stood: &Item) -> Result<Option<Item>, Failure> {
        match self {
            Self::Put(put) => Ok(Some(put.whole())),
            Self::Update(update) => update.applied_to(stood).map(Some),
            Self::Delete(_) => Ok(None),
        }
    }
}

impl Update {
    /// The item that stood as `stood`, or as an empty one where none did, once this update has
    /// taken effect. Fails where DynamoDB would say that the update does not fit the item.
    pub fn applied_to(&self, stood: &Item) -> Result<Item, Failure> {
        self.checked()?;
        let mut next = stood.clone();
        let mut removed = Vec::new();
        for (path, assignment) in self.assignments() {
            match assignment.applied_to(found(stood, path))? {
                Some(value) => assign(&mut next, path, value)?,
                None => removed.push(path),
            }
        }
        // The last element first: each is removed by the place that it had. A path that two authors
        // remove is removed once.
        removed.sort_by_key(|path| Reverse((path.attribute, &path.steps)));
        removed.dedup();
        let mut each = removed.into_iter();
        each.try_for_each(|path| remove(&mut next, path))?;
        next.extend(self.key().clone().into_item());
        Ok(next)
    }
}

impl Assignment {
    /// What the attribute is then; none, where it is removed.
    fn applied_to(
        &self,
        stood: Option<&AttributeValue>,
    ) -> Result<Option<AttributeValue>, Failure> {
        let there = || stood.ok_or_else(|| inapplicable("an operand is absent"));
        Ok(Some(match self {
            Self::Is(value) => value.clone(),
            Self::IsUnlessPresent(value) => stood.unwrap_or(value).clone(),
            Self::Counts { from, by } => sum(stood.unwrap_or(from), by)?,
            Self::Grows(by) => sum(there()?, by)?,
            Self::Adds(by) => stood.map_or_else(|| Ok(by.clone()), |stood| sum(stood, by))?,
            Self::Ends(elements) => appended(there()?, elements)?,
            Self::Begins(elements) => {
                stood.map_or_else(|| Ok(elements.clone()), |stood| appended(elements, stood))?
            }
            Self::Removed => return Ok(None),
        }))
    }
}

fn sum(one: &AttributeValue, other: &AttributeValue) -> Result<AttributeValue, Failure> {
    let number = |value: &AttributeValue| value.as_n().ok()?.parse::<i64>().ok();
    let sum = number(one).zip(number(other));
    let sum = sum.and_then(|(one, other)| one.checked_add(other));
    let sum = sum.ok_or_else(|| inapplicable("an operand is no whole number"))?;
    Ok(AttributeValue::N(sum.to_string()))
}

fn appended(one: &AttributeValue, other: &AttributeValue) -> Result<AttributeValue, Failure> {
    let lists = one.as_l().ok().zip(other.as_l().ok());
    let (one, other) = lists.ok_or_else(|| inapplicable("an operand is no list"))?;
    Ok(AttributeValue::L([one.clone(), other.clone()].concat()))
}

fn found<'a>(item: &'a Item, path: &Path) -> Option<&'a AttributeValue> {
    let whole = item.get(path.attribute)?;
    path.steps.iter().try_fold(whole, |value, step| match step {
        Step::Member(name) => value.as_m().ok()?.get(name),
        Step::Element(place) => value.as_l().ok()?.get(*place),
    })
}

/// What the last step of `path` leads from.
fn parent<'a>(item: &'a mut Item, path: &'a Path) -> Option<(&'a mut AttributeValue, &'a Step)> {
    let (end, before) = path.steps.split_last()?;
    let whole = item.get_mut(path.attribute)?;
    let parent = before
        .iter()
        .try_fold(whole, |value, step| match (step, value) {
            (Step::Member(name), AttributeValue::M(map)) => map.get_mut(name),
            (Step::Element(place), AttributeValue::L(list)) => list.get_mut(*place),
            _ => None,
        })?;
    Some((parent, end))
}

fn assign(item: &mut Item, path: &Path, value: AttributeValue) -> Result<(), Failure> {
    if path.steps.is_empty() {
        let _ = item.insert(path.attribute.to_owned(), value);
        return Ok(());
    }
    match parent(item, path) {
        Some((AttributeValue::M(map), Step::Member(name))) => {
            let _ = map.insert(name.clone(), value);
        }
        Some((AttributeValue::L(list), Step::Element(place))) => match list.get_mut(*place) {
            Some(element) => *element = value,
            None => list.push(value),
        },
        _ => return Err(inapplicable("what is assigned into is absent")),
    }
    Ok(())
}

fn remove(item: &mut Item, path: &Path) -> Result<(), Failure> {
    if path.steps.is_empty() {
        let _ = item.remove(path.attribute);
        return Ok(());
    }
    match parent(item, path) {
        Some((AttributeValue::M(map), Step::Member(name))) => {
            let _ = map.remove(name);
        }
        Some((AttributeValue::L(list), Step::Element(place))) => {
            if *place < list.len() {
                let _ = list.remove(*place);
            }
        }
        _ => return Err(inapplicable("what is removed from is absent")),
    }
    Ok(())
}
